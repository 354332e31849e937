"""Word vectors: the course's own or GloVe, and their averages.

Neighbours and analogies are gensim's: ``KeyedVectors.most_similar``.
"""

from collections.abc import Sequence

import numpy as np
from safetensors.numpy import load_file

from .errors import CourseError
from .machine import NEXT_STEP, fetching, read_model_card

NAMES = ("wikipedia", "wikipedia_small")


def load_vectors(name: str = "wikipedia", profile: str = "mini") -> object:
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


def average_vectors(vectors: object, tokens: Sequence[Sequence[str]]) -> np.ndarray:
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
    vectors.fill_norms()
    known = ([k for w in t if (k := vectors.get_index(w, -1)) >= 0] for t in tokens)
    units = (vectors.vectors[k] / vectors.norms[k, None] for k in known)  # (n_known, d)
    means = [u.sum(axis=0) / max(len(u), 1) for u in units]
    return np.array(means, dtype=np.float32).reshape(-1, vectors.vector_size)
