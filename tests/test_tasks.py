"""Any picture is read or refused in words; splits share nothing; samples nest."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import torch
from pictures import draw
from PIL import Image, ImageCms

import tlhelpers as tl
from tlhelpers import tasks
from tlhelpers.tasks import (
    PART_NAMES,
    ImageSplit,
    ImageTask,
    TextSplit,
    TextTask,
    stratified_split,
)


def pixels(path) -> np.ndarray:
    image = tasks.read_image(path)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


# --- reading any picture ---------------------------------------------------------


def test_cmyk_jpeg_keeps_its_colours(tmp_path):
    path = tmp_path / "print.jpg"
    red = Image.new("RGB", (16, 16), (230, 30, 30)).convert("CMYK")
    red.save(path, quality=95)
    assert Image.open(path).mode == "CMYK"
    np.testing.assert_allclose(pixels(path)[8, 8], (230, 30, 30), atol=6)


def test_16_bit_png_keeps_its_range_of_grey(tmp_path):
    path = tmp_path / "scan.png"
    ramp = np.linspace(1000, 61000, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(ramp).save(path)
    assert Image.open(path).mode == "I;16"
    got = pixels(path)
    np.testing.assert_allclose(got[..., 0], np.arange(256).reshape(16, 16), atol=1)
    assert (got == got[..., :1]).all()


@pytest.mark.parametrize("gap", [np.nan, -9999, np.finfo(np.float32).min])
def test_a_float_picture_of_gaps_alone_is_refused(tmp_path, gap):
    Image.fromarray(np.full((8, 8), gap, np.float32)).save(tmp_path / "gap.tiff")
    with pytest.raises(tl.CourseError, match="no pixel has a value"):
        tasks.read_image(tmp_path / "gap.tiff")


def heights(gap: float, dtype: type) -> np.ndarray:
    """A ramp from 10 to 20 in which one pixel was not measured."""
    grey = np.linspace(10, 20, 64).reshape(8, 8).astype(dtype)
    grey[3, 3] = gap
    return grey


@pytest.mark.parametrize(
    ("gap", "dtype", "tag"),
    [
        (-9999, np.float32, None),
        (-9999, np.int32, None),
        (-32768, np.int32, None),
        (np.finfo(np.float32).min, np.float32, None),
        (-99.9, np.float32, "-99.9"),
        (65535, np.uint16, "65535 "),
        (1e20, np.float32, "1e+20"),
    ],
)
def test_what_was_not_measured_does_not_squash_the_range(tmp_path, gap, dtype, tag):
    grey, file = heights(gap, dtype), tmp_path / "heights.tiff"
    Image.fromarray(grey).save(file, tiffinfo={42113: tag} if tag else {})
    pixels = np.asarray(tasks.read_image(file))[..., 0].astype(float)
    wanted = (grey.astype(float) - 10) / 10 * 255
    wanted[3, 3] = 0
    assert np.abs(pixels - wanted).max() <= 1


@pytest.mark.parametrize("tag", ["none", "-1.#IND", ""])
def test_a_tag_without_a_number_names_no_gap(tmp_path, tag):
    plain, tagged = tmp_path / "plain.tiff", tmp_path / "tagged.tiff"
    image = Image.fromarray(heights(15, np.float32))
    image.save(plain)
    image.save(tagged, tiffinfo={42113: tag})
    assert tasks.read_image(tagged).tobytes() == tasks.read_image(plain).tobytes()


def test_a_format_that_is_registered_late_is_read(tmp_path):
    """As pillow-heif does it: its name is known here, its reader comes later."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(6):
            colour = (40 * i, 0, 99 * (name == "a"))
            image = Image.new("RGB", (8, 8), colour)
            image.save(tmp_path / name / f"{i}.webp", lossless=True)
    code = (
        "from PIL import Image; Image.init(); reader = Image.OPEN.pop('WEBP'); "
        "Image.EXTENSION.pop('.webp'); import tlhelpers as tl; tl.from_folder, tl.fit; "
        "Image.OPEN['WEBP'] = reader; Image.register_extension('WEBP', '.webp'); "
        f"print(len(tl.from_folder({str(tmp_path)!r}).train))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "6", done.stderr


@pytest.mark.parametrize("gap", [np.nan, np.inf, -np.inf])
def test_a_gap_in_a_float_picture_leaves_the_rest_as_it_is(tmp_path, gap):
    grey = np.linspace(10, 20, 64, dtype=np.float32).reshape(8, 8)
    grey[3, 3] = gap
    Image.fromarray(grey).save(tmp_path / "scan.tiff")
    pixels = np.asarray(tasks.read_image(tmp_path / "scan.tiff"))[..., 0]
    wanted = ((grey - 10) / 10 * 255).astype(np.float64)
    wanted[3, 3] = 0
    assert np.abs(pixels - wanted).max() <= 1


def test_a_program_that_is_called_a_picture_is_not_opened(tmp_path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "page.eps")
    (tmp_path / "page.eps").rename(tmp_path / "page.png")
    with pytest.raises(tl.CourseError, match="not a picture format"):
        tasks.read_image(tmp_path / "page.png")


@pytest.mark.parametrize("error", [TypeError, KeyError, struct.error])
def test_whatever_a_decoder_raises_is_said_of_the_picture(tmp_path, monkeypatch, error):
    Image.new("RGB", (8, 8)).save(tmp_path / "odd.png")

    def fail(image):
        raise error("odd data")

    monkeypatch.setattr(tasks.ImageOps, "exif_transpose", fail)
    with pytest.raises(tl.CourseError, match=r"odd\.png cannot be read"):
        tasks.read_image(tmp_path / "odd.png")


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA"])
def test_transparency_becomes_white(tmp_path, mode):
    path = tmp_path / "logo.png"
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((10, 10, 10, 255), (4, 0, 8, 8))
    if mode == "P":
        flat = Image.new("P", (8, 8), 0)
        flat.putpalette([0, 0, 0, 10, 10, 10])
        flat.paste(1, (4, 0, 8, 8))
        flat.save(path, transparency=0)
    else:
        image.convert(mode).save(path)
    assert Image.open(path).mode == mode
    assert pixels(path)[4, 1].tolist() == [255, 255, 255]
    assert pixels(path)[4, 6].tolist() == [10, 10, 10]


def test_half_transparent_is_mixed_with_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 128)).save(tmp_path / "half.png")
    np.testing.assert_allclose(pixels(tmp_path / "half.png")[2, 2], 127, atol=1)


