"""The widget says what the project says; the server answers its own page only."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import signal
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
import websocket
from conftest import draw
from page_tools import picture_project, started, stop, wait_for
from test_widgets import as_bytes, uploaded

import tlhelpers as tl
from tlhelpers.project import page as app

server = pytest.importorskip("tlhelpers.server", reason="voila is missing")
pytestmark = pytest.mark.timeout(120)
CULLING = """
import sys
from tlhelpers import app, server
server.IDLE_SECONDS, server.MAX_KERNELS = int(sys.argv[2]), 1
app._project_name = lambda folder: "gone"
app.serve(sys.argv[1])
"""


def stand_in(kind, p, names=("cat", "dog"), card=None):
    """A project that always answers p, and keeps what it was asked."""
    asked = []

    def predict_proba(examples):
        asked.extend(examples)
        return np.array([p] * len(examples))

    return SimpleNamespace(
        name="Mine <1>",
        kind=kind,
        class_names=names,
        card=card or {},
        predict_proba=predict_proba,
        asked=asked,
    )


def parts(project):
    """The input of the widget, its button (or the same), its note and its answer."""
    box = tl.explore_project(project)
    about, *inputs, note, answer = box.children
    return about, inputs[0], inputs[-1], note, answer


# --- the widget --------------------------------------------------------------------


def test_uploaded_picture_is_predicted_and_given_back():
    project = stand_in("images", [0.04, 0.96])
    _, upload, _, note, answer = parts(project)
    mine = draw("disc", 1, 600)
    upload.value = uploaded(as_bytes(mine))
    assert np.array_equal(np.asarray(project.asked[0]), np.asarray(mine)), "not shrunk"
    assert '<p class="tl-class">dog, 96 %</p>' in answer.value
    assert answer.value.index("96.0%") < answer.value.index("4.0%"), "likeliest first"
    assert 'src="data:image/jpeg;base64,' in answer.value
    assert len(answer.value) < 200_000, "a thumbnail, not the picture"
    assert upload.value == () and note.value == ""
    upload.value = uploaded(as_bytes(mine))
    assert len(project.asked) == 2, "the same file once more"


def test_text_is_predicted_on_the_button():
    project = stand_in("texts", [0.999, 0.001])
    _, box, button, _, answer = parts(project)
    box.value = "Are you <there>?"
    assert project.asked == []
    button.click()
    assert project.asked == ["Are you <there>?"]
    assert "cat, &gt; 99 %" in answer.value and "&lt; 1 %" in answer.value


def test_note_stands_there_while_the_network_computes():
    seen = []
    project = stand_in("texts", [0.5, 0.5])
    project.predict_proba = lambda _: seen.append(note.value) or np.array([[0.5, 0.5]])
    _, box, button, note, _ = parts(project)
    box.value = "a"
    button.click()
    assert "One moment" in seen[0] and note.value == ""


@pytest.mark.parametrize(
    ("p", "card", "sure"),
    [
        ([0.76, 0.24], {}, True),
        ([0.74, 0.26], {}, False),
        ([0.60, 0.15, 0.15, 0.1], {}, False),
        ([0.64, 0.13, 0.13, 0.1], {}, True),
        ([0.76, 0.24], {"certain": 0.9}, False),
        ([0.55, 0.45], {"certain": 0.5}, True),
    ],
)
def test_says_when_it_is_not_sure(p, card, sure):
    project = stand_in("texts", p, tuple("abcd"[: len(p)]), card)
    _, box, button, _, answer = parts(project)
    box.value = "x"
    button.click()
    assert ("I am not sure. Perhaps a, " in answer.value) is not sure
    assert f"a, {p[0]:.0%}".replace("%", " %") in answer.value


def test_of_many_classes_the_likeliest_are_shown_and_the_rest_is_summed():
    p = np.array([0.3, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05, 0.1])
    project = stand_in("texts", p, tuple("abcdefgh"))
    _, box, button, _, answer = parts(project)
    box.value = "x"
    button.click()
    rows = re.findall(r"<th>(.*?)</th>.*?<td>(\d+ %)</td>", answer.value)
    assert rows[0] == ("a", "30 %") and rows[-1] == ("3 other classes", "20 %")
    assert len(rows) == app.SHOWN_CLASSES + 1


def test_tells_what_it_was_tested_with_and_escapes_names():
    test = {"examples": 1200, "accuracy": 0.9, "low": 0.8812, "high": 0.9158}
    card = {"figures": {"test": test}}
    about = parts(stand_in("images", [0.5, 0.5], ("<i>", "b"), card))[0].value
    assert "<h1>Mine &lt;1&gt;</h1>" in about and "&lt;i&gt;, b" in about
    assert "Of 1,200 examples" in about
    assert "90 % were answered right (95 % interval: 88 to 92 %)" in about
    assert "interval" not in parts(stand_in("images", [0.5, 0.5]))[0].value


def test_broken_picture_gets_words_and_the_next_one_an_answer():
    project = stand_in("images", [0.9, 0.1])
    _, upload, _, note, answer = parts(project)
    upload.value = uploaded(b"this is a letter")
    assert "✘ The picture cannot be read as a picture" in answer.value
    assert "→ Remove it, or save it again as JPEG or PNG." in answer.value
    assert project.asked == [] and note.value == ""
    upload.value = uploaded(as_bytes(draw("disc", 1)))
    assert "cat, 90 %" in answer.value


def test_long_text_is_cut_and_that_is_said():
    project = stand_in("texts", [0.9, 0.1])
    _, box, button, _, answer = parts(project)
    box.value = "word " * 200_000
    button.click()
    assert len(project.asked[0]) == app.MAX_CHARACTERS
    assert "Of 1,000,000 characters the first 100,000 were read." in answer.value
    box.value = "short"
    button.click()
    assert "characters" not in answer.value


def test_no_text_gets_words():
    project = stand_in("texts", [0.9, 0.1])
    _, box, button, _, answer = parts(project)
    box.value = " \n "
    button.click()
    assert "There is no text yet." in answer.value and project.asked == []


def test_failing_network_gets_words_here_and_its_traceback_in_the_terminal(
    monkeypatch, tmp_path
):
    def fail(_):
        raise RuntimeError("secret shape mismatch")

    project = stand_in("texts", [0.9, 0.1])
    project.predict_proba = fail
    _, box, button, note, answer = parts(project)
    box.value = "x"
    with open(tmp_path / "terminal", "w") as terminal:
        monkeypatch.setattr(sys, "__stderr__", terminal)
        button.click()
    assert "The network could not answer (RuntimeError)." in answer.value
    assert "secret" not in answer.value and note.value == ""
    assert "secret shape mismatch" in (tmp_path / "terminal").read_text()


def test_saved_project_is_loaded_and_none_is_an_error(tmp_path):
    project = picture_project()
    about, upload, _, _, answer = parts(project.save(tmp_path / "project"))
    mine = draw("disc", 1)
    upload.value = uploaded(as_bytes(mine))
    p = project.predict_proba([mine])[0]
    name = project.class_names[int(p.argmax())]
    assert f"{name}, {100 * p.max():.0f} %" in answer.value
    with pytest.raises(tl.CourseError, match="holds no project"):
        tl.explore_project(tmp_path)


# --- what keeps it from serving ----------------------------------------------------


def test_folder_without_a_project_is_not_served(tmp_path):
    with pytest.raises(tl.CourseError, match="holds no project.*\n→ Check the path"):
        tl.serve(tmp_path)


def test_notebook_is_told_to_use_the_widget(tmp_path):
    async def in_a_notebook():
        tl.serve(tmp_path)

    with pytest.raises(tl.CourseError, match="explore_project"):
        asyncio.run(in_a_notebook())


def test_missing_voila_is_said_with_the_command(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "tlhelpers.server")
    monkeypatch.setitem(sys.modules, "voila", None)
    monkeypatch.setitem(sys.modules, "voila.app", None)
    with pytest.raises(tl.CourseError, match="voila.*\n→ .*pip install voila"):
        tl.serve(tmp_path)


@pytest.mark.parametrize(
    ("port", "problem"),
    [(None, "Port .* is in use by another program"), (70_000, "no port 70000")],
)
def test_port_that_cannot_be_taken_is_an_error(port, problem, tmp_path, monkeypatch):
    monkeypatch.setattr(app, "_project_name", lambda _: "mine")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = port or taken.getsockname()[1]
        with pytest.raises(tl.CourseError, match=problem):
            tl.serve(tmp_path, port=port)


# --- what the server answers -------------------------------------------------------


def ask(address, path="/", *, host=None, method="GET", **headers):
    """Return status and body; the Host header says what it is told to."""
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
    with contextlib.closing(connection):
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or where.netloc)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        reply = connection.getresponse()
        # A WebSocket stays open, and has no end to read to.
        return reply.status, b"" if reply.status == 101 else reply.read()


def kernel_in(page):
    config = re.search(rb'jupyter-config-data".*?>(.*?)</script>', page, re.DOTALL)
    return json.loads(config.group(1))["kernelId"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A served project and its page as the server sends it, visited once."""
    folder = picture_project().save(tmp_path_factory.mktemp("site") / "project")
    command = ["-m", "tlhelpers", "serve", str(folder), "--no-browser"]
    with started(command) as served:
        status, served.page = ask(served.address)
        assert status == 200
        yield served


