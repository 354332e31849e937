"""Run notebooks with many seeds, on many cores or machines, for ``data/studies``."""

import io
import json
import logging
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import distributed
import joblib
import pandas as pd
import psutil
from tqdm import tqdm

from .. import machine
from ..errors import CourseError
from .run import VERSIONS, claims, find_notebooks, replace_text, reserved, run_course
from .session import is_smoke

NEEDED = 2.5 * 2**30  # bytes: a kernel, and the worker that starts it
START = "Run `dask scheduler`; elsewhere `dask worker ADDRESS --nthreads 1`."
GOOD, LEFT_OUT = ("passed", "claim does not hold"), {"studies", "__pycache__"}


def run_study(
    numbers: Sequence[str], *, seeds: int, out: Path, scheduler: str | None = None
) -> None:
    """Run notebooks with many seeds and keep every figure they record.

    Each run is a task of Dask. What has finished is kept in ``out``, so a second call
    goes on where the first was stopped. Writes ``data/studies/NN.json``: the scores by
    metric, the machine, the command. Runs in small write it to ``out`` instead.

    Parameters
    ----------
    numbers : sequence of str
        Numbers of notebooks, "01"; or "all".
    seeds : int
        How many runs of each, >= 2. Their seeds start at 1,000, so that no ordinary
        run repeats one of them, and lie 100 apart: a run uses the seeds after its own,
        too, and neighbours would share most of them.
    out : Path
        Gets a file for each run, which counts as long as lesson, package, data and
        versions are the same.
    scheduler : str or None
        Address of a scheduler of Dask, whose workers have the same course. None: as
        many workers here as cores and memory allow, each with one thread.

    Raises
    ------
    CourseError
        If fewer than two seeds are asked for, no scheduler answers, or a run failed;
        the other runs are kept.
    """
    if seeds < 2:
        raise CourseError("A study needs at least 2 seeds.", "Use --seeds 10.")
    names = [p.name[:2] for p in find_notebooks([] if "all" in numbers else numbers)]
    drawn, out, done = range(1000, 1000 + 100 * seeds, 100), out.resolve(), {}
    jobs = {out / f"{name}-{s}.json": (name, s) for name in names for s in drawn}
    with reserved(out):
        for file, (name, _) in jobs.items():
            with suppress(OSError, ValueError, LookupError, TypeError):
                kept = json.loads(file.read_text("utf-8"))
                done |= {file: kept} if kept["state"] == state(name) else {}
        print(f"{len(done)} of {len(jobs)} runs are there: {out}", flush=True)
        with _client(scheduler) as client:
            submit = partial(client.submit, _run, pure=False)
            left = {f: job for f, job in jobs.items() if f not in done}
            todo = {submit(*job, state(job[0])): f for f, job in left.items()}
            runs = distributed.as_completed(todo)
            for future in tqdm(runs, "runs", len(todo), leave=False):
                try:
                    done[todo[future]] = found = future.result()
                    replace_text(todo[future], json.dumps(found, allow_nan=False))
                except Exception as error:  # also a worker's that was killed thrice
                    reason, _, _ = str(error).partition("\n")
                    tqdm.write(f"✘ {todo[future].stem}: {reason}")
        for name in names:
            _write(name, [done.get(f) for f in jobs if jobs[f][0] == name], out)
    if missing := len(jobs) - len(done):
        problem = f"{missing} of {len(jobs)} runs failed."
        raise CourseError(problem, "See why above; a second call repeats only these.")


@cache
def state(number: str) -> str:
    """Return a digest of all that a run of a notebook depends on.

    Parameters
    ----------
    number : str
        Of the notebook.
    """
    folders = machine.data_folder(), Path(__file__).parent.parent
    files = [*find_notebooks([number]), *(f for x in folders for f in x.rglob("*.*"))]
    # A study changes no run.
    used = sorted(f for f in files if f.is_file() and LEFT_OUT.isdisjoint(f.parts))
    sums, versions = map(machine.file_sha256, used), map(version, VERSIONS.split())
    return joblib.hash([*sums, *versions, is_smoke()])


def _client(scheduler: str | None) -> distributed.Client:
    """Reach the workers, or start as many as this machine bears."""
    n = min(joblib.cpu_count(), psutil.virtual_memory().available // NEEDED)
    n = int(n) or 1 if machine.default_device() == "cpu" else 1
    how = {"n_workers": n, "threads_per_worker": 1, "memory_limit": 0}
    how |= {"dashboard_address": None, "silence_logs": 50}
    # Where a scheduler is lost, Dask's own log would show how it looked for it.
    for name in ("distributed", "distributed.client"):  # each has a level of its own
        logging.getLogger(name).setLevel("CRITICAL")
    try:
        client = distributed.Client(
            scheduler, **({"timeout": 10} if scheduler else how)
        )
        client.wait_for_workers(1, timeout=30)
    except (OSError, ValueError) as error:  # a time-out is an OSError
        raise CourseError(f"No scheduler at {scheduler}: {error}", START) from None
    return client


def _run(number: str, seed: int, wanted: str) -> dict[str, Any]:
    """Run a notebook, on a worker; what it prints would cut the bar of the study."""
    if state(number) != wanted:
        raise CourseError("This worker's course or versions differ from yours.")
    with TemporaryDirectory() as name, redirect_stdout(io.StringIO()) as said:
        with redirect_stderr(said):
            how = {"profile": "mini", "seed": seed, "timed": False}
            found = run_course([number], out=Path(name), **how)
    entry = found["notebooks"][0]
    if entry["status"] not in GOOD or None in entry["metrics"].values():
        raise CourseError(f"{entry['status']}: {entry['error'] or 'no finite value'}")
    return {"state": wanted, **entry, "environment": found["environment"]}


def _write(number: str, runs: list[Any], out: Path) -> None:
    """Collect the runs of a notebook, if all are there."""
    if None in runs:
        return
    found = pd.DataFrame([run["metrics"] for run in runs]).round(4)
    held = [{c["text"]: int(c["holds"]) for c in claims(run)} for run in runs]
    study = {
        "command": f"tlhelpers study {number} --seeds {len(runs)}",
        "environment": runs[0]["environment"],
        "seeds": [run["parameters"]["SEED"] for run in runs],
        "claims_held": pd.DataFrame(held).sum().to_dict(),
        "metrics": found.dropna(axis=1).to_dict("list"),
    }
    file = (out if is_smoke() else machine.data_folder() / "studies") / f"{number}.json"
    replace_text(file, json.dumps(study, indent=1) + "\n")
    print(f"wrote {file}")