def test_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), c) for c in ("red", "lime", "blue")]
    path = tmp_path / "wave.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert Image.open(path).n_frames == 3
    assert pixels(path)[4, 4].tolist() == [255, 0, 0]


def test_exif_orientation_is_applied(tmp_path):
    upright = np.zeros((20, 40, 3), dtype=np.uint8)
    upright[:, 30:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.fromarray(np.rot90(upright).copy())
    path = tmp_path / "phone.jpg"
    lying.save(path, exif=exif, quality=95)
    assert Image.open(path).size == (20, 40)
    np.testing.assert_allclose(pixels(path), upright, atol=12)


def truncated(path):
    whole = io.BytesIO()
    draw("disc", 1, 64).save(whole, "JPEG")
    path.write_bytes(whole.getvalue()[:700])


def renamed_text(path):
    path.write_text("Dear diary, today I am a picture.")


@pytest.mark.parametrize("damage", [truncated, renamed_text, lambda p: p.touch()])
def test_broken_picture_is_refused_by_name(tmp_path, damage):
    path = tmp_path / "broken.jpg"
    damage(path)
    with pytest.raises(tl.CourseError, match=r"broken\.jpg cannot be read") as caught:
        tasks.read_image(path)
    assert "JPEG or PNG" in caught.value.next_step


def test_missing_picture_is_refused_by_name(tmp_path):
    with pytest.raises(tl.CourseError, match=r"no picture .*gone\.png"):
        tasks.read_image(tmp_path / "gone.png")


def test_folder_is_no_picture(tmp_path):
    with pytest.raises(tl.CourseError, match="cannot be read"):
        tasks.read_image(tmp_path)


def test_picture_without_a_file_name_is_called_the_picture():
    with pytest.raises(tl.CourseError, match="^The picture cannot be read"):
        tasks.read_image(io.BytesIO(b"no picture"))


def test_size_limit_is_checked_before_decoding(tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "MAX_PIXELS", 100)
    decoded = []
    monkeypatch.setattr(Image.Image, "load", lambda self: decoded.append(self))
    Image.new("RGB", (10, 11)).save(tmp_path / "big.bmp")
    decoded.clear()
    with pytest.raises(tl.CourseError, match="too large .10 × 11 pixels"):
        tasks.read_image(tmp_path / "big.bmp")
    assert decoded == []


def test_size_limit_itself_is_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "MAX_PIXELS", 100)
    Image.new("RGB", (10, 10)).save(tmp_path / "just.png")
    assert tasks.read_image(tmp_path / "just.png").size == (10, 10)


