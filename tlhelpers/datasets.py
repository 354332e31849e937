"""Load the course's data sets: bundled in mini, public in full."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .errors import CourseError
from .machine import REPAIR, check_file, data_folder, hub_reachable
from .own_data import from_csv
from .tasks import PARTS, ImageSplit, ImageTask, TextSplit, TextTask, stratified_split


def cache_folder() -> Path:
    """Return where downloads are kept: ``TLHELPERS_CACHE`` or ``~/.cache``."""
    default = Path.home() / ".cache" / "tlhelpers"
    return Path(os.environ.get("TLHELPERS_CACHE") or default)


def load_pets(
    profile: str = "mini", *, seed: int = 0, root: Path | None = None
) -> ImageTask:
    """Load cats and dogs: drawn by the course in mini, photographs in full.

    Parameters
    ----------
    profile : {"mini", "full"}
        "mini": ``data/pets``, 400 + 100 + 250 drawings per class, 96 px.
        "full": Oxford-IIIT Pet (Parkhi et al. 2012) through torchvision, 3,680
        photographs to learn and tune on, 3,669 to judge with; 800 MB download.
    seed : int
        Seed of the train/valid split in full.
    root : Path or None
        Another place for the data, for tests.

    Raises
    ------
    CourseError
        If a bundled file is missing or damaged, or a download fails.
    """
    if profile == "full":
        return _oxford_pets(root or cache_folder(), seed)
    return load_drawings(root or data_folder() / "pets")


def load_flowers(
    profile: str = "mini", *, seed: int = 0, root: Path | None = None
) -> ImageTask:
    """Load flowers of five kinds: drawn in mini, photographed in full.

    Parameters
    ----------
    profile : {"mini", "full"}
        "mini": ``data/flowers``, daisy, dandelion, rose, sunflower, tulip; 60 + 15 +
        75 drawings per class, 96 px. "full": the same five kinds (of tulips the Siam
        tulip) out of Oxford 102 Flowers (Nilsback and Zisserman 2008) through
        torchvision, 414 photographs; 350 MB download.
    seed : int
        Seed of the split in full.
    root : Path or None
        Another place for the data, for tests.

    Raises
    ------
    CourseError
        If a bundled file is missing or damaged, or a download fails.
    """
    if profile == "full":
        return _oxford_flowers(root or cache_folder(), seed)
    return load_drawings(root or data_folder() / "flowers")


def load_sketches(
    profile: str = "mini", *, seed: int = 0, root: Path | None = None
) -> ImageTask:
    """Load pen drawings of cars, cheese, houses and trees, the same in both profiles.

    ``data/sketches``: 16 + 4 + 20 drawings per class, 128 px, every one in another
    style; ``unlabelled`` holds drawings of something else, a fish.

    Raises
    ------
    CourseError
        If a bundled file is missing or damaged.
    """
    return load_drawings(root or data_folder() / "sketches")


def load_cells(
    profile: str = "mini", *, seed: int = 0, root: Path | None = None
) -> ImageTask:
    """Load drawn fields of blood, healthy and infected, the same in both profiles.

    ``data/cells``: 80 + 20 + 100 drawings per class, 64 px, as a microscope shows them;
    the cells of an infected field hold small dark parasites.

    Raises
    ------
    CourseError
        If a bundled file is missing or damaged.
    """
    return load_drawings(root or data_folder() / "cells")


def load_mail(
    profile: str = "mini", *, seed: int = 0, root: Path | None = None
) -> TextTask:
    """Load e-mails, spam and ham: written for the course, or those of a company.

    Parameters
    ----------
    profile : {"mini", "full"}
        "mini": ``data/mail``, 100 labelled mails per class to learn from, 60 to choose
        by, 200 to judge with, and 1,280 without labels. "full": Enron-Spam (Metsis et
        al. 2006) from the model hub, 1,000 + 250 + about 1,000 per class and 8,000
        without labels; 107 MB download.
    seed : int
        Seed of the split in full.
    root : Path or None
        Another place for the data, for tests.

    Raises
    ------
    CourseError
        If a bundled file is missing or damaged, or a download fails.
    """
    if profile == "full":
        return _enron(root, seed)
    return _load_table(root or data_folder() / "mail")


def load_reviews(
    profile: str = "mini",
    *,
    domain: str | Sequence[str] = ("film", "product", "place"),
    seed: int = 0,
    root: Path | None = None,
) -> TextTask:
    """Load positive and negative reviews of films, products and places.

    Parameters
    ----------
    profile : {"mini", "full"}
        "mini": ``data/reviews``, written for the course: 120 labelled reviews per
        class to learn from, 45 to choose by, 195 to judge with, 1,536 without labels.
        "full": films from IMDb (Maas et al. 2011), places from Yelp and products from
        Amazon (Zhang, Zhao and LeCun 2015), through fastai's loader; 330 + 80 + 330
        per class and domain and 1,000 without labels; 144, 166 and 690 MB.
    domain : "film", "product", "place", or several of them
        What the reviews are about.
    seed : int
        Seed of the choice and the split in full.
    root : Path or None
        Another place for the data, for tests.

    Raises
    ------
    CourseError
        If the domain is unknown, a file is missing or damaged, or a download fails.
    """
    domains = [domain] if isinstance(domain, str) else list(domain)
    if not domains or set(domains) - set(REVIEWS):
        raise CourseError(
            f"There are no reviews of the domain {domain!r}.",
            f"Choose among {', '.join(map(repr, REVIEWS))}.",
        )
    if profile == "full":
        return _public_reviews(domains, seed)
    return _load_table(root or data_folder() / "reviews", domains)


#: Where fastai has each domain's reviews.
REVIEWS = {
    "film": "IMDB",
    "product": "AMAZON_REVIEWS_POLARITY",
    "place": "YELP_REVIEWS_POLARITY",
}


def _public_reviews(domains: list[str], seed: int) -> TextTask:
    """Draw equally many reviews of each domain and class, and split them."""
    names = ("negative", "positive")
    parts: dict[str, list[tuple[str, int]]] = {}
    for domain in domains:
        rows = _fetch_reviews(domain)
        order = np.random.default_rng(seed).permutation(len(rows))
        drawn: list[tuple[str, int]] = []
        for c in range(len(names)):
            drawn += [rows[i] for i in order if rows[i][1] == c][:1240]
        places = np.arange(len(drawn)) % (len(drawn) // 2)
        sizes = {"train": 330, "valid": 410, "test": 740, "unlabelled": 1240}
        for (text, c), place in zip(drawn, places):
            part = next(p for p, end in sizes.items() if place < end)
            label = -1 if part == "unlabelled" else c
            parts.setdefault(part, []).append((text, label))
    splits = {
        part: TextSplit(tuple(t for t, _ in rows), np.array([c for _, c in rows]))
        for part, rows in parts.items()
    }
    card = {"title": f"public reviews ({', '.join(domains)})", "licence": "research"}
    return TextTask("reviews", names, **splits, card=card)


def _fetch_reviews(domain: str) -> list[tuple[str, int]]:
    """Read what fastai's loader fetched: folders of texts, or a table."""
    from fastai.data.external import URLs, untar_data

    try:
        folder = untar_data(getattr(URLs, REVIEWS[domain]))
    except Exception as error:  # the download raises many kinds
        raise CourseError(
            f"The reviews of {domain}s could not be fetched ({type(error).__name__}).",
            'Check the network, or set PROFILE = "mini", which needs none.',
        ) from error
    if domain == "film":
        files = sorted((folder / "test").glob("*/*.txt"))
        return [
            (f.read_text(encoding="utf-8"), int(f.parent.name == "pos")) for f in files
        ]
    with open(folder / "test.csv", newline="", encoding="utf-8") as file:
        return [(row[-1], int(row[0]) - 1) for row in csv.reader(file)]


