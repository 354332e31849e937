"""Bundled data: a card for each set, sums that hold, gates that were measured."""

from __future__ import annotations

import csv
import hashlib
import json
import re

import numpy as np
import pytest
from notebook_tools import ROOT

from tlhelpers.course.doctor import check_bundled

MODELS = sorted((ROOT / "data" / "models").glob("*.json"))
SETS = sorted(p.parent for p in (ROOT / "data").glob("*/card.json"))
# A small network, well trained, learns more from twenty drawings than we would like:
# equal eyes for both classes mended that and cost the source model's AUC (.87 → .76).
KNOWN_FAILURES = {"scratch_20_small"}
each = pytest.mark.parametrize("folder", SETS, ids=lambda p: p.name)
DRAWN = [folder for folder in SETS if (folder / "manifest.csv").exists()]
each_drawn = pytest.mark.parametrize("folder", DRAWN, ids=lambda p: p.name)


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
    (table,) = folder.glob("*.csv")
    assert hashlib.sha256(table.read_bytes()).hexdigest() == card["sha256"]


@each_drawn
def test_manifest_lists_the_pictures(folder):
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert check_bundled(folder) == len(rows)  # every sha256
    listed = {folder / row["file"] for row in rows}
    pictures = {p for p in folder.rglob("*.*") if p.suffix in (".jpg", ".png")}
    assert listed == pictures, "files and manifest differ"


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


@each_drawn
def test_no_picture_stands_in_two_splits(folder):
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        sums = [row["sha256"] for row in csv.DictReader(file)]
    assert len(sums) == len(set(sums))


def assert_counts_are_the_cards(task):
    counts = task.card["counts"]
    for part in ("train", "valid", "test"):
        counted = np.bincount(getattr(task, part).labels).tolist()
        assert counted == [counts[part][n] for n in task.class_names]
    assert len(task.unlabelled) == counts["unlabelled"] >= 600


def test_mail_is_what_its_card_says():
    import tlhelpers as tl

    task = tl.load_mail()
    assert_counts_are_the_cards(task)
    parts = (task.train, task.valid, task.test, task.unlabelled)
    texts = [text for part in parts for text in part.texts]
    assert len(set(texts)) == len(texts)
    assert all(t.startswith("Subject: ") and "\n" in t for t in texts)
    assert all(8 <= len(t.split()) <= 230 for t in texts)
    links = [link for t in texts for link in re.findall(r"[\w.-]+@[\w-]+\.[\w.-]+", t)]
    assert all(".example" in link for link in links)
    # Quoted threads, remains of HTML and footers, as in life.
    for mark, least in {"\n> ": 60, "<br>": 30, "Sent from": 15}.items():
        assert sum(mark in text for text in texts) >= least, mark


def test_reviews_are_what_their_card_says():
    import tlhelpers as tl

    task = tl.load_reviews()
    assert_counts_are_the_cards(task)
    with open(ROOT / "data" / "reviews" / "reviews.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"]]
    for domain in ("film", "product", "place"):
        for label in task.class_names:
            mine = [r for r in rows if (r["domain"], r["label"]) == (domain, label)]
            assert len(mine) >= 80
    assert all(7 <= len(row["text"].split()) <= 50 for row in rows)


def test_public_sets_and_models_have_a_card_each():
    cards = json.loads((ROOT / "data" / "public.json").read_text(encoding="utf-8"))
    sets = {"pets", "flowers", "mail", "reviews"}
    assert set(cards) == sets | {"efficientnet_lite0", "minilm", "bert-base-uncased"}
    for name, card in cards.items():
        assert card["title"] and card["origin"] and card["licence"]
        if name in sets:
            path = ROOT / "data" / name / "card.json"
            assert card["classes"] == json.loads(path.read_text("utf-8"))["classes"]
            assert 'PROFILE = "mini"' in card["next_step"]


def test_every_set_is_in_the_readme_and_small():
    text = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    assert all(f"`{folder.name}`" in text for folder in SETS)
    files = [p for p in (ROOT / "data").rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) <= 40 * 2**20
    assert max(p.stat().st_size for p in files) <= 16 * 2**20


