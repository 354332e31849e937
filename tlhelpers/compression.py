"""Small and fast models: distillation, ONNX, eight bits."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.nn.functional import cross_entropy, kl_div

from .errors import CourseError, need
from .tasks import is_pieces
from .training import fit


def distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
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
    student_logits, teacher_logits : Tensor, shape (n, n_classes), any float
        No gradient flows into the teacher.
    labels : Tensor, shape (n,), int64, or None
        Class numbers, 0 … n_classes - 1; -1 where there is none.
    temperature : float
        Softens both distributions, > 0; 1 leaves them as they are.
    alpha : float
        Weight of the teacher where there is a label, 0 … 1.

    Returns
    -------
    Tensor, shape (), float32
        Mean over the rows, nats, >= 0.

    Raises
    ------
    CourseError
        If temperature or alpha are out of range, or the shapes differ.

    Source
    ------
    Hinton, Vinyals and Dean 2015.
    """
    shapes = tuple(student_logits.shape), tuple(teacher_logits.shape)
    if shapes[0] != shapes[1]:
        problem = f"The student gives {shapes[0]}, the teacher {shapes[1]}."
        raise CourseError(problem, "Both need one logit for each class.")
    if temperature <= 0 or not 0 <= alpha <= 1:
        problem = f"temperature {temperature}, alpha {alpha} are out of range."
        raise CourseError(problem, "Give temperature > 0 and alpha from 0 to 1.")
    p = (teacher_logits.detach().float() / temperature).softmax(dim=1)
    log_q = (student_logits.float() / temperature).log_softmax(dim=1)  # (n, n_classes)
    soft = temperature**2 * kl_div(log_q, p, reduction="none").sum(dim=1)  # (n,)
    labels = torch.full_like(soft, -1) if labels is None else labels
    hard = cross_entropy(student_logits.float(), labels.long().relu(), reduction="none")
    return torch.where(labels >= 0, alpha * soft + (1 - alpha) * hard, soft).mean()


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
    """Train a student, in place, on a teacher's logits.

    The teacher is asked once, before: ``predict_logits(teacher, x)``. Any two networks
    that turn their batch into logits of the same classes will do.

    Parameters
    ----------
    student : nn.Module
    x : Tensor, shape (n, ...)
        The transfer set, as the student takes it.
    teacher_logits : array or Tensor, shape (n, n_classes), any float
        For the same rows.
    labels : array or Tensor, shape (n,), int, or None
        Class numbers, 0 … n_classes - 1; -1 where there is none.
    temperature : float
        Softens both distributions, > 0; 1 leaves them as they are.
    alpha : float
        Weight of the teacher where there is a label, 0 … 1.
    **training
        Passed on to :func:`fit`: epochs, lr, batch_size, transform, seed …

    Returns
    -------
    list of float, length epochs
        Mean loss of each epoch, nats.

    Raises
    ------
    CourseError
        If the numbers of rows differ, or as in :func:`distillation_loss`.
    """
    teacher_logits = torch.as_tensor(teacher_logits, dtype=torch.float32)
    labels = torch.as_tensor([-1] * len(x) if labels is None else labels)
    if not len(x) == len(teacher_logits) == len(labels):
        got = f"{len(x)} inputs, {len(teacher_logits)} rows of logits"
        raise CourseError(f"{got}, {len(labels)} labels.", "Give one of each for each.")

    how = {"temperature": temperature, "alpha": alpha}

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        return distillation_loss(logits, target[:, :-1], target[:, -1].long(), **how)

    # Logits and label travel through the loop as one target; floats hold both.
    target = torch.cat([teacher_logits, labels[:, None]], dim=1)  # (n, n_classes + 1)
    return fit(student, (x, target), loss=loss, **training)


def export_onnx(model: nn.Module, example: Tensor, path: str | Path) -> Path:
    """Write a network of texts or pictures as ONNX, for any number of them.

    Parameters
    ----------
    model : nn.Module
        Gives logits, shape (n, n_classes); is put on the CPU, in eval mode.
    example : Tensor
        A batch to try it with, two rows or more. Texts: the numbers of their pieces,
        shape (n, 3 or more), int64, 0 where a text has ended. Pictures: shape
        (n, 3, size, size), uint8, 0 … 255.
    path : path ending in .onnx
        Its folder is made where there is none.

    Returns
    -------
    Path
        The file. Its input is "ids", any n and any length from 3 up, or "pixels", any
        n; its output "logits".

    Raises
    ------
    CourseError
        If the example is smaller, which would fix the sizes, or ONNX is not installed.
    """
    need("onnxscript", "export")
    texts, path = is_pieces(example), Path(path)
    if example.ndim < 2 or len(example) < 2 or example.shape[1] < 3:
        problem = f"An example of shape {tuple(example.shape)} is too small."
        raise CourseError(problem, "Give two rows or more; of texts, three pieces.")
    free = {0: Dim("n"), 1: Dim("length", min=3)} if texts else {0: Dim("n")}
    how = {"input_names": ["ids" if texts else "pixels"], "output_names": ["logits"]}
    how |= {"dynamic_shapes": (free,), "dynamo": True, "verbose": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        made = torch.onnx.export(model.cpu().eval(), (example,), **how).model_proto
    # The exporter notes shapes that quantisation later finds contradictory.
    del made.graph.value_info[:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made.SerializeToString())
    return path
