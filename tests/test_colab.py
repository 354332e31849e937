"""The lessons on Colab: what the first cell changes, and what runs on old versions.

First: what would pip install there, and does it replace nothing?
``colab.txt`` is Colab's own list of packages. An environment is made that has their
names and versions, but no code, and pip is asked what each first cell would change.
What this cannot see:

- Colab runs Python 3.13; pip chooses here among the versions for the Python of the
  tests. A version that needs a newer Python, or another requirement under 3.13, is
  noticed on 3.13 only, and so is a package that has no wheel for it.
- The entries of the list have no requirements of their own. That they suit one another
  is taken for granted; what we add is resolved with its true requirements.
- The list is of one day; ``refresh_colab.py`` fetches that of another.

Second: what is old on Colab (``OLD`` in refresh_colab.py) is laid over the libraries of
this environment, and every notebook runs in small on it. What this cannot see:

- torch, fastai, matplotlib and the rest are those of this environment.
- Nobody looks at a widget: that the kernel sends one does not show that Colab's page
  draws it.

The index of packages must be in reach; where it is not, these tests are skipped.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest
from notebook_tools import NOTEBOOKS, ROOT, check_widgets, run
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from refresh_colab import LIST, old, read

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
INSTALL = re.compile(r'%pip install -q "tlhelpers(?:\[([\w,]+)\])? @ git\+[^"]+"(.*)')
VERSION = re.compile(r'\{md\.version\("([\w-]+)"\)\}')
#: What only extras bring. Nothing else that imports them is needed by a lesson.
EXTRAS = "papermill nbformat nbconvert nbval jupyterlab starlette uvicorn "
EXTRAS += "python_multipart onnx onnxscript onnxruntime"


def listed() -> dict[str, str]:
    versions, _ = read(LIST.read_text(encoding="utf-8"))
    return {canonicalize_name(name): version for name, version in versions.items()}


def needs(extras: set[str]) -> list[str]:
    """Return what pyproject.toml asks for; an unknown extra, as in pip, for nothing."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    found = list(project["dependencies"])
    for extra in sorted(extras):
        found += project["optional-dependencies"].get(extra, [])
    own = [r for r in map(Requirement, found) if r.name == "tlhelpers"]
    more = set().union(*(r.extras for r in own)) - extras
    if more:
        return needs(extras | more)
    return [text for text in found if Requirement(text).name != "tlhelpers"]


def first_cells() -> dict[str, list[str]]:
    """Return what the first cells ask pip for, by the notebooks that do."""
    asked: dict[tuple[str, ...], list[str]] = {}
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        (cell,) = (c for c in cells if "install" in c.metadata.get("tags", []))
        extras, pins = INSTALL.search(cell.source).groups()
        kept = VERSION.sub(lambda m: listed()[m[1]], pins).split()
        wanted = needs(set(extras.split(",")) if extras else set())
        asked.setdefault((*wanted, *kept), []).append(path.name[:2])
    return {" ".join(numbers): list(wanted) for wanted, numbers in asked.items()}


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """The Python of an environment in which pip finds what Colab has."""
    folder = tmp_path_factory.mktemp("colab")
    venv.create(folder, with_pip=False)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", where], capture_output=True, text=True).stdout
    for name, version in listed().items():
        entry = Path(site.strip(), f"{name.replace('-', '_')}-{version}.dist-info")
        entry.mkdir()
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        for file, text in (("METADATA", about), ("INSTALLER", "pip\n"), ("RECORD", "")):
            (entry / file).write_text(text, encoding="utf-8")
    return python


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Skip where pip reaches no index that has captum, which is small and we need."""
    command = [*PIP, "download", "--no-deps", "--no-cache-dir", "--retries", "1"]
    command += ["--timeout", "15", "-d", str(tmp_path_factory.mktemp("probe"))]
    done = subprocess.run([*command, "captum"], capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        pytest.skip(f"no index of packages in reach: {said}")


def test_pip_takes_the_list_for_installed(colab):
    command = [*PIP, "--python", str(colab), "list", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = {
        canonicalize_name(p["name"]): p["version"] for p in json.loads(done.stdout)
    }
    assert found == listed()
    assert len(found) > 500 and {"torch", "ipykernel", "google-colab"} <= set(found)


@pytest.mark.parametrize("numbers", first_cells())
def test_first_cell_replaces_nothing(numbers, colab, index, tmp_path):
    command = [*PIP, "--python", str(colab), "install", "--dry-run", "--quiet"]
    command += ["--report", str(tmp_path / "report.json"), *first_cells()[numbers]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    new = {
        canonicalize_name(entry["metadata"]["name"]): entry["metadata"]["version"]
        for entry in report["install"]
    }
    print("new:", ", ".join(f"{k} {v}" for k, v in sorted(new.items())))
    there = listed()
    changed = [f"{k} {there[k]} → {new[k]}" for k in sorted(set(new) & set(there))]
    assert not changed, f"replaced under a running kernel: {'; '.join(changed)}"
    # JupyterLab would not serve the notebook that is open.
    assert not {"jupyterlab", "papermill"} & set(new)


def test_lessons_do_without_the_extras():
    code = f"""
