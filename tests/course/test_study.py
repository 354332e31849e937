"""Studies: notebooks, many seeds, many workers; what is killed, and what is resumed."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
from notebook_tools import ROOT, write_notebook

from tlhelpers.course import study as studies
from tlhelpers.errors import CourseError

pytestmark = [pytest.mark.small, pytest.mark.xdist_group("study")]
#: A training whose end depends on every bit on the way to it.
TRAIN = """
import torch
first, last = torch.nn.Linear(50, 50), torch.nn.Linear(50, 2)
layer = torch.nn.Sequential(first, torch.nn.Tanh(), last)
x, y = torch.randn(400, 50), torch.randint(2, (400,))
losses = tl.fit(layer, (x, y), epochs=8, lr=0.05, seed=SEED)
run.record("loss", losses[-1])
run.claim("an odd hundred", SEED // 100 % 2 == 1)
run.demonstrate("a seed is a seed", True)
"""
WAIT = "import time, pathlib; pathlib.Path({!r}).touch(); time.sleep({})"


@contextlib.contextmanager
def made_up(folder):
    """A course with its own copy of the package, so that workers find it, too."""
    for part in ("tlhelpers", "data"):
        skip = shutil.ignore_patterns("__pycache__", "studies", "pets", "models")
        shutil.copytree(ROOT / part, folder / part, ignore=skip)
    (folder / "data" / "studies").mkdir()
    paths = [str(folder), str(ROOT / "tests" / "offline")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    # As the workers have it: one thread, whose sums come out the same everywhere.
    environment |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    how = {"cwd": folder, "env": environment, "start_new_session": True, **pipes}
    started = []

    def start(*words):
        started.append(subprocess.Popen([sys.executable, *map(str, words)], **how))
        return started[-1]

    start.folder = folder
    try:
        yield start
    finally:
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()
            process.kill()
            process.wait()


@pytest.fixture
def study(tmp_path):
    with made_up(tmp_path) as start:
        yield start


def finished(process, status=0):
    text = process.communicate(timeout=240)[0]
    assert process.returncode == status, text[-3000:]
    return text


def kept(start, number="01"):
    return json.loads(
        (start.folder / "data" / "studies" / f"{number}.json").read_text()
    )


def command(*more, seeds=3):
    return ["-m", "tlhelpers", "study", "01", "--seeds", seeds, "--out", "out", *more]


def wait_for(holds, process=None, seconds=300):
    """Wait until something is there: long on a busy machine, not after a failure."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        if process is not None and process.poll() is not None:
            pytest.fail(f"it ended before: {process.communicate()[0][-3000:]}")
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)
    return found


#: One run after the other, in one process: what the studies are compared with.
SERIES = """
from pathlib import Path
from tlhelpers.course.run import run_course
for seed in (1000, 1100, 1200, 1300):
    how = {"profile": "mini", "seed": seed, "timed": False}
    found = run_course(["01"], out=Path("serial"), **how)
    print("LOSS", repr(found["notebooks"][0]["metrics"]["loss"]))
"""


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """What single runs find, seed by seed; it takes a minute, so it is done once."""
    with made_up(tmp_path_factory.mktemp("serial")) as start:
        write_notebook(start.folder, "01_good", TRAIN)
        lines = finished(start("-c", SERIES)).splitlines()
    return [float(line.split()[1]) for line in lines if line.startswith("LOSS")]


def runs_of(start):
    """The runs that are finished, seed by seed."""
    return sorted((start.folder / "out").glob("01-*.json"))


def exact(start):
    """The figures of the single runs, every bit of them."""
    return [json.loads(f.read_text())["metrics"]["loss"] for f in runs_of(start)]


def test_a_study_finds_what_single_runs_find_bit_by_bit(study, serial):
    """Two workers, then again: what is there is run anew only after a change."""
    write_notebook(study.folder, "01_good", TRAIN)
    assert "0 of 2 runs are there" in finished(study(*command(seeds=2)))
    assert "2 of 3 runs are there" in finished(study(*command()))
    assert exact(study) == serial[:3] and len({*serial}) == 4
    found = kept(study)
    assert found["metrics"] == {"loss": [round(v, 4) for v in serial[:3]]}
    assert found["claims_held"] == {"an odd hundred": 1}
    assert found["seeds"] == [1000, 1100, 1200]
    assert found["command"] == "tlhelpers study 01 --seeds 3"
    assert found["environment"]["versions"]["torch"]
    (study.folder / "out" / "01-1000.json").write_text("{")
    assert "1 of 2 runs are there" in finished(study(*command(seeds=2)))
    assert exact(study) == serial[:3]


@pytest.mark.parametrize("change", ["notebooks/01_good.ipynb", "tlhelpers/training.py"])
def test_a_run_of_another_course_does_not_count(change, course, monkeypatch):
    write_notebook(course, "01_good", TRAIN)
    shutil.copytree(ROOT / "tlhelpers", course / "tlhelpers")
    room = course / "tlhelpers" / "course" / "study.py"
    monkeypatch.setattr(studies, "__file__", str(room))
    before = studies.state.__wrapped__("01")
    assert studies.state.__wrapped__("01") == before
    (course / change).write_text((course / change).read_text("utf-8") + "\n")
    assert studies.state.__wrapped__("01") != before


