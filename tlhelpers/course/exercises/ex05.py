"""Exercises of notebook 05."""

from collections.abc import Callable

from . import ahead_in_pairs, unlike


def exercise_1(answer: float) -> None:
    """Answer with one number."""
    assert -1 <= answer <= 1, "A cosine lies between -1 and 1."
    unlike(answer, {0.5: "Divide by the length of (0.5, 0.5), which is not 1."})
    assert abs(answer - 0.5**0.5) < 5e-3, "0.5 divided by the length of (0.5, 0.5)."


def exercise_2(answer: tuple) -> None:
    """Answer with two rows of accuracies and a name: (weighted, plain, ahead)."""
    ahead_in_pairs(answer, ("weighted", "plain"), "were the weights used?")


def exercise_3(answer: Callable) -> None:
    """Take predict and a text; return how much the probability changes."""

    def predict(text: str) -> float:
        return text.lower().count("she") / 8

    assert abs(answer(predict, "then the other")) < 1e-9, 'Only whole words, not "the".'
    change = answer(predict, "now he said he came")
    assert abs(change + 0.25) > 1e-9, "The second minus the first: *she* minus *he*."
    assert abs(change - 0.25) < 1e-9, 'Every "he" becomes "she"; nothing else changes.'
    assert abs(answer(predict, "He came, so did he, and (he) left") - 0.375) < 1e-9, (
        '"He" with a capital and "he," before a comma are that word, too. Try '
        're.sub(r"\\bhe\\b", …, flags=re.IGNORECASE).'
    )
