"""What 10 reaches on real data: python tests/benchmarks/projects.py FOLDER_OR_CSV ...

For each data set and three splits of it: the project with every default, the same
before it learnt from valid, logistic regression on the frozen features with the labels
of train and valid (C chosen by cross-validation), the control from scratch with as
many, the seconds from reading to the last figure. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

import tlhelpers as tl
from tlhelpers import project
from tlhelpers.project.plan import Plan


def measure(path: str, seed: int, budget: str) -> tuple[Plan, str, dict[str, float]]:
    """Run everything of notebook 10 that computes; return plan, what was kept, scores.

    The seconds include the inspection and the evaluation, but not logistic regression,
    which is here for comparison.
    """
    since = time.perf_counter()
    task = project.read_data(path, seed=seed)
    task = project.drop_leaks(task, tl.near_duplicates(task))
    plan = project.choose_plan(task, budget=budget)
    inputs = project.read_inputs(task, plan)
    frozen = project.repurpose(task, plan, inputs, seed=seed)
    chosen, ours = project.train_project(plan, inputs, frozen, seed=seed)
    scratch = project.train_from_scratch(task, plan, inputs, seed=seed)
    x, y = inputs["test"].x, inputs["test"].y.numpy()
    made = {"ours": ours, "ours, train alone": chosen, "scratch": scratch}
    judged = {name: project.judge(p.probabilities(x), y) for name, p in made.items()}
    scores = {name: row["accuracy"] for name, row in judged.items()}
    scores["seconds"] = time.perf_counter() - since
    scores["balanced"] = judged["ours"]["balanced accuracy"]
    scores["ECE"] = judged["ours"]["ECE"]
    parts = [inputs[k] for k in ("train", "valid")]
    features = np.concatenate([part.features for part in parts])
    head = project.fit_head(features, np.concatenate([part.y for part in parts]))
    scores["logistic"] = head.score(inputs["test"].features, y)
    return plan, ours.card["method"]["kept"], scores


def main(arguments: list[str]) -> None:
    """Print one row per data set: mean ± sd over the splits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--budget", default="5 min")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    columns = ["ours", "ours, train alone", "logistic", "scratch", "balanced", "ECE"]
    columns.append("seconds")
    print("| data | plan, kept | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 2) + "|")
    for path in options.paths:
        rows = [measure(path, s, options.budget) for s in range(options.seeds)]
        for plan, kept, scores in rows:
            line = ", ".join(f"{k} {v:.3f}" for k, v in scores.items())
            print(f"{plan}\nkept: {kept}; {line}", file=sys.stderr, flush=True)
        plans = "; ".join(f"{p.size}, {p.steps} steps, {kept}" for p, kept, _ in rows)
        means = (tl.mean_sd([s[c] for *_, s in rows]) for c in columns[:-1])
        seconds = np.mean([s["seconds"] for *_, s in rows])
        cells = " | ".join([*means, f"{seconds:.0f}"])
        print(f"| {path.rpartition('/')[2]} | {plans} | {cells} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
