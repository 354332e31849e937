"""Find near-duplicates among examples, and leaks between splits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from torch import Tensor

from .machine import progress
from .tasks import PARTS, Task, TextTask

AnyTask = TypeVar("AnyTask", bound=Task)

SIDE = 16  # of the thumbnails, pixels

#: From this cosine on two examples count as nearly the same.
NEARLY = {"pictures": 0.98, "texts": 0.85}


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
