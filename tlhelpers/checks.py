"""Check the exercises: a pass, or a hint; no account, no server.

Each exercise is a list of questions, asked in order. A question is a test of the
answer and the hint for an answer that fails it, so typical mistakes come first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import CourseError

Question = tuple[Callable[[Any], bool], str]


def check(exercise: str, answer: Any) -> bool:
    """Say whether an exercise is solved, or give a hint.

    Parameters
    ----------
    exercise : str
        Number of the notebook and of the exercise, "03.2".
    answer : object
        Whatever the exercise asks for; ``...`` counts as not tried yet.

    Returns
    -------
    bool
        True where the answer passes.

    Raises
    ------
    CourseError
        If there is no such exercise.
    """
    if exercise not in EXERCISES:
        raise CourseError(
            f"There is no exercise {exercise!r}.",
            f"The exercises are {', '.join(sorted(EXERCISES))}.",
        )
    if answer is ...:
        print(f"· {exercise}: not tried yet. Put your answer in place of the dots.")
        return False
    hint = _first_hint(EXERCISES[exercise], answer)
    print(f"✘ {exercise}: {hint}" if hint else f"✔ {exercise}: right.")
    return hint is None


def _first_hint(questions: list[Question], answer: Any) -> str | None:
    for holds, hint in questions:
        try:
            fine = bool(holds(answer))
        except Exception:  # any answer at all may come, and none may raise
            fine = False
        if not fine:
            return hint
    return None


def _scaled(answer: Any) -> list[float]:
    """Apply an answer to 01.2 to the pixels 0, 128 and 255."""
    import torch

    pixels = torch.tensor([0, 128, 255], dtype=torch.uint8)
    x = pixels.reshape(1, 1, 1, 3).repeat(1, 3, 1, 1)
    return answer(x)[0, 0, 0].float().tolist()


def _near(values: list[float], wanted: list[float], tolerance: float = 0.02) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(values, wanted, strict=True))


def _group(groups: Any, name: str) -> dict[str, Any]:
    return next(g for g in groups if g["name"] == name)


def _same_rate(groups: Any, name: str, rate: float) -> bool:
    return abs(_group(groups, name)["lr"] - rate) < 1e-9


EXERCISES: dict[str, list[Question]] = {
    "00.1": [
        (lambda a: isinstance(a, str), "Answer with a name in quotation marks."),
        (
            lambda a: a != "conv_head",
            "The name misleads: conv_head makes features, so it is part of the body.",
        ),
        (lambda a: a != "blocks", "The blocks make features: they are the body."),
        (
            lambda a: a == "classifier",
            "The head is the last layer that learns and gives one number per class.",
        ),
    ],
    "00.2": [
        (lambda a: abs(a) < 1, "Answer as a share, 0.10, or 10 points as 0.10."),
        (
            lambda a: abs(a - 0.41) > 0.005,
            "That is the gain over chance. The control is training from scratch.",
        ),
        (
            lambda a: abs(a) > 0.005,
            "Scores on training pictures prove a good memory. Use the test scores.",
        ),
        (
            lambda a: abs(a - 0.29) <= 0.005,
            "Test score with transfer minus test score from scratch.",
        ),
    ],
    "00.3": [
        (
            lambda a: len(a) == 3 and set(a) <= {"pre-trained", "develop"},
            'Answer with a list of three words, each "pre-trained" or "develop".',
        ),
        (
            lambda a: a[0] == "pre-trained",
            "(a) ImageNet is full of plants and animals: features for mushrooms exist.",
        ),
        (
            lambda a: a[1] == "develop",
            "(b) No published model has heard a sonar, but a million recordings make "
            "a source task.",
        ),
        (
            lambda a: a[2] == "pre-trained",
            "(c) Fifty reviews make no source task; models of English are published.",
        ),
    ],
    "01.1": [
        (lambda a: int(a) == a, "The number of parameters is a whole number."),
        (
            lambda a: a != 1280 * 3,
            "Those are the weights. A linear layer also has one bias per class.",
        ),
        (
            lambda a: a != 1281000,
            "That is the old head, for a thousand classes. Replace it first.",
        ),
        (lambda a: a != 1280 * 2 + 2, "That is a head for two classes; take three."),
        (
            lambda a: a == 1280 * 3 + 3,
            "One weight for each pair of feature and class, and one bias per class.",
        ),
    ],
    "01.2": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: bool(_scaled(f)),
            "The function must take a uint8 tensor, shape (n, 3, height, width), and "
            "return a float tensor of the same shape.",
        ),
        (
            lambda f: not _near(_scaled(f), [0, 0.5, 1]),
            "That is 0 … 1. The network expects -1 … 1: stretch it and shift it.",
        ),
        (
            lambda f: max(map(abs, _scaled(f))) < 100,
            "The values are still in the hundreds. Divide by 255 first.",
        ),
        (
            lambda f: not _near(_scaled(f), [-2.118, 0.074, 2.249]),
            "That is ImageNet's usual mean and standard deviation. Many networks want "
            "it, this one does not: mean and std travel with the weights.",
        ),
        (
            lambda f: _near(_scaled(f), [-1, 0, 1]),
            "0 must become -1 and 255 must become 1. Is x a float before you subtract?",
        ),
    ],
    "01.3": [
        (
            lambda g: all({"params", "lr", "name"} <= set(d) for d in g),
            "Return what tl.param_groups returns: a list of groups.",
        ),
        (
            lambda g: {d["name"] for d in g} == {"body", "head"},
            "One part is missing. Is all of the body frozen? Only batch-norm should.",
        ),
        (
            lambda g: _group(g, "head")["params"][0].shape[0] == 2,
            "The head does not have two classes: call tl.replace_head first.",
        ),
        (
            lambda g: _same_rate(g, "head", 0.002),
            "The head should learn at 0.002: that is the argument lr.",
        ),
        (
            lambda g: _same_rate(g, "body", 0.0001),
            "The body's rate is not a twentieth of the head's: see body_factor.",
        ),
        (
            lambda g: all(p.ndim > 1 for p in _group(g, "body")["params"]),
            "Batch-norm parameters still learn. Call tl.freeze_batch_norm first.",
        ),
    ],
}
