"""Choose rate and steps of notebook 01's three trained networks, on valid.

    python tests/benchmarks/choose_01.py
    python tests/benchmarks/choose_01.py "from scratch, small, 100 labels"

Runs the notebook's cells as far as they define how to train, without the section on
fastai, and tries eight settings of each network on the same draws. The highest mean
accuracy wins, of equals the one with fewer steps. A few more with two to four times
as many steps are tried as a remark. The small network is searched once more at 100
labels per class: there the best rate for 20 now and then fails. The test set is not
looked at. Writes ``data/studies/choices_01.csv``; with names of arms only these are
searched, and the other rows stay.
"""

from __future__ import annotations

import itertools
import sys

import matplotlib
import numpy as np
import pandas as pd
from lesson_cells import ROOT, run_cells

DRAWS = range(100, 103)  # other draws of the labelled pictures than the lesson's
GRID = {  # what fits into the minutes of the lesson
    "fine-tuned": [*itertools.product((1e-4, 3e-4, 1e-3, 3e-3), (20, 40))],
    "from scratch": [*itertools.product((3e-4, 1e-3, 3e-3, 1e-2), (40, 80))],
    "from scratch, small": [
        *itertools.product((1e-3, 3e-3, 1e-2), (200, 400)),
        *itertools.product((3e-2, 1e-1), (400,)),
    ],
}
GRID["from scratch, small, 100 labels"] = GRID["from scratch, small"]
LONGER = {  # what more steps would have brought: a remark, never chosen
    "fine-tuned": [(3e-4, 80), (1e-3, 80)],
    "from scratch": [(1e-3, 320)],
    "from scratch, small": [(1e-2, 1600), (3e-2, 1600)],
}
FASTAI = (
    "fastai",
    "dls",
    "learn.fit",
    "fixed",
    "FrozenBatchNorm",
    "worst",
    "mended",
    "before = tl.snapshot",
    "manifest",
)


def main(only: list[str]) -> None:
    """Try all settings, print the table, write it."""
    matplotlib.use("Agg")
    nb = run_cells("01", "def train(", FASTAI)
    nb["features"] = nb["tl"].extract_features(nb["source"], nb["x"])
    valid, chosen = nb["task"].valid.tensors(nb["size"]), nb["chosen"]
    path, table = ROOT / "data" / "studies" / "choices_01.csv", []
    grid = GRID | {f"{arm}, longer": settings for arm, settings in LONGER.items()}
    if only:
        old = pd.read_csv(path)
        table = old[~old["arm"].isin(only)].drop(columns="chosen").values.tolist()
    for name in only or grid:
        arm, n = name.removesuffix(", longer"), nb["few"]
        if name.endswith(" labels"):
            arm, n = "from scratch, small", 100
        for lr, steps in grid[name]:
            chosen[arm] = {"lr": lr, "steps": steps}
            right = [nb["train"](arm, n, seed, judge=valid) for seed in DRAWS]
            table.append([name, lr, steps, len(right), round(np.mean(right), 4)])
            print(*table[-1], flush=True)
    table = pd.DataFrame(table, columns="arm lr steps draws valid".split())
    order = table.sort_values(["valid", "steps"], ascending=[False, True])
    first = order[order.arm.isin(GRID)].drop_duplicates("arm").index
    table["chosen"] = table.index.isin(first).astype(int)
    table.to_csv(path, index=False)


if __name__ == "__main__":
    main(sys.argv[1:])
