"""Exercises of notebook 08."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.special import expit, softmax

from . import unlike


def exercise_1(answer: list[float]) -> None:
    """Answer with two probabilities, in the order of the logits."""
    assert len(answer) == 2, "Two probabilities, in the order of the logits."
    mistakes = {
        expit(2): "That is without temperature: divide the logits by 2.",
        expit(4): "Divide the logits by the temperature; do not multiply.",
    }
    unlike(answer[0], mistakes, tolerance=0.01)
    off = max(abs(answer[0] - expit(1)), abs(answer[1] - expit(-1)))
    assert off < 0.006, "Softmax of the logits divided by 2."


def exercise_2(answer: Callable) -> None:
    """Take student and teacher logits and T; return one number."""
    teacher = np.array([[2.0, 0.0, -1.0], [0.0, 0.5, 3.0]])
    student = np.roll(teacher, 1) / 2

    def divergence(p: np.ndarray, q: np.ndarray, t: float) -> float:
        p, q = (softmax(z / t, axis=1) for z in (p, q))
        return t**2 * float((p * np.log(p / q)).sum(axis=1).mean())

    same = float(answer(torch.tensor(teacher), torch.tensor(teacher), 3.0))
    assert abs(same) < 1e-6, "Where student and teacher agree the loss is 0."
    for t in (3.0, 1.0):
        loss = float(answer(torch.tensor(student), torch.tensor(teacher), t))
        assert t == 1 or abs(loss - divergence(teacher, student, t) / t**2) > 1e-4, (
            "Without the factor T² the gradients shrink as T grows."
        )
        assert abs(loss - divergence(student, teacher, t)) > 1e-4, (
            "The other way round: the teacher's distribution weighs the logarithms."
        )
        assert abs(loss - divergence(teacher, student, t)) < 1e-4, (
            "T² times the sum of p ln(p / q) over the classes, averaged over the rows."
        )


def exercise_3(answer: Callable) -> None:
    """Take models, name → (accuracy, milliseconds), and a limit; return a name."""
    menu = {"slow": (0.9, 100.0), "middle": (0.8, 4.0), "weak": (0.6, 0.2)}
    assert answer(menu, 50.0) != "slow", "A model above the limit must not win."
    assert answer(menu, 5.0) != "weak", "The most accurate wins, not the fastest."
    assert answer(menu, 5.0) == "middle" and answer(menu, 500.0) == "slow", (
        "Keep those within the limit, then take the highest accuracy."
    )
    other = {"weak": (0.6, 9.0), "good": (0.8, 3.0), "late": (0.7, 8.0)}
    assert answer(other, 10.0) == "good", "The most accurate, not the slowest or first."
    assert answer(menu, 0.1) is None, "Where nothing is fast enough, return None."
