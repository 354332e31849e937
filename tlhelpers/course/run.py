"""Run the notebooks: fresh kernels, time and memory measured, claims collected."""

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
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import joblib
import papermill
import psutil
import torch
from filelock import FileLock
from ipykernel.kernelspec import write_kernel_spec

from ..errors import CourseError
from ..machine import REPAIR, data_folder
from .doctor import pace
from .session import REPORT_VARIABLE, check_choices, is_smoke, legible

VERSIONS = "tlhelpers torch torchvision timm fastai scikit-learn numpy papermill"
# Whatever kernel it was saved with; _run_one makes "python3" this environment's.
KERNEL = {"kernel_name": "python3", "language": "python"}
# A kernel's remarks on its own connection help no learner.
KERNEL |= {"extra_arguments": ["--IPKernelApp.log_level=ERROR"]}
STATED = ("text", "holds", "evidence", "judged", "demonstration")
NEEDED_MB = 300
ELSEWHERE = "Choose another place with --out."
MB = 2**20
Parameters = dict[str, Any]


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
    raise CourseError("Found no notebooks.", "Run this inside a copy of the course.")


def find_notebooks(numbers: Sequence[str] = ()) -> list[Path]:
    """Return the notebooks with these numbers, or all, in order.

    Parameters
    ----------
    numbers : sequence of str
        "01" or "1"; empty stands for all.

    Raises
    ------
    CourseError
        If there is no such notebook.
    """
    paths = sorted(notebooks_folder().glob("[0-9][0-9]_*.ipynb"))
    by_number = {path.name[:2]: path for path in paths}
    unknown = [n or "''" for n in numbers if not n or n.zfill(2) not in by_number]
    if unknown:
        problem = f"There is no notebook {', '.join(unknown)}."
        raise CourseError(problem, f"The notebooks are {', '.join(by_number)}.")
    return [by_number[n.zfill(2)] for n in numbers] or paths


def environment(*, timed: bool = True) -> dict[str, Any]:
    """Describe the machine: versions, device, cores, memory, pace (None: not timed)."""
    gpu = torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "versions": {package: version(package) for package in VERSIONS.split()},
        "device": torch.cuda.get_device_name() if gpu else "cpu",
        "cores": joblib.cpu_count(),
        "pace": 1 if gpu else round(pace(), 2) if timed else None,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def literal(name: str, text: str, default: Any = None) -> Any:
    """Read a value of the command line: number, list, None, True, or else text.

    Parameters
    ----------
    name : str
        Of the parameter. DATA and FOLDER are places, also if they are called 2024.
    text : str
        As typed. A place is meant from where it was typed, and becomes absolute,
        because kernels run in ``notebooks/``.
    default : object
        What the notebook has there: a text stays text, a number must be one.

    Raises
    ------
    CourseError
        If a place has no name, or a number was expected.
    """
    if name in ("DATA", "FOLDER") and text != "None":
        if not text.strip():
            raise CourseError(f"{name} is empty.", f"Write a path after -p {name}.")
        return str(Path(text).expanduser().resolve())
    value = text if isinstance(default, str) else _evaluate(text)
    if isinstance(default, int) and not isinstance(value, int):
        problem = f"{name} takes a whole number; got {text[:60]!r}."
        raise CourseError(problem, f"Write, for example, -p {name} {default}.")
    return value


def _evaluate(text: str) -> Any:
    """Read what JSON can hold: so it reaches the kernel and ``results.json``."""
    with contextlib.suppress(Exception):  # not a Python value: keep the text
        value = ast.literal_eval(text)
        return json.loads(json.dumps(value, allow_nan=False))  # 20,100: a list
    return text


def run_course(
    numbers: Sequence[str] = (),
    *,
    out: Path,
    profile: str = "auto",
    seed: int = 0,
    parameters: Parameters | None = None,
    timed: bool = True,
) -> dict[str, Any]:
    """Execute notebooks one after the other and write what came out.

    Parameters
    ----------
    numbers : sequence of str
        Two-digit numbers; empty runs the whole course.
    out : Path
        Gets the executed notebooks and ``results.json``.
    profile : {"auto", "mini", "full"}
        Passed to each notebook as ``PROFILE``.
    seed : int
        Passed to each notebook as ``SEED``, 0 … 2,147,483,647.
    parameters : dict or None
        Further papermill parameters; texts are read by :func:`literal`.
    timed : bool
        False: do not measure the pace of the machine, which takes some seconds and says
        nothing where other runs are going on.

    Returns
    -------
    dict
        The content of ``results.json``.

    Raises
    ------
    CourseError
        If a notebook, a parameter, the data or the profile does not exist, a notebook
        is damaged, or nothing can be written to ``out``: full, read-only, no folder,
        in use by another run, or with notebooks that no run has written.
    """
    paths, out = find_notebooks(numbers), out.expanduser().resolve()
    jobs = _jobs(paths, {"PROFILE": profile, "SEED": seed}, parameters or {})
    timed &= not is_smoke()
    results: dict[str, Any] = {"environment": environment(timed=timed), "notebooks": []}
    with reserved(out):
        print(f"{len(jobs)} notebooks{_time(paths, results)} → {out}")
        for k, (path, job) in enumerate(zip(paths, jobs), 1):
            _keep(out, results)
            left = _time(paths[k - 1 :], results)
            entry = _run_one(path, job, out, f"{k}/{len(jobs)}{left}:")
            results["notebooks"].append(entry)
            print(_line(entry), flush=True)
            if entry["status"] == "interrupted":
                break
            if timed and not _read_pace(entry, results["environment"]):
                results["stopped"] = True
                break
        _keep(out, results)
    return results


