"""Device, precision and seed; the hub in reach or not; files that must be whole."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import torch
from huggingface_hub import constants

import tlhelpers as tl
from tlhelpers import machine
from tlhelpers.errors import CourseError


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("HF_HUB_OFFLINE", "https_proxy", "HTTPS_PROXY", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def test_seed_is_that_of_python_numpy_and_torch():
    numbers = []
    for seed in (3, 3, 4):
        machine.seed_everything(seed)
        numbers.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert numbers[0] == numbers[1]
    assert all(a != b for a, b in zip(numbers[0], numbers[2]))


# --- precision -------------------------------------------------------------------


@pytest.mark.parametrize(("major", "precision"), [(7, "fp16"), (8, "bf16")])
def test_gpu_without_bf16_units_gets_fp16(monkeypatch, major, precision):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (major, 0))
    assert machine.fast_precision("cuda") == precision


@pytest.mark.parametrize(
    ("has", "bf16", "precision"),
    [(True, 0.4, "bf16"), (True, 0.6, "fp32"), (False, 0.1, "fp32")],
)
def test_cpu_gets_bf16_where_it_halves_the_time(monkeypatch, has, bf16, precision):
    """Some CPUs have the instructions, but are faster without them."""
    instructions = "_is_avx512_bf16_supported"
    monkeypatch.setattr(torch.cpu, instructions, lambda: has, raising=False)
    times = iter([[3.0, 1.0], [bf16, 2.0]])  # fp32's come first
    monkeypatch.setattr(machine, "repeat", lambda *_, **__: next(times))
    machine._bf16_pays.cache_clear()
    try:
        assert machine.fast_precision("cpu") == precision
    finally:
        machine._bf16_pays.cache_clear()


def test_the_time_of_bf16_is_measured_once_and_each_format_in_its_own():
    machine._bf16_pays.cache_clear()
    kinds = []
    real = torch.Tensor.__matmul__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            torch.Tensor, "__matmul__", lambda a, b: kinds.append(a.dtype) or real(a, b)
        )
        first = machine._bf16_pays()
        assert machine._bf16_pays() == first
    half = len(kinds) // 2
    assert half > 2 and set(kinds[:half]) == {torch.float32}
    assert set(kinds[half:]) == {torch.bfloat16}


def test_an_older_pytorch_that_knows_no_instructions_gets_fp32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert machine.fast_precision("cpu") == "fp32"


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_autocast_multiplies_in_the_precision_asked_for(precision, dtype):
    with machine.autocast("cpu", precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_memory_can_be_released_anywhere():
    machine.release_memory()


# --- the hub ---------------------------------------------------------------------


def test_hub_is_out_of_reach_without_network(network_attempts):
    assert machine.hub_reachable() is False
    assert network_attempts == ["huggingface.co"]


def test_offline_variable_keeps_us_from_knocking(monkeypatch, network_attempts):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert machine.hub_reachable() is False
    assert network_attempts == []


def test_hub_behind_a_proxy_is_asked_through_the_proxy(monkeypatch, network_attempts):
    monkeypatch.setenv("https_proxy", "http://proxy.school.example:3128")
    machine.hub_reachable()
    assert network_attempts == ["proxy.school.example"]


# --- fetching --------------------------------------------------------------------


def test_what_cannot_be_fetched_is_named_with_the_next_step():
    with pytest.raises(tl.CourseError) as caught:
        with machine.fetching("The moon", "Look up."):
            raise TimeoutError("slow")
    assert caught.value.problem == "The moon could not be fetched (TimeoutError)."
    assert caught.value.next_step == "Look up."
    assert isinstance(caught.value.__cause__, TimeoutError)


def test_our_own_error_passes_through_fetching():
    error = tl.CourseError("Soup is cold.", "Warm it.")
    with pytest.raises(tl.CourseError) as caught, machine.fetching("The moon", "?"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("answers", "hub", "offline"),
    [(True, True, False), (False, True, True), (False, False, False)],
)
def test_the_hubs_client_stays_offline_where_no_hub_answers(
    monkeypatch, answers, hub, offline
):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(machine, "hub_reachable", lambda: answers)
    with machine.fetching("The moon", "?", hub=hub):
        assert constants.HF_HUB_OFFLINE is offline
    with pytest.raises(tl.CourseError), machine.fetching("The moon", "?", hub=hub):
        raise OSError
    assert constants.HF_HUB_OFFLINE is False


def test_the_hubs_client_gives_up_at_once_where_no_hub_answers(
    monkeypatch, tmp_path, network_attempts
):
    from huggingface_hub import hf_hub_download

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(tl.CourseError, match=r"The moon could .*\(LocalEntry"):
        with machine.fetching("The moon", "Look up."):
            hf_hub_download("bert-base-uncased", "config.json", cache_dir=tmp_path)
    assert network_attempts == ["huggingface.co"], "asked once, by us"


def test_another_source_than_the_hub_does_not_ask_the_hub(network_attempts):
    with machine.fetching("The moon", "Look up.", hub=False):
        pass
    assert network_attempts == []


# --- folders and files -----------------------------------------------------------


def test_cache_folder_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("TLHELPERS_CACHE", str(tmp_path))
    assert machine.cache_folder() == tmp_path
    monkeypatch.setenv("TLHELPERS_CACHE", "")
    assert machine.cache_folder().name == "tlhelpers"
    assert machine.cache_folder().is_absolute()


def test_missing_data_are_said(monkeypatch, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "a" / "b" / "machine.py"))
    with pytest.raises(tl.CourseError, match="not found") as caught:
        machine.data_folder()
    assert "install tlhelpers again" in caught.value.next_step
    for place in ("a/b/data", "a/data"):  # as installed; in a checkout, which wins
        (tmp_path / place).mkdir()
        (tmp_path / place / "README.md").touch()
        assert machine.data_folder() == tmp_path / place


def test_sha256_is_that_of_the_whole_file(tmp_path):
    content = np.random.default_rng(0).bytes(2**21 + 3)
    (tmp_path / "large").write_bytes(content)
    assert (
        machine.file_sha256(tmp_path / "large") == hashlib.sha256(content).hexdigest()
    )


def test_a_file_is_checked_for_being_there_and_for_being_whole(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(tl.CourseError, match="file is missing"):
        machine.check_file(path)
    path.write_bytes(b"words")
    assert machine.check_file(path) == path
    assert machine.check_file(path, hashlib.sha256(b"words").hexdigest()) == path
    with pytest.raises(tl.CourseError, match="file is damaged"):
        machine.check_file(path, hashlib.sha256(b"other").hexdigest())


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A bundled model with a vocabulary; the path of its weights."""
    path = tmp_path / "models" / "reader.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    path.with_suffix(".txt").write_bytes(b"words")
    card = {
        "title": "größer",
        "sha256": hashlib.sha256(b"weights").hexdigest(),
        "vocabulary_sha256": hashlib.sha256(b"words").hexdigest(),
    }
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    monkeypatch.setattr(machine, "data_folder", lambda: tmp_path)
    return path


