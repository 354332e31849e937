"""Write into the course what was measured, and where it lies.

``python docs/site/publish.py run [FOLDER]`` (``make publish``) keeps a run: outputs and
headers of the notebooks, table of the README. ``python docs/site/publish.py ranges``
(``make study``) holds the kept results against new studies. ``python
docs/site/publish.py repository OWNER/NAME`` (``make badges``) points badges, links and
first cells at a repository.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from tlhelpers import CourseError  # noqa: E402
from tlhelpers.course.publish import AGAIN, PARTS, READ, clean, fingerprint  # noqa: E402
from tlhelpers.course.run import replace_text  # noqa: E402
from tlhelpers.course.session import Session, legible, read_json  # noqa: E402

REPOSITORY = re.compile(r'^Repository = "https://github\.com/([^"]+)"', re.M)
#: A line of ``run.compare``: name and value, then where the value lies.
COMPARED = re.compile(r"^(.+ -?\d+\.\d{3})   (?:inside|OUTSIDE|\(no range) .*$", re.M)
#: The same in the notes for instructors, in the section of a lesson.
QUOTED = re.compile(r"`([^`]+)` -?[\d.]+ – -?[\d.]+ \(\d+ runs\)")
HEAD = "| notebook | time | memory | hardware |\n|---|---|---|---|"


def fill(text: str, mark: str, content: str) -> str:
    """Replace what stands between ``<!-- mark -->`` and ``<!-- /mark -->``.

    Parameters
    ----------
    text : str
        Holds both marks.
    mark : str
        Their name.
    content : str
        What is to stand between them.

    Raises
    ------
    CourseError
        If the marks are not there.
    """
    first, last = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    pattern = re.compile(f"{first}.*?{last}", re.S)
    if not pattern.search(text):
        problem = f"No place marked {mark!r} was found."
        raise CourseError(problem, f"Add {first}{last}.")
    return pattern.sub(lambda _: f"{first}{content}{last}", text)


def measured(entry: dict[str, Any], environment: dict[str, Any]) -> str:
    """Say in one sentence how long a notebook took, on what, with how much memory.

    Parameters
    ----------
    entry, environment : dict
        Parts of ``results.json``.
    """
    hardware, (minutes, memory) = environment["device"], _figures(entry)
    if hardware == "cpu":
        hardware = f"{environment['cores']} CPU cores, no GPU"
    where = f"measured on {hardware} (profile {entry['profile']})"
    return f"{minutes} and {memory} of memory, {where}"


def _figures(entry: dict[str, Any]) -> tuple[str, str]:
    minutes = max(entry["seconds"], 6) / 60
    return f"{minutes:.1f} minutes", f"{entry['peak_rss_mb'] / 1000:.1f} GB"


def keep_run(folder: Path, root: Path = ROOT) -> None:
    """Keep a clean run: outputs and headers of the notebooks, table of the README.

    What was found, and of which code, stays in the notebook's metadata: the tests judge
    that as long as the code is the same.

    Parameters
    ----------
    folder : Path
        Written by ``tlhelpers run``; every notebook in it passed, with its own seed
        and on the bundled data. The minutes of each are divided by the machine's pace
        before and after it.
    root : Path
        The folder of the course.

    Raises
    ------
    CourseError
        If the run is missing, damaged, failed, or was not an ordinary one.
    """
    read = partial(read_json, keys=PARTS)
    results = legible(folder / "results.json", read, AGAIN)
    for entry in results["notebooks"]:
        _check_ordinary(entry)
        entry["seconds"] /= entry.pop("pace", results["environment"].get("pace", 1))
        notebook = legible(folder / f"{entry['name']}.ipynb", READ, AGAIN)
        title = clean(notebook).cells[0]
        text = measured(entry, results["environment"])
        title.source = fill(title.source, "measured", text)
        notebook.metadata["published"] = {"code": fingerprint(notebook), **entry}
        target = root / "notebooks" / f"{entry['name']}.ipynb"
        replace_text(target, nbformat.writes(notebook) + "\n")
        print(f"wrote {target}")
    _write_readme(root / "README.md", results)


def _check_ordinary(entry: dict[str, Any]) -> None:
    own = {k: v for k, v in entry.get("parameters", {}).items() if k != "PROFILE"}
    usual = own in ({}, {"SEED": 0}) and not entry.get("smoke", True)
    if (status := entry.get("status")) != "passed" or not usual:
        problem = f"The run of {entry.get('name')} is not one to publish"
        next_step = "Publish a passed run with seed 0, no -p and no TLHELPERS_SMOKE."
        raise CourseError(f"{problem} ({status}).", next_step)


def _write_readme(path: Path, results: dict[str, Any]) -> None:
    """Replace the rows of the notebooks that ran; the others' rows stay."""
    text, where = path.read_text(encoding="utf-8"), results["environment"]
    rows = {m[1]: m[0] for m in re.finditer(r"^\| \[(\d\d) .*$", text, re.M)}
    for entry in results["notebooks"]:
        name, (minutes, memory) = entry["name"], _figures(entry)
        link = f"[{name.replace('_', ' ')}](notebooks/{name}.ipynb)"
        hardware = "any" if entry["profile"] == "mini" else "GPU"
        rows[name[:2]] = f"| {link} | {minutes} | {memory} | {hardware} |"
    note = f"Measured on {where['cores']} cores ({where['device']}) by `make course`."
    body = "\n".join([HEAD, *(rows[number] for number in sorted(rows))])
    replace_text(path, fill(text, "table", f"\n{body}\n\n{note}\n"))
    print(f"wrote {path}")


