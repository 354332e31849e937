"""Choose the settings of notebook 06's three trainings, on valid.

    python tests/benchmarks/choose_06.py

Runs the notebook as far as it defines them and tries eight settings of each: how the
language model reads the mail (judged by the best head on its frozen states, as the
lesson chooses one), how the classifier is trained from there, and how from scratch.
All see ten draws of labelled mails that the lesson does not use; the highest mean
accuracy wins. Remarks beside them show what was left: lower layers that read more
slowly, as in the paper, other rates of reading, more passes than fit into the lesson's
minutes. The test set is not looked at. Writes ``data/studies/choices_06.csv``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import matplotlib
import numpy as np
from fastai.text.all import AWD_LSTM, awd_lstm_lm_config, language_model_learner
from lesson_cells import keep_choices, run_cells
from sklearn.linear_model import LogisticRegression

import tlhelpers as tl

#: Other draws of the labels than the lesson's.
DRAWS = range(100, 110)
#: Rate, epochs, dropout of the network that reads, factor between its layers.
READING = [(1.5e-2, e, d, 1) for e, d in product((2, 3), (0.1, 0.2, 0.3, 0.4))]
ASIDE = {
    "reading, lower layers slower": [(1.5e-2, 3, 0.3, 2.6)],
    "reading, other rates": [(1e-2, 3, 0.3, 1), (2e-2, 3, 0.3, 1)],
    "reading, more": [(1.5e-2, 6, 0.3, 1)],
}
#: Rate and epochs, of real ULMFiT in each of three stages.
TRAINED = {
    "real ULMFiT": product((1e-3, 2e-3, 4e-3, 8e-3), (2, 4)),
    "from scratch": product((2.5e-4, 5e-4, 1e-3, 2e-3), (10, 20)),
    "from scratch, more": [(5e-4, 40)],
}


def lesson() -> dict:
    """Return what the lesson has defined before it trains its classifiers."""
    matplotlib.use("Agg")
    nb = run_cells("06", "train = lambda", skip=["spotter = text", "tl.check"])
    return run_cells("06", "def states", only=["def states"], names=nb)


def read(nb: dict, lr: float, epochs: int, dropout: float, factor: float) -> object:
    """Let the general model read the mail; return it adapted."""
    reader = language_model_learner(
        nb["loaders"], AWD_LSTM, config=awd_lstm_lm_config | nb["source"].config,
        pretrained=False, drop_mult=dropout, path=nb["folder"])  # fmt: skip
    reader.model.load_state_dict(nb["general"].weights)
    tl.slanted_triangular(reader, epochs, lr, factor=factor)
    weights = {name: w.clone() for name, w in reader.model.state_dict().items()}
    return replace(nb["general"], weights=weights)


def frozen_score(nb: dict, model: object) -> float:
    """Return the accuracy on valid of the best head on the frozen states."""
    task, labels = nb["task"], nb["labels"]
    draws = [task.rows(nb["n"], seed) for seed in DRAWS]
    return max(
        np.mean([
            LogisticRegression(C=C, max_iter=1000)
            .fit(x["train"][rows], labels[rows])
            .score(x["valid"], task.valid.labels)
            for rows in draws
        ])
        for x, C in product(nb["states"](model).values(), np.logspace(-2, 4, 7))
    )  # fmt: skip


def reading(nb: dict) -> Iterator[list]:
    """Try how to read; leave the best as the lesson's adapted model."""
    best = 0
    for arm, settings in {"reading": READING, **ASIDE}.items():
        for lr, epochs, dropout, factor in settings:
            model = read(nb, lr, epochs, dropout, factor)
            valid = frozen_score(nb, model)
            if arm == "reading" and valid > best:
                best, nb["adapted"] = valid, model
            yield [arm, lr, epochs, dropout, factor, len(DRAWS), round(valid, 4)]


def trained(nb: dict, arm: str) -> Iterator[list]:
    """Try how to train a classifier."""
    for lr, epochs in TRAINED[arm]:
        how = {"lr": lr, "epochs": epochs}
        models = (nb["train"](arm.partition(",")[0], seed, **how) for seed in DRAWS)
        valid = np.mean([nb["score"](model, "valid") for model in models])
        yield [arm, lr, epochs, "", "", len(DRAWS), round(valid, 4)]


def main() -> None:
    """Try all settings, print the table, write it."""
    nb, table = lesson(), []
    for rows in (reading(nb), *(trained(nb, arm) for arm in TRAINED)):
        for row in rows:
            table.append(row)
            print(*row, flush=True)
    keep_choices("06", table, "arm lr epochs dropout factor draws valid")


if __name__ == "__main__":
    main()
