"""Take a trained network out of PyTorch: ONNX, eight bits, and how fast it is."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import CourseError

if TYPE_CHECKING:
    from torch import Tensor, nn


def export_onnx(model: nn.Module, example: Tensor, path: str | Path) -> Path:
    """Write a network of token numbers as ONNX, for any batch and any length.

    Parameters
    ----------
    model : nn.Module
        Takes token numbers, shape (n, length), 0 as padding; gives logits.
    example : Tensor, shape (2 or more, 3 or more), int64
        A batch to try it with.
    path : path ending in .onnx

    Returns
    -------
    Path
        The file; its input is "ids", its output "logits".

    Raises
    ------
    CourseError
        If the example is smaller, which would fix the sizes.
    """
    import onnx
    import torch

    if example.ndim != 2 or len(example) < 2 or example.shape[1] < 3:
        raise CourseError(
            f"An example of shape {tuple(example.shape)} is too small.",
            "Give two texts or more, of three pieces or more.",
        )
    path = Path(path)
    free = {0: torch.export.Dim("n"), 1: torch.export.Dim("length", min=3)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        program = torch.onnx.export(
            model.cpu().eval(),
            (example,),
            input_names=["ids"],
            output_names=["logits"],
            dynamic_shapes=(free,),
            dynamo=True,
            verbose=False,
        )
    program.save(str(path))
    # The exporter notes shapes that quantisation later finds contradictory.
    graph = onnx.load(path)
    del graph.graph.value_info[:]
    onnx.save(graph, path)
    return path


def quantize_onnx(path: str | Path, target: str | Path) -> Path:
    """Write a copy of an ONNX file whose weights have eight bits.

    Dynamic quantisation: no data are needed; what flows through the network is
    rounded as it comes.

    Parameters
    ----------
    path, target : path

    Returns
    -------
    Path
        The new file, about a quarter as large.
    """
    import logging

    from onnxruntime.quantization import quantize_dynamic

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # advice for networks of pictures
    try:
        quantize_dynamic(Path(path), Path(target))
    finally:
        logging.disable(before)
    return Path(target)


def run_onnx(path: str | Path) -> Callable[[Tensor], Tensor]:
    """Load an ONNX file as a function from token numbers to logits, on the CPU."""
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )
    return lambda ids: torch.from_numpy(session.run(None, {"ids": ids.numpy()})[0])


def latency(model: Any, batch: Tensor, *, repeats: int = 20) -> float:
    """Return the milliseconds of one call on the CPU, fp32: the median of several.

    Parameters
    ----------
    model : nn.Module or callable
        Takes ``batch``.
    batch : Tensor, shape (n, ...)
    repeats : int
        Calls, after three that are not counted.
    """
    import torch

    if isinstance(model, torch.nn.Module):
        model.cpu().eval()
    times = []
    with torch.inference_mode():
        for _ in range(repeats + 3):
            start = time.perf_counter()
            model(batch)
            times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times[3:]))
