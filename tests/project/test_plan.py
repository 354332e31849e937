"""Data are read or refused; the plan follows the table and keeps to the budget."""

from __future__ import annotations

import gzip
import lzma
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from pictures import draw

import tlhelpers as tl
from tlhelpers import project
from tlhelpers.project import plan as plans
from tlhelpers.project.plan import Plan
from tlhelpers.tasks import ImageSplit, ImageTask, TextSplit, TextTask


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
        def measured(task, plan):
            learn = seconds(plan.size) if callable(seconds) else seconds
            return {"read": 0, "forward": 0, "answer": 0, **others, "learn": learn}

        monkeypatch.setattr(plans, "measure_pace", measured)

    monkeypatch.setattr(plans, "_best", lambda task, drafts: drafts[0])
    return set_to


# --- reading -------------------------------------------------------------------------


def test_a_folder_holds_pictures_and_a_table_holds_texts(tiny_images, table):
    assert isinstance(project.read_data(tiny_images), ImageTask)
    assert isinstance(project.read_data(table), TextTask)
    assert isinstance(project.read_data(str(table), "texts"), TextTask)


def test_a_project_reads_more_of_a_folder_than_a_lesson(tiny_images, monkeypatch):
    asked, real = [], plans.own_data.from_folder

    def read(folder, **how):
        asked.append(how["limit"])
        return real(folder, **how)

    monkeypatch.setattr(plans.own_data, "from_folder", read)
    project.read_data(tiny_images)
    # A longer budget takes more of two classes than the thousand each of a lesson.
    assert asked == [plans.LARGEST_FOLDER]
    assert 2 * plans.LARGEST_FOLDER >= plans.MOST * plans.parse_budget("25 min")


def test_packed_tables_are_read(table, tmp_path):
    plain = project.read_data(table)
    for suffix, pack in ((".xz", lzma.compress), (".gz", gzip.compress)):
        packed = tmp_path / f"notes.csv{suffix}"
        packed.write_bytes(pack(table.read_bytes()))
        task = project.read_data(packed)
        assert task.name == "notes" and task.train.texts == plain.train.texts


def test_without_a_path_the_course_has_data():
    assert project.read_data().name == "flowers"
    assert project.read_data(task="texts").name == "reviews"


def test_what_cannot_be_read_is_said(tiny_images, table, tmp_path):
    notes = tmp_path / "notes.docx"
    notes.write_bytes(b"PK\x03\x04\x14\x00\x06\x00")
    for path, task, word in (
        (tmp_path / "nowhere", "auto", "No such file"),
        (tiny_images, "texts", "'texts' does not fit.*\n→ Pictures come in a folder"),
        (table, "images", "'images' does not fit.*\n→ .* texts in a CSV file"),
        (notes, "auto", "Save the table as CSV"),
        (table, "sounds", "'sounds' does not fit"),
        (None, "sounds", "'sounds' does not fit"),
    ):
        with pytest.raises(tl.CourseError, match=word):
            project.read_data(path, task)


def test_what_the_budget_allows_is_taken_with_the_same_share_of_each_class(table):
    whole = project.read_data(table)  # sixty texts
    task = project.cut_to_budget(whole, 30.5 / plans.MOST)  # so many seconds
    for part in ("train", "valid", "test"):
        some, all_of_them = (getattr(t, part) for t in (task, whole))
        halves = np.maximum(2, np.bincount(all_of_them.labels) * 30.5 / 60)
        assert list(np.bincount(some.labels)) == [int(n) for n in halves]
        assert set(some.texts) <= set(all_of_them.texts)
    said = "took 51%, as the budget allows"
    assert task.card["remarks"] == [*whole.card["remarks"], said]
    found = project.inspect_data(task, tl.near_duplicates(task))["found"]
    assert said in "".join(found)
    assert said not in whole.card["remarks"]  # which stays as it was
    other = project.cut_to_budget(whole, 30.5 / plans.MOST, seed=1)
    assert set(other.train.texts) != set(task.train.texts)
    assert project.cut_to_budget(whole, "5 min") is whole
    few = project.read_data(task="texts")  # data of the course have no remarks
    assert len(project.cut_to_budget(few, 300 / plans.MOST).card["remarks"]) == 1


