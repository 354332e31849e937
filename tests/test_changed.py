"""What `make test-changed` leaves out, and what it must not."""

from __future__ import annotations

import pytest
from changed import affected_lessons, affected_rooms, changed_files, chooser

LESSON = "tests/test_notebooks.py"


@pytest.mark.parametrize(
    "path", ["notebooks/03_x.ipynb", "notebooks/solutions/03_x.ipynb"]
)
def test_a_notebook_affects_its_own_runs_only(path):
    wanted = chooser([path])
    assert wanted(LESSON, "03") and not wanted(LESSON, "04")
    assert not wanted("tests/test_heads.py", None)
    assert not wanted("tests/project/test_page.py", None)
    assert wanted("tests/test_pack.py", None), "guesses and answers stand in the pack"


def test_a_room_affects_those_above_it_and_the_lessons_that_use_them():
    rooms = affected_rooms(["tlhelpers/vectors.py"])
    assert "vectors" in rooms and "heads" not in rooms
    lessons = affected_lessons([], rooms)
    assert "05" in lessons and "01" not in lessons
    wanted = chooser(["tlhelpers/vectors.py"])
    assert wanted("tests/test_vectors.py", None)
    assert not wanted("tests/test_duplicates.py", None)


def test_the_ground_floor_affects_everything():
    wanted = chooser(["tlhelpers/errors.py"])
    assert wanted(LESSON, "00") and wanted("tests/test_heads.py", None)
    assert wanted("tests/course/test_run.py", None)
    assert wanted("tests/hostile/test_hostile.py", None)


@pytest.mark.parametrize(
    "path",
    [
        "tests/conftest.py",
        "pyproject.toml",
        "constraints.txt",
        "tlhelpers/__init__.pyi",
        "tlhelpers/project/words/page.html",
    ],
)
def test_what_all_tests_stand_on_affects_everything(path):
    assert chooser([path])("tests/test_heads.py", None)


def test_data_affect_all_lessons_and_a_check_its_own():
    assert len(affected_lessons(["data/mail/card.json"], set())) == 11
    assert affected_lessons(["tlhelpers/course/exercises/ex06.py"], set()) == {"06"}


def test_a_test_that_changed_runs():
    wanted = chooser(["tests/test_heads.py"])
    assert wanted("tests/test_heads.py", None)
    assert not wanted("tests/test_vectors.py", None)


def test_an_unknown_commit_is_said():
    with pytest.raises(SystemExit, match="no-such-commit"):
        changed_files("no-such-commit")
