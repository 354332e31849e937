"""The page says what the project says; the server answers its own form only."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import html
import http.client
import io
import re
import signal
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from datetime import datetime, timezone
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx
import ipywidgets
import numpy as np
import psutil
import pytest
import torch
from page_tools import picture_project, started, stop, text_project
from pictures import draw
from PIL import Image
from starlette.testclient import TestClient

import tlhelpers as tl
from tlhelpers.project import explore_project, page, serve

pytestmark = pytest.mark.timeout(180)
OWN = "http://127.0.0.1:8000"
CARD = {"network": {"size": 8}, "figures": {}}


def stand_in(kind, p, names=("cat", "dog"), **card):
    """A project that always answers p, and keeps what it was asked."""
    asked = []

    def encode(examples):
        asked.extend(copy(example) for example in examples)
        return torch.zeros(len(examples), 3)

    return SimpleNamespace(
        name="Mine <1>",
        kind=kind,
        class_names=names,
        card={**CARD, **card},
        encode=encode,
        probabilities=lambda x: np.array([p] * len(x), dtype=np.float32),
        model_card=lambda: "# Mine <1>",
        asked=asked,
    )


def client(project, **options):
    return TestClient(page.application(project), base_url=OWN, **options)


def as_bytes(image, kind="PNG"):
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def send(project, content=None, name="mine.png", text=None, **headers):
    """Send the form once; return status and page."""
    files = {} if content is None else {"given": (name, content)}
    # A text travels as a browser sends it: a part of the form without a file's name.
    files = files if text is None else {"given": (None, text.encode())}
    reply = client(project).post("/", files=files, headers=headers)
    return reply.status_code, reply.text


def said(reply):
    """Return what the page says as text, the tags gone."""
    part = re.search('<section id="answer".*?>(.*?)</section>', reply, re.DOTALL)[1]
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", part)).split())


# --- the answer --------------------------------------------------------------------


def test_uploaded_picture_is_predicted_and_given_back():
    project = stand_in("images", [0.04, 0.96])
    mine = draw("disc", 1, 600)
    status, reply = send(project, as_bytes(mine), "<disc> & co.png")
    assert status == 200
    assert np.array_equal(np.asarray(project.asked[0]), np.asarray(mine)), "not shrunk"
    assert "<h2>dog, 96 %</h2>" in reply
    assert reply.index('width="96.0%"') < reply.index('width="4.0%"'), "likeliest first"
    assert 'src="data:image/jpeg;base64,' in reply and 'alt="Your picture"' in reply
    assert len(reply) < 200_000, "a thumbnail, not the picture"
    assert "&lt;disc&gt; &amp; co.png" in reply and "<disc>" not in reply


def test_text_is_predicted_and_stays_in_its_box():
    project = stand_in("texts", [0.999, 0.001])
    text = "\nAre you <there>?\n</textarea>&"
    status, reply = send(project, text=text)
    assert status == 200 and project.asked == [text]
    assert "cat, &gt; 99 %" in reply and "&lt; 1 %" in reply
    box = re.search("<textarea[^>]*>\n(.*?)</textarea>", reply, re.DOTALL)[1]
    assert html.unescape(box) == text, "the first line break of a box is not shown"
    assert "“ Are you <there>? </textarea>&”" in said(reply)


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
    project = stand_in("texts", p, tuple("abcd"[: len(p)]), **card)
    answer = said(send(project, text="x")[1])
    assert ("I am not sure. Perhaps a, " in answer) is not sure
    assert f"a, {100 * p[0]:.0f} %" in answer


def test_of_many_classes_the_likeliest_are_shown_and_the_rest_is_summed():
    p = np.array([0.1, 0.2, 0.3, 0.1, 0.1, 0.05, 0.05, 0.1])
    reply = send(stand_in("texts", p, tuple("bacdefgh")), text="x")[1]
    rows = re.findall(r"<th[^>]*>(.*?)</th>.*?<td>(\d+ %)</td>", reply)
    assert rows[0] == ("c", "30 %") and rows[1] == ("a", "20 %")
    assert rows[-1] == ("3 other classes", "20 %") and len(rows) == 6


def test_tells_what_it_was_tested_with_and_escapes_names():
    test = {"examples": 1200, "accuracy": 0.9, "low": 0.8812, "high": 0.9158}
    project = stand_in("images", [0.5, 0.5], ("<i>", "b"), figures={"test": test})
    about = client(project).get("/").text
    assert "<h1>Mine &lt;1&gt;</h1>" in about and "&lt;i&gt;, b." in about
    assert "<title>Mine &lt;1&gt;</title>" in about
    about = " ".join(about.split())
    assert "Of 1,200 examples" in about
    assert "90 % were answered right (95 % interval: 88 to 92 %)" in about
    assert "<pre># Mine &lt;1&gt;</pre>" in about, "the model card is there, too"
    assert "interval" not in client(stand_in("images", [0.5, 0.5])).get("/").text
    many = tuple(f"<{i}>" for i in range(20))
    about = client(stand_in("texts", [0.05] * 20, many)).get("/").text
    assert "&lt;11&gt; and 8 more" in about and "<0>" not in about


def test_broken_picture_gets_words_and_the_next_one_an_answer():
    project = stand_in("images", [0.9, 0.1])
    status, reply = send(project, b"this is a letter", "letter.jpg")
    assert status == 400 and 'role="alert"' in reply
    assert said(reply).startswith(
        "letter.jpg ✘ The picture cannot be read as a picture"
    )
    assert "→ Remove it, or save it again as JPEG or PNG." in said(reply)
    assert project.asked == [] and "Traceback" not in reply
    assert "cat, 90 %" in send(project, as_bytes(draw("disc", 1)))[1]


def test_picture_beyond_the_limit_gets_words():
    picture = as_bytes(Image.new("L", (10_000, 6_001)))
    status, reply = send(stand_in("images", [0.9, 0.1]), picture)
    assert status == 400 and "60 million pixels are the limit" in said(reply)


def test_picture_of_50_megapixels_is_predicted():
    project = stand_in("images", [0.9, 0.1])
    picture = as_bytes(Image.new("RGB", (8000, 6250), (9, 120, 9)), "JPEG")
    status, reply = send(project, picture)
    assert status == 200 and project.asked[0].size == (8000, 6250)
    shown = base64.b64decode(re.search('base64,([^"]*)', reply)[1])
    assert Image.open(io.BytesIO(shown)).size == (480, 375)


def test_long_text_is_cut_and_that_is_said():
    project = stand_in("texts", [0.9, 0.1])
    status, reply = send(project, text="word " * 200_000)
    assert status == 200 and len(project.asked[0]) == page.LONGEST
    assert "Of 1,000,000 characters the first 100,000 were read." in said(reply)
    assert len(reply) < 2 * page.LONGEST
    assert "characters" not in said(send(project, text="short")[1])


def test_a_text_of_too_many_pieces_is_cut_and_that_is_said():
    project = text_project()
    size = project.card["network"]["size"]
    reply = said(send(project, text="word " * size)[1])
    assert f"takes {size} pieces of words" in reply and "characters" not in reply
    assert "pieces" not in said(send(project, text="word " * 10)[1])


def test_letters_without_a_break_are_cut_and_that_is_said():
    project = text_project()
    long = said(send(project, text="a" * 5000 + " and a short end")[1])
    assert "only the first 20 are read" in long
    assert "only the first" not in said(send(project, text="a" * 50 + " short")[1])


@pytest.mark.parametrize("n", [200, 201, 1000])
def test_a_long_name_is_cut_visibly(n):
    project, name = stand_in("images", [0.9, 0.1]), "d" * n
    for content in (as_bytes(draw("disc", 1)), b"no picture"):
        reply = said(send(project, content, name)[1])
        assert reply.startswith("d" * 200 + "…" * (n > 200) + " ")


@pytest.mark.parametrize("kind", ["images", "texts"])
def test_nothing_or_something_else_gets_words(kind):
    project = stand_in(kind, [0.9, 0.1])
    what = {"images": "image", "texts": "text"}[kind]
    given = [
        {"files": {"given": ("", b"")}},
        {"files": {"other": ("a.png", as_bytes(draw("disc", 1)))}},
        {"data": {"given": " \n "}},
        {"data": {}},
        {"content": b"{}", "headers": {"content-type": "application/json"}},
    ]
    other = {"files": {"given": ("a.png", as_bytes(draw("disc", 1)))}}
    given += [other] if kind == "texts" else [{"data": {"given": "a text"}}]
    for form in given:
        reply = client(project).post("/", **form)
        assert reply.status_code == 400, form
        assert f"There is no {what} yet." in said(reply.text), form
    assert project.asked == []


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=a", b"--b\r\n\r\n"),
        ("multipart/form-data; boundary=a", b"--a\r\nno header\r\n\r\nx\r\n--a--\r\n"),
        ("multipart/form-data; boundary=a; charset=none", b"--a--\r\n"),
        ("application/x-www-form-urlencoded", b"%%%&&==\xff\x00"),
        ("", b""),
    ],
)
def test_a_malformed_form_gets_words(content_type, content):
    headers = {"content-type": content_type}
    with client(stand_in("texts", [0.9, 0.1]), raise_server_exceptions=False) as site:
        reply = site.post("/", content=content, headers=headers)
    assert reply.status_code == 400 and "✘ " in said(reply.text)


def test_failing_network_gets_words_here_and_its_traceback_in_the_terminal():
    def fail(_):
        raise RuntimeError("secret shape mismatch")

    project = stand_in("texts", [0.9, 0.1])
    project.probabilities = fail
    with pytest.raises(RuntimeError, match="secret"):  # what the server writes down
        send(project, text="x")
    site = client(project, raise_server_exceptions=False)
    reply = site.post("/", data={"given": "my words"})
    assert reply.status_code == 500
    assert "The network could not answer (RuntimeError)." in said(reply.text)
    assert said(reply.text).startswith("my words"), "it bears the name of its input"
    assert "secret" not in reply.text


def test_a_class_of_the_saved_project_is_said(tmp_path):
    project = picture_project()
    mine = draw("disc", 1)
    p = project.predict_proba([mine])[0]
    name = project.class_names[int(p.argmax())]
    assert f"{name}, {100 * p.max():.0f} %" in said(send(project, as_bytes(mine))[1])


# --- who may ask -------------------------------------------------------------------


def test_every_page_forbids_foreign_scripts_frames_and_keeping():
    site = client(stand_in("texts", [0.9, 0.1]))
    replies = [site.get("/"), site.post("/", data={"given": "x"})]
    replies += [site.get("/nothing"), site.post("/", data={}), site.put("/")]
    for reply in replies:
        policy = reply.headers["content-security-policy"].replace(" ", "").split(";")
        assert "default-src'none'" in policy and "frame-ancestors'none'" in policy
        assert "form-action'self'" in policy and "base-uri'none'" in policy
        (script,) = re.findall("<script>(.*?)</script>", reply.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        allowed = [rule for rule in policy if rule.startswith("script")]
        assert allowed == [f"script-src'sha256-{digest}'"], "the page's own, no other"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        assert "set-cookie" not in reply.headers
        assert reply.text.count("<script") == 1 and "http://" not in reply.text
        named = re.findall(r"""(?:src|href)=["']([^"']+)""", reply.text)
        assert all(name.startswith("data:") for name in named)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": OWN}, 200),
        ({"Origin": OWN, "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": OWN + "1"}, 403),
        ({"Origin": OWN.replace("http", "https")}, 403),
        ({"Origin": OWN.replace("127.0.0.1", "localhost")}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": OWN, "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_only_its_own_form_is_taken(headers, status):
    project = stand_in("texts", [0.9, 0.1])
    found, reply = send(project, text="x", **headers)
    assert found == status and (project.asked == ["x"]) is (status == 200)
    assert ("Another page sent this form." in said(reply)) is (status == 403)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example@127.0.0.1",
        "127.0.0.1@evil.example",
        "0.0.0.0",
        "127.0.0.2",
        "2130706433",
        "[::1]",
        "",
        " ",
    ],
)
def test_other_host_names_are_refused(host):
    """A foreign page may give its own name this machine's address."""
    project = stand_in("texts", [0.9, 0.1])
    for method in ("get", "post"):
        headers = {"Host": host, "Origin": f"http://{host}"}
        reply = getattr(client(project), method)("/", headers=headers)
        assert reply.status_code in (400, 403) and "Mine" not in reply.text
    for host in ("127.0.0.1:8000", "localhost:8000", "LOCALHOST"):
        assert client(project).get("/", headers={"Host": host}).status_code == 200
    assert project.asked == []