def test_no_class_is_lost_to_the_budget():
    y = np.r_[np.zeros(900, int), [1] * 5, np.repeat(np.arange(2, 40), 3)]
    split = TextSplit(tuple(map(str, range(len(y)))), y)
    names = tuple(map(str, range(40)))
    whole = TextTask("rare", names, train=split, valid=split, test=split)
    task = project.cut_to_budget(whole, 300 / plans.MOST)
    counts = project.count_classes(task)
    assert (counts.to_numpy().min(axis=0) == 2).all()
    assert (counts.loc["0"] == 88).all()  # 900 * 300 / 3057
    assert task.need(2) is task


# --- deciding ------------------------------------------------------------------------


def test_a_budget_is_a_time():
    for text, seconds in (
        ("5 min", 300),
        ("2 minutes", 120),
        ("90 s", 90),
        ("1.5h", 5400),
        (" 3 Mins ", 180),
        (7, 7),
        ("7", 7),
        ("1 h 30 min", 5400),
        ("90 secs", 90),
        ("2 hrs", 7200),
        (0.5, 0.5),
    ):
        assert plans.parse_budget(text) == seconds
    refused = ["soon", "", "-3 s", "0 min", "5 apples", "1.2.3 s", None, 0, "nan"]
    for text in [*refused, "1,5 min", "0,5", "1..5 s"]:  # pandas would read 15 minutes
        with pytest.raises(tl.CourseError, match="no time"):
            plans.parse_budget(text)


@pytest.mark.parametrize("learn", [1e-4, 0.01, 0.1, 1.0])
@pytest.mark.parametrize("budget", ["30 s", "5 min", "1 h"])
def test_the_plan_keeps_the_budget_on_fast_and_slow_machines(
    learn, budget, tiny_images, pace
):
    pace(lambda size: learn * (size / 224) ** 2, read=1e-3, forward=1e-3)
    task = project.read_data(tiny_images)
    plan = project.choose_plan(task, budget=budget, method="tuned")
    assert sum(plan.seconds.values()) <= plans.PLANNED * plans.parse_budget(budget)
    assert plan.steps >= 1


def test_where_nothing_is_tuned_the_control_gets_the_time(tiny_images, pace):
    pace(0.2)
    task = project.read_data(tiny_images)
    tuned, frozen = (
        project.choose_plan(task, budget="60 s", method=m) for m in ("tuned", "frozen")
    )
    assert frozen.steps == pytest.approx(3 * tuned.steps, abs=3)
    assert sum(frozen.seconds.values()) <= plans.PLANNED * 60
    assert task.smallest_class < 10, "so few that the table freezes, too"
    plan = project.choose_plan(task, budget="60 s")
    assert (plan.method, plan.steps) == ("frozen", pytest.approx(frozen.steps, abs=3))


def test_few_examples_come_round_often_and_many_a_few_times(tiny_images, table, pace):
    pace(1e-6)
    few = [
        project.choose_plan(project.read_data(p)).steps for p in (tiny_images, table)
    ]
    assert few == [60, 96]
    for kind, rounds in (("images", 8), ("texts", 4)):
        recipe = plans.RECIPES[kind]
        assert recipe["steps"][1] * recipe["tuned"]["batch_size"] == rounds


def test_the_plan_knows_what_is_left_of_the_budget(tiny_images, pace):
    pace(0.01)
    task = project.read_data(tiny_images)
    for budget, seconds in (("2 min", 120), (7, 7)):
        assert project.choose_plan(task, budget=budget).left == pytest.approx(
            seconds, abs=2
        )


def test_planning_is_paid_from_the_budget(pace, monkeypatch):
    pace(0.01)
    ticks = [0.0]  # each look at the clock takes six seconds
    monkeypatch.setattr(
        plans, "default_timer", lambda: ticks.append(ticks[-1] + 6) or ticks[-1]
    )
    plan = project.choose_plan(project.read_data(), budget="10 min")
    assert plan.left == 600 - (ticks[-1] - ticks[1]) < 600
    assert "size 160 (of 160 or 128 or 96)" in str(plan)
    ticks[:] = [0.0]
    plan = project.choose_plan(project.read_data(), budget="1 min")
    assert "size 96 (of 96)" in str(plan)  # larger ones would take too long to time


