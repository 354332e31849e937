"""What is nearly the same is found; what merely resembles it is not."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from pictures import draw
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer
from torch.nn.functional import interpolate, normalize

import tlhelpers as tl
from tlhelpers import duplicates
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
        ImageSplit(tuple(files[i : i + 3]), np.array([0, 1, 0])) for i in (0, 3, 6)
    ]
    pairs = tl.near_duplicates(ImageTask("noise", ("a", "b"), *parts))
    assert set(pairs["split"]) == {"train"} and set(pairs["other split"]) == {"test"}
    assert sorted(pairs["row"]) == [0, 1, 2]
    assert (pairs["row"] == pairs["other row"]).all()


def test_flat_pictures_are_not_all_the_same(tmp_path):
    for i in range(4):
        Image.new("RGB", (32, 32), (60 * i, 0, 0)).save(tmp_path / f"{i}.png")
    split = ImageSplit(tuple(sorted(tmp_path.glob("*"))), np.array([0, 1, 0, 1]))
    assert tl.near_duplicates(ImageTask("flat", ("a", "b"), *[split] * 3)).empty


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


def test_copies_are_alike_however_pale_or_mirrored():
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


def test_both_ways_of_asking_compare_the_same_thumbnails(pictures):
    """Files by near_duplicates, tensors by most_alike: the same cosine of a pair."""
    everyone = tl.near_duplicates(pictures, threshold=-1)
    assert len(everyone) == 22 * 21 / 2
    for row in everyone[::6].itertuples(index=False):
        mine, other = (
            torch.from_numpy(np.array(getattr(pictures, part)[i][0])).permute(2, 0, 1)
            for part, i in (row[1:3], row[3:5])
        )
        alike = tl.most_alike(mine[None], other[None]).item()
        mirrored = tl.most_alike(mine[None], other[None].flip(3)).item()
        assert alike == pytest.approx(mirrored, abs=1e-3)  # grey levels are rounded
        assert alike >= row.similarity - 1e-5  # a mirror image may be more alike
        if row.similarity >= 0.98:
            assert alike == pytest.approx(row.similarity, abs=1e-5)


def test_thumbnails_are_those_of_torch():
    """Pillow's triangle filter is what torch calls bilinear with antialias."""
    x = torch.stack(
        [
            torch.from_numpy(np.array(draw("disc", i, side=70))).permute(2, 0, 1)
            for i in range(8)
        ]
    )
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    grey = (x * weights).sum(dim=1, keepdim=True)
    small = interpolate(grey, size=16, mode="bilinear", antialias=True).flatten(1)
    theirs = normalize(small - small.mean(dim=1, keepdim=True))
    ours = duplicates._thumbnails(
        Image.fromarray(p.permute(1, 2, 0).numpy()) for p in x
    )
    # Pillow rounds to whole grey levels twice.
    assert (torch.from_numpy(ours) * theirs).sum(dim=1).min() > 0.999
    np.testing.assert_allclose(ours, theirs, atol=5e-3)


def test_pale_mirrored_copies_of_flowers_are_found_and_no_other_flower():
    flowers = tl.load_flowers()
    x, clean = flowers.test.tensors(64)[0], flowers.valid.tensors(64)[0]
    copies = (x[::2].flip(3) * 0.8 + 25).to(torch.uint8)
    flagged = tl.most_alike(x, torch.cat([clean, copies])) > 0.97
    assert flagged[::2].all() and not flagged[1::2].any()


def test_pictures_are_compared_in_blocks(monkeypatch):
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (10, 3, 9, 9)))
    x = x.to(torch.uint8)
    whole = tl.most_alike(x, x[4:])
    monkeypatch.setattr(duplicates, "BLOCK", 3)
    np.testing.assert_allclose(tl.most_alike(x, x[4:]), whole, rtol=1e-6)
    assert whole.dtype == np.float32 and whole[4:].min() > 0.9999


def test_nothing_alike_gives_a_table_with_all_columns():
    pairs = tl.near_duplicates(texts(TEXT_ROWS[:2]))
    assert pairs.empty
    assert list(pairs.columns) == [
        "similarity",
        "split",
        "row",
        "other split",
        "other row",
        "same label",
    ]


def some_texts(n: int, different: int, seed: int = 0) -> list[str]:
    """Write texts of frequent and rare words; every fifth resembles another one."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrst"))
    words = ["".join(letters[rng.integers(0, 20, 5)]) for _ in range(different)]
    rank = 1 / np.arange(1, different + 1)
    rows = rng.choice(words, (n, 30), p=rank / rank.sum())
    for i in range(0, n - 1, 5):
        changed = rng.integers(0, 8)
        rows[i + 1, changed:] = rows[i, changed:]
    return [" ".join(row) for row in rows]


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.85, 0.95])
@pytest.mark.parametrize("different", [60, 3000])
def test_the_same_pairs_are_found_as_by_comparing_all_with_all(threshold, different):
    written = some_texts(400, different)
    task = texts(written[:200], written[200:300], written[300:])
    vectors = duplicates._words([task.train, task.valid, task.test])
    exact = np.triu((vectors @ vectors.T).toarray(), 1)
    pairs = tl.near_duplicates(task, threshold=threshold)
    start = {"train": 0, "valid": 200, "test": 300}
    i = pairs["split"].map(start) + pairs["row"]
    j = pairs["other split"].map(start) + pairs["other row"]
    np.testing.assert_allclose(pairs["similarity"], exact[i, j], atol=1e-9)
    assert len(pairs) == (exact >= threshold).sum() > 10


def test_cosines_are_those_of_a_vocabulary_or_differ_by_a_word():
    written = some_texts(400, 3000)
    pattern = {"token_pattern": r"[^\W\d_]+", "ngram_range": (1, 2)}
    theirs = TfidfVectorizer(sublinear_tf=True, **pattern).fit_transform(written)
    split = TextSplit(tuple(written), np.zeros(400))
    ours = duplicates._words([split])
    gap = np.abs((ours @ ours.T).toarray() - (theirs @ theirs.T).toarray())
    # Of four million places two words may share one.
    assert np.median(gap) < 1e-9 and (gap > 1e-3).mean() < 0.01 and gap.max() < 0.06


def test_many_texts_are_not_compared_all_with_all():
    written = some_texts(4000, 40_000)
    tracemalloc.start()
    pairs = tl.near_duplicates(
        texts(written[:3000], written[3000:3500], written[3500:])
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pairs) > 200 and peak < 250e6  # a table of all with all: gigabytes


def test_texts_without_a_letter_resemble_nothing():
    numbers = [f"{i} {i * i} !" for i in range(8)]
    assert tl.near_duplicates(texts(numbers, ["1 1 !"], ["4 16 !"])).empty
