"""The only training loop of the package."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import CourseError
from .machine import autocast, default_device, fast_precision, progress, release_memory
from .surgery import get_layer, head_name, train_unfrozen
from .tasks import by_length, is_pieces

if TYPE_CHECKING:
    from torch import Tensor, nn

Batches = Iterable[tuple[Any, "Tensor"]]


def fit(
    model: nn.Module,
    data: tuple[Tensor, Tensor] | Batches,
    *,
    epochs: int,
    lr: float,
    batch_size: int = 16,
    transform: Callable[[Any], Any] | None = None,
    body_factor: float = 1.0,
    weight_decay: float = 0.01,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    seed: int = 0,
) -> list[float]:
    """Train the layers that are not frozen, in place.

    AdamW with a one-cycle schedule: the rate climbs for the first 30 % of the
    steps and then falls to almost nothing. Texts, that is rows of token numbers with
    0 at the end, are put into batches of similar length, which saves padding.

    Parameters
    ----------
    model : nn.Module
        Takes a batch, gives logits, shape (n, n_classes).
    data : (x, y) or iterable of batches
        x : Tensor, shape (n, ...); y : Tensor, shape (n,), int64. Or a DataLoader of
        such pairs, where x may be anything the model takes.
    epochs : int
        Passes over the data, >= 1.
    lr : float
        Highest learning rate of the head, > 0.
    batch_size : int
        Rows per step; used with (x, y) only.
    transform : callable or None
        Applied to each batch of inputs, on the device: normalise, augment.
    body_factor : float
        The body learns at ``lr * body_factor``; below 1 these are the
        *discriminative learning rates* of Howard and Ruder 2018.
    weight_decay : float
        AdamW's, >= 0.
    loss : callable or None
        Takes logits and the rows of ``y``, gives one number; None: cross-entropy.
    seed : int
        Seed of the order of the rows.

    Returns
    -------
    list of float, length epochs
        Mean training loss (nats) of each epoch.

    Raises
    ------
    CourseError
        If nothing is left to learn, there is nothing to learn from, or the loss is
        no longer a number.

    Source
    ------
    One cycle: Smith and Topin 2018.
    """
    import torch
    from torch.nn.functional import cross_entropy

    device, loss = default_device(), loss or cross_entropy
    model.to(device)
    groups = param_groups(model, lr=lr, body_factor=body_factor)
    batches = _batches(data, batch_size, seed)
    if epochs < 1 or not len(batches):
        raise CourseError(
            f"{epochs} epochs of {len(batches)} batches are no training.",
            "Give at least one epoch and one batch.",
        )
    optimizer = torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        [g["lr"] for g in groups],
        # A cycle of one step would consist of its end, where the rate is almost 0.
        total_steps=max(2, epochs * len(batches)),
    )
    precision = _training_precision(model, device)
    scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")
    losses: list[float] = []
    for _ in progress(range(epochs), "training"):
        train_unfrozen(model)
        total, rows = 0.0, 0
        for x, y in batches:
            x, y = _to(x, device), y.to(device)
            with autocast(device, precision):
                error = loss(model(transform(x) if transform else x), y)
            optimizer.zero_grad()
            scaler.scale(error).backward()
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
            total, rows = total + float(error.detach()) * len(y), rows + len(y)
        losses.append(total / rows)
        if not np.isfinite(losses[-1]):
            raise CourseError("The loss is no longer a number.", "Try a lower lr.")
    # Schedule and optimizer hold each other, so they would lie around for a while, and
    # with gradients and averages three times as large as the model: empty them.
    optimizer.zero_grad()
    optimizer.state.clear()
    optimizer.param_groups.clear()
    release_memory()
    return losses


def _training_precision(model: nn.Module, device: str) -> str:
    """On a CPU bf16 slows down grouped convolutions (EfficientNet), and only those."""
    grouped = any(getattr(m, "groups", 1) > 1 for m in model.modules())
    return "fp32" if device == "cpu" and grouped else fast_precision(device)


def param_groups(
    model: nn.Module, *, lr: float, body_factor: float = 1.0
) -> list[dict[str, Any]]:
    """Split what learns into body and head, each with its learning rate.

    Returns
    -------
    list of dict with "params", "lr" and "name"; a frozen part has no group

    Raises
    ------
    CourseError
        If everything is frozen.
    """
    head = {id(p) for p in get_layer(model, head_name(model)).parameters()}
    learning = [p for p in model.parameters() if p.requires_grad]
    parts = {
        "body": ([p for p in learning if id(p) not in head], lr * body_factor),
        "head": ([p for p in learning if id(p) in head], lr),
    }
    if not learning:
        raise CourseError("Every layer is frozen.", "Call tl.unfreeze on the head.")
    return [{"params": p, "lr": r, "name": n} for n, (p, r) in parts.items() if p]


def predict_proba(
    model: nn.Module,
    x: Tensor,
    *,
    transform: Callable[[Any], Any] | None = None,
    batch_size: int = 64,
) -> np.ndarray:
    """Return the probabilities of the classes, shape (n, n_classes), float32."""
    logits = predict_logits(model, x, transform=transform, batch_size=batch_size)
    return logits.softmax(dim=1).numpy()


def predict_logits(
    model: nn.Module,
    x: Tensor,
    *,
    transform: Callable[[Any], Any] | None = None,
    batch_size: int = 64,
) -> Tensor:
    """Return the logits, shape (n, n_classes), float32, on the CPU, in x's order."""
    import torch

    device, order = default_device(), by_length(x)
    model.to(device).eval()
    rows = []
    with torch.inference_mode(), autocast(device):
        for part in order.split(batch_size):
            batch = x[part].to(device)
            logits = model(transform(batch) if transform else batch)
            rows.append(logits.float().cpu())
    release_memory()
    return torch.cat(rows)[order.argsort()]


