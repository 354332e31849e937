"""Write what was measured: notebook headers, README table, web pages, badges."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from ..errors import CourseError
from ..machine import data_folder

WIDGET = "application/vnd.jupyter.widget-view+json"
REPOSITORY = re.compile(r'^Repository = "https://github\.com/([^"]+)"', re.M)
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .6rem;text-align:left;border-bottom:1px solid #999}
img{max-width:100%;height:auto}
.bad{color:#a30000;font-weight:bold}
@media(prefers-color-scheme:dark){body{background:#111;color:#eee}a{color:#8cf}
.bad{color:#ff9a9a}img{background:#fff}}
"""


def clean(notebook: Any) -> Any:
    """Drop what one run leaves behind, in place: widget state, times, stderr."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.pop("papermill", None)
    notebook.cells = [
        c
        for c in notebook.cells
        if "injected-parameters" not in c.metadata.get("tags", [])
    ]
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if _kept(o)]
    for count, cell in enumerate(
        (c for c in notebook.cells if c.cell_type == "code"), start=1
    ):
        cell.execution_count = count
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    return notebook


def _kept(output: Any) -> bool:
    return output.get("name") != "stderr" and WIDGET not in output.get("data", {})


def fill(text: str, mark: str, content: str) -> str:
    """Replace what stands between ``<!-- mark -->`` and ``<!-- /mark -->``.

    Raises
    ------
    CourseError
        If the marks are not there.
    """
    pattern = re.compile(rf"(<!-- {mark} -->).*?(<!-- /{mark} -->)", re.S)
    if not pattern.search(text):
        raise CourseError(
            f"No place marked {mark!r} was found.",
            f"Add <!-- {mark} --><!-- /{mark} -->.",
        )
    return pattern.sub(lambda m: f"{m[1]}{content}{m[2]}", text)


def measured(entry: dict[str, Any], environment: dict[str, Any]) -> str:
    """Say in one sentence how long a notebook took, on what, with how much memory."""
    hardware = environment["device"]
    if hardware == "cpu":
        hardware = f"{environment['cores']} CPU cores, no GPU"
    return (
        f"{_minutes(entry)} and {entry['peak_rss_mb'] / 1000:.1f} GB of memory, "
        f"measured on {hardware} (profile {entry['profile']})"
    )


def _minutes(entry: dict[str, Any]) -> str:
    return f"{max(entry['seconds'], 6) / 60:.1f} minutes"


def publish(folder: Path) -> Iterator[Path]:
    """Keep a clean run: outputs and headers of the notebooks, table of the README.

    Parameters
    ----------
    folder : Path
        Written by ``tlhelpers run``; every notebook in it passed, with its own seed
        and on the bundled data.

    Raises
    ------
    CourseError
        If the run is missing, failed, or was not an ordinary one.
    """
    path = folder / "results.json"
    if not path.is_file():
        raise CourseError(f"{path} is missing.", "Run `make course` first.")
    results = json.loads(path.read_text(encoding="utf-8"))
    root = data_folder().parent
    for entry in results["notebooks"]:
        _check_ordinary(entry)
        notebook = nbformat.read(folder / f"{entry['name']}.ipynb", as_version=4)
        source = clean(notebook).cells[0]
        text = measured(entry, results["environment"])
        source.source = fill(source.source, "measured", text)
        target = root / "notebooks" / f"{entry['name']}.ipynb"
        nbformat.write(notebook, target)
        yield target
    yield _write_readme(root / "README.md", results)


def _check_ordinary(entry: dict[str, Any]) -> None:
    own = {k: v for k, v in entry["parameters"].items() if k not in ("PROFILE", "SEED")}
    ordinary = (
        entry["parameters"].get("SEED", 0) == 0 and not own and not entry["smoke"]
    )
    if entry["status"] != "passed" or not ordinary:
        raise CourseError(
            f"The run of {entry['name']} is not one to publish ({entry['status']}).",
            "Publish a passed run with seed 0, no -p and no TLHELPERS_SMOKE.",
        )


def _write_readme(path: Path, results: dict[str, Any]) -> Path:
    text = path.read_text(encoding="utf-8")
    rows = _readme_rows(text)
    for entry in results["notebooks"]:
        number, _, title = entry["name"].partition("_")
        link = f"[{number} {title.replace('_', ' ')}](notebooks/{entry['name']}.ipynb)"
        hardware = "any" if entry["profile"] == "mini" else "GPU"
        memory = f"{entry['peak_rss_mb'] / 1000:.1f} GB"
        rows[number] = f"| {link} | {_minutes(entry)} | {memory} | {hardware} |"
    head = "| notebook | time | memory | hardware |\n|---|---|---|---|"
    where = results["environment"]
    note = f"Measured on {where['cores']} cores ({where['device']}) by `make course`."
    body = "\n".join([head, *(rows[k] for k in sorted(rows))])
    path.write_text(fill(text, "table", f"\n{body}\n\n{note}\n"), encoding="utf-8")
    return path


def _readme_rows(text: str) -> dict[str, str]:
    return {m[1]: m[0] for m in re.finditer(r"^\| \[(\d\d) .*$", text, re.M)}


def set_repository(repository: str) -> Iterator[Path]:
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
    root = data_folder().parent
    old = current_repository()
    paths = [root / "README.md", *sorted((root / "notebooks").rglob("*.ipynb"))]
    # pyproject.toml last: it says what to replace, should this be interrupted.
    for path in [*paths, *sorted(root.glob("docs/*.md")), root / "pyproject.toml"]:
        text = path.read_text(encoding="utf-8")
        if old in text:
            path.write_text(text.replace(old, repository), encoding="utf-8")
            yield path


def current_repository() -> str:
    """Return "owner/name" from ``[project.urls]`` in pyproject.toml."""
    text = (data_folder().parent / "pyproject.toml").read_text(encoding="utf-8")
    found = REPOSITORY.search(text)
    if not found:
        raise CourseError("pyproject.toml names no Repository.", "Add it to its urls.")
    return found[1]


def write_pages(out: Path, results: dict[str, Any]) -> None:
    """Write one HTML page per executed notebook, and ``index.html``."""
    sections = []
    for entry in results["notebooks"]:
        path = out / f"{entry['name']}.ipynb"
        if not path.is_file():
            continue
        notebook = clean(nbformat.read(path, as_version=4))
        (out / f"{entry['name']}.html").write_text(_page(notebook), encoding="utf-8")
        sections.append(_section(entry, notebook))
    (out / "index.html").write_text(_index(results, sections), encoding="utf-8")


def _page(notebook: Any) -> str:
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(embed_images=True)
    # Math and widgets come from the network in the default pages; ours must open
    # in a classroom without one.
    exporter.mathjax_url = exporter.require_js_url = exporter.jquery_url = ""
    return exporter.from_notebook_node(notebook)[0]


def _index(results: dict[str, Any], sections: list[str]) -> str:
    rows = "".join(map(_row, results["notebooks"]))
    env = results["environment"]
    versions = ", ".join(f"{k} {v}" for k, v in env["versions"].items())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Transfer learning: the course, run</title><style>{STYLE}</style>"
        "<h1>Transfer learning: the course, run</h1><table><tr><th>notebook<th>status"
        f"<th>seconds<th>memory<th>claims</tr>{rows}</table>{''.join(sections)}"
        f"<p>Python {env['python']}, {html.escape(versions)}; {env['cores']} cores, "
        f"{html.escape(env['device'])}, {env['system']}.</p></html>\n"
    )


def _row(entry: dict[str, Any]) -> str:
    held = sum(c["holds"] for c in entry["claims"])
    css = "" if entry["status"] == "passed" else ' class="bad"'
    return (
        f'<tr><td><a href="{entry["name"]}.html">{entry["name"]}</a>'
        f"<td{css}>{html.escape(entry['status'])}<td>{entry['seconds']:.0f}"
        f"<td>{entry['peak_rss_mb']} MB"
        f"<td>{held} of {len(entry['claims'])} hold</tr>"
    )


def _section(entry: dict[str, Any], notebook: Any) -> str:
    claims = "".join(
        f"<li>{'✔' if c['holds'] else '✘'} {html.escape(c['text'])}<br>"
        f"<small>{html.escape(c['evidence'])}</small>"
        for c in entry["claims"]
    )
    pictures = "".join(
        f'<p><img alt="{html.escape(alt)}" src="data:image/png;base64,{png.strip()}">'
        for png, alt in headline_pictures(notebook)
    )
    error = f'<p class="bad">{html.escape(entry["error"])}' if entry["error"] else ""
    return f"<h2>{entry['name']}</h2>{error}<ul>{claims}</ul>{pictures}"


def headline_pictures(notebook: Any) -> Iterator[tuple[str, str]]:
    """Yield (base64 PNG, alternative text) of the cells tagged ``headline``."""
    for cell in notebook.cells:
        if "headline" in cell.metadata.get("tags", []):
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    alt = output.metadata.get("image/png", {}).get("alt", "")
                    yield output.data["image/png"], alt
