"""Look at data before learning from it: balance, near-duplicates, leakage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .session import progress
from .tasks import Task
from .texts import PARTS, TextTask

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

AnyTask = TypeVar("AnyTask", bound=Task)

SIDE = 16  # of the thumbnails, pixels
#: From this cosine on two examples count as nearly the same.
NEARLY = {"pictures": 0.98, "texts": 0.85}
FEW, MANY_TIMES = 30, 3


def count_classes(task: Task) -> pd.DataFrame:
    """Count the examples of each class in each split.

    Returns
    -------
    DataFrame, one row per class, columns "train", "valid" and "test"
    """
    import pandas as pd

    splits = {k: getattr(task, k).labels for k in PARTS}
    counts = {k: np.bincount(v, minlength=task.n_classes) for k, v in splits.items()}
    return pd.DataFrame(counts, index=list(task.class_names))


def near_duplicates(task: Task, *, threshold: float | None = None) -> pd.DataFrame:
    """Find pairs of examples that are nearly the same.

    Pictures are compared as grey thumbnails, brightness and contrast taken out: a copy
    that was scaled or compressed again is found, one that was cropped or mirrored is
    not. Texts are compared by their words and pairs of words, digits and punctuation
    taken out: a form letter is found, a paraphrase is not.

    Parameters
    ----------
    task : ImageTask or TextTask
    threshold : float or None
        Cosine from which a pair counts, 0 … 1; None: 0.98 for pictures, 0.85 for texts.

    Returns
    -------
    DataFrame, one row per pair, the most similar first
        Columns "similarity", "split", "row", "other split", "other row", "same label".
    """
    import pandas as pd

    limit = NEARLY[task.KIND] if threshold is None else threshold
    places = [(k, i) for k in PARTS for i in range(len(getattr(task, k)))]
    labels = np.concatenate([getattr(task, k).labels for k in PARTS])
    rows = [
        (score, *places[i], *places[j], labels[i] == labels[j])
        for score, i, j in _pairs(_vectors(task), limit)
    ]
    columns = ["similarity", "split", "row", "other split", "other row", "same label"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values("similarity", ascending=False, ignore_index=True)


def most_alike(x: Tensor, others: Tensor) -> np.ndarray:
    """Compare pictures with others and their mirror images; keep the nearest.

    Parameters
    ----------
    x, others : Tensor, shape (n, 3, h, w) and (m, 3, h, w), uint8

    Returns
    -------
    ndarray, shape (n,), float32, -1 … 1
        Highest correlation of the grey thumbnails, 16 × 16: about 1 for a copy, however
        pale, dark or mirrored.
    """
    from torch.nn.functional import interpolate, normalize

    def thumbnails(x: Tensor) -> Tensor:
        grey = x.float().mean(dim=1, keepdim=True)
        small = interpolate(grey, size=SIDE, mode="area").flatten(1)
        return normalize(small - small.mean(dim=1, keepdim=True))

    ways = [thumbnails(x) @ thumbnails(o).T for o in (others, others.flip(3))]
    return ways[0].maximum(ways[1]).amax(dim=1).numpy()


def drop_leaks(task: AnyTask, pairs: pd.DataFrame) -> AnyTask:
    """Take out of train and valid what has a near-duplicate in a later split.

    Test stays as it is, so that scores before and after can be compared.

    Parameters
    ----------
    task : ImageTask or TextTask
    pairs : DataFrame
        What :func:`near_duplicates` found in this task.
    """
    across = pairs[pairs["split"] != pairs["other split"]]
    kept: dict[str, Any] = {}
    for part in ("train", "valid"):
        # The splits of a pair stand in the order train, valid, test.
        leaks = across.loc[across["split"] == part, "row"]
        rows = np.setdiff1d(np.arange(len(getattr(task, part))), leaks)
        kept[part] = getattr(task, part).take(rows)
    return replace(task, **kept)


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
    import pandas as pd

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


def _vectors(task: Task) -> Any:
    """Return one vector of length 1 for each example, train, valid, test."""
    if isinstance(task, TextTask):
        from sklearn.feature_extraction.text import TfidfVectorizer

        count = TfidfVectorizer(
            token_pattern=r"[^\W\d_]+",
            ngram_range=(1, 2),
            sublinear_tf=True,
            dtype=np.float32,
        )
        return count.fit_transform([t for k in PARTS for t in getattr(task, k).texts])
    paths = [p for k in PARTS for p in getattr(task, k).paths]
    return np.stack([_thumbnail(p) for p in progress(paths, "comparing pictures")])


def _thumbnail(path: Any) -> np.ndarray:
    from PIL import Image

    from .tasks import read_image

    grey = read_image(path).convert("L")
    # Averages over boxes would change with the size wherever there is fine texture.
    small = grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    v = np.asarray(small, np.float32).ravel()
    v = v - v.mean()
    length = float(np.linalg.norm(v))
    # One flat colour says nothing about what is in the picture.
    return v / length if length > SIDE else np.zeros_like(v)


def _pairs(vectors: Any, limit: float) -> list[tuple[float, int, int]]:
    """Return (cosine, i, j), i < j, of all pairs from the limit on."""
    found = []
    for start in range(0, vectors.shape[0], 500):
        products = vectors[start : start + 500] @ vectors.T
        dense = products.toarray() if hasattr(products, "toarray") else products
        rows, columns = np.nonzero(dense >= limit)
        found += [
            (float(dense[i, j]), start + i, j)
            for i, j in zip(rows, columns)
            if start + i < j
        ]
    return found
