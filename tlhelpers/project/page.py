"""A finished project to try: as a widget in a notebook, as a page in a browser."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import subprocess
import sys
import traceback
import webbrowser
from collections.abc import Callable
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..errors import CourseError
from ..plots import read_upload

if TYPE_CHECKING:
    from .keep import Project

#: More would be cut off anyway by networks, but only after minutes of counting words.
MAX_CHARACTERS = 100_000
THUMBNAIL = 480
SHOWN_CLASSES = 5
_STYLE = (Path(__file__).parent / "style" / "widget.css").read_text(encoding="utf-8")


def explore_project(project: Project | str | Path) -> Any:
    """Try a finished project: choose a picture or type a text, see the answer.

    Parameters
    ----------
    project : Project, or path
        The project, or the folder that it was saved in.

    Returns
    -------
    ipywidgets.VBox
        What the project is, the upload button or the text box, and the answer: the
        class, its probability and the next classes, in words and as bars. Below
        ``card["certain"]``, or else half way between guessing and certainty, the
        answer begins with "I am not sure". Every part is reached with the Tab key;
        the static twin is ``project.predict_proba``.

    Raises
    ------
    CourseError
        If the folder holds no project.
    """
    import ipywidgets as w

    if isinstance(project, (str, Path)):
        from .keep import load_project

        project = load_project(project)
    note, answer = w.HTML(), w.HTML()
    note.add_class("tl-note")
    answer.add_class("tl-answer")

    def reply(read: Callable[[], tuple[Image.Image | str, str]]) -> None:
        note.value, answer.value = "<p>One moment …</p>", ""
        try:
            example, shown = read()
            answer.value = shown + _answer(project, project.predict_proba([example])[0])
        except CourseError as error:
            answer.value = _problem(error.problem, error.next_step)
        # A visitor has no terminal: whatever happens must end in words on the page.
        except Exception as error:
            traceback.print_exc(file=sys.__stderr__)
            answer.value = _problem(
                f"The network could not answer ({type(error).__name__}).",
                "Try something else; the terminal of the page says more.",
            )
        finally:
            note.value = ""

    parts = _picture_input if project.kind == "images" else _text_input
    about = w.HTML(f"<style>{_STYLE}</style>{_about(project)}")
    box = w.VBox([about, *parts(reply), note, answer])
    return box.add_class("tl-project")


def _picture_input(reply: Callable) -> list[Any]:
    import ipywidgets as w

    upload = w.FileUpload(
        accept="image/*",
        description="Picture",
        tooltip="JPEG, PNG and other formats, up to 60 million pixels",
    )

    def show_upload(change: dict) -> None:
        if not change["new"]:
            return
        reply(lambda: _with_thumbnail(read_upload(change["new"])))
        # Emptied, it gives the memory back and takes the same file once more.
        upload.value = ()

    upload.observe(show_upload, "value")
    return [upload.add_class("tl-drop")]


def _text_input(reply: Callable) -> list[Any]:
    import ipywidgets as w

    box = w.Textarea(
        description="Your text",
        placeholder="Type or paste a text",
        continuous_update=False,
        rows=7,
    )
    button = w.Button(description="What is it?", button_style="primary")
    button.on_click(lambda _: reply(lambda: _cut(box.value)))
    return [box, button]


def _cut(text: str) -> tuple[str, str]:
    """Return what the network is to read, and what to say about it."""
    if not text.strip():
        raise CourseError("There is no text yet.", "Type or paste one above.")
    if len(text) <= MAX_CHARACTERS:
        return text, ""
    said = f"Of {len(text):,} characters the first {MAX_CHARACTERS:,} were read."
    return text[:MAX_CHARACTERS], f"<p>{said}</p>"


def _with_thumbnail(image: Image.Image) -> tuple[Image.Image, str]:
    scale, out = min(1.0, THUMBNAIL / max(image.size)), io.BytesIO()
    size = tuple(max(1, round(side * scale)) for side in image.size)
    image.resize(size, reducing_gap=2.0).save(out, "JPEG")
    data = base64.b64encode(out.getvalue()).decode()
    return image, f'<img alt="Your picture" src="data:image/jpeg;base64,{data}">'


def _about(project: Project) -> str:
    what = "a picture" if project.kind == "images" else "a text"
    names = ", ".join(project.class_names[:12])
    more = len(project.class_names) - 12
    if more > 0:
        names += f" and {more} more"
    return (
        f"<h1>{escape(project.name)}</h1>"
        f"<p>Looks at {what} and chooses one of {len(project.class_names)} classes: "
        f"{escape(names)}.</p>{_tested(project.card)}"
    )


def _tested(card: dict[str, Any]) -> str:
    """Say how often it was right on examples that nobody tuned on, if that is known."""
    test = card.get("figures", {}).get("test")
    if not test:
        return ""
    accuracy, low, high = (round(100 * test[k]) for k in ("accuracy", "low", "high"))
    return (
        f'<p class="tl-small">Of {test["examples"]:,} examples that it had never seen '
        f"{accuracy} % were answered right (95 % interval: {low} to {high} %).</p>"
    )


def _answer(project: Project, p: np.ndarray) -> str:
    """Say the most likely class first, then show the likeliest classes as bars."""
    order = np.argsort(-p)[:SHOWN_CLASSES]
    name, chance = project.class_names[order[0]], _percent(p[order[0]])
    sure = p[order[0]] >= _certain(project)
    said = f"{name}, {chance}" if sure else f"I am not sure. Perhaps {name}, {chance}"
    rows = "".join(_row(project.class_names[c], float(p[c])) for c in order)
    rest = len(p) - len(order)
    if rest > 0:
        rows += _row(f"{rest} other classes", float(1 - p[order].sum()))
    verdict = f'<p class="tl-class">{escape(said)}</p><table>{rows}</table>'
    return f'<div class="tl-said">{verdict}</div>'


def _certain(project: Project) -> float:
    half_way = (1 + 1 / len(project.class_names)) / 2
    return float(project.card.get("certain", half_way))


def _row(name: str, p: float) -> str:
    bar = f'<div class="tl-bar" style="width:{100 * p:.1f}%"></div>'
    return (
        f"<tr><th>{escape(name)}</th><td>{bar}</td><td>{escape(_percent(p))}</td></tr>"
    )


def _percent(p: float) -> str:
    """Write a probability without claiming what no network knows: 0 % or 100 %."""
    return "> 99 %" if p > 0.99 else "< 1 %" if p < 0.01 else f"{100 * p:.0f} %"


def _problem(problem: str, next_step: str) -> str:
    said = f"<p><b>✘ {escape(problem)}</b></p><p>→ {escape(next_step)}</p>"
    return f'<div class="tl-problem">{said}</div>'


def serve(folder: str | Path, *, port: int = 0, open_browser: bool = False) -> None:
    """Show a finished project as a web page on this machine, until Ctrl-C.

    Voilà runs one cell, :func:`explore_project`, in a fresh kernel for every visitor.
    Only this machine reaches the page, under ``127.0.0.1`` or ``localhost``; nothing
    else is served, and the page asks no other server for anything.

    Parameters
    ----------
    folder : path
        The folder that the project was saved in.
    port : int
        0 … 65535; 0 takes a free one. The address is printed.
    open_browser : bool
        Whether to open the page in the default browser.

    Raises
    ------
    CourseError
        If the folder holds no project, the port is taken, Voilà is missing, or this
        is called in a notebook, which has a server already.
    """
    try:
        from .server import ProjectServer
    except ModuleNotFoundError as error:
        raise CourseError(
            f"The page needs Voilà, and {error.name} is not installed.",
            "Install it: python -m pip install voila",
        ) from None

    if _loop_runs():
        raise CourseError(
            "A notebook cannot serve a page: it is being served itself.",
            "Run tlhelpers serve FOLDER in a terminal, or use tl.explore_project here.",
        )
    name = _project_name(folder)
    with TemporaryDirectory(prefix="tlhelpers_", ignore_cleanup_errors=True) as root:
        server = ProjectServer(Path(root), Path(folder).resolve(), name)
        address = server.open(port)
        print(f"{name}: {address}\nStop with Ctrl-C.", flush=True)
        if open_browser:
            Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        server.run()
    print("stopped")


#: The server itself needs no network, whose libraries would take half a gigabyte.
_LOADING = """
import json, sys
from tlhelpers.errors import CourseError
from tlhelpers.project.keep import load_project
try:
    print(json.dumps({"name": load_project(sys.argv[1]).name}))
except CourseError as error:
    print(json.dumps({"error": [error.problem, error.next_step]}))
"""


def _project_name(folder: str | Path) -> str:
    """Load the project once, in a program of its own, and return its name."""
    command = [sys.executable, "-c", _LOADING, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise CourseError(
            f"The project in {folder} cannot be loaded.", "The error stands above."
        )
    said = json.loads(done.stdout.splitlines()[-1])
    if "error" in said:
        raise CourseError(*said["error"])
    return said["name"]


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
