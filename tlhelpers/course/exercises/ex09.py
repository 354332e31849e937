"""Exercises of notebook 09."""

from collections.abc import Callable

import numpy as np


def exercise_1(answer: tuple) -> None:
    """Answer with what run.verdict returned, names=("shuffled", "random")."""
    assert answer.n >= 5, "Take all five draws: fewer prove little."
    assert answer.low < answer.high, (
        "All differences are equal: give each draw its seed and each arm its source."
    )
    assert abs(answer.difference) < 0.5, "Compare shares, 0 … 1; one gains less."
    first = "shuffled" if answer.difference >= 0 else "random"
    assert answer.sentence.startswith(first), "Name both arms, and the source first."


def exercise_2(answer: Callable) -> None:
    """Take two rows of features, (d,); return True where serving must stop."""
    rng = np.random.default_rng(0)
    kept = rng.gamma(1.0, size=200)

    def stop(now: np.ndarray) -> bool:
        with np.errstate(invalid="ignore"):  # constant rows have no correlation
            return bool(answer(now.copy(), kept.copy()))

    assert not stop(kept), "The same features must pass: return False for them."
    assert not stop(kept * rng.normal(1, 1e-3, 200)), "Do not stop at rounding noise."
    assert stop(rng.permutation(kept)), "Compare the features one by one, not by sums."
    assert not stop(kept * rng.normal(1, 0.21, 200)), "A fresh JPEG (0.94) must pass."
    half = 0.5 * (kept + rng.permutation(kept))
    assert stop(half), "Input that is half wrong passed: ask for a correlation near 1."
    assert stop(0 * kept) and stop(kept + np.nan), (
        "Broken input passed: a comparison with nan is False. Ask whether all is well, "
        "and stop if not."
    )


def exercise_3(answer: Callable) -> None:
    """Take test and source pictures, (n, h, w); return row numbers of test."""
    assert _finds(answer, lambda x: x), "Exact copies only: return their row numbers."
    assert _finds(answer, lambda x: 0.8 * x + 30), (
        "A paler copy escapes, or another is taken for one: subtract the mean of each "
        "picture, divide by its length."
    )
    assert _finds(answer, lambda x: 0.6 * x[:, :, ::-1]), "Find mirrored ones, too."


def _finds(answer: Callable, change: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Hide three of twelve pictures, changed, among others: are just they found?"""
    rng = np.random.default_rng(3)
    test, others = rng.integers(100, 156, (2, 12, 8, 10)).astype(np.uint8)
    hidden = np.clip(change(test[[2, 5, 9]].astype(float)), 0, 255).astype(np.uint8)
    found = answer(test.copy(), np.concatenate([others[:7], hidden]))
    return sorted(int(i) for i in found) == [2, 5, 9]
