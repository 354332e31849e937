"""One's own data is looked at before anything is learnt from it."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import draw

import tlhelpers as tl
from tlhelpers import project
from tlhelpers.tasks import ImageSplit, ImageTask, TextSplit, TextTask

TEXT_ROWS = [
    "the harbour was calm and the boats came home before noon",
    "nobody could say who had left the gate open that night",
    "a kettle that whistles is worth more than one that sulks",
    "we walked along the river until the lamps were lit",
    "her letters arrived in bundles tied with kitchen string",
    "the baker sings on fridays and is silent on mondays",
]


def texts(train, valid=TEXT_ROWS[2:4], test=TEXT_ROWS[4:6], labels=None):
    """Make a text task of these texts, classes in turn."""
    parts = {"train": train, "valid": valid, "test": test}
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
        paths = tuple(tmp_path / n for n in names)
        labels = np.array([int(n.partition(".")[0]) % 2 for n in names])
        return ImageSplit(paths, labels)

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
    task = texts([TEXT_ROWS[0], TEXT_ROWS[1], TEXT_ROWS[0] + "!"])
    pairs = tl.near_duplicates(task)
    assert len(pairs) == 1 and not len(project.drop_leaks(task, pairs).train) < 3


def test_the_findings_say_what_to_do():
    train = [*TEXT_ROWS[:2], TEXT_ROWS[0] + "!", TEXT_ROWS[4] + " 7"]
    task = texts(train, labels=[0, 0, 1, 0])
    table = project.inspect_data(task)
    found = "\n".join(table["found"])
    assert "4 + 2 + 2 texts" in found
    assert "1 near-duplicates inside a split" in found
    assert "1 near-duplicates **across** splits" in found
    assert "1 near-duplicates with different labels" in found
    assert "the smallest class has 1 to learn from" in found
    assert any("drop_leaks" in so for so in table["so"])


def test_imbalance_and_remarks_are_told(pictures):
    labels = np.array([0] * 9 + [1])
    train = ImageSplit(pictures.train.paths, labels)
    valid = ImageSplit(pictures.valid.paths, np.zeros(4, int))
    uneven = ImageTask(
        "u", ("disc", "square"), train, valid, pictures.test, card={"remarks": ["odd"]}
    )
    found = "\n".join(project.inspect_data(uneven)["found"])
    assert "'disc' is 77% of all" in found and "odd" in found
    assert "shorter side 64 px in the middle, 48 to 64" in found


def test_classes_are_counted_per_split(pictures):
    table = project.count_classes(pictures)
    assert table.loc["disc"].tolist() == [5, 2, 4]
    assert table["test"].sum() == 8
