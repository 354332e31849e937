"""Word vectors: the course's own or GloVe, their averages, what a corpus left in them.

Neighbours and analogies are gensim's: ``KeyedVectors.most_similar``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file

from .errors import CourseError
from .machine import NEXT_STEP, fetching, read_model_card

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

#: Two groups of words.
Pair = tuple[Sequence[str], Sequence[str]]
NAMES = ("wikipedia", "wikipedia_small")


def load_vectors(name: str = "wikipedia", profile: str = "mini") -> KeyedVectors:
    """Load word vectors: the course's own, or GloVe.

    Parameters
    ----------
    name : {"wikipedia", "wikipedia_small"}
        "wikipedia": from 17 million words of English Wikipedia. "wikipedia_small":
        from as few words of it as the course has mail.
    profile : {"mini", "full"}
        "full" takes GloVe (6 billion words, 400,000 of them with a vector) through
        gensim's downloader instead of "wikipedia"; 130 MB download.

    Returns
    -------
    gensim KeyedVectors
        n words in lower case, the most frequent first; ``vectors`` has the shape
        (n, d), float32, and each row the length 1.

    Raises
    ------
    CourseError
        If the name is unknown, a bundled file is damaged, or the download fails.
    """
    import gensim.downloader

    if name not in NAMES:
        raise CourseError(f"There are no vectors {name!r}.", f"Use one of {NAMES}.")
    if profile == "full" and name == "wikipedia":
        with fetching("GloVe", NEXT_STEP, hub=False):
            vectors = gensim.downloader.load("glove-wiki-gigaword-100")
    else:
        path, _ = read_model_card(f"{name}_vectors")
        rows = load_file(path)["vectors"]  # (n, d)
        vectors = gensim.models.KeyedVectors(rows.shape[1])
        vectors.add_vectors(path.with_suffix(".txt").read_text("utf-8").split(), rows)
    vectors.unit_normalize_all()
    return vectors


def average_vectors(
    vectors: KeyedVectors, tokens: Sequence[Sequence[str]]
) -> np.ndarray:
    """Describe each text by the mean vector of its words, each at length 1.

    Parameters
    ----------
    vectors : gensim KeyedVectors
        d numbers a word, of any length > 0.
    tokens : sequence of n lists of str
        Words without a vector are skipped; a text of nothing else gets zeros.

    Returns
    -------
    ndarray, shape (n, d), float32
        What gensim's ``get_mean_vector`` gives text by text, many times faster.
    """
    known = (_unit(vectors, text) for text in tokens)  # each (n_known, d)
    means = [rows.sum(axis=0) / max(len(rows), 1) for rows in known]
    return np.array(means, dtype=np.float32).reshape(-1, vectors.vector_size)


def _unit(vectors: KeyedVectors, words: Sequence[str]) -> np.ndarray:
    """Return the vectors of the known words at length 1, shape (n_known, d)."""
    vectors.fill_norms()
    rows = [vectors.key_to_index[w] for w in words if w in vectors.key_to_index]
    return vectors.vectors[rows] / vectors.norms[rows, None]


def association(
    vectors: KeyedVectors, targets: Pair, attributes: Pair
) -> tuple[float, float]:
    """Measure whether two groups of words lean to two groups of attributes.

    Parameters
    ----------
    vectors : gensim KeyedVectors
        Vectors of any length > 0.
    targets : two sequences of the same number of words
        Such as words of science and of the arts.
    attributes : two sequences of words
        Such as male and female words. Words without a vector are skipped.

    Returns
    -------
    effect : float, -2 … 2
        Difference of the groups' mean leanings in standard deviations; 0 is even.
    p : float, 0 … 1
        Share of all equal divisions of the target words with at least this
        difference.

    Raises
    ------
    CourseError
        If a group has fewer than two words with a vector.

    Source
    ------
    Caliskan, Bryson and Narayanan 2017, the word embedding association test.
    """
    first, second, a, b = (_unit(vectors, words) for words in (*targets, *attributes))
    if min(map(len, (first, second, a, b))) < 2:
        raise CourseError("A group has fewer than two known words.", "Add common ones.")
    words, n = np.concatenate([first, second]), len(first)
    leaning = words @ (a.mean(axis=0) - b.mean(axis=0))  # (2n,) mean cosines
    effect = (leaning[:n].mean() - leaning[n:].mean()) / leaning.std(ddof=1)
    sums = [leaning[list(c)].sum() for c in combinations(range(len(leaning)), n)]
    return float(effect), float(np.mean(np.array(sums) >= leaning[:n].sum() - 1e-9))
