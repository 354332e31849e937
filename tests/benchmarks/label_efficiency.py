"""How many labels notebook 06's real ULMFiT saves a network from scratch.

    python tests/benchmarks/label_efficiency.py ["real ULMFiT"] ["from scratch"]

Trains both with the lesson's settings, which were chosen for 20 labels per class, at
several numbers of labels, on the same draws, and prints a row of test accuracies, mean
± sd, for docs/benchmarks.md. At a hundred labels nothing is left to draw: four seeds.
"""

from __future__ import annotations

import sys

import matplotlib
import numpy as np
from lesson_cells import run_cells

import tlhelpers as tl

#: Labels per class, and how many draws of each.
LABELS = {
    "real ULMFiT": {5: 10, 10: 10, 20: 10},
    "from scratch": {5: 10, 20: 10, 100: 4},
}


def main(arms: list[str]) -> None:
    """Print a row for each arm and number of labels."""
    matplotlib.use("Agg")
    nb = run_cells("06", "train = lambda", skip=["spotter = text", "tl.check"])
    for arm in arms:
        for nb["n"], draws in LABELS[arm].items():
            models = (nb["train"](arm, s, **nb["chosen"][arm]) for s in range(draws))
            right = [float(nb["score"](model, "test")) for model in models]
            row = f"| {arm} | {nb['n']} | {draws} | {tl.mean_sd(right)} |"
            print(row, np.round(right, 4), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or [*LABELS])