def test_more_time_gives_more_steps_up_to_a_limit(pace):
    pace(0.1)
    task = project.read_data()  # 300 flowers to learn from
    steps = [
        project.choose_plan(task, budget=b).steps for b in ("2 min", "6 min", "1 h")
    ]
    most = 300  # one step for each: eight passes of batches of eight
    assert steps[0] < steps[1] < steps[2] == most


def test_the_largest_size_that_fits_is_taken(tiny_images, pace, monkeypatch):
    recipes = plans.RECIPES.copy()
    recipes.loc["enlarged"] = 100
    monkeypatch.setattr(plans, "RECIPES", recipes)
    pace(lambda size: 0.1 * (size / 96) ** 2)
    task = project.read_data(tiny_images)
    sizes = [project.choose_plan(task, budget=b).size for b in ("30 s", "1 h")]
    assert sizes[0] < sizes[1] == 224


def test_small_pictures_are_not_blown_up(tiny_images, pace):
    pace(1e-6)
    assert (
        project.choose_plan(project.read_data(tiny_images)).size == 96
    )  # they have 40 px


def test_a_transformer_is_tried_at_the_size_it_takes(tiny_images, pace, monkeypatch):
    pace(1e-6)
    table = project.decision_table()
    table.loc[0, "take"] = "source vit_tiny_patch16_224"
    monkeypatch.setattr(plans, "decision_table", lambda: table)
    plan = project.choose_plan(project.read_data(tiny_images))
    assert (plan.source, plan.size) == ("vit_tiny_patch16_224", 224)
    assert "size 224 (of 224)" in str(plan)


def test_the_table_decides_on_the_method(tiny_images, pace):
    task = project.read_data(tiny_images)  # 6 squares to learn from
    pace(1e-4)
    few = project.choose_plan(task)
    assert few.method == "frozen" and "fewer than 10 labels" in str(few)
    asked = project.choose_plan(task, method="tuned")
    assert asked.method == "tuned" and "method tuned: your choice" in str(asked)
    enough = project.read_data(None)
    assert project.choose_plan(enough).method == "tuned"
    pace(10.0)
    slow = project.choose_plan(enough)
    assert slow.method == "frozen" and "fewer than 20 steps" in str(slow)
    assert "too slow for 1 s" in str(project.choose_plan(enough, budget="1 s"))


def test_the_table_names_what_decides(pace, tiny_images):
    table = project.decision_table()
    assert list(table) == ["if there are", "take", "because it"]
    assert table.notna().all(axis=None)
    assert list(table["if there are"][:2]) == list(plans.KINDS)
    assert set(table["take"][:2]) == {"source efficientnet_lite0", "source minilm"}
    methods = ["method frozen", "method frozen", "method tuned"]
    assert list(table["take"][2:]) == methods
    # The numbers of the table are those that decide.
    labels, steps, otherwise = table["if there are"][2:]
    labels, steps = (int(re.search(r"\d+", text)[0]) for text in (labels, steps))
    pace(0.01)
    task = project.read_data(tiny_images)
    for n, wanted in ((labels - 1, "frozen"), (labels, "tuned")):
        rows = [*range(n), *range(n)]
        train = ImageSplit(tuple(task.train.paths[:1]) * 2 * n, np.repeat([0, 1], n))
        assert project.choose_plan(replace(task, train=train)).method == wanted, rows
    for n, wanted in ((steps - 1, "frozen"), (steps, "tuned")):
        pace(0.7 * 3600 / (3 * 8 * (n + 0.5)))
        plan = project.choose_plan(project.read_data(), budget="1 h")
        assert (plan.steps, plan.method) == (n, wanted)


def test_unknown_methods_are_refused(table):
    with pytest.raises(tl.CourseError, match="no method 'magic'"):
        project.choose_plan(project.read_data(table), method="magic")


# --- measuring -----------------------------------------------------------------------


def test_a_pace_is_measured_with_the_clock(tiny_images, monkeypatch, one_thread):
    done = []

    def timed(work, *, repeat, number):
        done.append(work())
        return [1.0] * (repeat - 1) + [8.0]  # the last one counts

    monkeypatch.setattr(plans, "repeat", timed)
    task = project.read_data(tiny_images)
    plan = Plan("images", "small_resnet", "frozen", 64, 1, {}, ())
    pace = plans.measure_pace(task, plan)
    n = len(done[0])
    assert 0 < n <= 16 and done[0].shape == (n, 3, 64, 64)
    assert done[1].shape == (n, 256) and done[2].shape == (n, 2)
    assert pace == dict.fromkeys(("read", "forward", "answer", "learn"), 8 / n)


