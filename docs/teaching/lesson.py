"""Read the lessons: paragraphs, exercises, solutions, and what the pack says of them.

The site, the copies for a class, the slides and the assignment are all made from the
published notebooks; this is what they share.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
#: How the paragraph of an exercise begins: stars, a number, a judgement in words.
EXERCISE = re.compile(r"\*\*(★*) ?(\d\d\.\d)? ?(In your own words)?[^*]*\*\*")
CHECK = re.compile(r'tl\.check\("(\d\d\.\d)"')
SOLUTIONS = re.compile(r"\[[^\]]*\]\(solutions/[^)]+\)")
GUESS = "**Stop and guess"
#: A part of the pack's notes on a lesson: "**Failures.** A `[FAIL]` in …".
PART = re.compile(r"(?ms)^\*\*([^*]+)\.\*\* (.+?)(?=\n\n|\Z)")
#: Tags of the cells that every lesson shares.
SET_UP = {"parameters", "install", "setup"}
Cell = dict[str, Any]


def read(path: Path) -> str:
    """Return the text of a file."""
    return path.read_text(encoding="utf-8")


def write(path: Path, text: str) -> None:
    """Write a file, and its folder if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def lessons(numbers: list[str] | tuple[str, ...] = ()) -> list[Path]:
    """List the notebooks of the course, or those with these numbers ("05")."""
    found = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    unknown = set(numbers) - {path.name[:2] for path in found}
    if unknown:
        raise SystemExit(f"There is no lesson {', '.join(sorted(unknown))}.")
    return [path for path in found if not numbers or path.name[:2] in numbers]


def source(cell: Cell) -> str:
    """Return what stands in a cell."""
    return "".join(cell["source"])


def is_text(cell: Cell) -> bool:
    """Say whether a cell is prose."""
    return cell["cell_type"] == "markdown"


def markdown(text: str, name: str) -> Cell:
    """Make a cell of text."""
    name = name.replace(".", "-")
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text}


def paragraphs(cell: Cell) -> list[str]:
    """Split a cell of text at its blank lines."""
    return re.split(r"\n\n+", source(cell))


def title(cells: list[Cell]) -> str:
    """Return the heading of a notebook: "00 · Start here: …"."""
    return source(cells[0]).splitlines()[0].removeprefix("# ")


def plain(text: str) -> str:
    """Write in small letters, with one blank between words."""
    return " ".join(text.lower().split())


def without_solutions(text: str) -> str:
    """Lead to the instructor's copy where a lesson links its solutions."""
    text = re.sub(r" ?\(\[Solutions\]\([^)]+\)\)", "", text)
    link = rf"(?:the )?{SOLUTIONS.pattern}"
    return re.sub(link, "the instructor's copy", text)


# --- exercises -----------------------------------------------------------------------


def exercise(text: str) -> tuple[str, str] | None:
    """Return the key and the title of the exercise that a paragraph begins, if any."""
    found = EXERCISE.match(text)
    if not found or not (found[2] or found[3]):
        return None
    heading = " ".join(part for part in found.groups() if part)
    return found[2] or "words", heading


@dataclass
class Solution:
    """A solution: what it explains, and its code, cell by cell."""

    text: str
    code: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Write both as Markdown."""
        blocks = (f"```python\n{code}\n```" for code in self.code)
        return "\n\n".join((self.text, *blocks))


def solutions(path: Path) -> dict[str, Solution]:
    """Read the solutions of a lesson from its notebook of solutions, by key."""
    found: dict[str, Solution] = {}
    key = None
    for cell in json.loads(read(path))["cells"]:
        if not is_text(cell):
            if key and not SET_UP & set(cell["metadata"].get("tags", [])):
                found[key].code.append(source(cell))
            continue
        key = None  # a cell of text ends what stands before
        for text in paragraphs(cell):
            begins = exercise(text)
            key = begins[0] if begins else key
            if begins:
                text = EXERCISE.sub("", text, count=1).strip()
                found[key] = Solution(text[:1].upper() + text[1:])
            elif key:
                found[key].text += f"\n\n{text}"
    return found


def fold(summary: str, text: str, kind: str = "solution") -> str:
    """Hide Markdown behind a line that opens it; no script is needed."""
    head = f'<details class="{kind}">\n<summary>{summary}</summary>'
    return f"{head}\n\n{text}\n\n</details>"


def fold_solution(key: str, text: str) -> str:
    """Hide a solution."""
    name = "Model answer" if key == "words" else f"Solution of {key}"
    return fold(name, text)


# --- guesses, and the pack -----------------------------------------------------------


def guess(text: str) -> str:
    """Return what a paragraph asks to be guessed, or nothing; the how-to asks none."""
    if GUESS not in text or text.startswith(">"):
        return ""
    return text.split(GUESS, 1)[1].lstrip(":* ")


@dataclass
class Notes:
    """What ``lessons.md`` says of a lesson: its parts, and a row for each guess."""

    parts: dict[str, str]
    rows: list[dict[str, str]]

    def answer(self, asked: str) -> dict[str, str]:
        """Return the row of a guess: answer, kept output, study."""
        fits = [r for r in self.rows if plain(asked).startswith(plain(r["guess"]))]
        if not fits:
            raise ValueError(f"docs/teaching/lessons.md does not answer {asked!r}.")
        return fits[0]

    def rubric(self, key: str) -> tuple[int, str] | None:
        """Return the points and the words of the rubric of an exercise, if any."""
        for name, text in self.parts.items():
            found = re.fullmatch(rf"Rubric, {re.escape(key)} \((\d+) points\)", name)
            if found:
                return int(found[1]), text
        return None


def notes(number: str) -> Notes:
    """Read the notes on a lesson."""
    text = read(Path(__file__).with_name("lessons.md"))
    general, *sections = re.split(r"(?m)^## ", text)
    (section,) = (s for s in sections if s.startswith(number))
    parts = {m[1]: " ".join(m[2].split()) for m in PART.finditer(general + section)}
    lines = [line for line in section.splitlines() if line.startswith("|")]
    head, _, *rows = ([c.strip() for c in x.strip("|").split("|")] for x in lines)
    return Notes(parts, [dict(zip(head, row)) for row in rows])
