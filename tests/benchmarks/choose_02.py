"""Choose the rates of notebook 02 on valid: ``python tests/benchmarks/choose_02.py``.

Runs the notebook's own function ``learn`` with 20 labels per class, on draws that the
lesson does not use. Seven rates are tried wherever a way has one to choose.
"""

from __future__ import annotations

import csv
import os
import sys
from copy import deepcopy

import numpy as np
from lesson_cells import ROOT, run_cells

os.environ["TLHELPERS_SMOKE"] = "1"  # the cells before it train for one epoch
RATES, DRAWS = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2), range(100, 104)
LABELS, EPOCHS = 20, 20
FIRST, FROZEN = "first phase", "frozen base"
SCRATCH = "from scratch", "from scratch, small"
COLUMNS = ["arm", "lr", "epochs", "draws", "valid", "chosen"]


def main(rates: list[float]) -> None:
    """Try every setting, keep the best of each way, write the table."""
    lesson = run_cells("02", "def learn")
    tl, learn = lesson["tl"], lesson["learn"]
    normal, valid = lesson["source"].normalize, lesson["task"].valid.tensors(64)
    table, best, starts = [], {}, {seed: None for seed in DRAWS}

    def tried(arm, way, epochs):
        """Score each rate on every draw; return the networks of the best."""
        nets = {}
        for lr in rates:
            nets[lr] = [
                learn(way, LABELS, seed, lr, epochs, deepcopy(start))
                for seed, start in starts.items()
            ]
            scores = [tl.evaluate(m, valid, transform=normal) for m in nets[lr]]
            table.append([arm, lr, epochs, len(DRAWS), round(np.mean(scores), 4), 0])
            print(*table[-1], flush=True)
            if arm not in best or table[-1][4] > best[arm][4]:
                best[arm] = table[-1]
        return dict(zip(DRAWS, nets[best[arm][1]]))

    for way in SCRATCH:
        tried(way, way, 2 * EPOCHS)
    starts = tried(FIRST, FROZEN, EPOCHS)
    for way in (FROZEN, "last block tuned"):
        tried(way, way, EPOCHS)
    for row in best.values():
        row[-1] = 1
    path = ROOT / "data" / "studies" / "choices_02.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *table])


if __name__ == "__main__":
    main([float(rate) for rate in sys.argv[1:]] or list(RATES))
