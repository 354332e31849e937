"""Fixtures of all tests: no network, a folder of pictures, a small network."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from pictures import fill

os.environ["TQDM_DISABLE"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:
    # Threads of two processes on the same cores would wait for one another.
    for library in ("OMP", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
LOOPBACK = ("127.", "::1", "localhost")


def pytest_addoption(parser):
    parser.addoption("--require-gpu", action="store_true", help="fail without a GPU")
    parser.addoption(
        "--changed", metavar="REF", help="what differs from REF can affect"
    )


def pytest_collection_modifyitems(config, items):
    """Keep the tests that a change can affect, where only those are asked for."""
    if not (ref := config.getoption("--changed")):
        return
    from changed import changed_files, chooser
    from notebook_tools import ROOT

    wanted = chooser(changed_files(ref))
    kept, left = [], []
    for item in items:
        lesson, given = None, getattr(item, "callspec", None)
        if given and item.path.name == "test_notebooks.py":
            path = given.params.get("path")
            lesson = path.name[:2] if path else given.params.get("number")
        file = item.path.relative_to(ROOT).as_posix()
        (kept if wanted(file, lesson) else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


@pytest.fixture(autouse=True)
def network_attempts(monkeypatch):
    """Cut the network, this machine itself excepted; list who tried to reach out."""
    attempts: list[str] = []

    def guarded(real, host_of):
        def call(*args, **kwargs):
            host = host_of(*args)
            if host is None or str(host).startswith(LOOPBACK):
                return real(*args, **kwargs)
            attempts.append(str(host))
            raise OSError(f"the tests have no network ({host})")

        return call

    def peer(sock, address, *_):
        return address[0] if sock.family != getattr(socket, "AF_UNIX", -1) else None

    for name in ("connect", "connect_ex"):
        real = getattr(socket.socket, name)
        monkeypatch.setattr(socket.socket, name, guarded(real, peer))
    for name, host_of in (
        ("create_connection", lambda address, *_: address[0]),
        ("getaddrinfo", lambda host, *_: host),
    ):
        real = getattr(socket, name)
        monkeypatch.setattr(socket, name, guarded(real, host_of))
    return attempts


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The course's web pages, built once."""
    from site_tools import build_site

    return build_site(tmp_path_factory.mktemp("pages") / "site")


@pytest.fixture
def tiny_images(tmp_path) -> Path:
    """A folder with twenty discs and ten squares."""
    root = tmp_path / "shapes"
    fill(root / "square", "square", range(10))
    fill(root / "disc", "disc", range(20))
    return root


@pytest.fixture
def small_cnn():
    """A seeded network with batch-norm and dropout in its body."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = {
        "conv": nn.Conv2d(3, 6, 3, padding=1),
        "bn": nn.BatchNorm2d(6),
        "relu": nn.ReLU(),
        "drop": nn.Dropout(0.5),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flat": nn.Flatten(),
        "fc": nn.Linear(6, 2),
    }
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    return model


@pytest.fixture
def one_thread():
    """Compute in one thread: small networks only lose time waiting for a second."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def red_and_blue():
    """Forty 8 × 8 pictures, class 0 reddish and class 1 bluish: x, y."""
    import torch

    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 3, 8, 8, generator=g), torch.arange(40) % 2
    x[:, 0] += 2.0 * (y == 0)[:, None, None]
    x[:, 2] += 2.0 * (y == 1)[:, None, None]
    return x, y
