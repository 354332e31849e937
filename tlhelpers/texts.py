"""A task of texts, and how to make one of a table of one's own."""

from __future__ import annotations

import csv
import gzip
import io
import lzma
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from .errors import CourseError
from .tasks import MIN_PER_CLASS, Task, check_splits, stratified_split

if TYPE_CHECKING:
    from torch import Tensor

ENCODINGS = ("utf-8-sig", "cp1252", "latin-1")
MAX_CLASSES = 50
PARTS = ("train", "valid", "test")
#: What people call the part to choose by.
VALID_NAMES = ("valid", "val", "validation", "dev")
UNPACK = {".xz": lzma.decompress, ".gz": gzip.decompress}


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


def from_csv(
    path: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    seed: int = 0,
    valid: float = 0.15,
    test: float = 0.3,
) -> TextTask:
    """Make a task of one's own table: a column of texts and one of labels.

    Comma, semicolon or tab may separate the columns; the file may be UTF-8, UTF-16 or
    Windows-1252, and packed (.gz, .xz). A row without label counts as unlabelled. Rows
    without text are left out, and of exact copies one is kept: a copy in the test split
    would make the score too good. A column ``split`` with train, valid (or val,
    validation, dev) and test is obeyed; where it names no valid part, some of train
    becomes one.

    Parameters
    ----------
    path : path of a CSV file with a header; .csv, .csv.gz or .csv.xz
    text, label : str
        Names of the columns; capitals do not matter.
    seed : int
        Seed of the split.
    valid, test : float
        Share of each class to tune on and to judge with, 0 … 1.

    Raises
    ------
    CourseError
        If the file is missing, is no table, lacks one of the columns, or has fewer
        than two classes, more than fifty, or fewer than five texts in one of them.
    """
    file = Path(path).expanduser()
    rows, remarks = _read(file, text.lower(), label.lower())
    rows = _clean(rows, remarks)
    labelled = [row for row in rows if row["label"]]
    names = _class_names(file, label, [row["label"] for row in labelled])
    labels = np.array([names.index(row["label"]) for row in labelled], dtype=np.int64)
    given = np.array([row["split"] for row in labelled], dtype=object)
    given[np.isin(given, VALID_NAMES)] = "valid"
    if set(given) == {"train", "test"}:
        rest = np.flatnonzero(given == "train")
        given[rest] = stratified_split(labels[rest], seed=seed, valid=0.2, test=0.0)
    if set(given) != set(PARTS):
        given = stratified_split(labels, seed=seed, valid=valid, test=test)
    everything = TextSplit(tuple(row["text"] for row in labelled), labels)
    splits = {k: everything.take(np.flatnonzero(given == k)) for k in PARTS}
    check_splits(names, splits, "text")
    others = tuple(row["text"] for row in rows if not row["label"])
    if others:
        splits["unlabelled"] = TextSplit(others, np.full(len(others), -1))
        remarks.append(f"unlabelled {len(others)}")
    card = {"title": f"texts in {file.name}", "remarks": remarks}
    return TextTask(file.stem.removesuffix(".csv"), names, **splits, card=card)


def _read(file: Path, text: str, label: str) -> tuple[list[dict[str, str]], list[str]]:
    """Read the columns text, label and split; say what was unusual."""
    content, remarks = _decode(file)
    if "\0" in content:
        raise CourseError(
            f"{file} is no text file: it holds null characters.",
            "Save the table as CSV (UTF-8).",
        )
    limit = csv.field_size_limit(2**31 - 1)  # one text may be a megabyte
    try:
        first = content.partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
        table = csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter)
        columns = [(c or "").strip().lower() for c in table.fieldnames or []]
        table.fieldnames = columns
        for wanted in (text, label):
            if wanted not in columns:
                raise CourseError(
                    f"{file.name} has the columns {', '.join(map(repr, columns))}; "
                    f"there is no {wanted!r}.",
                    "Rename them in the file's first line, or say which they are: "
                    "from_csv(path, text=..., label=...).",
                )
        rows = [
            {
                "text": row[text] or "",
                "label": _label(row[label]),
                "split": (row.get("split") or "").strip().lower(),
            }
            for row in table
        ]
    except csv.Error as error:
        raise CourseError(
            f"{file} cannot be read as a table ({error}).", "Save it again as CSV."
        ) from None
    finally:
        csv.field_size_limit(limit)
    return rows, remarks