def test_the_size_whose_features_predict_best_is_chosen(tiny_images, monkeypatch):
    task = project.read_data(tiny_images)
    seen = []

    def features(network, x, batch_size):
        seen.append(tuple(x.shape[2:]))
        colour = x.float().mean(dim=(2, 3)).numpy()
        return colour if x.shape[2] == 32 else np.zeros_like(colour)

    monkeypatch.setattr(plans.features, "extract_features", features)
    drafts = [Plan("images", "small_resnet", "", size, 10, {}, ()) for size in (64, 32)]
    assert plans._best(task, drafts).size == 32
    assert seen == [(64, 64), (32, 32)]


def test_long_texts_are_cut_where_cross_validation_prefers(monkeypatch):
    """What tells the classes apart stands behind the 128th piece."""
    task = texts(
        [f"{'so ' * 150}{word} {i}" for i in range(8) for word in ("up", "no")]
    )
    tried = []

    def features(network, x, batch_size):
        tried.append(x.shape[1])
        told = (x == x[0, -3]).any(dim=1) if x.shape[1] > 128 else torch.zeros(len(x))
        return told.float()[:, None].numpy()

    monkeypatch.setattr(plans.features, "extract_features", features)
    drafts = [Plan("texts", "minilm", "", size, 9, {}, ()) for size in (512, 256, 128)]
    assert plans._best(task, drafts).size == 512  # as good as 256, and no longer there
    assert tried[0] == tried[1] == max(tried) and tried[2] == 128
    drafts = drafts[1:]
    assert plans._best(task, drafts).size == 256


def test_short_texts_are_not_tried_at_more_pieces_than_they_have(pace):
    pace(1e-6)
    short = texts([f"so {word} {i}" for i in range(40) for word in ("up", "no")])
    assert "(of 128)" in str(project.choose_plan(short))
    long = [f"{'so ' * 100}{word} {i}" for i in range(40) for word in ("up", "no")]
    assert "size 256 (of 256 or 128)" in str(project.choose_plan(texts(long)))
    long = [f"{'so ' * 300}{word} {i}" for i in range(40) for word in ("up", "no")]
    assert "size 512 (of 512 or 256 or 128)" in str(project.choose_plan(texts(long)))


def test_a_size_above_one_that_is_too_slow_is_not_timed(pace):
    timed = []
    pace(lambda size: timed.append(size) or 9.9)
    long = [f"{'so ' * 300}{word} {i}" for i in range(40) for word in ("up", "no")]
    plan = project.choose_plan(texts(long), budget="1 min")
    assert timed == [plan.size] == [128]


# --- inspecting ----------------------------------------------------------------------


ROWS = [
    "the harbour was calm and the boats came home before noon",
    "nobody could say who had left the gate open that night",
    "a kettle that whistles is worth more than one that sulks",
    "we walked along the river until the lamps were lit",
    "her letters arrived in bundles tied with kitchen string",
    "the baker sings on fridays and is silent on mondays",
]


def texts(train, labels=None):
    """Make a text task of these texts, classes in turn."""
    parts = {"train": train, "valid": ROWS[2:4], "test": ROWS[4:6]}
    splits = {k: TextSplit(tuple(v), np.arange(len(v)) % 2) for k, v in parts.items()}
    if labels is not None:
        splits["train"] = TextSplit(tuple(train), np.array(labels))
    return TextTask("notes", ("a", "b"), **splits)


@pytest.fixture
def pictures(tmp_path):
    """Ten discs and ten squares; two of them once more, smaller, in other splits."""
    for i in range(20):
        draw(("disc", "square")[i % 2], i, side=64).save(tmp_path / f"{i}.png")
    draw("disc", 0, side=64).resize((48, 48)).save(tmp_path / "20.png")
    draw("square", 13, side=64).save(tmp_path / "21.jpg", quality=60)

    def split(names):
        labels = np.array([int(n.partition(".")[0]) % 2 for n in names])
        return ImageSplit(tuple(tmp_path / n for n in names), labels)

    train = split([f"{i}.png" for i in range(10)])
    valid = split([f"{i}.png" for i in range(10, 14)])
    test = split([f"{i}.png" for i in range(14, 21)] + ["21.jpg"])
    return ImageTask("shapes", ("disc", "square"), train, valid, test)