def _read_pace(entry: dict[str, Any], where: dict[str, Any]) -> bool:
    """Note the pace around a run, others may work here, too; False after Ctrl-C."""
    try:
        before = where["pace"]
        pace.cache_clear()
        where["pace"] = environment()["pace"]
    except KeyboardInterrupt:
        return False
    entry["pace"] = round((before + where["pace"]) / 2, 2)
    return True


def _time(paths: Sequence[Path], results: dict[str, Any]) -> str:
    """Say about how long notebooks will take here, by their published runs."""
    where, kept = results["environment"], [json.loads(p.read_bytes()) for p in paths]
    known = [n["metadata"].get("published", {}).get("seconds", 0) for n in kept]
    if where["pace"] is None or where["device"] != "cpu" or 0 in known:
        return ""
    return f", about {max(1, round(sum(known) * where['pace'] / 60))} min"


def replace_text(path: Path, text: str) -> None:
    """Write a file beside, then put it in place: what was there is never cut.

    Parameters
    ----------
    path : Path
        In a folder that exists.
    text : str
        What is no letter, in the name of a file, becomes an escape of JSON.
    """
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8", errors="backslashreplace")
    beside.replace(path)


def _keep(out: Path, results: dict[str, Any]) -> None:
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    replace_text(out / "results.json", text + "\n")


