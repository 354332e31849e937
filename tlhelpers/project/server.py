"""The server of a project's page: Voilà with everything shut that it does not need."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import zmq
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import Application, ErrorHandler, HTTPError
from traitlets.config import Config
from voila.app import Voila
from voila.tornado.handler import TornadoVoilaHandler

from ..errors import CourseError

ADDRESS = "127.0.0.1"
PAGE = Path(__file__).parent / "style"
#: A kernel holds most of a gigabyte: the one that was idle longest makes room.
MAX_KERNELS = 4
IDLE_SECONDS = 600
UPLOAD_BYTES = 100 * 2**20
#: Another name in the Host header means that a foreign page points at this machine.
_HOSTS = r"(127\.0\.0\.1|localhost)$"
#: What the page itself asks for; all else that Voilà offers is not found.
_NEEDED = (
    "/api/kernels/",
    "/voila/templates/",
    "/voila/static/",
    "/voila/labextensions/",
    "/voila/api/shutdown/",
)
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' ws://127.0.0.1:* ws://localhost:*; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class ProjectServer(Voila):
    """Serve one notebook of one cell on this machine only.

    Parameters
    ----------
    root : Path
        An empty folder, for the notebook and the connection files of the kernels.
    project : Path
        The folder of the project, absolute.
    title : str
        Title of the page.
    """

    def __init__(self, root: Path, project: Path, title: str) -> None:
        super().__init__(config=_settings(root))
        self.connection_dir = tempfile.mkdtemp(dir=root)
        self.initialize([str(_write_notebook(root, project, title))])
        self.template_paths.insert(0, str(PAGE))

    def init_handlers(self) -> list[Any]:
        """Keep the page at ``/`` and what it needs."""
        kept = [h for h in super().init_handlers() if h[0].startswith(_NEEDED)]
        page = {
            "notebook_path": Path(self.notebook_path).name,
            "template_paths": self.template_paths,
            "config": self.config,
            "voila_configuration": self.voila_configuration,
        }
        missing = {"status_code": 404}
        return [*kept, ("/", TornadoVoilaHandler, page), (".*", ErrorHandler, missing)]

    def open(self, port: int) -> str:
        """Take the port (0: a free one) and return the address of the page.

        Raises
        ------
        CourseError
            If the port is taken or not allowed.
        """
        # Some systems take 70,000 for 4,464.
        if not 0 <= port < 2**16:
            raise CourseError(f"There is no port {port}.", "Use 0 to 65535; 0: any.")
        try:
            sockets = bind_sockets(port, ADDRESS)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "is in use by another program" if taken else "is not allowed"
            raise CourseError(
                f"Port {port} {why}.", "Choose another one, or 0 for a free one."
            ) from None
        refuse = {"status_code": 403}
        self.app = Application(
            default_handler_class=ErrorHandler,
            default_handler_args=refuse,
            **self.init_settings(),
        )
        self.app.settings.update(self.tornado_settings)
        self.app.add_handlers(_HOSTS, self.init_handlers())
        HTTPServer(self.app).add_sockets(sockets)
        return f"http://{ADDRESS}:{sockets[0].getsockname()[1]}/"

    def run(self) -> None:
        """Answer until Ctrl-C or a request to end; then stop every kernel."""
        # Tornado mistakes jupyter-server's milliseconds for seconds, and complains.
        logging.getLogger("tornado").setLevel(logging.ERROR)
        self.ioloop = IOLoop.current()
        signal.signal(signal.SIGINT, self._handle_signal_stop)
        try:
            self.ioloop.start()
        finally:
            self.stop()


def _settings(root: Path) -> Config:
    c = Config()
    # A voila.json of the visitor's own must not open what is shut here.
    c.Voila.config_file_paths = []
    c.Voila.log_level = "ERROR"
    c.Voila.tornado_settings = {
        "allow_remote_access": False,
        "websocket_max_message_size": UPLOAD_BYTES,
        "headers": {"Content-Security-Policy": _POLICY},
    }
    c.VoilaConfiguration.file_allowlist = []
    c.VoilaConfiguration.allow_template_override = "NO"
    c.VoilaConfiguration.allow_theme_override = "NO"
    c.VoilaConfiguration.show_tracebacks = False
    c.VoilaConfiguration.prelaunch_hook = _let_in
    c.VoilaExecutor.cell_error_instruction = "The terminal of the page says why."
    c.MappingKernelManager.cull_idle_timeout = IDLE_SECONDS
    c.MappingKernelManager.cull_interval = max(1, IDLE_SECONDS // 20)
    # A tab that was left open is connected all the same.
    c.MappingKernelManager.cull_connected = True
    if zmq.has("curve"):
        c.KernelManager.transport_encryption = "auto"
    return c


def _let_in(handler: Any, **_: Any) -> None:
    """Start a kernel for a visitor, and not for a picture tag of a foreign page."""
    asked = handler.request.headers
    foreign = asked.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
    if foreign and asked.get("Sec-Fetch-Mode") != "navigate":
        raise HTTPError(403)
    kernels = handler.kernel_manager
    idle_longest = sorted(
        kernels.list_kernel_ids(), key=lambda k: kernels.get_kernel(k).last_activity
    )
    for kernel_id in idle_longest[: max(0, len(idle_longest) + 1 - MAX_KERNELS)]:
        asyncio.ensure_future(kernels.shutdown_kernel(kernel_id, now=True))


def _write_notebook(root: Path, project: Path, title: str) -> Path:
    source = f"import tlhelpers as tl\n\ntl.explore_project({str(project)!r})"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source)],
        metadata={"title": title, "kernelspec": kernel},
    )
    path = root / "page.ipynb"
    nbformat.write(notebook, path)
    return path
