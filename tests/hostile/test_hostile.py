"""Malformed inputs and faults, made here: the right value, or a refusal in words.

Whatever else is raised is a failure, and so is a value that leaves something out
without a word. Every input is harmless and a few kilobytes small. docs/benchmarks.md
counts the groups.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from notebook_tools import publishing
from page_tools import picture_project, text_project
from pictures import draw, fill
from PIL import Image, features

import tlhelpers as tl
from tlhelpers.course import doctor, run, session
from tlhelpers.course.cli import main
from tlhelpers.machine import file_sha256
from tlhelpers.project import load_project
from tlhelpers.project.plan import parse_budget
from tlhelpers.tasks import read_image

pytestmark = pytest.mark.timeout(120)


def in_words(call):
    """Return what a call returns, or None where it refuses in words."""
    try:
        return call()
    except tl.CourseError as error:
        assert len(error.problem) > 8 and len(error.next_step) > 3, error
        assert len(str(error)) < 4000 and "Traceback" not in str(error)
        return None


def counted(task) -> int:
    """Count what a task holds, and what its remarks say was left out."""
    parts = (task.train, task.valid, task.test, task.unlabelled or ())
    pattern = r"(?:skipped|left out|passed over) (\d+)"
    said = re.findall(pattern, "\n".join(task.card["remarks"]))
    return sum(map(len, parts)) + sum(map(int, said))


# --- pictures: one file --------------------------------------------------------------

SIDE = 24
ORIGINAL = draw("disc", 1, SIDE)
LOSSLESS = ["PNG", "GIF", "BMP", "TIFF", "PPM", "WEBP"]
LOSSLESS = [f for f in LOSSLESS if f != "WEBP" or features.check("webp")]
LOSSY = [f for f in ("JPEG", "JPEG2000", "AVIF") if f in Image.SAVE]


def written(image, kind, **options) -> bytes:
    out = io.BytesIO()
    options |= {"lossless": True} if kind == "WEBP" else {}
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png(width, height, depth=8, colour=2, interlace=0, data=b"") -> bytes:
    """A PNG whose header says what it wants."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def odd_pictures():
    for kind in LOSSLESS + LOSSY:
        whole = written(ORIGINAL, kind)
        for share in (0, 0.02, 0.1, 0.5, 0.9):
            yield f"{kind} cut at {share:.0%}", whole[: int(len(whole) * share)]
        yield f"{kind} without its start", whole[8:]
        yield f"{kind} behind a kilobyte of zeros", bytes(1024) + whole
        yield f"{kind} with letters behind it", whole + b"and so on" * 9
        rng = np.random.default_rng(len(kind))
        for k in range(3):
            spoilt = np.frombuffer(whole, np.uint8).copy()
            spoilt[rng.integers(len(spoilt), size=4)] ^= 255
            yield f"{kind} with four bytes turned ({k})", spoilt.tobytes()
    for side in (0, 1, 2**31 - 1, 70_000, 8000):
        yield f"PNG that declares {side} x {side}", png(side, side)
    yield "PNG of an unknown depth", png(4, 4, depth=7)
    yield "PNG of an unknown colour", png(4, 4, colour=5)
    yield "PNG with too few rows", png(40, 40, data=bytes(50))
    yield "PNG that declares no pixels", png(0, 9)
    yield "nothing", b""
    yield "one byte", b"\xff"
    yield "only zeros", bytes(5000)
    yield (
        "a program in PostScript",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    )
    yield "a page of HTML", b"<!DOCTYPE html><img src=x>"
    yield "a drawing in SVG", b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    yield "a pickle", b"\x80\x04N."
    yield "a ZIP", b"PK\x05\x06" + bytes(18)
    yield "a PDF", b"%PDF-1.4\n%%EOF"


