"""Build the site: ``python docs/site/pages.py [FOLDER]``, as ``make site`` does.

The files of the course are written for Jupyter and GitHub, so Sphinx reads a copy of
them, made here: solutions folded in below their exercises, pages written from the
cards and from the package, links to what has no page led to the repository. Nothing
is executed. As an extension of Sphinx the module adds what is lost on the way: the
pictures' own alternative texts, and links to the glossary.
"""

from __future__ import annotations

import ast
import base64
import json
import os
import posixpath
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.transforms import SphinxTransform

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), *(str(ROOT / "docs" / p) for p in ("teaching", "site"))]

from lesson import (  # noqa: E402
    CHECK,
    EXERCISE,
    SOLUTIONS,
    Cell,
    exercise,
    fold_solution,
    markdown,
    paragraphs,
    read,
    solutions,
    title,
    write,
)
from publish import current_repository, fill  # noqa: E402

import tlhelpers as tl  # noqa: E402

BADGE = re.compile(r"\[!\[([^\]]+)\]\([^)]+\)\]\(([^)]+)\)")
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
NAMED = re.compile(r"`((?:docs|data)/[\w/-]+\.md)`")  # a page, in a sentence
LESSON = "notebooks/[0-9][0-9]_*.ipynb"


# --- exercises -----------------------------------------------------------------------


def with_solutions(
    cells: list[Cell], number: str, solved: dict[str, str]
) -> tuple[list[Cell], list[str]]:
    """Add each solution below its exercise; return cells and the list of exercises.

    A checked exercise ends with the cell that checks it, another with its paragraph.
    """
    new, questions, left = [], [], dict(solved)
    code = (c for c in cells if c["cell_type"] == "code")
    checked = {key for c in code for key in CHECK.findall("".join(c["source"]))}
    for cell in cells:
        if cell["cell_type"] == "code":
            new.append(cell)
            for key in CHECK.findall("".join(cell["source"])):
                new.append(markdown(left.pop(key), f"solution-{key}"))
            continue
        text = []
        for part in paragraphs(cell):
            begins = exercise(part)
            if not begins:
                text.append(part)
                continue
            key, title = begins
            name = f"exercise-{number}-{key.replace('.', '-')}"
            text += [f"({name})=", part]
            question = EXERCISE.sub("", part, count=1).strip()
            question = SOLUTIONS.sub("this list", question)
            link = f"**[{title}](#{name})** {question}"
            questions.append(f"{link}\n\n{solved[key]}")
            if key not in checked:
                new.append({**cell, "source": "\n\n".join(text)})
                new.append(markdown(left.pop(key), f"solution-{key}"))
                cell, text = markdown("", f"after-{key}"), []
        if text:
            new.append({**cell, "source": "\n\n".join(text)})
    if left:
        raise ValueError(f"{number}: solutions without an exercise: {sorted(left)}")
    return new, questions


# --- pages ---------------------------------------------------------------------------


def retarget(text: str, where: str, pages: set[str]) -> str:
    """Lead links to what has no page of its own to the page that has it, or to GitHub.

    Parameters
    ----------
    text : str
        Markdown.
    where : str
        Its file, from the root of the course.
    pages : set of str
        Files that become pages.
    """

    def led(match: re.Match) -> str:
        path, anchor = match[1], match[2] or ""
        target = posixpath.normpath(posixpath.join(posixpath.dirname(where), path))
        if ":" in path or target in pages:
            return match[0]
        if target == "README.md":
            return f"]({relative('index.md')}{anchor})"
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        address = f"https://github.com/{current_repository()}/{kind}/main/{target}"
        return f"]({address}{anchor})" if (ROOT / target).exists() else match[0]

    def relative(target: str) -> str:
        return posixpath.relpath(target, posixpath.dirname(where) or ".")

    def named(match: re.Match) -> str:
        return f"[{match[0]}]({relative(match[1])})" if match[1] in pages else match[0]

    number = Path(where).name[:2]
    text = SOLUTIONS.sub(f"[the list of exercises](#exercises-{number})", text)
    return LINK.sub(led, NAMED.sub(named, text))


def course_map(lessons: dict[str, list[Cell]]) -> str:
    """Write the table of lessons: what each is about, needs and takes."""
    rows = ["| lesson | you need | it takes |", "|---|---|---|"]
    for name, cells in lessons.items():
        head = "".join(cells[0]["source"])
        needs = re.search(r"\*\*You need\*\* (.+?)\.?$", head, re.M)[1]
        takes = re.search(r"<!-- measured -->(.+? of memory)", head)[1]
        rows.append(f"| [{title(cells)}]({name}) | {needs} | {takes} |")
    return "\n".join(rows)


def routes(cells: list[Cell]) -> str:
    """Take the table "if you … go to" from lesson 00."""
    text = "\n\n".join(p for c in cells for p in paragraphs(c) if "| if you" in p)
    return re.sub(r"\]\((?=\d\d_)", "](notebooks/", text)