def claims(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the claims of a notebook, without what it only demonstrated."""
    return [c for c in entry["claims"] if not c.get("demonstration")]


def reserved(out: Path) -> Any:
    """Make a folder for this run alone, before it starts; return what frees it.

    Parameters
    ----------
    out : Path
        Absolute.

    Raises
    ------
    CourseError
        If nothing can be written there: full, read-only, no folder, in use by another
        run, or with notebooks that no run has written.
    """
    foreign = any(out.glob("*.ipynb")) and not (out / "results.json").is_file()
    if foreign or out == notebooks_folder().resolve():
        raise CourseError(f"{out} has notebooks that no run has written.", ELSEWHERE)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock", timeout=0).acquire()
    except OSError as error:  # a lock that is taken has no strerror
        reason = error.strerror or "another run is writing there"
        raise CourseError(f"{out} cannot be written to: {reason}.", ELSEWHERE) from None
    free = shutil.disk_usage(out).free / MB
    if free < NEEDED_MB:
        next_step = f"Free {NEEDED_MB} MB. {ELSEWHERE}"
        raise CourseError(f"Only {free:.0f} MB of disk are free at {out}.", next_step)
    return lock


def _jobs(paths: list[Path], usual: Parameters, wanted: Parameters) -> list[Parameters]:
    """Give each notebook the parameters it has; refuse those that none has."""
    known = [_defaults(path) for path in paths]
    unused = ", ".join(n or "''" for n in sorted(set(wanted).difference(*known)))
    if unused:
        problem = f"No chosen notebook has a parameter {unused}."
        raise CourseError(problem, f"{paths[0].name} has {', '.join(known[0])}.")
    jobs = [{n: v for n, v in (usual | wanted).items() if n in k} for k in known]
    for job, k in zip(jobs, known):
        job.update({n: literal(n, v, k[n]) for n, v in job.items() if type(v) is str})
        check_choices(job.get("PROFILE", "auto"), job.get("SEED", 0))
        if job.get("DATA") and not Path(job["DATA"]).exists():
            raise CourseError(f"There is no {job['DATA']}.", "Check the path in DATA.")
    if "DATA" in wanted and jobs[0].get("DATA") is None:
        print("DATA is None: the run uses the course's data, not your own.")
    return jobs


def _defaults(path: Path) -> Parameters:
    """Return the parameters of a notebook, and what it has for each."""
    found = legible(path, lambda _: papermill.inspect_notebook(_verbatim(path)), REPAIR)
    return {name: _evaluate(about["default"]) for name, about in found.items()}


def _verbatim(path: Path) -> str:
    """Keep papermill from filling in what stands between braces in a path."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _run_one(path: Path, job: Parameters, out: Path, count: str) -> dict[str, Any]:
    """Execute one notebook; whatever happens in it becomes part of the entry."""
    with tempfile.TemporaryDirectory() as folder, _watched() as peak:
        report = Path(folder, "report.jsonl")
        report.touch()
        write_kernel_spec(Path(folder, "kernels", "python3"))
        began = time.perf_counter()
        variables = {REPORT_VARIABLE: str(report), "TQDM_DISABLE": "1"}
        # The first place where a kernel is looked for: another Python's may be near.
        variables["JUPYTER_PATH"] = folder
        with mock.patch.dict(os.environ, variables):
            status, error = _execute(path, out / path.name, job, f"{count} {path.stem}")
        seconds = time.perf_counter() - began
        # A kernel that was killed may have left half a line, the last one.
        lines = [json.loads(x) for x in report.read_text("utf-8").split("\n")[:-1]]
    said = [{k: x[k] for k in STATED if k in x} for x in lines if "holds" in x]
    if status == "passed" and _broken(said) and job.get("DATA") is None:
        status = "claim does not hold"
    return {
        "name": path.stem,
        "status": status,
        "error": error,
        "seconds": round(seconds, 1),
        "peak_rss_mb": round(peak[0] / MB),
        "peak_gpu_mb": max((x.get("gpu_mb", 0) for x in lines), default=0),
        "profile": next((x["profile"] for x in lines if "profile" in x), None),
        "smoke": is_smoke(),
        "parameters": job,
        "metrics": {x["name"]: x["value"] for x in lines if x["kind"] == "metric"},
        "claims": said,
    }


def _execute(path: Path, target: Path, job: Parameters, text: str) -> tuple[str, str]:
    """Let papermill run a notebook; return the status and what went wrong."""
    options = KERNEL | {"progress_bar": {"desc": text, "leave": False, "disable": None}}
    files = [_verbatim(path), _verbatim(target)]
    try:
        papermill.execute_notebook(*files, job, cwd=path.parent, **options)
    except papermill.PapermillExecutionError as failure:
        where = f"cell {failure.exec_count}: {failure.ename}: "
        own = failure.ename in ("CourseError", "KeyboardInterrupt")
        return "failed", f"{'' if own else where}{failure.evalue}"
    except KeyboardInterrupt:
        return "interrupted", "stopped with Ctrl-C"
    except Exception as failure:  # a kernel that is killed, a disk that is full, …
        return "failed", f"{failure}: is memory or disk full? Close other programs."
    return "passed", ""


@contextlib.contextmanager
def _watched(every: float = 0.25) -> Iterator[list[int]]:
    """Measure the peak memory (bytes) of the kernels started meanwhile."""
    peak, stop = [0], threading.Event()

    def watch() -> None:
        me = psutil.Process()
        while not stop.wait(every):
            peak[0] = max(peak[0], _in_use(me.children(recursive=True)))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def _in_use(processes: Sequence[psutil.Process]) -> int:
    """Return the bytes in use; what large processes share is counted only once.

    Two of them that have loaded PyTorch share 300 MB, which machines and containers
    count once, too. Only Linux tells (and slowly, so one process alone is not asked).
    """
    sizes = {}
    for p in processes:
        with contextlib.suppress(psutil.Error):  # it has ended
            sizes[p] = p.memory_info().rss
    large = [p for p, size in sizes.items() if size > 100 * MB]
    for p in large if len(large) > 1 and psutil.LINUX else []:
        with contextlib.suppress(psutil.Error):  # it has ended: it counts no more
            sizes[p] = sizes.pop(p) and p.memory_full_info().pss
    return sum(sizes.values())


def _broken(claims: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [c for c in claims if c["judged"] and not c["holds"]]


def _line(entry: dict[str, Any]) -> str:
    """Return what a run says of one notebook, and below it what went wrong."""
    found = [c["holds"] for c in claims(entry)]
    used = f"{entry['seconds']:6.1f} s {entry['peak_rss_mb']:5d} MB"
    text = f"{entry['name']:24s} {used}  claims {sum(found)}/{len(found)}"
    passed = entry["status"] == "passed"
    lines = [f"✔ {text}" if passed else f"✘ {text}  {entry['status']}"]
    lines += filter(None, [entry["error"]])
    own_data = entry["parameters"].get("DATA") is not None
    word = "finding: not so here" if own_data else "does not hold"
    for claim in _broken(entry["claims"]):
        lines.append(f"{word}: {claim['text']} ({claim['evidence']})")
    return "\n".join(lines).replace("\n", "\n    ")
