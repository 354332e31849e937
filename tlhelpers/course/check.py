"""Check the exercises: a pass, or a hint; no account, no server.

``exercises/exNN.py`` has a function for each exercise. Its asserts stand in the order
in which mistakes are made, and each carries the hint for its mistake as its message.
An exercise that asks for a function says so in the annotation of its answer.
"""

import functools
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import CourseError


class _LearnersError(Exception):
    """An exception of the learner's own code, which is the cause of this one."""


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
    known = exercises()
    if exercise not in known:
        problem = f"There is no exercise {exercise!r}."
        raise CourseError(problem, f"There are {', '.join(known)}.")
    test = known[exercise]
    if answer is ...:
        print(f"· {exercise}: not tried yet. Put your answer in place of the dots.")
        return False
    try:
        if test.__annotations__["answer"] is Callable:
            assert callable(answer), "Hand over the function itself, uncalled."
        test(_guarded(answer) if callable(answer) else answer)
    except AssertionError as error:
        hint = str(error)
    except _LearnersError as error:
        hint = _own_error(error.__cause__)
    except Exception:  # any object may come; none has this form by accident
        hint = f"The answer has another form than was asked for. {test.__doc__}"
    else:
        print(f"✔ {exercise}: right.")
        return True
    print(f"✘ {exercise}: {hint}")
    return False


def exercises() -> dict[str, Callable[[Any], None]]:
    """Return the test of each exercise by its number, "03.2"."""
    found = {}
    for path in sorted((Path(__file__).parent / "exercises").glob("ex*.py")):
        module = import_module(f".exercises.{path.stem}", __package__)
        for name in filter(lambda n: n.startswith("exercise_"), vars(module)):
            found[f"{path.stem[2:]}.{name[9:]}"] = getattr(module, name)
    return found


def _guarded(answer: Callable[..., Any]) -> Callable[..., Any]:
    """Tell exceptions of the learner's function from those of the test around it."""

    @functools.wraps(answer, updated=())
    def call(*args: Any) -> Any:
        try:
            return answer(*args)
        except Exception as error:
            raise _LearnersError from error

    return call


def _own_error(error: BaseException) -> str:
    """Show the exception as what it is, and the line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    line = frames[min(1, len(frames) - 1)].line  # 0 is the call above
    where = f", at `{line}`" if line and len(frames) > 1 else ""
    return f"your code raised {type(error).__name__}: {error}{where}"