def card_page() -> str:
    """Write a page of the cards of public data sets and published models."""
    cards = json.loads(read(ROOT / "data" / "public.json"))
    parts = [
        "# Public data sets and models",
        "What the full profile fetches, and the two models that arrive as packages "
        "of Python. Nothing of this is part of the course.",
    ]
    for name, card in cards.items():
        parts += [f"## {card['title']} (`{name}`)", "\n".join(facts(card))]
    return "\n\n".join(parts) + "\n"


def facts(card: dict[str, Any]) -> list[str]:
    """Write the entries of a card as a list."""
    lines = []
    for key, value in card.items():
        if key in ("name", "title", "next_step"):
            continue
        if isinstance(value, dict):
            value = "; ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        words = key.replace("_", " ")
        plain = key in ("origin", "licence", "remarks", "classes", "known_biases")
        lines.append(f"- {words}: {value}" if plain else f"- {words}: `{value}`")
    return lines


def rooms() -> dict[str, list[str]]:
    """Return the public names of each room, as the stub of the package lists them."""
    stub = ast.parse(read(ROOT / "tlhelpers" / "__init__.pyi"))
    found = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {node.module: [name.name for name in node.names] for node in found}


def api_page() -> str:
    """Write the page of the public names, room by room; autodoc fills it."""
    parts = [
        "# API of the core",
        "What `import tlhelpers as tl` brings, by room. The lessons use all of it.",
    ]
    for room, names in rooms().items():
        module = __import__(f"tlhelpers.{room}", fromlist=["__doc__"])
        parts += [f"## `{room}`", module.__doc__.strip().split("\n\n")[0]]
        lines = [".. currentmodule:: tlhelpers"]
        for name in names:
            made = getattr(tl, name)
            kind = "class" if isinstance(made, type) else "function"
            kind = "exception" if name.endswith("Error") else kind
            lines += [f".. auto{kind}:: {name}"]
            if name == "start":
                lines += [".. autoclass:: tlhelpers.course.session.Session"]
        parts.append("```{eval-rst}\n" + "\n\n".join(lines) + "\n```")
    return "\n\n".join(parts) + "\n"


def stage(out: Path) -> None:
    """Write what Sphinx is to read.

    Parameters
    ----------
    out : Path
        A folder; emptied first.
    """
    shutil.rmtree(out, ignore_errors=True)
    docs = [p for p in sorted(ROOT.glob("docs/**/*.md")) if p.parent.name != "site"]
    copied = [*docs, ROOT / "data" / "README.md"]
    lessons = {
        path.relative_to(ROOT).as_posix(): json.loads(read(path))
        for path in sorted(ROOT.glob(LESSON))
    }
    pages = {p.relative_to(ROOT).as_posix(): read(p) for p in copied}
    cells = {name: lesson["cells"] for name, lesson in lessons.items()}
    index = read(Path(__file__).with_name("index.md"))
    index = fill(index, "map", f"\n{course_map(cells)}\n")
    index = fill(index, "routes", f"\n{routes(next(iter(cells.values())))}\n")
    rest = [n.removesuffix(".md") for n in pages if n.removesuffix(".md") not in index]
    pages["index.md"] = index.replace("<!-- rest -->", "\n".join(rest))
    pages |= {"data/public.md": card_page(), "api.md": api_page()}
    pictures = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("docs/images/*.png")}
    for name in pictures:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, out / name)
    staged = {*pages, *lessons, *pictures, "exercises.md"}
    listed = ["# Exercises", EXERCISES]
    for name, lesson in lessons.items():
        number = Path(name).name[:2]
        found = solutions(ROOT / "notebooks" / "solutions" / Path(name).name)
        solved = {k: fold_solution(k, v.markdown()) for k, v in found.items()}
        lesson["cells"], questions = with_solutions(cells[name], number, solved)
        heading = f"(exercises-{number})=\n## {title(cells[name])}"
        listed += [heading, f"[The lesson]({name})", *questions]
        for cell in lesson["cells"]:
            for output in cell.get("outputs", []):
                if "text/html" in output.get("data", {}):
                    html = "".join(output["data"]["text/html"])
                    output["data"]["text/html"] = legible(html)
            if cell["cell_type"] == "markdown":
                text = BADGE.sub(r"[\1](\2)", "".join(cell["source"]))
                cell["source"] = retarget(detach(cell, text, out / name), name, staged)
        write(out / name, json.dumps(lesson))
    pages["exercises.md"] = "\n\n".join(listed) + "\n"
    for name, text in pages.items():
        write(out / name, retarget(text, name, staged))


def legible(html: str) -> str:
    """Write black or white on coloured cells of a table, whichever is read better.

    pandas writes white on middling colours, too.
    """

    def better(match: re.Match) -> str:
        parts = [int(match[1][i : i + 2], 16) / 255 for i in (0, 2, 4)]
        parts = [
            p / 12.92 if p <= 0.04 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
        ]
        light = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
        return match[0][:-6] + ("000000" if light > 0.18 else "ffffff")

    coloured = r"background-color: #([0-9a-f]{6});\s*color: #[0-9a-f]{6}"
    return re.sub(coloured, better, html)


