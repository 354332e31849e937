"""Write what was measured: notebook headers, README table, web pages, badges."""

import hashlib
import re
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import nbformat

from ..errors import CourseError
from ..machine import data_folder
from .run import replace_text
from .session import legible, read_json

WIDGET = "application/vnd.jupyter.widget-view+json"
REPOSITORY = re.compile(r'^Repository = "https://github\.com/([^"]+)"', re.M)
HEAD = "| notebook | time | memory | hardware |\n|---|---|---|---|"
TEMPLATES = Path(__file__).parent
READ = partial(nbformat.read, as_version=4)
PARTS, AGAIN = ("environment", "notebooks"), "Run `make course` first."


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what one run leaves behind, in place: widget state, times, stderr.

    Parameters
    ----------
    notebook : NotebookNode
        As papermill wrote it.
    """
    cells = [c for c in notebook.cells if "injected-parameters" not in _tags(c)]
    notebook.cells = cells
    for node in (notebook, *cells):
        for key in ("widgets", "papermill", "execution"):
            node.metadata.pop(key, None)
    code = [c for c in cells if c.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
        cell.outputs = [o for o in cell.outputs if _kept(o)]
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    return notebook


def fingerprint(notebook: nbformat.NotebookNode) -> str:
    """Return the SHA-256 of a notebook's code: is it still what was run?

    Parameters
    ----------
    notebook : NotebookNode
        A clean one. Its text and its outputs do not count.
    """
    code = [c.source for c in notebook.cells if c.cell_type == "code"]
    return hashlib.sha256(repr(code).encode()).hexdigest()


def _tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def _kept(output: nbformat.NotebookNode) -> bool:
    return output.get("name") != "stderr" and WIDGET not in output.get("data", {})


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


def publish(folder: Path) -> None:
    """Keep a clean run: outputs and headers of the notebooks, table of the README.

    What was found, and of which code, stays in the notebook's metadata: the tests judge
    that as long as the code is the same.

    Parameters
    ----------
    folder : Path
        Written by ``tlhelpers run``; every notebook in it passed, with its own seed
        and on the bundled data. Its minutes are divided by the machine's pace.

    Raises
    ------
    CourseError
        If the run is missing, damaged, failed, or was not an ordinary one.
    """
    read, root = partial(read_json, keys=PARTS), data_folder().parent
    results = legible(folder / "results.json", read, AGAIN)
    for entry in results["notebooks"]:
        _check_ordinary(entry)
        entry["seconds"] /= results["environment"].get("pace", 1)
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


def set_repository(repository: str) -> None:
    """Point badges, links and the notebooks' first cells at a repository.

    Parameters
    ----------
    repository : str
        "owner/name" on GitHub. The old one is read from ``[project.urls]``.

    Raises
    ------
    CourseError
        If it does not look like owner/name.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise CourseError(f"{repository!r} is no repository.", "Write owner/name.")
    root, old = data_folder().parent, current_repository()
    paths = [root / "README.md", *sorted((root / "notebooks").rglob("*.ipynb"))]
    # pyproject.toml last: it says what to replace, should this be interrupted.
    for path in [*paths, *sorted(root.glob("docs/*.md")), root / "pyproject.toml"]:
        text = path.read_text(encoding="utf-8")
        if old in text:
            replace_text(path, text.replace(old, repository))
            print(f"wrote {path}")


def current_repository() -> str:
    """Return "owner/name" from ``[project.urls]`` in pyproject.toml."""
    text = (data_folder().parent / "pyproject.toml").read_text(encoding="utf-8")
    found = REPOSITORY.search(text)
    if not found:
        raise CourseError("pyproject.toml names no Repository.", "Add it to its urls.")
    return found[1]


def write_pages(out: Path, results: dict[str, Any]) -> None:
    """Write one HTML page per executed notebook, and ``index.html``.

    Parameters
    ----------
    out : Path
        Where ``tlhelpers run`` put the executed notebooks.
    results : dict
        The content of ``results.json``.
    """
    from nbconvert import HTMLExporter

    # Math and widgets come from the network in the default pages; ours must open
    # in a classroom without one.
    offline = dict.fromkeys(("mathjax_url", "require_js_url", "jquery_url"), "")
    template = str(TEMPLATES / "page.html.j2")
    pages = HTMLExporter(embed_images=True, template_file=template, **offline)
    headlines = dict.fromkeys(entry["name"] for entry in results["notebooks"])
    for name in headlines:
        path = out / f"{name}.ipynb"
        with suppress(CourseError):  # cut off: no page, and the index has the reason
            notebook = clean(legible(path, READ, AGAIN))
            page, _ = pages.from_notebook_node(notebook, {"metadata": {"name": name}})
            path.with_suffix(".html").write_text(page, encoding="utf-8")
            headlines[name] = [c for c in notebook.cells if "headline" in _tags(c)]
    form = (TEMPLATES / "index.html.j2").read_text(encoding="utf-8")
    text = jinja2.Template(form, autoescape=True).render(**results, headlines=headlines)
    (out / "index.html").write_text(text + "\n", encoding="utf-8")
