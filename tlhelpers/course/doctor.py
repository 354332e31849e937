"""Check a machine for the course: one line per check, each failure with a next step."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from .. import datasets, sources
from .. import machine as session
from ..errors import CourseError

OK, FAIL = "[OK]  ", "[FAIL]"
Finding = tuple[bool, str, str]


def check_machine() -> bool:
    """Print one line per check and return whether all went well."""
    failed = False
    for check in (
        _python,
        _packages,
        _device,
        _memory,
        _disk,
        _data,
        _source,
        _network,
    ):
        for good, text, step in check():
            failed |= not good
            print(
                f"{OK if good else FAIL} {text}"
                + ("" if good else f"\n       → {step}")
            )
    return not failed


def _python() -> list[Finding]:
    good = (3, 10) <= sys.version_info[:2]
    return [
        (good, f"Python {platform.python_version()}", "Install Python 3.10 or newer.")
    ]


def _packages() -> list[Finding]:
    from packaging.requirements import Requirement

    found: list[Finding] = []
    for line in requires("tlhelpers") or []:
        need = Requirement(line)
        if need.marker and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            have = version(need.name)
        except PackageNotFoundError:
            have = ""
        good = bool(have) and need.specifier.contains(have, prereleases=True)
        step = f'Run `pip install -c constraints.txt "{need}"`.'
        found.append((good, f"{need.name} {have or 'missing'}", step))
    right = ", ".join(text for good, text, _ in found if good)
    return [f for f in found if not f[0]] or [(True, f"packages: {right}", "")]


def _device() -> list[Finding]:
    gpu = session.default_device() == "cuda"
    note = "" if gpu else " (no GPU: the bundled data need none)"
    return [
        (True, f"device {session.hardware()}, {session.fast_precision()}{note}", "")
    ]


def _memory() -> list[Finding]:
    import psutil

    free = psutil.virtual_memory().available / 2**30
    return [
        (free >= 2, f"{free:.1f} GB of memory free", "Close programs: 2 GB needed.")
    ]


def _disk() -> list[Finding]:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return [(free >= 0.5, f"{free:.1f} GB of disk free", "Free 0.5 GB of disk.")]


def _data() -> list[Finding]:
    found: list[Finding] = []
    for card in sorted(session.data_folder().glob("*/card.json")):
        try:
            said = datasets.check_bundled(card.parent)
            found.append((True, f"data/{card.parent.name}: {said}", ""))
        except CourseError as error:
            found.append((False, error.problem, error.next_step))
    for card in sorted(session.data_folder().glob("models/*.json")):
        sha256 = json.loads(card.read_text(encoding="utf-8"))["sha256"]
        try:
            session.check_file(card.with_suffix(".safetensors"), sha256)
            found.append((True, f"data/models/{card.stem}: sha256 as in the card", ""))
        except CourseError as error:
            found.append((False, error.problem, error.next_step))
    return found


def _source() -> list[Finding]:
    import timm

    from .. import bert

    found: list[Finding] = []
    for name, load in (
        (
            sources.LITE0_CARD["title"],
            lambda: sources.lite0_weights(timm.create_model("tf_efficientnet_lite0")),
        ),
        (bert.MINILM["title"], bert.load_bert),
    ):
        try:
            load()
            found.append((True, f"source model {name}, sha256 as published", ""))
        except CourseError as error:
            found.append((False, error.problem, error.next_step))
    return found


def _network() -> list[Finding]:
    reach = session.hub_reachable()
    text = (
        "model hub reached"
        if reach
        else "model hub not reached (mini needs no network)"
    )
    return [(True, text, "")]
