"""Bundled sets are whole; public ones are read as their authors split them."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import tlhelpers as tl
from tlhelpers import datasets, machine
from tlhelpers.course.doctor import check_bundled

PETS = machine.data_folder() / "pets"


def small_copy(folder):
    """Copy card, manifest and two pictures per class and split; sums made anew."""
    card = json.loads((PETS / "card.json").read_text("utf-8"))
    with open(PETS / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kept, seen = [], {}
    for row in rows:
        key = row["split"], row["label"]
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= 2:
            kept.append(row)
            (folder / row["file"]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PETS / row["file"], folder / row["file"])
    with open(folder / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(kept)
    card["sha256"] = sha256(folder / "manifest.csv")
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return [row["file"] for row in kept]


def sha256(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def copy(tmp_path):
    folder = tmp_path / "pets"
    folder.mkdir()
    return folder, small_copy(folder)


@pytest.fixture(scope="module")
def pets():
    return tl.load_pets("mini")


# --- bundled ---------------------------------------------------------------------


def test_bundled_pets_have_400_100_250_of_each_class(pets):
    assert pets.class_names == ("cat", "dog")
    for split, n in ((pets.train, 400), (pets.valid, 100), (pets.test, 250)):
        assert np.bincount(split.labels).tolist() == [n, n]


def test_bundled_labels_are_the_folders_the_pictures_lie_in(pets):
    for name, split in zip(
        ("train", "valid", "test"), (pets.train, pets.valid, pets.test)
    ):
        for path, label in zip(split.paths, split.labels):
            assert path.parts[-3:-1] == (name, pets.class_names[label])


def test_no_bundled_picture_occurs_twice(pets):
    sums = [sha256(p) for s in (pets.train, pets.valid, pets.test) for p in s.paths]
    assert len(set(sums)) == len(sums) == 1500


def test_manifest_is_the_one_in_the_card(pets):
    assert sha256(PETS / "manifest.csv") == pets.card["sha256"]


def test_every_bundled_file_is_in_the_manifest(pets):
    listed = {p for s in (pets.train, pets.valid, pets.test) for p in s.paths}
    assert set(PETS.glob("*/*/*.*")) == listed


def test_bundled_pictures_are_96_pixels_wide(pets):
    x, _ = pets.test.take([0, 499]).tensors(96)
    assert pets.test[0][0].size == (96, 96)
    assert x.float().std() > 20


def test_bundled_card_names_licence_and_known_biases(pets):
    assert pets.card["licence"] and pets.card["known_biases"]


def test_copy_loads_before_it_is_damaged(copy):
    task = tl.load_pets(root=copy[0])
    assert [len(s) for s in (task.train, task.valid, task.test)] == [4, 4, 4]


@pytest.mark.parametrize("which", [0, -1])
def test_damaged_picture_is_named(copy, which):
    folder, files = copy
    path = folder / files[which]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(tl.CourseError, match=f"{path.name} is damaged") as caught:
        check_bundled(folder)
    assert "git checkout" in caught.value.next_step


def test_whole_sets_pass_the_check(copy):
    assert check_bundled(copy[0]) == 12
    assert check_bundled(machine.data_folder() / "mail") == 2000


def test_loading_reads_no_picture(copy, monkeypatch):
    read = []
    real = machine.file_sha256
    monkeypatch.setattr(
        machine, "file_sha256", lambda p: (read.append(p.name), real(p))[1]
    )
    tl.load_pets(root=copy[0])
    assert read == ["manifest.csv"]
    check_bundled(copy[0])
    assert len(read) == 2 + 12


def test_missing_picture_is_named(copy):
    folder, files = copy
    (folder / files[3]).unlink()
    for look in (check_bundled, datasets.load_drawings):
        with pytest.raises(tl.CourseError, match=f"{files[3]} is missing"):
            look(folder)


def test_edited_manifest_is_noticed(copy):
    path = copy[0] / "manifest.csv"
    path.write_text(path.read_text("utf-8") + "\n", encoding="utf-8")
    with pytest.raises(tl.CourseError, match=r"manifest\.csv is damaged"):
        tl.load_pets(root=copy[0])


@pytest.mark.parametrize("name", ["manifest.csv", "card.json"])
def test_missing_list_is_named(copy, name):
    (copy[0] / name).unlink()
    with pytest.raises(tl.CourseError, match=f"{name} is missing"):
        tl.load_pets(root=copy[0])


# --- Oxford-IIIT Pet -------------------------------------------------------------


@pytest.fixture
def oxford(tmp_path):
    """A cache as torchvision leaves it: cats are species 1, dogs species 2."""
    base = tmp_path / "oxford-iiit-pet"
    for name in ("images", "annotations"):
        (base / name).mkdir(parents=True)
    breeds = [("Abyssinian", 1, 1), ("beagle", 5, 2)]
    for part, numbers in (("trainval", range(100, 110)), ("test", range(1, 5))):
        lines = []
        for breed, number, species in breeds:
            for i in numbers:
                shade = (200, 0, 0) if species == 1 else (0, 0, 200)
                Image.new("RGB", (20, 30), shade).save(
                    base / "images" / f"{breed}_{i}.jpg"
                )
                lines.append(f"{breed}_{i} {number} {species} {i}")
        (base / "annotations" / f"{part}.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_full_pets_keep_the_authors_test_split(oxford, network_attempts):
    task = tl.load_pets("full", root=oxford)
    assert network_attempts == []
    assert task.class_names == ("cat", "dog")
    counts = [np.bincount(s.labels).tolist() for s in (task.train, task.valid)]
    assert counts == [[8, 8], [2, 2]]
    assert {p.stem for p in task.test.paths} == {
        f"{breed}_{i}" for breed in ("Abyssinian", "beagle") for i in range(1, 5)
    }
    learnt = {p for s in (task.train, task.valid) for p in s.paths}
    assert len(learnt) == 20 and not learnt & set(task.test.paths)


def test_full_pets_label_species_not_breeds(oxford):
    for split in (lambda t: t.train, lambda t: t.valid, lambda t: t.test):
        for image, label in split(tl.load_pets("full", root=oxford)):
            red, _, blue = image.getpixel((10, 10))
            assert (blue > red) == (label == 1)


def test_full_pets_read_the_same_list_as_torchvision(oxford):
    from torchvision.datasets import OxfordIIITPet

    theirs = OxfordIIITPet(str(oxford), split="test", target_types="binary-category")
    task = tl.load_pets("full", root=oxford)
    assert [str(p) for p in task.test.paths] == [str(p) for p in theirs._images]
    assert task.test.labels.tolist() == [label for _, label in theirs]


def test_full_pets_split_depends_on_the_seed(oxford):
    a, b, c = (tl.load_pets("full", seed=s, root=oxford).valid for s in (0, 0, 1))
    assert a.paths == b.paths
    assert set(a.paths) != set(c.paths)


def test_full_pets_without_network_point_to_mini(tmp_path, network_attempts):
    with pytest.raises(tl.CourseError, match="Pet could not be fetched") as caught:
        tl.load_pets("full", root=tmp_path / "new" / "cache")
    assert "1.6 GB" in caught.value.next_step
    assert 'PROFILE = "mini"' in caught.value.next_step
    assert network_attempts and "huggingface.co" not in network_attempts


# --- Oxford 102 Flowers ----------------------------------------------------------


@pytest.fixture
def flowers(tmp_path, monkeypatch):
    """Twenty pictures of each of seven kinds, two of them not ours, by numbers."""
    from scipy.io import savemat

    kinds = np.random.default_rng(0).permutation(
        np.repeat([49, 50, 74, 54, 39, 1, 102], 20)
    )
    folder = tmp_path / "flowers-102"
    (folder / "jpg").mkdir(parents=True)
    savemat(folder / "imagelabels.mat", {"labels": kinds.astype(np.uint8)[None]})
    for i, kind in enumerate(kinds, 1):
        image = Image.new("RGB", (6, 6), (int(kind),) * 3)
        image.save(folder / "jpg" / f"image_{i:05d}.jpg", quality=100)
    asked = []
    monkeypatch.setattr(
        "torchvision.datasets.Flowers102", lambda root, **kw: asked.append((root, kw))
    )
    return tmp_path, kinds, asked


def test_full_flowers_are_the_five_kinds(flowers):
    root, kinds, asked = flowers
    task = tl.load_flowers("full", root=root)
    assert asked == [(str(root), {"download": True})]
    assert task.class_names == ("daisy", "dandelion", "rose", "sunflower", "tulip")
    # Of 20 of a kind 35 % are for judging and 10 % for tuning.
    counts = [
        np.bincount(s.labels).tolist() for s in (task.train, task.valid, task.test)
    ]
    assert counts == [[11] * 5, [2] * 5, [7] * 5]
    paths = [p for s in (task.train, task.valid, task.test) for p in s.paths]
    assert len(set(paths)) == 100
    assert {int(p.stem[-5:]) for p in paths} == {
        i for i, k in enumerate(kinds, 1) if k not in (1, 102)
    }


def test_full_flowers_label_each_picture_by_its_kind(flowers):
    numbers = {"daisy": 49, "dandelion": 50, "rose": 74, "sunflower": 54, "tulip": 39}
    task = tl.load_flowers("full", root=flowers[0])
    for split in (task.train, task.valid, task.test):
        for image, label in split:
            shade = image.getpixel((3, 3))[0]
            assert abs(shade - numbers[task.class_names[label]]) < 1, label


def test_full_flowers_split_depends_on_the_seed(flowers):
    a, b, c = (tl.load_flowers("full", seed=s, root=flowers[0]).test for s in (0, 0, 1))
    assert a.paths == b.paths
    assert set(a.paths) != set(c.paths)


def test_full_flowers_without_network_point_to_mini(tmp_path, network_attempts):
    with pytest.raises(tl.CourseError, match="Oxford 102 Flowers could not") as caught:
        tl.load_flowers("full", root=tmp_path / "new" / "cache")
    assert "700 MB" in caught.value.next_step
    assert 'PROFILE = "mini"' in caught.value.next_step
    assert network_attempts


# --- sketches --------------------------------------------------------------------


@pytest.fixture
def sketches(tmp_path):
    """One picture per class and split, and one that is nothing of the kind."""
    rows, names = [], ["car", "cheese", "house", "tree"]
    for part in ("train", "valid", "test"):
        rows += [(f"{part}/{n}/{n}_0.png", part, n) for n in names]
    rows.append(("unlabelled/fish_0.png", "unlabelled", ""))
    lines = ["file,split,label,sha256"]
    for i, (file, part, label) in enumerate(rows):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (i, i, i)).save(tmp_path / file)
        lines.append(f"{file},{part},{label},{sha256(tmp_path / file)}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    card = {"name": "sketches", "classes": names}
    card["sha256"] = sha256(tmp_path / "manifest.csv")
    (tmp_path / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return tmp_path


def test_sketches_come_with_pictures_of_something_else(sketches):
    task = tl.load_drawings(sketches)
    assert task.class_names == ("car", "cheese", "house", "tree")
    assert task.train.labels.tolist() == task.test.labels.tolist() == [0, 1, 2, 3]
    assert [p.name for p in task.unlabelled.paths] == ["fish_0.png"]
    assert task.unlabelled.labels.tolist() == [-1]


def test_cells_are_drawn_fields_of_two_classes():
    task = tl.load_drawings("cells")
    assert task.class_names == ("healthy", "infected")
    for split, n in ((task.train, 80), (task.valid, 20), (task.test, 100)):
        assert np.bincount(split.labels).tolist() == [n, n]
        for path, label in zip(split.paths, split.labels):
            assert path.parts[-4] == "cells"
            assert path.parts[-2] == task.class_names[label]
    assert task.test[0][0].size == (64, 64)


@pytest.mark.parametrize("load", [tl.load_drawings, lambda f: tl.load_flowers(root=f)])
def test_missing_drawings_are_named(load, tmp_path):
    with pytest.raises(tl.CourseError, match=r"card\.json is missing"):
        load(tmp_path)


# --- mail ------------------------------------------------------------------------


def test_damaged_mail_is_refused(tmp_path):
    folder = tmp_path / "mail"
    shutil.copytree(machine.data_folder() / "mail", folder)
    assert len(tl.load_mail(root=folder).train) == 200
    with open(folder / "mail.csv", "a", encoding="utf-8") as file:
        file.write("one more,ham,train,x\n")
    with pytest.raises(tl.CourseError, match="mail.csv"):
        tl.load_mail(root=folder)


@pytest.fixture
def enron(tmp_path, monkeypatch):
    """A cache as the hub's client leaves it, with two small made-up files."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(machine, "hub_reachable", lambda: False)
    cards = machine.read_card(machine.data_folder() / "public.json")
    cards["mail"]["per_class"] = {"train": 6, "valid": 3, "unlabelled": 5}
    monkeypatch.setattr(machine, "public_card", cards.__getitem__)
    revision = cards["mail"]["hub"]["revision"]
    folder = tmp_path / "datasets--SetFit--enron_spam"
    files = folder / "snapshots" / revision
    files.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(revision)
    for part, n in (("train", 20), ("test", 4)):
        rows = [
            {
                "message_id": 2 * i + label,
                "text": "unused",
                "label": label,
                "label_text": ["ham", "spam"][label],
                "subject": f"{part} {i} {label}",
                "message": f"{part} body {i} ü",
                "date": "2001-01-01",
            }
            for i in range(n)
            for label in (0, 1)
        ]
        rows[0] |= {"subject": None}
        rows[1] |= {"subject": "", "message": "  "}
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (files / f"{part}.jsonl").write_text(lines, encoding="utf-8")
    return tmp_path


