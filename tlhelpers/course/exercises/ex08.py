"""Exercises of notebook 08."""

from collections.abc import Callable

from scipy.special import expit

from . import ahead_in_pairs, unlike


def exercise_1(answer: list[float]) -> None:
    """Answer with two probabilities, in the order of the logits."""
    assert len(answer) == 2, "Two probabilities, in the order of the logits."
    mistakes = {
        expit(2): "That is without temperature: divide the logits by 2.",
        expit(4): "Divide the logits by the temperature; do not multiply.",
    }
    assert max(answer) <= 1, "Probabilities are shares between 0 and 1."
    unlike(answer[0], mistakes, tolerance=0.01)
    assert answer[0] > answer[1], "In the order of the logits: the first is larger."
    off = max(abs(answer[0] - expit(1)), abs(answer[1] - expit(-1)))
    assert off < 0.006, "Softmax of the logits divided by 2."


def exercise_2(answer: tuple) -> None:
    """Answer with two rows of accuracies and a name: (with_states, without, ahead)."""
    pairs = "Three accuracies or more, the same seeds for both."
    same = "did the states enter the loss?"
    ahead_in_pairs(answer, ("states", "answers"), same, pairs=pairs)


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