@pytest.fixture
def program(monkeypatch):
    """Import a drawing program by its name."""
    from importlib import import_module

    monkeypatch.syspath_prepend(ROOT / "data" / "make")
    return import_module


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_source_model_is_the_one_its_card_describes(path, program):
    import tlhelpers as tl

    card = json.loads(path.read_text(encoding="utf-8"))
    file = path.with_suffix(".safetensors")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == card["sha256"]
    keys = {"source_task", "origin", "licence", "command", "recipe", "known_biases"}
    assert keys <= set(card)
    readme = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    assert card["sha256"] in readme
    if "vocabulary_sha256" in card:
        words = path.with_suffix(".txt").read_bytes()
        assert hashlib.sha256(words).hexdigest() == card["vocabulary_sha256"]
        assert card["measured"] in readme
        return
    assert len(card["epochs"]) == card["recipe"]["epochs"]
    assert card["valid_accuracy"] == card["epochs"][-1]["valid"]
    names = tuple(tl.load_source(path.stem).class_names)
    pictures = card["recipe"].get("pictures", "photographs")
    if pictures == "photographs":
        assert card["valid_accuracy"] > 0.36
        assert not [n for n in names if "cat" in n.split() or "dog" in n]
        first, last = card["recipe"].get("classes", (0, 191))
        assert len(names) == last - first
        whole = json.loads((path.parent / "tiny_photos.json").read_text("utf-8"))
        assert list(names) == whole["class_names"][first:last]
    else:
        assert card["valid_accuracy"] > 0.7
        assert names == program(f"draw_{pictures}").SOURCE_LABELS


REDRAWN = [
    (
        "cells",
        "jpg",
        ("train/healthy/0001", "train/infected/0002", "test/healthy/0001"),
    ),
    ("pets", "jpg", ("train/cat/0001", "train/dog/0002", "test/cat/0001")),
    ("flowers", "jpg", ("train/daisy/0001", "train/tulip/0002", "test/rose/0001")),
    ("sketches", "png", ("train/car/0001", "train/tree/0002", "test/house/0001")),
]


@pytest.mark.parametrize(("name", "suffix", "pictures"), REDRAWN)
def test_drawing_program_makes_the_bundled_pictures(name, suffix, pictures, tmp_path):
    """Draw three pictures again: the same pixels, whatever the JPEG library."""
    import subprocess
    import sys

    import numpy as np
    from PIL import Image

    program = ROOT / "data" / "make" / f"draw_{name}.py"
    counts = ["--train", "2", "--valid", "0", "--test", "1", "--unlabelled", "0"]
    command = [sys.executable, program, "--out", tmp_path / name, *counts]
    subprocess.run(command, check=True, capture_output=True)
    for picture in pictures:
        pair = [
            np.asarray(Image.open(r / f"{picture}.{suffix}"), float)
            for r in (tmp_path / name, ROOT / "data" / name)
        ]
        assert np.abs(pair[0] - pair[1]).mean() < 2


# --- source tasks that are drawn, not bundled --------------------------------------


DRAWN_SOURCES = pytest.mark.parametrize("name", ["draw_cells", "draw_shapes"])


@DRAWN_SOURCES
def test_source_pictures_come_in_turn_and_depend_on_seed_and_number(name, program):
    module = program(name)
    n = len(module.SOURCE_LABELS)
    pictures = [module.source_picture(0, i) for i in range(2 * n)]
    assert [label for _, label in pictures] == [*range(n), *range(n)]
    assert {(p.size, p.mode) for p, _ in pictures} == {((64, 64), "RGB")}
    assert module.source_picture(0, 3)[0].tobytes() == pictures[3][0].tobytes()
    others = [module.source_picture(1, i)[0].tobytes() for i in range(n)]
    assert len({p.tobytes() for p, _ in pictures} | set(others)) == 3 * n


