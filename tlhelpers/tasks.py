"""A task: labelled examples in train, valid and test, with their provenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, ClassVar

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from .errors import CourseError

PARTS = ("train", "valid", "test")

#: What people call the parts, in the names of folders and in the column ``split``.
PART_NAMES = {"train": "train", "training": "train", "test": "test", "testing": "test"}
PART_NAMES |= dict.fromkeys("valid val validation dev eval".split(), "valid")

Image.init()
#: What is opened (HEIF where pillow-heif is registered). A file that another decoder
#: claims, for example a program in PostScript, is no picture.
FORMATS = "JPEG PNG WEBP AVIF HEIF TIFF GIF BMP PPM JPEG2000".split()
#: What programs write where nothing was measured, beside what the file itself names.
GAPS = (-9999.0, -32768.0, float(np.finfo(np.float32).min))

MAX_PIXELS = 60_000_000
SMALLER = "Make it smaller; 60 million pixels are the limit."
MORE = "Add examples that differ from the others, or let the course split them."


def open_picture(path: str | Path | BinaryIO) -> Image.Image:
    """Open a picture of one of the formats that are read here; a context.

    Parameters
    ----------
    path : path or open binary file

    Returns
    -------
    Image
        As Pillow opens it: size and mode are known, no pixel has been read.
    """
    # Pillow stops at a format that it does not know, and learns some late.
    return Image.open(path, formats=[f for f in FORMATS if f in Image.OPEN])


def read_image(path: str | Path | BinaryIO) -> Image.Image:
    """Read any picture as 8-bit RGB, upright, on white where transparent.

    CMYK is converted, of an animation the first frame is taken, and the EXIF
    orientation is applied. Of more than 8 bits the range is stretched to 8; what was
    not measured (NaN, -9999, or as the tag of GDAL says) is left out of it, and black.

    Parameters
    ----------
    path : path or open binary file
        JPEG, PNG, WebP, AVIF, TIFF, GIF, BMP, PPM or JPEG 2000, as far as this
        machine's Pillow reads them.

    Returns
    -------
    Image
        Mode "RGB", of the size of the file, or of that size turned upright.

    Raises
    ------
    CourseError
        If the file is no picture, is damaged, has more than 60 million pixels, or none
        with a value.
    """
    name = path if isinstance(path, (str, Path)) else "The picture"
    try:
        with open_picture(path) as image:
            if np.prod(image.size) > MAX_PIXELS:
                raise Image.DecompressionBombError("{} × {} pixels".format(*image.size))
            image.load()
            # GDAL_NODATA is a text, which need not hold a number.
            gap = pd.to_numeric(image.getexif().get(0xA481, "nan"), errors="coerce")
            return _to_rgb(ImageOps.exif_transpose(image), gap)
    except FileNotFoundError:
        raise CourseError(f"There is no picture {name}.", "Check the path.") from None
    except Image.DecompressionBombError as error:
        raise CourseError(f"{name} is too large ({error!s:.29}).", SMALLER) from None
    except Exception as error:  # each decoder raises kinds of its own
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "not a picture format" if unknown else str(error).strip() or "damaged"
        said = f"{name} cannot be read as a picture ({reason})."
        raise CourseError(said, "Remove it, or save it again as JPEG or PNG.") from None


def _to_rgb(image: Image.Image, gap: float) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        pixels = np.array(image, dtype=np.float64)
        gaps = np.isin(pixels, [*GAPS, gap, np.float32(gap)])
        pixels = np.ma.masked_invalid(np.where(gaps, np.nan, pixels))
        if not pixels.count():
            raise ValueError("no pixel has a value")
        # A 16-bit scan often uses part of the range only: stretch what is there.
        scaled = (pixels - pixels.min()) / max(np.ma.ptp(pixels), 1e-9) * 255
        image = Image.fromarray(scaled.filled(0).astype(np.uint8))
    elif "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def to_tensor(image: Image.Image, size: int) -> torch.Tensor:
    """Scale and centre-crop one picture to a square.

    Parameters
    ----------
    image : Image
        Mode "RGB".
    size : int
        Side in pixels, >= 1.

    Returns
    -------
    Tensor, shape (3, size, size), uint8, 0 … 255
    """
    fitted = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1)  # (h, w, 3) → (3, h, w)


class Split(Sequence):
    """Examples and their labels, its two fields; ``split[i]`` is a pair of them."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Sequence[int] | np.ndarray) -> Split:
        """Return the split with these rows only, in this order.

        Parameters
        ----------
        rows : sequence of int, 0 … n - 1

        Returns
        -------
        ImageSplit or TextSplit
        """
        examples, labels = vars(self).values()
        rows = np.asarray(rows, dtype=int)
        return type(self)(tuple(examples[i] for i in rows), labels[rows])


