"""Start a notebook; record its figures, judge its claims, compare two arms."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import stats
from threadpoolctl import threadpool_limits

from .. import machine
from ..errors import CourseError

#: Names the file to which a notebook reports; ``tlhelpers run`` sets it.
REPORT_VARIABLE = "TLHELPERS_REPORT"
#: Set to 1, every size shrinks and claims are shown, not judged.
SMOKE_VARIABLE = "TLHELPERS_SMOKE"
_DATA_WORDS = {"mini": "bundled with the course", "full": "public data sets"}


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
        """Compute the range from the scores of a study.

        Parameters
        ----------
        values : iterable of float, n >= 2 of them
            Scores between 0 and 1 are taken for shares: so is the range.
        """
        v = np.asarray(list(values), dtype=float)
        mean, sd = float(v.mean()), float(v.std(ddof=1))
        half = stats.t.ppf(0.995, len(v) - 1) * sd * np.sqrt(1 + 1 / len(v))
        low, high = float(mean - half), float(mean + half)
        if 0 <= v.min() and v.max() <= 1:  # a share can be no more than all
            low, high = max(low, 0.0), min(high, 1.0)
        return cls(low, high, mean, sd, len(v))

    def __contains__(self, value: float) -> bool:
        return self.low - 1e-9 <= value <= self.high + 1e-9


class Verdict(NamedTuple):
    """Who is ahead, by how much, over how many draws; as text, the sentence.

    Attributes
    ----------
    difference : float
        Mean of the paired differences, first minus second.
    low, high : float
        Ends of its 95 % interval (Student's t, n - 1 degrees of freedom).
    n : int
        Number of draws.
    sentence : str
        What :meth:`Session.verdict` printed.
    """

    difference: float
    low: float
    high: float
    n: int
    sentence: str

    def __str__(self) -> str:
        return self.sentence


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
    metrics : dict of str to float
        What was recorded.
    claims : list of dict
        What was claimed and demonstrated.
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

    def size(self, normal: Any, smoke: Any) -> Any:
        """Return ``normal``, or ``smoke`` when the tests only try the cells.

        Parameters
        ----------
        normal, smoke : object
            A size for learners, a tiny one for tests.
        """
        return smoke if self.smoke else normal

    def record(self, name: str, value: float) -> float:
        """Keep a figure under a name, for ``results.json``, and return it.

        Parameters
        ----------
        name : str
            Its name in ``results.json``, in the study and for :meth:`compare`.
        value : float
            Any number, NumPy's and PyTorch's included. Unless finite, it is
            reported, and null in ``results.json``.
        """
        self.metrics[name] = value = float(value)
        known = value if np.isfinite(value) else None
        _report({"kind": "metric", "name": name, "value": known})
        if known is None:
            print(f"○ {name} is not finite: {value}")
        return value

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
        return self._state("·" if self.smoke else "✔", text, holds, evidence)

    def demonstrate(self, text: str, holds: bool, *, evidence: str = "") -> bool:
        """Show what is true by construction: checked like a claim, but no finding.

        Parameters
        ----------
        text : str
            The statement.
        holds : bool
            The condition that the run computed. False is an error of the lesson.
        evidence : str
            The figures, for the reader.

        Returns
        -------
        bool
            ``holds``, as a Python bool.
        """
        return self._state("◆", text, holds, evidence, demonstration=True)

    def _state(
        self, good: str, text: str, holds: bool, evidence: str, **more: bool
    ) -> bool:
        entry = {"text": text, "holds": bool(holds), "evidence": evidence}
        entry |= {"judged": not self.smoke, **more}
        self.claims.append(entry)
        _report({"kind": "demonstration" if more else "claim", **entry})
        mark = good if holds else "·" if self.smoke else "○" if self.own_data else "✘"
        note = {"·": " (not judged: smoke run)", "○": " (not so on your data)"}
        print(f"{mark} {text}{note.get(mark, '')}\n  {evidence}".rstrip())
        return bool(holds)

    def verdict(
        self,
        a: Sequence[float],
        b: Sequence[float],
        *,
        names: tuple[str, str] = ("a", "b"),
        label: str = "accuracy",
    ) -> Verdict:
        """Print who is ahead, by how much, and whether it could be chance.

        Parameters
        ----------
        a, b : sequence of float, shape (n,), n >= 2
            Scores of the two arms, larger is better. Both arms saw the same draws, so
            ``a[i]`` and ``b[i]`` belong together.
        names : (str, str)
            What the two arms are called.
        label : str
            What the score is called.

        Returns
        -------
        Verdict
            The mean difference, its 95 % interval, the number of draws; the sentence.

        Raises
        ------
        CourseError
            If the scores are no pairs, fewer than two, or not finite.

        Source
        ------
        Student 1908, The Probable Error of a Mean (the paired t interval).
        """
        x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        pairs = x.shape == y.shape == (x.size,) and x.size >= 2
        if not pairs or not np.isfinite(x - y).all():
            got = f"got {x.tolist()} and {y.tolist()}"
            problem = f"Pairs of finite scores were expected; {got}."
            raise CourseError(problem, "Score both arms on the same draws, 2 or more.")
        d, n, mean = x - y, len(x), float((x - y).mean())
        half = float(stats.t.ppf(0.975, n - 1) * d.std(ddof=1) / np.sqrt(n))
        low, high = mean - half, mean + half
        ahead, behind = names if mean >= 0 else names[::-1]
        verb, to = ("is ahead of", " by ") if round(mean, 3) else ("ties", ": ")
        luck = "not beyond chance" if low <= 0 <= high else "beyond chance"
        by = f"{verb} {behind}{to}{abs(mean):.3f} ± {half:.3f} in {label}"
        sentence = f"{ahead} {by} (95 % interval, {n} paired draws), {luck}."
        print(sentence)
        return Verdict(mean, low, high, n, sentence)

    def expected(self, name: str) -> Range | None:
        """Return the range of a recorded metric over the study, if there is one.

        Parameters
        ----------
        name : str
            As given to :meth:`record`.
        """
        usual = self.profile == "mini" and not (self.own_data or self.smoke)
        study = read_study(self.notebook) if usual else None
        values = study["metrics"].get(name) if study else None
        return Range.of(values) if values else None

    def compare(self, *names: str) -> None:
        """Print each metric of this run beside its range over many seeds.

        Parameters
        ----------
        *names : str
            As given to :meth:`record`.
        """
        for name in names:
            if self.own_data and name not in self.metrics:
                print(f"{name:42s}   -     (not measured on your data)")
                continue
            value, study = self.metrics[name], self.expected(name)
            said = "(no range for this kind of run)"
            if study is not None:
                place = "inside" if value in study else "OUTSIDE"
                said = f"{place} {study.low:.3f} … {study.high:.3f} ({study.n} runs)"
            print(f"{name:42s} {value:.3f}   {said}")


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
        Seed for Python, NumPy and PyTorch, 0 … 2,147,483,647.
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
        If the profile is unknown, or the seed invalid.
    """
    check_choices(profile, seed)
    # Libraries warn each other about things no learner can change.
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*deprecated.*")
    machine.seed_everything(seed)
    # On products this small, two threads of BLAS wait for each other most of the time.
    threadpool_limits(1, user_api="blas")
    device = machine.default_device()
    if profile == "auto":
        profile = "full" if device == "cuda" and machine.hub_reachable() else "mini"
    precision, own_data = machine.fast_precision(device), data is not None
    run = Session(profile, device, precision, seed, notebook, own_data, is_smoke())
    where = f"your own, {data}" if own_data else _DATA_WORDS[profile]
    print(f"profile {profile} · {hardware()} · {precision} · data: {where}")
    _report({"kind": "session", "profile": profile, "device": device, "seed": seed})
    return run


def hardware() -> str:
    """Describe the computing device in words, for example "cpu, 2 threads"."""
    if machine.default_device() == "cuda":
        return torch.cuda.get_device_name()
    return f"cpu, {torch.get_num_threads()} threads"


def check_choices(profile: str, seed: int) -> None:
    """Raise CourseError if there is no such profile, or no such seed."""
    if profile not in ("auto", "mini", "full"):
        problem = f"There is no profile {profile!r}."
        raise CourseError(problem, "Choose 'auto', 'mini' or 'full'.")
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**31:
        problem = f"A seed is a whole number from 0 to {2**31 - 1:,}; got {seed!r}."
        raise CourseError(problem, "Take SEED = 0, for example.")


def is_smoke() -> bool:
    """Return whether the environment asks for a small run that judges nothing."""
    return os.environ.get(SMOKE_VARIABLE, "") not in ("", "0")


def read_study(notebook: str) -> dict[str, Any] | None:
    """Read ``data/studies/NN.json``; None where no study has been run."""
    path = machine.data_folder() / "studies" / f"{notebook}.json"
    return legible(path, read_json, machine.REPAIR) if path.is_file() else None


def read_json(path: Path, keys: Iterable[str] = ("metrics",)) -> dict[str, Any]:
    """Read a file that has these keys at least."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content | {key: content[key] for key in keys}


def legible(path: Path, read: Callable[[Path], Any], next_step: str) -> Any:
    """Return what is read from a file, or say that it is missing or damaged.

    Parameters
    ----------
    path : Path
    read : callable
        Takes the path.
    next_step : str
        What to do where it raises.

    Raises
    ------
    CourseError
        Instead of whatever ``read`` raises.
    """
    try:
        return read(path)
    except Exception as error:  # each format raises kinds of its own
        problem = f"{path} is missing or damaged ({type(error).__name__}: {error})."
        raise CourseError(problem, next_step) from None


def _report(entry: dict[str, Any]) -> None:
    """Append one line for ``tlhelpers run``, which names the file."""
    if torch.cuda.is_available():
        entry["gpu_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    if path := os.environ.get(REPORT_VARIABLE):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
