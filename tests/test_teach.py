"""For a class: copies without answers, decks without network, assignments graded."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import nbformat
import pytest
from notebook_tools import NOTEBOOKS, ROOT, SOLUTIONS

pytestmark = pytest.mark.xdist_group("teach")
TEACHING = ROOT / "docs" / "teaching"
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem[:2])
WRITTEN = ("words", "reasons", "project")
GUESS = "**Stop and guess"
ADA, ANA = ("Ada Lovelace", None), ("Ana-Maria O'Neil", None)
CONFIGURED = "CourseDirectory ClearSolutions ExecutePreprocessor AssignLatePenalties"
CONFIGURED = CONFIGURED.split()
#: The commands of a console script, one after the other in one process.
RUN = """
import shlex, sys
from nbgrader.apps.nbgraderapp import NbGraderApp
for line in sys.argv[1:]:
    NbGraderApp.launch_instance(shlex.split(line)[1:])
    app = NbGraderApp.instance()
    while app is not None:
        app, done = getattr(app, "subapp", None), app
        type(done).clear_instance()
"""


def tool(name):
    """Load a program of docs/teaching."""
    before = sys.path[:]
    sys.path.insert(0, str(TEACHING))
    spec = importlib.util.spec_from_file_location(name, TEACHING / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


def need(*names):
    for name in names:
        reason = f'{name} is missing: pip install -e ".[teach]"'
        pytest.importorskip(name, reason=reason)


def read(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def started(program, *arguments, **environment):
    """Run a program of docs/teaching with the network cut; it must say nothing."""
    offline = [str(ROOT / "tests" / "offline"), str(ROOT)]
    path = os.pathsep.join([*offline, os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *program, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


# --- copies --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    out = tmp_path_factory.mktemp("class")
    tool("copies").build(out, [])
    return out


def open_text(notebook) -> str:
    """Return the prose that nobody has folded away."""
    text = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    return re.sub(r"(?s)<details.*?</details>", "", text)


@each
def test_student_has_every_cell_and_no_output(copies, path):
    copy, lesson = read(copies / "student" / path.name), read(path)
    code = [c for c in copy.cells if c.cell_type == "code"]
    assert [c.source for c in code] == [
        c.source for c in lesson.cells if c.cell_type == "code"
    ]
    assert [c.id for c in copy.cells] == [c.id for c in lesson.cells]
    assert not [c for c in code if c.outputs or c.execution_count]
    assert set(copy.metadata) <= {"kernelspec", "language_info"}
    known = {"tags", "jupyter"}
    assert not [c for c in copy.cells if set(c.metadata) - known]
    assert "solutions/" not in json.dumps(copy)


@each
def test_student_cannot_read_an_answer_off(copies, path):
    """Between a guess and the next heading nothing that was shown is said openly."""
    copy, lesson = read(copies / "student" / path.name), read(path)
    outputs = {c.id: c.get("outputs", []) for c in lesson.cells}
    guessed = shown = False
    asked = 0
    for cell in copy.cells:
        if cell.cell_type == "code":
            hidden = cell.metadata.get("jupyter", {}).get("source_hidden", False)
            assert hidden <= ("run.claim(" in cell.source), cell.source
            assert hidden or not (guessed and "run.claim(" in cell.source), cell.source
            shown = shown or bool(outputs[cell.id] and "tl.check(" not in cell.source)
            continue
        own = False
        for part in re.split(
            r"\n\n+", open_text(nbformat.v4.new_notebook(cells=[cell]))
        ):
            own = own or bool(re.match(r"\*\*(★|\d\d\.\d|In your own)", part))
            if part.startswith("#"):
                guessed = own = False
            elif GUESS in part and not part.startswith(">"):
                guessed, shown, asked = True, False, asked + 1
            elif part and guessed and shown and not own:
                assert part.endswith((":", "?")), f"in the open: {part}"
    assert asked == sum(
        GUESS in line and not line.startswith(">")
        for c in lesson.cells
        if c.cell_type == "markdown"
        for line in c.source.splitlines()
    )


@each
def test_nothing_but_the_fold_is_new_in_the_students_prose(copies, path):
    copy = read(copies / "student" / path.name)
    text = "\n\n".join(c.source for c in copy.cells if c.cell_type == "markdown")
    assert text.count("<details") == text.count("</details>") > 1
    folds = r'<details class="answer">\n<summary>[^<]*</summary>|</details>'
    words = re.sub(folds, "", text).split()
    before = " ".join(c.source for c in read(path).cells if c.cell_type == "markdown")
    before = re.sub(r" ?\(\[Solutions\]\([^)]*\)\)", "", before)
    before = re.sub(
        r"(the )?\[[^\]]*\]\(solutions/[^)]*\)", "the instructor's copy", before
    )
    assert words == before.split()


@each
def test_instructor_has_outputs_answers_and_solutions(copies, path):
    copy, lesson = read(copies / "instructor" / path.name), read(path)
    ids = {c.id for c in lesson.cells}
    kept = [c for c in copy.cells if c.id in ids]
    assert [c.get("outputs") for c in kept] == [c.get("outputs") for c in lesson.cells]
    prose = "\n".join(c.source for c in copy.cells if c.cell_type == "markdown")
    solved = read(next(p for p in SOLUTIONS if p.name == path.name))
    for cell in solved.cells[3:]:
        if cell.cell_type == "code":
            assert cell.source in prose
    for place, cell in enumerate(copy.cells):
        for key in re.findall(r'tl\.check\("(\d\d\.\d)"', cell.source):
            if cell.cell_type == "code":
                below = copy.cells[place + 1].source
                assert f"<summary>Solution of {key}</summary>" in below
    parts = re.split(r"\n\n+", prose)
    for part, below in zip(parts, parts[1:]):
        if GUESS in part and not part.startswith(">"):
            assert "<summary>Answer</summary>" in below
    assert "Notes for the instructor" in copy.cells[1].source
    assert "**Get across.**" in copy.cells[1].source


def test_a_word_of_the_answer_left_open_is_noticed(tmp_path):
    """What the test above calls an answer is one: a copy without folds has many."""
    copies = tool("copies")
    copies.fold = lambda summary, text, kind="": text
    copies.build(tmp_path, ["05"])
    with pytest.raises(AssertionError, match="in the open: Left: the product"):
        test_student_cannot_read_an_answer_off(tmp_path, NOTEBOOKS[5])


# --- slides --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    need("sphinx_revealjs", "nbconvert")
    out = tmp_path_factory.mktemp("slides")
    done = started([TEACHING / "slides.py"], out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return out


def slides(decks, path):
    from bs4 import BeautifulSoup

    text = (decks / f"{path.stem}.html").read_text(encoding="utf-8")
    soup = BeautifulSoup(text, "html.parser")
    return soup, soup.select(".slides > section > section")


@each
def test_deck_has_objectives_guesses_figures_exercises_and_summary(decks, path):
    soup, found = slides(decks, path)
    lesson = read(path)
    assert 20 <= len(found) <= 60
    assert not [s for s in found if not s.find(["h1", "h2"]).get_text(strip=True)]
    objectives = re.findall(r"(?m)^\d\. ", lesson.cells[0].source)
    assert len(found[0].select("ol > li")) == len(objectives) == 3
    kinds = [k.get_text() for s in found for k in s.select("h2 .kind")]
    text = "\n".join(c.source for c in lesson.cells if c.cell_type == "markdown")
    play = re.split(r"(?m)^## \d+ · (?:Play|The map).*$", text)
    asked = [x for x in text.splitlines() if GUESS in x and not x.startswith(">")]
    playful = [x for p in play[1:] for x in p.split("\n## ")[0].splitlines()]
    assert kinds.count("Stop and guess") == len([x for x in asked if x not in playful])
    starts = r"(?m)^\*\*(?:★+ )?(?:\d\d\.\d|In your own words)"
    assert kinds.count("Exercise") == len(re.findall(starts, text))
    assert [s for s in found if s.h2 and s.h2.get_text(strip=True).endswith("Summary")]


@each
def test_every_picture_of_a_deck_has_the_text_of_the_notebook(decks, path):
    soup, _ = slides(decks, path)
    kept = {
        meta["alt"]
        for cell in read(path).cells
        for output in cell.get("outputs", [])
        for kind, meta in output.get("metadata", {}).items()
        if kind.startswith("image/")
    }
    shown = [i["alt"] for i in soup.select("section > img")]
    assert len(shown) >= 3 and set(shown) <= kept
    assert not [i for i in soup.select("img") if len(i.get("alt", "")) < 10]


@each
def test_no_slide_before_its_result_says_how_a_guess_ends(decks, path):
    _, found = slides(decks, path)
    code = [s for s in found if s.select(".kind") and "Code" in s.h2.get_text()]
    assert not [s for s in code if "run.claim(" in s.get_text()]
    for slide in found:
        if "Stop and guess" in (slide.h2 or slide.h1).get_text():
            notes = slide.select_one("aside.notes").extract().get_text(strip=True)
            assert notes and notes not in slide.get_text()


@each
def test_deck_loads_nothing(decks, path):
    soup, _ = slides(decks, path)
    assert (decks / f"{path.stem}.html").stat().st_size < 1_000_000
    loaded = [t.get("src") or t.get("href") for t in soup.select("[src], link[href]")]
    assert loaded and not [a for a in loaded if not a.startswith("data:image/png")]
    style = " ".join(t.get_text() for t in soup.select("style"))
    assert not re.findall(r"(?:@import|url\()\s*[\"']?(?!data:)[^)]*", style)
    linked = [a["href"] for a in soup.select("a[href]") if ":" not in a["href"]]
    assert not [a for a in linked if not (decks / a.split("#")[0]).exists()]


# --- assignments ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    need("nbgrader")
    out = tmp_path_factory.mktemp("course")
    done = started([TEACHING / "assignment.py"], out)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@each
def test_assignment_asks_every_exercise_and_hides_every_solution(course, path):
    number = path.name[:2]
    release = read(course / "release" / number / path.name)
    source = read(course / "source" / number / path.name)
    solved = read(next(p for p in SOLUTIONS if p.name == path.name))
    keys = re.findall(
        r'tl\.check\("(\d\d\.\d)"', "".join(c.source for c in solved.cells)
    )
    graded = {
        c.id: c.metadata.nbgrader for c in release.cells if "nbgrader" in c.metadata
    }
    for key in keys:
        name = key.replace(".", "-")
        (question,) = (c for c in release.cells if c.id == f"question-{name}")
        assert graded[f"test-{name}"].points == question.source.count("★") >= 1
        (stub,) = (c for c in release.cells if c.id == f"answer-{name}")
        assert stub.source == f'answer = ...\ntl.check("{key}", answer);'
    tests = {i for i, g in graded.items() if g.grade and not g.solution}
    assert tests == {f"test-{key.replace('.', '-')}" for key in keys}
    words = [i for i in graded if i.startswith(WRITTEN)]
    assert words and all(graded[i].points >= 3 for i in words)
    released = "\n".join(c.source for c in release.cells)
    both = "\n".join(c.source for c in source.cells)
    assert "SOLUTION" not in released and "solutions/" not in released
    hidden = 0
    for cell in solved.cells[3:]:
        if cell.cell_type == "code":
            code = re.sub(r"\n*tl\.check\(.*", "", cell.source)
            assert code in both
            lines = [x for x in code.splitlines() if len(x) > 20 and "def " not in x]
            assert not [x for x in lines if x in released]
            hidden += len(lines)
    assert hidden > 3 or number == "00"  # whose answers are words and a number
    asked = [c for c in release.cells if c.id.startswith(WRITTEN)]
    assert {c.source for c in asked} == {"*Your sentences here.*"}


def hand_in(course, name, **changed):
    """Fill in the right answers, but for some cells; put the file into the inbox."""
    place = f"05/{NOTEBOOKS[5].name}"
    notebook = read(course / "release" / place)
    right = {c.id: c.source for c in read(course / "source" / place).cells}
    for cell in notebook.cells:
        if cell.id.startswith("answer"):
            cell.source = re.sub("### (BEGIN|END) SOLUTION\n", "", right[cell.id])
        cell.source = changed.get(cell.id.replace("-", "_"), cell.source)
    inbox = course / "downloaded" / "05" / "archive"
    inbox.mkdir(parents=True, exist_ok=True)
    file = inbox / f"{name}_{NOTEBOOKS[5].name}"
    nbformat.write(notebook, file)
    return file


@pytest.mark.parametrize(
    ("name", "student", "time"),
    [
        ("ada_05_word_vectors.ipynb", "ada", None),
        ("ada_2026-12-01-18-00-00_05_word_vectors.ipynb", "ada", "2026-12-01-18-00-00"),
        ("Ada Lovelace_47_assignsubmission_file_05_word_vectors.ipynb", *ADA),
        ("Ada Lovelace_47_assignsubmission_file/05_word_vectors.ipynb", *ADA),
        ("Ada Lovelace_47_assignsubmission_file_/05_word_vectors.ipynb", *ADA),
        ("lovelaceada_12_345_05_word_vectors.ipynb", "lovelaceada", None),
        ("lovelaceada_LATE_12_345_05_word_vectors-1.ipynb", "lovelaceada", None),
        ("Ana-Maria O'Neil_47_assignsubmission_file/05_word_vectors.ipynb", *ANA),
        ("05_word_vectors.ipynb", None, None),
        ("ada_notes.ipynb", None, None),
    ],
)
def test_the_names_of_usual_servers_are_understood(name, student, time):
    config = {"FileNameCollectorPlugin": SimpleNamespace()}
    made = SimpleNamespace(**{k: SimpleNamespace() for k in CONFIGURED}, **config)
    source = (TEACHING / "nbgrader_config.py").read_text("utf-8")
    exec(source, {"get_config": lambda: made})
    pattern = made.FileNameCollectorPlugin.named_regexp
    found = re.match(pattern, f"/class/downloaded/05/extracted/{name}")
    assert (found and found["student_id"]) == student
    if student:
        assert found["timestamp"] == time and found["file_id"] == "05_word_vectors"


@pytest.mark.small
@pytest.mark.timeout(300)
def test_a_class_of_three_is_graded(course):
    """Ada is right, by Moodle; Ben breaks three cells; Cem is right, but late."""
    file = hand_in(course, "ada")
    with zipfile.ZipFile(file.with_name("moodle.zip"), "w") as archive:
        folder = "Ada Lovelace_4711_assignsubmission_file"
        archive.write(file, f"{folder}/{NOTEBOOKS[5].name}")
    file.unlink()
    broken = {"answer_05_1": "answer = 0.48", "answer_05_2": "def answer(:"}
    broken["test_05_1"] = "assert True"
    file = hand_in(course, "ben_2026-12-01-12-00-00", **broken)
    with zipfile.ZipFile(file.with_name("more.zip"), "w") as archive:
        archive.write(file, file.name)
    file.unlink()
    hand_in(course, "cem_2026-12-02-20-00-00")
    text = (TEACHING / "class.md").read_text(encoding="utf-8")
    commands = [line for line in text.splitlines() if line.startswith("nbgrader ")]
    assert len(commands) == 5
    smoke = {"TLHELPERS_SMOKE": "1", "HF_HUB_OFFLINE": "1"}
    before = os.getcwd()
    try:
        os.chdir(course)
        done = started(["-c", RUN], *commands, **smoke)
    finally:
        os.chdir(before)
    assert done.returncode == 0, done.stderr[-3000:]
    with (course / "grades.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    points = {
        name: tuple(
            round(float(row[key]), 3)
            for key in ("raw_score", "late_submission_penalty", "score", "max_score")
        )
        for name, row in rows.items()
    }
    # One, two and three stars. A person gives three points for a judgement in the
    # learner's own words, and four of the rubric.
    assert points == {
        "Ada Lovelace": (6, 0, 6, 13),
        "ben": (3, 0, 3, 13),
        "cem": (6, 1.2, 4.8, 13),
    }
    told = (course / "feedback" / "ben" / "05" / f"{NOTEBOOKS[5].stem}.html").read_text(
        encoding="utf-8"
    )
    assert "0.5 divided by the length of (0.5, 0.5)." in told
    assert "SyntaxError" in told


# --- the door ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["copies", "slides", "assignment"])
def test_makefile_and_ci_write_all_three(name):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    target = {"copies": "student"}.get(name, name)
    recipe = re.search(rf"(?m)^{target}: .*\n\t(.*)$", makefile)[1]
    assert f"docs/teaching/{name}.py build/" in recipe
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8")
    (line,) = re.findall(r"- run: make (student .*)", workflow)
    assert target in line.split()


@pytest.mark.parametrize("name", ["copies", "slides", "assignment"])
def test_an_unknown_lesson_is_named(name, tmp_path):
    need("nbgrader", "sphinx_revealjs")
    done = started([TEACHING / f"{name}.py"], tmp_path, "05", "77")
    assert done.returncode == 1 and "There is no lesson 77." in done.stderr