def test_page_is_whole_and_names_no_other_server(site):
    assert b"<title>Discs &amp; squares</title>" in site.page
    assert b"tl.explore_project" not in site.page, "the source is not shown"
    named = re.findall(rb"""(?:src|href)=["']([^"']+)""", site.page)
    assert [n for n in named if not n.startswith((b"/voila/", b"data:"))] == []
    assert len(named) > 3


@pytest.mark.parametrize(
    "path",
    [
        "/page.ipynb",
        "/voila/files/page.ipynb",
        "/voila/files/",
        "/voila/tree",
        "/voila/render/page.ipynb",
        "/voila/api/contents/",
        "/voila/api/themes/",
        "/api",
        "/api/contents",
        "/api/contents/page.ipynb",
        "/api/kernels",
        "/api/kernelspecs",
        "/api/sessions",
        "/api/terminals",
        "/terminals/websocket/1",
        "/files/page.ipynb",
        "/lsp/status",
        "/lab",
        "/tree",
        "/login",
        "/metrics",
        "/static/",
        "/voila/static/../../../../etc/passwd",
        "/voila/static/%2e%2e/%2e%2e/app.py",
        "/voila/labextensions/../../jupyter/kernels/python3/kernel.json",
        "//etc/passwd",
    ],
)
def test_nothing_but_the_page_is_served(site, path):
    status, body = ask(site.address, path)
    assert status in (403, 404)
    assert b"root:" not in body and b"explore_project" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_page_is_only_read(site, method):
    assert ask(site.address, method=method)[0] in (403, 405)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "0.0.0.0"])
