"""A notebook opened alone: no course around it, no tlhelpers installed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import threading
import venv
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest
from notebook_tools import NOTEBOOKS, ROOT, publishing
from packaging.requirements import Requirement
from packaging.version import Version


@pytest.fixture
def stranger(tmp_path):
    """An environment with the libraries of this one, but without tlhelpers.

    The libraries are lent as links in a folder that a .pth file names.
    """
    venv.create(tmp_path / "env", with_pip=False)  # pip is lent, too
    scripts = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", where], capture_output=True, text=True).stdout
    lent = tmp_path / "lent"
    lent.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "tlhelpers" not in entry.name:
            (lent / entry.name).symlink_to(entry)
    Path(site.strip(), "lent.pth").write_text(f"{lent}\n", encoding="utf-8")
    return python


@pytest.mark.notebooks
@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_notebook_alone_installs_the_course_and_runs(stranger, tmp_path):
    missing = subprocess.run(
        [stranger, "-c", "import torch, tlhelpers"], capture_output=True, cwd=tmp_path
    )
    assert b"No module named 'tlhelpers'" in missing.stderr
    alone = tmp_path / "alone"
    alone.mkdir()
    path = alone / NOTEBOOKS[0].name
    text = NOTEBOOKS[0].read_text(encoding="utf-8")
    address = f"git+https://github.com/{publishing().current_repository()}"
    assert address in text
    path.write_text(text.replace(address, ROOT.as_uri()), encoding="utf-8")
    environment = {
        **os.environ,
        "TLHELPERS_SMOKE": "1",
        # The local checkout stands for the repository; nothing else may be fetched.
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PYTHONPATH": str(ROOT / "tests" / "offline"),
        "HF_HUB_OFFLINE": "1",
        "PATH": f"{stranger.parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = [
        stranger,
        "-m",
        "papermill",
        path,
        alone / "out.ipynb",
        "--no-progress-bar",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=alone
    )
    assert done.returncode == 0, done.stderr[-3000:]
    code = "import torch, tlhelpers; print(tlhelpers.__file__); print(torch.__file__)"
    homes = subprocess.run(
        [stranger, "-c", code], capture_output=True, text=True, cwd=alone
    )
    course, torch = homes.stdout.split()
    assert Path(course).is_relative_to(tmp_path / "env"), "the course was installed"
    assert Path(torch).is_relative_to(tmp_path / "lent"), "torch was left as it was"
    outputs = [
        o
        for c in nbformat.read(alone / "out.ipynb", 4).cells
        for o in c.get("outputs", [])
    ]
    assert not [o for o in outputs if o.output_type == "error"]


def test_wheel_carries_the_bundled_data(tmp_path):
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
    ]
    command += ["--no-index", "-q", "-w", tmp_path, ROOT]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 40 * 2**20
    shutil.unpack_archive(wheel, tmp_path / "content", "zip")
    bundled = tmp_path / "content" / "tlhelpers" / "data"
    assert (bundled / "pets" / "manifest.csv").is_file()
    assert len(list((bundled / "pets").rglob("*.jpg"))) == 1500
    for page in ("index.html.j2", "page.html.j2"):
        assert (bundled.parent / "course" / page).is_file()
    here = {p.name for p in (ROOT / "data").iterdir() if p.name != "make"}
    assert {p.name for p in bundled.iterdir()} == here


def test_constraints_hold_from_the_python_that_they_were_tested_with_on():
    """Debian 12 has Python 3.11.2, which some of these versions do not support."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    tested = Version(re.search(r"\(Python ([\d.]+)\)", text)[1])
    pins = [Requirement(x) for x in text.splitlines() if not x.startswith("#")]
    older = "3.10.19"
    if tested.micro:
        older = f"{tested.major}.{tested.minor}.{tested.micro - 1}"
    assert len(pins) > 200
    for pin in pins:
        for python, holds in ((older, False), (str(tested), True), ("3.99.0", True)):
            assert pin.marker.evaluate({"python_full_version": python}) is holds


def test_address_stands_in_one_place_and_is_used_everywhere():
    address = publishing().current_repository()
    for path in [ROOT / "README.md", *NOTEBOOKS]:
        text = path.read_text(encoding="utf-8")
        for word in ("colab.research.google.com/github/", "mybinder.org/v2/gh/"):
            assert f"{word}{address}/" in text, path.name


# --- PyTorch's builds for the CPU ----------------------------------------------------


def wheel(folder, name, version):
    """Put a package without content into an index in a folder."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    said = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(place / f"{name}-{version}-py3-none-any.whl", "w") as file:
        meta = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        file.writestr(f"{said}/METADATA", meta)
        file.writestr(f"{said}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{said}/RECORD", "")
    links = [f'<a href="{w.name}">{w.name}</a>' for w in place.glob("*.whl")]
    (place / "index.html").write_text("\n".join(links))


@pytest.fixture
def indexes(tmp_path):
    """Two package indexes on this machine: one usual, one of builds for the CPU."""
    pins = (ROOT / "constraints.txt").read_text("utf-8")
    for name in ("torch", "torchvision"):
        version = re.search(rf"^{name}==(\S+)", pins, re.M)[1]
        wheel(tmp_path / "usual", name, version)
        wheel(tmp_path / "cpu", name, f"{version}+cpu")
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("cpu", [True, False])
def test_torch_comes_without_cuda_where_its_index_is_named(indexes, tmp_path, cpu):
    """The line that make would run, with these two packages and these two indexes."""
    named = [f"TORCH_INDEX={indexes}/cpu"] * cpu
    dry = ["make", "-n", "-B", "course", f"VENV={tmp_path / 'none'}", *named]
    said = subprocess.run(dry, capture_output=True, text=True, cwd=ROOT, check=True)
    (line,) = [x for x in said.stdout.splitlines() if "pip install" in x]
    options = shlex.split(line)[4:]
    where = options.index("-e")
    options[where : where + 2] = ["torch", "torchvision"]
    report = tmp_path / "report.json"
    usual = ["--index-url", f"{indexes}/usual", "--target", str(tmp_path / "new")]
    asked = ["--dry-run", "--quiet", "--report", str(report), *usual]
    pip = [sys.executable, "-m", "pip", "install", "--isolated", *asked, *options]
    subprocess.run(pip, check=True, cwd=ROOT)
    found = json.loads(report.read_text("utf-8"))["install"]
    assert {p["metadata"]["name"] for p in found} == {"torch", "torchvision"}
    assert all(p["metadata"]["version"].endswith("+cpu") is cpu for p in found)