def test_enron_is_split_by_class_and_hides_the_labels_of_the_rest(enron):
    task = tl.load_mail("full", root=enron)
    assert task.class_names == ("ham", "spam") and task.name == "enron_spam"
    for split, n in ((task.train, 6), (task.valid, 3)):
        assert np.bincount(split.labels).tolist() == [n, n]
        assert all(t.endswith("ü") and "Subject: " in t for t in split.texts)
        for text, label in split:
            assert text.startswith("Subject: \n") or f" {label}\n" in text
    assert len(task.unlabelled) == 10 and set(task.unlabelled.labels) == {-1}
    # The mail without subject and message is left out, the one without subject stays.
    assert np.bincount(task.test.labels).tolist() == [4, 3]
    parts = (task.train, task.valid, task.unlabelled, task.test)
    texts = [text for part in parts for text in part.texts]
    assert len(set(texts)) == len(texts)
    again, other = (tl.load_mail("full", seed=s, root=enron) for s in (0, 1))
    assert again.train.texts == task.train.texts != other.train.texts


def test_enron_out_of_reach_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "hub_reachable", lambda: False)
    with pytest.raises(tl.CourseError, match="Enron-Spam could not") as caught:
        tl.load_mail("full", root=tmp_path)
    assert "mini" in caught.value.next_step