def test_leaks_leave_train_and_valid_and_test_stays(pictures):
    clean = project.drop_leaks(pictures, tl.near_duplicates(pictures))
    assert clean.train.paths == pictures.train.paths[1:]
    assert clean.valid.paths == pictures.valid.paths[:3]
    assert clean.test is pictures.test
    assert tl.near_duplicates(clean).empty


def test_inside_a_split_nothing_is_dropped():
    task = texts([ROWS[0], ROWS[1], ROWS[0] + "!", "a fourth, about snow"])
    pairs = tl.near_duplicates(task)
    assert len(pairs) == 1
    assert len(project.drop_leaks(task, pairs).train) == 4


def test_a_film_of_which_nothing_independent_is_left_is_said():
    letter = "dear customer, you have won a boat in the harbour, call now"
    film = [f"{letter} {i}" for i in range(4)]
    task = texts([ROWS[0], film[0], ROWS[1], film[1]])
    task = replace(task, test=TextSplit((ROWS[4], film[3]), np.array([0, 1])))
    pairs = tl.near_duplicates(task)
    with pytest.raises(tl.CourseError, match="Near-duplicates were dropped") as caught:
        project.drop_leaks(task, pairs)
    assert "0 of 'b'" in caught.value.problem
    assert "differ from the others" in caught.value.next_step


def test_the_findings_say_what_to_do():
    train = [*ROWS[:2], ROWS[0] + "!", ROWS[4] + " 7"]
    task = texts(train, labels=[0, 0, 1, 0])
    table = project.inspect_data(task, tl.near_duplicates(task))
    found = "\n".join(table["found"])
    assert "4 + 2 + 2 texts" in found
    assert "1 near-duplicate inside a split" in found
    assert "1 near-duplicate **across** splits" in found
    assert "1 near-duplicate with different labels" in found
    assert "the smallest class has 1 to learn from" in found
    assert "11 words in the middle, 11 at most" in found
    assert any("drop_leaks" in so for so in table["so"])
    assert table.notna().all(axis=None)


def test_imbalance_and_remarks_are_told(pictures):
    labels = np.array([0] * 9 + [1])
    train = ImageSplit(pictures.train.paths, labels)
    valid = ImageSplit(pictures.valid.paths, np.zeros(4, int))
    names, card = ("disc", "square"), {"remarks": ["odd | even\n<b>"]}
    uneven = ImageTask("u", names, train, valid, pictures.test, card=card)
    table = project.inspect_data(uneven, tl.near_duplicates(uneven))
    found = "\n".join(table["found"])
    assert "'disc' is 77% of all" in found
    assert table["found"].iloc[-1] == "odd | even <b>" and table["so"].iloc[-1] == ""
    assert "shorter side 64 px in the middle, 48 to 64" in found


def test_classes_are_counted_per_split(pictures):
    table = project.count_classes(pictures)
    assert table.loc["disc"].tolist() == [5, 2, 4]
    assert table["test"].sum() == 8


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "BMP", "PPM"])
def test_pictures_of_any_format_are_looked_at(tmp_path, kind):
    """Pillow stops at a format that it has not, where a list names one."""
    for name in ("disc", "square"):
        (tmp_path / name).mkdir()
        for i in range(6):
            draw(name, i).save(tmp_path / name / f"{i}.{kind.lower()}", kind)
    task = project.read_data(tmp_path)
    pairs = tl.near_duplicates(task)
    found = "\n".join(project.inspect_data(task, pairs)["found"])
    assert "shorter side 40 px in the middle" in found


def test_a_plan_for_texts_has_their_sizes(pace):
    """Its source is none of timm's, which knows sizes of its own networks only."""
    pace(0.01)
    task = project.read_data(task="texts")
    plan = project.choose_plan(task, budget="1 min")
    assert (plan.kind, plan.source) == ("texts", "minilm")
    assert plan.size in plans.RECIPES["texts"]["sizes"]
