"""Make a task of one's own pictures or of one's own table."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from . import machine, tasks
from .errors import CourseError

#: What systems and programs leave beside one's own files; folders called "_…" are set
#: aside by hand, but a camera may call a picture so.
ADDED = re.compile(r"^_|(^|/)([.@#$]|__MACOSX/|(?i:thumbs\.db|desktop\.ini)$)")
#: Columns that may say what is train and what is test; the first one that is there.
SPLIT_NAMES = ("split", "set", "subset", "partition", "part", "fold", "usage")
#: What programs write where there is no label.
NO_LABEL = r"-1|\?|(?i:nan|none|null|#?n/?a|<na>)"
#: Soft hyphens, marks of the byte order or the direction and the like: unseen.
INVISIBLE = "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
MIN_PER_CLASS, MAX_CLASSES = 5, 50
MAX_LENGTH = 500_000  # of a text; spaCy refuses a million characters

TWO = "At least two are needed, each with its own label or sub-folder."
MORE = f"Each class needs at least {MIN_PER_CLASS}, better 30."
LAYOUT = "Use DATA/CLASS/picture or DATA/PART/CLASS/picture for every picture."
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

    Broken pictures are skipped and named, links inside a class are named and not
    followed. Hidden files, what programs leave beside them (``@eaDir``, ``Thumbs.db``),
    folders called ``_…`` and files that are no pictures are left out and counted. Of
    exact copies one is kept, because a copy in the test split would make the score too
    good; what lies in two classes is left out.
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
        At most so many different pictures of each folder, chosen at random, so that a
        large collection does not take hours on a laptop.

    Returns
    -------
    ImageTask
        Its card has ``remarks``: what was skipped, left out and chosen.

    Raises
    ------
    CourseError
        If the folder is missing or empty, if it cannot be told whether its sub-folders
        are classes or splits, if it has fewer than two classes, or a class has no
        picture of a format that is read here, or fewer than five readable ones.
    """
    root, notes = Path(folder).expanduser(), []
    table = _list_pictures(root, notes)
    table["key"] = _read_keys(table, limit, seed, notes)
    return _make(tasks.ImageTask, root, table, notes, seed=seed, valid=valid, test=test)


def _note(notes: list[str], n: int, text: str) -> None:
    """Remark on what happened n times, if it did."""
    if n:
        notes.append(text.replace("{}", str(n), 1))


def _some(names: Iterable) -> str:
    """Name five at most."""
    shown = sorted(map(str, names))
    return "; ".join(shown[:5] + ["…"] * (len(shown) > 5))


def _list_pictures(root: Path, notes: list[str]) -> pd.DataFrame:
    """List the pictures in the folders of the classes: path, class, part or ""."""
    if not root.is_dir():
        what = ": it is a file, not a folder" if root.exists() else ""
        raise CourseError(f"There is no folder {root}{what}.", "Check the path.")
    # Links inside a class are not followed, because they may run in circles.
    every = [f.relative_to(root) for f in (*root.glob("*"), *root.glob("*/**/*"))]
    seen = sorted({f for f in every if not ADDED.search(f.as_posix())})
    files = [f for f in seen if (root / f).is_file()]
    hidden = sum((root / f).is_file() for f in {*every}) - len(files)
    _note(notes, hidden, "left out {} files, hidden or set aside (_)")
    links = [f for f in {*seen} - {*files} if f.parts[1:] and (root / f).is_symlink()]
    _note(notes, len(links), f"passed over {{}} links: {_some(links)}")
    known = {s for s, f in Image.registered_extensions().items() if f in tasks.FORMATS}
    pictures = [f for f in files if f.suffix.lower() in known]
    _note(notes, len(files) - len(pictures), "passed over {} files (not pictures)")
    deep = _depth(pictures)
    own = [f for f in pictures if len(f.parts) > deep]
    _note(notes, len(pictures) - len(own), "passed over {} pictures beside the classes")
    rows = [(root / f, f.parts[deep - 1], f.parts[0] * (deep > 1)) for f in own]
    bare = {f.name for f in {*seen} - {*files} if len(f.parts) == deep}
    if bare := bare - {name for _, name, _ in rows}:
        raise CourseError(f"No file in {_some(bare)} is a picture.", CONVERT)
    return pd.DataFrame(rows, columns=["item", "class", "part"], dtype=object)


def _depth(pictures: list[Path]) -> int:
    """Return 2 where parts hold the classes, 1 where nobody made parts, or refuse."""
    tops = {f.parts[0] for f in pictures if f.parts[1:]}
    below = {f.parts[:2] for f in pictures if f.parts[2:]}
    parts = {top for top in tops if top.strip().lower() in tasks.PART_NAMES}
    holding, names = ({pair[k] for pair in below} for k in (0, 1))
    alike = len(below) == len(tops) * len(names) > 0
    if parts != tops and (alike or parts & holding or tasks.PART_NAMES.keys() & names):
        got = f"{_some(tops)}, which hold {_some(names)}"
        raise CourseError(f"Are these folders classes or parts? {got}.", LAYOUT)
    return 1 + (parts == tops)


