"""Running notebooks: results, exit status, bad input, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import cache
from types import SimpleNamespace

import psutil
import pytest
from filelock import FileLock
from notebook_tools import FIGURE, results, write_notebook

import tlhelpers as tl
from tlhelpers.course import cli
from tlhelpers.course import run as runner


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


def test_claim_that_does_not_hold_fails_the_run(course, capsys):
    write_notebook(course, "01_bad", 'run.claim("up", 1 > 2, evidence="1, 2")')
    assert cli.main(["run", "--out", "out"]) == 1
    assert results(course / "out")["notebooks"][0]["status"] == "claim does not hold"
    assert "does not hold: up (1, 2)" in capsys.readouterr().out


def test_demonstration_stands_among_the_claims_and_is_counted_apart(course, capsys):
    write_notebook(
        course,
        "01_good",
        'run.claim("up", 2 > 1); run.demonstrate("sums match", True, evidence="3 = 3")',
    )
    assert cli.main(["run", "--out", "out"]) == 0
    claim, shown = results(course / "out")["notebooks"][0]["claims"]
    assert "demonstration" not in claim
    assert shown == {
        "text": "sums match",
        "holds": True,
        "evidence": "3 = 3",
        "judged": True,
        "demonstration": True,
    }
    assert "claims 1/1" in capsys.readouterr().out
    page = (course / "out" / "index.html").read_text(encoding="utf-8")
    assert "◆ sums match" in page and "✔ up" in page and "1 of 1 hold" in page


def test_demonstration_that_does_not_hold_fails_the_run(course, capsys):
    write_notebook(course, "01_bad", 'run.demonstrate("sums match", 1 > 2)')
    assert cli.main(["run", "--out", "out"]) == 1
    assert results(course / "out")["notebooks"][0]["status"] == "claim does not hold"
    assert "does not hold: sums match" in capsys.readouterr().out


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


def test_a_kernel_that_was_killed_is_an_entry_and_the_others_run(course, capsys):
    write_notebook(course, "01_killed", "import os, signal; os.kill(os.getpid(), 9)")
    write_notebook(course, "02_good", 'run.record("score", 0.5)')
    assert cli.main(["run", "--out", "out"]) == 1
    first, second = results(course / "out")["notebooks"]
    assert first["status"] == "failed" and "memory" in first["error"]
    assert second["metrics"] == {"score": 0.5}
    assert "Close other programs" in capsys.readouterr().out


def test_a_kernel_that_was_killed_while_it_reported_is_an_entry(course):
    half = "import os; open(os.environ['TLHELPERS_REPORT'], 'a').write('{\"kind\": ')"
    write_notebook(course, "01_killed", 'run.record("score", 0.5)', half, "os.abort()")
    assert cli.main(["run", "--out", "out"]) == 1
    (entry,) = results(course / "out")["notebooks"]
    assert entry["status"] == "failed" and entry["metrics"] == {"score": 0.5}


def test_a_disk_that_is_full_under_a_notebook_is_an_entry(course, monkeypatch):
    for name in ("01_unlucky", "02_good"):
        write_notebook(course, name, "1")
    real = runner.papermill.execute_notebook

    def full(path, *given, **more):
        if "unlucky" in path:
            raise OSError(28, "No space left on device")
        return real(path, *given, **more)

    monkeypatch.setattr(runner.papermill, "execute_notebook", full)
    assert cli.main(["run", "--out", "out"]) == 1
    first, second = results(course / "out")["notebooks"]
    assert (
        "No space left" in first["error"] and "memory or disk full?" in first["error"]
    )
    assert second["status"] == "passed"


def test_this_environments_python_runs_whatever_other_is_there(course, monkeypatch):
    """A kernel called python3 that comes first on Jupyter's path is another Python."""
    other = course / "jupyter" / "kernels" / "python3"
    other.mkdir(parents=True)
    spec = {"argv": ["/no/such/python"], "display_name": "Other", "language": "python"}
    (other / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(course / "jupyter"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(course / "jupyter"))
    write_notebook(course, "01_good", "import sys", "print(sys.executable)")
    assert cli.main(["run", "--out", "out"]) == 0
    assert sys.executable in (course / "out" / "01_good.ipynb").read_text("utf-8")
    assert os.environ["JUPYTER_PATH"] == str(course / "jupyter"), "left as it was"


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_what_is_no_number_is_null_and_said(course, value):
    write_notebook(course, "01_odd", f'run.record("score", float("{value}"))')
    assert cli.main(["run", "--out", "out"]) == 0
    text = (course / "out" / "results.json").read_text("utf-8")
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text)["notebooks"][0]["metrics"] == {"score": None}
    said = (course / "out" / "01_odd.ipynb").read_text("utf-8")
    assert f"score is not finite: {value}" in said


