"""Choose the learning rates of notebook 09's tuned networks, on valid.

    python tests/benchmarks/choose_09.py
    python tests/benchmarks/choose_09.py "heated ×3"

Runs the notebook's cells as far as all sources are there, then tunes random weights
and each trained source on every target, with six rates and the same draws. For each
source the rate with the highest mean accuracy on valid wins. The arms with ×3 are
those of section 5: the flowers, three times the epochs; heated and repaired networks
in turn. The test set is not looked at. Writes ``data/studies/choices_09.csv``; with
names of arms only these are searched, and the other rows stay.
"""

from __future__ import annotations

import copy
import sys
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from lesson_cells import ROOT, run_cells

DRAWS = range(100, 103)  # other draws of the labelled pictures than the lesson's
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


def main(only: list[str]) -> None:
    """Try all rates, print the table, write it."""
    matplotlib.use("Agg")
    nb = run_cells("09", "sources |= ")
    tl, made, blank = nb["tl"], nb["made"], nb["blank"]

    def valid(source: Any, name: str, seed: int, lr: float, epochs: int) -> float:
        (x, y, *_), rows = nb["pictures"][name, "small"], nb["draw"](name, seed)
        new = nb["train"](source, x[rows], y[rows], seed=seed, lr=lr, epochs=epochs)
        judged = nb["tasks"][name].valid.tensors(nb["pixels"][name, "small"])
        return tl.evaluate(new.model, judged, transform=new.normalize)

    def hot(seed: int) -> Any:
        return made["heated"][seed % len(nb["few"])]

    def mended(seed: int) -> Any:
        model, late = copy.deepcopy(hot(seed).model), range(4, 20)
        names = [f"features.{i}" for i in late]
        return replace(hot(seed), model=tl.reinitialize(model, names, seed=seed))

    arms = {
        "random": ([blank], nb["tasks"], 10),
        **{
            name: ([lambda seed, s=s: s], nb["tasks"], 10)
            for name, s in nb["sources"].items()
            if name not in ("EfficientNet", "random")
        },
        "random ×3": ([blank], ["flowers"], 30),
        "heated ×3": ([hot], ["flowers"], 30),
        "repaired ×3": ([mended], ["flowers"], 30),
    }
    path, rows = ROOT / "data" / "studies" / "choices_09.csv", []
    if only:
        old = pd.read_csv(path)
        rows = old[~old["arm"].isin(only)].drop(columns="chosen").values.tolist()
    for arm in only or arms:
        starts, targets, epochs = arms[arm]
        for lr in RATES:
            jobs = [
                (start(k), t, k, lr, epochs)
                for start in starts
                for t in targets
                for k in DRAWS
            ]
            right = tl.side_by_side(valid, jobs)
            rows.append([arm, lr, len(DRAWS), round(np.mean(right), 4)])
            print(*rows[-1], flush=True)
    table = pd.DataFrame(rows, columns="arm lr draws valid".split())
    first = table.sort_values("valid", ascending=False).drop_duplicates("arm").index
    table["chosen"] = table.index.isin(first).astype(int)
    table.to_csv(path, index=False)


if __name__ == "__main__":
    main(sys.argv[1:])
