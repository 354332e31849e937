"""Start a notebook: profile, device, seed; record its figures and its claims."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import random
import socket
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np

from .errors import CourseError

PROFILES = ("auto", "mini", "full")
REPAIR = "Restore it with `git checkout -- data`, or install tlhelpers again."
HUB = "https://huggingface.co"
REPORT_VARIABLE = "TLHELPERS_REPORT"
SMOKE_VARIABLE = "TLHELPERS_SMOKE"
T = TypeVar("T")


@dataclass(frozen=True)
class Range:
    """Where a metric lies over many seeds, from ``data/studies/NN.json``.

    Attributes
    ----------
    low, high : float
        Ends of the 99 % prediction interval for one more run (Student's t).
    mean, sd : float
        Mean and standard deviation over the runs of the study.
    n : int
        Number of runs.
    """

    low: float
    high: float
    mean: float
    sd: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Range:
        """Compute the range from the scores of a study, shape (n,), n >= 2."""
        from scipy.stats import t

        v = np.asarray(list(values), dtype=float)
        sd = float(v.std(ddof=1))
        half = float(t.ppf(0.995, len(v) - 1)) * sd * np.sqrt(1 + 1 / len(v))
        mean = float(v.mean())
        low, high = mean - half, mean + half
        if 0 <= v.min() and v.max() <= 1:  # a share can be no more than all
            low, high = max(low, 0.0), min(high, 1.0)
        return cls(low, high, mean, sd, len(v))

    def __contains__(self, value: float) -> bool:
        return self.low - 1e-9 <= value <= self.high + 1e-9


@dataclass
class Session:
    """One run of one notebook; made by :func:`start`.

    Attributes
    ----------
    profile : {"mini", "full"}
        Bundled data on any machine, or public data sets on a GPU.
    device : {"cpu", "cuda"}
        Where tensors are computed.
    precision : {"fp32", "bf16", "fp16"}
        Number format of inference and, on a GPU, of training.
    seed : int
        Seed of Python, NumPy and PyTorch at the start.
    notebook : str
        Two-digit number of the notebook, "" outside the course.
    own_data : bool
        True where the learner brought data of their own: a claim that does not
        hold is then a finding about that data, not an error.
    smoke : bool
        True under ``TLHELPERS_SMOKE=1``: tiny sizes, claims shown, not judged.
    """

    profile: str
    device: str
    precision: str
    seed: int
    notebook: str = ""
    own_data: bool = False
    smoke: bool = False
    metrics: dict[str, float] = field(default_factory=dict)
    claims: list[dict[str, Any]] = field(default_factory=list)

    def size(self, normal: T, smoke: T) -> T:
        """Return ``normal``, or ``smoke`` when the tests only try the cells."""
        return smoke if self.smoke else normal

    def record(self, name: str, value: float) -> float:
        """Keep a figure under a name, for ``results.json``, and return it."""
        self.metrics[name] = float(value)
        _report({"kind": "metric", "name": name, "value": float(value)})
        return float(value)

    def claim(self, text: str, holds: bool, *, evidence: str = "") -> bool:
        """State what the lesson teaches and print whether this run bears it out.

        Parameters
        ----------
        text : str
            The statement.
        holds : bool
            The condition that the run computed.
        evidence : str
            The figures it rests on, for the reader.

        Returns
        -------
        bool
            ``holds``, as a Python bool.
        """
        holds = bool(holds)
        entry = {"text": text, "holds": holds, "evidence": evidence}
        entry["judged"] = not self.smoke
        self.claims.append(entry)
        _report({"kind": "claim", **entry})
        mark = "·" if self.smoke else "✔" if holds else "○" if self.own_data else "✘"
        note = {"·": " (not judged: smoke run)", "○": " (not so on your data)"}
        print(f"{mark} {text}{note.get(mark, '')}\n  {evidence}".rstrip())
        return holds

    def expected(self, name: str) -> Range | None:
        """Return the range of a recorded metric over the study, if there is one."""
        if self.profile != "mini" or self.own_data or self.smoke:
            return None
        study = read_study(self.notebook)
        values = study["metrics"].get(name) if study else None
        return Range.of(values) if values else None

    def compare(self, *names: str) -> None:
        """Print each metric of this run beside its range over many seeds."""
        for name in names:
            value, expected = self.metrics[name], self.expected(name)
            if expected is None:
                print(f"{name:42s} {value:.3f}   (no range for this kind of run)")
                continue
            verdict = "inside" if value in expected else "OUTSIDE"
            print(
                f"{name:42s} {value:.3f}   {verdict} {expected.low:.3f} … "
                f"{expected.high:.3f} ({expected.n} runs)"
            )


def start(
    profile: str = "auto",
    seed: int = 0,
    *,
    notebook: str = "",
    data: str | Path | None = None,
) -> Session:
    """Seed everything, choose profile and device, and say what was chosen.

    Parameters
    ----------
    profile : {"auto", "mini", "full"}
        "auto" is "full" with a CUDA GPU and the model hub in reach, else "mini".
    seed : int
        Seed for Python, NumPy and PyTorch, >= 0.
    notebook : str
        Two-digit number, to find the notebook's study.
    data : path or None
        The learner's own data, if any.

    Returns
    -------
    Session

    Raises
    ------
    CourseError
        If the profile is unknown.
    """
    if profile not in PROFILES:
        raise CourseError(
            f"There is no profile {profile!r}.",
            f"Set PROFILE to one of {', '.join(map(repr, PROFILES))}.",
        )
    # Libraries warn each other about things no learner can change.
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*deprecated.*")
    seed_everything(seed)
    device = default_device()
    if profile == "auto":
        profile = "full" if device == "cuda" and hub_reachable() else "mini"
    smoke = os.environ.get(SMOKE_VARIABLE, "") not in ("", "0")
    run = Session(
        profile, device, fast_precision(device), seed, notebook, data is not None, smoke
    )
    where = f"your own, {data}" if run.own_data else _DATA_WORDS[profile]
    print(f"profile {profile} · {hardware()} · {run.precision} · data: {where}")
    _report({"kind": "session", "profile": profile, "device": device, "seed": seed})
    return run


_DATA_WORDS = {"mini": "bundled with the course", "full": "public data sets"}


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (every device)."""
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def default_device() -> str:
    """Return "cuda" where a GPU answers, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def fast_precision(device: str | None = None) -> str:
    """Return the number format in which the device infers fastest.

    A GPU without bf16 units (a T4) gets "fp16"; a CPU gets "bf16" only where it has
    instructions for it, because elsewhere bf16 is emulated and slower than "fp32".
    """
    import torch

    if (device or default_device()) == "cuda":
        major, _ = torch.cuda.get_device_capability()
        return "bf16" if major >= 8 else "fp16"
    flags = [f"_is_{unit}_supported" for unit in ("amx_tile", "avx512_bf16")]
    has = any(getattr(torch.cpu, f, lambda: False)() for f in flags)
    return "bf16" if has else "fp32"


def autocast(device: str | None = None, precision: str | None = None) -> Any:
    """Return a context in which matrix products run in the given precision."""
    import torch

    device = device or default_device()
    precision = precision or fast_precision(device)
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device, dtype=dtype, enabled=precision != "fp32")


def hardware() -> str:
    """Describe the computing device in words, for example "cpu, 2 threads"."""
    import torch

    if default_device() == "cuda":
        return torch.cuda.get_device_name()
    return f"cpu, {torch.get_num_threads()} threads"


def hub_reachable(timeout: float = 2.0) -> bool:
    """Return whether the model hub, or the proxy before it, answers in time."""
    if os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
        return False
    hub = urlsplit(getproxies().get("https") or os.environ.get("HF_ENDPOINT") or HUB)
    try:
        address = (hub.hostname, hub.port or 443)
        with socket.create_connection(address, timeout=timeout):
            return True
    except OSError:
        return False


def data_folder() -> Path:
    """Return the folder with the bundled data: in a checkout, or as installed."""
    here = Path(__file__).resolve().parent
    for folder in (here.parent / "data", here / "data"):
        if (folder / "README.md").is_file():
            return folder
    raise CourseError(
        "The bundled data of the course was not found.",
        "Install tlhelpers again, or run inside a complete checkout.",
    )


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, read a megabyte at a time."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def check_file(path: Path, sha256: str) -> None:
    """Raise CourseError if a bundled file is missing or not the one it should be."""
    if not path.is_file():
        raise CourseError(f"The bundled file {path} is missing.", REPAIR)
    if file_sha256(path) != sha256:
        raise CourseError(f"The bundled file {path} is damaged (sha256).", REPAIR)


def read_model_card(name: str, *, check: bool = True) -> tuple[Path, dict[str, Any]]:
    """Find a bundled model, check its files and read its card.

    Parameters
    ----------
    name : str
        Name of the files in ``data/models``, without the suffix.
    check : bool
        False for the card alone, where the weights are not wanted.

    Returns
    -------
    path : Path
        The weights (``.safetensors``); a vocabulary stands beside them (``.txt``).
    card : dict
        What the ``.json`` file says.

    Raises
    ------
    CourseError
        If a file is missing, or not the one the card describes.
    """
    path = data_folder() / "models" / f"{name}.safetensors"
    if not path.with_suffix(".json").is_file():
        raise CourseError(f"{path.with_suffix('.json')} is missing.", REPAIR)
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if check:
        check_file(path, card["sha256"])
    if check and "vocabulary_sha256" in card:
        check_file(path.with_suffix(".txt"), card["vocabulary_sha256"])
    return path, card


def read_study(notebook: str) -> dict[str, Any] | None:
    """Read ``data/studies/NN.json``; None where no study has been run."""
    path = data_folder() / "studies" / f"{notebook}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def progress(items: Iterable[T], text: str, total: int | None = None) -> Iterator[T]:
    """Iterate with a progress bar; silent where a program runs the notebook."""
    from tqdm.auto import tqdm

    quiet = REPORT_VARIABLE in os.environ or "PYTEST_CURRENT_TEST" in os.environ
    yield from tqdm(items, desc=text, total=total, leave=False, disable=quiet)


def release_memory() -> None:
    """Give freed memory back to the system, where the C library would keep it.

    After training on a CPU that is a few hundred megabytes, and small machines have
    two gigabytes.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
        if trim is not None:
            trim(0)


def _report(entry: dict[str, Any]) -> None:
    """Append one line for ``tlhelpers run``, which names the file."""
    path = os.environ.get(REPORT_VARIABLE)
    if not path:
        return
    import torch

    if torch.cuda.is_available():
        entry["gpu_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
