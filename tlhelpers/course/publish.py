"""Write the pages of a run; clean notebooks, and tell whether their code changed."""

import hashlib
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import nbformat

from ..errors import CourseError
from .session import legible

WIDGET = "application/vnd.jupyter.widget-view+json"
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
