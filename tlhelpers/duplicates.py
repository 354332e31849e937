"""Find near-duplicates: pictures by their grey thumbnails, texts by their words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor
from tqdm import tqdm

from .tasks import PARTS, ImageSplit, Task, TextSplit, TextTask, read_image

SIDE = 16  # of the thumbnails, pixels
BLOCK = 500  # examples compared with all others at a time

COLUMNS = ("similarity", "split", "row", "other split", "other row", "same label")

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
    splits = [getattr(task, part) for part in PARTS]
    vectors = _words(splits) if isinstance(task, TextTask) else _pictures(splits)
    part = np.repeat(PARTS, [len(split) for split in splits])
    row = np.concatenate([np.arange(len(split)) for split in splits])
    label = np.concatenate([split.labels for split in splits])
    found = []
    for start, cosines in _cosines(vectors, vectors):
        i, j = np.nonzero(np.triu(cosines >= limit, start + 1))  # i + start < j
        score, i = cosines[i, j].astype(float), i + start
        values = (score, part[i], row[i], part[j], row[j], label[i] == label[j])
        found.append(pd.DataFrame(dict(zip(COLUMNS, values))))
    pairs = pd.concat(found)
    return pairs.sort_values("similarity", ascending=False, ignore_index=True)


def most_alike(x: Tensor, others: Tensor) -> np.ndarray:
    """Compare pictures with others and their mirror images; keep the nearest.

    Parameters
    ----------
    x, others : Tensor, shape (n, 3, h, w) and (m, 3, h, w), uint8

    Returns
    -------
    ndarray, shape (n,), float32, -1 … 1
        Highest cosine of the thumbnails that :func:`near_duplicates` compares: about 1
        for a copy, however pale, dark or mirrored.
    """
    arrays = [pictures.permute(0, 2, 3, 1).numpy() for pictures in (x, others)]
    mine, theirs = (_thumbnails(map(Image.fromarray, a)) for a in arrays)
    mirrored = theirs.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(theirs.shape)
    both = np.concatenate([theirs, mirrored])
    return np.concatenate([cosines.max(axis=1) for _, cosines in _cosines(mine, both)])


def _words(splits: list[TextSplit]) -> Any:
    """Weigh words and pairs of words: one row of length 1 for each text."""
    options = {"ngram_range": (1, 2), "sublinear_tf": True, "dtype": np.float32}
    count = TfidfVectorizer(token_pattern=r"[^\W\d_]+", **options)
    return count.fit_transform([text for split in splits for text in split.texts])


def _pictures(splits: list[ImageSplit]) -> np.ndarray:
    paths = [path for split in splits for path in split.paths]
    return _thumbnails(map(read_image, tqdm(paths, "comparing pictures", leave=False)))


def _thumbnails(images: Iterable[Image.Image]) -> np.ndarray:
    """Return a grey thumbnail of each picture, mean 0 and length 1, shape (n, 256)."""
    # Averages over boxes would change with the size wherever there is fine texture.
    way = {"size": (SIDE, SIDE), "resample": Image.Resampling.BILINEAR}
    small = [np.asarray(i.convert("L").resize(**way), np.float32) for i in images]
    v = np.stack(small).reshape(len(small), -1)  # (n, 16, 16) → (n, 256)
    v = v - v.mean(axis=1, keepdims=True)
    length = np.linalg.norm(v, axis=1, keepdims=True)
    # One flat colour says nothing about what is in the picture.
    return np.where(length > SIDE, v / np.maximum(length, SIDE), 0)


def _cosines(a: Any, b: Any) -> Iterator[tuple[int, np.ndarray]]:
    """Multiply rows of length 1, a block at a time: its first row, (block, m)."""
    for start in range(0, a.shape[0], BLOCK):
        product = a[start : start + BLOCK] @ b.T
        yield start, product.toarray() if hasattr(product, "toarray") else product
