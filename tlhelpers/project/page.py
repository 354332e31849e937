"""A finished project to try: a page in the browser, a widget in a notebook.

The page is one process with one network. It keeps nothing of its visitors, and answers
one after the other, so thirty need no more memory than one. Its only script, which it
does not need, refuses too large a file before it is sent.
"""

import asyncio
import base64
import io
import json
import signal
import socket
import webbrowser
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch
from IPython.display import HTML, display
from ipywidgets import FileUpload, Textarea, interactive
from starlette import applications, exceptions, requests, responses, routing
from starlette.middleware import Middleware, trustedhost

from ..errors import CourseError, need
from ..tasks import read_image
from .keep import WORDS, Project, load_project

#: Where a page answers; most letters of a text, because networks cut off more anyway,
#: but only after minutes of counting words; most bytes of a picture.
HOSTS, LONGEST, LARGEST = ["127.0.0.1", "localhost"], 100_000, 100 * 2**20
#: Headers of every page.
SAFE = json.loads(WORDS.get_template("headers.json").render())


def read(project: Project, given: str | BinaryIO) -> dict[str, Any]:
    """Encode what a visitor gave.

    Parameters
    ----------
    project : Project
    given : str, or a file opened for reading
        A text or a picture, as the project takes it; "" where nothing was given.

    Returns
    -------
    dict
        "x", as :meth:`Project.encode` gives it, of one example, and "thumbnail": a
        JPEG, base64, "" for a text.

    Raises
    ------
    CourseError
        If nothing was given, or the file is no picture.
    """
    texts, out = project.kind == "texts", io.BytesIO()
    if isinstance(given, str) is not texts or (texts and not given.strip()):
        raise CourseError(f"There is no {project.kind[:-1]} yet.", "Give one first.")
    if texts:
        return {"x": project.encode([given[:LONGEST]]), "thumbnail": ""}
    image = read_image(given)
    x = project.encode([image])
    image.thumbnail((480, 480), reducing_gap=1)  # the large one leaves the memory
    image.save(out, "JPEG")
    return {"x": x, "thumbnail": base64.b64encode(out.getvalue()).decode()}


def render(file: str, project: Project, **found: Any) -> str:
    """Fill in a template.

    Parameters
    ----------
    file : str
        "page.html" or "answer.html".
    project : Project
    **found
        What :func:`read` returned, and ``p``, its probabilities; or an ``error``. The
        ``name`` of the visitor's file, or the text itself.
    """
    return WORDS.get_template(file).render(project=project, longest=LONGEST, **found)


def application(project: Project) -> applications.Starlette:
    """Make the page of a project: a form, and below it the answer.

    Parameters
    ----------
    project : Project
        All visitors share it, one after the other.
    """
    # One thread reads, another computes: two cores work, and nothing is there twice.
    torch.set_num_threads(1)
    first, last = ThreadPoolExecutor(1), ThreadPoolExecutor(1)

    def page(code: int = 200, **found: Any) -> responses.Response:
        return responses.HTMLResponse(render("page.html", project, **found), code, SAFE)

    async def visit(request: requests.Request) -> responses.Response:
        if request.method != "POST":
            return page()
        await _check(request)
        async with request.form(max_files=1, max_part_size=LARGEST // 10) as form:
            given, loop = form.get("given", ""), asyncio.get_running_loop()
            # A form that is sent without a picture holds a file without a name.
            file = getattr(given, "file", given) if getattr(given, "size", 1) else ""
            # Every answer bears the name of its input, also where something fails.
            request.state.name = name = getattr(given, "filename", given)
            found = await loop.run_in_executor(first, read, project, file)
            p = await loop.run_in_executor(last, project.probabilities, found["x"])
            return page(name=name, p=p[0], **found)

    async def refuse(request: requests.Request, e: Exception) -> responses.Response:
        code = getattr(e, "status_code", 400 if isinstance(e, CourseError) else 500)
        return page(code, name=getattr(request.state, "name", ""), error=e)

    errors = (CourseError, exceptions.HTTPException, requests.ClientDisconnect)
    return applications.Starlette(
        routes=[routing.Route("/", visit, methods=["GET", "POST"])],
        middleware=[Middleware(trustedhost.TrustedHostMiddleware, allowed_hosts=HOSTS)],
        exception_handlers=dict.fromkeys((*errors, Exception), refuse),
    )


async def _check(request: requests.Request) -> None:
    """Refuse forms of other sites, and those that are too large."""
    own = f"http://{request.headers['host']}"
    fetched = request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    if not fetched or request.headers.get("origin", own) != own:
        raise exceptions.HTTPException(403, "Another page sent this form.")
    # No server passes on more than was announced; browsers always announce it.
    if int(request.headers.get("content-length", LARGEST + 1)) > LARGEST:
        async for _ in request.stream():  # a browser listens when it has said all
            pass
        raise exceptions.HTTPException(413, "That is more than 100 megabytes.")


def serve(folder: str | Path, *, port: int = 0, open_browser: bool = False) -> None:
    """Show a finished project as a web page on this machine, until Ctrl-C.

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
        If the folder holds no project, the port is taken, uvicorn is not installed, or
        this is called in a notebook, which has a server already.
    """
    uvicorn = need("uvicorn", "serve")
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        raise CourseError("A notebook serves no page.", "Use project.explore_project.")
    project = load_project(folder)
    try:
        sock = socket.create_server((HOSTS[0], port))
    except (OSError, OverflowError) as error:
        raise CourseError(f"Port {port}: {error}.", "Choose another, or 0.") from None
    page = application(project)
    config = uvicorn.Config(page, log_level="error", timeout_graceful_shutdown=3)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    with sock, suppress(KeyboardInterrupt):
        address = f"http://{HOSTS[0]}:{sock.getsockname()[1]}/"
        print(f"{project.name}: {address}\nStop with Ctrl-C.", flush=True)
        if open_browser:
            ThreadPoolExecutor(1).submit(webbrowser.open, address)  # may not return
        uvicorn.Server(config).run([sock])
    print("stopped")


def explore_project(project: Project | str | Path) -> Any:
    """Try a finished project: choose a picture or type a text, see the answer.

    Parameters
    ----------
    project : Project, or path
        The project, or the folder that it was saved in.

    Returns
    -------
    ipywidgets.interactive
        An upload button or a text box, and what the page of the project says;
        the static twin is ``project.predict_proba``.

    Raises
    ------
    CourseError
        If the folder holds no project.
    """
    made = load_project(project) if isinstance(project, (str, Path)) else project
    given = Textarea() if made.kind == "texts" else FileUpload(accept="image/*")

    def reply(given: Any) -> None:
        """Take the text, or the files of the upload button."""
        # ipywidgets 8 gives a tuple of files, ipywidgets 7 a dict of them by name.
        files = given.values() if isinstance(given, dict) else given
        file = files if isinstance(files, str) else io.BytesIO([*files][0]["content"])
        found = read(made, file)
        p = made.probabilities(found["x"])[0]
        display(HTML(render("answer.html", made, p=p, name=given, **found)))

    return interactive(reply, {"manual": True}, given=given)
