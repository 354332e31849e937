"""Look into a network, freeze parts of it, give it a new head."""

import difflib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import Tracer
from torch.nn.modules.batchnorm import _BatchNorm

from .errors import CourseError

#: Exact layer names, or one; None: the whole network.
Names = Iterable[str] | str | None


def get_layer(model: nn.Module, name: str) -> nn.Module:
    """Return the layer of exactly this name, as in ``model.named_modules()``.

    Parameters
    ----------
    model : nn.Module
    name : str
        Not empty, for example "blocks.3.1".

    Raises
    ------
    CourseError
        If there is none; lists the layers with the most similar names.
    """
    layers = dict(model.named_modules())
    if name in layers and name:
        return layers[name]
    top = ", ".join(n for n, _ in model.named_children())
    near = ", ".join(difflib.get_close_matches(name, layers, n=5, cutoff=0.3))
    hint = f"The top layers are {top}; similar names: {near or 'none'}."
    raise CourseError(f"There is no layer {name!r}.", hint)


def get_layers(model: nn.Module, layers: Names) -> list[nn.Module]:
    """Return the layers of these names, or of one; None: the whole network."""
    names = [layers] if isinstance(layers, str) else layers
    return [model] if names is None else [get_layer(model, n) for n in names]


# --- looking -------------------------------------------------------------------------


def count_parameters(model: nn.Module, *, learning: bool = False) -> int:
    """Count the numbers in all parameters, or only in those that learn.

    Parameters
    ----------
    model : nn.Module
        A network, or one layer of it.
    learning : bool
        True leaves out what is frozen.
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not learning)


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """Copy all parameters and buffers, to measure :func:`drift` from.

    Parameters
    ----------
    model : nn.Module

    Returns
    -------
    dict, name -> Tensor
        As ``model.state_dict()``, but what happens to the model leaves it alone.
    """
    return {k: v.clone().contiguous() for k, v in model.state_dict().items()}


def drift(before: dict[str, Tensor], model: nn.Module) -> dict[str, float]:
    """Measure how far each layer moved since the snapshot.

    Parameters
    ----------
    before : dict, name -> Tensor
        What :func:`snapshot` gave.
    model : nn.Module
        The same network, later; it may be on another device.

    Returns
    -------
    dict, layer name -> relative change, >= 0
        ``||new - old|| / ||old||`` over the layer's parameters and buffers, 0 for a
        layer that stood still. Layers whose shape changed are left out.
    """
    moved: dict[str, list[float]] = {}
    for key, new in model.state_dict().items():
        old = before.get(key)
        if old is not None and old.shape == new.shape and new.is_floating_point():
            sums = moved.setdefault(key.rpartition(".")[0], [0.0, 0.0])
            sums[0] += float((new - old.to(new.device)).double().pow(2).sum())
            sums[1] += float(old.double().pow(2).sum())
    return {k: (d / max(n, 1e-30)) ** 0.5 for k, (d, n) in moved.items()}


# --- freezing ------------------------------------------------------------------------


def freeze(model: nn.Module, layers: Names = None, *, but: Names = ()) -> nn.Module:
    """Freeze layers: parameters, batch-norm statistics and dropout stand still.

    Parameters
    ----------
    model : nn.Module
    layers : names or None
        Exact layer names, or one; None means the whole network.
    but : names
        Layers that learn, also if they were frozen before, for example the head.

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
    _mark(get_layers(model, layers), frozen=True)
    return unfreeze(model, but)


def unfreeze(model: nn.Module, layers: Names = None) -> nn.Module:
    """Let layers learn again and return the model; see :func:`freeze`.

    Parameters
    ----------
    model : nn.Module
    layers : names or None
        Exact layer names; None means the whole network.
    """
    _mark(get_layers(model, layers), frozen=False)
    return model


def freeze_batch_norm(model: nn.Module) -> nn.Module:
    """Freeze every batch-norm layer, while the rest may learn.

    A handful of pictures is too few to estimate means and variances from: those of
    the source data are the better ones.

    Parameters
    ----------
    model : nn.Module

    Returns
    -------
    nn.Module
        The same model.
    """
    _mark([m for m in model.modules() if isinstance(m, _BatchNorm)], frozen=True)
    return model


def _mark(layers: list[nn.Module], *, frozen: bool) -> None:
    for part in (m for layer in layers for m in layer.modules()):
        part.requires_grad_(not frozen)
        part.is_frozen = frozen
        part.training &= not frozen  # a frozen layer stands still at once


def train_unfrozen(model: nn.Module) -> nn.Module:
    """Set training mode, except in frozen layers, which stay in eval mode.

    Parameters
    ----------
    model : nn.Module

    Returns
    -------
    nn.Module
        The same model.
    """
    model.train()
    for layer in model.modules():
        layer.training &= not getattr(layer, "is_frozen", False)
    return model


# --- new weights ---------------------------------------------------------------------


def reinitialize(model: nn.Module, layers: Names, *, seed: int = 0) -> nn.Module:
    """Give layers random weights again, as before any training, in place.

    Parameters
    ----------
    model : nn.Module
    layers : names or None
        Exact layer names; everything inside them starts anew. None: the whole network.
    seed : int
        Seed of the weights; PyTorch's global generator is left as it was.

    Returns
    -------
    nn.Module
        The same model.

    Raises
    ------
    CourseError
        If a layer does not exist, or holds parameters that PyTorch cannot reset.
    """
    resets = []
    for m in (m for layer in get_layers(model, layers) for m in layer.modules()):
        # Attention has it under another name.
        reset = getattr(m, "reset_parameters", getattr(m, "_reset_parameters", None))
        if reset is not None:
            resets.append(reset)
        elif list(m.parameters(recurse=False)):
            problem = f"The parameters of {type(m).__name__} cannot be reset."
            raise CourseError(problem, "Make the network anew, with random weights.")
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        for reset in resets:
            reset()
    return model