import sys
sys.modules.update(dict.fromkeys({EXTRAS.split()!r}))
import tlhelpers as tl
from tlhelpers.course import check, cli, doctor, session
from tlhelpers.project import build, keep, plan
rooms = [getattr(tl, name) for name in tl.__all__]
tl.start("mini")
assert check.exercises()
print(len(rooms), "names")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("names\n")


def test_list_is_read_as_pip_wrote_it():
    text = """
# a remark
one==1.0.post3
two-three==2.11.0+cu128
four @ https://example.org/f/four_x-3.8.0-py3-none-any.whl#sha256=19
five-six @ file:///dist/five_six-1.0.0.tar.gz
seven @ git+https://example.org/seven@b134e9
"""
    versions, unknown = read(text)
    assert versions == {
        "one": "1.0.post3",
        "two-three": "2.11.0+cu128",
        "four": "3.8.0",
        "five-six": "1.0.0",
    }
    assert unknown == ["seven"]
    with pytest.raises(ValueError, match="eight"):
        read("eight")


# --- the oldest versions, laid over this environment ---------------------------------

#: The first cell of each run: the kernel has these versions, and from that folder.
PROOF = """\
from importlib import import_module, metadata
from pathlib import Path
for name, version in {pins!r}.items():
    assert metadata.version(name) == version, (name, metadata.version(name))
    name = {{"ipython": "IPython", "scikit-learn": "sklearn"}}.get(name, name)
    module = import_module(name)
    assert Path(module.__file__).is_relative_to({folder!r}), module.__file__
"""


def proof(folder: Path) -> str:
    return PROOF.format(pins=old(), folder=str(folder))


@pytest.fixture(scope="module")
def overlay(index, tmp_path_factory):
    """A folder with what is old on Colab, and what that needs, as Colab has it."""
    folder = tmp_path_factory.mktemp("overlay")
    command = [*PIP, "install", "--quiet", "--target", str(folder), "-c", str(LIST)]
    command += ["--only-binary", ":all:", *(f"{k}=={v}" for k, v in old().items())]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.versions
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_on_the_oldest_versions(path, overlay, tmp_path, monkeypatch):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(proof(overlay)))
    copy = tmp_path / path.name
    nbformat.write(notebook, copy)
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(overlay), before]))
    entry = run(monkeypatch, copy, tmp_path / "out", smoke=True)
    assert entry["error"] == ""
    cells = nbformat.read(tmp_path / "out" / path.name, as_version=4).cells
    code = [c for c in cells if c.cell_type == "code" and c.source.strip()]
    assert all(c.execution_count for c in code)
    check_widgets(tmp_path / "out" / path.name)


@pytest.mark.versions
@pytest.mark.timeout(900)
def test_heads_tables_and_widgets_keep_their_tests_on_the_oldest_versions(overlay):
    names = "test_heads.py test_own_data.py test_plots.py project/test_page.py"
    # By name: the overlay hides the plugins of newer packages.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "pytest_timeout", "-p", "xdist.plugin"]
    command += [str(ROOT / "tests" / name) for name in names.split()]
    path = os.pathsep.join([str(overlay), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert done.returncode == 0, done.stdout[-4000:]


def test_proof_fails_on_the_versions_of_this_environment(tmp_path):
    command = [sys.executable, "-c", proof(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode and "AssertionError" in done.stderr


def test_explorer_without_a_widget_is_noticed():
    with pytest.raises(AssertionError, match="explore_"):
        check_widgets(NOTEBOOKS[0])  # as published: the picture, and no widget


def test_old_versions_are_those_of_the_list():
    command = [sys.executable, LIST.with_name("refresh_colab.py"), "--old"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    pins = done.stdout.split()
    assert len(pins) == 6 and set(pins) <= set(LIST.read_text("utf-8").splitlines())
    asked = {canonicalize_name(r.name): r for r in map(Requirement, needs(set()))}
    for name, version in old().items():
        assert version in asked[name].specifier
