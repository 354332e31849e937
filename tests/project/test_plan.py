"""Data are read or refused; the plan follows the table and keeps to the budget."""

from __future__ import annotations

import gzip
import lzma

import numpy as np
import pytest

import tlhelpers as tl
from tlhelpers.project import plan as plans
from tlhelpers.project.plan import Offer, Pace


@pytest.fixture
def table(tmp_path):
    """A CSV of sixty texts of two classes, and its content."""
    rows = [f"note {i} about {w},{w}" for i in range(30) for w in ("rain", "sun")]
    path = tmp_path / "notes.csv"
    path.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    return path


@pytest.fixture
def pace(monkeypatch):
    """Let a machine be as fast as the test says: seconds per example by size."""

    def set_to(seconds, **others):
        def measured(task, source, size, batch_size):
            learn = seconds(size) if callable(seconds) else seconds
            return Pace(**{"read": 0, "forward": 0, "answer": 0, **others}, learn=learn)

        monkeypatch.setattr(plans, "measure_pace", measured)

    monkeypatch.setattr(plans, "_best", lambda task, source, offers: offers[0])
    return set_to


# --- reading -------------------------------------------------------------------------


def test_a_folder_holds_pictures_and_a_table_holds_texts(tiny_images, table):
    assert isinstance(tl.read_data(tiny_images), tl.ImageTask)
    assert isinstance(tl.read_data(table), tl.TextTask)
    assert isinstance(tl.read_data(str(table), "texts"), tl.TextTask)


def test_packed_tables_are_read(table, tmp_path):
    plain = tl.read_data(table)
    for suffix, pack in ((".xz", lzma.compress), (".gz", gzip.compress)):
        packed = tmp_path / f"notes.csv{suffix}"
        packed.write_bytes(pack(table.read_bytes()))
        task = tl.read_data(packed)
        assert task.name == "notes" and task.train.texts == plain.train.texts


def test_without_a_path_the_course_has_data():
    assert tl.read_data().name == "flowers"
    assert tl.read_data(task="texts").name == "reviews"


def test_what_cannot_be_read_is_said(tiny_images, table, tmp_path):
    notes = tmp_path / "notes.docx"
    notes.write_bytes(b"PK")
    for path, task, word in (
        (tmp_path / "nowhere", "auto", "nothing at"),
        (tiny_images, "texts", "is a folder"),
        (table, "images", "is a file"),
        (notes, "auto", "no CSV file"),
        (table, "sounds", "no task 'sounds'"),
    ):
        with pytest.raises(tl.CourseError, match=word):
            tl.read_data(path, task)


def test_of_too_many_examples_the_same_share_of_each_split_is_taken(table):
    whole, task = tl.read_data(table), tl.read_data(table, limit=30)
    for part in ("train", "valid", "test"):
        some, all_of_them = (getattr(t, part) for t in (task, whole))
        assert len(some) == len(all_of_them) // 2
        assert set(some.texts) <= set(all_of_them.texts)
    assert "took at random 30 of 60" in task.card["remarks"]


# --- deciding ------------------------------------------------------------------------


def test_a_budget_is_a_time():
    for text, seconds in (
        ("5 min", 300),
        ("2 minutes", 120),
        ("90 s", 90),
        ("1.5h", 5400),
        (7, 7),
    ):
        assert plans.parse_budget(text) == seconds
    for text in ("soon", "", "-3 s", "0 min", "5 apples", "1.2.3 s"):
        with pytest.raises(tl.CourseError, match="no time"):
            plans.parse_budget(text)


@pytest.mark.parametrize("learn", [1e-4, 0.01, 0.1, 1.0])
@pytest.mark.parametrize("budget", ["30 s", "5 min", "1 h"])
def test_the_plan_keeps_the_budget_on_fast_and_slow_machines(
    learn, budget, tiny_images, pace
):
    pace(lambda size: learn * (size / 224) ** 2, read=1e-3, forward=1e-3)
    task = tl.read_data(tiny_images)
    plan = tl.choose_plan(task, budget=budget, method="tuned")
    assert sum(plan.seconds.values()) <= plans.PLANNED * plans.parse_budget(budget)
    assert plan.steps >= 1


def test_more_time_gives_more_steps_up_to_a_limit(pace):
    pace(0.1)
    task = tl.read_data()  # 300 flowers to learn from
    steps = [tl.choose_plan(task, budget=b).steps for b in ("2 min", "6 min", "1 h")]
    most = plans.RECIPES["images"].passes[1] * 300 // 8
    assert steps[0] < steps[1] < steps[2] == most


def test_the_largest_size_that_fits_is_taken(tiny_images, pace, monkeypatch):
    monkeypatch.setattr(plans, "ENLARGED", 100)
    pace(lambda size: 0.1 * (size / 96) ** 2)
    task = tl.read_data(tiny_images)
    sizes = [tl.choose_plan(task, budget=b).size for b in ("30 s", "1 h")]
    assert sizes[0] < sizes[1] == 224


def test_small_pictures_are_not_blown_up(tiny_images, pace):
    pace(1e-6)
    assert tl.choose_plan(tl.read_data(tiny_images)).size == 96  # they have 40 px


def test_the_table_decides_on_the_method(tiny_images, pace):
    task = tl.read_data(tiny_images)  # 6 squares to learn from
    pace(1e-4)
    few = tl.choose_plan(task)
    assert few.method == "frozen" and "fewer than 10 labels" in str(few)
    assert tl.choose_plan(task, method="tuned").method == "tuned"
    enough = tl.read_data(None)
    assert tl.choose_plan(enough).method == "tuned"
    pace(10.0)
    slow = tl.choose_plan(enough)
    assert slow.method == "frozen" and "fewer than 20 steps" in str(slow)
    assert "too slow for 1 s" in str(tl.choose_plan(enough, budget="1 s"))


def test_every_rule_is_in_the_table_and_the_last_always_holds():
    table = tl.decision_table()
    assert len(table) == len(plans.RECIPES) + len(plans.RULES)
    assert plans.RULES[-1].holds(0, 0)
    assert set(table["take"]) >= {"method frozen", "method tuned", "source minilm"}


def test_unknown_methods_are_refused(table):
    with pytest.raises(tl.CourseError, match="no method 'magic'"):
        tl.choose_plan(tl.read_data(table), method="magic")


# --- measuring -----------------------------------------------------------------------


def test_a_pace_is_measured_with_the_clock(tiny_images, monkeypatch, one_thread):
    ticks = iter(range(0, 1000, 8))
    monkeypatch.setattr(plans.time, "perf_counter", lambda: float(next(ticks)))
    task = tl.read_data(tiny_images)
    pace = plans.measure_pace(task, "small_resnet", 64, 4)
    assert pace == Pace(*[8 / 8] * 4)  # eight ticks, eight examples


def test_the_size_whose_features_predict_best_is_chosen(tiny_images, monkeypatch):
    task = tl.read_data(tiny_images)
    seen = []

    def features(network, x, batch_size):
        seen.append(tuple(x.shape[2:]))
        colour = x.float().mean(dim=(2, 3)).numpy()
        return colour if x.shape[2] == 32 else np.zeros_like(colour)

    monkeypatch.setattr(plans, "extract_features", features)
    offers = [Offer(size, 1.0, 1.0, 10) for size in (64, 32)]
    assert plans._best(task, "small_resnet", offers).size == 32
    assert seen == [(64, 64), (32, 32)]
