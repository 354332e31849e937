"""Distillation: train a small student to give the answers of a large teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import CourseError
from .training import fit

if TYPE_CHECKING:
    from torch import Tensor, nn


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
    import torch
    from torch.nn.functional import cross_entropy, kl_div

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
    import torch

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