def test_other_host_name_is_refused_everywhere(site, host):
    """A foreign page may give its own name this machine's address."""
    port = urlsplit(site.address).port
    for path in ("/", "/voila/static/voila.js", f"/api/kernels/{kernel_in(site.page)}"):
        assert ask(site.address, path, host=f"{host}:{port}")[0] == 403
    assert ask(site.address, "/voila/static/voila.js")[0] == 200
    own = f"localhost:{port}"
    assert ask(site.address, "/voila/static/voila.js", host=own)[0] == 200


def test_websocket_of_a_foreign_page_is_refused(site):
    path = f"/api/kernels/{kernel_in(site.page)}/channels"
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    own = site.address.rstrip("/")
    assert ask(site.address, path, Origin=own, **upgrade)[0] == 101
    for origin in ("http://evil.example", own + "1", "null"):
        assert ask(site.address, path, Origin=origin, **upgrade)[0] == 403


def test_picture_tag_of_a_foreign_page_starts_no_kernel(site):
    foreign = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}
    before = psutil.Process(site.process.pid).children(recursive=True)
    status, body = ask(site.address, **foreign)
    assert status == 403 and b"https://" not in body
    assert psutil.Process(site.process.pid).children(recursive=True) == before


def test_only_the_loopback_is_listened_to(site):
    main = psutil.Process(site.process.pid)
    listening = {
        c.laddr.ip
        for process in [main, *main.children(recursive=True)]
        for c in process.net_connections("inet")
        if c.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_broken_page_shows_no_traceback_and_idle_kernels_end(tmp_path):
    command = ["-c", CULLING, str(tmp_path / "nothing"), "3"]
    with started(command) as served:
        address = served.address
        status, page = ask(address)
        assert status == 200 and b"The terminal of the page says why." in page
        assert b"Traceback" not in page and b"app.py" not in page
        kernel = f"/api/kernels/{kernel_in(page)}"
        assert ask(address, kernel)[0] == 200
        open_tab = websocket.create_connection(
            address.replace("http", "ws").rstrip("/") + kernel + "/channels"
        )
        wait_for(lambda: ask(address, kernel)[0], lambda status: status == 404)
        open_tab.close()


def test_newest_visitor_takes_the_memory_of_the_one_idle_longest(tmp_path):
    command = ["-c", CULLING, str(tmp_path / "nothing"), "600"]
    with started(command) as served:
        address = served.address
        first, second = (kernel_in(ask(address)[1]) for _ in range(2))
        wait_for(lambda: ask(address, f"/api/kernels/{first}")[0], lambda s: s == 404)
        assert ask(address, f"/api/kernels/{second}")[0] == 200
        check_that_nothing_stays(served.process, signal.SIGTERM)


def check_that_nothing_stays(process, number):
    children = psutil.Process(process.pid).children(recursive=True)
    files = {Path(a) for c in children for a in c.cmdline() if "tlhelpers_" in a}
    assert children and files and all(path.exists() for path in files)
    assert stop(process, number) == []
    assert process.returncode == 0
    assert not any(path.parents[1].exists() for path in files)


def test_ctrl_c_leaves_nothing_behind(site):
    """The last test: it ends the site."""
    check_that_nothing_stays(site.process, signal.SIGINT)