# --- checked before anything runs ----------------------------------------------------


@pytest.fixture
def untouched(course, monkeypatch):
    """A course of which no notebook may start."""
    write_notebook(course, "01_good", "1", parameters=PARAMETERS)

    def start(*_, **__):
        raise AssertionError("started")

    monkeypatch.setattr(runner.papermill, "execute_notebook", start)
    return course


PARAMETERS = """\
PROFILE = "mini"
SEED = 0
DATA = None
FOLDER = None
LABELS = 20  # labels per class
SOURCE = "small"
MORE = None
"""


def test_the_notebooks_of_the_course_are_never_written_over(untouched, capsys):
    before = (untouched / "notebooks" / "01_good.ipynb").read_bytes()
    (untouched / "link").symlink_to("notebooks")
    write_notebook(untouched / "notebooks", "solutions", "1")
    for out in ("notebooks", "./notebooks/../notebooks", "link"):
        assert cli.main(["run", "--out", out]) == 2
        assert "notebooks that no run has written" in capsys.readouterr().err
        (untouched / "notebooks" / "results.json").touch()  # of an older version
    assert (untouched / "notebooks" / "01_good.ipynb").read_bytes() == before


def test_copies_of_ones_own_are_not_written_over(untouched, capsys):
    (untouched / "mine").mkdir()
    (untouched / "mine" / "01_good.ipynb").write_text("my answers")
    assert cli.main(["run", "--out", "mine"]) == 2
    assert "→ Choose another place with --out." in capsys.readouterr().err
    assert (untouched / "mine" / "01_good.ipynb").read_text() == "my answers"


@pytest.mark.parametrize("out", ["file", "file/below", "/dev/null", "/proc/x"])
def test_a_place_that_is_no_folder_is_said(untouched, capsys, out):
    (untouched / "file").write_text("mine")
    assert cli.main(["run", "--out", out]) == 2
    error = capsys.readouterr().err
    assert "cannot be written to" in error and "--out" in error
    assert (untouched / "file").read_text() == "mine"


@pytest.mark.parametrize("number", [13, 30, 28])
def test_a_place_without_the_right_to_write_is_said(
    untouched, capsys, monkeypatch, number
):
    def refuse(self, **_):
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(runner.Path, "mkdir", refuse)
    assert cli.main(["run", "--out", "out"]) == 2
    assert f"cannot be written to: {os.strerror(number)}" in capsys.readouterr().err


def test_a_second_run_in_the_same_place_is_refused(course, capsys):
    write_notebook(course, "01_good", "1")
    (course / "out").mkdir()
    with FileLock(course / "out" / ".lock"):
        assert cli.main(["run", "--out", "out"]) == 2
    assert "another run is writing there" in capsys.readouterr().err
    assert cli.main(["run", "--out", "out"]) == 0
    assert cli.main(["run", "--out", "out"]) == 0, "one after the other"