def test_decompression_bomb_is_refused(tmp_path):
    head = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54)
    size = struct.pack("<IiiHHIIiiII", 40, 30_000, 30_000, 1, 24, 0, 0, 0, 0, 0, 0)
    (tmp_path / "bomb.bmp").write_bytes(head + size)
    with pytest.raises(tl.CourseError, match="too large"):
        tasks.read_image(tmp_path / "bomb.bmp")


def test_damaged_bytes_are_read_or_refused_but_never_crash():
    rng, outcomes = np.random.default_rng(0), {"read": 0, "refused": 0}
    for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP"):
        whole = io.BytesIO()
        draw("disc", 2, 24).save(whole, kind)
        for _ in range(60):
            data = np.frombuffer(whole.getvalue(), np.uint8).copy()
            data[rng.integers(0, min(len(data), 300), size=2)] = rng.integers(0, 256, 2)
            data = (
                data[: rng.integers(1, len(data) + 1)] if rng.random() < 0.5 else data
            )
            try:
                assert tasks.read_image(io.BytesIO(data.tobytes())).mode == "RGB"
                outcomes["read"] += 1
            except tl.CourseError:
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 20


def test_colour_profile_does_not_disturb_reading(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (4, 4), "red").save(tmp_path / "icc.png", icc_profile=profile)
    assert pixels(tmp_path / "icc.png")[1, 1].tolist() == [255, 0, 0]


# --- tensors ---------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(60, 40), (40, 60), (33, 33)])
def test_to_tensor_is_pils_scaled_centre_crop(shape):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (*shape[::-1], 3), dtype=np.uint8))
    left = (image.width - min(shape)) // 2
    top = (image.height - min(shape)) // 2
    box = (left, top, left + min(shape), top + min(shape))
    crop = image.resize((16, 16), Image.Resampling.BICUBIC, box=box)
    got = tl.to_tensor(image, 16)
    assert (got.shape, got.dtype) == ((3, 16, 16), torch.uint8)
    assert np.array_equal(got.permute(1, 2, 0).numpy(), np.asarray(crop))


def test_tensors_holds_each_picture_beside_its_label(tiny_images):
    split = tl.from_folder(tiny_images).test
    x, y = split.tensors(24)
    assert x.shape == (len(split), 3, 24, 24) and x.dtype == torch.uint8
    assert y.dtype == torch.int64 and y.tolist() == split.labels.tolist()
    for row, (image, label) in zip(x, split):
        assert torch.equal(row, tl.to_tensor(image, 24))
        # Discs (label 0) are red, squares blue: the label belongs to the picture.
        assert (row[0, 12, 12] > row[2, 12, 12]) == (label == 0)


def test_take_keeps_the_order_asked_for(tiny_images):
    split = tl.from_folder(tiny_images).train
    taken = split.take([3, 0])
    assert taken.paths == (split.paths[3], split.paths[0])
    assert taken.labels.tolist() == split.labels[[3, 0]].tolist()


# --- splitting -------------------------------------------------------------------


def test_stratified_split_gives_no_test_where_none_is_wanted():
    part = stratified_split(np.repeat([0, 1], 10), seed=0, valid=0.2, test=0.0)
    assert sorted(set(part)) == ["train", "valid"]
    assert (part == "valid").sum() == 4


