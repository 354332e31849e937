"""Running notebooks: results, exit status, bad input, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
from notebook_tools import FIGURE, results, write_notebook

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
    write_notebook(course, "02_slow", "import time", "time.sleep(120)")
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
    while "01_good" not in (line := child.stdout.readline()) or "✔" not in line:
        assert child.poll() is None
    time.sleep(6)
    os.killpg(child.pid, signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 130
    status = [n["status"] for n in results(course / "out")["notebooks"]]
    assert status == ["passed", "interrupted"]
    assert (course / "out" / "index.html").is_file()
