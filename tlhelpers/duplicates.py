"""Find near-duplicates: pictures by their grey thumbnails, texts by their words."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import csr_array, issparse
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
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
    i, j, cosines = map(np.concatenate, zip(*_pairs(vectors, limit)))
    values = (cosines, part[i], row[i], part[j], row[j], label[i] == label[j])
    pairs = pd.DataFrame(dict(zip(COLUMNS, values)))
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
    blocks = np.array_split(mine, len(mine) // BLOCK + 1)
    return np.concatenate([(block @ both.T).max(axis=1) for block in blocks])


def _words(splits: list[TextSplit]) -> csr_array:
    """Weigh words and pairs of words: one row of length 1 for each text."""
    options = {"token_pattern": r"[^\W\d_]+", "ngram_range": (1, 2), "norm": None}
    # A vocabulary of all pairs of words would fill the memory.
    count = HashingVectorizer(n_features=2**22, alternate_sign=False, **options)
    counts = count.transform(text for split in splits for text in split.texts)
    return csr_array(TfidfTransformer(sublinear_tf=True).fit_transform(counts))


def _rarest(vectors: csr_array, rest: float) -> csr_array:
    """Keep the rarest words of each row; the rest that goes is shorter than this.

    Two rows whose rarest words have the product p have at most the cosine p + rest: in
    the order of rareness, whatever they share behind the earlier cut is in the rest of
    that row.

    Source
    ------
    Bayardo, Ma and Srikant 2007, Scaling Up All Pairs Similarity Search.
    """
    rows = vectors[:, np.bincount(vectors.indices).argsort()]
    rows.sort_indices()
    squares = np.r_[0, np.cumsum(rows.data.astype(float) ** 2)]
    ends = np.repeat(squares[rows.indptr[1:]], np.diff(rows.indptr))
    rows.data[ends - squares[:-1] < rest**2] = 0
    rows.eliminate_zeros()
    return rows


def _pairs(vectors: csr_array | np.ndarray, limit: float) -> Iterator[tuple]:
    """Yield the rows i < j that are alike and their cosines, some pairs at a time."""
    rest = 0.7 * limit if issparse(vectors) else 0
    compared = _rarest(vectors, rest) if rest else vectors
    for start in range(0, vectors.shape[0], BLOCK):
        product = compared[start : start + BLOCK] @ compared[start:].T
        i, j = (product >= limit - rest).nonzero()
        for some in np.array_split(np.flatnonzero(i < j), len(i) // 50_000 + 1):
            a, b = i[some] + start, j[some] + start
            cosines = (vectors[a] * vectors[b]).sum(axis=1, dtype=float)
            near = cosines >= limit
            yield a[near], b[near], cosines[near]


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
