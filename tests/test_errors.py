"""The one exception that learners are meant to see."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import tlhelpers as tl


def test_course_error_shows_problem_and_next_step_without_a_traceback():
    error = tl.CourseError("Soup is cold.", "Warm it.")
    assert str(error) == "Soup is cold.\n→ Warm it."
    assert error._render_traceback_() == ["✘ Soup is cold.\n→ Warm it."]
    assert str(tl.CourseError("Soup is cold.")) == "Soup is cold."


def test_ipython_prints_the_paragraph_instead_of_a_traceback(capsys):
    no_history = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell(config=no_history)
    shell.run_cell("import tlhelpers as tl\nraise tl.CourseError('Cold.', 'Warm.')")
    out = capsys.readouterr().out
    assert out.strip() == "✘ Cold.\n→ Warm."
