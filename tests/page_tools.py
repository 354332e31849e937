"""Small finished projects, and the page of one, served as the command line does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import psutil
import pytest

OFFLINE = Path(__file__).parent / "offline"
SECONDS = 60


def picture_project():
    """A network of random weights that tells discs from squares, or so it says."""
    from tlhelpers.project.keep import PictureClassifier, Project
    from tlhelpers.sources import load_source

    network = PictureClassifier(load_source("tiny_photos", pretrained=False), 2)
    test = {"examples": 120, "accuracy": 0.9, "low": 0.8333, "high": 0.9421}
    card = {
        "figures": {"test": test},
        "network": {"arch": "tiny_photos", "size": 64},
        "data": {"classes": ["disc", "square"]},
    }
    return Project("Discs & squares", "images", ("disc", "square"), network, 1.0, card)


def text_project():
    """A BERT of random weights, one layer deep, with a real tokenizer."""
    import torch
    from transformers import BertConfig, BertModel

    from tlhelpers.bert import BertClassifier, load_bert
    from tlhelpers.project.keep import Project

    torch.manual_seed(0)
    tokenizer = load_bert().tokenizer
    shape = {
        "vocab_size": tokenizer.vocab_size,
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    body = BertModel(BertConfig(**shape), add_pooling_layer=False)
    network = BertClassifier(body, 2)
    names = ("ham", "spam")
    card = {"network": {"arch": "bert", "config": shape, "size": 128}}
    card["data"] = {"classes": list(names)}
    return Project("Spam or ham", "texts", names, network, 1.0, card, tokenizer)


@contextlib.contextmanager
def started(command: Sequence[str]) -> Iterator[Served]:
    """Start a server without network, and end it with Ctrl-C."""
    if sys.platform == "win32":
        pytest.skip("a program cannot be sent Ctrl-C on Windows")
    environment = {
        **os.environ,
        "PYTHONPATH": str(OFFLINE),
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield Served(process)
    finally:
        stop(process)


class Served:
    """A server that is starting, or has started."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process

    @cached_property
    def address(self) -> str:
        """Wait for the line that says where the page is."""
        line = self.process.stdout.readline()
        assert "http://" in line, f"no address in {line!r}"
        return "http://" + line.rpartition("http://")[2].strip()


def stop(
    process: subprocess.Popen, number: int = signal.SIGINT
) -> list[psutil.Process]:
    """Press Ctrl-C, wait, and return what was left running (and is now killed)."""
    if process.poll() is not None:
        return []
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    try:
        process.wait(SECONDS)
    finally:
        left = [child for child in children if child.is_running()]
        for child in left:
            child.kill()
        process.kill()
    return left


def wait_for(find, fits=bool, *, seconds: float = SECONDS):
    """Return what ``find`` finds as soon as it fits."""
    end = time.monotonic() + seconds
    while not fits(found := find()):
        assert time.monotonic() < end, f"after {seconds} s still {found!r}"
        time.sleep(0.1)
    return found