# --- samples ---------------------------------------------------------------------


@pytest.fixture
def task():
    """Thirty pictures of class 0, twenty of class 1, twelve of class 2."""
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [30, 20, 12]))
    split = ImageSplit(tuple(f"{i}.png" for i in range(62)), labels)
    return ImageTask("toy", ("a", "b", "c"), split, split.take([0]), split.take([1]))


@pytest.mark.parametrize("n", [1, 5, 12])
def test_sample_has_n_of_each_class_with_their_own_labels(task, n):
    small = task.sample(n, seed=3)
    assert np.bincount(small.train.labels).tolist() == [n, n, n]
    assert len(set(small.train.paths)) == 3 * n
    truth = dict(zip(task.train.paths, task.train.labels))
    assert [truth[p] for p in small.train.paths] == small.train.labels.tolist()


def test_sample_leaves_the_other_splits_alone(task):
    small = task.sample(2)
    assert small.valid is task.valid and small.test is task.test
    assert len(task.train) == 62


def test_smaller_sample_is_contained_in_the_larger(task):
    sizes = [set(task.sample(n, seed=5).train.paths) for n in (1, 4, 9, 12)]
    assert all(small < large for small, large in zip(sizes, sizes[1:]))


def test_seed_decides_the_sample(task):
    first, again, other = (task.sample(4, seed=s).train.paths for s in (0, 0, 1))
    assert first == again
    assert set(first) != set(other)


@pytest.mark.parametrize("n", [0, 13])
def test_sample_beyond_the_smallest_class_is_refused(task, n):
    assert task.smallest_class == 12
    with pytest.raises(
        tl.CourseError, match=f"asked for {n} per class.*has 12"
    ) as caught:
        task.sample(n)
    assert caught.value.next_step == "Ask for 1 to 12."


def test_rows_are_the_rows_of_the_sample(task):
    rows = task.rows(3, seed=4)
    assert [task.train.paths[i] for i in rows] == [*task.sample(3, seed=4).train.paths]


def test_frame_lists_train_and_valid_by_class_name(tiny_images):
    task = tl.from_folder(tiny_images)
    frame = tl.from_folder(tiny_images).to_frame()
    assert list(frame.columns) == ["path", "label", "is_valid"]
    assert frame.path[~frame.is_valid].tolist() == list(task.train.paths)
    assert frame.path[frame.is_valid].tolist() == list(task.valid.paths)
    assert all(p.parent.name == label for p, label in zip(frame.path, frame.label))


def test_task_prints_its_counts(task):
    assert "train 62 · valid 1 · test 1" in str(task)
    assert "3 classes (a, b, c)" in str(task)


def test_splits_are_sequences_of_pairs(tiny_images):
    texts = TextSplit(("a", "b", "c"), np.array([0, 1, -1]))
    assert len(texts) == 3 and ("b", 1) in texts
    assert [label for _, label in texts] == [0, 1, -1]
    pictures = tl.from_folder(tiny_images).test
    assert len(list(pictures)) == len(pictures)
    assert type(pictures.take([0])) is ImageSplit and type(texts.take([0])) is TextSplit
    assert texts.take([]).texts == () and len(pictures.take(np.array([], int))) == 0


def test_labels_of_tensors_can_be_changed_without_changing_the_split(tiny_images):
    split = tl.from_folder(tiny_images).valid
    before = split.labels.tolist()
    _, y = split.tensors(8)
    y += 5
    assert split.labels.tolist() == before


def test_a_task_is_frozen_and_of_its_kind(task):
    with pytest.raises(FrozenInstanceError):
        task.name = "other"
    with pytest.raises(FrozenInstanceError):
        task.train.labels = None
    assert type(task.sample(2)) is ImageTask
    assert (ImageTask.KIND, TextTask.KIND) == ("pictures", "texts")


def test_parts_have_one_table_of_names():
    assert set(PART_NAMES.values()) == set(tasks.PARTS)
    assert {n for n, part in PART_NAMES.items() if part == "valid"} == {
        *("valid", "val", "validation", "dev", "eval")
    }
    assert PART_NAMES["training"] == "train" and PART_NAMES["testing"] == "test"


