"""Choose rate and epochs of notebook 04's two trained networks, on valid.

    python tests/benchmarks/choose_04.py

Runs the notebook as far as it defines them and tries nine settings of each on the
same draws. The highest mean accuracy wins, of equals the one with the smallest log
loss. The test set is not looked at. Writes ``data/studies/choices_04.csv``.
"""

from __future__ import annotations

import itertools

import matplotlib
import numpy as np
import pandas as pd
from lesson_cells import ROOT, run_cells
from sklearn.metrics import log_loss

DRAWS = range(100, 105)  # other draws of the labelled pictures than the lesson's
GRID = {
    "fine-tuned": itertools.product((3e-4, 1e-3, 3e-3), (2, 4, 8)),
    "from scratch": itertools.product((3e-3, 1e-2, 3e-2), (40, 80, 160)),
}


def main() -> None:
    """Try all settings, print the table, write it."""
    matplotlib.use("Agg")
    nb = run_cells("04", "def train_from_scratch")
    tl, task, size = nb["tl"], nb["task"], nb["size"]
    valid, truth = task.valid.tensors(size)
    small = task.valid.tensors(size // 2)[0]

    def predict(arm: str, seed: int, **how: float) -> np.ndarray:
        rows = task.rows(nb["n"], seed)
        if arm == "fine-tuned":
            head = tl.FineTuned(nb["source"], **how)
            head.fit(nb["x"][rows].numpy(), nb["y"][rows])
            return head.predict_proba(valid.numpy())
        nb["chosen"][arm] = how
        network = nb["train_from_scratch"](rows, seed)
        return tl.predict_proba(network, small, transform=nb["source"].normalize)

    table = []
    for arm, settings in GRID.items():
        for lr, epochs in settings:
            p = [predict(arm, seed, lr=lr, epochs=epochs) for seed in DRAWS]
            right = np.mean([q.argmax(axis=1) == truth.numpy() for q in p])
            loss = np.mean([log_loss(truth, q, labels=range(q.shape[1])) for q in p])
            table.append([arm, lr, epochs, len(p), round(right, 4), round(loss, 4)])
            print(*table[-1], flush=True)
    table = pd.DataFrame(table, columns="arm lr epochs draws valid loss".split())
    order = table.sort_values(["valid", "loss"], ascending=[False, True])
    first = order.drop_duplicates("arm").index
    table["chosen"] = table.index.isin(first).astype(int)
    table.to_csv(ROOT / "data" / "studies" / "choices_04.csv", index=False)


if __name__ == "__main__":
    main()
