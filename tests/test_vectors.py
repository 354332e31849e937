"""Word vectors: gensim against cosines by hand, averages."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
from gensim.models import KeyedVectors

import tlhelpers as tl
from tlhelpers import machine

GLOVE = "glove-wiki-gigaword-100"

#: Twenty common words, each with words that belong in its company.
COMPANY = {
    "river": "rivers tributary lake creek estuary stream",
    "monday": "tuesday wednesday thursday friday saturday sunday",
    "winter": "summer autumn spring snowfall winters",
    "red": "blue green yellow white black purple",
    "france": "spain italy belgium germany paris french netherlands",
    "mother": "father daughter wife sister grandmother son aunt",
    "king": "prince queen duke throne kings regent",
    "war": "wars battle troops outbreak conflict invasion",
    "football": "soccer rugby basketball club hockey league",
    "music": "musical jazz pop dance songs classical",
    "computer": "computers software computing hardware",
    "bread": "butter cakes cake cheese meat flour",
    "church": "churches catholic lutheran anglican parish",
    "teacher": "tutor taught school teaching lecturer students",
    "north": "south east west northern northeast",
    "three": "four five two six seven",
    "army": "troops regiment corps armies infantry",
    "film": "films movie directed documentary comedy",
    "train": "trains railway bus station passenger",
    "doctor": "doctors physician episode medical patient dr.",
}


@pytest.fixture(scope="module")
def wikipedia():
    return tl.load_vectors()


def keyed(words, rows) -> KeyedVectors:
    """Make vectors of any length; a word is one letter, or words are a list."""
    vectors = KeyedVectors(np.shape(rows)[1])
    vectors.add_vectors(list(words), np.array(rows, dtype=np.float32))
    return vectors


@pytest.fixture
def cross():
    words = ["east", "between", "north", "west"]
    return keyed(words, [[2, 0], [1, 1], [0, 3], [-1, 0]])


@pytest.mark.parametrize("word", COMPANY)
def test_common_word_is_in_fitting_company(wikipedia, word):
    near = {found for found, _ in wikipedia.most_similar(word, topn=10)}
    assert len(near & set(COMPANY[word].split())) >= 2


# --- gensim does what our own class did ----------------------------------------------


def by_hand(vectors, query, n, without=()) -> list[str]:
    """Return the n words of the largest cosine, in double precision."""
    rows = vectors.vectors.astype(float)
    cosine = rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
    order = [vectors.index_to_key[i] for i in np.argsort(-cosine)]
    return [word for word in order if word not in without][:n]


@pytest.mark.parametrize("word", COMPANY)
def test_neighbours_are_those_of_the_cosine_by_hand(wikipedia, word):
    found = [found for found, _ in wikipedia.most_similar(word, topn=10)]
    assert found == by_hand(wikipedia, wikipedia[word], 10, [word])


def test_nearest_is_the_cosine_by_hand(cross):
    words, cosines = zip(*cross.most_similar("east", topn=3))
    assert list(words) == ["between", "north", "west"]
    assert cosines == pytest.approx([0.5**0.5, 0, -1], abs=1e-6)
    found = cross.similar_by_vector(np.array([0, 5], dtype=np.float32), topn=4)
    assert [word for word, _ in found][:2] == ["north", "between"] and len(found) == 4


@pytest.mark.parametrize(
    "asked",
    ["man king woman", "france paris italy", "car cars dog", "go went take"],
)
def test_analogies_are_those_by_hand_with_and_without_the_words_asked(wikipedia, asked):
    a, b, c = asked.split()
    goal = wikipedia[b] - wikipedia[a] + wikipedia[c]
    allowed = wikipedia.similar_by_vector(goal, topn=4)
    assert [word for word, _ in allowed] == by_hand(wikipedia, goal, 4)
    left_out = wikipedia.most_similar(positive=[b, c], negative=[a], topn=4)
    assert [word for word, _ in left_out] == by_hand(wikipedia, goal, 4, [a, b, c])


def test_unknown_word_is_named_by_gensim(wikipedia):
    with pytest.raises(KeyError, match="riverr"):
        wikipedia["riverr"]
    with pytest.raises(KeyError, match="🦄"):
        wikipedia.most_similar("🦄🦄🦄")
    assert "riverr" not in wikipedia


# --- averages ------------------------------------------------------------------------


def test_average_skips_unknown_words_and_gives_zeros_without_any(cross):
    out = tl.average_vectors(cross, [["east", "?", "north"], ["east"], ["?"], []])
    assert out.tolist() == [[0.5, 0.5], [1, 0], [0, 0], [0, 0]]
    assert out.dtype == np.float32


def test_average_counts_a_word_as_often_as_it_occurs(cross):
    out = tl.average_vectors(cross, [["east", "west", "east", "east"]])
    assert out.tolist() == [[0.5, 0]]


def test_average_of_no_text_keeps_its_columns(cross):
    assert tl.average_vectors(cross, []).shape == (0, 2)


def test_average_is_gensims_mean_vector_of_each_text(wikipedia):
    rng = np.random.default_rng(0)
    texts = [
        [*rng.choice(wikipedia.index_to_key, size), "unsubscribing"]
        for size in (1, 7, 90)
    ]
    # Not of length 1, as word2vec leaves them.
    lengths = rng.uniform(0.5, 9, (len(wikipedia), 1))
    own = keyed(wikipedia.index_to_key, wikipedia.vectors * lengths)
    for vectors in (wikipedia, own):
        theirs = [vectors.get_mean_vector(text) for text in texts]
        assert np.allclose(tl.average_vectors(vectors, texts), theirs, atol=1e-6)


def test_length_of_a_vector_does_not_matter():
    rows = np.array([[2, 0, 1], [1, 1, 0], [0, 3, -1], [-1, 0, 2.0]])
    one, other = keyed("abcd", rows), keyed("abcd", rows * [[0.1], [9], [5], [0.3]])
    text = [["a", "b", "d"]]
    averages = [tl.average_vectors(v, text) for v in (one, other)]
    assert np.allclose(*averages, atol=1e-6)


# --- loading ---------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shutil.copytree(machine.data_folder() / "models", tmp_path / "models")
    monkeypatch.setattr(machine, "data_folder", lambda: tmp_path)
    return tmp_path / "models"


@pytest.mark.parametrize("name", ["wikipedia", "wikipedia_small"])
def test_bundled_vectors_are_what_their_card_says(name):
    vectors = tl.load_vectors(name)
    path, card = machine.read_model_card(f"{name}_vectors")
    assert len(vectors) == len(vectors.vectors) == len(set(vectors.index_to_key))
    assert vectors.vectors.shape[1] == card["recipe"]["vector_size"]
    assert vectors.vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors.vectors, axis=1), 1, atol=1e-5)
    assert path.stat().st_size <= 4e6


def test_vectors_are_those_of_the_file_with_the_length_one():
    from safetensors.numpy import load_file

    path, _ = machine.read_model_card("wikipedia_small_vectors")
    words = path.with_suffix(".txt").read_text(encoding="utf-8").split("\n")[:-1]
    rows = load_file(path)["vectors"].astype(float)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    vectors = tl.load_vectors("wikipedia_small")
    assert vectors.index_to_key == words
    assert np.allclose(vectors.vectors, rows, atol=1e-6)
    assert np.allclose(vectors[words[7]], rows[7], atol=1e-6)


@pytest.mark.parametrize("suffix", ["safetensors", "txt", "json"])
def test_damaged_or_missing_vectors_are_named(folder, suffix):
    path = folder / f"wikipedia_small_vectors.{suffix}"
    if suffix == "json":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(tl.CourseError, match=path.name):
        tl.load_vectors("wikipedia_small")


def test_unknown_vectors_are_an_error():
    with pytest.raises(tl.CourseError, match="'google'"):
        tl.load_vectors("google")


@pytest.fixture
def gensim_cache(tmp_path, monkeypatch):
    """Fill gensim's cache as its downloader does: a list, and a package that loads."""
    from gensim import downloader

    monkeypatch.setattr(downloader, "BASE_DIR", str(tmp_path))
    monkeypatch.setattr(downloader, "base_dir", str(tmp_path), raising=False)
    entry = {"file_name": f"{GLOVE}.gz", "parts": 1, "checksum": "0"}
    (tmp_path / "information.json").write_text(
        json.dumps({"models": {GLOVE: entry}, "corpora": {}})
    )
    (tmp_path / GLOVE).mkdir()
    made = KeyedVectors(3)
    made.add_vectors(["the", "cat"], 5 * np.eye(3, dtype=np.float32)[:2])
    made.save_word2vec_format(str(tmp_path / GLOVE / "made.txt"))
    (tmp_path / GLOVE / "__init__.py").write_text(
        "from pathlib import Path\n"
        "from gensim.models import KeyedVectors\n"
        "def load_data():\n"
        "    path = Path(__file__).with_name('made.txt')\n"
        "    return KeyedVectors.load_word2vec_format(str(path))\n"
    )
    yield tmp_path
    sys.modules.pop(GLOVE, None)
    sys.path[:] = [p for p in sys.path if p != str(tmp_path)]


def test_full_profile_reads_glove_from_gensims_cache(gensim_cache):
    vectors = tl.load_vectors(profile="full")
    assert vectors.index_to_key == ["the", "cat"]
    assert vectors.vectors.tolist() == [[1, 0, 0], [0, 1, 0]]


def test_glove_out_of_reach_is_said(monkeypatch):
    from gensim import downloader

    def refuse(name):
        raise OSError("no route")

    monkeypatch.setattr(downloader, "load", refuse)
    with pytest.raises(tl.CourseError, match="GloVe could not be fetched") as caught:
        tl.load_vectors(profile="full")
    assert "mini" in caught.value.next_step