@pytest.mark.parametrize("damage", ["", "{", "{}", "[]", '{"cells": 3}', "\0", "x"])
def test_a_damaged_notebook_is_named(untouched, capsys, damage):
    (untouched / "notebooks" / "01_good.ipynb").write_text(damage)
    assert cli.main(["run", "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert "01_good.ipynb is missing or damaged" in error and "git checkout" in error


@pytest.mark.parametrize("arguments", [["--seed", "-1"], ["-p", "SEED", "-1"]])
def test_a_seed_that_is_none_is_said(untouched, capsys, arguments):
    assert cli.main(["run", "--out", "out", *arguments]) == 2
    assert "A seed is a whole number from 0 to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SEED", "abc", "SEED takes a whole number; got 'abc'"),
        ("SEED", "1.5", "SEED takes a whole number; got '1.5'"),
        ("SEED", str(2**40), "from 0 to 2,147,483,647; got"),
        ("LABELS", "20,100", "LABELS takes a whole number; got '20,100'"),
        ("LABELS", "None", "LABELS takes a whole number"),
        ("LABELS", "1e999", "LABELS takes a whole number"),
        ("PROFILE", "huge", "'auto', 'mini' or 'full'"),
        ("DATA", "", "DATA is empty"),
        ("FOLDER", " ", "FOLDER is empty"),
        ("DATA", "nowhere", "There is no "),
    ],
)
def test_a_value_that_cannot_be_meant_is_said(untouched, capsys, name, value, said):
    assert cli.main(["run", "--out", "out", "-p", name, value]) == 2
    error = capsys.readouterr().err
    assert said in error and "→ " in error


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("SOURCE", "18", "18"),
        ("SOURCE", "007", "007"),
        ("SOURCE", "None", "None"),
        ("SOURCE", "1,2", "1,2"),
        ("LABELS", "5", 5),
        ("MORE", "20,100", [20, 100]),
        ("MORE", "(1, [2.5, 'a'])", [1, [2.5, "a"]]),
        ("MORE", "{1, 2}", "{1, 2}"),
        ("MORE", "b'x'", "b'x'"),
        ("MORE", "1e999", "1e999"),
        ("MORE", "-" * 100_000 + "1", "-" * 100_000 + "1"),
    ],
)
def test_a_parameter_gets_what_was_meant(course, name, value, meant):
    path = write_notebook(course, "01_good", "1", parameters=PARAMETERS)
    (job,) = runner._jobs([path], {"PROFILE": "mini", "SEED": 0}, {name: value})
    assert job[name] == meant and type(job[name]) is type(meant)


def test_the_courses_own_data_are_said(course, capsys):
    write_notebook(course, "01_good", "1", parameters=PARAMETERS)
    assert cli.main(["run", "--out", "out", "-p", "DATA", "None"]) == 0
    assert "DATA is None: the run uses" in capsys.readouterr().out
    assert cli.main(["run", "--out", "out"]) == 0
    assert "DATA is None" not in capsys.readouterr().out


def test_results_are_never_cut(course, monkeypatch):
    """A disk that fills up leaves the older results as they were."""
    path = course / "results.json"
    path.write_text("older")
    real = runner.Path.write_text

    def full(self, text, **given):
        real(self, text[:10], **given)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runner.Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        runner.replace_text(path, "x" * 1000)
    assert path.read_text() == "older"


def test_results_hold_names_that_are_no_letters(tmp_path):
    runner._keep(tmp_path, {"DATA": os.fsdecode(b"caf\xe9"), "é": "ü"})
    assert results(tmp_path)["DATA"] == os.fsdecode(b"caf\xe9")
    assert "ü" in (tmp_path / "results.json").read_text("utf-8")


@pytest.mark.parametrize("seed", [-1, "abc", 1.5, None, 2**31])
def test_a_notebook_says_what_a_seed_is(seed):
    with pytest.raises(tl.CourseError, match="A seed is a whole number from 0"):
        tl.start("mini", seed)


@pytest.mark.parametrize("out", ["run{1}", "{", "a{name}b", "{{x}}"])
def test_any_name_of_a_folder_will_do(course, out):
    write_notebook(course, "01_good", 'run.record("score", 0.5)')
    assert cli.main(["run", "--out", out]) == 0
    assert (course / out / "01_good.ipynb").is_file()
    assert results(course / out)["notebooks"][0]["metrics"] == {"score": 0.5}