def test_the_page_itself_knows_the_limit_of_the_server():
    reply = client(stand_in("images", [0.9, 0.1])).get("/").text
    assert f'data-largest="{page.LARGEST}"' in reply
    assert "data-largest" not in client(stand_in("texts", [0.9, 0.1])).get("/").text


@pytest.mark.parametrize("announced", [True, False])
def test_too_large_an_upload_is_refused_in_words(announced, monkeypatch):
    monkeypatch.setattr(page, "LARGEST", 10_000)
    project = stand_in("images", [0.9, 0.1])
    request = client(project).build_request(
        "POST", "/", files={"given": ("a.png", bytes(20_000))}
    )
    content = request.read()
    headers = {"content-type": request.headers["content-type"]}
    # Parts of unknown number have no length that could be announced.
    content = content if announced else iter([content])
    reply = client(project).post("/", content=content, headers=headers)
    assert reply.status_code == 413 and "more than 100 megabytes" in said(reply.text)
    assert project.asked == []


def test_visitors_are_answered_one_by_one_and_the_page_goes_on_answering():
    project, now, most, threads = stand_in("texts", [0.9, 0.1]), [0], [0], set()

    def slow(x):
        now[0] += 1
        most[0] = max(most[0], now[0])
        threads.add(threading.get_ident())
        time.sleep(0.05)
        now[0] -= 1
        return np.array([[0.9, 0.1]])

    project.probabilities = slow

    async def visit():
        transport = httpx.ASGITransport(page.application(project))
        async with httpx.AsyncClient(transport=transport, base_url=OWN) as site:
            replies = [site.post("/", data={"given": f"text {i}"}) for i in range(10)]
            answers = asyncio.gather(*replies)
            await asyncio.sleep(0.1)
            since = time.perf_counter()
            assert (await site.get("/")).status_code == 200
            assert time.perf_counter() - since < 0.3, "while the others wait"
            return await answers

    replies = asyncio.run(visit())
    assert [f"“text {i}”" in r.text for i, r in enumerate(replies)] == [True] * 10
    assert most[0] == 1 and len(threads) == 1


