"""Start a notebook: profile, device, seed; record its figures and its claims."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from ..errors import CourseError
from ..machine import (
    data_folder,
    default_device,
    fast_precision,
    hardware,
    hub_reachable,
    seed_everything,
)

T = TypeVar("T")

PROFILES = ("auto", "mini", "full")

REPORT_VARIABLE = "TLHELPERS_REPORT"

SMOKE_VARIABLE = "TLHELPERS_SMOKE"


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


def read_study(notebook: str) -> dict[str, Any] | None:
    """Read ``data/studies/NN.json``; None where no study has been run."""
    path = data_folder() / "studies" / f"{notebook}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _report(entry: dict[str, Any]) -> None:
    """Append one line for ``tlhelpers run``, which names the file."""
    path = os.environ.get(REPORT_VARIABLE)
    if not path:
        return
    if torch.cuda.is_available():
        entry["gpu_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