@pytest.mark.parametrize("number", ["100", "001", "011", "1x"])
def test_a_number_is_taken_for_no_other(course, capsys, number):
    for name in ("00_good", "01_good", "10_good"):
        write_notebook(course, name, "1")
    assert cli.main(["run", number, "--out", "out"]) == 2
    assert f"There is no notebook {number}" in capsys.readouterr().err


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
        (["--profile", "huge"], "'auto', 'mini' or 'full'"),
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

    monkeypatch.setattr(runner.Path, "write_text", full)
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
    slow = "import time, pathlib; pathlib.Path('begun').touch(); time.sleep(120)"
    write_notebook(course, "02_slow", slow)
    code = (
        # A shell that runs the tests in the background makes its children ignore it.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "import sys; from pathlib import Path;"
        "from tlhelpers.course import cli, run as runner;"
        "runner.notebooks_folder = lambda: Path('notebooks');"
        "sys.exit(cli.main(['run', '--out', 'out']))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (course / "notebooks" / "begun").exists():
        assert child.poll() is None
        time.sleep(0.1)
    os.killpg(child.pid, signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 130
    status = [n["status"] for n in results(course / "out")["notebooks"]]
    assert status == ["passed", "interrupted"]
    assert (course / "out" / "index.html").is_file()


def test_ctrl_c_between_two_notebooks_keeps_what_is_done(course, monkeypatch):
    for name in ("01_a", "02_b"):
        write_notebook(course, name, "1")

    def stopped():
        raise KeyboardInterrupt

    answers = iter([lambda: 1.0, stopped])
    monkeypatch.setattr(runner, "pace", cache(lambda: next(answers)()))
    assert cli.main(["run", "--out", "out"]) == 130
    assert [n["name"] for n in results(course / "out")["notebooks"]] == ["01_a"]
    assert (course / "out" / "index.html").is_file()


def test_the_pace_of_each_is_that_before_and_after_it(course, monkeypatch):
    for name in ("01_a", "02_b"):
        write_notebook(course, name, "1")
    measured = iter([1.0, 2.0, 4.0])
    monkeypatch.setattr(runner, "pace", cache(lambda: next(measured)))
    assert cli.main(["run", "--out", "out"]) == 0
    found = results(course / "out")
    assert [n["pace"] for n in found["notebooks"]] == [1.5, 3.0]
    assert found["environment"]["pace"] == 4.0


def test_a_run_says_how_long_it_will_take_here(course, capsys, monkeypatch):
    """The minutes of the published runs, times the pace of this machine."""
    for name, seconds in (("01_a", 60), ("02_b", 120)):
        write_notebook(course, name, "1")
        path = course / "notebooks" / f"{name}.ipynb"
        content = json.loads(path.read_text("utf-8"))
        content["metadata"]["published"] = {"seconds": seconds}
        path.write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr(runner, "pace", cache(lambda: 2.0))
    texts = []
    real = runner._execute
    monkeypatch.setattr(runner, "_execute", lambda *a: texts.append(a[-1]) or real(*a))
    assert cli.main(["run", "--out", "out"]) == 0
    assert "2 notebooks, about 6 min → " in capsys.readouterr().out
    assert texts == ["1/2, about 6 min: 01_a", "2/2, about 4 min: 02_b"]
    monkeypatch.setenv("TLHELPERS_SMOKE", "1")
    assert cli.main(["run", "--out", "out"]) == 0
    assert "2 notebooks → " in capsys.readouterr().out
    monkeypatch.delenv("TLHELPERS_SMOKE")
    write_notebook(course, "03_new", "1")  # never published: nobody knows
    assert cli.main(["run", "03", "--out", "out"]) == 0
    assert "1 notebooks → " in capsys.readouterr().out
