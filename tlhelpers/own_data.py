"""Make a task of one's own pictures or of one's own table."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import lzma
import random
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .errors import CourseError
from .machine import progress
from .tasks import (
    PARTS,
    ImageSplit,
    ImageTask,
    TextSplit,
    TextTask,
    check_splits,
    read_image,
    stratified_split,
)

PICTURE_SUFFIXES = frozenset(
    ".jpg .jpeg .png .gif .bmp .tif .tiff .webp .ppm .pgm .jfif".split()
)

MIN_PER_CLASS = 5


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
    splits = {k: everything.take(np.flatnonzero(part == k)) for k in PARTS}
    check_splits(names, splits, "picture")
    card = {"title": f"pictures in {root.name}", "remarks": found.remarks()}
    return ImageTask(root.name, names, **splits, card=card)


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
    return part if set(part) == set(PARTS) else None


ENCODINGS = ("utf-8-sig", "cp1252", "latin-1")

MAX_CLASSES = 50

#: What people call the part to choose by.
VALID_NAMES = ("valid", "val", "validation", "dev")

UNPACK = {".xz": lzma.decompress, ".gz": gzip.decompress}


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
