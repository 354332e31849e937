"""Make a task of one's own pictures or of one's own table."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import unicodedata
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from . import machine, tasks
from .errors import CourseError

PICTURES = {s for s, f in Image.registered_extensions().items() if f in tasks.FORMATS}
#: What systems and programs leave beside one's own files; folders called "_…" are set
#: aside by hand, but a camera may call a picture so.
ADDED = re.compile(r"^_|(^|/)([.@#$]|__MACOSX/|(?i:thumbs\.db|desktop\.ini)$)")
#: What programs write where there is no label.
NO_LABEL = "-1|(?i:nan|none|null|n/?a)"
MIN_PER_CLASS, MAX_CLASSES = 5, 50
SPLITS = {"picture": tasks.ImageSplit, "text": tasks.TextSplit}

TWO = "At least two are needed, each with its own label or sub-folder."
MORE = f"Each class needs at least {MIN_PER_CLASS}, better 30."
CONVERT = "Save them as JPEG or PNG, or take the folder away."
FEWER = f"{MAX_CLASSES} classes are the limit; is it the column of the labels?"
RENAME = "Rename them, or say which they are: from_csv(path, text=..., label=...)."
QUOTE = 'Put each text between quotation marks, and write "" for one inside it.'


def from_folder(
    folder: str | Path,
    *,
    seed: int = 0,
    valid: float = 0.15,
    test: float = 0.3,
    limit: int = 1000,
) -> tasks.ImageTask:
    """Make a task of one's own pictures: one sub-folder per class.

    Broken pictures are skipped and named. Hidden files, what programs leave beside them
    (``@eaDir``, ``Thumbs.db``), folders called ``_…`` and files that are no pictures
    are left out and counted. Of exact copies one is kept, because a copy in the test
    split would make the score too good; what lies in two classes is left out.
    Sub-folders named ``train``, ``valid`` (or ``val``, ``validation``, ``dev``,
    ``eval``) and ``test`` are taken as the splits; where none is valid, some of train
    becomes it.

    Parameters
    ----------
    folder : path
        Holds one sub-folder per class; its name is the class name.
    seed : int
        Seed of the split.
    valid, test : float
        Share of each class to tune on and to judge with, 0 … 1.
    limit : int
        At most so many files of each folder, chosen at random, so that a large
        collection does not take hours on a laptop.

    Returns
    -------
    ImageTask
        Its card has ``remarks``: what was skipped, left out and chosen.

    Raises
    ------
    CourseError
        If the folder is missing or empty, or has fewer than two classes, or a class
        has no picture of a format that is read here, or fewer than five readable ones.
    """
    root, notes, broken = Path(folder).expanduser(), [], []
    table = _list_pictures(root, limit, seed, notes)
    paths = tqdm(table["item"], "checking pictures", leave=False)
    table["key"] = [_digest(path, broken) for path in paths]
    shown = "; ".join(broken[:5] + ["…"] * (len(broken) > 5))
    _note(notes, len(broken), f"skipped {{}} unreadable: {shown}")
    return _make(tasks.ImageTask, root, table, notes, seed=seed, valid=valid, test=test)


def _note(notes: list[str], n: int, text: str) -> None:
    """Remark on what happened n times, if it did."""
    if n:
        notes.append(text.replace("{}", str(n), 1))


def _list_pictures(root: Path, limit: int, seed: int, notes: list[str]) -> pd.DataFrame:
    """List the pictures in the folders of the classes: path, class, part or ""."""
    if not root.is_dir():
        what = ": it is a file, not a folder" if root.exists() else ""
        raise CourseError(f"There is no folder {root}{what}.", "Check the path.")
    every = [f.relative_to(root) for f in sorted(root.glob("*/**/*")) if f.is_file()]
    files = [f for f in every if not ADDED.search(f.as_posix())]
    _note(notes, len(every) - len(files), "left out {} files, hidden or set aside (_)")
    pictures = [f for f in files if f.suffix.lower() in PICTURES]
    _note(notes, len(files) - len(pictures), "passed over {} files, no pictures")
    deep = 1 + all(f.parts[0].lower() in tasks.PART_NAMES for f in pictures)
    own = [f for f in pictures if len(f.parts) > deep]
    _note(notes, len(pictures) - len(own), "passed over {} pictures beside the classes")
    rows = [(root / f, f.parts[deep - 1], f.parts[0].lower() * (deep > 1)) for f in own]
    bare = {f.parts[deep - 1] for f in files if len(f.parts) > deep}
    if bare := ", ".join(sorted(bare - {name for _, name, _ in rows})):
        raise CourseError(f"No file of {bare} is a picture that is read here.", CONVERT)
    table = pd.DataFrame(rows, columns=["item", "class", "part"], dtype=object)
    by = table.sample(frac=1, random_state=seed).groupby(["part", "class"])
    large = [f"{c}: {limit} of {n}" for (_, c), n in by.size().items() if n > limit]
    _note(notes, len(large), f"took at random {', '.join(large)}")
    return by.head(limit).sort_index()


def _digest(path: Path, broken: list[str]) -> str:
    """Return the sha256 of a picture; "" for a broken one, and say what is wrong."""
    try:
        tasks.read_image(path)
    except CourseError as error:
        reason = error.problem.rpartition("(")[2].rstrip(".)")
        broken.append(f"{path.parent.name}/{path.name} ({reason})")
        return ""
    return machine.file_sha256(path)


def from_csv(
    path: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    seed: int = 0,
    valid: float = 0.15,
    test: float = 0.3,
) -> tasks.TextTask:
    """Make a task of one's own table: a column of texts and one of labels.

    Comma, semicolon or tab may separate the columns; the file may be UTF-8, UTF-16 or
    Windows-1252, and packed (.gz, .xz). A row without label counts as unlabelled, as
    does a label -1, nan, None, null or NA, where two other classes are left. Rows
    without text are left out, and of exact copies one is kept: a copy in the test split
    would make the score too good. A column ``split`` with train, valid (or val,
    validation, dev, eval) and test is obeyed; where it names no valid part, some of
    train becomes one.

    Parameters
    ----------
    path : path of a CSV file with a header; .csv, .csv.gz or .csv.xz
    text, label : str
        Names of the columns; capitals do not matter.
    seed : int
        Seed of the split.
    valid, test : float
        Share of each class to tune on and to judge with, 0 … 1.

    Returns
    -------
    TextTask
        Its card has ``remarks``: what was unusual, left out and chosen.

    Raises
    ------
    CourseError
        If the file is missing, is no table, lacks one of the columns, has rows that
        cannot be told apart, or has fewer than two classes, more than fifty, or fewer
        than five texts in one of them.
    """
    file, notes = Path(path).expanduser(), []
    content, encoding = _read_text(file)
    _note(notes, encoding != "utf-8-sig", f"not UTF-8: read as {encoding}")
    table = _read_table(file.name, content, text.lower(), label.lower())
    _note(notes, content.count("\0"), "dropped {} null characters")
    table = table.replace("\0", "", regex=True)
    _note(notes, (table["key"] == "").sum(), "left out {} rows without text")
    none = table["class"].str.fullmatch(NO_LABEL)
    if len(set(table["class"][~none]) - {""}) > 1:  # or else they are classes
        _note(notes, none.sum(), "read -1, nan and the like as no label in {} rows")
        table["class"] = table["class"].mask(none, "")
    return _make(tasks.TextTask, file, table, notes, seed=seed, valid=valid, test=test)


def _read_text(file: Path) -> tuple[str, str]:
    """Unpack and decode a file; return its text, lines ended by LF, and encoding."""
    if not file.is_file():
        raise CourseError(f"There is no file {file}.", "Check the path in DATA.")
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(file.suffix.lower(), open)
    try:
        with opener(file, "rb") as stream:
            data = stream.read()
    except Exception as error:  # each format raises kinds of its own
        problem = f"{file} cannot be read or unpacked ({error})."
        raise CourseError(problem, "Save or download it again.") from None
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ["utf-16"] if wide else ["utf-8-sig", "cp1252", "latin-1"]:
        with suppress(UnicodeDecodeError):
            return re.sub("\r\n?", "\n", data.decode(encoding)), encoding
    raise CourseError(f"{file} starts as UTF-16 but is damaged.", "Save it as UTF-8.")


def _read_table(name: str, content: str, text: str, label: str) -> pd.DataFrame:
    """Read the columns text, label and split; make sure that no row is lost."""
    if content.count("\0") > len(content) / 100:
        raise CourseError(f"{name} holds null characters.", "Save the table as CSV.")
    told, content = re.match(r"(?:\s*sep=(.)\n)?(.*)", content, re.DOTALL).groups()
    separator = told or max(",;\t", key=content.lstrip("\n").partition("\n")[0].count)
    header, *rows = _rows(content, separator) or [""]
    if not header:
        raise CourseError(f"{name} is empty; there is no {text!r}.", RENAME)
    width = header.count(separator)
    options = {"sep": separator, "usecols": range(width + 1), "index_col": False}
    try:
        frame = pd.read_csv(io.StringIO(content), dtype=str, na_filter=False, **options)
    except ValueError as error:
        raise CourseError(f"{name} cannot be read ({error}).", QUOTE) from None
    odd = [row for row in rows if row.rstrip(separator).count(separator) > width]
    if odd or len(frame) != len(rows):
        odd += [row for row in rows if '"' in row] + [header]
        raise CourseError(f"{name}: rows run into one another, {odd[0][:60]!r}.", QUOTE)
    columns = {column.strip().lower(): values for column, values in frame.items()}
    if missing := [column for column in (text, label) if column not in columns]:
        got = ", ".join(map(repr, columns))
        problem = f"{name} has the columns {got}; there is no {missing[0]!r}."
        raise CourseError(problem, RENAME)
    # A spreadsheet may have made 1.0 of 1.
    labels = columns[label].str.strip().replace(r"^(-?\d+)\.0$", r"\1", regex=True)
    part = columns.get("split", pd.Series("", frame.index)).str.strip().str.lower()
    rows = pd.DataFrame({"item": columns[text], "class": labels, "part": part})
    return rows.assign(key=rows["item"].where(rows["item"].str.strip() != "", ""))


def _rows(content: str, separator: str) -> list[str]:
    """Return the rows; of each cell between quotation marks one mark is left."""
    cell = rf'"[^"]*(?:""[^"]*)*"(?= *(?:[{separator}\n]|\Z))'
    plain = re.sub(rf"(\A|[{separator}\n]){cell}", r'\1"', content)
    return [row for row in plain.split("\n") if row.strip(" \t".replace(separator, ""))]


def _make(
    make: type, path: Path, table: pd.DataFrame, notes: list[str], **shares: float
) -> tasks.Task:
    """Check the classes; split as the table says, or anew where that is incomplete."""
    kind = make.KIND.removesuffix("s")
    # é may be one letter or two; a folder's name may be bytes that are no letters.
    plain = [os.fsencode(name).decode("utf-8", "replace") for name in table["class"]]
    table["class"] = [unicodedata.normalize("NFC", name) for name in plain]
    clear = _drop_copies(table[table["key"] != ""], kind, notes)
    # A class of which nothing could be read must not vanish.
    names = tuple(sorted(set(table["class"]) - {""}))
    counts = clear["class"].value_counts().reindex(names, fill_value=0)
    _check_classes(counts, kind, path.name, "; ".join(["", *notes]))
    labels = pd.Index(names).get_indexer(clear["class"])  # -1 where there is none
    part = clear["part"].replace(tasks.PART_NAMES).to_numpy(object, copy=True)
    part[labels < 0] = "unlabelled"
    given = set(part[labels >= 0])
    if given != set(tasks.PARTS):
        carve = given == {"train", "test"}  # some of train becomes valid
        _note(notes, not carve and any(given), "split anew: the parts are incomplete")
        rows = part == "train" if carve else labels >= 0
        shares |= {"valid": 0.2, "test": 0.0} if carve else {}
        part[rows] = tasks.stratified_split(labels[rows], **shares)
    everything = SPLITS[kind](tuple(clear["item"]), labels)
    splits = {k: everything.take(np.flatnonzero(part == k)) for k in set(part)}
    tasks.check_splits(names, {k: splits[k] for k in tasks.PARTS}, kind)
    _note(notes, (labels < 0).sum(), "unlabelled {}")
    card = {"title": f"{make.KIND} in {path.name}", "remarks": notes}
    return make(path.name.split(".csv")[0], names, **splits, card=card)


def _drop_copies(table: pd.DataFrame, kind: str, notes: list[str]) -> pd.DataFrame:
    """Keep one of each key, a labelled one; none where the labels differ."""
    labels = table[table["class"] != ""].groupby("key")["class"].nunique()
    torn = labels.index[labels > 1]
    _note(notes, len(torn), f"left out {{}} {kind}s that have two different labels")
    clear = table[~table["key"].isin(torn)]
    order = clear.sort_values("class", ascending=False, kind="stable")
    kept = order.drop_duplicates("key").sort_index()
    _note(notes, len(clear) - len(kept), "left out {} exact copies")
    return kept


def _check_classes(counts: pd.Series, kind: str, place: str, said: str) -> None:
    """Make sure that there are two classes, and enough examples of each."""
    if len(counts) < 2:
        none = "no class with pictures" if kind == "picture" else "no label at all"
        got = f"only one class, {counts.index[0]!r}" if len(counts) else none
        raise CourseError(f"{place} has {got}{said}.", TWO)
    if kind == "text" and len(counts) > MAX_CLASSES:
        raise CourseError(f"{place} has {len(counts)} different labels.", FEWER)
    few = ", ".join(f"{n!r} has {k}" for n, k in counts.items() if k < MIN_PER_CLASS)
    if few:
        raise CourseError(f"Too few {kind}s: {few}{said}.", MORE)
