"""Look at data before learning from it: balance, sizes, findings."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..duplicates import near_duplicates
from ..tasks import PARTS, Task, TextTask

FEW, MANY_TIMES = 30, 3


def count_classes(task: Task) -> pd.DataFrame:
    """Count the examples of each class in each split.

    Returns
    -------
    DataFrame, one row per class, columns "train", "valid" and "test"
    """
    splits = {k: getattr(task, k).labels for k in PARTS}
    counts = {k: np.bincount(v, minlength=task.n_classes) for k, v in splits.items()}
    return pd.DataFrame(counts, index=list(task.class_names))


def inspect_data(task: Task, pairs: pd.DataFrame | None = None) -> pd.DataFrame:
    """Say what is unusual about the data, and what to do about it.

    Parameters
    ----------
    task : ImageTask or TextTask
    pairs : DataFrame or None
        What :func:`near_duplicates` found; None looks for them.

    Returns
    -------
    DataFrame, one row per finding, columns "found" and "so"
    """
    pairs = near_duplicates(task) if pairs is None else pairs
    findings = [*_balance(task), *_sizes(task), *_copies(pairs)]
    findings += [(remark, "") for remark in task.card.get("remarks", [])]
    return pd.DataFrame(findings, columns=["found", "so"])


def _balance(task: Task) -> list[tuple[str, str]]:
    counts = count_classes(task).sum(axis=1)
    small, large = counts.idxmin(), counts.idxmax()
    found = [
        (
            f"{len(task.train)} + {len(task.valid)} + {len(task.test)} {task.KIND}",
            "learn from, choose by, judge with",
        )
    ]
    if counts[large] > MANY_TIMES * counts[small]:
        share = counts[large] / counts.sum()
        found.append(
            (
                f"{large!r} is {share:.0%} of all, {small!r} has {counts[small]}",
                "accuracy flatters: look at the recall of each class",
            )
        )
    if task.smallest_class < FEW:
        found.append(
            (
                f"the smallest class has {task.smallest_class} to learn from",
                "label more; expect wide intervals",
            )
        )
    return found


def _sizes(task: Task) -> list[tuple[str, str]]:
    if isinstance(task, TextTask):
        words = [len(t.split()) for k in PARTS for t in getattr(task, k).texts]
        middle, most = int(np.median(words)), max(words)
        return [(f"{middle} words in the middle, {most} at most", "long ones are cut")]
    from PIL import Image

    sides = []
    for path in (p for k in PARTS for p in getattr(task, k).paths):
        with Image.open(path) as image:
            sides.append(min(image.size))
    return [
        (
            f"shorter side {int(np.median(sides))} px in the middle, {min(sides)} to "
            f"{max(sides)}",
            "all are scaled to one size",
        )
    ]


def _copies(pairs: pd.DataFrame) -> list[tuple[str, str]]:
    across = pairs[pairs["split"] != pairs["other split"]]
    found = []
    if len(pairs) > len(across):
        found.append(
            (f"{len(pairs) - len(across)} near-duplicates inside a split", "look at")
        )
    if len(across):
        found.append(
            (
                f"{len(across)} near-duplicates **across** splits: leakage",
                "take them out: tl.drop_leaks(task, pairs)",
            )
        )
    torn = int((~pairs["same label"].astype(bool)).sum())
    if torn:
        found.append((f"{torn} near-duplicates with different labels", "check them"))
    return found