@pytest.mark.parametrize(
    ("name", "content"),
    [pytest.param(n, c, id=f"picture: {n}") for n, c in odd_pictures()],
)
def test_a_damaged_picture_is_read_as_it_was_or_refused(name, content, tmp_path):
    file = tmp_path / "picture.png"  # whatever it is, it says so
    file.write_bytes(content)
    image = in_words(lambda: read_image(file))
    if image is not None:
        assert image.mode == "RGB"
        whole = read_image(io.BytesIO(written(ORIGINAL, name.split()[0])))
        # Formats without a checksum cannot know that a pixel had another colour.
        turned = "turned" in name and image.size == whole.size
        assert turned or np.array_equal(np.asarray(image), np.asarray(whole))


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F"]
MODES += ["I;16", "La", "RGBa", "RGBX", "PA"]
KINDS = [*LOSSLESS, *LOSSY]


def odd_modes():
    for mode in MODES:
        for kind in KINDS:
            try:
                image = Image.new(mode, (SIDE, SIDE))
                content = written(image, kind)
            except Exception:  # Pillow itself writes no such file
                continue
            yield mode, kind, content


@pytest.mark.parametrize(
    ("mode", "kind", "content"),
    [pytest.param(*case, id=f"mode {case[0]} in {case[1]}") for case in odd_modes()],
)
@pytest.mark.parametrize("suffix", [".jpg", ".gif"])
def test_every_mode_under_any_suffix_is_read(mode, kind, content, suffix, tmp_path):
    file = tmp_path / f"picture{suffix}"
    file.write_bytes(content)
    image = in_words(lambda: read_image(file))
    assert image is not None and image.size == (SIDE, SIDE) and image.mode == "RGB"


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize("turn", [0, 1, 2, 3, 6, 8, 9, 65535])
def test_a_turn_is_obeyed_and_a_wrong_one_harms_nothing(kind, turn, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = turn
    file = tmp_path / "turned.png"
    file.write_bytes(written(ORIGINAL.resize((SIDE, 2 * SIDE)), kind, exif=exif))
    image = in_words(lambda: read_image(file))
    lying = (2 * SIDE, SIDE) if turn in (6, 8) else (SIDE, 2 * SIDE)
    assert image is not None and image.size == lying


# --- folders -------------------------------------------------------------------------


def odd_folders():
    """Name -> what is done to a folder with ten discs and ten squares, all in order."""

    def put(*names, content=b"x"):
        def act(root):
            for name in names:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(content)

        return act

    hidden = (".DS_Store", "disc/.hidden.png", "@eaDir/disc/a.jpg", "disc/@eaDir/a.png")
    hidden += ("__MACOSX/disc/a.png", "disc/Thumbs.db", "_old/a.png", "#recycle/x.png")
    hidden += ("disc/.ipynb_checkpoints/a.png", "desktop.ini", "$RECYCLE.BIN/x/y.png")
    for name in hidden:
        yield f"beside it {name}", put(name)
    for name in ("notes.txt", "disc/notes.txt", "disc/labels.csv", "square/film.mp4"):
        yield f"a file {name}", put(name)
    for name in ("disc/broken.png", "disc/empty.jpg", "square/deep/down/x.gif"):
        yield f"no picture in {name}", put(name)
    for suffix in ("heic", "svg", "psd", "pdf", "eps", "PNG", "JPeG", "tif", "jp2"):
        yield f"no picture .{suffix}", put(f"disc/file.{suffix}")
    for name in ("dot/a.heic", "dot/x", "dot/notes.txt", "dot/.hidden.png"):
        yield f"a class that holds {name} alone", put(name)
    for name in ("dot/a.png", "train/a.png", "train/disc/a.png", "test/x/a.png"):
        yield f"a broken picture in {name}", put(name)
    picture = written(draw("disc", 500), "PNG")
    for name in ("a.png", "disc/x/y/z.png", "disc/ü ñ.png", "disc/日本.png"):
        yield f"a picture more: {name}", put(name, content=picture)
    for name in ("dot/a.png", "train/a.png", "train/disc/a.png", "disc/test/a.png"):
        yield f"a picture elsewhere: {name}", put(name, content=picture)
    yield "a picture twice", put("disc/a.png", "disc/b.png", content=picture)
    yield (
        "a picture in both classes",
        put("disc/a.png", "square/a.png", content=picture),
    )
    yield "a class without files", lambda root: (root / "dot").mkdir()
    yield "a folder called x.png", lambda root: (root / "disc" / "x.png").mkdir()
    for name in ("square", "nowhere", "."):
        yield f"a link to {name}", lambda root, n=name: (root / "disc/l").symlink_to(n)
    yield "a linked file", lambda root: (root / "disc/l.png").symlink_to(root / "x.png")
    yield "a linked class", lambda root: (root / "dot").symlink_to(root / "disc")
    for part in ("train", "valid", "test", "Val", "training"):
        yield (
            f"one class called {part}",
            lambda root, p=part: (root / "disc").rename(root / p),
        )
    yield "only one class", lambda root: (root / "disc").rename(root / "_disc")
    for names in (("train", "test"), ("train", "val"), ("a", "b"), ("train", "extra")):

        def parts(root, names=names):
            for part, (low, high) in zip(names, ((0, 5), (5, 10))):
                for kind in ("disc", "square"):
                    for i in range(low, high):
                        (root / part / kind).mkdir(parents=True, exist_ok=True)
                        old = root / kind / f"{kind}_{i:03d}.png"
                        old.rename(root / part / kind / old.name)
            for kind in ("disc", "square"):
                (root / kind).rmdir()

        yield f"folders {names[0]} and {names[1]}", parts


@pytest.mark.parametrize(
    "act", [pytest.param(a, id=f"folder: {n}") for n, a in odd_folders()]
)
def test_every_file_of_a_folder_is_read_or_counted(act, tmp_path):
    root = tmp_path / "data"
    for kind in ("disc", "square"):
        fill(root / kind, kind, range(10))
    act(root)
    files = [f for f in root.rglob("*") if f.is_file() and not f.is_symlink()]
    links = [f for f in root.glob("*/**/*") if f.is_symlink()]
    task = in_words(lambda: tl.from_folder(root))
    if task is None:
        return
    assert task.n_classes >= 2
    twice = sum("two different labels" in said for said in task.card["remarks"])
    assert counted(task) + twice == len(files) + len(links), task.card["remarks"]


# --- tables --------------------------------------------------------------------------

ROWS = [(f"text number {i} of {c}", c) for i in range(8) for c in ("ham", "spam")]


def spelt(rows, header="text,label", sep=",", end="\n") -> str:
    return end.join([header.replace(",", sep), *(sep.join(r) for r in rows)]) + end


def odd_tables():
    """Name, bytes, rows that must come back (None: these or a refusal)."""
    plain = spelt(ROWS)
    for code in ("utf-8", "utf-8-sig", "utf-16", "cp1252", "ascii"):
        for end in ("\n", "\r\n", "\r"):
            for sep in (",", ";", "\t", "|"):
                content = spelt(ROWS, sep=sep, end=end).encode(code)
                yield f"{code}, {end!r}, {sep!r}", content, 16
    for code in ("utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp500", "utf-32-be"):
        yield f"in {code}", plain.encode(code), None
    for byte in (
        b"\x00",
        b"\xff",
        b"\xe9",
        b"\x1a",
        b"\x0c",
        b"\x0b",
        b"\xc2",
        b"\x85",
    ):
        for place in (0, 4, 15, 40, len(plain) - 2):
            content = plain[:place].encode() + byte + plain[place:].encode()
            yield f"byte {byte!r} at {place}", content, None
    for mark in ('"', "'", '""', '"""', "“", "\\", "\\n", ",", ",,", ";", "\t", "|"):
        for at in (0, 5, len("text number 0 of ham")):
            text = ROWS[3][0][:at] + mark + ROWS[3][0][at:]
            rows = [*ROWS[:3], (text, ROWS[3][1]), *ROWS[4:]]
            yield f"{mark} at {at} of a text", spelt(rows).encode(), None
    headers = ["label,text", "TEXT,LABEL", " text , label ", '"text","label"']
    for header in headers:
        rows = [r[::-1] for r in ROWS] if header == "label,text" else ROWS
        yield f"header {header}", spelt(rows, header).encode(), 16
    for header in (
        "text,text",
        "text",
        "",
        "text,label,label",
        "text,label,text",
        "a,b",
    ):
        yield f"header {header!r}", spelt(ROWS, header).encode(), None
    for lead in ("sep=,\n", "\n", "\n\n", "\ufeff", "sep=;\n", "# made by a tool\n"):
        yield f"first {lead!r}", (lead + plain).encode(), None
    labels = [
        "-1",
        "nan",
        "None",
        "NA",
        "n/a",
        "NULL",
        "",
        " ",
        "0",
        "1.0",
        "caf\u00e9",
    ]
    labels += [
        "cafe\u0301",
        "$$",
        "\\frac",
        "<b>",
        "ham ",
        "HAM",
        "x" * 400,
        "\u202eham",
    ]
    for label in labels:
        rows = [*ROWS, *((f"more {i}", label) for i in range(6))]
        yield f"label {label[:9]!r}", spelt(rows).encode(), 22
        yield f"one label {label[:9]!r}", spelt(rows[:17]).encode(), None
    for part in ("train", "test", "", "trian", "VALID", "0"):
        rows = [(*row, part) for row in ROWS]
        yield f"split {part!r}", spelt(rows, "text,label,split").encode(), 16
    yield "nothing", b"", None
    yield "only a header", b"text,label\n", None
    yield "no line break at the end", plain[:-1].encode(), 16
    yield "spaces around", spelt([(f" {t} ", f" {c} ") for t, c in ROWS]).encode(), 16
    yield "a copy of a row", spelt([*ROWS, ROWS[0]]).encode(), 17
    yield "a text of both labels", spelt([*ROWS, (ROWS[0][0], "spam")]).encode(), None
    yield "rows without text", spelt([*ROWS, ("", "ham"), (" ", "spam")]).encode(), 18
    yield "fields too many", (plain + "a,ham,b\n").encode(), None
    yield "fields too few", (plain + "alone\n").encode(), 17
    yield "empty fields behind", (plain + "a,ham,,,\n").encode(), 17
    yield "a ZIP", b"PK\x03\x04" + bytes(60), None
    yield "a long text", (plain + "x" * 600_000 + ",ham\n").encode(), 17


@pytest.mark.parametrize(
    ("content", "n"), [pytest.param(c, n, id=f"table: {k}") for k, c, n in odd_tables()]
)
def test_every_row_of_a_table_is_read_or_counted(content, n, tmp_path):
    file = tmp_path / "table.csv"
    file.write_bytes(content)
    task = in_words(lambda: tl.from_csv(file))
    assert task is not None or n is None
    if task is None:
        return
    assert task.n_classes >= 2 and all(t.strip() for t in task.train.texts)
    left = counted(task) + sum("two different" in r for r in task.card["remarks"])
    rows = (
        n or len([x for x in re.split(r"[\r\n]+", content.decode("latin-1")) if x]) - 1
    )
    if n is not None or left < rows:
        said = any("hold rows" in r or "bare" in r for r in task.card["remarks"])
        header = content.decode("latin-1").startswith(("sep=", "\xef\xbb\xbfsep="))
        assert left == rows or said or header, (left, rows, task.card["remarks"])


@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.xz", ".gz", ".csv"])
@pytest.mark.parametrize("content", [b"", b"text,label\n", b"\x1f\x8b\x08", bytes(99)])
def test_what_is_not_packed_is_refused(suffix, content, tmp_path):
    file = tmp_path / f"table{suffix}"
    file.write_bytes(content)
    assert in_words(lambda: tl.from_csv(file)) is None


# --- the command line ----------------------------------------------------------------

WRONG = [
    *[["run", n] for n in ("11", "100", "001", "x", "-", "00_start", "1.0", "", "٣")],
    *[["run", "00", "--profile", p] for p in ("huge", "", "MINI", "None", "0")],
    *[["run", "00", "--seed", s] for s in ("-1", "abc", "1.5", "2147483648", "")],
    *[["run", "10", "-p", "SEED", s] for s in ("-1", "abc", "1.5", "[1]", "None")],
    *[
        ["run", "10", "-p", n, "1"]
        for n in ("seed", "", "FOLDERS", "__name__", "DATA ")
    ],
    *[["run", "10", "-p", "DATA", d] for d in ("", " ", "/nowhere/at/all", "~nobody")],
    *[["run", "01", "-p", "PROFILE", p] for p in ("full!", "1", "None")],
    *[["run", "00", "--out", o] for o in ("/dev/null", "/proc/x", "/dev/null/x")],
    ["run", "00", "--out", "notebooks"],
    *[["study", n] for n in ("11", "x", "")],
    *[["study", "00", "--seeds", s] for s in ("0", "1", "-3", "x")],
    *[["serve", f] for f in ("/nowhere", ".", "/dev/null", "")],
    ["serve", ".", "--port", "x"],
    *[[word] for word in ("", "fly", "--wings", "run --x")],
]


@pytest.mark.parametrize(
    "words", [pytest.param(w, id=" ".join(map(repr, w))) for w in WRONG]
)
def test_a_wrong_command_is_refused_in_words(words, capsys, monkeypatch, tmp_path):
    if words[-1] == "notebooks":
        words = [*words[:-1], str(run.notebooks_folder())]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "_execute", lambda *_: pytest.fail("it ran"))
    monkeypatch.setattr(run, "replace_text", lambda *_: pytest.fail("it wrote"))
    try:
        status = main(words)
    except SystemExit as stop:  # argparse
        status = stop.code
    assert status == 2
    assert len(capsys.readouterr().err) > 20


