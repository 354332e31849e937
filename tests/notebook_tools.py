"""Write and run notebooks in tests: network cut, small or true size, or broken."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat

from tlhelpers.course import run as runner
from tlhelpers.course.session import SMOKE_VARIABLE

FIGURE = """\
import matplotlib.pyplot as plt
tl.plot_scores({"a": [0.5, 0.6]}, chance=0.5);
"""
ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
#: What a cell says that shows a widget.
WIDGET = re.compile(r"\b(tl|project)\.explore_|\binteract\w*\(")
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("[0-9][0-9]_*.ipynb"))


def cut_network(monkeypatch) -> None:
    """Let every process started from here fail to reach another machine."""
    path = os.pathsep.join(
        [str(ROOT / "tests" / "offline"), os.environ.get("PYTHONPATH", "")]
    )
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def run(monkeypatch, path: Path, out: Path, *, smoke: bool, **options) -> dict:
    """Execute one notebook, from wherever it lies, and return its entry."""
    cut_network(monkeypatch)
    monkeypatch.setenv(SMOKE_VARIABLE, "1" if smoke else "")
    monkeypatch.setattr(runner, "find_notebooks", lambda numbers=(): [path])
    return runner.run_course([], out=out, profile="mini", **options)["notebooks"][0]


def check_widgets(path: Path) -> None:
    """Assert that each explorer of a notebook that was run shows, and has its twin."""
    code = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    explored = [c for c in code if WIDGET.search(c.source)]
    assert explored
    for cell in explored:
        kinds = {kind for o in cell.outputs for kind in o.get("data", {})}
        assert "application/vnd.jupyter.widget-view+json" in kinds, cell.source
        assert "image/png" in kinds, f"nothing to see without a kernel: {cell.source}"


def broken_cells(path: Path, old: str, new: str, claim: str) -> dict:
    """Replace a piece of one cell: that cell as it was, and what runs instead of it.

    That is the broken cell and the others, as far as the claim. The piece and the claim
    stand in one cell each.
    """
    notebook = nbformat.read(path, as_version=4)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    hits = [i for i, c in enumerate(code) if old in c.source]
    # The text of a claim can be computed, so it is looked for in what was published.
    ends = [
        i for i, c in enumerate(code) for o in c.outputs if claim in o.get("text", "")
    ]
    for text, found in ((old, hits), (claim, ends)):
        assert len(found) == 1, f"{text!r} stands in {len(found)} cells of {path.name}"
    sources = [c.source for c in code[hits[0] : ends[0] + 1]]
    return {"before": sources[0], "cells": [sources[0].replace(old, new), *sources[1:]]}


def plan_broken_cells(monkeypatch, folder: Path, copies: list[dict]) -> None:
    """Let the kernels started from here run these copies: see offline/broken_cells.py.

    Their cells compute in one thread and without a GPU: neither outlives a fork.
    """
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "broken.py").write_text("import broken_cells")
    (folder / "plan.json").write_text(json.dumps(copies), encoding="utf-8")
    monkeypatch.setenv("IPYTHONDIR", str(folder))
    monkeypatch.setenv("TLHELPERS_TEST_PLAN", str(folder / "plan.json"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def nbval(paths: list[Path]) -> subprocess.CompletedProcess:
    """Run the cells with nbval and compare those that are marked."""
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env"]
    command += ["-q", "-p", "no:cacheprovider", "--nbval-cell-timeout", "300"]
    return subprocess.run(
        [*command, *map(str, paths)],
        capture_output=True,
        text=True,
        cwd=ROOT / "notebooks",
    )


def write_notebook(folder, name, *sources, parameters='PROFILE = "mini"\nSEED = 0'):
    """Write a notebook with a parameters cell, a set-up cell and these cells."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    title = nbformat.v4.new_markdown_cell("# T\n<!-- measured --><!-- /measured -->")
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    data = "DATA" if "DATA" in parameters else "None"
    setup = f"import tlhelpers as tl\nrun = tl.start(PROFILE, SEED, data={data})"
    cells = [nbformat.v4.new_code_cell(s) for s in (setup, *sources)]
    cells[-1].metadata["tags"] = ["headline"]
    notebook.cells = [title, first, *cells]
    path = folder / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)
    return path


def results(folder):
    """Read what a run wrote."""
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


@functools.cache
def publishing():
    """Load the program that writes a run into the course."""
    path = ROOT / "docs" / "site" / "publish.py"
    spec = importlib.util.spec_from_file_location("course_publishing", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
