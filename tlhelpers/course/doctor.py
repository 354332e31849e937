"""Check a machine for the course: one line per check, each failure with a next step."""

import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import distributions, requires
from pathlib import Path
from timeit import repeat

import psutil
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .. import bert, datasets, machine, sources
from .session import hardware, is_smoke, read_study

BUNDLED = "cells flowers mail pets reviews sketches"
OK, FAIL = "[OK]  ", "[FAIL]"
#: Whether all is well, what was looked at, the next step if not.
Finding = tuple[bool, str, str]
#: Seconds of the work in :func:`pace` where the README's minutes belong, estimated. The
#: pictures: another machine read 0.58 and took 1.49 times as long for ten unchanged
#: notebooks. The words: one where the pictures said 0.87 on average took 0.32 s.
PICTURES, WORDS = 0.39, 0.37


@cache
def pace() -> float:
    """Return how many times as long as the README says a run takes on this machine.

    A small network goes forward and back on pictures, an LSTM on words; each counts
    half. On one machine the time of the first varied by a third between two processes,
    that of the second by a hundredth.
    """
    network, x = sources.small_cnn(2), torch.zeros(128, 3, 64, 64)
    reader, words = torch.nn.LSTM(256, 640, 2), torch.zeros(70, 16, 256)
    how = {"number": 2, "repeat": 1 if is_smoke() else 4}
    pictures = repeat(lambda: network(x).sum().backward(), **how)
    read = repeat(lambda: reader(words)[0].sum().backward(), **how)
    return (min(pictures) / PICTURES + min(read) / WORDS) / 2


def check_machine() -> bool:
    """Print one line per check and return whether all went well."""
    well = True
    for check in (_computer, _packages, _bundled):
        for good, text, step in check():
            well &= good
            print(f"{OK} {text}" if good else f"{FAIL} {text}\n       → {step}")
    return well


def _computer() -> Iterator[Finding]:
    recent = sys.version_info >= (3, 10)
    yield recent, f"Python {platform.python_version()}", "Install Python 3.10 or newer."
    note = "" if machine.default_device() == "cuda" else " (mini needs no GPU)"
    yield True, f"device {hardware()}, {machine.fast_precision()}{note}", ""
    yield True, f"CPU runs take {pace():.1f} times as long as the README says", ""
    memory = psutil.virtual_memory().available / 2**30
    yield memory >= 2, f"{memory:.1f} GB of memory free", "Close programs: 2 GB needed."
    disk = shutil.disk_usage(".").free / 2**30
    yield disk >= 0.5, f"{disk:.1f} GB of disk free", "Free 0.5 GB of disk."
    hub = "reached" if machine.hub_reachable() else "not reached (mini needs none)"
    yield True, f"model hub {hub}", ""


def _packages() -> Iterator[Finding]:
    have = {canonicalize_name(d.name): d.version for d in distributions() if d.name}
    right = []
    for r in map(Requirement, requires("tlhelpers") or []):
        found = have.get(canonicalize_name(r.name), "missing")
        if found != "missing" and r.specifier.contains(found, prereleases=True):
            right.append(f"{r.name} {found}")
        # What an extra brings may be missing, but not too old.
        elif found != "missing" or not r.marker or r.marker.evaluate({"extra": ""}):
            step = f'Run `pip install -c constraints.txt "{r.name}{r.specifier}"`.'
            yield False, f"{r.name} {found}", step
    yield True, f"packages: {', '.join(sorted({*right}))}", ""


def _bundled() -> Iterator[Finding]:
    """Look at every file that a lesson opens without a network."""
    folder = machine.data_folder()
    for name in BUNDLED.split():
        yield _checked(f"data/{name}", check_bundled, folder / name)
    for name in sorted({path.stem for path in folder.glob("models/*.[js]*")}):
        yield _checked(f"data/models/{name}", _check_model, name)
    for path in sorted(folder.glob("studies/*.json")):
        yield _checked(f"data/studies/{path.stem}", read_study, path.stem)
    yield _checked("source model EfficientNet-Lite0", sources.load_source)
    yield _checked("source model MiniLM", bert.load_bert)


def check_bundled(folder: Path) -> int:
    """Check the sha256 of every file of a bundled set.

    Parameters
    ----------
    folder : Path
        Holds ``card.json``, and ``manifest.csv`` with pictures, or a table of texts.

    Returns
    -------
    int
        Number of rows in the manifest or table.

    Raises
    ------
    CourseError
        Naming the first file that is missing or damaged.
    """
    _, rows = datasets.read_bundled(folder)
    for file, sha256 in zip(rows.get("file", []), rows.get("sha256", [])):
        machine.check_file(folder / file, sha256)
    return len(rows)


def _check_model(name: str) -> str:
    return machine.read_model_card(name)[1]["sha256"]  # without it nothing is checked


def _checked(what: str, job: Callable[..., object], *arguments: object) -> Finding:
    try:
        job(*arguments)
    except Exception as error:  # a damaged file raises whatever its reader does
        problem = f"{what} cannot be read ({type(error).__name__}: {error})."
        step = getattr(error, "next_step", machine.REPAIR)
        return False, getattr(error, "problem", problem), step
    return True, f"{what}: as published", ""


def download() -> None:
    """Fetch the photographs of the full profile: pets and flowers."""
    for load in (datasets.load_pets, datasets.load_flowers):
        print(OK, load("full"))
