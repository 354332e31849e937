"""What is nearly the same is found and taken out; what merely resembles is not."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import draw
from PIL import Image

import tlhelpers as tl

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
    splits = {
        k: tl.TextSplit(tuple(v), np.arange(len(v)) % 2) for k, v in parts.items()
    }
    if labels is not None:
        splits["train"] = tl.TextSplit(tuple(train), np.array(labels))
    return tl.TextTask("notes", ("a", "b"), **splits)


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
        return tl.ImageSplit(paths, labels)

    train = split([f"{i}.png" for i in range(10)])
    valid = split([f"{i}.png" for i in range(10, 14)])
    test = split([f"{i}.png" for i in range(14, 21)] + ["21.jpg"])
    return tl.ImageTask("shapes", ("disc", "square"), train, valid, test)


def test_smaller_and_compressed_copies_are_found_and_nothing_else(pictures):
    pairs = tl.near_duplicates(pictures)
    found = {tuple(r) for r in pairs.iloc[:, 1:5].itertuples(index=False)}
    assert found == {("train", 0, "test", 6), ("valid", 3, "test", 7)}
    assert pairs["same label"].all()
    assert (pairs["similarity"] >= 0.98).all()


def test_scaled_copies_of_fine_texture_are_found(tmp_path):
    for i, side in enumerate([64] * 6 + [51] * 3):
        noise = np.random.default_rng(i % 6).integers(0, 256, (64, 64), dtype=np.uint8)
        Image.fromarray(noise).resize((side, side)).save(tmp_path / f"{i}.png")
    files = sorted(tmp_path.glob("*"))
    parts = [
        tl.ImageSplit(tuple(files[i : i + 3]), np.array([0, 1, 0])) for i in (0, 3, 6)
    ]
    pairs = tl.near_duplicates(tl.ImageTask("noise", ("a", "b"), *parts))
    assert set(pairs["split"]) == {"train"} and set(pairs["other split"]) == {"test"}
    assert sorted(pairs["row"]) == [0, 1, 2]
    assert (pairs["row"] == pairs["other row"]).all()


def test_leaks_leave_train_and_valid_and_test_stays(pictures):
    clean = tl.drop_leaks(pictures, tl.near_duplicates(pictures))
    assert clean.train.paths == pictures.train.paths[1:]
    assert clean.valid.paths == pictures.valid.paths[:3]
    assert clean.test is pictures.test
    assert tl.near_duplicates(clean).empty


def test_flat_pictures_are_not_all_the_same(tmp_path):
    for i in range(4):
        Image.new("RGB", (32, 32), (60 * i, 0, 0)).save(tmp_path / f"{i}.png")
    split = tl.ImageSplit(tuple(sorted(tmp_path.glob("*"))), np.array([0, 1, 0, 1]))
    assert tl.near_duplicates(tl.ImageTask("flat", ("a", "b"), *[split] * 3)).empty


def test_form_letters_are_found_and_paraphrases_are_not():
    letter = "Dear customer 4711, you have won 500 pounds, call now!"
    again = "DEAR CUSTOMER 12, you have won 9000 pounds - call now"
    other = "you are a winner, dear customer: five hundred pounds await your call"
    pairs = tl.near_duplicates(texts([letter, TEXT_ROWS[1]], test=[again, other]))
    assert pairs.iloc[:, 1:5].values.tolist() == [["train", 0, "test", 0]]


def test_more_examples_than_one_block_are_compared_with_all():
    rng = np.random.default_rng(0)
    words = np.array([f"{a}{b}" for a in "bdfgklmnprst" for b in "aeiou"])
    many = [" ".join(rng.choice(words, 12)) for _ in range(1100)]
    pairs = tl.near_duplicates(texts(many, test=[many[3], many[1050]]))
    assert sorted(pairs["row"]) == [3, 1050]
    assert set(pairs["other split"]) == {"test"}


def test_inside_a_split_nothing_is_dropped():
    task = texts([TEXT_ROWS[0], TEXT_ROWS[1], TEXT_ROWS[0] + "!"])
    pairs = tl.near_duplicates(task)
    assert len(pairs) == 1 and not len(tl.drop_leaks(task, pairs).train) < 3


def test_the_findings_say_what_to_do():
    train = [*TEXT_ROWS[:2], TEXT_ROWS[0] + "!", TEXT_ROWS[4] + " 7"]
    task = texts(train, labels=[0, 0, 1, 0])
    table = tl.inspect_data(task)
    found = "\n".join(table["found"])
    assert "4 + 2 + 2 texts" in found
    assert "1 near-duplicates inside a split" in found
    assert "1 near-duplicates **across** splits" in found
    assert "1 near-duplicates with different labels" in found
    assert "the smallest class has 1 to learn from" in found
    assert any("drop_leaks" in so for so in table["so"])


def test_imbalance_and_remarks_are_told(pictures):
    labels = np.array([0] * 9 + [1])
    train = tl.ImageSplit(pictures.train.paths, labels)
    valid = tl.ImageSplit(pictures.valid.paths, np.zeros(4, int))
    uneven = tl.ImageTask(
        "u", ("disc", "square"), train, valid, pictures.test, card={"remarks": ["odd"]}
    )
    found = "\n".join(tl.inspect_data(uneven)["found"])
    assert "'disc' is 77% of all" in found and "odd" in found
    assert "shorter side 64 px in the middle, 48 to 64" in found


def test_classes_are_counted_per_split(pictures):
    table = tl.count_classes(pictures)
    assert table.loc["disc"].tolist() == [5, 2, 4]
    assert table["test"].sum() == 8


def test_copies_are_alike_however_pale_or_mirrored():
    import torch

    g = torch.Generator().manual_seed(0)
    # Coarse pictures: the noise of single pixels would vanish in a thumbnail.
    x = torch.rand(20, 3, 8, 8, generator=g).repeat_interleave(6, 2)
    x = (x.repeat_interleave(6, 3) * 255).to(torch.uint8)
    others = x[:8]
    assert tl.most_alike(x[:8], others).min() > 0.999
    pale = (x[:8] * 0.5 + 90).to(torch.uint8)
    assert tl.most_alike(pale, others).min() > 0.99
    assert tl.most_alike(x[:8].flip(3), others).min() > 0.999
    assert tl.most_alike(x[8:], others).max() < 0.7
    upside_down = tl.most_alike(x[:8].flip(2), others)
    assert upside_down.shape == (8,) and upside_down.max() < 0.7
