"""Use a frozen network as a feature extractor, and see where it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .session import autocast, default_device, progress
from .surgery import get_layer, head_name

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .sources import SourceModel


def extract_features(
    source: SourceModel, x: Tensor, *, batch_size: int = 64
) -> np.ndarray:
    """Compute what the head of the source model sees.

    The network runs in eval mode, batch by batch, so memory does not grow with the
    number of pictures, in bf16 or fp16 where the hardware is faster with it.

    Parameters
    ----------
    source : SourceModel
    x : Tensor, shape (n, 3, size, size), uint8
    batch_size : int
        Pictures at a time.

    Returns
    -------
    ndarray, shape (n, n_features), float32
        The input of the last linear layer.
    """
    import torch

    model, device = source.model, default_device()
    head, rows = get_layer(model, head_name(model)), []
    hook = head.register_forward_pre_hook(lambda _, a: rows.append(a[0].float().cpu()))
    model.to(device).eval()
    try:
        with torch.inference_mode(), autocast(device):
            for batch in progress(x.split(batch_size), "features"):
                model(source.normalize(batch.to(device)))
    finally:
        hook.remove()
    return torch.cat(rows).numpy()


def grad_cam(
    model: nn.Module, x: Tensor, *, layer: str, target: int | None = None
) -> Tensor:
    """Show which regions speak for a class.

    Parameters
    ----------
    model : nn.Module
        Gives logits, shape (n, n_classes).
    x : Tensor, shape (n, 3, height, width), float32
        Normalised pictures.
    layer : str
        A layer whose output has the shape (n, channels, h, w).
    target : int or None
        Class number; None takes the predicted class of each picture.

    Returns
    -------
    Tensor, shape (n, h, w), float32, 0 … 1, on the CPU
        1 where the evidence is strongest in that picture.

    Source
    ------
    Selvaraju et al. 2017, Grad-CAM.
    """
    import torch

    kept: list[Tensor] = []
    device = next(model.parameters()).device
    # An input that wants a gradient makes this work through a frozen body, too.
    x = x.detach().to(device, copy=True).requires_grad_()
    hook = get_layer(model, layer).register_forward_hook(
        lambda m, a, out: kept.append(out)
    )
    modes = {m: m.training for m in model.modules()}
    try:
        with torch.enable_grad():
            logits = model.eval()(x)
            rows = torch.arange(len(x), device=x.device)
            wanted = (
                logits.argmax(1) if target is None else torch.full_like(rows, target)
            )
            (slope,) = torch.autograd.grad(logits[rows, wanted].sum(), kept[0])
    finally:
        hook.remove()
        for m, training in modes.items():
            m.training = training
    weights = slope.mean(dim=(2, 3), keepdim=True)
    maps = (weights * kept[0]).sum(dim=1).relu().detach()
    return (maps / maps.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)).cpu()
