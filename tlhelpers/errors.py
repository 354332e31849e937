"""The one exception that learners are meant to see."""

from __future__ import annotations


class CourseError(ValueError):
    """Say what was wrong, what was got and what would work.

    The command line prints it in one paragraph and ends with exit status 2; a
    notebook shows the same paragraph instead of a traceback.

    Parameters
    ----------
    problem : str
        What was wrong and what was got.
    next_step : str
        What would work.
    """

    def __init__(self, problem: str, next_step: str = "") -> None:
        self.problem, self.next_step = problem, next_step
        super().__init__(f"{problem}\n→ {next_step}" if next_step else problem)

    def _render_traceback_(self) -> list[str]:
        """Return what IPython prints instead of a traceback."""
        return [f"✘ {self}"]