def test_model_card_comes_with_the_path_of_the_weights(reader):
    path, card = machine.read_model_card("reader")
    assert path == reader and card["title"] == "größer"


def test_model_without_vocabulary_needs_none(reader):
    card = machine.read_model_card("reader")[1]
    del card["vocabulary_sha256"]
    reader.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    reader.with_suffix(".txt").unlink()
    assert machine.read_model_card("reader") == (reader, card)


@pytest.mark.parametrize("suffix", [".safetensors", ".txt", ".json"])
def test_missing_file_of_a_model_is_named(reader, suffix):
    reader.with_suffix(suffix).unlink()
    with pytest.raises(tl.CourseError, match=rf"reader\{suffix} is miss") as caught:
        machine.read_model_card("reader")
    assert "git checkout" in caught.value.next_step


@pytest.mark.parametrize("suffix", [".safetensors", ".txt"])
def test_changed_file_of_a_model_is_named(reader, suffix):
    reader.with_suffix(suffix).write_bytes(b"changed")
    with pytest.raises(tl.CourseError, match=rf"reader\{suffix} is damaged"):
        machine.read_model_card("reader")
    assert machine.read_model_card("reader", check=False)[0] == reader


# --- side by side --------------------------------------------------------------------


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def small_training(seed):
    """Train a tiny network; return its weights."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten())
    model.append(torch.nn.Linear(4 * 6 * 6, 2))
    x = torch.randint(0, 256, (12, 3, 8, 8), dtype=torch.uint8)
    change = lambda b: tl.augment(b.float() / 255)  # noqa: E731
    tl.fit(model, (x, torch.arange(12) % 2), epochs=3, lr=1e-2, transform=change)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_side_by_side_keeps_the_order_and_takes_what_cannot_be_pickled(two_threads):
    shift = 5
    found = tl.side_by_side(lambda a, b: 10 * a + b + shift, [(k, 1) for k in range(7)])
    assert found == [10 * k + 6 for k in range(7)]
    assert tl.side_by_side(lambda: 1, []) == []


def test_side_by_side_gives_what_one_after_the_other_gives(two_threads):
    found = tl.side_by_side(small_training, [(seed,) for seed in range(4)])
    torch.set_num_threads(1)
    for seed, weights in enumerate(found):
        assert torch.equal(weights, small_training(seed))
    assert not torch.equal(found[0], found[1])


@pytest.mark.skipif(sys.platform != "linux", reason="needs a copy of the process")
def test_side_by_side_uses_other_processes_with_their_share_of_threads(two_threads):
    found = tl.side_by_side(lambda k: (os.getpid(), torch.get_num_threads()), [(0,)])
    assert found[0][0] != os.getpid() and found[0][1] == 1
    torch.set_num_threads(1)
    assert tl.side_by_side(os.getpid, [()]) == [os.getpid()]


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [(sys, "platform", "win32"), (machine, "default_device", lambda: "cuda")],
)
def test_side_by_side_is_one_after_the_other_where_it_must_be(
    two_threads, monkeypatch, module, name, value
):
    monkeypatch.setattr(module, name, value)
    assert tl.side_by_side(os.getpid, [(), ()]) == [os.getpid()] * 2


def test_side_by_side_leaves_the_random_numbers_and_passes_errors_on(two_threads):
    def fail():
        raise CourseError("Nothing to learn from.", "Give labels.")

    before = torch.get_rng_state()
    tl.side_by_side(small_training, [(0,), (1,)])
    assert torch.equal(before, torch.get_rng_state())
    with pytest.raises(CourseError, match="Nothing to learn from.\n→ Give labels"):
        tl.side_by_side(fail, [()])


def test_side_by_side_says_that_a_process_was_killed(two_threads):
    with pytest.raises(CourseError, match="was killed"):
        tl.side_by_side(lambda: os.kill(os.getpid(), signal.SIGKILL), [()])


@pytest.mark.skipif(sys.platform != "linux", reason="needs a copy of the process")
def test_side_by_side_leaves_nobody_behind_when_it_is_killed(tmp_path):
    code = (
        "import os, pathlib, signal, sys, time, torch, tlhelpers as tl\n"
        "def call(k):\n"
        "    pathlib.Path(sys.argv[1], str(os.getpid())).touch()\n"
        "    time.sleep(60)\n"
        "torch.set_num_threads(2)\n"
        "tl.side_by_side(call, [(0,), (1,)])\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    for _ in range(600):
        if len(children := [int(p.name) for p in tmp_path.iterdir()]) == 2:
            break
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    time.sleep(1)
    assert len(children) == 2
    assert not any(psutil.pid_exists(pid) and alive(pid) for pid in children)


def alive(pid):
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_process_can_be_copied_after_an_export(tmp_path):
    """In a process of its own, where nothing has gone back before the export."""
    code = f"""
import torch, tlhelpers as tl
from tlhelpers.machine import seed_everything

seed_everything(0)
tl.export_onnx(torch.nn.Linear(3, 2), torch.zeros(4, 3), {str(tmp_path / "x.onnx")!r})
torch.nn.Linear(2, 2)(torch.zeros(1, 2)).sum().backward()
torch.set_num_threads(2)
back = lambda: torch.nn.Linear(2, 2)(torch.zeros(1, 2)).sum().backward()
print(tl.side_by_side(back, [(), ()]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "[None, None]" in done.stdout, done.stderr[-2000:]