# --- reviews -------------------------------------------------------------------


def test_domains_of_the_reviews_make_up_the_whole():
    whole = tl.load_reviews()
    parts = [tl.load_reviews(domain=d) for d in ("film", "product", "place")]
    for name in ("train", "valid", "test", "unlabelled"):
        texts = [set(getattr(p, name).texts) for p in parts]
        assert sum(map(len, texts)) == len(set.union(*texts))
        assert set.union(*texts) == set(getattr(whole, name).texts)
    two = tl.load_reviews(domain=("product", "place"))
    assert len(two.test) == len(parts[1].test) + len(parts[2].test)
    assert not set(two.train.texts) & set(parts[0].train.texts)


def test_labels_of_a_domain_are_those_of_the_whole():
    whole = dict(zip(tl.load_reviews().test.texts, tl.load_reviews().test.labels))
    film = tl.load_reviews(domain="film").test
    assert [whole[t] for t in film.texts] == film.labels.tolist()


@pytest.mark.parametrize("domain", ["book", (), ("film", "book")])
def test_unknown_domain_is_named_with_the_known_ones(domain):
    with pytest.raises(tl.CourseError, match="Choose among 'film', 'product', 'place'"):
        tl.load_reviews(domain=domain)


@pytest.fixture
def public_reviews(tmp_path, monkeypatch):
    """What fastai's loader leaves: folders of texts (IMDb), tables (Yelp, Amazon)."""
    from fastai.data.external import URLs

    for kind in ("pos", "neg"):
        folder = tmp_path / "imdb" / "test" / kind
        folder.mkdir(parents=True)
        for i in range(1300):
            (folder / f"{i}.txt").write_text(f"{kind} film {i} ü", encoding="utf-8")
    for name in ("yelp", "amazon"):
        (tmp_path / name).mkdir()
        said = {1: "bad", 2: "good"}
        rows = [f'"{c}","{name} {said[c]} {i}"' for i in range(1300) for c in said]
        (tmp_path / name / "test.csv").write_text("\n".join(rows), encoding="utf-8")
    where = {
        URLs.IMDB: "imdb",
        URLs.YELP_REVIEWS_POLARITY: "yelp",
        URLs.AMAZON_REVIEWS_POLARITY: "amazon",
    }
    monkeypatch.setattr(
        "fastai.data.external.untar_data", lambda url, **_: tmp_path / where[url]
    )
    return tmp_path


