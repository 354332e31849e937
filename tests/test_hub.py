"""A class on one server: JupyterHub for real, on this machine, with five learners."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import httpx
import nbformat
import psutil
import pytest
from notebook_tools import NOTEBOOKS, ROOT
from page_tools import wait_for
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

pytestmark = [
    pytest.mark.xdist_group("hub"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a Linux server"),
]
HUB = ROOT / "deploy" / "jupyterhub"
PASSWORD = "a password for all"
SEATS, GB, MB = 5, 2**30, 2**20
NAMES = [f"learner{i}" for i in range(1, SEATS + 1)]
#: Four gigabytes of addresses. Nothing is written to them, so where no limit holds, no
#: memory is used either.
GREEDY = "import numpy as np; len(np.empty(2**29))"
#: A system of its own for accounts: what is written to /etc and /home stays in here.
APART = """
mount -t tmpfs none "$1" && mkdir "$1/new" "$1/work"
mount -t overlay none -o "lowerdir=/etc,upperdir=$1/new,workdir=$1/work" /etc
mount -t tmpfs none /home
if [ -n "$CLOSED" ]; then  # the Python of pyenv, in the home of root
    mkdir "$1/python" && mount --bind "$PYTHON" "$1/python"
    mount -t tmpfs none "$CLOSED" && mkdir -p "$PYTHON"
    mount --bind "$1/python" "$PYTHON"