def _load_table(folder: Path, domains: Sequence[str] = ()) -> TextTask:
    check_bundled(folder)
    card = read_card(folder)
    task = from_csv(folder / card["table"])
    if domains:
        with open(folder / card["table"], newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            mine = {row["text"] for row in rows if row["domain"] in domains}
        parts = {k: _only(getattr(task, k), mine) for k in (*PARTS, "unlabelled")}
        task = replace(task, **parts)
    return replace(task, name=card["name"], card=card)


def _only(split: TextSplit, texts: set[str]) -> TextSplit:
    return split.take([i for i, text in enumerate(split.texts) if text in texts])


def load_drawings(folder: Path) -> ImageTask:
    """Load a bundled picture set by its manifest, every file checked by sha256.

    Raises
    ------
    CourseError
        If a file is missing or its sha256 is not the one in the manifest.
    """
    card, rows = read_card(folder), read_manifest(folder)
    names = tuple(card["classes"])
    splits: dict[str, ImageSplit] = {}
    for part in sorted({row["split"] for row in rows}):
        mine = [row for row in rows if row["split"] == part]
        labels = [names.index(r["label"]) if r["label"] else -1 for r in mine]
        paths = tuple(folder / row["file"] for row in mine)
        splits[part] = ImageSplit(paths, np.array(labels, dtype=np.int64))
    return ImageTask(card["name"], names, **splits, card=card)


def read_card(folder: Path) -> dict[str, Any]:
    """Read ``card.json`` of a bundled data set."""
    path = folder / "card.json"
    if not path.is_file():
        raise CourseError(f"{path} is missing.", REPAIR)
    return json.loads(path.read_text(encoding="utf-8"))


def check_bundled(folder: Path) -> str:
    """Check the sha256 of every file of a bundled set; say what was checked.

    Raises
    ------
    CourseError
        Naming the first file that is missing or damaged.
    """
    card = read_card(folder)
    if "table" in card:
        check_file(folder / card["table"], card["sha256"])
        return f"{card['table']}, sha256 as in the card"
    return f"{len(read_manifest(folder))} files, sha256 as in the manifest"


def read_manifest(folder: Path) -> list[dict[str, str]]:
    """Read ``manifest.csv`` and check the sha256 of it and of every file.

    Raises
    ------
    CourseError
        Naming the first file that is missing or damaged.
    """
    path = folder / "manifest.csv"
    check_file(path, read_card(folder)["sha256"])
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        check_file(folder / row["file"], row["sha256"])
    return rows


def _oxford_pets(root: Path, seed: int) -> ImageTask:
    from torchvision.datasets import OxfordIIITPet

    _download(OxfordIIITPet, root, "Oxford-IIIT Pet", "1.6 GB")
    folder = root / "oxford-iiit-pet"
    trainval, labels = _read_oxford(folder, "trainval")
    part = stratified_split(labels, seed=seed, valid=0.2, test=0.0)
    everything = ImageSplit(trainval, labels)
    train, valid = (everything.take(np.flatnonzero(part == p)) for p in _TRAINVAL)
    test = ImageSplit(*_read_oxford(folder, "test"))
    return ImageTask("pets", ("cat", "dog"), train, valid, test, card=dict(_OXFORD))


def _download(dataset: Any, root: Path, title: str, space: str) -> None:
    """Let torchvision fetch and check a data set; say what to do if it cannot."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        dataset(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise CourseError(
            f"{title} could not be downloaded to {root} ({error}).",
            f"Check the network and {space} of free disk, then run again (what was "
            'fetched is kept), or set PROFILE = "mini".',
        ) from error


_TRAINVAL = ("train", "valid")
_OXFORD = {
    "title": "Oxford-IIIT Pet",
    "origin": "Parkhi, Vedaldi, Zisserman, Jawahar 2012, Cats and Dogs",
    "licence": "CC BY-SA 4.0",
    "size_px": [224, 224],
    "remarks": ["ImageNet has most of these breeds: its network has met them before."],
}


def _read_oxford(folder: Path, split: str) -> tuple[tuple[Path, ...], np.ndarray]:
    """Read the set's own list: image id, breed, species (1 cat, 2 dog), number."""
    lines = (folder / "annotations" / f"{split}.txt").read_text().splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    paths = tuple(folder / "images" / f"{row[0]}.jpg" for row in rows)
    return paths, np.array([int(row[2]) - 1 for row in rows], dtype=np.int64)


#: Numbers of the five kinds among the 102.
_FLOWERS = {"daisy": 49, "dandelion": 50, "rose": 74, "sunflower": 54, "tulip": 39}


def _oxford_flowers(root: Path, seed: int) -> ImageTask:
    from scipy.io import loadmat
    from torchvision.datasets import Flowers102

    _download(Flowers102, root, "Oxford 102 Flowers", "700 MB")
    folder = root / "flowers-102"
    kinds = loadmat(folder / "imagelabels.mat", squeeze_me=True)["labels"]
    rows = [(i, k) for i, k in enumerate(kinds, 1) if k in _FLOWERS.values()]
    numbers = list(_FLOWERS.values())
    labels = np.array([numbers.index(k) for _, k in rows], dtype=np.int64)
    paths = tuple(folder / "jpg" / f"image_{i:05d}.jpg" for i, _ in rows)
    part = stratified_split(labels, seed=seed, valid=0.1, test=0.35)
    everything = ImageSplit(paths, labels)
    splits = {
        k: everything.take(np.flatnonzero(part == k)) for k in (*_TRAINVAL, "test")
    }
    card = {
        "title": "five kinds of Oxford 102 Flowers",
        "origin": "Nilsback and Zisserman 2008",
        "licence": "for research; see the page of the data set",
        "size_px": [224, 224],
        "remarks": ["ImageNet has a class daisy: its network has met one kind before."],
    }
    return ImageTask("flowers", tuple(_FLOWERS), **splits, card=card)


_ENRON = {
    "repo_id": "SetFit/enron_spam",
    "repo_type": "dataset",
    "revision": "ced0da66b33f91d6502a7cabed6350b388f4209e",
}
_ENRON_SIZES = {"train": 1_000, "valid": 250, "unlabelled": 4_000}


def _enron(root: Path | None, seed: int) -> TextTask:
    """Read the hub's two files; take so many mails per class, in a seeded order."""
    everything = _enron_rows("train", root)
    order = np.random.default_rng(seed).permutation(len(everything))
    splits: dict[str, TextSplit] = {}
    left = {c: [i for i in order if everything[i][1] == c] for c in (0, 1)}
    for part, n in _ENRON_SIZES.items():
        rows = [i for c in left for i in left[c][:n]]
        left = {c: left[c][n:] for c in left}
        splits[part] = _as_split([everything[i] for i in rows], part == "unlabelled")
    splits["test"] = _as_split(_enron_rows("test", root), False)
    card = {
        "title": "Enron-Spam",
        "origin": "Metsis, Androutsopoulos and Paliouras 2006",
        "licence": "for research; the mail of a company, made public by a court",
        "remarks": ["All ham comes from one company: a short-cut for every model."],
    }
    return TextTask("enron_spam", ("ham", "spam"), **splits, card=card)


def _as_split(rows: list[tuple[str, int]], hide: bool) -> TextSplit:
    labels = np.array([-1 if hide else label for _, label in rows], dtype=np.int64)
    return TextSplit(tuple(text for text, _ in rows), labels)


def _enron_rows(part: str, root: Path | None) -> list[tuple[str, int]]:
    from huggingface_hub import hf_hub_download

    try:
        path = hf_hub_download(
            filename=f"{part}.jsonl",
            cache_dir=root,
            local_files_only=not hub_reachable(),
            **_ENRON,
        )
    except Exception as error:  # the hub's client raises many kinds
        raise CourseError(
            f"Enron-Spam could not be fetched ({type(error).__name__}).",
            'Check the network, or set PROFILE = "mini", which needs none.',
        ) from error
    with open(path, encoding="utf-8") as file:
        mails = [json.loads(line) for line in file]
    # Some subjects and some messages are empty, a few mails are both.
    parts = [(m["subject"] or "", m["message"] or "", m["label"]) for m in mails]
    return [
        (f"Subject: {subject}\n\n{message}".strip(), int(label))
        for subject, message, label in parts
        if subject.strip() or message.strip()
    ]
