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

import tlhelpers as tl


def measure(path: str, seed: int, budget: str) -> tuple[tl.Plan, str, dict[str, float]]:
    """Run everything of notebook 10 that computes; return plan, what was kept, scores.

    The seconds include the inspection and the evaluation, but not plain logistic
    regression, which is here for comparison.
    """
    since = time.perf_counter()
    task = tl.read_data(path, seed=seed)
    task = tl.drop_leaks(task, tl.near_duplicates(task))
    plan = tl.choose_plan(task, budget=budget)
    inputs = tl.read_inputs(task, plan)
    start = tl.repurpose(task, plan, inputs, seed=seed)
    project = tl.train_project(task, plan, inputs=inputs, start=start, seed=seed)
    scratch = tl.train_from_scratch(task, plan, inputs, seed=seed)
    x, y = inputs["test"].x, inputs["test"].y.numpy()
    said = {"ours": project, "frozen, C chosen": start, "scratch": scratch}
    judged = {name: tl.judge(p.probabilities(x), y) for name, p in said.items()}
    scores = {name: row["accuracy"] for name, row in judged.items()}
    scores["seconds"] = time.perf_counter() - since
    scores["balanced"] = judged["ours"]["balanced accuracy"]
    scores["ECE"] = judged["ours"]["ECE"]
    train, test = inputs["train"], inputs["test"]
    head = tl.LogisticRepurposer().fit(train.features, train.y.numpy())
    scores["plain logistic"] = head.score(test.features, y)
    return plan, project.card["method"]["kept"], scores


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