# --- heads ---------------------------------------------------------------------------


def main_output(out: Any) -> Any:
    """Find the logits, or else the first tensor, in what a network or a layer gives.

    Parameters
    ----------
    out : Tensor, or tuple, list or mapping of tensors
        For example a model output of transformers.

    Returns
    -------
    Tensor
        Or whatever stands where one was expected.
    """
    if isinstance(out, Mapping):
        out = out.get("logits", [*out.values()])
    return main_output(out[0]) if isinstance(out, (tuple, list)) else out


def head_names(model: nn.Module) -> list[str]:
    """Return the names of the heads: the linear layers that make the output.

    timm's networks say which; those of transformers have them outside their body. Else
    it is the layer with weights that the output comes from, if it is linear and nothing
    is added behind it; where forward cannot be traced without data, the last one.

    Parameters
    ----------
    model : nn.Module

    Returns
    -------
    list of str
        Mostly one; none where the output is made by something else, for example by
        the normalisation behind a body; two where a distilled network has two.
    """
    names, heads = {layer: name for name, layer in model.named_modules()}, _heads(model)
    return [names[h] for h in heads if len(h.weight) == len(heads[-1].weight)]


def _heads(part: nn.Module) -> list[nn.Module]:
    if isinstance(part, nn.Linear):
        return [part]
    if hasattr(part, "get_classifier"):  # timm's; some have a convolution there
        known = part.get_classifier()
        known = nn.ModuleList(known if isinstance(known, tuple) else [known])
        return [m for m in known.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    if hasattr(part, "base_model"):  # transformers'; its heads stand outside its body
        body = {*part.base_model.modules()} - {*part.children()}
        return [m for m in part.modules() if isinstance(m, nn.Linear) and m not in body]
    tracer = Tracer()
    tracer.is_leaf_module = lambda *_: True
    try:
        given = signature(part.forward).parameters.items()
        usual = {n: p.default for n, p in given if p.default is not p.empty}
        nodes = [*tracer.trace(part, usual).nodes]
    except Exception:  # each forward has its own reasons
        return _heads(nn.Sequential(*part.children()))
    finally:
        vars(tracer).clear()  # the network would live as long as it, in a circle
    layers = {n: part.get_submodule(n.target) for n in nodes if n.op == "call_module"}
    layers = {n: m for n, m in layers.items() if count_parameters(m)}
    node = main_output(nodes[-1].args[0])
    if isinstance(getattr(node, "target", 0), type):  # a tuple or data class, made here
        node = main_output(node.kwargs or node.args)
    inputs = [node]
    # A sum has two inputs; a scale is a parameter, and no input.
    while len(inputs) == 1 and (node := inputs[0]) not in layers:
        inputs = [n for n in getattr(node, "all_input_nodes", ()) if n.op != "get_attr"]
    return _heads(layers[node]) if node in layers else []


def replace_head(model: nn.Module, n_classes: int, *, like: Any = None) -> nn.Module:
    """Put a new linear layer in place of the head, in place.

    Parameters
    ----------
    model : nn.Module
        Its head, see :func:`head_names`, is linear, in_features -> n_source_classes;
        where a distilled network has two, both are replaced.
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
        If the network has no linear head, or ``like`` was fitted on other features or
        another number of classes.

    Source
    ------
    Kumar et al. 2022, Fine-Tuning can Distort Pretrained Features.
    """
    heads = {name: get_layer(model, name) for name in head_names(model)}
    if not heads or not all(isinstance(old, nn.Linear) for old in heads.values()):
        problem = "There is no linear layer that makes the output, so no head."
        raise CourseError(problem, "Put one behind it, with `torch.nn.Sequential`.")
    for name, old in heads.items():
        new = nn.Linear(old.in_features, n_classes).to(old.weight)
        if like is not None:
            _copy_classifier(like, new)
        model.set_submodule(name, new)
    return model


def _copy_classifier(like: Any, head: nn.Linear) -> None:
    """Copy coefficients; of two classes scikit-learn keeps the difference only."""
    weight, bias = (torch.as_tensor(v) for v in (like.coef_, like.intercept_))
    if len(weight) == 1:
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    if weight.shape != head.weight.shape:
        given, wanted = tuple(weight.shape), tuple(head.weight.shape)
        problem = f"The classifier has {given} coefficients, the head {wanted}."
        raise CourseError(problem, "Fit it on features and classes of this network.")
    head.load_state_dict({"weight": weight, "bias": bias})


def without_scaling(head: Any, center: np.ndarray, scale: float | np.ndarray) -> Any:
    """Return a copy of a linear classifier that takes features as they are.

    Parameters
    ----------
    head : fitted linear classifier of scikit-learn
        It takes ``(features - center) / scale``.
    center : ndarray, shape (n_features,)
        In the units of the features.
    scale : float or ndarray, shape (n_features,), > 0
        One for all features, or one each.

    Returns
    -------
    fitted linear classifier
        It takes ``features``, and gives the same probabilities.
    """
    head = deepcopy(head)
    head.coef_ = head.coef_ / scale
    head.intercept_ = head.intercept_ - head.coef_ @ center
    return head
