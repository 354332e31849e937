"""Exercises of notebook 04."""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import unlike


def exercise_1(answer: Any) -> None:
    """Answer with one whole number."""
    assert int(answer) == answer, "A whole number, please."
    mistakes = {
        112 * 8 * 8: "Every channel at every place; but the extractor averages.",
        64: "Those are the places; they are averaged away.",
        8: "That is one side of the map; the places are averaged away.",
        32: "32 is the number of pictures in the batch.",
    }
    unlike(answer, mistakes)
    assert answer == 112, "One number per channel."


def exercise_2(answer: Any) -> None:
    """Answer with one number, a share between 0 and 1."""
    assert 0 <= answer <= 1, "A share between 0 and 1, please."
    mistakes = {
        0.2: "That is the gap of the first ten alone. Average over all twenty.",
        0.35: "That is the share that was wrong. How far off is certainty?",
    }
    unlike(answer, mistakes)
    assert abs(answer - 0.1) < 1e-6, "|0.9 - 0.7| for one half, 0 for the other."


#: Probabilities, and the classes with -1 for the half that is least certain. In the
#: second the largest probability orders the rows otherwise than the entropy does.
_FOUR = np.array([[97, 2, 1], [5, 90, 5], [40, 30, 30], [20, 40, 40]]) / 100
_TIGHT = np.array([[6, 1, 1, 1, 1], [0, 5.5, 4.5, 0, 0], [0, 0, 9, 1, 0], [2] * 5]) / 10


def exercise_3(answer: Callable) -> None:
    """Take probabilities, (n, n_classes); return n class numbers, -1 for doubt."""
    classes = [int(c) for c in answer(_FOUR)]
    assert len(classes) == 4, "Return one class number for each row of p."
    assert -1 in classes, "No row got -1. Compare the entropy with its median."
    assert classes != [-1, -1, 0, 1], "The certain half abstains: turn it round."
    assert classes == [0, 1, -1, -1], (
        "The two certain rows should keep their class, the two doubtful get -1."
    )
    assert [int(c) for c in answer(_FOUR[::-1])] == [-1, -1, 1, 0], (
        "With the rows in another order other rows abstain: judge each by its entropy."
    )
    assert [int(c) for c in answer(_TIGHT)] == [-1, 1, 2, -1], (
        "Doubt is the entropy of the whole row, -sum(p · ln p), not one minus its "
        "largest probability; and its limit is the median of these rows."
    )