def detach(cell: Cell, text: str, page: Path) -> str:
    """Write the pictures that are attached to a cell beside its page."""
    for name, content in cell.pop("attachments", {}).items():
        data = base64.b64decode("".join(content["image/png"]))
        page.parent.mkdir(parents=True, exist_ok=True)
        page.with_name(f"{page.stem}_{name}").write_bytes(data)
        text = text.replace(f"attachment:{name}", f"{page.stem}_{name}")
    return text


EXERCISES = """\
★ is for everybody, ★★★ for those who want more. Try first: a wrong answer and its hint
teach more than a right one that was read. Every exercise stands in its lesson, where
`tl.check` looks at your answer; here they are listed, each with its solution folded in.
"""


# --- the extension -------------------------------------------------------------------


def alternative_texts(path: Path) -> list[str]:
    """List the texts of the pictures in a notebook's outputs, in their order."""
    outputs = [o for c in json.loads(read(path))["cells"] for o in c.get("outputs", [])]
    kinds = [(o, kind) for o in outputs for kind in o.get("data", {})]
    return [o["metadata"][k]["alt"] for o, k in kinds if k.startswith("image/")]


class AlternativeTexts(SphinxTransform):
    """Give each picture of an output the text that its notebook keeps for it."""

    default_priority = 400

    def apply(self) -> None:
        """Pair pictures and texts by their order."""
        path = Path(self.env.doc2path(self.env.docname))
        if path.suffix == ".ipynb":
            made = [i for i in self.document.findall(nodes.image) if in_output(i)]
            for image, text in zip(made, alternative_texts(path), strict=True):
                image["alt"] = text


def in_output(node: nodes.Node) -> bool:
    """Say whether a node is part of what a cell put out."""
    return any("cell_output" in above.get("classes", []) for above in ancestors(node))


def ancestors(node: nodes.Node) -> list[nodes.Element]:
    """List the nodes that a node lies in."""
    found = []
    while node.parent is not None:
        node = node.parent
        found.append(node)
    return found


def glossary(path: Path) -> dict[str, str]:
    """Map each form of a term, in lower case, to the first form of its entry."""
    body = read(path).split("```{glossary}\n", 1)[1].split("```", 1)[0]
    entries = [
        [line for line in entry.splitlines() if line and not line.startswith(" ")]
        for entry in body.split("\n\n")
    ]
    return {form.lower(): entry[0] for entry in entries for form in entry}


def any_of(forms: dict[str, str]) -> re.Pattern:
    """Match each form of a term, the longest first, alone or in the plural."""
    words = "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
    return re.compile(rf"(?<![\w-])({words})s?(?![\w-])", re.I)


class GlossaryLinks(SphinxTransform):
    """Link each term of the glossary where a lesson first uses it."""

    default_priority = 410
    #: No link inside these: code, links, headings.
    SKIPPED = (nodes.literal, nodes.literal_block, nodes.reference, nodes.title)
    SKIPPED += (pending_xref, nodes.raw, nodes.comment)

    def apply(self) -> None:
        """Walk through the prose of a lesson."""
        if not self.env.docname.startswith("notebooks/"):
            return
        forms = glossary(Path(self.env.doc2path("docs/glossary")))
        pattern = any_of(forms)
        linked: set[str] = set()
        for text in list(self.document.findall(nodes.Text)):
            above = ancestors(text)
            if in_output(text) or any(isinstance(n, self.SKIPPED) for n in above):
                continue
            parts, end = [], 0
            for found in pattern.finditer(text):
                term = forms[found[1].lower()]
                if term not in linked:
                    linked.add(term)
                    parts += [nodes.Text(text[end : found.start()])]
                    parts += [self.link(found[0], term)]
                    end = found.end()
            if parts:
                text.parent.replace(text, [*parts, nodes.Text(text[end:])])

    def link(self, text: str, term: str) -> pending_xref:
        """Make a reference to the glossary."""
        inner = nodes.inline(text, text, classes=["xref", "std", "std-term"])
        target = {"refdomain": "std", "reftype": "term", "reftarget": term}
        name = self.env.docname
        return pending_xref("", inner, refdoc=name, refwarn=True, **target)


def setup(app: Any) -> dict[str, bool]:
    """Register both transforms with Sphinx."""
    app.add_transform(AlternativeTexts)
    app.add_transform(GlossaryLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def build(out: Path) -> int:
    """Write the site to a folder; return the exit status of Sphinx.

    Parameters
    ----------
    out : Path
        Emptied first, if it holds a site; what Sphinx reads and keeps lies beside it.
    """
    from sphinx.cmd.build import main

    if out.exists() and any(out.iterdir()) and not (out / "searchindex.js").exists():
        raise SystemExit(f"{out} holds other things. Name an empty folder.")
    work = out.with_name(f"{out.name}.work")
    shutil.rmtree(out, ignore_errors=True)
    stage(work / "source")
    places = [str(work / "source"), str(out)]
    options = ["-W", "--keep-going", "-E", "-q", "-d", str(work / "doctrees")]
    return main([*options, "-c", str(Path(__file__).parent), "-b", "html", *places])


if __name__ == "__main__":
    os.environ["TQDM_DISABLE"] = "1"
    sys.exit(build(Path(*sys.argv[1:2] or ["build/site"]).resolve()))
