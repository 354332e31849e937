"""Exercises of notebook 05."""

from collections.abc import Callable

import numpy as np

from . import unlike


def exercise_1(answer: float) -> None:
    """Answer with one number."""
    assert -1 <= answer <= 1, "A cosine lies between -1 and 1: divide by lengths."
    unlike(answer, {0.48: "Divide by the length of each of the two vectors, once."})
    assert abs(answer - 0.96) < 1e-6, "(3·4 + 4·3) / (5 · 5)."


class _Vectors(dict):
    """Two words and their vectors; the words are listed as gensim lists them."""

    index_to_key = property(list)


def exercise_2(answer: Callable) -> None:
    """Take tokens, vectors and weights; return one vector, shape (d,)."""
    vectors = _Vectors(a=np.array([1.0, 0.0]), b=np.array([0.0, 1.0]))
    assert np.shape(answer(["a", "b"], vectors, {})) == (2,), "Return one vector."
    assert np.allclose(answer(["a", "b", "?"], vectors, {}), [0.5, 0.5]), (
        "Without weights it is the plain mean of the words that have a vector."
    )
    assert np.allclose(answer(["a", "b"], vectors, {"a": 3}), [0.75, 0.25]), (
        "With weights 3 and 1 the first word counts three times: divide by the sum of "
        "the weights, not by the number of words."
    )
    assert np.allclose(answer(["a", "a", "b"], vectors, {"b": 2}), [0.5, 0.5]), (
        "A word that occurs twice counts twice."
    )


def exercise_3(answer: Callable) -> None:
    """Take predict and a text; return how much the probability changes."""

    def predict(text: str) -> float:
        return text.lower().count("she") / 8

    assert abs(answer(predict, "then the other")) < 1e-9, 'Only whole words, not "the".'
    change = answer(predict, "now he said he came")
    assert abs(change + 0.25) > 1e-9, "The second minus the first: *she* minus *he*."
    assert abs(change - 0.25) < 1e-9, 'Every "he" becomes "she"; nothing else changes.'
    assert abs(answer(predict, "He came, so did he, and (he) left") - 0.375) < 1e-9, (
        '"He" with a capital and "he," before a comma are that word, too. Try '
        're.sub(r"\\bhe\\b", …, flags=re.IGNORECASE).'
    )
