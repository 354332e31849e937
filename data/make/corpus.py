"""Read the Wikipedia text of language model and word vectors, as token numbers.

``FOLDER`` holds ``enwiki2015_train_15M.txt.xz``, ``_valid`` and ``_test``, one
paragraph a line. The tokens are fastai's: spaCy's rules and special tokens (``xxmaj``).
"""

from __future__ import annotations

import hashlib
import json
import lzma
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

PARTS = ("train_15M", "valid", "test")
MAX_VOCABULARY = 60_000
LINES_AT_ONCE = 2_000


@dataclass(frozen=True)
class Corpus:
    """Token numbers of each part, most frequent tokens first in the vocabulary.

    Attributes
    ----------
    vocabulary : list of str, at most 60,000
    train, valid, test : ndarray, shape (n,), uint16
        Number 0 is ``xxunk``; every paragraph starts with ``xxbos``.
    """

    vocabulary: list[str]
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


def read_corpus(folder: Path, kept: Path) -> Corpus:
    """Tokenize the three files once; read them from ``kept`` afterwards."""
    kept.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        if not (kept / f"{part}.txt").is_file():
            _tokenize(folder / f"enwiki2015_{part}.txt.xz", kept / f"{part}.txt")
    words = kept / "vocabulary.json"
    if not words.is_file():
        counts = Counter(t for line in _lines(kept / "train_15M.txt") for t in line)
        text = json.dumps(_vocabulary(counts), ensure_ascii=False)
        words.write_text(text, encoding="utf-8")
    vocabulary = json.loads(words.read_text(encoding="utf-8"))
    number = {word: i for i, word in enumerate(vocabulary)}
    return Corpus(vocabulary, *(_numbers(kept / f"{p}.txt", number) for p in PARTS))


def write_vocabulary(path: Path, words: list[str]) -> str:
    """Write one word a line, in the order of the rows; return the file's sha256."""
    data = "".join(word + "\n" for word in words).encode()
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def _vocabulary(counts: Counter) -> list[str]:
    from fastai.text.data import make_vocab

    return list(make_vocab(counts, min_freq=3, max_vocab=MAX_VOCABULARY))


def _numbers(path: Path, number: dict[str, int]) -> np.ndarray:
    kept = path.with_suffix(".npy")
    if not kept.is_file():
        rows = (number.get(t, 0) for line in _lines(path) for t in line)
        np.save(kept, np.fromiter(rows, np.uint16))
    return np.load(kept)


def _lines(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\n").split(" ")


def _tokenize(source: Path, target: Path) -> None:
    part = target.with_suffix(".part")
    with (
        lzma.open(source, "rt", encoding="utf-8", newline="\n") as file,
        part.open("w", encoding="utf-8", newline="\n") as out,
        Pool(2) as pool,
    ):
        chunks = iter(lambda: list(islice(file, LINES_AT_ONCE)), [])
        for lines in tqdm(pool.imap(_tokens, chunks), desc=source.name):
            out.writelines(line + "\n" for line in lines)
    part.replace(target)


def _tokens(lines: list[str]) -> list[str]:
    """Tokenize as fastai does with a table of texts; one string per paragraph."""
    from fastai.text.core import SpacyTokenizer, TokenizeWithRules

    filled = [line.strip() for line in lines if line.strip()]
    tokenize = TokenizeWithRules(SpacyTokenizer())
    return [
        " ".join("".join(t.split()) or "▁" for t in row) for row in tokenize(filled)
    ]
