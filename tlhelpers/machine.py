"""This machine: device, precision, seed, memory; the data folder and its files."""

import ctypes
import gc
import hashlib
import json
import os
import pickle
import random
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from timeit import repeat
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np
import torch
from tqdm import tqdm

from .errors import CourseError

REPAIR = "Restore it with `git checkout -- data`, or install tlhelpers again."

NEXT_STEP = 'Check the network, or set PROFILE = "mini", which needs none.'

HUB = "https://huggingface.co"


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (every device).

    Parameters
    ----------
    seed : int, >= 0
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    # After an export to ONNX the first backward pass would start threads, and then
    # side_by_side could no longer copy the process: so it comes before.
    torch.zeros(1, requires_grad=True).backward()


def default_device() -> str:
    """Return "cuda" where a GPU answers, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def fast_precision(device: str | None = None) -> str:
    """Return the number format in which the device infers fastest.

    Parameters
    ----------
    device : {"cpu", "cuda"} or None
        None: the one of :func:`default_device`.

    Returns
    -------
    {"fp32", "bf16", "fp16"}
        A GPU without bf16 units (a T4) gets "fp16"; a CPU gets "bf16" where it has
        instructions for it and multiplies twice as fast with them. Not every one does:
        see docs/benchmarks.md.
    """
    if (device or default_device()) == "cuda":
        return "bf16" if torch.cuda.get_device_capability() >= (8, 0) else "fp16"
    # An older PyTorch does not say what the CPU has.
    has = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()
    return "bf16" if has and _bf16_pays() else "fp32"


@cache
def _bf16_pays() -> bool:
    """Whether bf16 halves the time of a product of the size that a BERT has."""
    x, half = torch.ones(640, 640), torch.ones(640, 640, dtype=torch.bfloat16)
    fp32 = min(repeat(lambda: x @ x, number=1, repeat=9))
    return 2 * min(repeat(lambda: half @ half, number=1, repeat=9)) < fp32


def autocast(device: str | None = None, precision: str | None = None) -> torch.autocast:
    """Return a context in which matrix products run in the given precision.

    Training needs one for each step: until it is left, it keeps copies of the weights.

    Parameters
    ----------
    device : {"cpu", "cuda"} or None
        None: the one of :func:`default_device`.
    precision : {"fp32", "bf16", "fp16"} or None
        None: the fastest of the device; "fp32" changes nothing.
    """
    device, precision = device or default_device(), precision or fast_precision(device)
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device, dtype=dtype, enabled=precision != "fp32")


def side_by_side(function: Callable[..., Any], rows: Iterable[tuple]) -> list[Any]:
    """Call a function with each row of arguments, two calls at a time.

    A small network leaves half of two cores idle when they share its steps; two
    trainings with a core each take two thirds of the time. This needs a copy of the
    process, which Linux makes at once; elsewhere, and on a GPU, the calls are made one
    after the other.

    Parameters
    ----------
    function : callable
        Sets its own seed, returns what it finds; what it changes elsewhere is lost.
    rows : iterable of tuples
        The arguments of each call.

    Returns
    -------
    list
        What each call returned, in the order of the rows.

    Raises
    ------
    CourseError
        If a process was killed. What a call raises comes through.
    """
    rows, threads = list(rows), torch.get_num_threads()
    if sys.platform != "linux" or default_device() != "cpu" or threads < 2:
        return [function(*row) for row in tqdm(rows, leave=False)]
    # What a process starts with comes along in its copy of the memory: a function of a
    # notebook could not be sent.
    work = function, rows, threads // 2
    try:
        with ProcessPoolExecutor(2, get_context("fork"), _begin, work) as pool:
            found = pool.map(_call, range(len(rows)))
            return [pickle.loads(f) for f in tqdm(found, total=len(rows), leave=False)]
    except BrokenExecutor:
        raise CourseError("A call was killed: no memory?", "Close programs.") from None


def _begin(*work: Any) -> None:
    global _work
    _work = work
    gc.freeze()  # what Python's collector touches would be copied, all of it
    torch.set_num_threads(work[-1])
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # it ends with the one it is a copy of
    sys.stderr = open(os.devnull, "w")  # no two progress bars at once


def _call(i: int) -> bytes:
    # As bytes, networks do not pass through shared memory, which may be small.
    return pickle.dumps(_work[0](*_work[1][i]))


def release_memory() -> None:
    """Give freed memory back to the system, where the C library would keep it.

    After training on a CPU that is a few hundred megabytes, and small machines have
    two gigabytes.
    """
    # Only glibc has it; on Windows there is no CDLL(None).
    with suppress(AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def hub_reachable(timeout: float = 2.0) -> bool:
    """Return whether the model hub, or the proxy before it, answers in time.

    Parameters
    ----------
    timeout : float
        Seconds to wait, > 0.
    """
    if os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
        return False
    hub = urlsplit(getproxies().get("https") or os.environ.get("HF_ENDPOINT") or HUB)
    where = hub.hostname, hub.port or 443
    with suppress(OSError), socket.create_connection(where, timeout=timeout):
        return True
    return False


@contextmanager
def fetching(what: str, next_step: str, *, hub: bool = True) -> Iterator[None]:
    """Fetch something inside this context, or say that it could not be fetched.

    Parameters
    ----------
    what : str
        What is fetched, the beginning of a sentence: "The weights of 'resnet34'".
    next_step : str
        What to do where it cannot be fetched.
    hub : bool
        True where it comes from the model hub: where that does not answer, its client
        looks into its own cache instead of trying for minutes.

    Raises
    ------
    CourseError
        Instead of whatever the download raises; a CourseError passes through.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or (hub and not hub_reachable())
    try:
        yield
    except CourseError:
        raise
    except Exception as error:  # the clients raise many kinds
        problem = f"{what} could not be fetched ({type(error).__name__})."
        raise CourseError(problem, next_step) from error
    finally:
        constants.HF_HUB_OFFLINE = before


