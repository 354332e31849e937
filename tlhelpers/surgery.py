"""Look into a network, freeze parts of it, give it a new head."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .errors import CourseError

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn


def get_layer(model: nn.Module, name: str) -> nn.Module:
    """Return the layer of exactly this name, as in ``model.named_modules()``.

    Raises
    ------
    CourseError
        If there is none; lists the layers with the most similar names.
    """
    layers = dict(model.named_modules())
    if name in layers and name:
        return layers[name]
    near = difflib.get_close_matches(name, layers, n=5, cutoff=0.3)
    top = [n for n, _ in model.named_children()]
    raise CourseError(
        f"There is no layer {name!r}.",
        f"The top layers are {', '.join(top)}"
        + (f"; similar names: {', '.join(near)}." if near else "."),
    )


def summarize(model: nn.Module) -> pd.DataFrame:
    """List the top layers: type, parameters, how many of them learn.

    Returns
    -------
    DataFrame, one row per child of ``model``
        Columns "type", "parameters", "learning" (parameters with a gradient).
    """
    import pandas as pd

    rows = {
        name: {
            "type": type(layer).__name__,
            "parameters": count_parameters(layer),
            "learning": count_parameters(layer, learning=True),
        }
        for name, layer in model.named_children()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def count_parameters(model: nn.Module, *, learning: bool = False) -> int:
    """Count the numbers in all parameters, or only in those that learn."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not learning)


def head_name(model: nn.Module) -> str:
    """Return the name of the head: the last linear layer.

    Raises
    ------
    CourseError
        If the network has no linear layer.
    """
    from torch import nn

    names = [n for n, m in model.named_modules() if isinstance(m, nn.Linear)]
    if not names:
        raise CourseError(
            "The network has no linear layer, so no head was found.",
            "Name the layer that gives the outputs.",
        )
    return names[-1]


def replace_head(model: nn.Module, n_classes: int, *, like: Any = None) -> nn.Module:
    """Put a new linear layer in place of the head, in place.

    Parameters
    ----------
    model : nn.Module
        Its last linear layer, in_features -> n_source_classes, is the head.
    n_classes : int
        Outputs of the new head, >= 2.
    like : fitted linear classifier of scikit-learn, or None
        The new head starts as this one (its ``coef_`` and ``intercept_``), so the
        first steps do not drag the body after a random head; None starts at random.

    Returns
    -------
    nn.Module
        The same model.

    Raises
    ------
    CourseError
        If ``like`` was fitted on other features or another number of classes.

    Source
    ------
    Kumar et al. 2022, Fine-Tuning can Distort Pretrained Features.
    """
    from torch import nn

    name = head_name(model)
    old = get_layer(model, name)
    new = nn.Linear(old.in_features, n_classes).to(old.weight.device)
    if like is not None:
        _copy_classifier(like, new)
    parent, _, last = name.rpartition(".")
    setattr(get_layer(model, parent) if parent else model, last, new)
    return model


def _copy_classifier(like: Any, head: nn.Linear) -> None:
    """Copy coefficients; of two classes scikit-learn keeps the difference only."""
    import torch

    weight, bias = (torch.as_tensor(v) for v in (like.coef_, like.intercept_))
    if len(weight) == 1:
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    if weight.shape != head.weight.shape:
        raise CourseError(
            f"The classifier has {tuple(weight.shape)} coefficients, the head "
            f"{tuple(head.weight.shape)}.",
            "Fit it on the features and the classes of this network.",
        )
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(bias)


def freeze(
    model: nn.Module,
    layers: Iterable[str] | str | None = None,
    *,
    but: Iterable[str] | str = (),
) -> nn.Module:
    """Freeze layers: parameters, batch-norm statistics and dropout stand still.

    Parameters
    ----------
    model : nn.Module
    layers : names or None
        Exact layer names; None means the whole network.
    but : names
        Layers inside these that go on learning, for example the head.

    Returns
    -------
    nn.Module
        The same model.

    Raises
    ------
    CourseError
        If a layer does not exist.

    Source
    ------
    timm and Keras define freezing like this; ``requires_grad = False`` alone lets
    the running statistics of batch-norm drift away from the source data.
    """
    for layer in _chosen(model, layers):
        _mark(layer, frozen=True)
    return unfreeze(model, but)


def unfreeze(model: nn.Module, layers: Iterable[str] | str | None = None) -> nn.Module:
    """Let layers learn again (None: all of them) and return the model."""
    for layer in _chosen(model, layers):
        _mark(layer, frozen=False)
    return model


def freeze_batch_norm(model: nn.Module) -> nn.Module:
    """Freeze every batch-norm layer, while the rest may learn.

    A handful of pictures is too few to estimate means and variances from: those of
    the source data are the better ones.
    """
    from torch.nn.modules.batchnorm import _BatchNorm

    for layer in model.modules():
        if isinstance(layer, _BatchNorm):
            _mark(layer, frozen=True)
    return model


def train_unfrozen(model: nn.Module) -> nn.Module:
    """Set training mode, except in frozen layers, which stay in eval mode."""
    model.train()
    for layer in model.modules():
        if getattr(layer, "is_frozen", False):
            layer.training = False
    return model


def _chosen(model: nn.Module, layers: Iterable[str] | str | None) -> list[nn.Module]:
    names = [layers] if isinstance(layers, str) else layers
    return [model] if names is None else [get_layer(model, n) for n in names]


def _mark(layer: nn.Module, *, frozen: bool) -> None:
    for part in layer.modules():
        part.is_frozen = frozen
        if frozen:
            part.training = False
    for p in layer.parameters():
        p.requires_grad = not frozen


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """Copy all parameters and buffers, to measure :func:`drift` from."""
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


def drift(before: dict[str, Tensor], model: nn.Module) -> dict[str, float]:
    """Measure how far each layer moved since the snapshot.

    Returns
    -------
    dict, layer name -> relative change
        ``||new - old|| / ||old||`` over the layer's parameters and buffers, 0 for a
        layer that stood still. Layers whose shape changed are left out.
    """
    moved: dict[str, list[float]] = {}
    for key, new in model.state_dict().items():
        old = before.get(key)
        if old is None or old.shape != new.shape or not new.is_floating_point():
            continue
        old = old.to(new.device)
        sums = moved.setdefault(key.rpartition(".")[0], [0.0, 0.0])
        sums[0] += float((new - old).double().pow(2).sum())
        sums[1] += float(old.double().pow(2).sum())
    return {k: (d / max(n, 1e-30)) ** 0.5 for k, (d, n) in moved.items()}
