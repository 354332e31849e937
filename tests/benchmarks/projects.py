"""What 10 reaches on real data: python tests/benchmarks/projects.py FOLDER_OR_CSV ...

For each data set and three splits of it: the project with every default, plain
logistic regression on the same frozen features (C = 1), the control from scratch, the
seconds from reading to the last figure. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import tlhelpers as tl
from tlhelpers import project
from tlhelpers.project.plan import Plan


def measure(path: str, seed: int, budget: str) -> tuple[Plan, str, dict[str, float]]:
    """Run everything of notebook 10 that computes; return plan, what was kept, scores.

    The seconds include the inspection and the evaluation, but not plain logistic
    regression, which is here for comparison.
    """
    since = time.perf_counter()
    task = project.read_data(path, seed=seed)
    task = project.drop_leaks(task, tl.near_duplicates(task))
    plan = project.choose_plan(task, budget=budget)
    inputs = project.read_inputs(task, plan)
    frozen = project.repurpose(task, plan, inputs, seed=seed)
    ours = project.train_project(plan, inputs, frozen, seed=seed)
    scratch = project.train_from_scratch(task, plan, inputs, seed=seed)
    x, y = inputs["test"].x, inputs["test"].y.numpy()
    made = {"ours": ours, "frozen, C chosen": frozen, "scratch": scratch}
    judged = {name: project.judge(p.probabilities(x), y) for name, p in made.items()}
    scores = {name: row["accuracy"] for name, row in judged.items()}
    scores["seconds"] = time.perf_counter() - since
    scores["balanced"] = judged["ours"]["balanced accuracy"]
    scores["ECE"] = judged["ours"]["ECE"]
    train, test = inputs["train"], inputs["test"]
    head = make_pipeline(tl.CommonScaler(), LogisticRegression(max_iter=2000))
    head.fit(train.features, train.y.numpy())
    scores["plain logistic"] = head.score(test.features, y)
    return plan, ours.card["method"]["kept"], scores


def main(arguments: list[str]) -> None:
    """Print one row per data set: mean ± sd over the splits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--budget", default="5 min")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    columns = ("ours", "balanced", "ECE", "plain logistic", "scratch", "seconds")
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