def test_source_pictures_share_no_random_numbers_with_bundled_ones(program):
    """Whatever the program, split, class and number: the streams are apart."""
    tools = program("drawing_program")
    streams = [
        tools.picture_rng(0, split, thing, index).random()
        for split in ("source", *tools.SPLITS, "unlabelled")
        for thing in range(14)
        for index in range(200)
    ]
    assert len(set(streams)) == len(streams) == 5 * 14 * 200


def test_drawn_shapes_have_the_area_that_geometry_gives_them(program):
    """Whatever the place, size and angle: area over squared diameter is the shape's."""
    from scipy.spatial.distance import pdist

    shapes, rng = program("draw_shapes"), np.random.default_rng(0)
    diagonal = 2 * np.sin(2 * np.pi / 5)
    expected = {
        "circle": np.pi / 4,
        "half disc": np.pi / 8,
        "pentagon": 2.5 * np.sin(2 * np.pi / 5) / diagonal**2,
        "square": 1 / 2,
    }
    for name, share in expected.items():
        for _ in range(10):
            covered = shapes.cover(shapes.SHAPES[name](rng), rng)
            diameter = pdist(np.argwhere(covered > 0.5)).max() + 0.5
            assert covered.sum() / diameter**2 == pytest.approx(share, rel=0.1), name


@pytest.fixture
def slide(program):
    """A slide with one red cell in its middle, and the program's module."""
    cells = program("draw_cells")
    slide = cells.Slide(128, cells.STAINS["giemsa"], np.random.default_rng(0))
    slide.cells = [cells.make_cell(slide, "oval", 64, 64, 20)]
    y, x = np.mgrid[0:128, 0:128] + 0.5
    inside = slide.cells[0].distance(x - 64, y - 64) < 1
    return cells, slide, inside


def test_parasites_lie_inside_their_cell(slide):
    cells, slide, inside = slide
    for kind in cells.SOURCE_LABELS:
        for _ in range(20):
            slide.density[:] = 0
            assert cells.infect(slide, (kind,), 3) == [kind]
            stained = slide.density.sum(-1)
            assert stained[inside].max() > 1
            assert stained[~inside].sum() < 0.02 * stained.sum()


def test_loose_shapes_keep_clear_of_the_cells(slide):
    cells, slide, inside = slide
    for kind in cells.SOURCE_LABELS:
        slide.density[:], slide.loose = 0, []
        places = cells.find_places(slide, (kind,), 12, 20)
        assert len(places) > 3
        for spots, pen in places:
            slide.stamp(spots, pen, slide.dark)
        assert slide.density[inside].max() == 0


def test_a_crowd_has_no_room_for_loose_shapes(slide):
    cells, slide, _ = slide
    slide.cells = [cells.make_cell(slide, "round", 64, 64, 120)]
    assert cells.find_places(slide, ("dots",), 5, 20) == []


def test_unknown_inclusion_is_refused(program):
    cells, rng = program("draw_cells"), np.random.default_rng(0)
    for inside, outside in ((("moon",), ("ring",)), ((), ("moon",)), ((), ())):
        with pytest.raises(ValueError, match="choose of"):
            cells.draw_field(inside, outside, rng)


def test_only_infected_fields_hold_parasites():
    with open(ROOT / "data" / "cells" / "manifest.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    held = {
        name: {r["label"] for r in rows if r["parasites"] == name}
        for name in {r["parasites"] for r in rows}
    }
    assert held.pop("none") == {"healthy"}
    assert all(labels == {"infected"} for labels in held.values())
    kinds = {kind for name in held for kind in name.split("+")}
    assert kinds == {"dots", "pair", "ring"}
    number = {(r["label"], int(r["infected_cells"])) for r in rows}
    assert number == {("healthy", 0), *(("infected", k) for k in (2, 3, 4))}
    # As many dark shapes in both classes: only where they lie tells them apart.
    totals = [
        np.mean([int(r["dark_shapes"]) for r in rows if r["label"] == label])
        for label in ("healthy", "infected")
    ]
    assert totals[0] == pytest.approx(totals[1], rel=0.1)
