"""Choose what notebook 00 compares, on valid: ``python tests/benchmarks/choose_00.py``.

Takes pictures and turns from the notebook's own cells, and draws that the lesson does
not use. Six settings for each way: six values of C for a logistic regression on frozen
features, or three rates over each of two lengths for a network that is tuned.
"""

from __future__ import annotations

import csv
import os
from copy import deepcopy

import numpy as np
import torch
from lesson_cells import ROOT, run_cells
from sklearn.linear_model import LogisticRegression

os.environ["TLHELPERS_SMOKE"] = "1"
DRAWS, RATES, LENGTHS = range(100, 104), (1e-3, 3e-3, 1e-2), (40, 120)
CS = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
COLUMNS = ["arm", "lr", "epochs", "draws", "valid", "chosen", "C"]


def main() -> None:
    """Try every setting, mark the best of each way, write the table."""
    lesson = run_cells("00", "quarters =")
    tl, pets, turn, quarters, plain, upright = (
        lesson[k] for k in ("tl", "pets", "turn", "quarters", "plain", "upright")
    )
    valid, table = pets.valid.tensors(64), []

    def scale(batch):
        return batch.float() / 127.5 - 1

    def note(arm, lr, epochs, scores, c=""):
        table.append([arm, lr, epochs, len(scores), round(np.mean(scores), 4), 0, c])
        print(*table[-1], flush=True)

    def trained(seed, lr):
        torch.manual_seed(seed)
        fresh = tl.small_cnn(4)
        own = deepcopy(fresh)
        data, options = (turn(plain), quarters(plain)), {"transform": scale}
        tl.fit(own, data, epochs=1, lr=lr, batch_size=32, seed=seed, **options)
        score = tl.evaluate(own, (turn(upright), quarters(upright)), **options)
        return score, fresh, own

    runs = {lr: [trained(s, lr) for s in DRAWS] for lr in RATES}
    for lr, made in runs.items():
        note("source: which way is up", lr, 1, [m[0] for m in made])
    made = max(runs.values(), key=lambda m: np.mean([r[0] for r in m]))
    lite0 = [
        tl.load_source("efficientnet_lite0", pretrained=False, seed=s) for s in DRAWS
    ]
    bodies = {
        "small, untrained": [m[1] for m in made],
        "small, developed": [m[2] for m in made],
        "EfficientNet, untrained": lite0,
        "EfficientNet, pre-trained": [tl.load_source("efficientnet_lite0")] * len(made),
    }
    for arm, nets in bodies.items():
        side = 64 if arm.startswith("small") else pets.size
        look = scale if side == 64 else torch.as_tensor
        found = []
        for seed, net in zip(DRAWS, nets):
            parts = pets.sample(10, seed).train.tensors(side), pets.valid.tensors(side)
            found.append([(tl.extract_features(net, look(x)), y) for x, y in parts])
        for c in CS:
            head = LogisticRegression(C=c, max_iter=2000)
            note(arm, "", "", [head.fit(*few).score(*all_) for few, all_ in found], c)
    tuned_from = {"from scratch": 1, "developed, tuned": 2}
    for arm, k in tuned_from.items():
        for epochs in LENGTHS:
            for lr in RATES:
                scores = []
                for seed, m in zip(DRAWS, made):
                    net = tl.replace_head(deepcopy(m[k]), 2)
                    data = pets.sample(10, seed).train.tensors(64)
                    torch.manual_seed(seed)
                    tl.fit(
                        net,
                        data,
                        epochs=epochs,
                        lr=lr,
                        batch_size=8,
                        seed=seed,
                        transform=lambda b: scale(tl.augment(b)),
                    )
                    scores.append(tl.evaluate(net, valid, transform=scale))
                note(f"small, {arm}", lr, epochs, scores)
    for arm in {row[0] for row in table}:
        max((r for r in table if r[0] == arm), key=lambda r: r[4])[5] = 1
    path = ROOT / "data" / "studies" / "choices_00.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *table])


if __name__ == "__main__":
    main()
