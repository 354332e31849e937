"""Run the notebooks: fresh kernels, measured, claims collected, pages written."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..errors import CourseError
from ..machine import data_folder
from .session import PROFILES, REPORT_VARIABLE, SMOKE_VARIABLE

VERSIONS = (
    "tlhelpers torch torchvision timm fastai scikit-learn numpy papermill".split()
)
NEEDED_MB = 300
GOOD, BAD = "✔", "✘"


def notebooks_folder() -> Path:
    """Return ``notebooks/`` of the checkout.

    Raises
    ------
    CourseError
        If tlhelpers was installed without the course around it.
    """
    for root in (data_folder().parent, Path.cwd()):
        if any((root / "notebooks").glob("[0-9][0-9]_*.ipynb")):
            return root / "notebooks"
    raise CourseError(
        "The notebooks of the course were not found.",
        "Run this inside a checkout of the course.",
    )


def find_notebooks(numbers: Sequence[str] = ()) -> list[Path]:
    """Return the notebooks with these numbers ("01"), or all, in order.

    Raises
    ------
    CourseError
        If there is no such notebook.
    """
    paths = sorted(notebooks_folder().glob("[0-9][0-9]_*.ipynb"))
    if not numbers:
        return paths
    by_number = {path.name[:2]: path for path in paths}
    unknown = [n for n in numbers if n.zfill(2)[:2] not in by_number]
    if unknown:
        raise CourseError(
            f"There is no notebook {', '.join(unknown)}.",
            f"The notebooks are {', '.join(by_number)}.",
        )
    return [by_number[n.zfill(2)[:2]] for n in numbers]


def environment() -> dict[str, Any]:
    """Describe the machine: versions, device, cores, memory."""
    import psutil
    import torch

    found = {}
    for package in VERSIONS:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    gpu = torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "versions": found,
        "device": torch.cuda.get_device_name() if gpu else "cpu",
        "cores": len(psutil.Process().cpu_affinity())
        if hasattr(psutil.Process, "cpu_affinity")
        else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def literal(text: str) -> Any:
    """Read a value of the command line: number, None, True, or else text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        path = Path(text).expanduser()
        # Kernels run in notebooks/, so a path that is right here must stay right.
        return str(path.resolve()) if path.exists() or os.sep in text else text


def run_course(
    numbers: Sequence[str] = (),
    *,
    out: Path,
    profile: str = "auto",
    seed: int = 0,
    parameters: dict[str, Any] | None = None,
    pages: bool = True,
) -> dict[str, Any]:
    """Execute notebooks one after the other and write what came out.

    Parameters
    ----------
    numbers : sequence of str
        Two-digit numbers; empty runs the whole course.
    out : Path
        Gets the executed notebooks, ``results.json`` and ``index.html``.
    profile, seed
        Passed to each notebook as ``PROFILE`` and ``SEED``.
    parameters : dict or None
        Further papermill parameters.
    pages : bool
        Whether to write the HTML pages.

    Returns
    -------
    dict
        The content of ``results.json``.

    Raises
    ------
    CourseError
        If a notebook, a parameter or the profile does not exist, or the disk is full.
    """
    paths, parameters = find_notebooks(numbers), dict(parameters or {})
    if profile not in PROFILES:
        raise CourseError(
            f"There is no profile {profile!r}.", "Use auto, mini or full."
        )
    out.mkdir(parents=True, exist_ok=True)
    _check_disk(out)
    jobs = [(p, _parameters(p, parameters, profile, seed)) for p in paths]
    unused = {k for k in parameters if not any(k in job for _, job in jobs)}
    if unused:
        raise CourseError(
            f"No chosen notebook has a parameter {', '.join(sorted(unused))}.",
            f"{paths[0].name} has {', '.join(sorted(_known(paths[0])))}.",
        )
    results: dict[str, Any] = {"environment": environment(), "notebooks": []}
    print(f"{len(jobs)} notebooks → {out}")
    try:
        for k, (path, job) in enumerate(jobs, 1):
            entry = _run_one(path, job, out, f"{k}/{len(jobs)}")
            results["notebooks"].append(entry)
            print(_line(entry), flush=True)
            _write(out, results, pages=False)
            if entry["status"] == "interrupted":
                break
    finally:
        _write(out, results, pages=pages)
    return results


