"""Whatever is written by usual programs comes back, is counted, or refused in words."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import tlhelpers as tl
from tlhelpers.own_data import _read_table, _read_text

hypothesis = pytest.importorskip("hypothesis")
given, st = hypothesis.given, hypothesis.strategies
FEW = hypothesis.settings(max_examples=60, deadline=None)

#: Letters of any script, marks, separators, breaks; no halves of letters, no NUL.
SIGN = st.characters(codec="utf-8", exclude_characters="\0\ufeff")
TEXT = st.text(SIGN, min_size=1, max_size=30)
ODD = st.text(st.sampled_from("ab \"'\n\r,;\t|#\\\u00e9"), min_size=1, max_size=12)
TEXTS = st.lists(TEXT | ODD, min_size=1, max_size=12)


def read(content: bytes) -> list[str] | None:
    """Read the texts of a table; None where it is refused in words."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        path.write_bytes(content)
        try:
            text, _ = _read_text(path)
            table = _read_table(path.name, text, ["text", "label"], [])
        except tl.CourseError as error:
            assert error.problem and error.next_step
            return None
    return [t.replace("\r", "\n") for t in table["item"]]  # as from_csv does


def one_end(text: str) -> str:
    return re.sub("\r\n|\r", "\n", text)


@FEW
@given(TEXTS, st.sampled_from([",", ";", "\t"]), st.sampled_from(["\n", "\r\n"]))
def test_what_pandas_writes_comes_back(texts, sep, end):
    table = pd.DataFrame({"text": texts, "label": "ham"})
    content = table.to_csv(index=False, sep=sep, lineterminator=end).encode()
    assert read(content) in ([one_end(t) for t in texts], None)


@FEW
@hypothesis.example(["a\r\r\nb"], ",", "utf-8-sig")
@given(TEXTS, st.sampled_from([",", ";"]), st.sampled_from(["utf-8-sig", "utf-16"]))
def test_what_a_spreadsheet_writes_comes_back(texts, sep, code):
    """Excel marks the encoding, doubles marks, and ends lines with CR LF."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=sep, lineterminator="\r\n")
    writer.writerows([["text", "label"], *([t, "ham"] for t in texts)])
    assert read(out.getvalue().encode(code)) in ([one_end(t) for t in texts], None)


PLAIN = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1)


@FEW
@given(st.lists(PLAIN, min_size=1, max_size=12), st.sampled_from([",", ";", "\t"]))
def test_plain_words_are_never_refused(texts, sep):
    table = pd.DataFrame({"text": texts, "label": "ham"})
    assert read(table.to_csv(index=False, sep=sep).encode()) == texts


FORMATS = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM", "TGA", "ICO", "PCX", "DIB"]
LETTER = st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories="C")
NAME = st.text(LETTER, min_size=1, max_size=12).filter(lambda n: n not in (".", ".."))
FILE = st.tuples(NAME, st.sampled_from(FORMATS), st.booleans())


@FEW
@given(st.lists(FILE, max_size=8))
def test_any_folder_comes_back_counted(files):
    """Any format of Pillow's under any name, with or without its suffix."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number, kind in enumerate(("one", "two")):
            (root / kind).mkdir()
            for i in range(6):
                colour = (40 * i, 90 * number, 9)
                Image.new("RGB", (9, 9), colour).save(root / kind / f"{i}.png")
        for i, (name, kind, named) in enumerate(files):
            path = root / "one" / (f"{name}.{kind.lower()}" if named else name)
            if not path.exists():
                image = Image.new("RGB", (9, 9), (250, 250, i))
                image.save(path, kind)
        n = sum(f.is_file() for f in root.rglob("*"))
        try:
            task = tl.from_folder(root)
        except tl.CourseError as error:
            assert error.problem and error.next_step
            return
    said = re.findall(r"(?:skipped|left out|passed over) (\d+)", str(task))
    kept = sum(len(part) for part in (task.train, task.valid, task.test))
    assert kept + sum(map(int, said)) == n, task.card["remarks"]
