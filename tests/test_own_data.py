"""Own tables and folders: what is read, what is left out and said, what is refused."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from pictures import draw, fill
from PIL import features

import tlhelpers as tl
from tlhelpers import own_data
from tlhelpers.tasks import ImageSplit, TextSplit

WORDS = {"ham": "see you at the harbour", "spam": "win a harbour now"}


def table(n: int = 12, columns: str = "text,label", separator: str = ",") -> str:
    """Write n texts of each class, all different."""
    rows = [f"{WORDS[c]} {i}{separator}{c}" for i in range(n) for c in WORDS]
    return "\n".join([columns.replace(",", separator), *rows]) + "\n"


@pytest.fixture
def write(tmp_path):
    def put(content: str | bytes, encoding: str = "utf-8"):
        path = tmp_path / "mail.csv"
        data = content if isinstance(content, bytes) else content.encode(encoding)
        path.write_bytes(data)
        return path

    return put


def everything(task) -> list[tuple[str, str]]:
    parts = (task.train, task.valid, task.test)
    return sorted((t, task.class_names[c]) for p in parts for t, c in p)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_reads_usual_tables(write, separator, encoding):
    task = tl.from_csv(write(table(separator=separator), encoding))
    assert task.class_names == ("ham", "spam")
    assert len(everything(task)) == 24
    assert everything(task)[0] == ("see you at the harbour 0", "ham")
    assert task.unlabelled is None


def test_splits_are_stratified_and_repeat_themselves(write):
    path = write(table(40))
    first, again = tl.from_csv(path, seed=3), tl.from_csv(path, seed=3)
    other = tl.from_csv(path, seed=4)
    assert first.test.texts == again.test.texts != other.test.texts
    for split, n in ((first.train, 22), (first.valid, 6), (first.test, 12)):
        assert np.bincount(split.labels).tolist() == [n, n]
    everyone = [t for p in (first.train, first.valid, first.test) for t in p.texts]
    assert len(set(everyone)) == 80


def test_column_split_is_obeyed(write):
    lines = table(9, "text,label,split").splitlines()
    parts = ["train", "valid", "test"]
    rows = [f"{row},{parts[i // 2 % 3]}" for i, row in enumerate(lines[1:])]
    task = tl.from_csv(write("\n".join([lines[0], *rows])))
    for part, numbers in zip(parts, ("036", "147", "258")):
        assert {t[-1] for t in getattr(task, part).texts} == set(numbers)


def test_rows_without_label_are_unlabelled(write):
    task = tl.from_csv(write(table() + "who knows,\nnobody,  \n"))
    assert task.unlabelled.texts == ("who knows", "nobody")
    assert task.unlabelled.labels.tolist() == [-1, -1]
    assert "unlabelled 2" in str(task)


def test_other_column_names_are_named_and_can_be_given(write):
    path = write(table(columns="Message,Class"))
    with pytest.raises(
        tl.CourseError, match="'message', 'class'; it needs one text and one label"
    ):
        tl.from_csv(path)
    task = tl.from_csv(path, text="message", label="CLASS")
    assert task.class_names == ("ham", "spam")


def test_old_encoding_is_read_and_said(write):
    task = tl.from_csv(write((table() + "café £5,ham\n").encode("cp1252")))
    assert ("café £5", "ham") in everything(task)
    assert "not UTF-8: read as cp1252" in str(task)


def test_empty_texts_and_copies_are_left_out_and_said(write):
    more = ' ,ham\n"",spam\nwin a harbour now 0,spam\ntorn,ham\ntorn,spam\n'
    task = tl.from_csv(write(table() + more))
    assert len(everything(task)) == 24
    said = str(task)
    assert "left out 2 rows without text" in said
    assert "left out 1 exact copies" in said
    assert "left out 1 texts that have two different labels" in said


def test_a_labelled_copy_beats_an_unlabelled_one(write):
    task = tl.from_csv(write(table() + "win a harbour now 0,\n"))
    assert task.unlabelled is None
    assert len(everything(task)) == 24


def test_long_emoji_and_right_to_left_texts_are_kept_whole(write):
    long, odd = "word " * 100_000, "🎉 שלום مرحبا"
    task = tl.from_csv(write(table() + f'"{long}",spam\n{odd},ham\n'))
    assert (long, "spam") in everything(task)
    assert (odd, "ham") in everything(task)


def test_line_breaks_and_quotes_inside_a_text_are_kept(write):
    text = 'Subject: hi\n\nshe said "no", twice'
    quoted = text.replace('"', '""')
    task = tl.from_csv(write(table() + f'"{quoted}",ham\n'))
    assert (text, "ham") in everything(task)


@pytest.mark.parametrize(
    ("labels", "names"),
    [(("0", "1"), ("0", "1")), (("0.0", "1.0"), ("0", "1")), (("no", "yes"),) * 2],
)
def test_labels_may_be_numbers_or_words(write, labels, names):
    content = table().replace(",ham", f",{labels[0]}").replace(",spam", f",{labels[1]}")
    assert tl.from_csv(write(content)).class_names == names


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (table().replace(",spam", ",ham"), "only one class, 'ham'"),
        (table().replace(",spam", ",").replace(",ham", ","), "has no class with texts"),
        (table(3), "Too few texts: 'ham' has 3, 'spam' has 3"),
        ("text,label\n" + "".join(f"a{i},b{i}\n" for i in range(60)), "60 different"),
        ("", "it needs one text and one label"),
        (b"PK\x03\x04\x00\x00\x00", "null characters"),
        (b"\xff\xfet", "it needs one text and one label"),
    ],
)
def test_bad_tables_are_refused_with_the_reason(write, content, said):
    with pytest.raises(tl.CourseError, match=said):
        tl.from_csv(write(content))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(tl.CourseError, match="No such file or directory"):
        tl.from_csv(tmp_path / "none.csv")


def test_the_limit_of_the_csv_module_is_put_back(write):
    before = csv.field_size_limit()
    tl.from_csv(write(table()))
    assert csv.field_size_limit() == before


def test_samples_count_texts(write):
    task = tl.from_csv(write(table(40)))
    assert np.bincount(task.sample(5, seed=1).train.labels).tolist() == [5, 5]
    with pytest.raises(tl.CourseError, match="asked for 99 per class; the smallest"):
        task.sample(99)


def test_take_keeps_order_and_labels():
    split = TextSplit(("a", "b", "c"), np.array([0, 1, -1]))
    taken = split.take([2, 0])
    assert list(taken) == [("c", -1), ("a", 0)]
    assert len(taken) == 2


# --- packed, and split by somebody else ----------------------------------------------


def split_table(names: dict[str, int]) -> str:
    """Write so many texts of each class for each name in the column split."""
    rows = ["text,label,split"]
    for name, n in names.items():
        rows += [f"{WORDS[c]} {name} {i},{c},{name}" for i in range(n) for c in WORDS]
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("name", ["valid", "val", "validation", "dev", "Dev"])
def test_the_part_to_choose_by_has_many_names(write, name):
    task = tl.from_csv(write(split_table({"train": 6, name: 3, "test": 4})))
    assert [len(s) for s in (task.train, task.valid, task.test)] == [12, 6, 8]
    assert all(f" {name} " in text for text in task.valid.texts)


def test_without_a_valid_part_some_of_train_becomes_one(write):
    task = tl.from_csv(write(split_table({"train": 10, "test": 4})))
    assert [len(s) for s in (task.train, task.valid, task.test)] == [16, 4, 8]
    assert all(" train " in text for text in task.valid.texts)
    assert all(" test " in text for text in task.test.texts)


@pytest.mark.parametrize(("suffix", "pack"), [(".xz", lzma), (".gz", gzip)])
def test_packed_tables_are_read(write, tmp_path, suffix, pack):
    plain = write(table())
    packed = tmp_path / f"mail.csv{suffix}"
    packed.write_bytes(pack.compress(plain.read_bytes()))
    assert everything(tl.from_csv(packed)) == everything(tl.from_csv(plain))
    assert tl.from_csv(packed).name == tl.from_csv(plain).name == "mail"


@pytest.mark.parametrize(("suffix", "pack"), [(".xz", lzma), (".gz", gzip)])
def test_damaged_packing_is_said(tmp_path, suffix, pack):
    packed, whole = tmp_path / f"mail.csv{suffix}", pack.compress(table().encode())
    for content in (whole[:-20], b"text,label\n", whole[:30] + b"??" + whole[32:]):
        packed.write_bytes(content)
        with pytest.raises(tl.CourseError, match="unpacked"):
            tl.from_csv(packed)


def test_the_words_of_folders_and_tables_for_the_parts_are_the_same(write):
    names = {"training": 6, "eval": 3, "Testing": 4}
    task = tl.from_csv(write(split_table(names)))
    assert [len(s) for s in (task.train, task.valid, task.test)] == [12, 6, 8]


def test_a_split_that_cannot_be_obeyed_is_said(write):
    task = tl.from_csv(write(split_table({"train": 10, "holdout": 10})))
    assert "split anew" in str(task)
    assert min(len(s) for s in (task.train, task.valid, task.test)) >= 6
    assert task.card["remarks"] == ["split anew; found ['holdout', 'train']"]


@pytest.mark.parametrize("column", ["set", "Fold", " Subset ", "PARTITION"])
def test_the_column_of_the_parts_has_many_names(write, column):
    content = split_table({"Train": 6, "val": 3, "test": 4})
    task = tl.from_csv(write(content.replace("split", column, 1)))
    assert [len(s) for s in (task.train, task.valid, task.test)] == [12, 6, 8]
    assert task.card["remarks"] == []


def test_the_column_split_comes_before_another_one_of_parts(write):
    rows = split_table({"train": 8, "test": 4}).splitlines()
    other = ["set"] + ["test" if "train" in row else "train" for row in rows[1:]]
    content = "\n".join(f"{b},{a}" for a, b in zip(rows, other))
    task = tl.from_csv(write(content))
    assert all(" test " in text for text in task.test.texts)
    assert task.card["remarks"] == []


@pytest.mark.parametrize("column", ["set", "part", "usage"])
def test_a_column_of_other_words_holds_no_parts(write, column):
    rows = table(12).splitlines()
    other = [column] + [["noun", "verb"][i % 2] for i in range(len(rows) - 1)]
    task = tl.from_csv(write("\n".join(map(",".join, zip(rows, other)))))
    assert task.card["remarks"] == []


def test_a_column_of_other_words_hides_none_of_parts(write):
    rows = (
        split_table({"train": 8, "test": 4}).replace("split", "usage", 1).splitlines()
    )
    other = ["set"] + [str(i) for i in range(len(rows) - 1)]
    task = tl.from_csv(write("\n".join(map(",".join, zip(rows, other)))))
    assert all(" test " in text for text in task.test.texts)


def test_a_label_may_be_called_set(write):
    task = tl.from_csv(write(table(columns="text,set")), label="set")
    assert task.class_names == ("ham", "spam") and task.card["remarks"] == []


@pytest.mark.parametrize(
    "sign", ["ham \u200b", " \ufeff ham", "ham\u200e", "\u202aham\u202c", "ham\u00a0"]
)
def test_signs_that_nobody_sees_beside_a_blank_make_no_class(write, sign):
    task = tl.from_csv(write(table() + f"see the harbour,{sign}\n"))
    assert task.class_names == ("ham", "spam")
    assert ("see the harbour", "ham") in everything(task)


def test_blanks_inside_a_name_are_one(tmp_path):
    fill(tmp_path / "black cat", "disc", range(6))
    fill(tmp_path / "black\u00a0 cat", "disc", range(6, 12))
    fill(tmp_path / "dog", "square", range(6))
    assert tl.from_folder(tmp_path).class_names == ("black cat", "dog")


def test_labels_of_decimals_without_a_fraction_are_whole_numbers(write):
    content = table().replace(",ham", ",1.00").replace(",spam", ",2.0")
    assert tl.from_csv(write(content + "see,1\n")).class_names == ("1", "2")


# --- pandas' reader reads what Python's csv module reads -----------------------------


def read_by_hand(content: str, separator: str) -> list[tuple[str, str, str]]:
    """Read a table as the first edition of the course did, with the csv module.

    Only that a line now ends with one sign, in texts, too, wherever it was written.
    """
    limit = csv.field_size_limit(2**31 - 1)
    table = csv.DictReader(io.StringIO(content, newline=""), delimiter=separator)
    table.fieldnames = [(c or "").strip().lower() for c in table.fieldnames]
    rows = [
        (
            (row["text"] or "").replace("\r\n", "\n").replace("\r", "\n"),
            label(row["label"]),
            (row.get("split") or "").strip(),
        )
        for row in table
    ]
    csv.field_size_limit(limit)
    return rows


def label(value: str | None) -> str:
    value = (value or "").strip()
    whole = value.removesuffix(".0")
    return whole if whole.lstrip("-").isdigit() else value


def read(path) -> list[tuple[str, str, str]]:
    content, _ = own_data._read_text(path)
    table = own_data._read_table(path.name, content, ["text", "label"], [])
    texts = table["item"].str.replace("\r", "\n")
    return list(zip(texts, table["class"], table["part"].str.strip()))


TABLES = {
    "plain": "text,label\nsee you,ham\nwin now,spam\n",
    "no line break at the end": "text,label\nsee you,ham\nwin now,spam",
    "quoted separators": 'text,label\n"a, b, and c",ham\n"d,""e"",f",spam\n',
    "quoted line breaks": 'text,label\n"one\n\ntwo\n",ham\n"x\r\ny\rz",spam\n',
    "all quoted": '"text","label"\n"a","ham"\n"","spam"\n""" """,""\n',
    "a megabyte": f'text,label\n"{"word, " * 200_000}",ham\n{"x" * 2**20},spam\n',
    "empty lines": "text,label\n\nsee you,ham\n\n\nwin now,spam\n\n",
    "CR LF": "text,label\r\nsee you,ham\r\n\r\nwin now,spam\r\n",
    "CR": "text,label\rsee you,ham\rwin now,spam\r",
    "missing fields": "text,label,split\nsee you\nwin now,spam\nhello,,test\n",
    "empty fields beyond": "text,label\nsee you,ham,\nwin now,spam,,,\n",
    "more columns, elsewhere": "n,label,no,text\n1,ham,,see you\n2,spam,x,win now\n",
    "capitals and spaces": " Text , LABEL\nsee you, ham \nwin now,spam\n",
    "words for nothing": "text,label\nNA,nan\nNone,null\n#N/A,-\nnan,NaN\n",
    "numbers": "text,label\n007,1\n1e5,1.0\n0.10,-2.0\n1_000,1.50\n",
    "signs": "text,label\n# no comment,ham\n\\,\\\n'a',\"spam\"\n%s,;\n",
    "blanks kept": 'text,label\n  see you ,ham\n"\twin now",spam\n',
    "an inch": 'text,label\na 5" pipe,ham\nsay "no",spam\n"" ,ham\n',
    "a quoted word first": 'text,label\n"Yes" she said,ham\nnobody,spam\n',
    "a space behind the mark": 'text,label\n"a\nb" ,ham\n"c,d"  ,spam\n',
    "tabs": "text\tlabel\nsee, you\tham\nwin; now\tspam\n\tham\n",
    "semicolons": 'text;label\n"a;b";ham\nc, d;spam\n',
    "only a header": "text,label\n",
    "all at once": 'label,text\r\nham,"a ""b"",\r\nc"\r\n\r\nspam\r\n1.0,"\u2028 🎉"',
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_read_as_the_csv_module_reads_them(write, name):
    content = TABLES[name]
    header = content.strip().splitlines()[0]
    separator = max(",;\t", key=header.count)
    assert read(write(content)) == read_by_hand(content, separator)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_whatever_the_csv_module_writes_is_read_back(write, separator):
    rng = np.random.default_rng(0)
    signs = np.array(list("ab \"'\n\r,;\t#\\é") + ["\r\n"])
    for quoting in (csv.QUOTE_ALL, csv.QUOTE_MINIMAL):
        texts = ["".join(rng.choice(signs, rng.integers(1, 12))) for _ in range(400)]
        file = io.StringIO(newline="")
        writer = csv.writer(file, delimiter=separator, quoting=quoting)
        writer.writerow(["text", "label"])
        writer.writerows((text, "ham") for text in texts)
        content = file.getvalue()
        wanted = [t.replace("\r\n", "\n").replace("\r", "\n") for t in texts]
        assert read(write(content)) == [(text, "ham", "") for text in wanted]
        assert read(write(content)) == read_by_hand(content, separator)


def test_an_empty_first_cell_after_a_bare_carriage_return_is_no_label(write):
    """pandas alone would lose that cell, and take the label for the text."""
    assert read(write("text,label\r,ham\rwin,spam\r")) == [
        ("", "ham", ""),
        ("win", "spam", ""),
    ]


def clean_by_hand(rows):
    """Leave out as the first edition of the course did, row by row."""
    filled = [row for row in rows if row[0].strip()]
    said: dict[str, set[str]] = {}
    for text, name, _ in filled:
        said.setdefault(text, set()).update({name} - {""})
    kept: dict[str, tuple[str, str, str]] = {}
    for row in filled:
        labels = said[row[0]]
        if len(labels) < 2 and (row[1] or not labels):
            kept.setdefault(row[0], row)
    return list(kept.values())


def test_copies_and_contradictions_leave_as_when_written_out(write):
    rng = np.random.default_rng(0)
    rows = [
        (f"text {rng.integers(150)}" if rng.random() < 0.95 else " ", str(name), "")
        for name in rng.choice(["a", "b", ""], 400, p=[0.3, 0.3, 0.4])
    ]
    content = "text,label\n" + "".join(f"{text},{name}\n" for text, name, _ in rows)
    task, kept = tl.from_csv(write(content)), clean_by_hand(rows)
    assert everything(task) == sorted((t, name) for t, name, _ in kept if name)
    assert list(task.unlabelled.texts) == [t for t, name, _ in kept if not name]
    labelled = [t for t, name, _ in kept if name]
    for split in (task.train, task.valid, task.test):
        places = [labelled.index(text) for text in split.texts]
        assert places == sorted(places), "rows keep their order"


# --- rows that would run into one another --------------------------------------------


@pytest.mark.parametrize(
    "rows",
    [
        '"win,spam\n',  # a mark that is never closed
        '"win,spam\nsee you,ham\nshe said "no",ham\n',
        '"win,spam\n"see you,ham\n',
        'see you,ham\n"win,spam\nhe,ham\n"she",ham\n',
    ],
)
def test_a_stray_quotation_mark_swallows_no_rows_unseen(write, rows):
    with pytest.raises(tl.CourseError) as caught:
        tl.from_csv(write(table() + rows + table().partition("\n")[2]))
    assert "quotation marks" in caught.value.next_step
    assert "mail.csv" in caught.value.problem


def test_a_row_with_too_many_cells_is_shown(write):
    path = write(table() + "hello, my friend,ham\n")
    with pytest.raises(tl.CourseError, match="'hello, my friend,ham'") as caught:
        tl.from_csv(path)
    assert "quotation marks" in caught.value.next_step
    first = write("text,label\nhello, my friend,ham\n" + table().partition("\n")[2])
    with pytest.raises(tl.CourseError, match="'hello, my friend,ham'"):
        tl.from_csv(first)


def test_a_mark_that_swallows_nothing_is_no_error(write):
    task = tl.from_csv(write(table() + '"Yes" she said,ham\na 5" pipe,spam\n'))
    assert ("Yes she said", "ham") in everything(task)
    assert ('a 5" pipe', "spam") in everything(task)


@pytest.mark.parametrize("again", ["Text", "text", " LABEL "])
def test_two_columns_of_one_name_are_refused(write, again):
    rows = "".join(f"{WORDS[c]} {i},{c},x{i}\n" for i in range(9) for c in WORDS)
    with pytest.raises(tl.CourseError, match="it needs one text and one label"):
        tl.from_csv(write(f"text,label,{again}\n{rows}"))


def test_other_columns_may_bear_one_name(write):
    rows = "".join(f"{WORDS[c]} {i},{c},1,2\n" for i in range(9) for c in WORDS)
    assert len(everything(tl.from_csv(write(f"text,label,n,n\n{rows}")))) == 18


def test_empty_lines_before_the_header_are_skipped(write):
    assert everything(tl.from_csv(write("\n\n" + table()))) == everything(
        tl.from_csv(write(table()))
    )


# --- folders --------------------------------------------------------------------------


def names_in(split) -> set[str]:
    return {p.name for p in split.paths}


def splits_of(task) -> dict[str, ImageSplit]:
    return {"train": task.train, "valid": task.valid, "test": task.test}


@pytest.mark.parametrize("mark", ["-1", "nan", "NaN", "None", "null", "n/a", "NA"])
def test_words_for_no_label_are_no_class(write, mark):
    task = tl.from_csv(write(table() + f"who knows,{mark}\nnobody,{mark}\n"))
    assert task.class_names == ("ham", "spam")
    assert task.unlabelled.texts == ("who knows", "nobody")
    assert "read -1, nan and the like as no label in 2 rows" in str(task)


def test_minus_one_is_a_class_where_only_one_other_is_left(write):
    task = tl.from_csv(write(table().replace(",ham", ",-1").replace(",spam", ",1")))
    assert task.class_names == ("-1", "1") and task.unlabelled is None


def test_one_null_character_is_dropped_and_said(write):
    task = tl.from_csv(write(table(40) + "an odd\0 mail,ham\n"))
    assert ("an odd mail", "ham") in everything(task)
    assert "dropped 1 null characters" in str(task)


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
def test_the_first_line_of_a_spreadsheet_may_name_the_separator(write, separator):
    task = tl.from_csv(write(f"sep={separator}\n" + table(separator=separator)))
    assert task.class_names == ("ham", "spam") and len(everything(task)) == 24


def test_labels_of_one_letter_or_two_are_one_class(write):
    rows = "".join(f"see you at the bar {i},cafe\u0301\n" for i in range(6))
    task = tl.from_csv(write(table().replace(",ham", ",caf\u00e9") + rows))
    assert task.class_names == ("caf\u00e9", "spam")


# --- from_folder: what it refuses ------------------------------------------------


def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(tl.CourseError, match="There is no folder"):
        tl.from_folder(tmp_path / "nowhere")


def test_file_instead_of_a_folder_is_refused(tmp_path):
    (tmp_path / "pets.zip").touch()
    with pytest.raises(tl.CourseError, match="is a file, not a folder"):
        tl.from_folder(tmp_path / "pets.zip")


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(tl.CourseError, match="no class with pictures") as caught:
        tl.from_folder(tmp_path)
    assert "its own label or sub-folder" in caught.value.next_step


def test_pictures_without_class_folders_are_refused(tmp_path):
    fill(tmp_path, "disc", range(6))
    with pytest.raises(tl.CourseError, match="no class with pictures"):
        tl.from_folder(tmp_path)


def test_single_class_is_refused_by_name(tmp_path):
    fill(tmp_path / "disc", "disc", range(6))
    with pytest.raises(tl.CourseError, match="only one class, 'disc'"):
        tl.from_folder(tmp_path)


def test_class_with_too_few_pictures_is_named_with_its_count(tiny_images):
    fill(tiny_images / "dot", "dot", range(4))
    with pytest.raises(tl.CourseError, match="'dot' has 4") as caught:
        tl.from_folder(tiny_images)
    assert "'disc'" not in str(caught.value) and "at least 5" in str(caught.value)


def test_class_whose_pictures_are_all_broken_does_not_vanish(tiny_images):
    (tiny_images / "dot").mkdir()
    for i in range(6):
        (tiny_images / "dot" / f"{i}.jpg").write_text(f"broken {i}")
    with pytest.raises(tl.CourseError, match="'dot' has 0.*skipped 6 unreadable"):
        tl.from_folder(tiny_images)


def test_given_split_without_a_class_is_refused(tmp_path):
    for i, part in enumerate(("train", "valid", "test")):
        fill(tmp_path / part / "disc", "disc", range(6 * i, 6 * i + 6))
    fill(tmp_path / "train" / "square", "square", range(6))
    with pytest.raises(
        tl.CourseError, match="needs 1 or more .* in valid; .* has 0 of 'square'"
    ):
        tl.from_folder(tmp_path)


# --- from_folder: what it passes over --------------------------------------------


def test_other_files_are_passed_over_and_counted(tiny_images):
    for name in ("notes.txt", "Thumbs.db"):
        (tiny_images / "disc" / name).write_text("no picture")
    (tiny_images / "disc" / ".DS_Store").write_text("no picture")
    (tiny_images / "README.md").write_text("beside the classes")
    task = tl.from_folder(tiny_images)
    assert sum(map(len, splits_of(task).values())) == 30
    assert "passed over 2 files" in str(task)
    assert "left out 2 files, hidden" in str(task)


def test_broken_picture_is_skipped_named_and_counted(tiny_images):
    (tiny_images / "disc" / "bad.jpg").write_text("no picture")
    task = tl.from_folder(tiny_images)
    assert sum(map(len, splits_of(task).values())) == 30
    assert "skipped 1 unreadable: disc/bad.jpg (not a picture format)" in str(task)


def test_of_exact_copies_one_is_kept(tiny_images):
    original = tiny_images / "disc" / "disc_000.png"
    for i in range(3):
        shutil.copy(original, tiny_images / "disc" / f"copy_{i}.png")
    task = tl.from_folder(tiny_images)
    contents = [p.read_bytes() for s in splits_of(task).values() for p in s.paths]
    assert contents.count(original.read_bytes()) == 1
    assert len(contents) == 30
    assert "left out 3 exact copies" in str(task)


def test_clean_folder_needs_no_remark(tiny_images):
    assert tl.from_folder(tiny_images).card["remarks"] == []


def test_what_programs_add_is_no_class_and_no_picture(tiny_images):
    for folder in ("@eaDir", ".ipynb_checkpoints", "disc/@eaDir", "__MACOSX/disc"):
        fill(tiny_images / folder, "disc", range(3))
    fill(tiny_images / "disc", "disc", range(40, 41))
    (tiny_images / "disc" / "disc_040.png").rename(tiny_images / "disc" / "_DSC.png")
    task = tl.from_folder(tiny_images)
    assert task.class_names == ("disc", "square")
    assert sum(map(len, splits_of(task).values())) == 31
    assert "left out 12 files, hidden or set aside (_)" in str(task)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_every_format_that_pillow_reads_makes_a_class(tiny_images):
    (tiny_images / "dot").mkdir()
    for i in range(8):
        draw("dot", i).save(tiny_images / "dot" / f"{i}.avif")
    assert tl.from_folder(tiny_images).class_names == ("disc", "dot", "square")


@pytest.mark.parametrize("ending", [".heic", "", ".pdf"])
def test_a_class_without_a_readable_format_does_not_vanish(tiny_images, ending):
    (tiny_images / "dot").mkdir()
    for i in range(8):
        (tiny_images / "dot" / f"{i}{ending}").write_bytes(b"something")
    with pytest.raises(tl.CourseError, match="No file in dot is a picture") as caught:
        tl.from_folder(tiny_images)
    assert "JPEG or PNG" in caught.value.next_step


def test_pictures_beside_the_classes_of_a_part_are_counted(tmp_path):
    for part, numbers in (("train", range(8)), ("test", range(8, 16))):
        for kind in ("disc", "square"):
            fill(tmp_path / part / kind, kind, numbers)
    fill(tmp_path / "test", "disc", range(50, 53))
    assert "passed over 3 pictures beside the classes" in str(tl.from_folder(tmp_path))


def test_one_letter_or_two_make_one_class(tmp_path):
    fill(tmp_path / "caf\u00e9", "disc", range(6))
    fill(tmp_path / "cafe\u0301", "disc", range(6, 12))
    fill(tmp_path / "bar", "square", range(12))
    assert tl.from_folder(tmp_path).class_names == ("bar", "caf\u00e9")


def test_a_name_that_is_no_text_becomes_readable(tiny_images):
    odd = os.fsencode(tiny_images) + b"/d\xe9t"
    try:
        os.mkdir(odd)
    except OSError:
        pytest.skip("this file system keeps names as text")
    fill(Path(os.fsdecode(odd)), "dot", range(6))
    names = tl.from_folder(tiny_images).class_names
    assert names == ("disc", "d\ufffdt", "square")
    assert json.loads(json.dumps(names).encode()) == list(names)


# --- from_folder: how it splits --------------------------------------------------


def test_class_names_are_sorted_and_label_the_pictures(tiny_images):
    task = tl.from_folder(tiny_images)
    assert task.class_names == ("disc", "square") and task.n_classes == 2
    for split in splits_of(task).values():
        assert split.labels.dtype == np.int64
        for path, label in zip(split.paths, split.labels):
            assert path.parent.name == task.class_names[label]


def test_no_picture_stands_in_two_splits_and_none_is_lost(tiny_images):
    task = tl.from_folder(tiny_images)
    listed = [p for s in splits_of(task).values() for p in s.paths]
    assert len(listed) == len(set(listed)) == 30
    assert set(listed) == set(tiny_images.glob("*/*.png"))


def test_each_class_is_split_in_the_same_shares(tiny_images):
    task = tl.from_folder(tiny_images, valid=0.2, test=0.3)
    counts = {k: np.bincount(s.labels).tolist() for k, s in splits_of(task).items()}
    assert counts == {"train": [10, 5], "valid": [4, 2], "test": [6, 3]}


def test_seed_decides_the_split(tiny_images):
    first, again, other = (tl.from_folder(tiny_images, seed=s) for s in (1, 1, 2))
    assert names_in(first.test) == names_in(again.test)
    assert names_in(first.train) == names_in(again.train)
    assert names_in(first.test) != names_in(other.test)


@pytest.mark.parametrize("valid_name", ["valid", "val", "Valid"])
def test_given_splits_are_respected(tmp_path, valid_name):
    spans = {"train": range(8), valid_name: range(8, 11), "test": range(11, 16)}
    for part, numbers in spans.items():
        for kind in ("disc", "square"):
            fill(tmp_path / part / kind, kind, numbers)
    task = tl.from_folder(tmp_path)
    assert task.class_names == ("disc", "square")
    for split, folder in zip(splits_of(task).values(), spans):
        assert {p.parent.parent.name for p in split.paths} == {folder}
        assert len(split) == 2 * len(spans[folder])


def test_valid_is_carved_from_train_where_only_test_is_given(tmp_path):
    for kind in ("disc", "square"):
        fill(tmp_path / "train" / kind, kind, range(10))
        fill(tmp_path / "test" / kind, kind, range(10, 16))
    task = tl.from_folder(tmp_path)
    assert {p.parent.parent.name for p in task.test.paths} == {"test"}
    assert {p.parent.parent.name for p in task.valid.paths} == {"train"}
    counts = [np.bincount(s.labels).tolist() for s in splits_of(task).values()]
    assert counts == [[8, 8], [2, 2], [6, 6]]


def test_copy_of_a_test_picture_is_left_out_of_train(tmp_path):
    for kind in ("disc", "square"):
        fill(tmp_path / "train" / kind, kind, range(10))
        fill(tmp_path / "test" / kind, kind, range(9, 15))
    task = tl.from_folder(tmp_path)
    assert len(task.test) == 12 and len(task.train) + len(task.valid) == 18


def test_splitting_anew_is_said_where_the_folders_name_no_test(tmp_path):
    for kind in ("disc", "square"):
        fill(tmp_path / "train" / kind, kind, range(8))
        fill(tmp_path / "val" / kind, kind, range(8, 16))
    task = tl.from_folder(tmp_path)
    assert task.class_names == ("disc", "square")
    assert min(map(len, splits_of(task).values())) >= 4
    assert "split anew" in str(task)


def test_smallest_folder_that_is_allowed_fills_every_split(tmp_path):
    for kind in ("disc", "square"):
        fill(tmp_path / kind, kind, range(own_data.MIN_PER_CLASS))
    task = tl.from_folder(tmp_path)
    for split in splits_of(task).values():
        assert set(split.labels) == {0, 1}


def test_large_folder_is_limited_at_random_and_says_so(tiny_images):
    first, again, other = (
        tl.from_folder(tiny_images, limit=12, seed=s) for s in (0, 0, 1)
    )
    kept = [
        {p.name for s in splits_of(task).values() for p in s.paths}
        for task in (first, again, other)
    ]
    assert kept[0] == kept[1] != kept[2]
    assert len(kept[0]) == 12 + 10
    assert "disc: 12 of 20" in str(first) and "square:" not in str(first)


def test_broken_pictures_and_copies_take_no_place_in_a_sample(tiny_images):
    for i in range(60):
        (tiny_images / "disc" / f"broken_{i}.png").write_bytes(b"no picture")
        shutil.copy(
            tiny_images / "disc" / "disc_000.png", tiny_images / "disc" / f"copy{i}.png"
        )
    task = tl.from_folder(tiny_images, limit=12)
    names = [p.parent.name for s in splits_of(task).values() for p in s.paths]
    assert (names.count("disc"), names.count("square")) == (12, 10)
    assert "disc: 12 of 140" in str(task)


def test_a_class_of_which_little_can_be_read_is_no_sample(tiny_images):
    for i in range(30):
        (tiny_images / "square" / f"broken_{i}.png").write_bytes(b"no picture")
    task = tl.from_folder(tiny_images, limit=20)
    assert len(splits_of(task)) and "took random samples" not in str(task)
    assert "skipped 30 unreadable" in str(task)
    kept = [p for s in splits_of(task).values() for p in s.paths]
    assert len(kept) == 30


# --- from_folder: names and places --------------------------------------------------


def test_a_picture_in_two_classes_is_left_out(tiny_images):
    shutil.copy(tiny_images / "disc" / "disc_003.png", tiny_images / "square")
    task = tl.from_folder(tiny_images)
    names = [p.name for s in (task.train, task.valid, task.test) for p in s.paths]
    assert len(names) == 29 and "disc_003.png" not in names
    assert task.card["remarks"] == [
        "left out 1 pictures that have two different labels"
    ]


def test_folders_of_the_parts_have_many_names(tmp_path):
    spans = {"training": range(8), "validation": range(8, 11), "TESTING": range(11, 16)}
    for part, numbers in spans.items():
        for kind in ("disc", "square"):
            fill(tmp_path / part / kind, kind, numbers)
    (tmp_path / "notes").mkdir()  # holds no pictures, so is no class
    (tmp_path / "_old" / "x").mkdir(parents=True)
    draw("disc", 1).save(tmp_path / "_old" / "x" / "1.png")
    task = tl.from_folder(tmp_path)
    assert [len(s) for s in (task.train, task.valid, task.test)] == [16, 6, 10]
    assert task.class_names == ("disc", "square")
    assert task.card["remarks"] == ["left out 1 files, hidden or set aside (_)"]


def test_a_class_may_be_called_test(tmp_path):
    for kind, name in (("disc", "test"), ("square", "train"), ("disc", "bus")):
        fill(tmp_path / name, kind, range(6) if name != "bus" else range(6, 12))
    task = tl.from_folder(tmp_path)
    assert task.class_names == ("bus", "test", "train") and task.card["remarks"] == []


def test_pictures_deeper_down_belong_to_the_class(tiny_images):
    fill(tiny_images / "disc" / "more" / "of", "disc", range(30, 33))
    task = tl.from_folder(tiny_images)
    assert sum(len(s) for s in (task.train, task.valid, task.test)) == 33
    assert isinstance(task.test, ImageSplit)


def test_pictures_that_cannot_be_opened_are_skipped(tiny_images):
    (tiny_images / "disc" / "gone.png").symlink_to(tiny_images / "nowhere.png")
    (tiny_images / "disc" / "folder.png").mkdir()
    task = tl.from_folder(tiny_images)
    assert sum(len(s) for s in (task.train, task.valid, task.test)) == 30


# --- from_folder: parts, links, layouts ----------------------------------------------


def fill_parts(root: Path, *parts: str, n: int = 8) -> None:
    """Write n discs and n squares into each of these folders, no picture twice."""
    for i, part in enumerate(parts):
        for kind in ("disc", "square"):
            fill(root / part / kind, kind, range(100 * i, 100 * i + n))


@pytest.mark.parametrize("spelt", ["Train", " val ", "DEV", "eval", "Testing"])
def test_capitals_and_spaces_do_not_hide_a_part(tmp_path, spelt):
    fill_parts(tmp_path, "training", spelt, "validation", "test")
    assert tl.from_folder(tmp_path).class_names == ("disc", "square")


@pytest.mark.parametrize(
    "parts",
    [
        ("train", "holdout"),
        ("train", "val", "extra"),
        ("monday", "tuesday"),
        ("data/train", "data/test"),
        ("pictures",),
        ("train", "."),
    ],
)
def test_parts_and_classes_that_cannot_be_told_apart_are_refused(tmp_path, parts):
    fill_parts(tmp_path, *parts)
    with pytest.raises(tl.CourseError, match="classes or parts") as caught:
        tl.from_folder(tmp_path)
    assert "DATA/PART/CLASS" in caught.value.next_step


def test_parts_below_the_classes_are_refused(tmp_path):
    for kind in ("disc", "square"):
        fill(tmp_path / kind / "train", kind, range(8))
    fill(tmp_path / "square" / "test", "square", range(8, 16))
    with pytest.raises(tl.CourseError, match="disc; square, which hold test; train"):
        tl.from_folder(tmp_path)


def test_loose_pictures_are_counted(tiny_images):
    fill(tiny_images, "disc", range(50, 53))
    assert "passed over 3 pictures beside the classes" in str(
        tl.from_folder(tiny_images)
    )


def test_an_empty_class_does_not_vanish(tiny_images):
    (tiny_images / "dot").mkdir()
    with pytest.raises(tl.CourseError, match="No file in dot is a picture"):
        tl.from_folder(tiny_images)


def test_a_class_that_is_a_link_to_nothing_does_not_vanish(tiny_images):
    (tiny_images / "dot").symlink_to(tiny_images / "unmounted")
    with pytest.raises(tl.CourseError, match="No file in dot is a picture"):
        tl.from_folder(tiny_images)


def test_links_inside_a_class_are_named_and_may_run_in_circles(tiny_images, tmp_path):
    fill(tmp_path / "far", "disc", range(30, 36))
    (tiny_images / "square" / "more").symlink_to(tmp_path / "far")
    (tiny_images / "disc" / "circle").symlink_to(tiny_images)
    (tiny_images / "disc" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    task = tl.from_folder(tiny_images)
    said = "passed over 3 links: disc/circle; disc/gone.png; square/more"
    assert task.card["remarks"] == [said]
    assert sum(map(len, splits_of(task).values())) == 30


def test_a_linked_class_is_followed(tiny_images, tmp_path):
    fill(tmp_path / "far" / "of", "dot", range(6))
    (tiny_images / "dot").symlink_to(tmp_path / "far")
    assert tl.from_folder(tiny_images).class_names == ("disc", "dot", "square")


def test_one_picture_a_class_in_train_and_none_in_valid_asks_for_more(tmp_path):
    for part, numbers in (("train", range(1)), ("test", range(1, 7))):
        for kind in ("disc", "square"):
            fill(tmp_path / part / kind, kind, numbers)
    with pytest.raises(
        tl.CourseError, match="1 or more .* in train; .* 0 of 'disc', 0"
    ):
        tl.from_folder(tmp_path)


# --- from_csv: rows, bytes, lines ----------------------------------------------------


def spelt(rows: list[list[str]], separator: str) -> str:
    return "".join(separator.join(row) + "\n" for row in rows)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (0, 2, 1)])
def test_rows_swallowed_by_marks_that_close_are_counted_and_named(
    write, separator, order
):
    rows = [[f"{WORDS[c]} {i}", c, str(i)] for i in range(20) for c in WORDS]
    rows[10][0], rows[15][0] = '"Yes ' + rows[10][0], rows[15][0] + ' he said"'
    rows = [["text", "label", "n"], *rows]
    swap = [[row[k] for k in order] for row in rows]
    task = tl.from_csv(write(spelt(swap, separator)))
    assert len(everything(task)) == 35
    (said,) = task.card["remarks"]
    assert said.startswith("1 texts seem to hold rows: 'Yes see you at the")


def test_a_mail_of_many_lines_is_no_swallowed_row(write):
    mail = '"Hi Ann,\nham, eggs, spam\nlabel\nyours, Bob"'
    task = tl.from_csv(write(table() + f"{mail},ham\n"))
    assert task.card["remarks"] == []


@pytest.mark.parametrize("place", [0, 7, 23])
def test_one_bad_byte_garbles_nothing_else(write, place):
    lines = table().replace("harbour", "h\u00e4rb\u00f6r").encode().splitlines()
    lines[place + 1] = lines[place + 1].replace(b" ", b"\xe9 ", 1)
    task = tl.from_csv(write(b"\n".join(lines)))
    texts = [text for text, _ in everything(task)]
    assert sum("h\u00e4rb\u00f6r" in text for text in texts) == 24
    assert sum("\ufffd" in text for text in texts) == 1
    assert task.card["remarks"] == ["replaced 1 bytes that are not UTF-8"]


def test_a_replacement_character_of_ones_own_is_no_bad_byte(write):
    task = tl.from_csv(write(table() + "some\ufffdthing,ham\n"))
    assert ("some\ufffdthing", "ham") in everything(task)
    assert task.card["remarks"] == []


def test_a_carriage_return_alone_stands_in_a_text(write):
    task = tl.from_csv(write(table() + "one\rtwo,ham\r\nthree,spam\n"))
    assert {("one\ntwo", "ham"), ("three", "spam")} <= set(everything(task))
    assert "read 1 bare carriage returns as line breaks" in str(task)
    assert task.unlabelled is None


def test_endless_texts_are_cut_and_counted(write):
    task = tl.from_csv(write(table() + f"{'x' * 1_800_000},spam\nshort,ham\n"))
    assert max(len(text) for text, _ in everything(task)) == 500_000
    assert "cut 1 texts to 500,000 characters" in str(task)


@pytest.mark.parametrize("wrong", ["trian", "", "holdout", "valid2"])
def test_one_wrong_word_in_the_column_split_is_named(write, wrong):
    rows = split_table({"train": 8, "val": 8, "test": 8}).splitlines()
    rows[5] = rows[5].rpartition(",")[0] + f",{wrong}"
    (said,) = tl.from_csv(write("\n".join(rows))).card["remarks"]
    assert said.startswith("split anew; found [") and repr(wrong) in said


def test_texts_of_digits_are_read(write):
    rows = "".join(f"{7 * i} {i},{i % 2}\n" for i in range(20))
    task = tl.from_csv(write("text,label\n" + rows))
    assert task.class_names == ("0", "1")
    assert tl.near_duplicates(task).empty


@pytest.mark.parametrize("none", ["?", "<NA>", "#N/A", "n/a", "NULL", "-1.0"])
def test_what_programs_write_for_no_label_is_none(write, none):
    rows = "".join(f"who knows {i},{none}\n" for i in range(6))
    task = tl.from_csv(write(table() + rows))
    assert task.class_names == ("ham", "spam") and len(task.unlabelled) == 6
    assert "as no label in 6 rows" in str(task)


@pytest.mark.parametrize("sign", ["\u200b", "\ufeff", "\u00ad", "\u2060"])
def test_signs_that_nobody_sees_make_no_class(write, sign):
    rows = "".join(f"one more {i},{sign}ham{sign}\n" for i in range(6))
    assert tl.from_csv(write(table() + rows)).class_names == ("ham", "spam")


def test_a_header_may_be_spelt_with_composed_letters_or_not(write):
    path = write(table(columns="te\u0301xt,label"))
    assert tl.from_csv(path, text="t\u00e9xt").class_names == ("ham", "spam")