def small_task(train: list[int]) -> TextTask:
    part = lambda y: TextSplit(tuple(map(str, y)), np.array(y))  # noqa: E731
    return TextTask("t", ("a", "b"), part(train), part([0, 1]), part([1, 0]))


def test_a_task_that_has_what_is_needed_is_returned():
    task = small_task([0, 1, 0, 1])
    assert task.need() is task and task.need(2) is task


def test_a_task_says_what_it_lacks():
    with pytest.raises(
        tl.CourseError, match="needs 3 or more texts of each class in train"
    ):
        small_task([0, 1, 0, 1, 0]).need(3)
    with pytest.raises(tl.CourseError, match="'t' has 2 of 'b'"):
        small_task([0, 1, 0, 1, 0]).need(3)


def test_fastai_sees_the_pictures_that_the_rest_of_the_lesson_sees(tmp_path):
    """Lying, see-through and 16-bit pictures, through the block of lesson 01 itself."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("disc", "square"):
        (tmp_path / kind).mkdir()
        for i in range(12):
            image, path = draw(kind, i, 48).crop((0, 0, 48, 30)), tmp_path / kind
            if i % 3 == 0:
                image.save(path / f"{i}.png", exif=exif)
            elif i % 3 == 1:
                image.putalpha(Image.linear_gradient("L").resize(image.size))
                image.save(path / f"{i}.png")
            else:
                grey = np.asarray(image.convert("L"), dtype=np.uint16) * 200 + 999
                Image.fromarray(grey).save(path / f"{i}.png")
    task = tl.from_folder(tmp_path)
    (path,) = (Path(__file__).parents[1] / "notebooks").glob("01_*.ipynb")
    cells = [c.source for c in nbformat.read(path, as_version=4).cells]
    (cell,) = [c for c in cells if "DataBlock(" in c]
    names = {"tl": tl, "torch": torch, "task": task, "SEED": 0, "size": 32, "few": 3}
    names["run"] = SimpleNamespace(device="cpu")
    exec(cell, names)
    dls, sample = names["dls"], task.sample(3, 0)
    watched = task.valid.take(range(0, len(task.valid), 4))  # a quarter of it will do
    for split, seen in ((sample.train, dls.train_ds), (watched, dls.valid_ds)):
        assert len(split) == len(seen)
        for i in range(len(split)):
            np.testing.assert_array_equal(np.asarray(seen[i][0]), split[i][0])
    tests = dls.test_dl(list(task.test.paths)).dataset
    for i in range(len(task.test)):
        np.testing.assert_array_equal(np.asarray(tests[i][0]), task.test[i][0])


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
def test_pictures_are_read_into_a_file_and_not_into_memory(tmp_path):
    """With 150 MB of memory to spare, 400 MB of pictures are read, and one is right."""
    draw("disc", 0).save(tmp_path / "disc.png")
    program = """
import resource, sys, numpy as np, torch
from pathlib import Path
from tlhelpers.tasks import ImageSplit
path = Path(sys.argv[1], "disc.png")
first, _ = ImageSplit((path,), np.zeros(1, int)).tensors(512)
used = int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0]) * 1024
limit = used + 150 * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
x, y = ImageSplit((path,) * 510, np.zeros(510, int)).tensors(512)
assert x.shape == (510, 3, 512, 512) and x.dtype == torch.uint8 and x.nbytes > 4e8
assert torch.equal(x[-1], first[0]) and len(y) == 510
x[0] = 7  # it can be changed, as any tensor
assert (x[0] == 7).all()
try:
    torch.zeros(len(x), 3, 512, 512, dtype=torch.uint8)
except RuntimeError:
    print("memory would not have held them")
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True
    )
    assert done.stdout.strip() == "memory would not have held them", done.stderr


def test_a_split_without_a_picture_gives_no_row():
    x, y = ImageSplit((), np.zeros(0, int)).tensors(8)
    assert x.shape == (0, 3, 8, 8) and y.shape == (0,)
