"""The only training loop of the package, and its only inference loop."""

from collections.abc import Callable, Iterable, Iterator
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from .errors import CourseError
from .machine import autocast, default_device, fast_precision, release_memory
from .surgery import get_layer, head_names, main_output, train_unfrozen
from .tasks import by_length, is_pieces

Transform = Callable[[Any], Any] | None


def fit(
    model: nn.Module,
    data: tuple[Tensor, Tensor] | Iterable[tuple[Any, Tensor]],
    *,
    epochs: int,
    lr: float,
    batch_size: int = 16,
    transform: Transform = None,
    body_factor: float = 1.0,
    weight_decay: float = 0.01,
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
    seed: int = 0,
) -> list[float]:
    """Train the layers that are not frozen, in place.

    AdamW with a one-cycle schedule: the rate climbs for the first 30 % of the
    steps and then falls to almost nothing. Texts, that is rows of token numbers with
    0 at the end, are put into batches of similar length, which saves padding.

    Parameters
    ----------
    model : nn.Module
        Takes a batch, gives logits, shape (n, n_classes), also in a tuple or a model
        output of transformers.
    data : (x, y) or iterable of batches
        x : Tensor, shape (n, ...); y : Tensor, shape (n,), int, 0 … n_classes - 1.
        Or a DataLoader of such pairs, where x may be anything the model takes and
        ``x.to(device)`` moves, for example a BatchEncoding of transformers.
    epochs : int
        Passes over the data, >= 1.
    lr : float
        Highest learning rate of the head, > 0.
    batch_size : int
        Rows per step, >= 1; used with (x, y) only.
    transform : callable or None
        Applied to each batch of inputs, on the device: normalise, augment.
    body_factor : float
        The body learns at ``lr * body_factor``; below 1 these are the
        *discriminative learning rates* of Howard and Ruder 2018.
    weight_decay : float
        AdamW's, >= 0.
    loss : callable
        Takes logits and the rows of ``y``, gives one number.
    seed : int
        Seed of the order of the rows.

    Returns
    -------
    list of float, length epochs
        Mean training loss (nats) of each epoch.

    Raises
    ------
    CourseError
        If nothing is left to learn, there is nothing to learn from, the labels are no
        class numbers, or the loss is no longer a number.

    Source
    ------
    One cycle: Smith and Topin 2018.
    """
    device = default_device()
    groups = param_groups(model.to(device), lr=lr, body_factor=body_factor)
    batches = _Rows(*data, batch_size, seed) if isinstance(data, tuple) else data
    if epochs < 1 or not len(batches):
        problem = f"{epochs} epochs of {len(batches)} batches are no training."
        raise CourseError(problem, "Give at least one epoch and one batch.")
    optimizer = torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)
    rates = [g["lr"] for g in groups]
    # A cycle of one step would consist of its end, where the rate is almost 0.
    steps = max(2, epochs * len(batches))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps)
    precision = _training_precision(model, device)
    scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")
    losses: list[float] = []
    try:
        for _ in tqdm(range(epochs), desc="training", leave=False):
            train_unfrozen(model)
            total, rows = 0.0, 0
            for x, y in batches:
                x, y = x.to(device), y.to(device)
                # Class numbers of any width.
                y = y if y.is_floating_point() else y.long()
                with autocast(device, precision):
                    logits = ask(model, transform(x) if transform else x)
                    try:
                        batch_loss = loss(logits, y)
                    except (IndexError, RuntimeError) as error:
                        problem = f"Labels are whole numbers; got {y.dtype}: {error}"
                        raise CourseError(problem, "Number classes from 0.") from error
                optimizer.zero_grad()
                scaler.scale(batch_loss).backward()
                scaler.step(optimizer)
                scaler.update()
                schedule.step()
                total, rows = total + batch_loss.item() * len(y), rows + len(y)
            losses.append(total / rows)
            if not np.isfinite(losses[-1]):
                raise CourseError("The loss is no longer a number.", "Try a lower lr.")
    finally:  # also where it was stopped
        # Schedule and optimizer hold each other, so they would lie around for a while,
        # and with gradients and averages three times as large as the model: empty them.
        optimizer.zero_grad()
        optimizer.state.clear()
        optimizer.param_groups.clear()
        release_memory()
    return losses


def _training_precision(model: nn.Module, device: str) -> str:
    """Even with tiles for bf16, a CPU trains grouped convolutions faster in fp32."""
    grouped = any(getattr(m, "groups", 1) > 1 for m in model.modules())
    return "fp32" if device == "cpu" and grouped else fast_precision(device)


def param_groups(
    model: nn.Module, *, lr: float, body_factor: float = 1.0
) -> list[dict[str, Any]]:
    """Split what learns into body and head, each with its learning rate.

    Parameters
    ----------
    model : nn.Module
        Its head is what :func:`replace_head` would replace.
    lr : float
        Learning rate of the head, > 0.
    body_factor : float
        The body learns at ``lr * body_factor``, >= 0.

    Returns
    -------
    list of dict with "params", "lr" and "name"; a frozen part has no group

    Raises
    ------
    CourseError
        If everything is frozen.
    """
    head = {id(p) for n in head_names(model) for p in get_layer(model, n).parameters()}
    learning = [p for p in model.parameters() if p.requires_grad]
    if not learning:
        raise CourseError("Every layer is frozen.", "Use tl.freeze(model, but=head).")
    body = [p for p in learning if id(p) not in head]
    top = [p for p in learning if id(p) in head]
    groups = (("body", body, lr * body_factor), ("head", top, lr))
    return [{"params": p, "lr": rate, "name": n} for n, p, rate in groups if p]