def succeeded(results: dict[str, Any]) -> bool:
    """Return whether every notebook ran and every judged claim holds."""
    done = results["notebooks"]
    return bool(done) and all(n["status"] == "passed" for n in done)


def _check_disk(out: Path) -> None:
    free = shutil.disk_usage(out).free / 2**20
    if free < NEEDED_MB:
        raise CourseError(
            f"Only {free:.0f} MB of disk are free at {out}.",
            f"Free {NEEDED_MB} MB, or choose another place with --out.",
        )


def _known(path: Path) -> set[str]:
    import papermill

    return set(papermill.inspect_notebook(str(path)))


def _parameters(
    path: Path, wanted: dict[str, Any], profile: str, seed: int
) -> dict[str, Any]:
    known = _known(path)
    given = {"PROFILE": profile, "SEED": seed, **wanted}
    return {k: v for k, v in given.items() if k in known}


def _run_one(path: Path, job: dict[str, Any], out: Path, count: str) -> dict[str, Any]:
    """Execute one notebook; whatever happens in it becomes part of the entry."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    status, error, target = "passed", "", out / path.name
    bar = {"desc": f"{count} {path.stem}", "leave": False, "disable": None}
    with tempfile.TemporaryDirectory() as folder, _watched() as peak:
        report = Path(folder) / "report.jsonl"
        began = time.perf_counter()
        try:
            with (
                _quiet(),
                _variable(REPORT_VARIABLE, str(report)),
                _variable("TQDM_DISABLE", "1"),
            ):
                papermill.execute_notebook(
                    str(path),
                    str(target),
                    job,
                    progress_bar=bar,
                    cwd=str(path.parent),
                    # Whatever kernel it was saved with: run with this environment's.
                    kernel_name="python3",
                    language="python",
                    # A kernel's remarks on its own connection help no learner.
                    extra_arguments=["--IPKernelApp.log_level=ERROR"],
                )
        except PapermillExecutionError as failure:
            status, error = "failed", _explain(failure)
        except KeyboardInterrupt:
            status, error = "interrupted", "stopped with Ctrl-C"
        seconds = time.perf_counter() - began
        lines = _read_report(report)
    claims = [_pick(x) for x in lines if x["kind"] == "claim"]
    own_data = job.get("DATA") is not None
    broken = [c for c in claims if c["judged"] and not c["holds"] and not own_data]
    if status == "passed" and broken:
        status = "claim does not hold"
    return {
        "name": path.stem,
        "status": status,
        "error": error,
        "seconds": round(seconds, 1),
        "peak_rss_mb": round(peak[0] / 2**20),
        "peak_gpu_mb": max((x.get("gpu_mb", 0) for x in lines), default=0),
        "profile": next((x["profile"] for x in lines if "profile" in x), None),
        "smoke": os.environ.get(SMOKE_VARIABLE, "") not in ("", "0"),
        "parameters": job,
        "metrics": {x["name"]: x["value"] for x in lines if x["kind"] == "metric"},
        "claims": claims,
    }


def _pick(line: dict[str, Any]) -> dict[str, Any]:
    return {k: line[k] for k in ("text", "holds", "evidence", "judged")}


def _explain(failure: Any) -> str:
    """Return the sentence for the reader, not our traceback."""
    if failure.ename in ("CourseError", "KeyboardInterrupt"):
        return str(failure.evalue)
    return f"cell {failure.exec_count}: {failure.ename}: {failure.evalue}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' warnings off the progress bar."""
    import logging
    import warnings

    for name in ("papermill", "traitlets"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable, which kernels inherit, for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def _read_report(report: Path) -> list[dict[str, Any]]:
    if not report.is_file():
        return []
    text = report.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@contextlib.contextmanager
def _watched(every: float = 0.1) -> Iterator[list[int]]:
    """Measure the peak memory (bytes) of the kernels started meanwhile."""
    peak, stop = [0], threading.Event()
    thread = threading.Thread(target=_watch, args=(peak, stop, every), daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def _watch(peak: list[int], stop: threading.Event, every: float) -> None:
    import psutil

    me = psutil.Process()
    while not stop.wait(every):
        peak[0] = max(peak[0], _in_use(me.children(recursive=True)))


def _in_use(processes: Sequence[Any]) -> int:
    """Return the bytes in use; what large processes share is counted only once.

    Two of them that have loaded PyTorch share 300 MB, which machines and containers
    count once, too. Only Linux tells (and slowly, so one process alone is not asked).
    """
    import psutil

    sizes = {}
    for p in processes:
        with contextlib.suppress(psutil.Error):  # it has ended
            sizes[p] = p.memory_info().rss
    large = [p for p, size in sizes.items() if size > 100 * 2**20]
    for p in large if len(large) > 1 else []:
        with contextlib.suppress(psutil.Error):
            sizes[p] = getattr(p.memory_full_info(), "pss", sizes[p])
    return sum(sizes.values())


def _line(entry: dict[str, Any]) -> str:
    """Return one line of the table: mark, name, time, memory, claims."""
    held = sum(c["holds"] for c in entry["claims"])
    mark = GOOD if entry["status"] == "passed" else BAD
    text = (
        f"{mark} {entry['name']:24s} {entry['seconds']:6.1f} s "
        f"{entry['peak_rss_mb']:5d} MB  claims {held}/{len(entry['claims'])}"
    )
    if entry["status"] != "passed":
        text += f"  {entry['status']}"
    details = [entry["error"]] if entry["error"] else []
    own_data = entry["parameters"].get("DATA") is not None
    for c in entry["claims"]:
        if c["judged"] and not c["holds"]:
            word = "finding: not so here" if own_data else "does not hold"
            details.append(f"{word}: {c['text']} ({c['evidence']})")
    return "\n    ".join([text, *(d.replace("\n", "\n    ") for d in details)])


def table(results: dict[str, Any]) -> str:
    """Return the closing table of a run as text."""
    lines = [_line(entry).splitlines()[0] for entry in results["notebooks"]]
    seconds = sum(n["seconds"] for n in results["notebooks"])
    good = sum(n["status"] == "passed" for n in results["notebooks"])
    total = f"{good} of {len(lines)} notebooks passed in {seconds / 60:.1f} minutes"
    return "\n".join([*lines, total])


def _write(out: Path, results: dict[str, Any], *, pages: bool) -> None:
    text = json.dumps(results, indent=1, ensure_ascii=False)
    (out / "results.json").write_text(text + "\n", encoding="utf-8")
    if pages:
        from .publish import write_pages

        write_pages(out, results)


def run_study(number: str, *, seeds: int, out: Path) -> Path:
    """Run one notebook with many seeds and keep every figure it records.

    Writes ``data/studies/NN.json``: the scores by metric, the machine, the command.
    Seeds start at 1,000, so that no ordinary run repeats one of them, and lie 100
    apart, so that no two runs share one.

    Raises
    ------
    CourseError
        If a run fails or fewer than two seeds are asked for.
    """
    if seeds < 2:
        raise CourseError("A study needs at least 2 seeds.", "Use --seeds 10.")
    metrics: dict[str, list[float]] = {}
    claims: dict[str, int] = {}
    # A run uses the seeds after its own, too: neighbours would share most of them.
    numbers = range(1000, 1000 + 100 * seeds, 100)
    for seed in numbers:
        entry = run_course([number], out=out, profile="mini", seed=seed, pages=False)
        entry = entry["notebooks"][0]
        if entry["status"] in ("failed", "interrupted"):
            raise CourseError(
                f"The run with seed {seed} {entry['status']}.", "See above."
            )
        for name, value in entry["metrics"].items():
            metrics.setdefault(name, []).append(round(value, 4))
        for claim in entry["claims"]:
            claims[claim["text"]] = claims.get(claim["text"], 0) + claim["holds"]
    study = {
        "command": f"tlhelpers study {number} --seeds {seeds}",
        "environment": environment(),
        "seeds": list(numbers),
        "claims_held": claims,
        "metrics": metrics,
    }
    path = data_folder() / "studies" / f"{number.zfill(2)}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(study, indent=1) + "\n", encoding="utf-8")
    return path
