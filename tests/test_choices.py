"""What a lesson says was chosen on valid is what the search chose."""

from __future__ import annotations

import ast
import csv
import json

import pytest
from notebook_tools import NOTEBOOKS, ROOT

CHOICES = sorted((ROOT / "data" / "studies").glob("choices_*.csv"))
each = pytest.mark.parametrize("path", CHOICES, ids=lambda p: p.stem)


#: Choices at the end of what was tried, and the words with which the lesson says so.
MOST_STEPS = "All three did best with the most of these steps"
MOST_EPOCHS = "Reading and from scratch took the most epochs that were tried"
HIGHEST_RATE = "real ULMFiT the fewest, at the highest rate"
AT_THE_EDGE = {
    ("00", "small, from scratch", "epochs"): "the most epochs tried",
    ("00", "small, developed, tuned", "epochs"): "the most epochs tried",
    ("01", "fine-tuned", "steps"): MOST_STEPS,
    ("01", "from scratch", "steps"): MOST_STEPS,
    ("01", "from scratch, small", "steps"): MOST_STEPS,
    ("01", "from scratch, small, 100 labels", "steps"): MOST_STEPS,
    ("04", "fine-tuned", "epochs"): "more passes might help",
    ("06", "reading", "epochs"): MOST_EPOCHS,
    ("06", "from scratch", "epochs"): MOST_EPOCHS,
    ("06", "real ULMFiT", "epochs"): HIGHEST_RATE,
    ("06", "real ULMFiT", "lr"): HIGHEST_RATE,
}


def read(path):
    """Return {arm: rows}, of the arms that a lesson compares; others are remarks."""
    by_arm = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            by_arm.setdefault(row["arm"], []).append(row)
    return {
        arm: rows
        for arm, rows in by_arm.items()
        if not arm.startswith("source:") and any(r["chosen"] == "1" for r in rows)
    }


def literals(path):
    """Return {arm: {name: value}}: what stands below the comment in the notebook.

    A single number is the rate, or C where the table has one.
    """
    comment, said = f"# chosen on valid: data/studies/{path.name}", {}
    for source in sources(path.stem.removeprefix("choices_")):
        for below in source.split(comment)[1:]:
            said |= ast.literal_eval(ast.parse(below).body[0].value)
    return said


def sources(number):
    """Return what stands in the cells of a lesson."""
    (notebook,) = (p for p in NOTEBOOKS if p.name.startswith(number))
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells]


def edges(by_arm):
    """Yield (arm, setting) where the chosen value is the smallest or largest tried."""
    for arm, rows in by_arm.items():
        (chosen,) = (row for row in rows if row["chosen"] == "1")
        for setting in {"lr", "epochs", "steps", "C"} & chosen.keys():
            tried = {float(row[setting]) for row in rows if row[setting]}
            if len(tried) > 1 and float(chosen[setting]) in (min(tried), max(tried)):
                yield arm, setting


@each
def test_lesson_uses_what_was_chosen(path):
    said, searched = literals(path), read(path)
    assert said.keys() == searched.keys()
    for arm, values in said.items():
        (chosen,) = (row for row in searched[arm] if row["chosen"] == "1")
        if not isinstance(values, dict):
            values = {"lr" if chosen["lr"] else "C": values}
        assert {k: float(chosen[k]) for k in values} == values, arm


@each
def test_the_best_on_valid_was_chosen_with_equal_effort(path):
    by_arm = read(path)
    assert len({len(rows) for rows in by_arm.values()}) == 1
    for rows in by_arm.values():
        (chosen,) = (row for row in rows if row["chosen"] == "1")
        assert float(chosen["valid"]) == max(float(row["valid"]) for row in rows)
        assert all(int(row["draws"]) >= 3 for row in rows)


@each
def test_what_was_chosen_lies_inside_what_was_tried_or_the_lesson_admits_it(path):
    number = path.stem.removeprefix("choices_")
    admitted = {(arm, setting) for n, arm, setting in AT_THE_EDGE if n == number}
    assert set(edges(read(path))) == admitted
    text = " ".join(" ".join(sources(number)).split())
    for arm, setting in admitted:
        assert AT_THE_EDGE[number, arm, setting] in text


@pytest.mark.parametrize(("number", "n"), [("06", 120), ("07", 90), ("08", 90)])
def test_a_table_has_means_of_whole_answers(number, n):
    path = ROOT / "data" / "studies" / f"choices_{number}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            arm = row["arm"].partition(",")[0]
            flowers = arm in ("alone", "hard", "soft")  # of 08: 75 pictures
            asked = int(row["draws"]) * (75 if flowers else n)
            said = float(row["valid"])
            assert asked >= 3 * n and round(round(said * asked) / asked, 4) == said


def test_a_choice_at_the_edge_is_noticed():
    rates = ("1e-3", "3e-3", "1e-2")
    tried = [{"lr": lr, "epochs": "8", "chosen": "0"} for lr in rates]
    tried[1]["chosen"] = "1"
    assert not list(edges({"way": tried}))
    tried[1]["chosen"], tried[0]["chosen"] = "0", "1"
    assert list(edges({"way": tried})) == [("way", "lr")]
