"""Exercises of notebook 06."""

from collections.abc import Callable

import numpy as np

from . import ahead_in_pairs, unlike


def exercise_1(answer: float) -> None:
    """Answer with one number."""
    mistakes = {
        14 / 3: "That is the mean of 1/p. Take the mean of the logarithms first.",
        np.log(4): "That is the mean loss, in nats. Take its exponential.",
        64: "That is for the whole text; the perplexity is per word.",
    }
    unlike(answer, mistakes)
    assert abs(answer - 4) < 1e-6, "exp of the mean of ln 2, ln 4 and ln 8."


def exercise_2(answer: Callable) -> None:
    """Take step, steps and lr; return the rate at that step, one number."""

    def off(step: float, steps: int, lr: float, wanted: float) -> float:
        return abs(float(answer(step, steps, lr)) - wanted)

    assert off(0, 200, 1.0, 1 / 32) < 1e-9, "At step 0 the rate is lr / 32."
    assert off(20, 200, 1.0, 1) < 1e-9, "After a tenth of the steps it is at its peak."
    assert off(200, 200, 1.0, 1 / 32) < 1e-9, "At the last step it is lr / 32 again."
    # A quarter of the way from 1/32 to 1 is 35/128, three quarters are 97/128. Halfway
    # a cosine would do as well.
    assert off(65, 200, 2.0, 97 / 64) < 1e-9, "Fall in a line that scales with lr."
    assert off(5, 200, 1.0, 35 / 128) < 1e-9, "On the way up the line is straight, too."
    assert off(4, 40, 1.0, 1) < 1e-9, "The corner is at a tenth of any number of steps."


def exercise_3(answer: tuple) -> None:
    """Answer with two rows of accuracies and a name: (joined, vectors, ahead)."""
    ahead_in_pairs(answer, ("joined", "vectors"), "were both joined?")
