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


EXERCISES: dict[str, list[Question]] = {}
