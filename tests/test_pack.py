"""The instructor's pack: schedules that fit, guesses answered, figures as in the files.

Each check is a function of texts that returns what is wrong; the last tests break a
copy of the text and ask whether the check notices.
"""

from __future__ import annotations

import functools
import json
import re

import pytest
from notebook_tools import NOTEBOOKS, ROOT

from tlhelpers.course.session import Range, read_study

PACK = ROOT / "docs"
TEXTS = {
    name: (PACK / name).read_text(encoding="utf-8")
    for name in (
        "instructors.md",
        "teaching/lessons.md",
        "teaching/setup.md",
        "teaching/class.md",
    )
}
SCHEDULES, LESSONS, SETUP, _ = TEXTS.values()
DAY, HOUR = 360, 60
NUMBERS = [path.name[:2] for path in NOTEBOOKS]
MARK = "**Stop and guess"
#: `metric` low – high (n runs), as in the last column of a lesson's table.
QUOTED = re.compile(r"`([^`]+)` (-?[\d.]+) – (-?[\d.]+) \((\d+) runs\)")


def sections(text: str, level: str) -> dict[str, str]:
    """Split a text at its headings of one level; what stands before is left out."""
    parts = re.split(rf"(?m)^{level} (.+)$", text)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def rows(text: str) -> list[dict[str, str]]:
    """Read the rows of every table, each as a dictionary from column to cell."""
    found, head = [], None
    for line in [*text.splitlines(), ""]:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            head = None
        elif head is None:
            head = cells
        elif not set(line) <= set("|-: "):
            found.append(dict(zip(head, cells, strict=True)))
    return found


def plain(text: str) -> str:
    return " ".join(text.lower().split())


@functools.cache
def guesses(number: str) -> tuple[str, ...]:
    """Return what follows each mark; the how-to in a quotation is none."""
    return tuple(
        plain(line.split(MARK, 1)[1].lstrip(":* "))
        for cell in cells(number)
        if cell["cell_type"] == "markdown"
        for line in "".join(cell["source"]).splitlines()
        if MARK in line and not line.startswith(">")
    )


def cells(number: str) -> list[dict]:
    (path,) = (p for p in NOTEBOOKS if p.name.startswith(number))
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


@functools.cache
def printed(number: str) -> str:
    """Return all text of a notebook's kept outputs, alternative texts included."""
    outputs = [o for cell in cells(number) for o in cell.get("outputs", [])]
    texts = [o.get("text", "") for o in outputs]
    for output in outputs:
        texts += [v for k, v in output.get("data", {}).items() if k.startswith("text/")]
        texts += [m["alt"] for m in output.get("metadata", {}).values() if "alt" in m]
    return "\n".join("".join(text) for text in texts)


def too_long(text: str) -> list[str]:
    """Name each day over 360 minutes and each week over 60, and days without breaks."""
    wrong = []
    for title, part in sections(sections(text, "##")["Schedules"], "###").items():
        table, spent = rows(part), {}
        for row in table:
            key = f"{title}, week {row['week']}" if "week" in row else title
            spent[key] = spent.get(key, 0) + int(row["minutes"])
        weekly = "week" in table[0]
        limit = HOUR if weekly else DAY
        wrong += [f"{k}: {v} minutes" for k, v in spent.items() if v > limit]
        if not weekly and sum("break" in row["what"] for row in table) < 3:
            wrong.append(f"{title}: fewer than three breaks")
    return wrong


def not_taught(text: str) -> set[str]:
    """Return the notebooks that the ten-week plan leaves out."""
    schedules = sections(text, "##")["Schedules"]
    plan = rows(sections(schedules, "###")["Ten weekly hours"])
    weeks = {int(row["week"]) for row in plan}
    assert weeks == set(range(1, 11))
    return set(NUMBERS) - {row["notebook"] for row in plan if row.get("notebook")}


def lesson(text: str, number: str) -> list[dict[str, str]]:
    (part,) = (p for t, p in sections(text, "##").items() if t.startswith(number))
    return rows(part)


def unanswered(text: str, number: str) -> list[str]:
    """Name each guess without a row of its own, and each row without a guess."""
    open_, wrong = list(guesses(number)), []
    for row in lesson(text, number):
        start = plain(row["guess"])
        fits = [g for g in open_ if g.startswith(start)] if len(start) > 8 else []
        if fits and row["answer"]:
            open_.remove(fits[0])
        else:
            wrong.append(f"{number}: no guess begins {row['guess']!r}, or no answer")
    return wrong + [f"{number}: no answer to {guess[:60]!r}" for guess in open_]


def wrong_ranges(text: str, number: str) -> list[str]:
    """Recompute each quoted range from the study."""
    wrong, metrics = [], read_study(number)["metrics"]
    for row in lesson(text, number):
        quoted = QUOTED.findall(row["study"])
        if not quoted and row["study"] != "—":
            wrong.append(f"{number}: cannot read {row['study']!r}")
        for name, *got in quoted:
            values = metrics.get(name)
            r = Range.of(values) if values else None
            right = r and [f"{r.low:.3f}", f"{r.high:.3f}", str(r.n)]
            if got != right:
                wrong.append(f"{number}, {name}: quoted {got}, the study has {right}")
    return wrong