# --- what keeps it from serving ----------------------------------------------------


def test_folder_without_a_project_is_not_served(tmp_path):
    with pytest.raises(tl.CourseError, match="holds no project.*\n→ Check the path"):
        serve(tmp_path)


def test_notebook_is_told_to_use_the_widget(tmp_path):
    async def in_a_notebook():
        serve(tmp_path)

    with pytest.raises(tl.CourseError, match="explore_project"):
        asyncio.run(in_a_notebook())


@pytest.mark.parametrize(
    ("port", "problem"),
    [(None, "Port .* in use"), (70_000, "Port 70000: "), (-1, "Port -1: ")],
)
def test_port_that_cannot_be_taken_is_an_error(port, problem, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "load_project", lambda _: stand_in("texts", [1.0]))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = port or taken.getsockname()[1]
        with pytest.raises(tl.CourseError, match=problem):
            serve(tmp_path, port=port)


# --- the widget --------------------------------------------------------------------


@pytest.fixture
def displayed(monkeypatch):
    """List the pages that widgets display: without a notebook they only print."""
    pages = []
    monkeypatch.setattr(page, "display", lambda shown: pages.append(shown.data))
    return pages


def put(button, name, content):
    """Upload, in the form of ipywidgets 8 or of 7, whichever is installed."""
    entry = {"name": name, "content": memoryview(content), "size": len(content)}
    entry |= {"type": "image/png", "last_modified": datetime.now(timezone.utc)}
    old = {name: {"metadata": {}, "content": content}}
    button.set_trait("value", old if isinstance(button.value, dict) else (entry,))


