"""What the installed packages weigh, and which of our requirements brings each.

    python tests/benchmarks/installation.py

Sums the files of every distribution that a requirement in ``pyproject.toml`` needs,
itself included. *alone* is what would go with it, because nothing else here needs it.
Prints a row for each of 15 MB and more, for docs/benchmarks.md, and the sum without
what serves NVIDIA's GPUs only: PyTorch's build for CPUs has none of it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import tomllib
from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
#: Parts of `make course`; the others serve tests, site, classes.
COURSE = ("lab", "run", "serve", "export")
GPU_NAMES = re.compile(r"^(nvidia-|triton$|cuda-)")
GPU_FILES = re.compile(r"torch/lib/lib\w*(cuda|nvrtc|nvshmem|cusparse|nccl)\w*\.so")
LEAST = 15  # MB


def megabytes(found: Distribution, files: re.Pattern | None = None) -> float:
    """Sum a distribution's files, or those whose names match."""
    paths = [f for f in found.files or () if files is None or files.search(str(f))]
    sizes = (f.locate() for f in paths if "__pycache__" not in str(f))
    return sum(p.stat().st_size for p in sizes if p.is_file()) / 1e6


@cache
def needed(name: str, extras: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return the names of a distribution and of all that it needs here."""
    names, waiting = set(), [(name, extras)]
    while waiting:
        name, extras = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in names or key == "tlhelpers":
            continue
        try:
            wants = distribution(name).requires or ()
        except PackageNotFoundError:  # for another system
            continue
        names.add(key)
        for want in map(Requirement, wants):
            environments = (
                {**default_environment(), "extra": e} for e in ("", *extras)
            )
            if not want.marker or any(map(want.marker.evaluate, environments)):
                waiting.append((want.name, frozenset(want.extras)))
    return frozenset(names)


def main() -> None:
    """Print the table and the sums."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    roots = {}
    for group, wants in groups.items():
        for want in map(Requirement, wants):
            if want.name != "tlhelpers" and (names := needed(want.name)):
                roots[want.name] = group, names
    size = {n: megabytes(distribution(n)) for _, names in roots.values() for n in names}
    print("| requirement | extra | MB with all it needs | MB alone |")
    print("|---|---|---|---|")
    rows = []
    for root, (group, names) in roots.items():
        others = set().union(*(n for r, (_, n) in roots.items() if r != root))
        alone = sum(size[n] for n in names - others)
        rows.append((alone, root, group, sum(size[n] for n in names)))
    for alone, root, group, whole in sorted(rows, reverse=True):
        if alone >= LEAST:
            print(f"| {root} | {group} | {whole:,.0f} | {alone:,.0f} |")
    parts = [names for group, names in roots.values() if group in ("", *COURSE)]
    course = set().union(*parts)
    whole = sum(size[n] for n in course)
    gpu = sum(size[n] for n in course if GPU_NAMES.search(n))
    gpu += megabytes(distribution("torch"), GPU_FILES)
    print(f"make course: {whole:,.0f} MB, for GPUs only {gpu:,.0f}: {whole - gpu:,.0f}")
    print(f"all extras: {sum(size.values()):,.0f} MB")


if __name__ == "__main__":
    main()
