#!/usr/bin/env bash
# fastai 2.8.12, SentenceEncoder: in a batch of texts of different lengths the states of a
# short text can be another text's.
#
# The guess: whether a text is read alone or beside longer ones, a classifier in eval mode
# pools the same states for it, up to rounding.
#
# The behaviour: Pad_Chunk puts whole chunks of padding in front of a short text, so that
# its end falls into the last chunk of the batch. A longer text may already have ended
# there. SentenceEncoder counts the rows whose chunk begins with a word and takes that many
# rows from the top; where a row above has ended, these are the wrong ones. Here the first
# text ends with the batch, the second three words before the last chunk begins, and the
# third, a short one, loses its end: zeros take the place of its states. Sorting by length
# does not help: these three are sorted.
#
# Seen: the third text differs by more than .1, the first agrees to 1e-6.
# Exits non-zero where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check \
  fastai==2.8.12 torch==2.15.0 torchvision==0.29.2
cat > "$folder/seen.py" <<'PYTHON'
import torch
from fastai.text.data import Pad_Chunk, TensorText
from fastai.text.models.awdlstm import AWD_LSTM
from fastai.text.models.core import SentenceEncoder, masked_concat_pool

torch.manual_seed(0)
CHUNK, WORDS = 72, 50
reader = AWD_LSTM(WORDS, 16, 24, 1, hidden_p=0, embed_p=0, input_p=0, weight_p=0)
encoder = SentenceEncoder(CHUNK, reader, pad_idx=1).eval()
texts = [torch.randint(2, WORDS, (n,)) for n in (150, 141, 74)]
pad = Pad_Chunk(pad_idx=1, pad_first=True, seq_len=CHUNK)


def pooled(batch):
    rows = pad([(TensorText(text),) for text in batch])
    with torch.no_grad():
        states, mask = encoder(torch.stack([torch.as_tensor(row[0]) for row in rows]))
    return masked_concat_pool(states, mask, CHUNK)


together = pooled(texts)
alone = torch.cat([pooled([text]) for text in texts])
apart = (together - alone).abs().amax(dim=1).tolist()
for text, difference in zip(texts, apart):
    print(f"{len(text)} words: {difference:.6f}")
assert apart[0] < 1e-6, "the longest text agrees"
assert apart[2] > 0.1, "the short text does not"
print("as found")
PYTHON
"$folder/env/bin/python" "$folder/seen.py" 2>/dev/null