@dataclass(frozen=True)
class ImageSplit(Split):
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

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:  # type: ignore[override]
        return read_image(self.paths[i]), int(self.labels[i])

    def tensors(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Read all pictures at one size, into a temporary file that acts as memory.

        The file goes when the tensor does; TMPDIR says where it lies. Processes that
        are forked share it: what one changes, all see.

        Parameters
        ----------
        size : int
            Side in pixels; the shorter side is scaled to it, the rest cropped
            around the centre.

        Returns
        -------
        x : Tensor, shape (n, 3, size, size), uint8, 0 … 255
        y : Tensor, shape (n,), int64

        Raises
        ------
        OSError
            If there is no room for the file.
        """
        with TemporaryFile() as file:  # written first: a full disk is an error then
            for path in tqdm(self.paths, "reading pictures", leave=False):
                file.write(to_tensor(read_image(path), size).numpy().tobytes())
            file.write(bytes(3 * size * size))  # no file without a byte can be mapped
            x = np.memmap(file, "u1", "r+", 0, (len(self) + 1, 3, size, size))
        return torch.from_numpy(x)[: len(self)], torch.tensor(self.labels)  # a copy


@dataclass(frozen=True)
class TextSplit(Split):
    """Texts and labels; ``split[i]`` is a pair ``(str, int)``.

    Attributes
    ----------
    texts : tuple of str, length n
    labels : ndarray, shape (n,), int64
        Class numbers, 0 … n_classes - 1; -1 where there is no label.
    """

    texts: tuple[str, ...]
    labels: np.ndarray

    def __getitem__(self, i: int) -> tuple[str, int]:  # type: ignore[override]
        return self.texts[i], int(self.labels[i])


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

        Parameters
        ----------
        n_per_class : int
            1 … :attr:`smallest_class`.
        seed : int
            Seed of the choice.

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
            smallest = f"the smallest class of {self.name!r} has {self.smallest_class}"
            asked = f"You asked for {n_per_class} per class; {smallest}."
            raise CourseError(asked, f"Ask for 1 to {self.smallest_class}.")
        shuffled = np.random.default_rng(seed).permutation(len(self.train))
        classes = [self.train.labels[shuffled] == c for c in range(self.n_classes)]
        return np.concatenate([shuffled[mine][:n_per_class] for mine in classes])

    def sample(self, n_per_class: int, seed: int = 0) -> Task:
        """Keep ``n_per_class`` labelled training examples of each class.

        Parameters
        ----------
        n_per_class : int
            1 … :attr:`smallest_class`.
        seed : int
            Seed of the choice.

        Returns
        -------
        ImageTask or TextTask
            With the training rows of :meth:`rows`; all else is the same.

        Raises
        ------
        CourseError
            If a class has fewer training examples.
        """
        return replace(self, train=self.train.take(self.rows(n_per_class, seed)))

    def need(self, n: int = 1, *, why: str = "This needs") -> Task:
        """Make sure that each class has enough examples in train, valid and test.

        Parameters
        ----------
        n : int
            Examples of each class to learn from, >= 1; in valid and test one is enough.
        why : str
            The start of the sentence that asks for more.

        Returns
        -------
        ImageTask or TextTask
            The same.

        Raises
        ------
        CourseError
            Naming the first split that has too few, and the classes.
        """
        for part, least in zip(PARTS, (n, 1, 1)):
            counts = np.bincount(getattr(self, part).labels, minlength=self.n_classes)
            named = zip(counts, self.class_names)
            if few := ", ".join(f"{k} of {name!r}" for k, name in named if k < least):
                needs = f"{why} {least} or more {self.KIND} of each class in {part}"
                raise CourseError(f"{needs}; {self.name!r} has {few}.", MORE)
        return self

    def __str__(self) -> str:
        first = f"{self.name}: {self.n_classes} classes ({', '.join(self.class_names)})"
        counts = " · ".join(f"{part} {len(getattr(self, part))}" for part in PARTS)
        return "\n".join([first, counts, *map(str, self.card.get("remarks", []))])


class ImageTask(Task):
    """A picture task; its splits are :class:`ImageSplit`."""

    KIND, SPLIT = "pictures", ImageSplit

    @property
    def size(self) -> int:
        """Side in pixels that suits the pictures and the time they take."""
        return int(self.card.get("size_px", (160, 160))[0])

    def to_frame(self) -> pd.DataFrame:
        """List train and valid as fastai likes it.

        Returns
        -------
        DataFrame, one row per picture
            Columns "path", "label" (the class name) and "is_valid" (bool).
        """
        names = [self.class_names[c] for c in [*self.train.labels, *self.valid.labels]]
        paths = self.train.paths + self.valid.paths
        frame = pd.DataFrame({"path": paths, "label": names})
        return frame.assign(is_valid=frame.index >= len(self.train))


class TextTask(Task):
    """A text task; its splits are :class:`TextSplit`."""

    KIND, SPLIT = "texts", TextSplit


def stratified_split(
    labels: np.ndarray, *, seed: int, valid: float, test: float
) -> np.ndarray:
    """Divide rows into train, valid and test, in the same shares of each class.

    Parameters
    ----------
    labels : ndarray, shape (n,), int
    seed : int
        Seed of the choice.
    valid, test : float, 0 … 1
        Shares; what is above 0 gets at least one row of each class.

    Returns
    -------
    ndarray, shape (n,), object
        "train", "valid" or "test" for each row.
    """
    rng, shares = np.random.default_rng(seed), (test, valid)
    part = np.full(len(labels), "train", dtype=object)
    for c in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == c))
        n_test, n_valid = (max(1, round(s * len(rows))) if s else 0 for s in shares)
        part[rows[:n_test]] = "test"
        part[rows[n_test : n_test + n_valid]] = "valid"
    return part


def by_length(x: torch.Tensor) -> torch.Tensor:
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
    lengths = (x != 0).sum(dim=1) if is_pieces(x) else torch.zeros(len(x))
    return lengths.argsort(stable=True)


def is_pieces(x: torch.Tensor) -> bool:
    """Tell rows of the numbers of pieces from pictures and features.

    Parameters
    ----------
    x : Tensor, shape (n, ...), any dtype
        Pieces are whole numbers in two dimensions.

    Returns
    -------
    bool
        True for pieces.
    """
    return getattr(x, "ndim", 0) == 2 and not (x.is_floating_point() or x.is_complex())