def evaluate(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    *,
    transform: Callable[[Any], Any] | None = None,
) -> float:
    """Return the accuracy, 0 … 1: the share of rows with the right class."""
    x, y = data
    guess = predict_proba(model, x, transform=transform).argmax(axis=1)
    return float((guess == y.cpu().numpy()).mean())


def augment(x: Tensor) -> Tensor:
    """Flip half of the pictures and shift each batch by up to an eighth.

    Parameters
    ----------
    x : Tensor, shape (n, channels, height, width), any dtype

    Returns
    -------
    Tensor, same shape and dtype
        Random; drawn from PyTorch's global generator.
    """
    import torch

    x = torch.where(torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5, x.flip(3), x)
    up, left = (int(torch.randint(-(s // 8), s // 8 + 1, ())) for s in x.shape[2:])
    return _shift(x, up, left)


def _shift(x: Tensor, up: int, left: int) -> Tensor:
    """Shift a picture; the gap is filled with the picture's own border."""
    import torch

    rows = torch.arange(x.shape[2], device=x.device) + up
    columns = torch.arange(x.shape[3], device=x.device) + left
    rows, columns = rows.clamp(0, x.shape[2] - 1), columns.clamp(0, x.shape[3] - 1)
    return x[:, :, rows][:, :, :, columns]


class _Rows:
    """Batches of (x, y) in a new, seeded order at each pass."""

    def __init__(self, x: Tensor, y: Tensor, batch_size: int, seed: int) -> None:
        import torch

        self.x, self.y, self.batch_size = x, y, batch_size
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return -(-len(self.x) // self.batch_size)

    def __iter__(self):
        import torch

        order = torch.randperm(len(self.x), generator=self.generator)
        # Neighbours in length are sought among eight batches, so that chance still
        # decides who meets whom.
        pools = [p[by_length(self.x[p])] for p in order.split(8 * self.batch_size)]
        parts = [part for pool in pools for part in pool.split(self.batch_size)]
        if is_pieces(self.x):
            shuffled = torch.randperm(len(parts), generator=self.generator)
            parts = [parts[i] for i in shuffled]
        return ((self.x[i], self.y[i]) for i in parts)


def _batches(data: Any, batch_size: int, seed: int) -> Any:
    if not isinstance(data, tuple):
        return data
    if len(data[0]) != len(data[1]):
        raise CourseError(
            f"{len(data[0])} inputs but {len(data[1])} labels.", "Check x, y."
        )
    return _Rows(*data, batch_size, seed)


def _to(x: Any, device: str) -> Any:
    """Move a tensor, or a dict of tensors, to the device."""
    if isinstance(x, dict):
        return {k: v.to(device) for k, v in x.items()}
    return x.to(device)
