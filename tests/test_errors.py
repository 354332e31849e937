"""The one exception that learners are meant to see; packages that may be missing."""

from __future__ import annotations

import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import tlhelpers as tl
from tlhelpers.errors import need


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


def test_what_is_installed_is_imported():
    assert need("json", "lab").loads("1") == 1
    assert need(".errors", "lab", "tlhelpers").CourseError is tl.CourseError


def test_missing_package_is_named_with_the_extra_that_brings_it():
    with pytest.raises(tl.CourseError, match="no_such_thing") as caught:
        need("no_such_thing", "lab")
    assert caught.value.next_step == 'Run `pip install "tlhelpers[lab]"`.'


def test_error_inside_a_package_is_not_taken_for_its_absence(tmp_path, monkeypatch):
    (tmp_path / "broken_thing.py").write_text("from json import nothing", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="nothing"):
        need("broken_thing", "lab")


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_export_without_onnx_says_what_to_install(missing, monkeypatch):
    for module in [m for m in sys.modules if m.partition(".")[0] == "onnxscript"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(tl.CourseError, match=rf"\b{missing}\b") as caught:
        tl.export_onnx(None, None, "never.onnx")
    assert 'pip install "tlhelpers[export]"' in caught.value.next_step
