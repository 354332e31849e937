"""Write an nbgrader course: ``python docs/teaching/assignment.py [FOLDER] [05 …]``.

``make assignment`` writes it: an assignment per lesson, from the questions of the
lesson, its notebook of solutions and the rubrics of the pack. ``FOLDER/source`` has the
solutions, ``FOLDER/release`` is handed out. Grading is nbgrader's: the commands stand
in ``docs/teaching/class.md``.

A checked exercise is graded by its check, a point for each star. An exercise with a
rubric also asks for reasons; these, and what is to be said in one's own words, are
read by a person.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
from lesson import (
    CHECK,
    NOTEBOOKS,
    Notes,
    Solution,
    exercise,
    is_text,
    lessons,
    notes,
    paragraphs,
    read,
    solutions,
    source,
    title,
    without_solutions,
)
from nbformat import NotebookNode
from traitlets.config import PyFileConfigLoader

HEAD = """\
# {title}

Exercises of the lesson, to hand in. Open the lesson beside this notebook: the questions
speak of it. `tl.check` gives hints, as often as you like. Before you hand in, choose
*Kernel → Restart Kernel and Run All Cells*, and save. Leave the names of cells and file
as they are: by them your work is found."""
TEST = """\
from tlhelpers.course.check import check

assert check("{key}", answer)"""
REASONS = """\
**Reasons for {key}.** Say in two or three sentences why your answer works, and what it
cannot do. Double-click the next cell and write."""

PROJECT = """\
**Your project.** Describe what you built on your own data: where they come from, how
you looked for leaks, the score on the test part with its interval, what the model is
for and what not, and one of its mistakes. Double-click the next cell and write."""


def questions(path: Path) -> dict[str, tuple[int, str]]:
    """Return the stars and the text of each exercise of a lesson, by key.

    A checked exercise goes on to the end of its cell, another ends with its paragraph.
    """
    cells = json.loads(read(path))["cells"]
    checked = {k for c in cells if not is_text(c) for k in CHECK.findall(source(c))}
    found = {}
    for cell in filter(is_text, cells):
        parts = paragraphs(cell)
        for place, part in enumerate(parts):
            begins = exercise(part)
            if begins:
                rest = parts[place:] if begins[0] in checked else [part]
                text = without_solutions("\n\n".join(rest))
                found[begins[0]] = part[:8].count("★"), text
    return found


def cell(kind: str, text: str, grade_id: str, **settings: object) -> NotebookNode:
    """Make a cell that nbgrader knows.

    Parameters
    ----------
    kind : {"code", "markdown"}
        What the cell holds.
    text : str
        Its source.
    grade_id : str
        Unique in the notebook.
    settings : bool or int
        ``grade``, ``solution``, ``locked``, ``points``.
    """
    v4 = nbformat.v4
    make = v4.new_code_cell if kind == "code" else v4.new_markdown_cell
    grading = {"grade": False, "solution": False, "locked": False, "task": False}
    grading |= {"schema_version": 3, "grade_id": grade_id, **settings}
    return make(text, id=grade_id, metadata={"nbgrader": grading})


def checked(key: str, stars: int, solved: Solution) -> list[NotebookNode]:
    """Make the cells of an exercise that its check grades."""
    *before, last = solved.code
    last = re.sub(r"\n*tl\.check\(.*\n?", "", last)
    code = "\n\n".join([*before, last])
    text = f'### BEGIN SOLUTION\n{code}\n### END SOLUTION\ntl.check("{key}", answer);'
    name = key.replace(".", "-")
    test = {"grade": True, "locked": True, "points": stars}
    return [
        cell("code", text, f"answer-{name}", solution=True),
        cell("code", TEST.format(key=key), f"test-{name}", **test),
    ]


def written(name: str, points: int, model: str) -> NotebookNode:
    """Make a cell for sentences; a person grades them, with a model beside."""
    return cell("markdown", model, name, grade=True, solution=True, points=points)


def assignment(path: Path, told: Notes) -> NotebookNode:
    """Write the source of an assignment, from a lesson.

    Parameters
    ----------
    path : Path
        The lesson.
    told : Notes
        What the pack says of it: the rubrics.
    """
    place = NOTEBOOKS / "solutions" / path.name
    solved, setup = solutions(place), nbformat.read(place, as_version=4)
    first = [c for c in setup.cells if c.cell_type == "code"][:2]
    head = HEAD.format(title=title(json.loads(read(path))["cells"]))
    cells = [nbformat.v4.new_markdown_cell(head, id="head"), *first]
    for key, (stars, text) in questions(path).items():
        name = "own" if key == "words" else key.replace(".", "-")
        locked = {"locked": True}
        cells.append(cell("markdown", text, f"question-{name}", **locked))
        rubric = told.rubric(key)
        if not solved[key].code:
            points, asked = rubric or told.rubric("in your own words")
            model = f"{asked}\n\n{solved[key].text}"
            cells.append(written(f"words-{name}", points, model))
            continue
        cells += checked(key, stars, solved[key])
        if rubric:
            points, asked = rubric
            text = REASONS.format(key=key)
            cells.append(cell("markdown", text, f"why-{name}", **locked))
            model = f"{asked}\n\n{solved[key].text}"
            cells.append(written(f"reasons-{name}", points, model))
    project = told.rubric("the project")
    if project:
        points, asked = project
        cells.append(cell("markdown", PROJECT, "question-project", locked=True))
        cells.append(written("project", points, asked))
    return nbformat.v4.new_notebook(cells=cells, metadata=setup.metadata)


def build(out: Path, numbers: list[str]) -> int:
    """Write the course, and let nbgrader make what is handed out.

    Parameters
    ----------
    out : Path
        ``source`` and ``release`` are written anew; what was handed in and graded
        stays, and so do the settings.
    numbers : list of str
        Lessons; empty stands for all.

    Returns
    -------
    int
        0 if all went well.
    """
    try:
        from nbgrader.apps import NbGraderAPI
        from nbgrader.coursedir import CourseDirectory
    except ModuleNotFoundError:
        raise SystemExit('nbgrader is missing: pip install -e ".[teach]"') from None
    # nbgrader calls the command "alembic", which lies beside this Python.
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    os.environ["PATH"] = os.pathsep.join(places)
    out.mkdir(parents=True, exist_ok=True)
    settings = Path(__file__).with_name("nbgrader_config.py")
    if not (out / settings.name).exists():  # or else a teacher may have changed it
        shutil.copy(settings, out)
    for path in lessons(numbers):
        number = path.name[:2]
        folder = out / "source" / number
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        nbformat.write(assignment(path, notes(number)), folder / path.name)
    config = PyFileConfigLoader(settings.name, path=str(out)).load_config()
    config.CourseDirectory.root = str(out.resolve())
    course = CourseDirectory(config=config)
    grader = NbGraderAPI(course, config=config)
    made = [grader.generate_assignment(path.name[:2]) for path in lessons(numbers)]
    print("".join(result["log"] for result in made if not result["success"]), end="")
    return 0 if all(result["success"] for result in made) else 1


if __name__ == "__main__":
    sys.exit(build(Path(*sys.argv[1:2] or ["build/assignment"]), sys.argv[2:]))
