"""The exercises: a file for each notebook, a function for each exercise."""

import numpy as np
from scipy.stats import sem, t

PAIRS = "One accuracy per draw, three draws or more, the same draws for both."


def unlike(answer: float, mistakes: dict[float, str], tolerance: float = 1e-6) -> None:
    """Fail with the hint of the typical wrong number that the answer is."""
    for number, hint in mistakes.items():
        assert abs(answer - number) > tolerance, hint


def ahead_in_pairs(
    answer: tuple, names: tuple[str, str], same: str, *, pairs: str = PAIRS
) -> None:
    """Fail unless the answer has paired accuracies of two arms, and who is ahead.

    Parameters
    ----------
    answer : (first, second, ahead)
        Accuracies of both arms, shape (n_draws,), three or more, 0 … 1; one of the
        names, or "neither", by the 95 % interval of the paired differences
        (Student 1908).
    names : (str, str)
        Of the two arms.
    same : str
        The hint where both arms have the same accuracies.
    pairs : str
        The hint where they are no pairs, or too few.
    """
    first, second, ahead = answer
    assert np.shape(first) == np.shape(second) and np.size(first) >= 3, pairs
    gain, both = np.subtract(first, second), [first, second]
    assert gain.any(), f"Both are the same: {same}"
    assert np.min(both) >= 0, "Accuracies, not losses."
    assert np.max(both) <= 1, "Accuracies are shares between 0 and 1."
    mean, half = gain.mean(), t.ppf(0.975, len(gain) - 1) * sem(gain)
    who = names[0] if mean > half else names[1] if mean < -half else "neither"
    said = f"{names[0].capitalize()} minus {names[1]} is {mean:.3f} ± {half:.3f}."
    assert ahead == who, f"{said} Who is ahead beyond that?"
