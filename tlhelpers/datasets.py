"""Load the course's data sets: bundled in mini, public in full."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.io import loadmat

from . import machine
from .errors import CourseError
from .tasks import ImageTask, TextTask, stratified_split

DOMAINS = ("film", "product", "place")
Domain = str | Sequence[str]
Root = Path | None


def load_pets(profile: str = "mini", *, seed: int = 0, root: Root = None) -> ImageTask:
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

    Returns
    -------
    ImageTask
        Its ``card`` says where the data come from.

    Raises
    ------
    CourseError
        If a bundled file is missing, or a download fails.
    """
    if profile != "full":
        return load_drawings(root or "pets")
    card, folder = _fetch("pets", root or machine.cache_folder())
    lists = [folder / "annotations" / name for name in ("trainval.txt", "test.txt")]
    # Columns: name, breed, species (1 cat, 2 dog), number.
    learn, test = (pd.read_csv(file, sep=" ", header=None) for file in lists)
    part = stratified_split(learn[2].to_numpy(), seed=seed, valid=0.2, test=0.0)
    rows = pd.concat([learn.assign(split=part), test.assign(split="test")])
    paths = [folder / "images" / f"{name}.jpg" for name in rows[0]]
    return _make_task(ImageTask, card, rows.assign(item=paths, label=rows[2] - 1))


