"""Exercises of notebook 00."""

from . import unlike


def exercise_1(answer: str) -> None:
    """Answer with the name of one layer, in quotation marks."""
    assert isinstance(answer, str), "Answer with a name in quotation marks."
    assert answer != "conv_head", "The name misleads: conv_head still makes features."
    assert answer != "blocks", "The blocks make features: they are the body."
    assert answer == "classifier", "The head gives one number per class."


def exercise_2(answer: float) -> None:
    """Answer with one number."""
    assert abs(answer) < 1, "Answer as a share: 10 points are 0.10."
    mistakes = {
        0.41: "That is the gain over chance. The control is the untrained network.",
        0.0: "Scores on training pictures prove a good memory. Use the test scores.",
    }
    unlike(answer, mistakes, tolerance=0.005)
    assert abs(answer - 0.29) <= 0.005, "Test score with transfer minus without."


def exercise_3(answer: list[str]) -> None:
    """Answer with a list of three words."""
    words = {"pre-trained", "develop"}
    assert not isinstance(answer, str) and len(answer) == 3 and set(answer) <= words, (
        'Answer with a list of three words, each "pre-trained" or "develop".'
    )
    assert answer[0] == "pre-trained", "(a) ImageNet has several kinds of mushroom."
    assert answer[1] == "develop", (
        "(b) The task says that no model was published for sonar; but a million "
        "recordings make a source task."
    )
    assert answer[2] == "pre-trained", "(c) Models of English are published."
