"""Exercises of notebook 07."""

from collections.abc import Callable

import numpy as np
import torch

from . import unlike


def exercise_1(answer: float) -> None:
    """Answer with one number, a share between 0 and 1."""
    assert 0 < answer < 1, "A share lies between 0 and 1."
    mistakes = {
        24 / 33: "That is the share of real pieces; padding is the rest.",
        9 / 24: "Divide by all numbers of the batch, not by the real pieces alone.",
    }
    unlike(answer, mistakes, tolerance=0.005)
    assert abs(answer - 9 / 33) < 0.005, "Three rows, each as wide as the longest."


def exercise_2(answer: Callable) -> None:
    """Take states, (n, length, d), and mask, (n, length); return means, (n, d)."""
    states = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[6.0, 2.0], [6.0, 8.0]]])
    mask = torch.tensor([[1, 1], [1, 0]])  # the second text has one real piece
    mean = np.asarray(answer(states, mask), dtype=float)
    assert mean.shape == (2, 2), "Return one vector for each text, shape (n, d)."
    assert not np.allclose(mean[1], [3, 1]), "Divide by 1 piece, not by the length."
    assert not np.allclose(mean[1], [6, 5]), "Mask the padding's states before adding."
    right = np.allclose(mean, [[2, 3], [6, 2]], atol=1e-4)
    assert right, "Add up the real pieces and divide by how many there are."


def exercise_3(answer: Callable) -> None:
    """Take predict and a text; return one word of the text."""

    def predict(texts: list[str]) -> list[float]:
        worth = {"good": 2.0, "kind": 1.0, "bad": -3.0}
        scores = [sum(worth.get(word, 0.0) for word in t.split()) for t in texts]
        # Some words are worth more together, so one must be taken out to know.
        return [s + 5 * ("very kind" in t) for s, t in zip(scores, texts)]

    word = answer(predict, "bad so good and kind")
    assert isinstance(word, str), "Return the word itself."
    assert word != "bad", (
        "That is the word whose removal *raises* the score; find the one that lowers "
        "it most."
    )
    assert word == "good", "Predict without each word; return the one that costs most."
    assert answer(predict, "kind kind good") == "good", "Take out one copy, not all."
    assert answer(predict, "good and very kind") == "kind", (
        "A word's own score is not what its removal costs: ask for the text without it."
    )