def ask(model: nn.Module, x: Any) -> Any:
    """Return the logits for a batch, however the network wraps them.

    Parameters
    ----------
    model : nn.Module
        One that takes an ``attention_mask``, as transformers' do, gets that of texts.
    x : Tensor, shape (n, ...), or what else the network takes

    Returns
    -------
    Tensor, shape (n, n_classes)
        Or whatever :func:`main_output` finds.

    Raises
    ------
    CourseError
        If the network refuses the batch, for example for the size of the pictures.
    """
    masked = is_pieces(x) and "attention_mask" in signature(model.forward).parameters
    pad = getattr(getattr(model, "config", None), "pad_token_id", 0) or 0
    more = {"attention_mask": (x != pad).long()} if masked else {}
    try:
        return main_output(model(x, **more))
    except (AssertionError, ValueError) as error:  # timm's and transformers' of sizes
        problem = f"The network refuses the shape {tuple(np.shape(x))}: {error}"
        raise CourseError(problem, "Give another size, or more rows.") from error


def predict_logits(
    model: nn.Module,
    x: Tensor,
    *,
    transform: Transform = None,
    batch_size: int | None = None,
    precision: str | None = None,
    read: Callable[[Any], Tensor] = Tensor.float,
) -> Tensor:
    """Run a network over all rows in eval mode, batch by batch.

    Memory does not grow with the number of rows. Short and long texts are read apart,
    which saves padding.

    Parameters
    ----------
    model : nn.Module
        Takes a batch, gives one row of numbers for each row, shape (n, n_classes).
    x : Tensor, shape (n, ...), n >= 1
        Pictures, uint8, 0 … 255; texts, the numbers of their pieces, int64; features.
    transform : callable or None
        Applied to each batch, on the device, for example ``source.normalize``.
    batch_size : int or None
        Rows at a time, >= 1. None takes 16 pictures on a CPU (64 are a fifth slower,
        and take 140 MB more), and 64 of anything else.
    precision : {"fp32", "bf16", "fp16"} or None
        None takes the one in which this machine is fastest; in "fp32" every machine
        gives the same.
    read : callable
        Takes the output for a batch, gives the rows to keep.

    Returns
    -------
    Tensor, shape (n, n_classes), float32, on the CPU
        In the order of ``x``.
    """
    device, order = default_device(), by_length(x)
    batch_size = batch_size or (16 if device == "cpu" and x.ndim == 4 else 64)
    model.to(device).eval()
    rows: Tensor | None = None
    with autocast(device, precision):
        for part in tqdm(order.split(batch_size), "predicting", leave=False, delay=1):
            batch = x[part].to(device)
            with torch.inference_mode():  # no_grad alone peaks 20 to 50 MB higher
                out = read(ask(model, transform(batch) if transform else batch)).cpu()
            rows = torch.empty(len(x), *out.shape[1:]) if rows is None else rows
            rows[part] = out
    release_memory()
    return rows


def predict_proba(model: nn.Module, x: Tensor, **options: Any) -> np.ndarray:
    """Return the probabilities of the classes.

    Parameters
    ----------
    model : nn.Module
        Takes a batch, gives logits, shape (n, n_classes).
    x : Tensor, shape (n, ...), n >= 1
    **options
        ``transform``, ``batch_size``, ``precision``: see :func:`predict_logits`.

    Returns
    -------
    ndarray, shape (n, n_classes), float32, 0 … 1
    """
    return predict_logits(model, x, **options).softmax(dim=1).numpy()


def evaluate(model: nn.Module, data: tuple[Tensor, Tensor], **options: Any) -> float:
    """Return the accuracy, 0 … 1: the share of rows with the right class.

    Parameters
    ----------
    model : nn.Module
        Takes a batch, gives logits, shape (n, n_classes).
    data : (x, y)
        x : Tensor, shape (n, ...), n >= 1; y : Tensor, shape (n,), int64.
    **options
        ``transform``, ``batch_size``, ``precision``: see :func:`predict_logits`.
    """
    guess = predict_proba(model, data[0], **options).argmax(axis=1)
    return float((guess == data[1].cpu().numpy()).mean())


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
    x = torch.where(torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5, x.flip(3), x)
    up, left = (int(torch.randint(-(s // 8), s // 8 + 1, ())) for s in x.shape[2:])
    return _shift(x, up, left)


def _shift(x: Tensor, up: int, left: int) -> Tensor:
    """Shift a picture; the gap is filled with the picture's own border."""
    rows = (torch.arange(x.shape[2]) + up).clamp(0, x.shape[2] - 1)
    columns = (torch.arange(x.shape[3]) + left).clamp(0, x.shape[3] - 1)
    return x[:, :, rows.to(x.device)][:, :, :, columns.to(x.device)]


class _Rows:
    """Batches of (x, y) in a new, seeded order at each pass."""

    def __init__(self, x: Tensor, y: Tensor, batch_size: int, seed: int) -> None:
        if len(x) != len(y):
            raise CourseError(f"{len(x)} inputs but {len(y)} labels.", "Check x, y.")
        self.x, self.y, self.batch_size = x, torch.as_tensor(y), batch_size
        self.rng = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return -(-len(self.x) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.x), generator=self.rng)
        # Neighbours in length are sought among eight batches, so that chance still
        # decides who meets whom.
        pools = [p[by_length(self.x[p])] for p in order.split(8 * self.batch_size)]
        parts = [part for pool in pools for part in pool.split(self.batch_size)]
        if is_pieces(self.x):
            parts = [parts[i] for i in torch.randperm(len(parts), generator=self.rng)]
        return ((self.x[i], self.y[i]) for i in parts)