def cache_folder() -> Path:
    """Return where downloads are kept: ``TLHELPERS_CACHE`` or ``~/.cache``."""
    return Path(os.environ.get("TLHELPERS_CACHE") or "~/.cache/tlhelpers").expanduser()


def data_folder() -> Path:
    """Return the folder with the bundled data: in a checkout, or as installed."""
    here = Path(__file__).resolve().parent
    for folder in (here.parent / "data", here / "data"):
        if (folder / "README.md").is_file():
            return folder
    raise CourseError("The bundled data of the course were not found.", REPAIR)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file; a large one needs no memory.

    Parameters
    ----------
    path : Path
        An existing file.
    """
    content = np.memmap(path, mode="r") if path.stat().st_size else b""
    return hashlib.sha256(content).hexdigest()


def check_file(path: Path, sha256: str | None = None, repair: str = REPAIR) -> Path:
    """Make sure that a file is there, and the one it should be.

    Parameters
    ----------
    path : Path
    sha256 : str or None
        The digest it should have, 64 hexadecimal digits; None: any.
    repair : str
        What to do where it is not; by default as for files that come with the course.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    CourseError
        If the file is missing, or has another digest.
    """
    if not path.is_file():
        raise CourseError(f"The file {path} is missing.", repair)
    if sha256 is not None and file_sha256(path) != sha256:
        raise CourseError(f"The file {path} is damaged (sha256).", repair)
    return path


def read_card(path: Path) -> dict[str, Any]:
    """Read the card of a bundled data set or model.

    Parameters
    ----------
    path : Path
        A JSON file.

    Raises
    ------
    CourseError
        If the file is missing, or damaged.
    """
    check_file(path)
    with suppress(ValueError, TypeError, RecursionError):
        return dict(json.loads(path.read_text(encoding="utf-8")))
    raise CourseError(f"The file {path} is damaged: no JSON object.", REPAIR)


def public_card(name: str) -> dict[str, Any]:
    """Return what is known of a public data set or published model.

    Parameters
    ----------
    name : str
        A key of ``data/public.json``.
    """
    return read_card(data_folder() / "public.json")[name]


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
    card = read_card(path.with_suffix(".json"))
    for suffix, key in ((".safetensors", "sha256"), (".txt", "vocabulary_sha256")):
        if check and key in card:
            check_file(path.with_suffix(suffix), card[key])
    return path, card