def test_public_reviews_are_balanced_split_and_rightly_labelled(public_reviews):
    task = tl.load_reviews("full")
    assert task.class_names == ("negative", "positive")
    sizes = [len(getattr(task, p)) for p in ("train", "valid", "test", "unlabelled")]
    assert sizes == [3 * 660, 3 * 160, 3 * 660, 3 * 1000]
    for part in (task.train, task.valid, task.test):
        assert np.bincount(part.labels).tolist() == [len(part) // 2] * 2
        for text, label in part:
            assert ("pos " in text or "good" in text) == bool(label)
    assert set(task.unlabelled.labels.tolist()) == {-1}
    parts = (task.train, task.valid, task.test, task.unlabelled)
    texts = [t for p in parts for t in p.texts]
    assert len(set(texts)) == len(texts)
    again, other = tl.load_reviews("full"), tl.load_reviews("full", seed=1)
    assert again.train.texts == task.train.texts != other.train.texts
    place = tl.load_reviews("full", domain="place").train.texts
    assert all(t.startswith("yelp") for t in place)


def test_reviews_that_cannot_be_fetched_name_the_way_out(monkeypatch):
    def refuse(url, **_):
        raise OSError("no network")

    monkeypatch.setattr("fastai.data.external.untar_data", refuse)
    with pytest.raises(tl.CourseError, match='films could.*\n.*PROFILE = "mini"'):
        tl.load_reviews("full")


# --- the same examples as before, in the same order --------------------------------


def drawn_by_hand(rows, per_class, seed):
    """Draw as the first edition of the course did, row by row."""
    order = np.random.default_rng(seed).permutation(len(rows))
    left = {c: [i for i in order if rows[i][1] == c] for c in (0, 1)}
    drawn = {}
    for part, n in per_class.items():
        drawn[part] = [rows[i] for c in left for i in left[c][:n]]
        left = {c: left[c][n:] for c in left}
    return drawn


@pytest.mark.parametrize("seed", [0, 1])
def test_drawing_is_the_one_written_out(seed):
    rng = np.random.default_rng(5)
    rows = [(f"text {i}", int(label)) for i, label in enumerate(rng.integers(0, 2, 60))]
    per_class = {"train": 9, "valid": 2, "unlabelled": 7}
    table = pd.DataFrame(rows, columns=["item", "label"])
    mine = datasets._draw(table, per_class, seed).groupby("split")
    for part, wanted in drawn_by_hand(rows, per_class, seed).items():
        got = mine.get_group(part)
        assert got["item"].tolist() == [text for text, _ in wanted]
        hidden = [-1 if part == "unlabelled" else label for _, label in wanted]
        assert got["label"].tolist() == hidden


@pytest.mark.parametrize("name", ["pets", "flowers", "sketches", "cells"])
def test_drawings_are_those_of_the_manifest_row_by_row(name):
    folder = machine.data_folder() / name
    task = datasets.load_drawings(folder)
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for part in {row["split"] for row in rows}:
        mine, split = [r for r in rows if r["split"] == part], getattr(task, part)
        assert split.paths == tuple(folder / row["file"] for row in mine)
        names = {c: n for c, n in enumerate(task.class_names)} | {-1: ""}
        assert [names[c] for c in split.labels] == [row["label"] for row in mine]
        assert split.labels.dtype == np.int64 and split.labels.flags.writeable


@pytest.mark.parametrize("name", ["mail", "reviews"])
def test_bundled_texts_are_what_from_csv_reads(name):
    """No row of ours is empty, a copy, or contradicts another."""
    load = {"mail": tl.load_mail, "reviews": tl.load_reviews}[name]
    bundled = load()
    read = tl.from_csv(machine.data_folder() / name / f"{name}.csv")
    assert bundled.class_names == read.class_names
    for part in ("train", "valid", "test", "unlabelled"):
        assert getattr(bundled, part).texts == getattr(read, part).texts
        assert np.array_equal(getattr(bundled, part).labels, getattr(read, part).labels)


def test_quotation_marks_and_line_breaks_of_public_tables_are_read(public_reviews):
    """Yelp writes one mark as two; Amazon has a title before the text."""
    folder = public_reviews / "amazon"
    rows = [
        (c, f"title {i}", f'he said "{i}",\nthen left {c}')
        for c in (1, 2)
        for i in range(1300)
    ]
    with open(folder / "test.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    task = tl.load_reviews("full", domain="product")
    written = {text: c - 1 for c, _, text in rows}
    assert len(task.train) == 660
    assert all(written[text] == label for text, label in task.train)
