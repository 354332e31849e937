"""Exercises of notebook 09."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...transferability import leep
from . import unlike


def exercise_1(answer: Any) -> None:
    """Answer with a list of letters, such as ["A", "C"]."""
    assert not isinstance(answer, str) and set(answer) <= set("ABC"), (
        'Answer with a list of letters, such as ["A", "C"].'
    )
    assert "C" not in answer, "C gains on average. A wide spread is no loss."
    assert "A" not in answer, "A loses 3 points, with an error of 2: within the noise."
    assert list(answer) == ["B"], (
        "Take the mean of each source minus that of scratch, and the error of that "
        "difference: is the gain below -0.03 minus the error?"
    )


def exercise_2(answer: Callable) -> None:
    """Take p, (n, n_source_classes), and y, (n,); return LEEP, one number."""
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8], [0.5, 0.5]])
    y = np.array([0, 0, 1, 1, 1])
    found, wanted = float(answer(p, y)), leep(p, y)
    assert found <= 0, "A mean of log probabilities cannot be above 0."
    mistakes = {
        len(y) * wanted: "That is the sum. Take the mean over the examples.",
        leep(np.eye(2)[p.argmax(axis=1)], y): "You took the likeliest source class "
        "only. LEEP adds up over all of them.",
    }
    unlike(found, mistakes)
    assert abs(found - wanted) < 1e-6, (
        "Divide the joint table by the sum of each source class; then average the logs "
        "of p @ given.T at the right class."
    )
    three = np.array([0, 1, 2, 1, 0])
    assert abs(float(answer(p, three)) - leep(p, three)) < 1e-6, (
        "With three target classes it is wrong: how many there are is in y."
    )


def exercise_3(answer: Callable) -> None:
    """Take test and source pictures, (n, h, w); return row numbers of test."""
    assert _finds(answer, lambda x: x), (
        "Exact copies must be found, and nothing else: return their row numbers."
    )
    assert _finds(answer, lambda x: 0.8 * x + 30), (
        "A paler copy escapes, or another is taken for one: subtract the mean of each "
        "picture, divide by its length."
    )
    assert _finds(answer, lambda x: 0.6 * x[:, :, ::-1]), (
        "A mirrored copy escapes: compare with the source turned round, too."
    )


def _finds(answer: Any, change: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Hide three of twelve pictures, changed, among others: are just they found?"""
    rng = np.random.default_rng(3)
    test, others = rng.integers(100, 156, (2, 12, 8, 10)).astype(np.uint8)
    hidden = np.clip(change(test[[2, 5, 9]].astype(float)), 0, 255).astype(np.uint8)
    found = answer(test.copy(), np.concatenate([others[:7], hidden]))
    return sorted(int(i) for i in found) == [2, 5, 9]
