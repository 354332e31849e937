"""Word vectors: cosines by hand, a sanity set, the association test's own case."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

import tlhelpers as tl
from tlhelpers import machine as session
from tlhelpers.vectors import GLOVE, WordVectors

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


@pytest.fixture
def cross():
    vectors = np.array([[2, 0], [1, 1], [0, 3], [-1, 0.0]], dtype=np.float32)
    return WordVectors("cross", ("east", "between", "north", "west"), vectors)


@pytest.mark.parametrize("word", COMPANY)
def test_common_word_is_in_fitting_company(wikipedia, word):
    near = set(wikipedia.nearest(word, n=10)["word"])
    assert len(near & set(COMPANY[word].split())) >= 2


def test_nearest_is_the_cosine_by_hand(cross):
    found = cross.nearest("east", n=3)
    assert list(found["word"]) == ["between", "north", "west"]
    assert found["cosine"].tolist() == pytest.approx([0.5**0.5, 0, -1], abs=1e-3)
    assert list(cross.nearest("east", n=1, without=["between"])["word"]) == ["north"]
    assert list(cross.nearest(np.array([0, 5]), n=1)["word"]) == ["north"]


def test_length_of_a_vector_does_not_matter():
    rows = np.array([[2, 0, 1], [1, 1, 0], [0, 3, -1], [-1, 0, 2.0]])
    one = WordVectors("one", tuple("abcd"), rows)
    other = replace(one, vectors=rows * [[0.1], [9], [5], [0.3]])
    for word in "abcd":
        assert other.nearest(word, n=3).equals(one.nearest(word, n=3))
        assert np.linalg.norm(other[word]) == pytest.approx(1)
    short, long = (one.nearest(k * np.array([3, 1, 2]), n=4) for k in (0.1, 7))
    assert short.equals(long)


def test_words_left_out_do_not_come_back_when_many_are_asked_for(cross):
    found = cross.nearest("north", n=9, without=["west", "west", "unknown"])
    assert list(found["word"]) == ["between", "east"]
    assert np.isfinite(found["cosine"]).all()
    assert len(cross.nearest(cross["north"], n=9)) == 4


def test_unknown_word_is_an_error_that_helps(wikipedia):
    with pytest.raises(tl.CourseError, match="'riverr' is not among") as caught:
        wikipedia["riverr"]
    assert "river" in caught.value.next_step
    assert "lower case" in caught.value.next_step
    with pytest.raises(tl.CourseError, match="not among"):
        wikipedia.nearest("🦄🦄🦄")


def test_analogy_by_hand_and_its_rule():
    square = np.array([[1, 0.2], [1, 1], [0.2, 0.1], [0.2, 0.9]])
    vectors = WordVectors("square", ("a", "b", "c", "d"), square)
    goal = vectors["b"] - vectors["a"] + vectors["c"]
    order = list(vectors.nearest(goal, n=4)["word"])
    free = [w for w in order if w not in "abc"]
    assert vectors.analogy("a", "b", "c") == free[0] == "d"
    assert vectors.analogy("a", "b", "c", without_asked=False) == order[0]


def test_analogy_score_asks_every_pair_with_every_other(wikipedia, monkeypatch):
    asked = []

    def answer(self, a, b, c, *, without_asked=True):
        asked.append((a, b, c))
        return "D" if c == "c" else "no"

    monkeypatch.setattr(WordVectors, "analogy", answer)
    pairs = [("a", "B"), ("c", "D"), ("e", "F")]
    assert wikipedia.analogy_score(pairs) == pytest.approx(2 / 6)
    assert len(asked) == 6 and ("a", "B", "a") not in asked


def test_average_skips_unknown_words_and_gives_zeros_without_any(cross):
    out = cross.average([["east", "?", "north"], ["east"], ["?"], []])
    assert out.tolist() == [[0.5, 0.5], [1, 0], [0, 0], [0, 0]]
    assert out.dtype == np.float32


def test_numbers_count_from_one_cut_and_fill(cross):
    out = cross.numbers([["north", "?", "east"], ["west"] * 9, []], length=4)
    assert out.tolist() == [[3, 1, 0, 0], [4, 4, 4, 4], [0, 0, 0, 0]]
    assert out.dtype == np.int64


def test_random_vectors_keep_the_words_and_nothing_else(cross):
    one, again, other = (tl.random_vectors(cross, seed=s) for s in (0, 0, 1))
    assert one.words == cross.words and one.vectors.shape == cross.vectors.shape
    assert (one.vectors == again.vectors).all()
    assert not np.allclose(one.vectors, other.vectors)


def test_trained_vectors_learn_company_and_repeat_themselves():
    text = [f"the {a} eats {b} .".split() for a in ("cat", "dog") for b in ("x", "y")]
    text += [f"a {a} drives to {b} now".split() for a in ("car", "van") for b in "mn"]
    one, again = (tl.train_vectors(text * 300, size=16, epochs=15) for _ in range(2))
    assert (one.vectors == again.vectors).all()
    assert one["cat"] @ one["dog"] > one["cat"] @ one["car"]


def test_association_by_hand():
    # The first group lies on the first attribute, the second on the other one.
    words = ("x1", "x2", "y1", "y2", "a1", "a2", "b1", "b2")
    rows = [[1, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 0], [1, 0], [0, 1], [0, 1.0]]
    vectors = WordVectors("toy", words, np.array(rows))
    groups = (["x1", "x2"], ["y1", "y2"]), (["a1", "a2"], ["b1", "b2"])
    effect, p = tl.association(vectors, *groups)
    unit = vectors.unit
    lean = unit[:4] @ unit[4] - unit[:4] @ unit[6]
    by_hand = (lean[:2].mean() - lean[2:].mean()) / lean.std(ddof=1)
    assert effect == pytest.approx(by_hand) and effect > 1.5
    assert p == pytest.approx(1 / 6)  # one of the six ways to divide four words
    back, q = tl.association(vectors, groups[0][::-1], groups[1])
    assert back == pytest.approx(-effect) and q == 1.0


def test_association_needs_words(cross):
    with pytest.raises(tl.CourseError, match="fewer than two"):
        tl.association(cross, (["east"], ["?"]), (["north"], ["west"]))


def test_neighbours_are_compared_side_by_side(cross):
    both = {"one": cross, "two": WordVectors("two", ("east", "far"), np.eye(2))}
    said = tl.compare_neighbours(both, ["east", "west"], n=1).split("\n")
    assert said[:2] == ["east · one: between", "east · two: far"]
    assert said[3] == "west · two: no vector"


# --- loading ---------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shutil.copytree(session.data_folder() / "models", tmp_path / "models")
    monkeypatch.setattr(session, "data_folder", lambda: tmp_path)
    return tmp_path / "models"


@pytest.mark.parametrize("name", ["wikipedia", "wikipedia_small"])
def test_bundled_vectors_are_what_their_card_says(name):
    vectors = tl.load_vectors(name)
    assert len(vectors) == len(vectors.vectors) == len(set(vectors.words))
    assert vectors.vectors.shape[1] == vectors.card["recipe"]["vector_size"]
    assert vectors.vectors.dtype == np.float32 and np.isfinite(vectors.vectors).all()
    path = session.data_folder() / "models" / f"{name}_vectors.safetensors"
    assert path.stat().st_size <= 4e6


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
    pytest.importorskip("gensim")
    from gensim import downloader
    from gensim.models import KeyedVectors

    monkeypatch.setattr(downloader, "BASE_DIR", str(tmp_path))
    monkeypatch.setattr(downloader, "base_dir", str(tmp_path), raising=False)
    entry = {"file_name": f"{GLOVE}.gz", "parts": 1, "checksum": "0"}
    (tmp_path / "information.json").write_text(
        json.dumps({"models": {GLOVE: entry}, "corpora": {}})
    )
    (tmp_path / GLOVE).mkdir()
    made = KeyedVectors(3)
    made.add_vectors(["the", "cat"], np.eye(3, dtype=np.float32)[:2])
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
    assert vectors.words == ("the", "cat") and vectors.name == GLOVE
    assert vectors.vectors.tolist() == [[1, 0, 0], [0, 1, 0]]


def test_glove_out_of_reach_is_said(monkeypatch):
    downloader = pytest.importorskip("gensim.downloader")

    def refuse(name):
        raise OSError("no route")

    monkeypatch.setattr(downloader, "load", refuse)
    with pytest.raises(tl.CourseError, match="GloVe could not be fetched") as caught:
        tl.load_vectors(profile="full")
    assert "mini" in caught.value.next_step
