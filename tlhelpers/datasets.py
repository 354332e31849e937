"""Load the course's data sets: bundled in mini, public in full."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from .errors import CourseError
from .session import data_folder
from .tasks import ImageSplit, ImageTask, stratified_split

REPAIR = "Restore it with `git checkout -- data`, or install tlhelpers again."


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


def read_manifest(folder: Path) -> list[dict[str, str]]:
    """Read ``manifest.csv`` and check the sha256 of it and of every file.

    Raises
    ------
    CourseError
        Naming the first file that is missing or damaged.
    """
    path = folder / "manifest.csv"
    _check_file(path, read_card(folder)["sha256"])
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        _check_file(folder / row["file"], row["sha256"])
    return rows


def _check_file(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise CourseError(f"The bundled file {path} is missing.", REPAIR)
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise CourseError(f"The bundled file {path} is damaged (sha256).", REPAIR)


def _oxford_pets(root: Path, seed: int) -> ImageTask:
    from torchvision.datasets import OxfordIIITPet

    try:
        root.mkdir(parents=True, exist_ok=True)
        OxfordIIITPet(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise CourseError(
            f"Oxford-IIIT Pet could not be downloaded to {root} ({error}).",
            "Check the network and 1.6 GB of free disk, then run again (what was "
            'fetched is kept), or set PROFILE = "mini".',
        ) from error
    folder = root / "oxford-iiit-pet"
    trainval, labels = _read_oxford(folder, "trainval")
    part = stratified_split(labels, seed=seed, valid=0.2, test=0.0)
    everything = ImageSplit(trainval, labels)
    train, valid = (everything.take(np.flatnonzero(part == p)) for p in _TRAINVAL)
    test = ImageSplit(*_read_oxford(folder, "test"))
    return ImageTask("pets", ("cat", "dog"), train, valid, test, card=dict(_OXFORD))


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
