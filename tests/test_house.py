"""The house: floors, caps, arrows, and that every public name is used."""

from __future__ import annotations

import ast
import inspect
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import nbformat
import pytest

import tlhelpers as tl

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tlhelpers"
#: A room imports from lower floors only; docs/maintainers.md has this as a picture.
FLOORS = [
    "errors",
    "machine tasks surgery uncertainty transferability",
    "sources vectors own_data training duplicates plots",
    "features datasets compression language bert",
    "heads",
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms.split()}
#: Most lines of code and most files.
CAPS = {"": (2000, 20), "course": (1150, 20), "project": (500, 6)}
MOST_NAMES = 80
#: Loaded when they are needed, because not every lesson needs them.
LAZY = set(
    "fastai gensim transformers onnx onnxruntime captum torchvision papermill "
    "huggingface_hub starlette uvicorn anyio nbconvert nbformat psutil".split()
)


def files(part: str) -> list[Path]:
    return sorted((PACKAGE / part).glob("**/*.py" if part else "*.py"))


def code_lines(path: Path) -> int:
    """Count the lines that carry code: no docstrings, comments or blank lines."""
    text = path.read_text(encoding="utf-8")
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None
        for line in range(node.body[0].lineno, node.body[0].end_lineno + 1)
    }
    empty = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT}
    empty |= {tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER}
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in empty
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(lines - docs)


def public_names() -> dict[str, list[str]]:
    """Return the public names of each room, as the package's stub lists them."""
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    found = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {node.module: [a.name for a in node.names] for node in found}


def imports(path: Path) -> set[str]:
    """Return what a file imports from the package: "training", "course.check" …"""
    here = path.relative_to(PACKAGE).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = here[: len(here) - node.level + 1]
            if node.module:
                found.add(".".join([*above, node.module]))
            else:
                found |= {".".join([*above, a.name]) for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("tlhelpers"):
            found.add(node.module.removeprefix("tlhelpers").strip("."))
    return found


def test_code_lines_leave_out_what_is_no_code(tmp_path):
    code = ["x = (", "    1", ")", "def f():", "    return x"]
    rest = ['"""Doc."""', "", "# why", '    """One.', "", '    Two."""']
    lines = [*rest[:3], *code[:4], *rest[3:], code[4]]
    file = tmp_path / "some.py"
    file.write_text("\n".join(lines), encoding="utf-8")
    assert code_lines(file) == len(code)


@pytest.mark.parametrize("part", CAPS, ids=lambda p: p or "core")
def test_parts_keep_their_caps(part):
    lines, most = CAPS[part]
    counted = {f.name: code_lines(f) for f in files(part)}
    assert len(counted) <= most
    assert sum(counted.values()) <= lines, counted


def test_every_room_of_the_core_has_a_floor():
    rooms = {f.stem for f in files("")} - {"__init__", "__main__"}
    assert rooms == set(FLOOR)
    assert len(FLOORS) <= 5


@pytest.mark.parametrize("room", FLOOR)
def test_rooms_import_from_lower_floors_only(room):
    for other in imports(PACKAGE / f"{room}.py"):
        assert other in FLOOR, f"{room} imports {other}, which is not in the core"
        assert FLOOR[other] < FLOOR[room], f"{room} imports {other}"


@pytest.mark.parametrize("part", ["course", "project"])
def test_annexes_import_the_core_and_never_each_other(part):
    for file in files(part):
        for other in imports(file):
            assert other.startswith(part) or other in FLOOR or other == "", (
                f"{file.relative_to(PACKAGE)} imports {other}"
            )
        by_name = re.findall(r'"\.\.(\w+)', file.read_text(encoding="utf-8"))
        assert by_name == (["project"] if file.name == "cli.py" else [])


@pytest.mark.parametrize("path", files(""), ids=lambda p: p.stem)
def test_the_core_knows_nothing_of_notebooks_and_small_runs(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"SMOKE|REPORT|papermill|\bclaim\b|run\.claim|studies", text)


@pytest.mark.parametrize(
    "path", [f for part in CAPS for f in files(part)], ids=lambda p: p.stem
)
def test_imports_stand_at_the_top_unless_they_are_heavy(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        for node in ast.walk(function):
            names = []
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in names:
                assert name.split(".")[0] in LAZY, f"{function.name} imports {name}"


def used_names() -> set[str]:
    """Return the names that notebooks and solutions take from the package."""
    found = set()
    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        code = "\n".join(c.source for c in cells if c.cell_type == "code")
        found |= set(re.findall(r"\b(?:tl|project)\.(\w+)", code))
    return found


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    return {alias.name for n in imported for alias in n.names}


def test_public_names_are_few_and_each_is_used():
    assert len(tl.__all__) <= MOST_NAMES
    rooms = {
        name
        for part in CAPS
        for f in files(part)
        if f.stem != "__init__"
        for name in names_in(f)
    }
    unused = set(tl.__all__) - used_names() - rooms
    assert not unused


def test_project_names_are_used():
    from tlhelpers import project

    rooms = {
        name
        for part in ("course", "project")
        for f in files(part)
        if f.stem != "__init__"
        for name in names_in(f)
    }
    commands = (PACKAGE / "course" / "cli.py").read_text(encoding="utf-8")
    rooms |= set(re.findall(r'_later\("[\w.]+", "(\w+)"', commands))
    assert not set(project.__all__) - used_names() - rooms


@pytest.mark.parametrize("name", sorted(tl.__all__))
def test_public_names_are_documented(name):
    thing = getattr(tl, name)
    first = (thing.__doc__ or "").strip().splitlines()[0]
    assert 10 <= len(first) <= 80
    assert first.endswith((".", "?"))


@pytest.mark.parametrize("name", sorted(tl.__all__))
def test_every_parameter_of_a_public_name_has_a_word(name):
    thing = getattr(tl, name)
    for argument in inspect.signature(thing).parameters:
        assert re.search(rf"\b{argument}\b", thing.__doc__), f"{name}: {argument}"


def test_import_is_light():
    code = (
        "import sys, tlhelpers; print(sorted({'torch', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
