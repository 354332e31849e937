"""What the labels of valid add: python tests/benchmarks/with_valid.py FOLDER

Where notebook 10 keeps the frozen head, it fits it on train and valid. First table: the
head by the size of the pictures. Second: the plan of the notebook, where its rivals get
the labels of valid, too. Prints Markdown, test accuracy, mean ± sd over the splits.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import tlhelpers as tl
from tlhelpers import project
from tlhelpers.project.build import Inputs, fit_head
from tlhelpers.tasks import ImageTask


def read(path: str, seed: int) -> ImageTask:
    """Read one split as the notebook does."""
    task = project.read_data(path, seed=seed)
    return project.drop_leaks(task, tl.near_duplicates(task))


def with_valid(inputs: dict[str, Inputs]) -> Inputs:
    """Join train and valid."""
    parts = [inputs[k] for k in ("train", "valid")]
    x, y = (torch.cat([getattr(part, k) for part in parts]) for k in ("x", "y"))
    return Inputs(x, y, np.concatenate([part.features for part in parts]))


def main(arguments: list[str]) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--splits", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=5, help="of the second table")
    options = parser.parse_args(arguments)
    tasks = [read(options.path, seed) for seed in range(options.splits)]
    plan = project.choose_plan(tasks[0])
    print("| px | frozen head, train | train and valid |\n|---|---|---|")
    for size in (96, 128, 160, 224):
        scores: list[list[float]] = [[], []]
        for task in tasks:
            inputs = project.read_inputs(task, replace(plan, size=size))
            for column, part in zip(scores, (inputs["train"], with_valid(inputs))):
                head = fit_head(part.features, part.y.numpy())
                test = inputs["test"]
                column.append(head.score(test.features, test.y.numpy()))
        print(f"| {size} |", *(f"{tl.mean_sd(c)} |" for c in scores), flush=True)
    print("\n| labels | plain logistic | from scratch |\n|---|---|---|")
    rows: dict[str, list[tuple[float, float]]] = {}
    for seed, task in enumerate(tasks[: options.seeds]):
        plan = project.choose_plan(task)
        inputs = project.read_inputs(task, plan)
        x, y, features, _ = inputs["test"]
        pairs = (("train", inputs["train"]), ("train and valid", with_valid(inputs)))
        for name, part in pairs:
            plain = make_pipeline(tl.CommonScaler(), LogisticRegression(max_iter=2000))
            plain.fit(part.features, part.y.numpy())
            scratch = project.train_from_scratch(
                task, plan, {**inputs, "train": part}, seed=seed
            )
            right = project.judge(scratch.probabilities(x), y.numpy())["accuracy"]
            rows.setdefault(name, []).append((plain.score(features, y.numpy()), right))
    for name, found in rows.items():
        print(f"| {name} |", *(f"{tl.mean_sd(c)} |" for c in zip(*found)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
