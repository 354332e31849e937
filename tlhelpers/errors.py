"""The one exception that learners are meant to see; packages that may be missing."""

from importlib import import_module
from typing import Any


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


def need(module: str, extra: str, package: str | None = None) -> Any:
    """Import what not every lesson needs, or say how to install it.

    Parameters
    ----------
    module : str
        Its name; with a dot in front, one of ``package``.
    extra : str
        The optional dependencies of tlhelpers, in pyproject.toml, that bring it.
    package : str or None
        Where a name with a dot starts.

    Returns
    -------
    module

    Raises
    ------
    CourseError
        If it, or something that it imports, is not installed.
    """
    try:
        return import_module(module, package)
    except ModuleNotFoundError as e:
        raise CourseError(f"{e}.", f'Run `pip install "tlhelpers[{extra}]"`.') from None
