"""What leaves PyTorch gives the same answers, for any batch and any length."""

from __future__ import annotations

import time

import pytest
import torch

import tlhelpers as tl


@pytest.fixture(scope="module")
def student():
    tl.seed_everything(0)
    return tl.WordPieceCNN(torch.randn(2000, 16), 3, width=8).eval()


@pytest.fixture(scope="module")
def exported(student, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    example = torch.randint(1, 2000, (2, 6))
    return tl.export_onnx(student, example, folder / "student.onnx")


@pytest.mark.parametrize(("n", "length"), [(1, 3), (2, 6), (5, 41)])
def test_onnx_answers_as_pytorch_does(student, exported, n, length):
    ids = torch.randint(1, 2000, (n, length))
    ids[0, 2:] = 0  # one text is shorter
    with torch.inference_mode():
        wanted = student(ids)
    assert torch.allclose(tl.run_onnx(exported)(ids), wanted, atol=1e-4)


def test_eight_bits_are_a_quarter_and_nearly_the_same(student, exported, tmp_path):
    small = tl.quantize_onnx(exported, tmp_path / "int8.onnx")
    assert small.stat().st_size < 0.45 * exported.stat().st_size
    ids = torch.randint(1, 2000, (50, 12))
    with torch.inference_mode():
        wanted = student(ids)
    found = tl.run_onnx(small)(ids)
    assert 0 < (found - wanted).abs().max() < 0.1 * wanted.abs().max()


def test_export_makes_no_noise(student, tmp_path, capfd, recwarn):
    path = tl.export_onnx(student, torch.randint(1, 2000, (2, 5)), tmp_path / "a.onnx")
    tl.quantize_onnx(path, tmp_path / "b.onnx")
    assert capfd.readouterr().err == ""
    assert not [w for w in recwarn if "onnx" in str(w.message).lower()]


def test_example_too_small_for_free_sizes_is_refused(student, tmp_path):
    with pytest.raises(tl.CourseError, match="too small"):
        tl.export_onnx(student, torch.ones(1, 8, dtype=torch.int64), tmp_path / "a")


def test_latency_is_the_median_in_milliseconds():
    calls = []

    def sometimes_slow(batch):
        calls.append(batch)
        time.sleep(0.2 if len(calls) in (1, 6) else 0.01)

    spent = tl.latency(sometimes_slow, torch.zeros(1), repeats=5)
    assert len(calls) == 8 and 9 < spent < 100