fi
"""


@pytest.fixture(scope="session")
def proxy(tmp_path_factory):
    """The folder with the program configurable-http-proxy, of npm."""
    if importlib.util.find_spec("jupyterhub") is None:
        pytest.skip('jupyterhub is missing: pip install -e ".[hub]"')
    if found := shutil.which("configurable-http-proxy"):
        return Path(found).parent
    if shutil.which("npm") is None:
        pytest.skip("neither configurable-http-proxy nor npm is here")
    folder = tmp_path_factory.mktemp("proxy")
    words = ["npm", "install", "--silent", "--no-fund", "--no-audit"]
    text = (HUB / "README.md").read_text(encoding="utf-8")
    (wanted,) = set(re.findall(r"npm install .*(configurable-http-proxy@\d+)", text))
    done = subprocess.run(
        [*words, "--prefix", folder, wanted], capture_output=True, timeout=300
    )
    if done.returncode:
        pytest.skip(f"npm could not fetch the proxy: {done.stderr.decode()[-300:]}")
    return folder / "node_modules" / ".bin"


def free_ports(n):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


@contextlib.contextmanager
def started(folder, proxy, before=(), **environment):
    """Start the hub by its own configuration; end it with all that it started."""
    door, inside, api = free_ports(3)
    settings = {
        **os.environ,
        "HUB_FOLDER": str(folder),
        "HUB_ADDRESS": f"http://127.0.0.1:{door}",
        "TLHELPERS_SMOKE": "1",
        "PATH": os.pathsep.join([str(proxy), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "offline"), str(ROOT)]),
        **environment,
    }
    folder.mkdir(parents=True, exist_ok=True)
    config = HUB / "jupyterhub_config.py"
    if settings.get("HUB_REHEARSAL") and not os.getuid():
        # Who tests as root, as in a container, must say so; nothing else is changed.
        text = (
            f'load_subconfig("{config}")\nget_config().Spawner.args += ["--allow-root"]'
        )
        config = folder / "as_root.py"
        config.write_text(text, encoding="utf-8")
    words = [*before, sys.executable, "-m", "jupyterhub", "-f", config]
    words += [f"--JupyterHub.hub_port={inside}"]
    words += [f"--ConfigurableHTTPProxy.api_url=http://127.0.0.1:{api}"]
    log = folder / "hub.log"
    with log.open("wb") as out:
        hub = subprocess.Popen(
            list(map(str, words)), cwd=ROOT, env=settings, stdout=out, stderr=out
        )
    address = f"http://127.0.0.1:{door}"

    def answers():
        assert hub.poll() is None, log.read_text("utf-8")[-2000:]
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{address}/hub/login", timeout=5).is_success

    try:
        wait_for(answers, seconds=120)
        yield address
    finally:
        family = []
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(hub.pid).children(recursive=True)
        hub.terminate()
        try:
            hub.wait(60)
        finally:
            for process in [hub, *family]:
                with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                    process.kill()


class Learner:
    """One who comes with a browser."""

    def __init__(self, address, name, password=PASSWORD):
        self.name = name
        self.web = httpx.Client(base_url=address, timeout=240, follow_redirects=True)
        self.web.get("/hub/login")
        self.came_in = self.web.post(
            "/hub/login?next=/hub/home",
            data={"username": name, "password": password, "_xsrf": self.key()},
        )

    def key(self):
        jar = self.web.cookies.jar
        return next(x.value for x in jar if x.name == "_xsrf" and x.path == "/hub/")

    def ask(self, way, path, **more):
        """Ask the hub's API, as its pages do."""
        headers = {"X-XSRFToken": self.key(), "Referer": f"{self.web.base_url}hub/home"}
        return self.web.request(way, f"/hub/api/{path}", headers=headers, **more)

    def start(self):
        """Start the server; wait until it is there, and get a token for it."""
        asked = self.ask("POST", f"users/{self.name}/server")
        assert asked.status_code in (201, 202), asked.text
        me = f"users/{self.name}"

        def ready():
            time.sleep(1)  # asking costs the hub more than the answer is worth
            servers = self.ask("GET", me).json()["servers"]
            assert servers, "the server did not start: see hub.log"
            return servers[""]["ready"]

        wait_for(ready, seconds=240)
        made = self.ask("POST", f"{me}/tokens", json={"expires_in": 3600})
        self.token = {"Authorization": f"token {made.json()['token']}"}
        return self

    def server(self, way, path, whose=None, **more):
        """Ask a learner's server with this learner's token, without a cookie."""
        url = self.web.base_url.join(f"/user/{whose or self.name}/api/{path}")
        return httpx.request(way, url, headers=self.token, timeout=240, **more)

    def open_lesson(self):
        where = {"name": "python3", "path": "course/notebooks"}
        return self.server("POST", "kernels", json=where)

    async def run(self, kernel, *sources):
        """Execute cells; return what each said, and what failed."""
        url = self.web.base_url.join(
            f"/user/{self.name}/api/kernels/{kernel}/channels"
        ).copy_with(scheme="ws")
        line = await websocket_connect(HTTPRequest(str(url), headers=self.token))
        said, failed = [], []
        try:
            for source in sources:
                said.append("")
                head = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request"}
                head |= {"username": self.name, "session": "s", "version": "5.3"}
                content = {"code": source, "silent": False, "store_history": True}
                content |= {"user_expressions": {}, "allow_stdin": False}
                message = {"header": {**head, "date": ""}, "content": content}
                message |= {"parent_header": {}, "metadata": {}, "buffers": []}
                await line.write_message(json.dumps({**message, "channel": "shell"}))
                ended = set()
                while ended != {"execute_reply", "idle"}:
                    if (text := await line.read_message()) is None:
                        return said, [*failed, {"ename": "the kernel was lost"}]
                    answer = json.loads(text) if isinstance(text, str) else {}
                    parent = answer.get("parent_header", {})
                    if parent.get("msg_id") != head["msg_id"]:
                        continue
                    kind, content = answer["msg_type"], answer["content"]
                    if kind == "execute_reply":
                        ended.add(kind)
                        if content["status"] != "ok":
                            failed.append(content)
                    elif content.get("execution_state") == "idle":
                        ended.add("idle")
                    text = content.get("data", {}).get("text/plain", "")
                    said[-1] += content.get("text", "") + text
        finally:
            line.close()
        return said, failed

    def compute(self, *sources, kernel=None):
        kernel = kernel or self.open_lesson().json()["id"]
        return asyncio.run(self.run(kernel, *sources))


class Watch(threading.Thread):
    """Note the most memory that each learner uses, and all together."""

    def __init__(self, homes):
        super().__init__(daemon=True)
        self.homes, self.over = str(homes), threading.Event()
        self.most, self.together = {}, 0.0

    def look(self):
        used = {}
        for process in psutil.process_iter(["environ"]):
            has = process.info["environ"] or {}
            if self.homes in has.get("HOME", "") and "JUPYTERHUB_USER" in has:
                with contextlib.suppress(psutil.Error, OSError):
                    # What processes share is shared out between them.
                    size = process.memory_full_info().pss / MB
                    name = has["JUPYTERHUB_USER"]
                    used[name] = used.get(name, 0) + size
        self.together = max(self.together, sum(used.values()))
        for name, size in used.items():
            self.most[name] = max(self.most.get(name, 0), size)

    def run(self):
        while not self.over.wait(1):
            self.look()


