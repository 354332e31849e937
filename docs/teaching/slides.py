"""Write a deck per lesson: ``python docs/teaching/slides.py [FOLDER] [05 …]``.

``make slides`` writes one file of HTML per lesson. It holds the figures, reveal.js and
its styles, so that it opens from a stick and needs no network. Nothing is executed.

What becomes a slide follows from the form of a lesson, so no cell carries a tag for it:
the title with its objectives; each heading with its first paragraph; lists, tables and
drawings; every guess, then the code that answers it; figures, tables and claims; the
exercises; the summary. Prose goes to the speaker's notes (press S), and so do the
answers to the guesses, and the solutions.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from copies import answer
from jinja2 import Environment, FileSystemLoader
from lesson import (
    CHECK,
    NOTEBOOKS,
    Cell,
    Notes,
    Solution,
    exercise,
    guess,
    is_text,
    lessons,
    notes,
    paragraphs,
    read,
    solutions,
    source,
    title,
    without_solutions,
    write,
)
from nbconvert.filters import Highlight2HTML, ansi2html, markdown2html
from pygments.formatters import HtmlFormatter

#: Sections that a class works through in the notebook.
LEFT_OUT = ("Play", "Play, and compare", "The map", "References")
#: Sections whose code is shown as well, beside the code that answers a guess.
WITH_CODE = ("By hand", "Pitfall", "in three lines")
LONGEST_CODE = 16  # lines that can be read from the last row
LONGEST_OUTPUT = 12
#: Outputs that are worth a slide of their own: claims and verdicts.
VERDICTS = re.compile(r"[✔✘]|beyond chance|is ahead of")
BLOCK = re.compile(r"(\d\.|-|\||!\[) ?")
STYLE = "a11y-high-contrast-light"  # of the package accessible-pygments


@dataclass
class Slide:
    """One slide: a heading, HTML below it, and Markdown for the speaker."""

    kind: str
    heading: str
    html: str
    told: list[str] = field(default_factory=list)

    def notes(self) -> str:
        """Return what the speaker sees, as HTML."""
        return markdown2html("\n\n".join(self.told))

    def size(self) -> str:
        """Say how full the slide is: its letters shrink with it."""
        letters = len(re.sub(r"<[^>]+>", "", self.html))
        columns = self.html.split("</tr>")[0].count("<th")
        full = max(letters / 60, self.html.count("<tr"), columns * 1.5)
        return "full" if full > 15 else "half" if full > 9 else "free"


class Deck:
    """Go through a lesson and collect its slides, a stack for each section."""

    def __init__(self, cells: list[Cell], told: Notes, solved: dict[str, Solution]):
        self.told, self.solved = told, solved
        self.section, self.before = "", ""
        self.leads = self.guessed = self.seen = False
        self.stacks = [[self.first(cells[0])]]
        for cell in cells[1:]:
            if is_text(cell):
                self.text(cell)
            elif not self.left_out():
                self.code(cell)

    def first(self, cell: Cell) -> Slide:
        """Make the slide of the title: objectives, and what is needed."""
        wanted = ("After this", "1. ", "**You need**")
        shown = [p for p in paragraphs(cell) if p.startswith(wanted)]
        text = "\n\n".join(p.split("\n**It takes**")[0] for p in shown)
        told = [self.told.parts["Get across"], self.told.parts["Failures"]]
        return Slide("title", title([cell]), markdown2html(text), told)

    def left_out(self) -> bool:
        """Say whether the current section has no slides."""
        return self.section.endswith(LEFT_OUT)

    def add(self, kind: str, html: str, *told: str) -> None:
        """Add a slide to the current section."""
        self.stacks[-1].append(Slide(kind, self.section, html, list(told)))

    def text(self, cell: Cell) -> None:
        """Take what belongs on slides from a cell of text."""
        parts = [embed(cell, without_solutions(p)) for p in paragraphs(cell)]
        self.guessed = self.guessed and not self.seen
        for place, part in enumerate(parts):
            begins = exercise(part)
            if part.startswith("## "):
                self.section = re.sub(r"^## (\d+ · )?", "", part)
                self.stacks.append([])
                self.leads, self.guessed = True, False
            elif self.left_out():
                continue
            elif guess(part):
                reply = answer(self.told, guess(part))
                self.add("Stop and guess", markdown2html(part), reply)
                self.leads, self.guessed, self.seen = False, True, False
            elif begins:
                checked = bool(self.solved[begins[0]].code)
                rest = parts[place:] if checked else [part]
                self.exercise(begins[0], "\n\n".join(rest))
                if checked:
                    break
            elif BLOCK.match(part) or self.leads or part.startswith("**Next"):
                head = f"{self.before}\n\n" if self.before.endswith(":") else ""
                self.add("", markdown2html(head + part))
                self.leads = False
            elif self.stacks[-1]:
                self.stacks[-1][-1].told.append(part)
            self.before = part

    def exercise(self, key: str, text: str) -> None:
        """Add an exercise; its solution goes to the notes."""
        self.add("Exercise", markdown2html(text), self.solved[key].markdown())

    def code(self, cell: Cell) -> None:
        """Add the code of a cell where it is to be shown, and its outputs."""
        code, outputs = source(cell), cell["outputs"]
        if CHECK.search(code) or not self.stacks[-1]:
            return
        text = "".join("".join(o.get("text", "")) for o in outputs)
        short = len(text.splitlines()) <= LONGEST_OUTPUT
        if self.with_code(code):
            self.add("Code", Highlight2HTML(pygments_lexer="ipython3")(code))
            if text and short and not self.guessed:
                self.stacks[-1][-1].html += printed(text)
                text = ""
        elif not VERDICTS.search(text) and not self.guessed:
            text = ""
        if text and short:
            self.add("Result", printed(text))
        for output in outputs:
            self.output(output)
        self.seen = self.seen or bool(outputs)

    def with_code(self, code: str) -> bool:
        """Say whether code belongs on a slide; a claim would say how a guess ends."""
        if len(code.splitlines()) > LONGEST_CODE or re.search(
            r"^run\.|run\.claim", code
        ):
            return False
        return self.guessed or any(words in self.section for words in WITH_CODE)

    def output(self, output: dict[str, Any]) -> None:
        """Add a figure or a table."""
        data = output.get("data", {})
        if "image/png" in data:
            picture = "".join(data["image/png"]).replace("\n", "")
            text = escape(output["metadata"]["image/png"]["alt"], quote=True)
            image = f'<img alt="{text}" src="data:image/png;base64,{picture}">'
            self.add("Result", image)
            return
        html = "".join(data.get("text/html", ""))
        if "<table" in html and html.count("<tr") <= LONGEST_OUTPUT:
            self.add("Result", table(html))


def embed(cell: Cell, text: str) -> str:
    """Write the pictures that are attached to a cell into its text; lead links on."""
    for name, content in cell.get("attachments", {}).items():
        data = "".join(content["image/png"]).replace("\n", "")
        text = text.replace(f"attachment:{name}", f"data:image/png;base64,{data}")
    return re.sub(r"\]\((\d\d_\w+)\.ipynb\)", r"](\1.html)", text)


def printed(text: str) -> str:
    """Show what a cell printed."""
    return f'<pre class="printed">{ansi2html(text.strip())}</pre>'


def table(html: str) -> str:
    """Take a table out of an output; its style reaches beyond the slide."""
    found = re.search(r"<table.*?</table>", html, re.S)[0]
    return re.sub(r' (?:style|border|id|class)="[^"]*"', "", found)


def reveal() -> dict[str, str]:
    """Read reveal.js out of the package that carries it."""
    found = importlib.util.find_spec("sphinx_revealjs")
    if found is None:
        raise SystemExit('reveal.js is missing: pip install -e ".[teach]"')
    folder = Path(found.origin).parent / "_static" / "revealjs"
    files = {"styles": "dist/reveal.css", "script": "dist/reveal.js"}
    files["speaker"] = "plugin/notes/notes.js"
    parts = {name: read(folder / file) for name, file in files.items()}
    return parts | {"licence": read(folder / "LICENSE").replace("--", "–")}


def build(out: Path, numbers: list[str]) -> None:
    """Write a deck per lesson.

    Parameters
    ----------
    out : Path
        A folder; older decks in it are removed first.
    numbers : list of str
        Lessons; empty stands for all.
    """
    for old in out.glob("[0-9][0-9]_*.html"):
        old.unlink()
    files = FileSystemLoader(Path(__file__).parent)
    template = Environment(loader=files).get_template("slides.html.j2")
    colours = HtmlFormatter(style=STYLE).get_style_defs(".highlight")
    parts = reveal()
    for path in lessons(numbers):
        solved = solutions(NOTEBOOKS / "solutions" / path.name)
        cells = json.loads(read(path))["cells"]
        deck = Deck(cells, notes(path.name[:2]), solved)
        stacks = [stack for stack in deck.stacks if stack]
        page = template.render(
            title=title(cells), stacks=stacks, colours=colours, **parts
        )
        write(out / f"{path.stem}.html", page)


if __name__ == "__main__":
    build(Path(*sys.argv[1:2] or ["build/slides"]), sys.argv[2:])