VALUES = [
    "",
    " ",
    "0",
    "-1",
    "1e400",
    "nan",
    "None",
    "True",
    "[1, 2]",
    "1,2",
    "{}",
    "{1}",
]
VALUES += [
    "'a'",
    '"',
    "\\",
    "__import__('os')",
    "lambda: 0",
    "1 +",
    "(",
    "é",
    "\0",
    "0x10",
]
VALUES += ["9" * 5000, "[" * 300, "1_000", "b'x'", "...", "2024", "~", "a\nb"]


@pytest.mark.parametrize("text", VALUES, ids=lambda t: repr(t[:20]))
@pytest.mark.parametrize("default", [None, "auto", 5, [1]], ids=repr)
def test_a_value_of_the_command_line_is_plain_data(text, default):
    value = in_words(lambda: run.literal("VALUE", text, default))
    json.dumps(value, allow_nan=False)
    assert not isinstance(default, str) or value == text
    assert default != 5 or isinstance(value, (int, type(None)))


@pytest.mark.parametrize(
    "budget", ["", "soon", "-1 s", "0", "1e9 h", "nan", "inf", "5 m"]
)
def test_a_budget_is_a_time_or_refused(budget):
    seconds = in_words(lambda: parse_budget(budget))
    assert seconds is None or seconds > 0


