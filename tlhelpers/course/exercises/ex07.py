"""Exercises of notebook 07."""

from collections.abc import Callable

import numpy as np
import torch

from . import ahead_in_pairs, unlike


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
    """Take states, (n, length, d), and mask, (n, length); return maxima, (n, d)."""
    states = torch.tensor([[[1.0, 2.0], [3.0, -4.0]], [[-600.0, 2.0], [-1.0, 8.0]]])
    mask = torch.tensor([[1, 1], [1, 0]])  # the second text has one real piece
    largest = np.asarray(answer(states.clone(), mask), dtype=float)
    assert largest.shape == (2, 2), "Return one vector for each text, shape (n, d)."
    assert not np.allclose(largest[1], [-1, 8]), "Padding won; it must never."
    assert not np.allclose(largest[1], [0, 2]), "A 0 beats every negative number."
    right = np.allclose(largest, [[3, 2], [-600, 2]], atol=1e-4)
    assert right, "Of each number the largest value among the real pieces."


def exercise_3(answer: tuple) -> None:
    """Answer with two rows of accuracies and a name: (everything, upper, ahead)."""
    same = "did everything learn, frozen=0?"
    ahead_in_pairs(answer, ("everything", "upper"), same)