def not_printed(text: str, number: str) -> list[str]:
    """Name each figure of the column "kept output" that no output of it shows."""
    return [
        f"{number}: {figure} is in no kept output"
        for row in lesson(text, number)
        for figure in re.findall(r"-?\d+(?:\.\d+)?", row["kept output"])
        if not re.search(
            rf"(?<![\d.]){re.escape(figure)}(?![\d]|\.\d)", printed(number)
        )
    ]


def ranges_left_out(text: str, number: str) -> list[str]:
    """Name each score that `run.compare` shows and an answer has without its range."""
    shown = re.findall(r"(?m)^(\S.*?) {2,}(-?\d+\.\d{3}) +inside", printed(number))
    assert shown
    return [
        f"{number}: {score} is {name}, whose range is missing"
        for row in lesson(text, number)
        for name, score in shown
        if score in re.findall(r"-?\d+\.\d+", row["kept output"])
        and name not in [quoted[0] for quoted in QUOTED.findall(row["study"])]
    ]


def unknown_messages(text: str) -> list[str]:
    """Name each quoted message that stands nowhere in the code."""
    code = "\n".join(p.read_text("utf-8") for p in (ROOT / "tlhelpers").rglob("*.py"))
    table = rows(sections(text, "##")["Troubleshooting"])
    found = [re.match("`([^`]+)`", row["symptom"]) for row in table]
    messages = [m.group(1) for m in found if m]
    assert len(messages) > 10
    return [m for m in messages if m not in code]


each = pytest.mark.parametrize("number", NUMBERS)


def test_every_day_and_every_hour_fits():
    assert not too_long(SCHEDULES)


def test_ten_weeks_teach_every_notebook():
    assert not not_taught(SCHEDULES)


@each
def test_every_guess_has_its_answer(number):
    assert guesses(number)
    assert not unanswered(LESSONS, number)


@each
def test_ranges_are_those_of_the_studies(number):
    assert not wrong_ranges(LESSONS, number)


@each
def test_figures_are_those_of_the_kept_outputs(number):
    assert not not_printed(LESSONS, number)


@each
def test_a_score_of_the_study_has_its_range(number):
    assert not ranges_left_out(LESSONS, number)


@each
def test_every_lesson_is_complete(number):
    (part,) = (p for t, p in sections(LESSONS, "##").items() if t.startswith(number))
    parts = ("Get across", "Failures", "Discuss", "Homework", "Rubric")
    assert not [p for p in parts if f"**{p}" not in part]


def test_quoted_messages_are_in_the_code():
    assert not unknown_messages(SETUP)


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere_and_lines_are_short(name):
    links = re.findall(r"\]\(([^)#:]+)\)", TEXTS[name])
    assert not [x for x in links if not ((PACK / name).parent / x).exists()]
    lines = TEXTS[name].splitlines()
    assert not [line for line in lines if len(line) > 110 and not line.startswith("|")]


@pytest.mark.parametrize("title", ["day 1", "day 2", "One day", "Ten weekly hours"])
def test_thirty_minutes_more_are_noticed(title):
    head, rest = re.split(rf"(?m)(?<=^### ).*{title}.*$", SCHEDULES, maxsplit=1)
    last = rest.split("\n### ")[0].split("\n## ")[0]
    add = lambda m: f"| {int(m.group(1)) + 30} |"  # noqa: E731
    longer = re.sub(r"\| (\d\d) \|(?! \d)", add, last, count=1)
    (title,) = re.findall(rf"(?m)^### (.*{title}.*)$", SCHEDULES)
    (found,) = too_long(head + title + rest.replace(last, longer))
    assert found.startswith(title)


def test_a_day_without_a_break_is_noticed():
    assert too_long(SCHEDULES.replace("| 15 | break |", "| 15 | more |", 1))


@each
def test_a_notebook_that_is_not_taught_is_noticed(number):
    without = re.sub(rf"(\| \d+ \| \d+ \|) {number} \|", r"\1 – |", SCHEDULES)
    assert not_taught(without) == {number}


@each
def test_a_guess_without_an_answer_is_noticed(number):
    for row in lesson(LESSONS, number):
        line = f"| {row['guess']} | {row['answer']} |"
        assert line in LESSONS
        broken = re.sub(rf"{re.escape(line)}.*\n", "", LESSONS)
        (found,) = unanswered(broken, number)
        assert plain(row["guess"])[:40] in found and found.startswith(number)


def test_a_wrong_range_run_or_metric_is_noticed():
    quoted = QUOTED.search(lesson_text := LESSONS[LESSONS.index("## 00") :])
    right, name, low, _, n = quoted[0], *quoted.groups()
    for wrong in (
        right.replace(low, f"{float(low) + 0.001:.3f}", 1),
        right.replace(f"({n}", f"({int(n) + 1}"),
        right.replace(name, f"{name}s"),
        right.replace("–", "to"),
    ):
        assert wrong_ranges(lesson_text.replace(right, wrong), "00"), wrong


def test_a_range_that_is_left_out_is_noticed():
    broken = re.sub(r"`project accuracy` [\d. –]+ \(10 runs\)", "—", LESSONS)
    found = ranges_left_out(broken, "10")
    assert len(found) == 1 and "0.979 is project accuracy" in found[0]


def test_a_wrong_figure_and_a_wrong_message_are_noticed():
    assert not_printed(LESSONS.replace("| teddy 0.97 |", "| teddy 0.123 |"), "00")
    broken = SETUP.replace("`Every layer is frozen.`", "`All layers are frozen.`")
    assert unknown_messages(broken) == ["All layers are frozen."]
