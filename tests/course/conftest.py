"""A course of its own in an empty folder, for the tests that run notebooks."""

from __future__ import annotations

import functools
import os

import pytest
from notebook_tools import ROOT, cut_network

from tlhelpers.course import run as runner


@pytest.fixture
def course(tmp_path, monkeypatch):
    """An empty course in a folder of its own; runs start there."""
    cut_network(monkeypatch)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([os.environ["PYTHONPATH"], str(ROOT)])
    )
    monkeypatch.setattr(runner, "notebooks_folder", lambda: tmp_path / "notebooks")
    # The real one takes seconds.
    monkeypatch.setattr(runner, "pace", functools.cache(lambda: 1.0))
    monkeypatch.chdir(tmp_path)
    return tmp_path