def _decode(file: Path) -> tuple[str, list[str]]:
    if not file.is_file():
        raise CourseError(f"There is no file {file}.", "Check the path in DATA.")
    data = _unpack(file)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return data.decode("utf-16"), ["read as UTF-16"]
        except UnicodeDecodeError:
            raise CourseError(
                f"{file} starts as UTF-16 but is damaged.", "Save it again as UTF-8."
            ) from None
    for encoding in ENCODINGS:
        try:
            content = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        usual = encoding == ENCODINGS[0]
        return content, [] if usual else [f"not UTF-8: read as {encoding}"]
    raise AssertionError("latin-1 decodes everything")


def _unpack(file: Path) -> bytes:
    data, unpack = file.read_bytes(), UNPACK.get(file.suffix.lower())
    try:
        return unpack(data) if unpack else data
    except (OSError, EOFError, lzma.LZMAError, zlib.error):
        raise CourseError(
            f"{file} cannot be unpacked: it is damaged, or no {file.suffix} file.",
            "Save or download it again.",
        ) from None


def _label(value: str | None) -> str:
    """Tidy a label; a number that a spreadsheet made 1.0 is 1 again."""
    value = (value or "").strip()
    whole = value.removesuffix(".0")
    return whole if whole.lstrip("-").isdigit() else value


def _clean(rows: list[dict[str, str]], remarks: list[str]) -> list[dict[str, str]]:
    """Leave out what has no text, what is a copy and what contradicts itself."""
    filled = [row for row in rows if row["text"].strip()]
    if len(filled) < len(rows):
        remarks.append(f"left out {len(rows) - len(filled)} rows without text")
    said: dict[str, set[str]] = {}
    for row in filled:
        said.setdefault(row["text"], set()).update({row["label"]} - {""})
    kept: dict[str, dict[str, str]] = {}
    for row in filled:
        labels = said[row["text"]]
        if len(labels) < 2 and (row["label"] or not labels):
            kept.setdefault(row["text"], row)
    torn = sum(len(labels) > 1 for labels in said.values())
    if torn:
        remarks.append(f"left out {torn} texts that have two different labels")
    copies = len(filled) - len(kept) - sum(len(said[r["text"]]) > 1 for r in filled)
    if copies:
        remarks.append(f"left out {copies} exact copies")
    return list(kept.values())


def _class_names(file: Path, label: str, labels: list[str]) -> tuple[str, ...]:
    names = sorted(set(labels))
    if len(names) < 2:
        got = f"only one class, {names[0]!r}" if names else "no label at all"
        raise CourseError(
            f"{file.name} has {got} in the column {label!r}.",
            "At least two classes are needed.",
        )
    if len(names) > MAX_CLASSES:
        raise CourseError(
            f"The column {label!r} of {file.name} has {len(names)} different values.",
            f"{MAX_CLASSES} classes are the limit; is it the column of the labels?",
        )
    small = {n: labels.count(n) for n in names if labels.count(n) < MIN_PER_CLASS}
    if small:
        listed = ", ".join(f"{n!r} has {k}" for n, k in small.items())
        raise CourseError(
            f"Too few texts: {listed}.",
            f"Each class needs at least {MIN_PER_CLASS}, better 30.",
        )
    return tuple(names)


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
    import torch

    if is_pieces(x):
        return (x != 0).sum(dim=1).argsort(stable=True)
    return torch.arange(len(x))


def is_pieces(x: Tensor) -> bool:
    """Tell rows of the numbers of pieces from pictures and features."""
    return x.ndim == 2 and not (x.is_floating_point() or x.is_complex())