def renew_ranges(root: Path = ROOT) -> None:
    """Hold the kept results against the studies as they are now; nothing is run.

    What ``run.compare`` prints depends on the recorded results, which are kept, and on
    the study. A notebook whose code has changed since it was published stays as it is.
    The notes for instructors get the same ranges.

    Parameters
    ----------
    root : Path
        The folder of the course.
    """
    notes = root / "docs" / "teaching" / "lessons.md"
    parts = re.split(r"(?m)^(?=## )", notes.read_text(encoding="utf-8"))
    for path in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
        notebook = READ(path)
        kept = notebook.metadata.get("published", {})
        if kept.get("code") != fingerprint(notebook):
            continue
        run = Session(kept["profile"], "cpu", "fp32", 0, path.name[:2])
        run.metrics |= kept["metrics"]
        with redirect_stdout(io.StringIO()) as said:
            run.compare(*run.metrics)
        lines = {m[1]: m[0] for m in COMPARED.finditer(said.getvalue())}
        renewed = partial(COMPARED.sub, lambda m, now=lines: now.get(m[1], m[0]))
        before = nbformat.writes(notebook)
        for output in (o for c in notebook.cells for o in c.get("outputs", [])):
            if "text" in output:
                output.text = renewed(output.text)
        if (after := nbformat.writes(notebook)) != before:
            replace_text(path, after + "\n")
            print(f"wrote {path}")
        renewed = partial(QUOTED.sub, partial(_quote, run))
        title = f"## {run.notebook} "
        parts = [renewed(p) if p.startswith(title) else p for p in parts]
    replace_text(notes, "".join(parts))


def _quote(run: Session, found: re.Match[str]) -> str:
    """Return a range as the notes for instructors quote it."""
    if (now := run.expected(found[1])) is None:
        return found[0]
    return f"`{found[1]}` {now.low:.3f} – {now.high:.3f} ({now.n} runs)"


def current_repository(root: Path = ROOT) -> str:
    """Return "owner/name" from ``[project.urls]`` in pyproject.toml.

    Parameters
    ----------
    root : Path
        The folder of the course.

    Raises
    ------
    CourseError
        If it names none.
    """
    found = REPOSITORY.search((root / "pyproject.toml").read_text(encoding="utf-8"))
    if not found:
        raise CourseError("pyproject.toml names no Repository.", "Add it to its urls.")
    return found[1]


def set_repository(repository: str, root: Path = ROOT) -> None:
    """Point badges, links and the notebooks' first cells at a repository.

    Parameters
    ----------
    repository : str
        "owner/name" on GitHub. The old one is read from ``[project.urls]``.
    root : Path
        The folder of the course.

    Raises
    ------
    CourseError
        If it does not look like owner/name.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise CourseError(f"{repository!r} is no repository.", "Write owner/name.")
    old = current_repository(root)
    paths = [root / "README.md", *sorted((root / "notebooks").rglob("*.ipynb"))]
    # pyproject.toml last: it says what to replace, should this be interrupted.
    paths += [*sorted(root.glob("docs/*.md")), *sorted(root.glob("deploy/*/*.md"))]
    for path in [*paths, root / "pyproject.toml"]:
        text = path.read_text(encoding="utf-8")
        if old in text:
            replace_text(path, text.replace(old, repository))
            print(f"wrote {path}")


def main(words: Sequence[str]) -> int:
    """Do what the words of the command line say; return the exit status.

    Parameters
    ----------
    words : sequence of str
        "run" and a folder, "ranges", or "repository" and "owner/name".
    """
    try:
        match words:
            case ["run", *folder] if len(folder) < 2:
                keep_run(Path(*folder or ["build/course"]))
            case ["ranges"]:
                renew_ranges()
            case ["repository", name]:
                set_repository(name)
            case _:
                raise CourseError(f"Unknown: {' '.join(words)!r}.", str(__doc__))
    except (CourseError, OSError) as error:
        print(f"✘ {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