def press(widget):
    """Press the only button of a widget."""
    [button] = [w for w in widget.children if isinstance(w, ipywidgets.Button)]
    button.click()


def test_widget_says_what_the_page_says(displayed):
    project = stand_in("images", [0.04, 0.96], ("<cat>", "<dog>"))
    widget = explore_project(project)
    mine = draw("disc", 1, 600)
    put(widget.children[0], "<a>.png", as_bytes(mine))
    assert displayed == [], "nothing before the button is pressed"
    press(widget)
    assert "<h2>&lt;dog&gt;, 96 %</h2>" in displayed[0] and "<dog>" not in displayed[0]
    assert "base64," in displayed[0] and "&lt;a&gt;.png" in displayed[0]
    assert np.array_equal(np.asarray(project.asked[0]), np.asarray(mine))


def test_widget_reads_an_upload_as_ipywidgets_7_hands_it_over(displayed):
    project = stand_in("images", [0.04, 0.96], ("cat", "dog"))
    mine = draw("disc", 1, 600)
    explore_project(project).f({"mine.png": {"content": as_bytes(mine)}})
    assert "<h2>dog, 96 %</h2>" in displayed[0] and "mine.png" in displayed[0]
    assert np.array_equal(np.asarray(project.asked[0]), np.asarray(mine))


