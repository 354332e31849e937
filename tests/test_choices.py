"""What a lesson says was chosen on valid is what the search chose."""

from __future__ import annotations

import ast
import csv
import json

import pytest
from notebook_tools import NOTEBOOKS, ROOT

CHOICES = sorted((ROOT / "data" / "studies").glob("choices_*.csv"))
each = pytest.mark.parametrize("path", CHOICES, ids=lambda p: p.stem)


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
    number = path.stem.removeprefix("choices_")
    (notebook,) = (p for p in NOTEBOOKS if p.name.startswith(number))
    comment, said = f"# chosen on valid: data/studies/{path.name}", {}
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        _, *below = "".join(cell["source"]).split(comment)
        for source in below:
            said |= ast.literal_eval(ast.parse(source).body[0].value)
    return said


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