def load_flowers(
    profile: str = "mini", *, seed: int = 0, root: Root = None
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

    Returns
    -------
    ImageTask
        Its ``card`` says where the data come from.

    Raises
    ------
    CourseError
        If a bundled file is missing, or a download fails.
    """
    if profile != "full":
        return load_drawings(root or "flowers")
    card, folder = _fetch("flowers", root or machine.cache_folder())
    kinds = loadmat(folder / "imagelabels.mat", squeeze_me=True)["labels"]
    paths = [folder / "jpg" / f"image_{i:05d}.jpg" for i in range(1, len(kinds) + 1)]
    labels = pd.Index(card["numbers"]).get_indexer(kinds)  # -1: not one of the five
    rows = pd.DataFrame({"item": paths, "label": labels})[labels >= 0]
    part = stratified_split(labels[labels >= 0], seed=seed, valid=0.1, test=0.35)
    return _make_task(ImageTask, card, rows.assign(split=part))


def load_mail(profile: str = "mini", *, seed: int = 0, root: Root = None) -> TextTask:
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

    Returns
    -------
    TextTask
        Its ``card`` says where the data come from.

    Raises
    ------
    CourseError
        If a bundled file is missing or damaged, or a download fails.
    """
    if profile != "full":
        return _make_task(TextTask, *read_bundled(root or "mail"))
    from huggingface_hub import hf_hub_download

    card = machine.public_card("mail")
    with machine.fetching(card["title"], card["next_step"]):
        kept = {"cache_dir": root, **card["hub"]}
        files = [hf_hub_download(filename=name, **kept) for name in card["files"]]
    train, test = map(_read_mails, files)
    drawn = _draw(train, card["per_class"], seed)
    return _make_task(TextTask, card, pd.concat([drawn, test.assign(split="test")]))


def load_reviews(
    profile: str = "mini", *, domain: Domain = DOMAINS, seed: int = 0, root: Root = None
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

    Returns
    -------
    TextTask
        Its ``card`` says where the data come from.

    Raises
    ------
    CourseError
        If the domain is unknown, a file is missing or damaged, or a download fails.
    """
    domains = [domain] if isinstance(domain, str) else list(domain)
    if not domains or set(domains) - set(DOMAINS):
        way = f"Choose among {', '.join(map(repr, DOMAINS))}."
        raise CourseError(f"There are no reviews of the domain {domain!r}.", way)
    if profile != "full":
        card, rows = read_bundled(root or "reviews")
        return _make_task(TextTask, card, rows[rows["domain"].isin(domains)])
    card = machine.public_card("reviews")
    rows = [_draw(_fetch_reviews(d, card), card["per_class"], seed) for d in domains]
    card["title"] += f" ({', '.join(domains)})"
    return _make_task(TextTask, card, pd.concat(rows))


def load_drawings(name: str | Path) -> ImageTask:
    """Load a set of drawings that comes with the course, the same in both profiles.

    Every file must be there; ``tlhelpers doctor`` compares their sha256, too.

    Parameters
    ----------
    name : {"cells", "flowers", "pets", "sketches"} or Path
        "cells": fields of blood, healthy and infected, as a microscope shows them; the
        cells of an infected field hold small dark parasites; 80 + 20 + 100 per class,
        64 px. "sketches": pen drawings of cars, cheese, houses and trees, every one in
        another style, 16 + 4 + 20 per class, 128 px; ``unlabelled`` holds drawings of
        something else, a fish. "pets", "flowers": see :func:`load_pets`,
        :func:`load_flowers`. Or a folder with ``card.json``, ``manifest.csv`` and the
        pictures.

    Returns
    -------
    ImageTask
        Its ``card`` says where the data come from.

    Raises
    ------
    CourseError
        If a file is missing, or the manifest is not the one in the card.
    """
    return _make_task(ImageTask, *read_bundled(name))


def read_bundled(name: str | Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Read the card and the manifest or table of a bundled set, or of a folder."""
    folder = machine.data_folder() / name
    card = machine.read_card(folder / "card.json")
    table, sha256 = card.get("table", "manifest.csv"), card.get("sha256", "none")
    csv = machine.check_file(folder / table, sha256)
    rows = pd.read_csv(csv, dtype=str, na_filter=False).rename(columns={"text": "item"})
    rows["label"] = pd.Index(card["classes"]).get_indexer(rows["label"])  # -1: none
    if "file" in rows:
        rows["item"] = [machine.check_file(folder / file) for file in rows["file"]]
    return card, rows


def _make_task(make: Any, card: dict[str, Any], rows: pd.DataFrame) -> Any:
    """Make a task of a table with the columns item, label (a number) and split."""
    groups = rows.groupby("split")
    splits = {k: make.SPLIT(tuple(g["item"]), np.array(g["label"])) for k, g in groups}
    return make(card["name"], tuple(card["classes"]), **splits, card=card)


def _fetch(name: str, root: Path) -> tuple[dict[str, Any], Path]:
    """Let torchvision fetch and check a data set; return its card and its folder."""
    from torchvision import datasets

    card = machine.public_card(name)
    with machine.fetching(card["title"], card["next_step"], hub=False):
        root.mkdir(parents=True, exist_ok=True)
        getattr(datasets, card["torchvision"])(str(root), download=True)
    return card, root / card["folder"]


def _read_mails(file: str) -> pd.DataFrame:
    """Read mails; some subjects and some messages are empty, a few mails are both."""
    columns = ["subject", "message", "label"]
    mails = pd.read_json(file, lines=True, dtype=False)[columns].fillna("")
    texts = ("Subject: " + mails["subject"] + "\n\n" + mails["message"]).str.strip()
    written = (mails["subject"] + mails["message"]).str.strip() != ""
    return pd.DataFrame({"item": texts, "label": mails["label"]})[written]


def _fetch_reviews(domain: str, card: dict[str, Any]) -> pd.DataFrame:
    """Read what fastai's loader fetched: folders of texts, or a table."""
    from fastai.data.external import URLs, untar_data

    with machine.fetching(f"The reviews of {domain}s", card["next_step"], hub=False):
        folder = untar_data(getattr(URLs, card["fastai"][domain]))
    if domain == "film":
        files = sorted((folder / "test").glob("*/*.txt"))
        rows = [(f.read_text("utf-8"), int(f.parent.name == "pos")) for f in files]
        return pd.DataFrame(rows, columns=["item", "label"])
    table = pd.read_csv(folder / "test.csv", header=None, dtype=str, na_filter=False)
    return pd.DataFrame({"item": table.iloc[:, -1], "label": table[0].astype(int) - 1})


def _draw(rows: pd.DataFrame, per_class: dict[str, int], seed: int) -> pd.DataFrame:
    """Take so many examples of each class for each part, in a seeded order."""
    order = np.random.default_rng(seed).permutation(len(rows))
    part = np.repeat([*per_class], [*per_class.values()])
    rows = rows.iloc[order].sort_values("label", kind="stable")
    rows = rows.groupby("label").head(len(part))
    rows = rows.assign(split=part[rows.groupby("label").cumcount()])
    return rows.assign(label=rows["label"].where(rows["split"] != "unlabelled", -1))
