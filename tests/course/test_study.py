"""Studies: one notebook, many seeds, every figure kept."""

from __future__ import annotations

import json

import pytest
from notebook_tools import write_notebook

from tlhelpers.course import cli
from tlhelpers.course import study as runs
from tlhelpers.errors import CourseError


def test_study_collects_metrics_over_seeds(course, monkeypatch):
    (course / "data" / "studies").mkdir(parents=True)
    monkeypatch.setattr(runs, "data_folder", lambda: course / "data")
    write_notebook(
        course,
        "01_good",
        'run.record("seed", SEED)',
        'run.claim("late", SEED > 1000); run.demonstrate("a seed is a seed", True)',
    )
    assert cli.main(["study", "01", "--seeds", "3", "--out", "out"]) == 0
    study = json.loads((course / "data" / "studies" / "01.json").read_text())
    assert study["metrics"] == {"seed": [1000, 1100, 1200]}
    assert study["claims_held"] == {"late": 2}
    assert study["seeds"] == [1000, 1100, 1200]
    assert study["command"] == "tlhelpers study 01 --seeds 3"


def test_study_needs_two_seeds(course):
    with pytest.raises(CourseError, match="at least 2"):
        runs.run_study("01", seeds=1, out=course)


def test_study_stops_where_a_run_fails(course, monkeypatch, capsys):
    (course / "data").mkdir()
    monkeypatch.setattr(runs, "data_folder", lambda: course / "data")
    write_notebook(course, "01_bad", "1 / (SEED - 1100)")
    assert cli.main(["study", "01", "--seeds", "3", "--out", "out"]) == 2
    assert "Seed 1100: run failed." in capsys.readouterr().err
    assert not (course / "data" / "studies").exists()


def test_study_refuses_what_is_no_number(course, monkeypatch, capsys):
    (course / "data").mkdir()
    monkeypatch.setattr(runs, "data_folder", lambda: course / "data")
    write_notebook(course, "01_bad", 'run.record("score", float("nan"))')
    assert cli.main(["study", "01", "--seeds", "2", "--out", "out"]) == 2
    assert "recorded a value that is not finite" in capsys.readouterr().err