@pytest.fixture(scope="module")
def hub(tmp_path_factory, proxy):
    folder = tmp_path_factory.mktemp("hub")
    given = {"HUB_REHEARSAL": PASSWORD, "HUB_SEATS": str(SEATS)}
    with started(folder, proxy, **given) as address:
        yield SimpleNamespace(address=address, folder=folder)


@pytest.fixture(scope="module")
def learners(hub):
    """Five who come, and start their servers, at the same moment."""

    def come(name):
        return Learner(hub.address, name).start()

    with ThreadPoolExecutor(SEATS) as crowd:
        return list(crowd.map(come, NAMES))


@pytest.fixture(scope="module")
def lesson(hub, learners):
    """The five run the first lesson at once, each in the own copy."""
    copy = hub.folder / "homes" / NAMES[0] / "course" / "notebooks" / NOTEBOOKS[0].name
    cells = nbformat.read(copy, as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    watch, since = Watch(hub.folder / "homes"), time.perf_counter()
    watch.start()

    async def all_at_once():
        return await asyncio.gather(
            *(x.run(x.kernel, *sources) for x in learners), return_exceptions=True
        )

    try:
        for learner in learners:
            learner.kernel = learner.open_lesson().json()["id"]
        found = asyncio.run(all_at_once())
        watch.look()
    finally:
        watch.over.set()
    seconds, clock = time.perf_counter() - since, "__import__('time').process_time()"
    cpu = sum(float(x.compute(clock, kernel=x.kernel)[0][0]) for x in learners)
    more = {"seconds": seconds, "cpu": cpu / SEATS}
    return SimpleNamespace(found=found, sources=sources, watch=watch, **more)


@pytest.mark.small
def test_five_learners_run_the_first_lesson_at_once(lesson, capsys):
    assert len(lesson.sources) > 10
    for said, failed in lesson.found:
        assert failed == [] and len(said) == len(lesson.sources)
        # Small runs show their claims without judging them.
        told = [x for x, y in zip(said, lesson.sources) if "run.claim(" in y]
        assert len(re.findall("(?m)^[✔·] ", "".join(told))) == 3
    most = lesson.watch.most
    assert set(most) == set(NAMES) and min(most.values()) > 300
    assert max(most.values()) < 2.2 * 1024  # what the configuration counts with
    with capsys.disabled():
        print(
            f"\n| {SEATS} | {lesson.seconds:.0f} | {lesson.cpu:.0f} "
            f"| {min(most.values()):.0f} | {max(most.values()):.0f} "
            f"| {lesson.watch.together:.0f} |"
        )


@pytest.mark.small
def test_the_sixth_is_told_and_a_seat_that_becomes_free_is_free(hub, lesson, learners):
    sixth = Learner(hub.address, "sixth")
    page = sixth.web.get("/hub/spawn")
    assert page.status_code == 429
    assert f"All {SEATS} seats are taken" in page.text
    assert "Your saved work is safe" in page.text
    asked = sixth.ask("POST", "users/sixth/server")
    assert asked.status_code == 429 and "limit exceeded" in asked.json()["message"]
    assert learners[-1].ask("DELETE", f"users/{NAMES[-1]}/server").status_code < 300

    def free():
        return sixth.ask("POST", "users/sixth/server").status_code in (201, 202)

    wait_for(free)


@pytest.mark.small
def test_nobody_opens_the_server_of_another(lesson, learners):
    one, other = learners[:2]
    for path in ("contents", "kernels", f"kernels/{other.kernel}"):
        assert one.server("GET", path, whose=other.name).status_code in (403, 404)
        assert other.server("GET", path).status_code == 200
    # The cookies of a browser, through the hub's own sign-in of a server.
    assert one.web.get(f"/user/{one.name}/lab").status_code == 200
    assert one.web.get(f"/user/{other.name}/lab").status_code == 403
    assert one.ask("GET", f"users/{other.name}").status_code in (403, 404)
    assert one.ask("DELETE", f"users/{other.name}/server").status_code in (403, 404)
    assert one.server("GET", "kernels", whose=other.name, params={}).status_code == 403


@pytest.mark.small
def test_a_wrong_password_opens_nothing(hub, learners):
    stranger = Learner(hub.address, "stranger", "guessed by somebody")
    assert stranger.came_in.status_code == 403
    assert stranger.ask("GET", "user").status_code == 403
    assert Learner(hub.address, "friend").ask("GET", "user").json()["name"] == "friend"
    assert httpx.get(f"{hub.address}/user/{NAMES[0]}/api/contents").status_code == 403


@pytest.mark.small
def test_who_asks_for_too_much_gets_an_error_and_the_others_go_on(lesson, learners):
    one, other = learners[:2]
    second = one.open_lesson().json()["id"]
    limit = "import resource; print(resource.getrlimit(resource.RLIMIT_DATA))"
    (said, *_), failed = one.compute(limit, GREEDY, kernel=second)
    assert said == f"({int(3.5 * GB)}, {int(3.5 * GB)})\n"
    assert [x["ename"].endswith("MemoryError") for x in failed] == [True]
    assert one.compute(GREEDY.replace("29", "26"), kernel=second) == (["67108864"], [])
    # What the lesson made is there still, in the kernels of both.
    for learner in (one, other):
        assert learner.compute("bool(run)", kernel=learner.kernel) == (["True"], [])
    third = one.open_lesson()
    assert third.status_code == 429 and "Shut Down Kernel" in third.json()["message"]
    assert one.server("DELETE", f"kernels/{second}").status_code == 204
    assert one.open_lesson().status_code == 201


@pytest.mark.small
def test_copies_and_caches_are_a_learners_own_and_data_are_shared(
    hub, lesson, learners
):
    cell = (
        "import os; from tlhelpers import machine; "
        "print(os.getcwd(), machine.cache_folder(), machine.data_folder(), sep='\\n')"
    )
    places = [x.compute(cell, kernel=x.kernel)[0][0].split() for x in learners[:2]]
    for learner, (here, cache, data) in zip(learners, places):
        home = hub.folder / "homes" / learner.name
        assert Path(here) == home / "course" / "notebooks"
        assert home in Path(cache).parents
        assert Path(data) == ROOT / "data"


# --- with accounts of the system -----------------------------------------------------


def closed(folder):
    """Return the topmost folder on the way there that other accounts cannot enter."""
    way = [p for p in (folder, *folder.parents) if not p.stat().st_mode & 0o001]
    return way[-1] if way else ""


@pytest.fixture
def apart(tmp_path):
    """Words that start a program where accounts can be made that nobody else sees."""
    if os.getuid() or not shutil.which("unshare") or not shutil.which("useradd"):
        pytest.skip("accounts are made by root, with unshare and useradd")
    if closed(HUB) or closed(Path(sys.prefix)):
        pytest.skip("the folder of the course is closed to other accounts")
    room, python = tmp_path / "room", Path(sys.base_prefix)
    room.mkdir()
    script = f"CLOSED={closed(python)} PYTHON={python}\nset -e\n{APART}"
    script += f'\nsh {HUB}/add_learners.sh ada ben > "$2"\n'
    script += 'useradd eve\necho "eve:not-in-the-course" | chpasswd\nshift 2\nexec "$@"'
    words = ["unshare", "--mount", "sh", "-c", script, "sh", room]
    words += [tmp_path / "passwords"]
    if subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    return words, tmp_path / "passwords"


@pytest.mark.small
def test_accounts_of_the_system_write_to_their_own_files_only(apart, proxy, tmp_path):
    words, passwords = apart
    with started(tmp_path / "hub", proxy, words, HUB_REHEARSAL="") as address:
        given = dict(line.split() for line in passwords.read_text().splitlines())
        assert Learner(address, "ada", given["ben"]).came_in.status_code == 403
        assert Learner(address, "eve", "not-in-the-course").came_in.status_code == 403
        ada, ben = (Learner(address, x, given[x]).start() for x in ("ada", "ben"))
        files = [ROOT / "data" / "README.md", Path(importlib.util.__file__)]
        files += [ROOT / "tlhelpers" / "machine.py", tmp_path / "hub" / "cookie_secret"]
        files += [Path(importlib.util.find_spec("timm").origin), "/home/ben/.bashrc"]
        cell = f"""
            import os, resource
            def refused(file):
                try:
                    open(file, "a").close()
                except PermissionError:
                    return True
            print([bool(refused(f)) for f in {list(map(str, files))}])
            print(refused("00_start_here.ipynb"), refused("/home/ada/mine"))
            print(os.getuid() > 0, os.getcwd(), os.listdir("/home/ada/course"))
            import tlhelpers as tl
            print(len(tl.load_pets().test) > 0)
        """
        (said,), failed = ada.compute(re.sub(r"(?m)^ {12}", "", cell).strip())
        assert failed == []
        assert said.splitlines() == [
            str([True] * len(files)),
            "None None",
            "True /home/ada/course/notebooks ['notebooks']",
            "True",
        ]
        assert ada.server("GET", "contents", whose="ben").status_code == 403
        assert ben.server("GET", "contents").status_code == 200
        assert ada.compute(GREEDY)[1][0]["ename"].endswith("MemoryError")


# --- the configuration ---------------------------------------------------------------


def configured(monkeypatch, folder, **environment):
    """Read the configuration, as the hub does."""
    loader = pytest.importorskip("traitlets.config.loader")
    pytest.importorskip("jupyterhub")
    for name in [n for n in os.environ if n.startswith("HUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HUB_FOLDER", str(folder))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    file = HUB / "jupyterhub_config.py"
    return loader.PyFileConfigLoader(file.name, str(HUB)).load_config()


def test_unless_told_otherwise_the_hub_is_local_and_asks_the_system(
    monkeypatch, tmp_path
):
    made = configured(monkeypatch, tmp_path / "hub")
    assert made.JupyterHub.bind_url == "http://127.0.0.1:8000"
    assert made.JupyterHub.authenticator_class == "pam"
    assert "allow_all" not in made.Authenticator
    assert made.LocalAuthenticator.allowed_groups == {"course"}
    assert (tmp_path / "hub").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("address", "more", "words"),
    [
        ("http://0.0.0.0:8000", {}, "HUB_CERTIFICATE"),
        ("http://:8000", {}, "HUB_CERTIFICATE"),
        ("http://192.168.1.7:8000", {}, "HUB_CERTIFICATE"),
        ("http://127.0.0.1.example.org:8000", {}, "HUB_CERTIFICATE"),
        ("http://hub.example.org", {"HUB_KEY": "key.pem"}, "HUB_CERTIFICATE"),
        ("https://0.0.0.0", {"HUB_REHEARSAL": PASSWORD}, "no walls between learners"),
    ],
)
def test_a_hub_open_to_others_needs_a_certificate_and_accounts(
    address, more, words, monkeypatch, tmp_path
):
    with pytest.raises(SystemExit, match=words):
        configured(monkeypatch, tmp_path, HUB_ADDRESS=address, **more)


def test_with_a_certificate_the_hub_may_be_open_to_others(monkeypatch, tmp_path):
    given = {"HUB_CERTIFICATE": "cert.pem", "HUB_KEY": "key.pem"}
    made = configured(monkeypatch, tmp_path, HUB_ADDRESS="https://0.0.0.0", **given)
    assert made.JupyterHub.bind_url == "https://0.0.0.0"
    assert (made.JupyterHub.ssl_cert, made.JupyterHub.ssl_key) == tuple(given.values())


@pytest.mark.parametrize(("memory", "seats"), [(2, 1), (8, 2), (16, 6), (64, 28)])
def test_seats_follow_from_memory(memory, seats, monkeypatch, tmp_path):
    found = SimpleNamespace(total=memory * GB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: found)
    made = configured(monkeypatch, tmp_path)
    assert made.JupyterHub.active_server_limit == seats
    text = (HUB / "README.md").read_text(encoding="utf-8")
    assert memory == 2 or f"| {memory} GB | {seats} |" in text


def test_lessons_are_copied_once_and_work_is_never_overwritten(tmp_path):
    spec = importlib.util.spec_from_file_location("start", HUB / "start_server.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    folder = tool.copy_lessons(tmp_path)
    assert {p.name for p in NOTEBOOKS} <= {f.name for f in folder.iterdir()}
    (folder / NOTEBOOKS[0].name).write_text("mine")
    (folder / NOTEBOOKS[1].name).unlink()
    tool.copy_lessons(tmp_path)
    assert (folder / NOTEBOOKS[0].name).read_text() == "mine"
    assert (folder / NOTEBOOKS[1].name).is_file()
    assert os.access(folder / NOTEBOOKS[1].name, os.W_OK)
    assert not [*folder.rglob("*.part")]
