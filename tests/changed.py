"""Choose the tests that a change can affect: ``pytest --changed REF``.

What follows from what is read from the imports. A room that imports a changed room is
affected, too, and a lesson is affected by the rooms whose names it uses. Where this
cannot tell, the test runs.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import nbformat
from notebook_tools import NOTEBOOKS, ROOT
from test_house import PACKAGE, imports, public_names

#: What all tests stand on, or what no import tells of: everything runs.
TOOLS = (
    r"tests/(?!benchmarks/|.*test_).*\.py$|pyproject|const|"
    r"tlhelpers/(__init__|.*(?<!\.py)$)"
)


def changed_files(ref: str) -> list[str]:
    """Return what differs from a commit, new files included."""
    found = []
    for command in (
        ["diff", "--name-only", ref],
        ["ls-files", "-o", "--exclude-standard"],
    ):
        done = subprocess.run(
            ["git", *command], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"--changed {ref}: {done.stderr.strip()}")
        found += done.stdout.splitlines()
    return found


def room(path: Path) -> str:
    """Return the name of a module inside the package: "training", "course.run"."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def affected_rooms(paths: list[str]) -> set[str]:
    """Return the changed rooms and all that import them, however far above."""
    uses = {room(p): imports(p) for p in PACKAGE.rglob("*.py")}
    found = {room(ROOT / p) for p in paths if re.match(r"tlhelpers/.*\.py$", p)}
    while more := {r for r, below in uses.items() if below & found} - found:
        found |= more
    return found


def affected_lessons(paths: list[str], rooms: set[str]) -> set[str]:
    """Return the numbers of the lessons that changed, or that use an affected room."""
    found = set(
        re.findall(r"(?:notebooks/|solutions/|exercises/ex)(\d\d)", " ".join(paths))
    )
    listed = public_names()
    everything = any(p.startswith("data/") for p in paths)
    for path in NOTEBOOKS:
        code = "\n".join(
            c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"
        )
        names = re.findall(r"\btl\.(\w+)", code)
        homes = {room for room in rooms if set(names) & set(listed.get(room, ()))}
        annex = "import project" in code and any(r.startswith("project") for r in rooms)
        if everything or annex or homes:
            found.add(path.name[:2])
    return found


def chooser(paths: list[str]):
    """Return a function that says of a test's file and lesson whether it must run."""
    rooms = affected_rooms(paths)
    lessons = affected_lessons(paths, rooms)
    tools = [p for p in paths if re.match(TOOLS, p)]

    def wanted(file: str, lesson: str | None) -> bool:
        if tools or file in paths:
            return True
        if lesson is not None:
            return lesson in lessons
        part, name = re.match(r"tests/(?:(\w+)/)?test_(\w+)\.py", file).groups()
        if any(p.startswith("data/") for p in paths):
            return True
        if part in ("course", "project"):
            return any(r.startswith(part) for r in rooms)
        if part == "hostile" or name == "properties":
            return bool(rooms)
        known = (PACKAGE / f"{name}.py").is_file()
        return name in rooms if known else True

    return wanted
