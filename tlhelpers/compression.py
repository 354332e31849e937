"""Small and fast models: distillation, ONNX, eight bits, latency."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div

from .errors import CourseError
from .training import fit


def distillation_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float = 2.0,
    alpha: float = 0.5,
) -> Tensor:
    """Compare a student's logits with the teacher's, and with the labels there are.

    ``alpha * T² * KL(teacher at T, student at T) + (1 - alpha) * cross-entropy``; the
    factor T² keeps the gradients as large as without temperature. Where a row has no
    label, only the teacher counts, with its full weight.

    Parameters
    ----------
    student, teacher : Tensor, shape (n, n_classes)
        Logits. No gradient flows into the teacher.
    labels : Tensor, shape (n,), int64, or None
        Class numbers; -1 where there is none.
    temperature : float
        Softens both distributions, > 0; 1 leaves them as they are.
    alpha : float
        Weight of the teacher where there is a label, 0 … 1.

    Returns
    -------
    Tensor, shape ()
        Mean over the rows, nats.

    Raises
    ------
    CourseError
        If temperature or alpha are out of range, or the shapes differ.

    Source
    ------
    Hinton, Vinyals and Dean 2015.
    """
    _check(student, teacher, temperature, alpha)
    t = temperature
    says = (teacher.detach().float() / t).softmax(dim=1)
    tries = (student.float() / t).log_softmax(dim=1)
    soft = t**2 * kl_div(tries, says, reduction="none").sum(dim=1)
    if labels is None:
        return soft.mean()
    known = labels >= 0
    hard = cross_entropy(student.float(), labels.clamp_min(0), reduction="none")
    return torch.where(known, alpha * soft + (1 - alpha) * hard, soft).mean()


def distill(
    student: nn.Module,
    x: Tensor,
    teacher_logits: Any,
    labels: Any = None,
    *,
    temperature: float = 2.0,
    alpha: float = 0.5,
    **training: Any,
) -> list[float]:
    """Train a student, in place, on what a teacher said.

    The teacher speaks once, before: ``predict_logits(teacher, x)``. Any two networks
    that turn their batch into logits of the same classes will do.

    Parameters
    ----------
    student : nn.Module
    x : Tensor, shape (n, ...)
        The transfer set, as the student takes it.
    teacher_logits : array, shape (n, n_classes)
        For the same rows.
    labels : array, shape (n,), or None
        Class numbers, -1 where there is none.
    temperature, alpha : float
        As in :func:`distillation_loss`.
    **training
        Passed on to :func:`fit`: epochs, lr, batch_size, transform, seed …

    Returns
    -------
    list of float, length epochs
        Mean loss of each epoch.

    Raises
    ------
    CourseError
        If the numbers of rows differ, or as in :func:`distillation_loss`.
    """
    says = torch.as_tensor(teacher_logits, dtype=torch.float32)
    names = torch.full((len(says),), -1) if labels is None else torch.as_tensor(labels)
    if not len(x) == len(says) == len(names):
        raise CourseError(
            f"{len(x)} inputs, {len(says)} rows of logits, {len(names)} labels.",
            "Give one of each per example.",
        )

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        return distillation_loss(
            logits,
            target[:, :-1],
            target[:, -1].long(),
            temperature=temperature,
            alpha=alpha,
        )

    # Logits and label travel through the loop as one target; floats hold both.
    target = torch.cat([says, names[:, None].float()], dim=1)
    return fit(student, (x, target), loss=loss, **training)


def _check(student: Tensor, teacher: Tensor, temperature: float, alpha: float) -> None:
    if student.shape != teacher.shape:
        raise CourseError(
            f"The student gives {tuple(student.shape)}, the teacher "
            f"{tuple(teacher.shape)}.",
            "Both need one logit for each class.",
        )
    if temperature <= 0 or not 0 <= alpha <= 1:
        raise CourseError(
            f"temperature {temperature}, alpha {alpha} are out of range.",
            "Give a temperature above 0 and an alpha between 0 and 1.",
        )


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
    if isinstance(model, torch.nn.Module):
        model.cpu().eval()
    times = []
    with torch.inference_mode():
        for _ in range(repeats + 3):
            start = time.perf_counter()
            model(batch)
            times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times[3:]))
