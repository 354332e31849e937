"""A task: labelled examples in train, valid and test, with their provenance."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import CourseError
from .session import progress

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor
    from typing_extensions import Self

PICTURE_SUFFIXES = frozenset(
    ".jpg .jpeg .png .gif .bmp .tif .tiff .webp .ppm .pgm .jfif".split()
)
MAX_PIXELS = 60_000_000
MIN_PER_CLASS = 5


def read_image(path: str | Path | BinaryIO) -> Image.Image:
    """Read any picture as 8-bit RGB, upright, on white where transparent.

    CMYK is converted, 16 bits are scaled to 8, of an animation the first frame is
    taken, and the EXIF orientation is applied.

    Raises
    ------
    CourseError
        If the file is no picture, is damaged, or has more than 60 million pixels.
    """
    name = path if isinstance(path, (str, Path)) else "The picture"
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise CourseError(
                    f"{name} has {image.width} × {image.height} pixels.",
                    "Make it smaller; 60 million pixels are the limit.",
                )
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except CourseError:
        raise
    except FileNotFoundError:
        raise CourseError(f"There is no picture {name}.", "Check the path.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise CourseError(
            f"{name} cannot be read as a picture ({_reason(error)}).",
            "Remove it, or save it again as JPEG or PNG.",
        ) from None
    except Image.DecompressionBombError:
        raise CourseError(f"{name} is too large.", "Make it smaller.") from None


def _reason(error: Exception) -> str:
    unknown = isinstance(error, UnidentifiedImageError)
    return "not a picture format" if unknown else str(error).strip() or "damaged"


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        pixels = np.asarray(image, dtype=np.float64)
        # A 16-bit scan often uses part of the range only: stretch what is there.
        low, high = float(pixels.min()), float(pixels.max())
        scaled = (pixels - low) / max(high - low, 1e-9) * 255
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


@dataclass(frozen=True)
class ImageSplit(Sequence):
    """Pictures and labels; ``split[i]`` is a pair ``(PIL image, int)``.

    Attributes
    ----------
    paths : tuple of Path, length n
        The picture files; read when asked for, so memory stays flat.
    labels : ndarray, shape (n,), int64
        Class numbers, 0 … n_classes - 1; -1 where there is no label.
    """

    paths: tuple[Path, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:  # type: ignore[override]
        return read_image(self.paths[i]), int(self.labels[i])

    def take(self, rows: Sequence[int] | np.ndarray) -> ImageSplit:
        """Return the split with these rows only, in this order."""
        rows = np.asarray(rows, dtype=int)
        return ImageSplit(tuple(self.paths[i] for i in rows), self.labels[rows])

    def tensors(self, size: int) -> tuple[Tensor, Tensor]:
        """Read all pictures at one size.

        Parameters
        ----------
        size : int
            Side in pixels; the shorter side is scaled to it, the rest cropped
            around the centre.

        Returns
        -------
        x : Tensor, shape (n, 3, size, size), uint8, 0 … 255
        y : Tensor, shape (n,), int64
        """
        import torch

        x = torch.empty(len(self), 3, size, size, dtype=torch.uint8)
        for i, path in enumerate(progress(self.paths, "reading pictures")):
            x[i] = to_tensor(read_image(path), size)
        return x, torch.as_tensor(self.labels)


def to_tensor(image: Image.Image, size: int) -> Tensor:
    """Scale and centre-crop one picture: uint8, shape (3, size, size), 0 … 255."""
    import torch

    fitted = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1)


@dataclass(frozen=True)
class Task:
    """What to learn from, what to tune on, what to judge with.

    Attributes
    ----------
    name : str
        Short name, for titles.
    class_names : tuple of str, length n_classes
        ``class_names[label]`` is the class of that label; sorted, so stable.
    train, valid, test : ImageSplit or TextSplit
        Learn from, choose by, judge with. No example stands in two of them.
    unlabelled : ImageSplit, TextSplit or None
        Examples without labels.
    card : dict
        Where the data comes from: title, origin, licence, counts, remarks.
    """

    KIND: ClassVar[str] = "examples"

    name: str
    class_names: tuple[str, ...]
    train: Any
    valid: Any
    test: Any
    unlabelled: Any = None
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def smallest_class(self) -> int:
        """Number of training examples in the smallest class."""
        return int(np.bincount(self.train.labels, minlength=self.n_classes).min())

    def rows(self, n_per_class: int, seed: int = 0) -> np.ndarray:
        """Choose training rows: ``n_per_class`` of each class.

        Returns
        -------
        ndarray, shape (n_per_class * n_classes,), int
            With the same seed a smaller choice is part of every larger one, so a
            label-efficiency curve adds labels instead of drawing new ones.

        Raises
        ------
        CourseError
            If a class has fewer training examples.
        """
        if not 1 <= n_per_class <= self.smallest_class:
            raise CourseError(
                f"{n_per_class} {self.KIND} per class were asked for; the smallest "
                f"class of {self.name!r} has {self.smallest_class} for training.",
                f"Ask for 1 to {self.smallest_class}.",
            )
        rng = np.random.default_rng(seed)
        shuffled = rng.permutation(len(self.train))
        labels = self.train.labels[shuffled]
        rows = [shuffled[labels == c][:n_per_class] for c in range(self.n_classes)]
        return np.concatenate(rows)

    def sample(self, n_per_class: int, seed: int = 0) -> Self:
        """Keep ``n_per_class`` labelled training examples of each class.

        Takes the rows of :meth:`rows`, and raises what it raises.
        """
        rows = self.rows(n_per_class, seed)
        return replace(self, train=self.train.take(rows))

    def __str__(self) -> str:
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        counts = " · ".join(f"{k} {len(v)}" for k, v in parts.items())
        lines = [
            f"{self.name}: {self.n_classes} classes ({', '.join(self.class_names)})"
        ]
        lines += [counts, *map(str, self.card.get("remarks", []))]
        return "\n".join(lines)


@dataclass(frozen=True)
class ImageTask(Task):
    """A picture task; its splits are :class:`ImageSplit`."""

    KIND: ClassVar[str] = "pictures"

    @property
    def size(self) -> int:
        """Side in pixels that suits the pictures and the time they take."""
        return int(self.card.get("size_px", (160, 160))[0])

    def to_frame(self) -> pd.DataFrame:
        """List train and valid as fastai likes it: path, label, is_valid."""
        import pandas as pd

        parts = [(self.train, False), (self.valid, True)]
        columns = [
            pd.DataFrame(
                {
                    "path": split.paths,
                    "label": [self.class_names[c] for c in split.labels],
                    "is_valid": flag,
                }
            )
            for split, flag in parts
        ]
        return pd.concat(columns, ignore_index=True)


def from_folder(
    folder: str | Path,
    *,
    seed: int = 0,
    valid: float = 0.15,
    test: float = 0.3,
    limit: int = 1000,
) -> ImageTask:
    """Make a task of one's own pictures: one sub-folder per class.

    Every file is opened once. Broken pictures are skipped and named, files that are
    no pictures are passed over and counted, and of exact copies one is kept, because
    a copy in the test split would make the score too good. Sub-folders named
    ``train``, ``valid`` (or ``val``) and ``test`` are taken as the splits.

    Parameters
    ----------
    folder : path
        Holds one sub-folder per class; its name is the class name.
    seed : int
        Seed of the split.
    valid, test : float
        Share of each class to tune on and to judge with, 0 … 1.
    limit : int
        At most so many pictures of each folder, chosen at random, so that a large
        collection does not take hours on a laptop.

    Raises
    ------
    CourseError
        If the folder is missing or empty, or has fewer than two classes, or a class
        has fewer than five readable pictures.
    """
    root = Path(folder).expanduser()
    _check_folder(root)
    found = _scan(root, limit, seed)
    names = tuple(sorted(found.tried))
    _check_classes(root, names, found)
    paths = tuple(path for path, _ in found.rows)
    labels = np.array([names.index(name) for _, name in found.rows], dtype=np.int64)
    everything = ImageSplit(paths, labels)
    part = _given_splits(root, paths, labels, seed)
    if part is None:
        found.split_anew = _names_splits(root, paths)
        part = stratified_split(labels, seed=seed, valid=valid, test=test)
    splits = {k: everything.take(np.flatnonzero(part == k)) for k in _PARTS}
    check_splits(names, splits, "picture")
    card = {"title": f"pictures in {root.name}", "remarks": found.remarks()}
    return ImageTask(root.name, names, **splits, card=card)


_PARTS = ("train", "valid", "test")
_PART_NAMES = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}
_LAYOUT = "Make one sub-folder per class and put its pictures into it."


@dataclass
class _Found:
    """What a walk through a folder of pictures came upon."""

    rows: list[tuple[Path, str]] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)
    passed_over: int = 0
    copies: int = 0
    limited: list[str] = field(default_factory=list)
    split_anew: bool = False

    def remarks(self) -> list[str]:
        out = []
        if self.broken:
            shown = "; ".join(self.broken[:5]) + ("; …" if len(self.broken) > 5 else "")
            out.append(f"skipped {len(self.broken)} unreadable: {shown}")
        if self.passed_over:
            out.append(f"passed over {self.passed_over} files that are no pictures")
        if self.copies:
            out.append(f"left out {self.copies} exact copies")
        if self.limited:
            out.append(f"took at random {', '.join(self.limited)} files")
        if self.split_anew:
            out.append("split anew: the folders name no train and test split")
        return out


def _check_folder(root: Path) -> None:
    if not root.exists():
        raise CourseError(f"There is no folder {root}.", "Check the path in DATA.")
    if not root.is_dir():
        raise CourseError(f"{root} is a file, not a folder.", _LAYOUT)
    if not any(root.iterdir()):
        raise CourseError(f"The folder {root} is empty.", _LAYOUT)


def _class_folders(root: Path) -> list[Path]:
    folders = sorted(p for p in root.iterdir() if p.is_dir() and p.name[0] not in "._")
    if folders and all(p.name.lower() in _PART_NAMES for p in folders):
        return [c for p in folders for c in sorted(p.iterdir()) if c.is_dir()]
    return folders


def _scan(root: Path, limit: int, seed: int) -> _Found:
    found, seen, files = _Found(), set(), []
    for folder in _class_folders(root):
        inside = [f for f in sorted(folder.rglob("*")) if f.name[0] != "."]
        inside = [f for f in inside if f.is_file()]
        if len(inside) > limit:
            found.limited.append(f"{folder.name}: {limit} of {len(inside)}")
            inside = random.Random(seed).sample(inside, limit)
        files += [(f, folder.name) for f in sorted(inside)]
    for path, name in progress(files, "checking pictures"):
        if path.suffix.lower() not in PICTURE_SUFFIXES:
            found.passed_over += 1
            continue
        found.tried.add(name)
        digest = hashlib.sha256(path.read_bytes()).digest()
        if digest in seen:
            found.copies += 1
            continue
        try:
            read_image(path)
        except CourseError as error:
            found.broken.append(f"{path.parent.name}/{path.name} {_inside(error)}")
            continue
        seen.add(digest)
        found.rows.append((path, name))
    return found


def _inside(error: CourseError) -> str:
    return "(" + error.problem.rpartition("(")[2].rstrip(".)") + ")"


def _check_classes(root: Path, names: tuple[str, ...], found: _Found) -> None:
    if len(names) < 2:
        got = f"only one class, {names[0]!r}" if names else "no class with pictures"
        raise CourseError(
            f"{root} has {got}. {'; '.join(found.remarks())}".strip(),
            "At least two classes are needed. " + _LAYOUT,
        )
    counts = {n: sum(name == n for _, name in found.rows) for n in names}
    small = {n: k for n, k in counts.items() if k < MIN_PER_CLASS}
    if small:
        listed = ", ".join(f"{n!r} has {k}" for n, k in small.items())
        raise CourseError(
            f"Too few readable pictures: {listed}. {'; '.join(found.remarks())}",
            f"Each class needs at least {MIN_PER_CLASS}, better 30.",
        )


def _first(root: Path, paths: tuple[Path, ...]) -> list[str]:
    return [p.relative_to(root).parts[0].lower() for p in paths]


def _names_splits(root: Path, paths: tuple[Path, ...]) -> bool:
    return set(_first(root, paths)) <= set(_PART_NAMES)


def _given_splits(
    root: Path, paths: tuple[Path, ...], labels: np.ndarray, seed: int
) -> np.ndarray | None:
    """Return the splits that the folders name, or None where they name none."""
    if not _names_splits(root, paths):
        return None
    part = np.array([_PART_NAMES[f] for f in _first(root, paths)], dtype=object)
    if set(part) == {"train", "test"}:
        rows = np.flatnonzero(part == "train")
        part[rows] = stratified_split(labels[rows], seed=seed, valid=0.2, test=0.0)
    return part if set(part) == set(_PARTS) else None


def stratified_split(
    labels: np.ndarray, *, seed: int, valid: float, test: float
) -> np.ndarray:
    """Return "train", "valid" or "test" for each row, the same shares per class."""
    rng, shares = np.random.default_rng(seed), (test, valid)
    part = np.full(len(labels), "train", dtype=object)
    for c in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == c))
        n_test, n_valid = (max(1, round(s * len(rows))) if s else 0 for s in shares)
        part[rows[:n_test]] = "test"
        part[rows[n_test : n_test + n_valid]] = "valid"
    return part


def check_splits(names: tuple[str, ...], splits: dict[str, Any], kind: str) -> None:
    """Make sure that every split has every class; ``kind`` is "picture" or "text"."""
    for key, split in splits.items():
        empty = [n for c, n in enumerate(names) if not (split.labels == c).any()]
        if empty:
            raise CourseError(
                f"The split {key!r} has no {kind} of {', '.join(map(repr, empty))}.",
                f"Put {kind}s of every class into it, or leave the splitting to us.",
            )
