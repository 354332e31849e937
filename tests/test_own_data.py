"""Tables of texts: what is read, what is left out and said, what is refused."""

from __future__ import annotations

import gzip
import lzma

import numpy as np
import pytest

import tlhelpers as tl
from tlhelpers.tasks import TextSplit

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
    with pytest.raises(tl.CourseError, match="'message', 'class'; there is no 'text'"):
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
    long, odd = "word " * 210_000, "🎉 שלום مرحبا"
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
        (table().replace(",spam", ",").replace(",ham", ","), "no label at all"),
        (table(3), "Too few texts: 'ham' has 3, 'spam' has 3"),
        ("text,label\n" + "".join(f"a{i},b{i}\n" for i in range(60)), "60 different"),
        ("", "there is no 'text'"),
        (b"PK\x03\x04\x00\x00\x00", "null characters"),
        (b"\xff\xfet", "starts as UTF-16 but is damaged"),
    ],
)
def test_bad_tables_are_refused_with_the_reason(write, content, said):
    with pytest.raises(tl.CourseError, match=said):
        tl.from_csv(write(content))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(tl.CourseError, match="There is no file"):
        tl.from_csv(tmp_path / "none.csv")


def test_the_limit_of_the_csv_module_is_put_back(write):
    import csv

    before = csv.field_size_limit()
    tl.from_csv(write(table()))
    assert csv.field_size_limit() == before


def test_samples_count_texts(write):
    task = tl.from_csv(write(table(40)))
    assert np.bincount(task.sample(5, seed=1).train.labels).tolist() == [5, 5]
    with pytest.raises(tl.CourseError, match="99 texts per class were asked for"):
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
