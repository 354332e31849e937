"""The command line beside running: literals, doctor, serve, help; who imports whom."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tlhelpers import project
from tlhelpers.course import cli, doctor, session
from tlhelpers.course.run import literal
from tlhelpers.errors import CourseError
from tlhelpers.project import page


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("None", None),
        ("[20, 100]", [20, 100]),
        ("20,100", [20, 100]),
        ("resnet34", "resnet34"),
    ],
)
def test_parameters_are_read_as_python_or_else_as_text(text, value):
    assert literal("LABELS", text) == value


@pytest.mark.parametrize("name", ["DATA", "FOLDER"])
@pytest.mark.parametrize("typed", ["mine", "2024", "True", "a{1}b", "../x/mine"])
def test_a_place_is_meant_from_where_it_was_typed(tmp_path, monkeypatch, name, typed):
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path / "x")  # it need not be there: FOLDER is still to come
    assert literal(name, typed) == str((tmp_path / "x" / typed).resolve())
    assert literal(name, "~/mine") == str(Path.home() / "mine")
    assert literal(name, "None") is None


def test_the_lines_of_the_readme_name_one_folder(tmp_path, monkeypatch):
    """What `run` keeps under FOLDER is where `serve` looks for it."""
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    kept = re.search(r"tlhelpers run 10 .*-p FOLDER (\S+)", readme)[1]
    served = re.search(r"tlhelpers serve (\S+)", readme)[1]
    monkeypatch.chdir(tmp_path)
    assert literal("FOLDER", kept) == str(Path(served).resolve())


def test_doctor_is_content_here_without_network(capsys):
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.count("[OK]") == len(out.splitlines()) >= 8
    assert "hub not reached" in out
    assert re.search(r"runs take [\d.]+ times as long as the README says", out)


def broken(name, monkeypatch):
    """Break one thing that the doctor looks at."""
    error = CourseError("data/pets/x.jpg is damaged.", "Restore it.")

    def raise_error(*_, **__):
        raise error

    if name == "data":
        monkeypatch.setattr(doctor, "check_bundled", raise_error)
    elif name == "source":
        monkeypatch.setattr(doctor.sources, "lite0_weights", raise_error)
    elif name == "disk":
        usage = doctor.shutil.disk_usage(".")._replace(free=1)
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    elif name == "package":
        monkeypatch.setattr(doctor, "requires", lambda _: ["torch >= 99"])


@pytest.mark.parametrize("name", ["data", "source", "disk", "package"])
def test_doctor_fails_with_a_next_step(name, monkeypatch, capsys):
    broken(name, monkeypatch)
    assert cli.main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    failed = [i for i, line in enumerate(lines) if line.startswith("[FAIL]")]
    assert failed
    assert all(lines[i + 1].strip().startswith("→ ") for i in failed)


def test_download_without_network_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TLHELPERS_CACHE", str(tmp_path))
    assert cli.main(["download"]) == 2
    error = capsys.readouterr().err
    assert "could not be fetched" in error and 'PROFILE = "mini"' in error


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ([], {"port": 0, "open_browser": True}),
        (["--port", "8000", "--no-browser"], {"port": 8000, "open_browser": False}),
    ],
)
def test_serve_asks_for_the_folder_that_was_typed(options, asked, monkeypatch):
    served = []
    monkeypatch.setattr(page, "serve", lambda **given: served.append(given))
    assert cli.main(["serve", "mine", *options]) == 0
    assert served == [{"folder": Path("mine"), **asked}]


def test_serve_of_a_folder_without_project_says_what_to_do(tmp_path, capsys):
    assert cli.main(["serve", str(tmp_path), "--no-browser"]) == 2
    assert "holds no project" in capsys.readouterr().err


def lacking(monkeypatch, package, room):
    """Make a room of tlhelpers look not yet loaded, and a package missing."""
    monkeypatch.delitem(sys.modules, f"tlhelpers.{room}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)


@pytest.mark.parametrize(
    ("command", "package", "room", "extra"),
    [
        (["run", "00"], "papermill", "course.run", "run"),
        (["study", "00"], "papermill", "course.run", "study"),
        (["study", "00"], "distributed", "course.study", "study"),
        (["serve", "mine"], "starlette", "project.page", "serve"),
        (["serve", "mine"], "uvicorn", "project.page", "serve"),
    ],
)
def test_command_without_its_packages_says_what_to_install(
    command, package, room, extra, monkeypatch, capsys
):
    lacking(monkeypatch, package, room)
    monkeypatch.delitem(sys.modules, "tlhelpers.course.study", raising=False)
    assert cli.main(command) == 2
    error = capsys.readouterr().err
    assert package in error and f'pip install "tlhelpers[{extra}]"' in error


def test_page_without_its_packages_says_what_to_install(monkeypatch):
    lacking(monkeypatch, "starlette", "project.page")
    with pytest.raises(CourseError, match="starlette") as caught:
        _ = project.explore_project
    assert 'pip install "tlhelpers[serve]"' in caught.value.next_step


def test_doctor_misses_no_extra_but_names_one_that_is_too_old(monkeypatch, capsys):
    asked = ['no-such-thing >= 1 ; extra == "lab"', 'pytest >= 99 ; extra == "test"']
    monkeypatch.setattr(doctor, "requires", lambda _: asked)
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "no-such-thing" not in out
    assert '`pip install -c constraints.txt "pytest>=99"`' in out


def test_ctrl_c_is_heard_from_the_first_moment_on(monkeypatch, capsys):
    """Nothing that takes seconds is imported before someone listens."""
    code = "import sys, tlhelpers.course.cli; print(len(sys.modules), *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "pandas", "numpy", "PIL", "psutil", "papermill"}

    def pressed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "need", pressed)
    for command in (["run"], ["doctor"], ["download"], ["serve", "x"], ["study", "00"]):
        assert cli.main(command) == 130
        assert "stopped with Ctrl-C" in capsys.readouterr().err


def test_a_reader_who_leaves_is_no_error():
    code = "import sys; from tlhelpers.course import cli; cli._doctor = None;"
    code += "cli.need = lambda *_: type('R', (), {'check_machine': staticmethod("
    code += "lambda: print('line ' * 100_000) or True)});"
    code += "cli._doctor = lambda: cli._later('.doctor', 'check_machine')() and 0;"
    code += "sys.exit(cli.main(['doctor']))"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    child.stdout.close()
    error = child.stderr.read().decode()
    assert child.wait(60) == 141 and error == ""


@pytest.mark.parametrize("number", [2, 13, 21, 28, 30])
def test_what_the_system_refuses_is_said(number, monkeypatch, capsys):
    def refuse(**_):
        raise OSError(number, "refused", "place")

    monkeypatch.setattr(doctor, "check_machine", refuse)
    assert cli.main(["doctor"]) == 2
    error = capsys.readouterr().err
    assert "refused: 'place'" in error and "→ Check permissions" in error


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", None])
@pytest.mark.parametrize(
    "file", ["pets/card.json", "mail/card.json", "models/small_vgg.json"]
)
def test_doctor_names_a_damaged_card(file, damage, tmp_path, monkeypatch, capsys):
    data = broken_data(file, damage, tmp_path, monkeypatch)
    assert data and cli.main(["doctor"]) == 1
    failed = [x for x in capsys.readouterr().out.split("[FAIL]")[1:]]
    name = f"data/{file.removesuffix('/card.json').removesuffix('.json')}"
    assert any(name in x and "→ Restore it" in x for x in failed), failed


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"metrics"'])
def test_doctor_and_lessons_name_a_damaged_study(damage, tmp_path, monkeypatch, capsys):
    broken_data("studies/03.json", damage, tmp_path, monkeypatch)
    assert cli.main(["doctor"]) == 1
    assert "03.json is missing or damaged" in capsys.readouterr().out
    with pytest.raises(CourseError, match="03.json is missing or damaged"):
        session.read_study("03")


def broken_data(file, damage, folder, monkeypatch):
    """Link the bundled data into a folder, with one file damaged or missing."""
    real = doctor.machine.data_folder()
    data = folder / "data"
    data.mkdir()
    part = file.split("/")[0]
    for path in real.iterdir():
        if path.name != part:
            (data / path.name).symlink_to(path)
    (data / part).mkdir()
    for path in (real / part).iterdir():
        if path != real / file:
            (data / part / path.name).symlink_to(path)
    if damage is not None:
        (data / file).write_text(damage)
    monkeypatch.setattr(doctor.machine, "data_folder", lambda: data)
    for check in ("_computer", "_packages"):
        monkeypatch.setattr(doctor, check, lambda: [])
    return data


def test_doctor_looks_at_every_bundled_set():
    found = {p.parent.name for p in doctor.machine.data_folder().glob("*/card.json")}
    assert set(doctor.BUNDLED.split()) == found


def test_module_runs_as_a_command():
    command = [sys.executable, "-m", "tlhelpers", "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("run", "study", "doctor", "serve"))


#: Each imports from those before it only.
ORDER = ["session", "doctor", "run", "study", "publish", "cli"]


@pytest.mark.parametrize("module", ORDER)
def test_the_modules_of_the_course_import_in_one_direction(module):
    path = Path(cli.__file__).with_name(f"{module}.py")
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    found = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.level == 1]
    siblings = {n.module or a.name for n in found for a in n.names}
    assert siblings <= set(ORDER[: ORDER.index(module)])
