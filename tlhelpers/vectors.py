"""Word vectors: neighbours, analogies, averages, and what the corpus left in them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import CourseError
from .machine import read_model_card

if TYPE_CHECKING:
    import pandas as pd

GLOVE = "glove-wiki-gigaword-100"


@dataclass(frozen=True)
class WordVectors:
    """Words and their vectors, most frequent first.

    Attributes
    ----------
    name : str
    words : tuple of n str
    vectors : ndarray, shape (n, d), float32
    card : dict
        Where they come from.
    """

    name: str
    words: tuple[str, ...]
    vectors: np.ndarray
    card: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def row(self) -> dict[str, int]:
        """Number of the row of each word."""
        return {word: i for i, word in enumerate(self.words)}

    @cached_property
    def unit(self) -> np.ndarray:
        """The vectors at length 1, shape (n, d): their product is the cosine."""
        length = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        return self.vectors / np.maximum(length, 1e-9)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.row

    def __getitem__(self, word: str) -> np.ndarray:
        """Return the vector of a word at length 1, shape (d,)."""
        if word not in self.row:
            near = difflib.get_close_matches(word.lower(), self.words, n=3)
            hint = f"Did you mean {', '.join(near)}?" if near else "Try another word."
            raise CourseError(
                f"{word!r} is not among the {len(self):,} words of {self.name}.",
                f"{hint} All words are in lower case.",
            )
        return self.unit[self.row[word]]

    def nearest(
        self, query: str | np.ndarray, *, n: int = 5, without: Sequence[str] = ()
    ) -> pd.DataFrame:
        """Return the words whose vectors point the most in the same direction.

        Parameters
        ----------
        query : str or ndarray, shape (d,)
            A word, which is left out of its own neighbours, or a vector.
        n : int
            How many, >= 1; fewer come where no more words are left.
        without : sequence of str
            Words to leave out.

        Returns
        -------
        DataFrame with the columns "word" and "cosine", -1 … 1

        Raises
        ------
        CourseError
            If the word has no vector.
        """
        import pandas as pd

        if isinstance(query, str):
            query, without = self[query], (*without, query)
        cosine = self.unit @ query / max(float(np.linalg.norm(query)), 1e-9)
        left_out = list({self.row[w] for w in without if w in self.row})
        cosine[left_out] = -np.inf
        best = np.argsort(-cosine, kind="stable")[: min(n, len(self) - len(left_out))]
        words = [self.words[i] for i in best]
        return pd.DataFrame({"word": words, "cosine": cosine[best].round(3)})

    def analogy(self, a: str, b: str, c: str, *, without_asked: bool = True) -> str:
        """Complete "a is to b as c is to …" by ``b - a + c``.

        Parameters
        ----------
        a, b, c : str
        without_asked : bool
            Whether a, b and c themselves are no possible answers. The famous results
            need it: the nearest word is usually one of the three.

        Source
        ------
        Mikolov, Yih and Zweig 2013; the remark: Linzen 2016.
        """
        goal = self[b] - self[a] + self[c]
        without = (a, b, c) if without_asked else ()
        return str(self.nearest(goal, n=1, without=without)["word"][0])

    def analogy_score(
        self, pairs: Sequence[tuple[str, str]], *, without_asked: bool = True
    ) -> float:
        """Complete every pair by every other one; return the share right, 0 … 1.

        Parameters
        ----------
        pairs : sequence of n (word, word), n >= 2
            All of one relation, such as country and capital.
        without_asked : bool
            As in :meth:`analogy`.
        """
        asked = [(*p, *q) for p in pairs for q in pairs if p != q]
        right = [
            self.analogy(a, b, c, without_asked=without_asked) == d
            for a, b, c, d in asked
        ]
        return float(np.mean(right))

    def numbers(
        self, tokens: Sequence[Sequence[str]], *, length: int = 120
    ) -> np.ndarray:
        """Number the words of each text by their row, counted from 1.

        Parameters
        ----------
        tokens : sequence of n lists of str
            Words without a vector are skipped.
        length : int
            Longer texts are cut, shorter ones filled up with 0, "no word".

        Returns
        -------
        ndarray, shape (n, length), int64
        """
        out = np.zeros((len(tokens), length), dtype=np.int64)
        for i, text in enumerate(tokens):
            rows = [self.row[word] + 1 for word in text if word in self.row][:length]
            out[i, : len(rows)] = rows
        return out

    def average(self, tokens: Sequence[Sequence[str]]) -> np.ndarray:
        """Describe each text by the mean vector of its words.

        Parameters
        ----------
        tokens : sequence of n lists of str
            Words without a vector are skipped; a text of nothing else gets zeros.

        Returns
        -------
        ndarray, shape (n, d), float32
        """
        out = np.zeros((len(tokens), self.vectors.shape[1]), dtype=np.float32)
        for i, text in enumerate(tokens):
            rows = [self.row[word] for word in text if word in self.row]
            if rows:
                out[i] = self.unit[rows].mean(axis=0)
        return out


def load_vectors(name: str = "wikipedia", profile: str = "mini") -> WordVectors:
    """Load word vectors: the course's own, or GloVe.

    Parameters
    ----------
    name : {"wikipedia", "wikipedia_small"}
        "wikipedia": from 17 million words of English Wikipedia. "wikipedia_small":
        from as few words of it as the course has mail.
    profile : {"mini", "full"}
        "full" takes GloVe (6 billion words, 400,000 of them with a vector) through
        gensim's downloader instead of "wikipedia"; 130 MB download.

    Raises
    ------
    CourseError
        If the name is unknown, a bundled file is damaged, or the download fails.
    """
    if profile == "full" and name == "wikipedia":
        return _glove()
    from safetensors.numpy import load_file

    if name not in ("wikipedia", "wikipedia_small"):
        raise CourseError(
            f"There are no word vectors {name!r}.",
            "Use 'wikipedia' or 'wikipedia_small'.",
        )
    path, card = read_model_card(f"{name}_vectors")
    words = path.with_suffix(".txt").read_text(encoding="utf-8").split("\n")[:-1]
    vectors = load_file(path)["vectors"].astype(np.float32)
    return WordVectors(name, tuple(words), vectors, card)


def _glove() -> WordVectors:
    try:
        from gensim import downloader

        loaded = downloader.load(GLOVE)
    except Exception as error:  # the download raises many kinds
        raise CourseError(
            f"GloVe could not be fetched ({type(error).__name__}).",
            'Check the network, or set PROFILE = "mini", which needs none.',
        ) from error
    card = {"title": "GloVe 6B, 100 d", "origin": "Pennington et al. 2014"}
    vectors = np.asarray(loaded.vectors, dtype=np.float32)
    return WordVectors(GLOVE, tuple(loaded.index_to_key), vectors, card)


def train_vectors(
    tokens: Sequence[Sequence[str]], *, size: int = 100, epochs: int = 20, seed: int = 0
) -> WordVectors:
    """Train word2vec on texts of one's own (gensim, skip-gram); seconds for a mailbox.

    Parameters
    ----------
    tokens : sequence of lists of str
    size : int
        Length of the vectors.
    epochs : int
        Passes over the texts.
    seed : int

    Source
    ------
    Mikolov et al. 2013, Distributed Representations of Words and Phrases.
    """
    from gensim.models import Word2Vec

    # One worker: with more, the order of the updates changes from run to run.
    settings = {"sg": 1, "window": 5, "negative": 8, "min_count": 2, "workers": 1}
    trained = Word2Vec(
        list(tokens), vector_size=size, epochs=epochs, seed=seed, **settings
    )
    return WordVectors("own", tuple(trained.wv.index_to_key), trained.wv.vectors)


def random_vectors(like: WordVectors, *, seed: int = 0) -> WordVectors:
    """Give every word a random vector: the control that knows nothing but the words."""
    vectors = np.random.default_rng(seed).normal(size=like.vectors.shape)
    return WordVectors("random", like.words, vectors.astype(np.float32))


def association(
    vectors: WordVectors,
    targets: tuple[Sequence[str], Sequence[str]],
    attributes: tuple[Sequence[str], Sequence[str]],
) -> tuple[float, float]:
    """Measure whether two groups of words lean to two groups of attributes.

    Parameters
    ----------
    vectors : WordVectors
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
    first, second, a, b = (
        np.array([vectors[w] for w in group if w in vectors])
        for group in (*targets, *attributes)
    )
    if min(map(len, (first, second, a, b))) < 2:
        raise CourseError(
            "A group has fewer than two words with a vector.", "Add commoner words."
        )
    words = np.concatenate([first, second])
    leaning = (words @ a.T).mean(axis=1) - (words @ b.T).mean(axis=1)
    n = len(first)
    effect = (leaning[:n].mean() - leaning[n:].mean()) / leaning.std(ddof=1)
    sums = [leaning[list(c)].sum() for c in combinations(range(len(leaning)), n)]
    share = np.mean(np.array(sums) >= leaning[:n].sum() - 1e-9)
    return float(effect), float(share)


def compare_neighbours(
    sources: Mapping[str, WordVectors], words: Sequence[str], *, n: int = 5
) -> str:
    """Write down the neighbours of the same words in several sets of vectors.

    Parameters
    ----------
    sources : mapping, name -> WordVectors
    words : sequence of str
    n : int
        Neighbours of each word.

    Returns
    -------
    str, one line for each word and set
    """
    lines = []
    for word in words:
        for name, vectors in sources.items():
            known = word in vectors
            near = vectors.nearest(word, n=n)["word"] if known else ["no vector"]
            lines.append(f"{word} · {name}: {', '.join(near)}")
    return "\n".join(lines)
