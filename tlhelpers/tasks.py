"""A task: labelled examples in train, valid and test, with their provenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from .errors import CourseError
from .machine import progress

if TYPE_CHECKING:
    from typing_extensions import Self

PARTS = ("train", "valid", "test")

MAX_PIXELS = 60_000_000


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

        x = torch.empty(len(self), 3, size, size, dtype=torch.uint8)
        for i, path in enumerate(progress(self.paths, "reading pictures")):
            x[i] = to_tensor(read_image(path), size)
        return x, torch.as_tensor(self.labels)


def to_tensor(image: Image.Image, size: int) -> Tensor:
    """Scale and centre-crop one picture: uint8, shape (3, size, size), 0 … 255."""

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


@dataclass(frozen=True)
class TextSplit(Sequence):
    """Texts and labels; ``split[i]`` is a pair ``(str, int)``.

    Attributes
    ----------
    texts : tuple of str, length n
    labels : ndarray, shape (n,), int64
        Class numbers, 0 … n_classes - 1; -1 where there is no label.
    """

    texts: tuple[str, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, i: int) -> tuple[str, int]:  # type: ignore[override]
        return self.texts[i], int(self.labels[i])

    def take(self, rows: Sequence[int] | np.ndarray) -> TextSplit:
        """Return the split with these rows only, in this order."""
        rows = np.asarray(rows, dtype=int)
        return TextSplit(tuple(self.texts[i] for i in rows), self.labels[rows])


@dataclass(frozen=True)
class TextTask(Task):
    """A text task; its splits are :class:`TextSplit`."""

    KIND: ClassVar[str] = "texts"


def by_length(x: Tensor) -> Tensor:
    """Order texts by length, which saves padding; anything else keeps its order.

    Parameters
    ----------
    x : Tensor, shape (n, ...)
        Texts are rows of the numbers of their pieces, int64, 0 where a text has ended.

    Returns
    -------
    Tensor, shape (n,), int64
        Row numbers.
    """

    if is_pieces(x):
        return (x != 0).sum(dim=1).argsort(stable=True)
    return torch.arange(len(x))


def is_pieces(x: Tensor) -> bool:
    """Tell rows of the numbers of pieces from pictures and features."""
    return x.ndim == 2 and not (x.is_floating_point() or x.is_complex())
