"""This machine: device, precision, seed, memory; the data folder and its files."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import random
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np
import torch
from tqdm.auto import tqdm

from .errors import CourseError

REPAIR = "Restore it with `git checkout -- data`, or install tlhelpers again."

HUB = "https://huggingface.co"

T = TypeVar("T")


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (every device)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def default_device() -> str:
    """Return "cuda" where a GPU answers, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def fast_precision(device: str | None = None) -> str:
    """Return the number format in which the device infers fastest.

    A GPU without bf16 units (a T4) gets "fp16"; a CPU gets "bf16" only where it has
    instructions for it, because elsewhere bf16 is emulated and slower than "fp32".
    """
    if (device or default_device()) == "cuda":
        major, _ = torch.cuda.get_device_capability()
        return "bf16" if major >= 8 else "fp16"
    flags = [f"_is_{unit}_supported" for unit in ("amx_tile", "avx512_bf16")]
    has = any(getattr(torch.cpu, f, lambda: False)() for f in flags)
    return "bf16" if has else "fp32"


def autocast(device: str | None = None, precision: str | None = None) -> Any:
    """Return a context in which matrix products run in the given precision."""
    device = device or default_device()
    precision = precision or fast_precision(device)
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device, dtype=dtype, enabled=precision != "fp32")


def hardware() -> str:
    """Describe the computing device in words, for example "cpu, 2 threads"."""
    if default_device() == "cuda":
        return torch.cuda.get_device_name()
    return f"cpu, {torch.get_num_threads()} threads"


def hub_reachable(timeout: float = 2.0) -> bool:
    """Return whether the model hub, or the proxy before it, answers in time."""
    if os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
        return False
    hub = urlsplit(getproxies().get("https") or os.environ.get("HF_ENDPOINT") or HUB)
    try:
        address = (hub.hostname, hub.port or 443)
        with socket.create_connection(address, timeout=timeout):
            return True
    except OSError:
        return False


def data_folder() -> Path:
    """Return the folder with the bundled data: in a checkout, or as installed."""
    here = Path(__file__).resolve().parent
    for folder in (here.parent / "data", here / "data"):
        if (folder / "README.md").is_file():
            return folder
    raise CourseError(
        "The bundled data of the course was not found.",
        "Install tlhelpers again, or run inside a complete checkout.",
    )


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, read a megabyte at a time."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def check_file(path: Path, sha256: str) -> None:
    """Raise CourseError if a bundled file is missing or not the one it should be."""
    if not path.is_file():
        raise CourseError(f"The bundled file {path} is missing.", REPAIR)
    if file_sha256(path) != sha256:
        raise CourseError(f"The bundled file {path} is damaged (sha256).", REPAIR)


def read_model_card(name: str, *, check: bool = True) -> tuple[Path, dict[str, Any]]:
    """Find a bundled model, check its files and read its card.

    Parameters
    ----------
    name : str
        Name of the files in ``data/models``, without the suffix.
    check : bool
        False for the card alone, where the weights are not wanted.

    Returns
    -------
    path : Path
        The weights (``.safetensors``); a vocabulary stands beside them (``.txt``).
    card : dict
        What the ``.json`` file says.

    Raises
    ------
    CourseError
        If a file is missing, or not the one the card describes.
    """
    path = data_folder() / "models" / f"{name}.safetensors"
    if not path.with_suffix(".json").is_file():
        raise CourseError(f"{path.with_suffix('.json')} is missing.", REPAIR)
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if check:
        check_file(path, card["sha256"])
    if check and "vocabulary_sha256" in card:
        check_file(path.with_suffix(".txt"), card["vocabulary_sha256"])
    return path, card


def progress(items: Iterable[T], text: str, total: int | None = None) -> Iterator[T]:
    """Iterate with a progress bar; silent where the variable TQDM_DISABLE is set."""
    yield from tqdm(items, desc=text, total=total, leave=False)


def release_memory() -> None:
    """Give freed memory back to the system, where the C library would keep it.

    After training on a CPU that is a few hundred megabytes, and small machines have
    two gigabytes.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
        if trim is not None:
            trim(0)
