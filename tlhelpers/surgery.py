"""Look into a network, freeze parts of it, give it a new head."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from .errors import CourseError

if TYPE_CHECKING:
    import numpy as np
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


def without_scaling(head: Any, center: np.ndarray, scale: float | np.ndarray) -> Any:
    """Return a copy of a linear classifier that takes features as they are.

    Parameters
    ----------
    head : fitted linear classifier of scikit-learn
        It takes ``(features - center) / scale``.
    center : ndarray, shape (n_features,)
    scale : float or ndarray, shape (n_features,), > 0
    """
    head = deepcopy(head)
    head.coef_ = head.coef_ / scale
    head.intercept_ = head.intercept_ - head.coef_ @ center
    return head


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


def reinitialize(
    model: nn.Module, layers: Iterable[str] | str, *, seed: int = 0
) -> nn.Module:
    """Give layers random weights again, as before any training, in place.

    Parameters
    ----------
    model : nn.Module
    layers : names
        Exact layer names; everything inside them starts anew.
    seed : int
        Seed of the weights; PyTorch's global generator is left as it was.

    Raises
    ------
    CourseError
        If a layer does not exist, or holds parameters that PyTorch cannot reset.
    """
    import torch

    resets = []
    for part in (p for layer in _chosen(model, layers) for p in layer.modules()):
        # Attention has it under another name.
        reset = getattr(part, "_reset_parameters", None)
        reset = getattr(part, "reset_parameters", reset)
        if reset is not None:
            resets.append(reset)
        elif list(part.parameters(recurse=False)):
            raise CourseError(
                f"The parameters of {type(part).__name__} cannot be reset.",
                "Make the network anew, without its trained weights.",
            )
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        for reset in resets:
            reset()
    return model


def drop_layers(model: nn.Module, layers: Iterable[str] | str) -> nn.Module:
    """Take layers out, at the top, at the bottom or between, in place.

    What went into a layer comes out of it unchanged (``nn.Identity``), so names and
    the rest of the network stay as they are.

    Raises
    ------
    CourseError
        If a layer does not exist.
    """
    from torch import nn

    names = [layers] if isinstance(layers, str) else list(layers)
    for name in names:
        get_layer(model, name)
    for name in names:
        parent, _, last = name.rpartition(".")
        setattr(get_layer(model, parent) if parent else model, last, nn.Identity())
    return model


def append_layers(
    model: nn.Module, *, bottom: nn.Module | None = None, top: nn.Module | None = None
) -> nn.Module:
    """Put layers before the first or after the last one.

    Returns
    -------
    nn.Sequential
        With the children "bottom", "model" and "top", as far as they were given.
    """
    from torch import nn

    parts = {"bottom": bottom, "model": model, "top": top}
    joined = nn.Sequential()
    for name, part in parts.items():
        if part is not None:
            joined.add_module(name, part)
    return joined


def split_at(model: nn.Module, layer: str) -> tuple[nn.Module, nn.Module]:
    """Cut a network behind a layer: ``top(bottom(x))`` equals ``model(x)``.

    Parameters
    ----------
    model : nn.Module
        Set to eval mode; both parts share its weights.
    layer : str
        Exact layer name; its output is what ``bottom`` gives.

    Raises
    ------
    CourseError
        If the layer does not exist, the network cannot be traced, or something
        passes by the layer (a short cut around it).

    Source
    ------
    Reed et al. 2022, torch.fx.
    """
    from torch import fx

    get_layer(model, layer)

    class Tracer(fx.Tracer):
        def is_leaf_module(self, module: nn.Module, name: str) -> bool:
            return not layer.startswith(f"{name}.")  # only what the cut goes through

    try:
        graph = Tracer().trace(model.eval())
    except Exception as error:  # whatever the network's own code raises
        raise CourseError(
            f"This network cannot be cut: {type(error).__name__} while tracing it.",
            "Use FeatureExtractor, which works for every network.",
        ) from error
    nodes = list(graph.nodes)
    cut = next((n for n in nodes if n.op == "call_module" and n.target == layer), None)
    after = nodes[nodes.index(cut) + 1 :] if cut else []
    passing = {a.name for n in after for a in n.all_input_nodes} - {
        n.name for n in (cut, *after) if n is not None
    }
    # A stored tensor is no short cut: both parts can read it.
    stored = {n.name: n for n in nodes if n.op == "get_attr"}
    if cut is None or passing - set(stored):
        raise CourseError(
            f"{layer!r} is no place to cut: "
            + ("something passes by it." if cut else "it takes no part."),
            "Take the end of a whole stage.",
        )
    bottom, top, copies = fx.Graph(), fx.Graph(), {}
    for node in nodes[: nodes.index(cut) + 1]:
        copies[node] = bottom.node_copy(node, lambda n: copies[n])
    bottom.output(copies[cut])
    copies = {cut: top.placeholder("features")}
    for node in [stored[n] for n in sorted(passing)] + after:
        copies[node] = top.node_copy(node, lambda n: copies[n])
    return fx.GraphModule(model, bottom), fx.GraphModule(model, top)


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