# --- project folders -----------------------------------------------------------------

PLACES = [("name",), ("kind",), ("class_names",), ("temperature",), ("card",)]
PLACES += [("sha256",), ("card", "network"), ("card", "network", "arch"), ("network",)]
PLACES += [("card", "network", "size"), ("card", "figures"), ("tokenizer",)]
PLACES += [("sha256", "network.safetensors"), ("card", "figures", "test")]
PLACES += [("card", "certain"), ("extra",), ("card", "network", "config")]
ODD = [
    None,
    True,
    0,
    -1,
    1e308,
    "",
    "x",
    "../x",
    [],
    ["a", "b"],
    {},
    {"a": 1},
    "\ud800",
]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    project = picture_project()
    return {
        "folder": project.save(folder / "kept"),
        "texts": text_project().save(folder / "texts"),
        "p": project.predict_proba([ORIGINAL]),
    }


def copied(folder: Path, to: Path) -> Path:
    """Copy a project by links, which changes are written over."""
    for file in [f for f in folder.rglob("*") if f.is_file()]:
        target = to / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    return to


@pytest.mark.parametrize("value", ODD, ids=lambda v: repr(v)[:12])
@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_a_changed_project_says_the_same_or_is_refused(place, value, kept, tmp_path):
    folder = copied(kept["folder"], tmp_path)
    card = json.loads((folder / "project.json").read_text("utf-8"))
    part = card
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    (folder / "project.json").write_text(json.dumps(card), encoding="utf-8")
    project = in_words(lambda: load_project(folder))
    if project is not None:
        p = project.predict_proba([ORIGINAL])
        assert np.allclose(p, kept["p"]), "only words were changed"
        assert "<" not in project.model_card() or place[0] == "name"


