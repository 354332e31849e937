"""Bundled data: a card for each set, sums that hold, gates that were measured."""

from __future__ import annotations

import csv
import json

import pytest
from notebook_tools import ROOT

from tlhelpers.datasets import read_manifest

SETS = sorted(p.parent for p in (ROOT / "data").glob("*/card.json"))
# A small network, well trained, learns more from twenty drawings than we would like:
# equal eyes for both classes mended that and cost the source model's AUC (.87 → .76).
KNOWN_FAILURES = {"scratch_20_small"}
each = pytest.mark.parametrize("folder", SETS, ids=lambda p: p.name)


@each
def test_card_says_what_the_files_are(folder):
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    keys = {
        "title",
        "description",
        "made_by",
        "licence",
        "sha256",
        "known_biases",
        "gates",
    }
    assert keys <= set(card)
    assert len(card["known_biases"]) >= 3
    rows = read_manifest(folder)  # checks every sha256
    listed = {folder / row["file"] for row in rows}
    assert listed == set(folder.rglob("*.jpg")), "files and manifest differ"


@each
def test_gates_were_measured_and_passed(folder):
    gates = json.loads((folder / "card.json").read_text(encoding="utf-8"))["gates"]
    assert len(gates) >= 5
    for name, gate in gates.items():
        at_most = gate["direction"] == "at most"
        held = (
            gate["value"] <= gate["limit"]
            if at_most
            else gate["value"] >= gate["limit"]
        )
        assert held == gate["passed"]
        assert held or name in KNOWN_FAILURES, name


def test_known_failures_still_fail():
    """A gate that holds again must leave the list."""
    card = json.loads((ROOT / "data" / "pets" / "card.json").read_text())
    assert KNOWN_FAILURES == {k for k, g in card["gates"].items() if not g["passed"]}


def test_limits_are_those_of_the_design():
    gates = json.loads((ROOT / "data" / "pets" / "card.json").read_text())["gates"]
    wanted = {
        "pixels_100": 0.70,
        "scratch_20": 0.70,
        "frozen_20": 0.85,
        "source_auc": 0.85,
    }
    assert {k: gates[k]["limit"] for k in wanted} == wanted


@each
def test_no_picture_stands_in_two_splits(folder):
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        sums = [row["sha256"] for row in csv.DictReader(file)]
    assert len(sums) == len(set(sums))


def test_every_set_is_in_the_readme_and_small():
    text = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    assert all(f"`{folder.name}`" in text for folder in SETS)
    files = [p for p in (ROOT / "data").rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) <= 40 * 2**20
    assert max(p.stat().st_size for p in files) <= 16 * 2**20


def test_drawing_program_makes_the_bundled_pictures(tmp_path):
    """Draw three pictures again: the same pixels, whatever the JPEG library."""
    import subprocess
    import sys

    import numpy as np
    from PIL import Image

    program = ROOT / "data" / "make" / "draw_pets.py"
    counts = ["--train", "2", "--valid", "0", "--test", "1"]
    command = [sys.executable, program, "--out", tmp_path / "pets", *counts]
    subprocess.run(command, check=True, capture_output=True)
    for name in ("train/cat/0001.jpg", "train/dog/0002.jpg", "test/cat/0001.jpg"):
        pair = [
            np.asarray(Image.open(r / name), float)
            for r in (tmp_path / "pets", ROOT / "data/pets")
        ]
        assert np.abs(pair[0] - pair[1]).mean() < 2
