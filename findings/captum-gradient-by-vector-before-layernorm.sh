#!/usr/bin/env bash
# captum 0.9.0 and transformers 5.23.0: gradient times vector, summed over the numbers of
# a piece, says nothing of its own where a BERT adds up its vectors.
#
# The guess: LayerGradientXActivation on `embeddings.word_embeddings` tells how much each
# piece of a text contributes to an answer. Many explanations of BERTs hook that layer.
#
# The behaviour: a BERT adds three vectors for each piece, its word's, its place's and its
# segment's, and a LayerNorm follows. LayerNorm answers the same to a vector and to twice
# that vector, so its gradient stands at right angles to the sum, and gradient times sum
# is zero for every piece. What the hook on the words returns is therefore exactly what
# the places and the segments return, with the other sign: a piece whose word "speaks for"
# the answer is one whose place "speaks against" it. Behind the LayerNorm the product is
# no longer bound to vanish.
#
# Seen, largest absolute value over the pieces: words .056, words + places + segments
# below a millionth, behind the LayerNorm .002.
# Exits non-zero where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check \
  captum==0.9.0 transformers==5.23.0 torch==2.15.0
cat > "$folder/seen.py" <<'PYTHON'
import torch
from captum.attr import LayerGradientXActivation
from transformers import BertConfig, BertModel

torch.manual_seed(0)
size = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
body = BertModel(BertConfig(vocab_size=500, num_attention_heads=4, **size)).eval()
head = torch.nn.Linear(64, 1)
texts = torch.randint(5, 500, (4, 12))


def answer(ids):
    return head(body(input_ids=ids).last_hidden_state.mean(1))[:, 0]


def pull(layer):
    """Gradient times vector, summed over the numbers: one value a piece."""
    explained = LayerGradientXActivation(answer, layer).attribute(texts)
    return explained.sum(-1).detach()  # places and segments: one row for all texts


layers = body.embeddings
words = pull(layers.word_embeddings)
places = torch.cat([  # alone, each text has the gradients of its own places
    LayerGradientXActivation(answer, layers.position_embeddings)
    .attribute(text[None]).sum(-1) for text in texts]).detach()
segments = pull(layers.token_type_embeddings)
behind = pull(layers.LayerNorm)
total = words + places + segments
for name, values in (("words", words), ("words + places + segments", total),
                     ("behind the LayerNorm", behind)):
    print(f"{name:26s} {values.abs().max():.6f}")
assert words.abs().max() > 0.01
assert total.abs().max() < 1e-6
assert behind.abs().max() > 1e-3
print("as found")
PYTHON
"$folder/env/bin/python" "$folder/seen.py" 2>/dev/null
