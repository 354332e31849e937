"""Write copies for a class: ``python docs/teaching/copies.py [FOLDER] [05 …]``.

``FOLDER/student`` gets the lessons without outputs, ``FOLDER/instructor`` the lessons
with outputs, solutions and the pack's notes. ``make student`` writes both. Nothing is
executed, and no cell of code is changed.

A guess must not be read off. So the students' copies have no output, and the prose
that answers a guess is folded away, as is the summary. A claim says in its code how
the guess ends, so its cell is collapsed; it runs all the same.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from copy import deepcopy
from pathlib import Path

from lesson import (
    CHECK,
    NOTEBOOKS,
    Cell,
    Notes,
    exercise,
    fold,
    fold_solution,
    guess,
    is_text,
    lessons,
    markdown,
    notes,
    paragraphs,
    read,
    solutions,
    source,
    without_solutions,
    write,
)

#: A paragraph that leads to the next cell: "And the result:", or one question.
LEADS_ON = re.compile(r"(?s).*:|[^.:]+\?")
AFTER = "After you have run the cells above"
AT_THE_END = "After you have worked through the lesson"


# --- students ------------------------------------------------------------------------


def student_copy(notebook: dict) -> dict:
    """Take outputs and solutions out of a lesson, and fold what answers a guess.

    Parameters
    ----------
    notebook : dict
        A published lesson; its outputs say which cells show something.

    Returns
    -------
    dict
        A new notebook with the same cells and the same code.
    """
    copy = deepcopy(notebook)
    kept = ("kernelspec", "language_info")
    copy["metadata"] = {k: v for k, v in copy["metadata"].items() if k in kept}
    state = Folding()
    for cell in copy["cells"]:
        tags = cell["metadata"].get("tags", [])
        cell["metadata"] = {"tags": tags}
        if is_text(cell):
            cell["source"] = state.text(cell)
            continue
        if state.code(cell):
            cell["metadata"]["jupyter"] = {"source_hidden": True}
        cell |= {"outputs": [], "execution_count": None}
    return copy


class Folding:
    """Go through a lesson and remember whether a guess is open.

    A guess is open until the next heading. From the first output on, the prose below
    it is the answer.
    """

    def __init__(self) -> None:
        self.guessed = self.shown = self.told = self.summary = False

    def code(self, cell: Cell) -> bool:
        """Pass a cell of code; say whether it gives an open guess away."""
        if not CHECK.search(source(cell)):
            self.shown = self.shown or bool(cell["outputs"])
        return self.guessed and "run.claim(" in source(cell)

    def text(self, cell: Cell) -> str:
        """Return the text of a cell, with what answers a guess folded."""
        new: list[str] = []
        hidden: list[str] = []
        own = False  # an exercise goes on to the end of its cell
        parts = paragraphs(cell)
        for part in parts:
            part = without_solutions(part)
            own = not part.startswith("#") and (own or exercise(part) is not None)
            if part.startswith("#") or guess(part) or own:
                new += self.folded(hidden)
                new.append(part)
                self.enter(part)
            elif part == parts[-1] and LEADS_ON.fullmatch(part):
                new += [*self.folded(hidden), part]
            elif self.summary or (self.guessed and self.shown):
                hidden.append(part)
                self.told = True
            else:
                new.append(part)
        return "\n\n".join(new + self.folded(hidden))

    def enter(self, part: str) -> None:
        """Note what a heading or a guess changes."""
        if guess(part):
            self.guessed, self.shown, self.told = True, False, False
        elif part.startswith("#"):
            # A Pitfall right below a guess that nothing has answered yet answers it.
            open_ = self.guessed and self.shown and not self.told
            self.guessed = open_ and "Pitfall" in part
            self.summary = part.endswith("Summary")

    def folded(self, hidden: list[str]) -> list[str]:
        """Fold what was gathered, and begin anew."""
        text = "\n\n".join(hidden)
        hidden.clear()
        summary = AT_THE_END if self.summary else AFTER
        return [fold(summary, text, kind="answer")] if text else []


# --- instructors ---------------------------------------------------------------------


def instructor_copy(notebook: dict, solved: dict[str, str], told: Notes) -> dict:
    """Add the pack's notes, the answers to the guesses, and the solutions, folded.

    Parameters
    ----------
    notebook : dict
        A published lesson.
    solved : dict from str to str
        Solutions by key, folded.
    told : Notes
        What the pack says of the lesson.
    """
    copy, left = deepcopy(notebook), dict(solved)
    cells = []
    for cell in copy["cells"]:
        cells.append(cell)
        if is_text(cell):
            below = [answered(part, told, left, copy) for part in paragraphs(cell)]
            cell["source"] = "\n\n".join(below)
            continue
        for key in CHECK.findall(source(cell)):
            cells.append(markdown(left.pop(key), f"solution-{key}"))
    if left:
        raise ValueError(f"Solutions without an exercise: {sorted(left)}")
    parts = "\n\n".join(f"**{name}.** {text}" for name, text in told.parts.items())
    head = fold("Notes for the instructor", parts, kind="notes")
    cells.insert(1, markdown(head, "notes-for-the-instructor"))
    copy["cells"] = cells
    return copy


def answered(part: str, told: Notes, left: dict[str, str], lesson: dict) -> str:
    """Add to a paragraph what the instructor should know."""
    if guess(part):
        return f"{part}\n\n{fold('Answer', answer(told, guess(part)), kind='answer')}"
    begins = exercise(part)
    if begins and begins[0] in left and begins[0] not in checked(lesson["cells"]):
        return f"{part}\n\n{left.pop(begins[0])}"
    return part


def answer(told: Notes, asked: str) -> str:
    """Write the pack's answer to a guess, with its figures and their ranges."""
    row = told.answer(asked)
    lines = [row["answer"]]
    if row["kept output"] != "—":
        lines.append(f"Kept output: {row['kept output']}.")
    if row["study"] != "—":
        lines.append(f"Study: {row['study']}.")
    return "\n\n".join(lines)


def checked(cells: list[Cell]) -> set[str]:
    """Return the keys of the exercises that have a cell which checks them."""
    return {k for c in cells if not is_text(c) for k in CHECK.findall(source(c))}


def build(out: Path, numbers: list[str]) -> None:
    """Write both copies of each lesson.

    Parameters
    ----------
    out : Path
        Its folders ``student`` and ``instructor`` are emptied first.
    numbers : list of str
        Lessons; empty stands for all.
    """
    for folder in ("student", "instructor"):
        shutil.rmtree(out / folder, ignore_errors=True)
    for path in lessons(numbers):
        notebook = json.loads(read(path))
        found = solutions(NOTEBOOKS / "solutions" / path.name)
        solved = {k: fold_solution(k, v.markdown()) for k, v in found.items()}
        copies = {
            "student": student_copy(notebook),
            "instructor": instructor_copy(notebook, solved, notes(path.name[:2])),
        }
        for folder, copy in copies.items():
            text = json.dumps(copy, ensure_ascii=False, indent=1)
            write(out / folder / path.name, text + "\n")


if __name__ == "__main__":
    build(Path(*sys.argv[1:2] or ["build/class"]), sys.argv[2:])