def _read_keys(table: pd.DataFrame, limit: int, seed: int, notes: list) -> pd.Series:
    """Return the sha256 of so many different pictures of each folder, else ""."""
    keys, broken, large = pd.Series("", table.index), [], []
    by = table.sample(frac=1, random_state=seed).groupby(["part", "class"])["item"]
    for (_, name), paths in by:
        different = {""}
        for i, path in tqdm(paths.items(), "checking pictures", len(paths), False):
            if len(different) > limit:  # neither broken ones nor copies count
                break
            try:
                tasks.read_image(path)
                keys[i] = machine.file_sha256(path)
                different.add(keys[i])
            except CourseError as error:
                reason = error.problem.rpartition("(")[2].rstrip(".)")
                broken.append(f"{path.parent.name}/{path.name} ({reason})")
        if len(different) > limit < len(paths):
            large.append(f"{name}: {limit} of {len(paths)}")
    _note(notes, len(large), f"took random samples of {{}} folders: {', '.join(large)}")
    _note(notes, len(broken), f"skipped {{}} unreadable: {_some(broken)}")
    return keys


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

    Comma, semicolon, tab or bar may separate the columns; the file may be UTF-8 but for
    a few bytes, UTF-16 or Windows-1252, and packed (.gz, .xz). A row without label
    counts as unlabelled, as does a label -1, ?, nan, none, null, na, n/a, #na, #n/a or
    <na>, capitals or not, where two other classes are left. Rows without text are left
    out, longer texts are cut to 500,000 characters, and of exact copies one is kept: a
    copy in the test split would make the score too good. A column ``split`` (or set,
    subset, partition, part, fold, usage) with train, valid (or val, validation, dev,
    eval) and test is obeyed; where it names no valid part, some of train becomes one.

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
        If the file is missing, is no table, lacks one of the columns or has it twice,
        has rows that cannot be told apart, or has fewer than two classes, more than
        fifty, or fewer than five texts in one of them.
    """
    file = Path(path).expanduser()
    content, notes = _read_text(file)
    table = _read_table(file.name, content, [text.lower(), label.lower()], notes)
    _note(notes, content.count("\0"), "dropped {} null characters")
    long = table["item"].str.len() > MAX_LENGTH
    _note(notes, long.sum(), f"cut {{}} texts to {MAX_LENGTH:,} characters")
    table["item"] = table["item"].str[:MAX_LENGTH]
    _note(notes, content.count("\r"), "read {} bare carriage returns as line breaks")
    table = table.replace("\r", "\n", regex=True)
    _note(notes, (table["key"] == "").sum(), "left out {} rows without text")
    none = table["class"].str.fullmatch(NO_LABEL)
    if len(set(table["class"][~none]) - {""}) > 1:  # or else they are classes
        _note(notes, none.sum(), "read -1, nan and the like as no label in {} rows")
        table["class"] = table["class"].mask(none, "")
    return _make(tasks.TextTask, file, table, notes, seed=seed, valid=valid, test=test)


def _read_text(file: Path) -> tuple[str, list[str]]:
    """Unpack and decode a file; return its text, lines ended by LF, and remarks."""
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(file.suffix.lower(), open)
    try:
        with opener(file, "rb") as stream:
            data = stream.read()
    except Exception as error:  # each format raises kinds of its own
        problem = f"The file {file} cannot be read or unpacked ({error})."
        raise CourseError(problem, "Check the path, or save it again.") from None
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = data.decode("utf-16" if wide else "utf-8-sig", "replace")
    bad = text.count("\ufffd") - data.count("\ufffd".encode())
    said = [f"replaced {bad} bytes that are not UTF-8"] * (bad > 0)
    # In an older encoding nearly every letter beyond ASCII is wrong.
    if 2 * bad > len(text) - len(text.encode("ascii", "ignore")):
        text, said = data.decode("cp1252", "replace"), ["not UTF-8: read as cp1252"]
    # Beside other ends of lines, a carriage return alone stands inside a text.
    return re.sub("\r\n" if "\n" in text else "\r", "\n", text), said


def _read_table(name: str, content: str, needed: list, notes: list) -> pd.DataFrame:
    """Read the columns text, label and split; make sure that no row is lost."""
    if content.count("\0") > len(content) / 100:
        raise CourseError(f"{name} holds null characters.", "Save the table as CSV.")
    told, content = re.match(r"(?:\s*sep=([^\n])\n)?\n*(.*)", content, re.S).groups()
    separator = told or max(",;\t|", key=content.partition("\n")[0].count)
    # pandas 2 ends a text at a null character.
    rows = _rows(content := content.replace("\0", ""), separator) or [""]
    width = rows[0].count(separator) + 1
    shape = {"sep": separator, "lineterminator": "\n", "header": None, "dtype": str}
    shape |= {"names": range(width), "usecols": range(width), "index_col": False}
    table = pd.DataFrame()
    with suppress(ValueError):  # a mark that is never closed
        table = pd.read_csv(io.StringIO(content or '""'), na_filter=False, **shape)
    odd = [row for row in rows if row.rstrip(separator).count(separator) >= width]
    if odd or len(table) != len(rows):
        odd += [row for row in rows if '"' in row] + rows
        raise CourseError(f"{name}: rows run into one another, {odd[0][:60]!r}.", QUOTE)
    header = table.iloc[0].str.strip().str.lower().str.normalize("NFC")
    named = table[1:].map(lambda cell: cell.strip().lower() in tasks.PART_NAMES).any()
    split = next((c for c in SPLIT_NAMES if c in {*header[named]} - {*needed}), "split")
    named = header[header.isin({*needed, split})]
    if named.duplicated().any() or not {*needed} <= {*named}:
        got = f"{name} has the columns {', '.join(map(repr, header))}"
        raise CourseError(f"{got}; it needs one {' and one '.join(needed)}.", RENAME)
    (text, label), columns = needed, table.iloc[1:].set_axis(header, axis=1)
    # A spreadsheet may have made 1.0 of 1.
    labels = columns[label].str.strip().replace(r"^(-?\d+)\.0+$", r"\1", regex=True)
    # A mark may have been closed by chance, by one that stands rows later.
    known = "|".join(map(re.escape, labels[labels != ""].unique()[:MAX_CLASSES]))
    end = re.escape(separator)
    row = end.join(f"(?:{known})" if c == label else f"[^{end}\n]*" for c in header)
    odd = [t[:40] for t in columns[text] if re.search(f"^{row}\n|\n{row}$", t, re.M)]
    _note(notes, len(odd), f"{{}} texts seem to hold rows: {_some(map(repr, odd))}")
    part = columns.get(split, pd.Series("", labels.index))
    rows = pd.DataFrame({"item": columns[text], "class": labels, "part": part})
    return rows.assign(key=rows["item"].where(rows["item"].str.strip() != "", ""))


def _rows(content: str, separator: str) -> list[str]:
    """Return the rows; in place of each cell between quotation marks stands "…"."""
    end = re.escape(separator)
    cell = rf'"[^"]*(?:""[^"]*)*"(?= *(?:[{end}\n]|\Z))'
    plain = re.sub(rf"(\A|[{end}\n]){cell}", r"\1…", content)
    return [row for row in plain.split("\n") if row.strip(" \t".replace(separator, ""))]


def _make(
    make: type, path: Path, table: pd.DataFrame, notes: list[str], **shares: float
) -> tasks.Task:
    """Check the classes; split as the table says, or anew where that is incomplete."""
    kind = make.KIND.removesuffix("s")
    # é may be one letter or two; a folder's name may be bytes that are no letters.
    plain = table["class"].map(os.fsencode).str.decode("utf-8", "replace")
    plain = plain.str.normalize("NFC").str.replace(INVISIBLE, "", regex=True)
    table["class"] = plain.str.split().str.join(" ")
    clear = _drop_copies(table[table["key"] != ""], kind, notes)
    # A class of which nothing could be read must not vanish.
    names = tuple(sorted(set(table["class"]) - {""}))
    counts = clear["class"].value_counts().reindex(names, fill_value=0)
    _check_classes(counts, kind, path.name, "; ".join(["", *notes]))
    labels = pd.Index(names).get_indexer(clear["class"])  # -1 where there is none
    part = clear["part"].str.strip().str.lower().replace(tasks.PART_NAMES)
    part = part.to_numpy(object, copy=True)
    part[labels < 0] = "unlabelled"
    given = set(part[labels >= 0])
    if given != set(tasks.PARTS):
        carve = given == {"train", "test"}  # some of train becomes valid
        _note(notes, not carve and any(given), f"split anew; found {sorted(given)[:9]}")
        rows = part == "train" if carve else labels >= 0
        shares |= {"valid": 0.2, "test": 0.0} if carve else {}
        part[rows] = tasks.stratified_split(labels[rows], **shares)
    whole = make.SPLIT(tuple(clear["item"]), labels)
    splits = {k: whole.take(np.flatnonzero(part == k)) for k in {*tasks.PARTS, *part}}
    _note(notes, (labels < 0).sum(), "unlabelled {}")
    card = {"title": f"{make.KIND} in {path.name}", "remarks": notes}
    return make(path.name.split(".csv")[0], names, **splits, card=card).need()


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
        got = f"only one class, {counts.index[0]!r}" if len(counts) else "no class"
        raise CourseError(f"{place} has {got} with {kind}s{said}.", TWO)
    if kind == "text" and len(counts) > MAX_CLASSES:
        raise CourseError(f"{place} has {len(counts)} different labels.", FEWER)
    few = ", ".join(f"{n!r} has {k}" for n, k in counts.items() if k < MIN_PER_CLASS)
    if few:
        raise CourseError(f"Too few {kind}s: {few}{said}.", MORE)