def test_a_run_that_fails_costs_no_other(study):
    write_notebook(study.folder, "01_bad", 'run.record("s", 1)', "1 / (SEED - 1000)")
    text = finished(study(*command(seeds=2)), 2)
    assert "01-1000: failed: cell" in text and "ZeroDivisionError" in text
    assert "1 of 2 runs failed" in text and "Traceback" not in text
    assert not (study.folder / "data" / "studies" / "01.json").exists()
    assert [f.name for f in (study.folder / "out").glob("*.json")] == ["01-1100.json"]


def test_a_figure_that_is_no_number_is_refused(course):
    write_notebook(course, "01_bad", 'run.record("score", float("nan"))')
    with pytest.raises(CourseError, match="no finite value"):
        studies._run("01", 1000, studies.state("01"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cluster(start, n, port):
    """Start a scheduler and n workers, as on several machines."""
    here = ("--host", "127.0.0.1", "--no-dashboard")
    start("-m", "distributed.cli.dask_scheduler", *here, "--port", port)
    address = f"tcp://127.0.0.1:{port}"
    one = ("--nthreads", 1, "--no-dashboard", "--host", "127.0.0.1")
    scratch = ("--local-directory", start.folder / "scratch")
    words = ("-m", "distributed.cli.dask_worker", address, *one, *scratch)
    return address, [start(*words) for _ in range(n)]


def kernels(folder):
    """The kernels that run below a folder."""
    for p in psutil.process_iter(["cmdline", "cwd"]):
        words = " ".join(p.info["cmdline"] or [])
        if "ipykernel" in words and str(folder) in (p.info["cwd"] or ""):
            yield p


def test_a_worker_killed_in_the_middle_loses_nothing(study, serial):
    mark = str(study.folder / "begun")
    write_notebook(study.folder, "01_good", WAIT.format(mark, 3), TRAIN)
    address, _ = cluster(study, 2, free_port())
    running = study(*command("--scheduler", address, seeds=4))
    wait_for(lambda: os.path.exists(mark), running)
    kernel = wait_for(lambda: next(kernels(study.folder), None))
    worker = kernel.parent()
    assert "dask" in " ".join(psutil.Process(worker.ppid()).cmdline())
    worker.send_signal(signal.SIGKILL)
    finished(running)
    assert exact(study) == serial
    wait_for(lambda: not list(kernels(study.folder)))  # nor is the kernel left behind


def test_a_scheduler_killed_in_the_middle_is_gone_on_from(study, serial):
    mark = str(study.folder / "begun")
    write_notebook(study.folder, "01_good", WAIT.format(mark, 2), TRAIN)
    port = free_port()
    address, _ = cluster(study, 1, port)
    running = study(*command("--scheduler", address))
    first = wait_for(lambda: runs_of(study), running)
    for p in psutil.process_iter(["cmdline"]):
        words = p.info["cmdline"] or []
        if "distributed.cli.dask_scheduler" in words and str(port) in words:
            p.kill()
    text = finished(running, 2)
    assert "runs failed" in text and "Traceback" not in text
    text = finished(study(*command()))  # here, without the scheduler
    assert f"{len(first)} of 3 runs are there" in text
    assert exact(study) == serial[:3]


def test_a_study_that_is_stopped_is_gone_on_with(study, serial):
    mark = str(study.folder / "begun")
    write_notebook(study.folder, "01_good", WAIT.format(mark, 2), TRAIN)
    running = study(*command())
    first = wait_for(lambda: runs_of(study), running)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    wait_for(lambda: not list(kernels(study.folder)))
    text = finished(study(*command()))
    assert int(text.split(" of 3")[0].split()[-1]) >= len(first)
    assert exact(study) == serial[:3]


def test_a_worker_with_another_course_is_refused(monkeypatch):
    monkeypatch.setattr(studies, "state", lambda number: "mine")
    with pytest.raises(CourseError, match="versions differ"):
        studies._run("01", 1000, "theirs")


def test_where_no_scheduler_answers_the_words_say_how_to_start_one():
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(CourseError, match=f"No scheduler.*{address}.*\n.*dask"):
        studies._client(address)


def test_dask_does_not_log_how_it_looked_for_a_scheduler(monkeypatch):
    """What it logs while it looks is a traceback, or none: that is a matter of time."""
    names = ("distributed", "distributed.client", "distributed.utils")
    for name in names[:2]:
        monkeypatch.setattr(logging.getLogger(name), "level", logging.INFO)
    monkeypatch.setattr(logging.getLogger("distributed.utils"), "level", logging.NOTSET)
    with pytest.raises(CourseError):
        studies._client(f"tcp://127.0.0.1:{free_port()}")
    for name in names:
        assert not logging.getLogger(name).isEnabledFor(logging.ERROR)


def test_study_needs_two_seeds(tmp_path):
    with pytest.raises(CourseError, match="at least 2"):
        studies.run_study(["01"], seeds=1, out=tmp_path)
