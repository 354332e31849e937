"""Running notebooks: results, exit status, bad input, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from notebook_tools import ROOT, cut_network

from tlhelpers.course import cli, publish
from tlhelpers.course import run as runner
from tlhelpers.errors import CourseError

FIGURE = """\
import matplotlib.pyplot as plt
tl.plot_scores({"a": [0.5, 0.6]}, chance=0.5);
"""


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


@pytest.fixture
def course(tmp_path, monkeypatch):
    """An empty course in a folder of its own; runs start there."""
    cut_network(monkeypatch)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([os.environ["PYTHONPATH"], str(ROOT)])
    )
    monkeypatch.setattr(runner, "notebooks_folder", lambda: tmp_path / "notebooks")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def results(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_what_large_processes_share_is_counted_once():
    mb = 2**20

    class Process:
        def __init__(self, rss, pss=None, ended=False):
            self.rss, self.pss, self.ended = rss * mb, pss, ended

        def memory_info(self):
            if self.ended:
                raise psutil.NoSuchProcess(1)
            return SimpleNamespace(rss=self.rss)

        def memory_full_info(self):
            assert self.pss is not None, "asked although it shares nothing"
            return SimpleNamespace(pss=self.pss * mb)

    kernel, helper, gone = Process(700, 600), Process(50), Process(1, ended=True)
    assert runner._in_use([Process(700), helper, gone]) == 750 * mb
    assert runner._in_use([kernel, helper, Process(800, 650)]) == 1300 * mb
    assert runner._in_use([]) == 0


def test_results_hold_metrics_claims_time_and_memory(course, capsys):
    write_notebook(
        course,
        "01_good",
        'run.record("score", 0.75)',
        'run.claim("up", 2 > 1, evidence="2, 1")',
        FIGURE,
    )
    assert cli.main(["run", "--out", "out", "--seed", "3"]) == 0
    found = results(course / "out")
    (entry,) = found["notebooks"]
    assert entry["status"] == "passed"
    assert entry["metrics"] == {"score": 0.75}
    assert entry["claims"] == [
        {"text": "up", "holds": True, "evidence": "2, 1", "judged": True}
    ]
    assert entry["parameters"]["SEED"] == 3
    assert 50 < entry["peak_rss_mb"] < 4000
    assert 0.5 < entry["seconds"] < 120
    assert {"python", "versions", "device", "cores"} <= set(found["environment"])
    assert "✔ 01_good" in capsys.readouterr().out
    page = (course / "out" / "index.html").read_text(encoding="utf-8")
    assert 'alt="test accuracy, mean ± sd over seeds: a 0.550' in page
    assert (course / "out" / "01_good.html").is_file()


def test_pages_fetch_nothing_from_the_network(course):
    write_notebook(course, "01_good", FIGURE)
    assert cli.main(["run", "--out", "out"]) == 0
    index = (course / "out" / "index.html").read_text(encoding="utf-8")
    assert "http" not in index


def test_claim_that_does_not_hold_fails_the_run(course, capsys):
    write_notebook(course, "01_bad", 'run.claim("up", 1 > 2, evidence="1, 2")')
    assert cli.main(["run", "--out", "out"]) == 1
    assert results(course / "out")["notebooks"][0]["status"] == "claim does not hold"
    assert "does not hold: up (1, 2)" in capsys.readouterr().out


def test_claim_on_own_data_is_a_finding(course, capsys):
    write_notebook(
        course,
        "01_own",
        'run.claim("up", 1 > 2, evidence="1, 2")',
        parameters='PROFILE = "mini"\nSEED = 0\nDATA = None',
    )
    assert cli.main(["run", "--out", "out", "-p", "DATA", "."]) == 0
    entry = results(course / "out")["notebooks"][0]
    assert entry["parameters"]["DATA"] == str(course), (
        "a path must survive the kernel's cwd"
    )
    assert "finding: not so here: up" in capsys.readouterr().out


def test_failing_notebook_is_named_and_the_others_run(course, capsys):
    write_notebook(course, "01_fails", "1 / 0")
    write_notebook(course, "02_good", "1")
    assert cli.main(["run", "--out", "out"]) == 1
    assert [n["status"] for n in results(course / "out")["notebooks"]] == [
        "failed",
        "passed",
    ]
    out = capsys.readouterr().out
    assert "ZeroDivisionError: division by zero" in out
    assert "Traceback" not in out


def test_course_error_is_shown_as_its_sentence(course, capsys):
    write_notebook(course, "01_fails", 'tl.from_folder("nowhere")')
    assert cli.main(["run", "--out", "out"]) == 1
    out = capsys.readouterr().out
    assert "There is no folder nowhere." in out and "→ Check the path" in out
    assert "Traceback" not in out


def test_unknown_parameter_names_those_there_are(course, capsys):
    write_notebook(course, "01_good", "1")
    assert cli.main(["run", "--out", "out", "-p", "DATTA", "x"]) == 2
    error = capsys.readouterr().err
    assert "no chosen notebook has a parameter DATTA".lower() in error.lower()
    assert "PROFILE, SEED" in error


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--profile", "huge"], "auto, mini or full"),
        (["7"], "The notebooks are 01"),
    ],
)
def test_bad_arguments_get_one_paragraph(course, capsys, arguments, word):
    write_notebook(course, "01_good", "1")
    assert cli.main(["run", "--out", "out", *arguments]) == 2
    error = capsys.readouterr().err
    assert word in error and "Traceback" not in error


def test_full_disk_is_said_before_anything_runs(course, capsys, monkeypatch):
    write_notebook(course, "01_good", "1")
    usage = runner.shutil.disk_usage(course)._replace(free=5 * 2**20)
    monkeypatch.setattr(runner.shutil, "disk_usage", lambda _: usage)
    assert cli.main(["run", "--out", "out"]) == 2
    assert "Only 5 MB of disk are free" in capsys.readouterr().err


def test_disk_that_fills_up_meanwhile_is_no_traceback(course, capsys, monkeypatch):
    write_notebook(course, "01_good", "1")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runner, "_write", full)
    assert cli.main(["run", "--out", "out"]) == 2
    assert "No space left" in capsys.readouterr().err


def test_smoke_shows_claims_without_judging(course, monkeypatch):
    monkeypatch.setenv("TLHELPERS_SMOKE", "1")
    write_notebook(course, "01_bad", 'run.claim("up", 1 > 2, evidence="1, 2")')
    assert cli.main(["run", "--out", "out"]) == 0
    assert results(course / "out")["notebooks"][0]["claims"][0]["holds"] is False


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a single child on Windows")
def test_ctrl_c_keeps_what_is_done(course):
    write_notebook(course, "01_good", 'run.record("score", 1)')
    write_notebook(course, "02_slow", "import time", "time.sleep(120)")
    code = (
        # A shell that runs the tests in the background makes its children ignore it.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "import sys; from pathlib import Path; from tlhelpers import runner, cli;"
        "runner.notebooks_folder = lambda: Path('notebooks');"
        "sys.exit(cli.main(['run', '--out', 'out']))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while "01_good" not in (line := child.stdout.readline()) or "✔" not in line:
        assert child.poll() is None
    time.sleep(6)
    os.killpg(child.pid, signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 130
    status = [n["status"] for n in results(course / "out")["notebooks"]]
    assert status == ["passed", "interrupted"]
    assert (course / "out" / "index.html").is_file()


def test_study_collects_metrics_over_seeds(course, monkeypatch):
    (course / "data").mkdir()
    monkeypatch.setattr(runner, "data_folder", lambda: course / "data")
    write_notebook(
        course,
        "01_good",
        'run.record("seed", SEED)',
        'run.claim("late", SEED > 1000)',
    )
    assert cli.main(["study", "01", "--seeds", "3", "--out", "out"]) == 0
    study = json.loads((course / "data" / "studies" / "01.json").read_text())
    assert study["metrics"] == {"seed": [1000, 1100, 1200]}
    assert study["claims_held"] == {"late": 2}
    assert study["command"] == "tlhelpers study 01 --seeds 3"


def test_study_needs_two_seeds(course):
    with pytest.raises(CourseError, match="at least 2"):
        runner.run_study("01", seeds=1, out=course)


# --- publishing ----------------------------------------------------------------------


@pytest.fixture
def published(course, monkeypatch):
    """A course whose one notebook ran."""
    (course / "data").mkdir()
    (course / "README.md").write_text(
        "# R\n<!-- table --><!-- /table -->\n", encoding="utf-8"
    )
    monkeypatch.setattr(publish, "data_folder", lambda: course / "data")
    write_notebook(course, "01_good", FIGURE)
    return course


def test_publish_writes_header_outputs_and_table(published):
    assert cli.main(["run", "--out", "out"]) == 0
    assert cli.main(["publish", "out"]) == 0
    notebook = nbformat.read(published / "notebooks" / "01_good.ipynb", as_version=4)
    entry = results(published / "out")["notebooks"][0]
    memory = f"{entry['peak_rss_mb'] / 1000:.1f} GB"
    assert memory in notebook.cells[0].source
    assert "image/png" in notebook.cells[-1].outputs[0].data
    assert not [
        c for c in notebook.cells if "injected-parameters" in c.metadata.get("tags", [])
    ]
    assert "papermill" not in notebook.metadata
    readme = (published / "README.md").read_text(encoding="utf-8")
    assert "| [01 good](notebooks/01_good.ipynb) |" in readme and memory in readme
    cli.main(["publish", "out"])
    again = (published / "README.md").read_text(encoding="utf-8")
    assert again == readme


def test_publish_refuses_other_seeds_and_failures(published, capsys):
    assert cli.main(["run", "--out", "out", "--seed", "5"]) == 0
    assert cli.main(["publish", "out"]) == 2
    assert "seed 0" in capsys.readouterr().err
    assert cli.main(["publish", "nowhere"]) == 2


def test_clean_drops_widgets_and_stderr():
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    widget = new_output("display_data", {publish.WIDGET: {}, "text/plain": "VBox()"})
    outputs = [new_output("stream", name="stderr", text="!"), widget]
    outputs.append(new_output("stream", name="stdout", text="kept"))
    notebook = new_notebook(cells=[new_code_cell("1", outputs=outputs)])
    notebook.metadata["widgets"] = {"state": {}}
    publish.clean(notebook)
    assert [o.text for o in notebook.cells[0].outputs] == ["kept"]
    assert "widgets" not in notebook.metadata


def test_badges_rewrite_every_address_and_nothing_else(published):
    old = "OWNER/transfer-learning-course"
    (published / "pyproject.toml").write_text(
        f'Repository = "https://github.com/{old}"\n'
    )
    for text in ("README.md", "notebooks/01_good.ipynb"):
        path = published / text
        path.write_text(
            path.read_text("utf-8").replace("# ", f"# {old} ", 1), encoding="utf-8"
        )
    assert cli.main(["badges", "ada/course"]) == 0
    for text in ("README.md", "notebooks/01_good.ipynb", "pyproject.toml"):
        content = (published / text).read_text("utf-8")
        assert old not in content and "ada/course" in content
    assert publish.current_repository() == "ada/course"
    assert cli.main(["badges", "ada"]) == 2


def test_fill_needs_its_marks():
    assert (
        publish.fill("a<!-- m -->old<!-- /m -->b", "m", "new")
        == "a<!-- m -->new<!-- /m -->b"
    )
    with pytest.raises(CourseError, match="marked 'm'"):
        publish.fill("nothing", "m", "new")
