"""Exercises of notebook 04."""

from collections.abc import Callable

import numpy as np

from . import unlike


def exercise_1(answer: float) -> None:
    """Answer with one number, a share between 0 and 1."""
    assert 0 <= answer <= 1, "A share between 0 and 1, please."
    mistakes = {
        0.025: "Too much here and too little there do not cancel: take each distance.",
        0.15: "That is the plain mean of the two. Thirty weigh more than ten.",
        0.2: "That is the gap of the ten, or the share that was wrong. Take all forty.",
        0.1: "That is the gap of the thirty alone. Average over all forty.",
    }
    unlike(answer, mistakes)
    assert abs(answer - 0.125) < 1e-6, "|0.9 - 24/30| weighs 30, |0.6 - 8/10| 10."


def exercise_2(answer: str | list[str]) -> None:
    """Answer with a name or a list of names, such as ["ECE", "NLL"]."""
    named = {a.lower() for a in ([answer] if isinstance(answer, str) else answer)}
    known = named and named <= {"accuracy", "ece", "nll", "brier"}
    assert known, 'Name some of "accuracy", "ECE", "NLL" and "Brier".'
    assert "accuracy" in named, "Is p.argmax(axis=1) ever another one afterwards?"
    assert "ece" not in named, "The share right stays, the certainty does not: see ECE."
    assert len(named) == 1, "The true class gets another probability: NLL, Brier move."


#: Probabilities. In the second set the largest probability, the margin and the sum of
#: squares order the rows otherwise than the entropy, whose mean is below its median.
_FOUR = np.array([[97, 2, 1], [5, 90, 5], [80, 15, 5], [15, 70, 15]]) / 100
_SIX = "8 4 2 1 5 2 2 11 3 2 1 4 1 12 2 2 6 8 1 3 2 1 1 7 9 1 3 1 14 1".split()


def exercise_3(answer: Callable) -> None:
    """Take probabilities, (n, n_classes); return n class numbers, -1 for doubt."""
    sets = (_FOUR, _FOUR[::-1], np.array(_SIX, float).reshape(6, 5) / 20)
    four, back, six = (np.asarray(answer(p.copy())) for p in sets)
    assert four.shape == (4,), "Return one class number for each row of p."
    assert four.dtype.kind in "iu", "Class numbers are whole numbers: 2, not 2.0."
    assert -1 in four, "No row got -1. Compare the entropy with its median."
    assert four.tolist() != [-1, -1, 0, 1], "The certain half abstains: turn it round."
    assert four.tolist() == [0, 1, -1, -1], "Only the two certain rows keep a class."
    assert back.tolist() == [-1, -1, 1, 0], "In another order other rows should doubt."
    assert (six == -1).sum() == 3, "Half of any rows must abstain: use the median."
    assert six.tolist() == [-1, -1, 3, -1, 4, 3], (
        "Doubt is the entropy of the whole row, -sum(p · ln p). The largest "
        "probability, the margin or the sum of squares order the rows otherwise."
    )
