#!/usr/bin/env bash
# fastai 2.8.12 and torch 2.15.0: an AWD-LSTM without dropout learns, but cannot be
# judged.
#
# The guess: `drop_mult=0` switches the dropout of an AWD-LSTM off. The number is there to
# be lowered where little is learnt by heart, and 0.01 and 0.1 work.
#
# The behaviour: training goes through. The first look at the validation part raises a
# TypeError. fastai puts what dropout makes of the recurrent weights into the LSTM in place
# of its own. With p = 0 torch hands back the same object, a Parameter, so the LSTM
# registers it as one. When the network is reset for the validation part, fastai puts a
# plain tensor there, and torch refuses: a parameter's place is for parameters.
#
# Seen: with .01 a loss; with 0 one epoch of steps, then "cannot assign
# 'torch.FloatTensor' as parameter 'weight_hh_l0'".
# Exits non-zero where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check \
  fastai==2.8.12 torch==2.15.0
cat > "$folder/seen.py" <<'PYTHON'
import warnings

warnings.simplefilter("ignore")
from fastai.text.all import AWD_LSTM, LMDataLoader, DataLoaders, awd_lstm_lm_config
from fastai.text.all import language_model_learner, tensor

texts = [tensor([i % 7 + 2 for i in range(60)]) for _ in range(20)]
config = awd_lstm_lm_config | {"emb_sz": 8, "n_hid": 12, "n_layers": 2}


def judge(drop_mult):
    """Train for an epoch and look at the validation part: return loss or error."""
    parts = [LMDataLoader(texts, bs=4, seq_len=15, num_workers=0) for _ in range(2)]
    loaders = DataLoaders(*parts)
    loaders.vocab = ["xxunk", "xxpad", *"abcdefg"]
    learn = language_model_learner(
        loaders, AWD_LSTM, config=config, pretrained=False, drop_mult=drop_mult
    )
    with learn.no_bar(), learn.no_logging():
        try:
            learn.fit(1, 1e-3)
        except TypeError as error:
            return learn.train_iter, str(error).splitlines()[-1].strip()
    return learn.train_iter, float(learn.recorder.values[-1][1])


little, none = judge(0.01), judge(0)
print("drop_mult 0.01:", *little)
print("drop_mult 0:   ", *none)
assert isinstance(little[1], float)
assert none[0] == little[0] > 0  # all steps of the epoch were made
assert "cannot assign" in none[1] and "weight_hh_l0" in none[1]
print("as found")
PYTHON
"$folder/env/bin/python" "$folder/seen.py"
