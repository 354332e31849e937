"""Choose rate and steps of notebook 07's two trained networks, on valid.

    python tests/benchmarks/choose_07.py

Runs the notebook as far as it defines them and tries nine settings of each on the same
draws. The highest mean accuracy wins. What more steps would bring stands in the table
as remarks. The test set is not looked at. Writes ``data/studies/choices_07.csv``.
"""

from __future__ import annotations

import itertools

import matplotlib
import numpy as np
from lesson_cells import keep_choices, run_cells

DRAWS = range(100, 103)  # other draws of the labels than the lesson's
GRID = {
    "from scratch": itertools.product((3e-4, 1e-3, 3e-3), (20, 40, 120)),
    "tuned": itertools.product((1e-4, 3e-4, 1e-3), (10, 20, 40)),
    "from scratch, longer": itertools.product((1e-3,), (240,)),
    "tuned, longer": itertools.product((1e-4, 3e-4), (80,)),
}


def main() -> None:
    """Try all settings, print the table, write it."""
    matplotlib.use("Agg")
    nb = run_cells("07", "train = lambda", skip=["optimizer", "tl.check"])
    task, tl, valid = nb["task"], nb["tl"], (nb["x"]["valid"], nb["y"]["valid"])

    def score(arm: str, seed: int, **how: float) -> float:
        way = arm.split(",")[0]
        nb["chosen"][way] = how
        part = task.train.take(task.rows(nb["n"], seed))
        return tl.evaluate(nb["train"](way, part, seed), valid)

    table = []
    for arm, settings in GRID.items():
        for lr, steps in settings:
            right = [score(arm, seed, lr=lr, steps=steps) for seed in DRAWS]
            table.append([arm, lr, steps, len(right), round(np.mean(right), 4)])
            print(*table[-1], flush=True)
    keep_choices("07", table, "arm lr steps draws valid")


if __name__ == "__main__":
    main()
