"""Choose the learning rates of notebook 09's tuned networks, on valid.

    python tests/benchmarks/choose_09.py

Runs the notebook's cells as far as all sources are there, then tunes random weights
and each trained source on every target, with six rates and the same draws. The rate
with the highest mean accuracy on valid wins: one for random weights, one for the heated
source and one for the other trained ones. The test set is not looked at. Writes
``data/studies/choices_09.csv``.
"""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from lesson_cells import ROOT, run_cells

DRAWS = range(100, 103)  # other draws of the labelled pictures than the lesson's
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


def main() -> None:
    """Try all rates, print the table, write it."""
    matplotlib.use("Agg")
    nb = run_cells("09", "sources |= ")
    tl, table = nb["tl"], []

    def valid(source: Any, name: str, seed: int, lr: float) -> float:
        (x, y, *_), rows = nb["pictures"][name, "small"], nb["draw"](name, seed)
        new = nb["train"](source, x[rows], y[rows], seed=seed, lr=lr)
        judged = nb["tasks"][name].valid.tensors(nb["pixels"][name, "small"])
        return tl.evaluate(new.model, judged, transform=new.normalize)

    trained = set(nb["sources"]) - {"EfficientNet", "random", "heated"}
    arms = {"random": {"random"}, "heated": {"heated"}, "trained": trained}
    for arm, names in arms.items():
        for lr in RATES:
            jobs = [
                (nb["blank"](k) if s == "random" else nb["sources"][s], t, k, lr)
                for s in sorted(names)
                for t in nb["tasks"]
                for k in DRAWS
            ]
            right = tl.side_by_side(valid, jobs)
            table.append([arm, lr, len(DRAWS), round(np.mean(right), 4)])
            print(*table[-1], flush=True)
    table = pd.DataFrame(table, columns="arm lr draws valid".split())
    first = table.sort_values("valid", ascending=False).drop_duplicates("arm").index
    table["chosen"] = table.index.isin(first).astype(int)
    table.to_csv(ROOT / "data" / "studies" / "choices_09.csv", index=False)


if __name__ == "__main__":
    main()