def test_widget_of_texts_reads_a_saved_project(displayed, tmp_path):
    project = text_project()
    widget = explore_project(project.save(tmp_path / "project"))
    text = "You have won a prize"
    widget.children[0].value = text
    press(widget)
    p = project.predict_proba([text])[0]
    name = project.class_names[int(p.argmax())]
    assert f"{name}, {100 * p.max():.0f} %" in displayed[-1]
    assert f"“{text}”" in displayed[-1], "the answer bears the name of its input"
    widget.children[0].value = "word " * 30_000
    press(widget)
    assert "Of 150,000 characters the first 100,000 were read." in displayed[-1]
    with pytest.raises(tl.CourseError, match="holds no project"):
        explore_project(tmp_path)


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
        return reply.status, reply.read()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A served project, visited once."""
    folder = picture_project().save(tmp_path_factory.mktemp("site") / "project")
    command = ["-m", "tlhelpers", "serve", str(folder), "--no-browser"]
    with started(command) as served:
        assert ask(served.address)[0] == 200
        yield served


@pytest.mark.parametrize(
    "path",
    [
        "/index.html",
        "/page.html",
        "/words/page.html",
        "/project.json",
        "/network.safetensors",
        "/static/",
        "/docs",
        "/openapi.json",
        "/metrics",
        "/favicon.ico",
        "/.git/config",
        "/etc/passwd",
        "//etc/passwd",
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/%00",
        "/<script>alert(1)</script>",
        "/?given=<script>alert(1)</script>/..",
    ],
)
def test_nothing_but_the_page_is_served(site, path):
    status, body = ask(site.address, path)
    assert status in (400, 404) or (path.startswith("/?") and status == 200)
    assert b"root:" not in body and b"alert(1)" not in body
    assert status != 404 or b"Not Found" in body


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_page_is_only_read_and_sent_a_form(site, method):
    status, body = ask(site.address, method=method)
    assert status == 405 and b"Method Not Allowed" in body


def test_other_host_names_are_refused_by_the_server(site):
    port = urlsplit(site.address).port
    for host in ("evil.example", "127.0.0.1.evil.example", "0.0.0.0"):
        status, body = ask(site.address, host=f"{host}:{port}")
        assert status == 400 and b"Discs" not in body
    assert ask(site.address, host=f"localhost:{port}")[0] == 200


def test_form_of_a_foreign_page_is_refused_by_the_server(site):
    for headers in (
        {"Origin": "http://evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
    ):
        headers["Content_Length"] = "0"
        status, body = ask(site.address, method="POST", **headers)
        assert status == 403 and b"Another page sent this form." in body


def test_an_upload_over_the_limit_is_told_so_and_leaves_no_memory(site):
    before = psutil.Process(site.process.pid).memory_info().rss
    content = (bytes(2**20) for _ in range(102))
    headers = {
        "content-length": str(102 * 2**20),
        "content-type": "multipart/form-data; boundary=a",
    }
    reply = httpx.post(site.address, content=content, headers=headers, timeout=60)
    assert reply.status_code == 413 and "more than 100 megabytes" in reply.text
    grown = psutil.Process(site.process.pid).memory_info().rss - before
    assert grown < 30 * 2**20


def test_only_the_loopback_is_listened_to_by_one_process(site):
    main = psutil.Process(site.process.pid)
    assert main.children(recursive=True) == []
    connections = getattr(main, "net_connections", None) or main.connections
    listening = [
        c.laddr.ip for c in connections("inet") if c.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


def test_of_thirty_visitors_at_once_none_is_lost(site):
    mine = [draw(kind, i, 90 + i) for i in range(15) for kind in ("disc", "square")]
    alone = picture_project().predict_proba(mine)

    def visit(i):
        files = {"given": (f"picture {i}.png", as_bytes(mine[i]))}
        return httpx.post(site.address, files=files, timeout=120)

    with ThreadPoolExecutor(30) as visitors:
        replies = list(visitors.map(visit, range(30)))
    assert Counter(r.status_code for r in replies) == {200: 30}
    for i, reply in enumerate(replies):
        name = ("disc", "square")[int(alone[i].argmax())]
        assert f"picture {i}.png" in reply.text, "each with its own name"
        assert f"{name}, {100 * alone[i].max():.0f} %" in said(reply.text)


def test_a_visitor_who_leaves_in_the_middle_harms_nobody(site):
    where = urlsplit(site.address)
    for sent in (b"", b"--a\r\nContent-Disposition: form-data; name=given\r\n\r\nx"):
        with socket.create_connection((where.hostname, where.port)) as line:
            line.sendall(
                f"POST / HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: 9000\r\n"
                "Content-Type: multipart/form-data; boundary=a\r\n\r\n".encode()
            )
            line.sendall(sent)
    assert ask(site.address)[0] == 200


def test_ctrl_c_ends_everything(site):
    """The last test: it ends the site, though a visitor has not sent everything."""
    where = urlsplit(site.address)
    with socket.create_connection((where.hostname, where.port)) as line:
        head = (
            f"POST / HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: 9000\r\n\r\n"
        )
        line.sendall(head.encode())
        time.sleep(0.2)
        assert stop(site.process, signal.SIGINT) == []
    assert site.process.returncode == 0
    assert site.process.stdout.read().endswith("stopped\n")
    with pytest.raises(OSError):
        ask(site.address)


def test_a_request_to_end_ends_everything(tmp_path):
    folder = picture_project().save(tmp_path / "project")
    with started(["-m", "tlhelpers", "serve", str(folder), "--no-browser"]) as served:
        assert ask(served.address)[0] == 200
        assert stop(served.process, signal.SIGTERM) == []
        assert served.process.returncode == 0
        assert served.process.stdout.read().endswith("stopped\n")