def odd_files():
    yield "no file", lambda f: f.unlink()
    yield "empty", lambda f: f.write_bytes(b"")
    yield "half", lambda f: f.write_bytes(f.read_bytes()[: f.stat().st_size // 2])
    yield "zeros", lambda f: f.write_bytes(bytes(f.stat().st_size))
    yield "a byte more", lambda f: f.write_bytes(f.read_bytes() + b"x")
    yield "text", lambda f: f.write_text("{}")
    yield "list", lambda f: f.write_text("[]")
    yield "a pickle", lambda f: f.write_bytes(b"\x80\x04N.")
    yield "a huge header", lambda f: f.write_bytes(struct.pack("<Q", 2**60) + b"{}")


@pytest.mark.parametrize("agree", [True, False], ids=["with its sum", "without"])
@pytest.mark.parametrize("name", ["network.safetensors", "tokenizer/tokenizer.json"])
@pytest.mark.parametrize(
    "spoil", [pytest.param(s, id=f"file: {n}") for n, s in odd_files()]
)
def test_a_spoilt_file_of_a_project_is_refused(spoil, name, agree, kept, tmp_path):
    folder = copied(kept["texts"], tmp_path)
    spoil(folder / name)
    if agree and (folder / name).is_file():
        card = json.loads((folder / "project.json").read_text("utf-8"))
        card["sha256"][name] = file_sha256(folder / name)
        (folder / "project.json").write_text(json.dumps(card), encoding="utf-8")
    assert in_words(lambda: load_project(folder)) is None


# --- results, cards, studies ---------------------------------------------------------

JSON = ["", "{", "[]", "3", "null", '"x"', "{}", '{"notebooks": 3}', "\0", "[" * 5000]
JSON += ['{"environment": {}, "notebooks": [{}]}', '{"metrics": ', "NaN", "\ufeff{}"]


@pytest.mark.parametrize("text", JSON, ids=lambda t: repr(t[:12]))
def test_damaged_results_are_refused(text, tmp_path):
    (tmp_path / "results.json").write_text(text, encoding="utf-8")
    assert in_words(lambda: publishing().keep_run(tmp_path)) is None


@pytest.mark.parametrize("text", JSON, ids=lambda t: repr(t[:12]))
def test_a_damaged_study_is_refused(text, tmp_path, monkeypatch):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "00.json").write_text(text, encoding="utf-8")
    monkeypatch.setattr(session.machine, "data_folder", lambda: tmp_path)
    assert in_words(lambda: session.read_study("00")) is None


@pytest.mark.parametrize("text", JSON, ids=lambda t: repr(t[:12]))
def test_a_damaged_card_is_a_finding_of_the_doctor(text, tmp_path):
    (tmp_path / "card.json").write_text(text, encoding="utf-8")
    good, said, step = doctor._checked("data/x", doctor.check_bundled, tmp_path)
    assert not good and len(said) > 20 and step


@pytest.mark.parametrize("text", JSON, ids=lambda t: repr(t[:12]))
def test_a_damaged_card_of_a_data_set_is_refused(text, tmp_path):
    (tmp_path / "card.json").write_text(text, encoding="utf-8")
    assert in_words(lambda: tl.load_drawings(tmp_path)) is None
