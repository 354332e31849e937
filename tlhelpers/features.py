"""Use a frozen network as a feature extractor, and see where it looks."""

from collections.abc import Sequence
from contextlib import ExitStack
from copy import deepcopy
from functools import partial
from typing import Any

import joblib
import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from .errors import CourseError
from .sources import SourceModel
from .surgery import get_layer, get_layers, head_names, main_output
from .tasks import is_pieces
from .training import ask, predict_logits

Source, Layers = SourceModel | nn.Module, str | Sequence[str] | None


def extract_features(
    source: Source, x: Tensor, *, layer: Layers = None, batch_size: int | None = None
) -> np.ndarray:
    """Compute the output of one layer or several for each picture or text.

    The network runs in eval mode, batch by batch, so memory does not grow with the
    number of pictures, in bf16 or fp16 where the hardware is faster with it.

    Parameters
    ----------
    source : SourceModel or nn.Module
        A bare network takes ``x`` as it is.
    x : Tensor, shape (n, 3, size, size), uint8, 0 … 255
        Or texts, shape (n, longest), int64: short and long ones are read apart, which
        saves padding.
    layer : name, names or None
        Exact layer names; their features stand side by side, in this order. None:
        what the head sees, or the output of a network without a head.
    batch_size : int or None
        Pictures at a time, >= 1; None: see :func:`predict_logits`.

    Returns
    -------
    ndarray, shape (n, n_features), float32
        Where a layer has an output for each place of the picture, (channels, height,
        width), or for each piece of a text, (pieces, channels), its mean over them.

    Raises
    ------
    CourseError
        If a layer does not exist, takes no part in the computation, or does not give
        one result for each picture, as inside the windows of a Swin; if the pictures
        are scaled already where the source model would do it, if their channels stand
        elsewhere, or if the network refuses their size.
    """
    model = getattr(source, "model", source)
    names = [layer] if isinstance(layer, str) else layer or head_names(model)
    layers, seen, averages = {k: get_layer(model, k) for k in names}, {}, {}

    def hear(name: str, _: nn.Module, inputs: Any, output: Any = None) -> None:
        out = main_output(inputs if output is None else output)
        averages[name] = _average(out.float(), seen["batch"])

    def collect(out: Tensor) -> Tensor:
        for name in layers:  # of windows there are more than of pictures
            if len(averages.get(name, ())) != len(out):
                problem = f"The layer {name!r} does not give one result per example."
                raise CourseError(problem, "Name another, such as the block around it.")
        found = [averages.pop(name) for name in layers]
        return torch.cat(found or [_average(out.float(), seen["batch"])], dim=1)

    hang = "register_forward_hook" if layer else "register_forward_pre_hook"
    how = {"transform": getattr(source, "normalize", None), "batch_size": batch_size}
    with ExitStack() as hooks:
        look = model.register_forward_pre_hook(lambda _, x: seen.update(batch=x[0]))
        hooks.enter_context(look)
        for name, part in layers.items():
            hooks.enter_context(getattr(part, hang)(partial(hear, name)))
        return predict_logits(model, x, read=collect, **how).numpy()


def _average(out: Tensor, x: Tensor) -> Tensor:
    """Average over places or pieces: (n, c, h, w) or (n, pieces, c) become (n, c)."""
    if out.ndim == 3 and is_pieces(x):  # what stands behind the end of a text is none
        mask = (x != 0).flip(1).cumsum(1).flip(1) > 0
        # Convolutions give (n, c, pieces); as many pieces as the longest text has.
        out = out if out.shape[1] in (x.shape[1], mask.any(dim=0).sum()) else out.mT
        mask = mask[:, : out.shape[1], None]
        return (out * mask).sum(dim=1) / mask.sum(dim=1).clamp_min(1)
    if out.ndim == 4:
        return (_as_map(out, x) if x.ndim == 4 else out).mean(dim=(2, 3))
    # A copy, because the next layer may work in place.
    return out.mean(dim=1) if out.ndim == 3 else out.flatten(1).clone()


def _as_map(out: Tensor, x: Tensor) -> Tensor:
    """Turn what a layer says of pictures x into (n, channels, h, w), if it is a map."""
    s, tall = out.shape, x.shape[2] / x.shape[3]
    if out.ndim == 4 and abs(s[2] - s[3] * tall) > 1 + tall >= abs(s[1] - s[2] * tall):
        return out.permute(0, 3, 1, 2)  # the channels stood last
    for extra in range(min(9, s[1])):  # pieces of the class stand first
        h = round(((s[1] - extra) * tall) ** 0.5)
        if out.ndim == 3 and h * round(h / tall) == s[1] - extra:
            return out[:, extra:].mT.unflatten(2, (h, -1))
    return out


class FeatureExtractor(TransformerMixin, BaseEstimator):
    """Turn pictures into features of a frozen network, each picture only once.

    Follows scikit-learn: ``fit`` learns nothing, ``transform`` gives the features, and
    a clone is the extractor itself, so that a grid search copies no network and asks
    for no picture twice. Once the weights have changed, what they said is forgotten.

    Parameters
    ----------
    source : SourceModel or nn.Module
        A bare network takes the pictures as they are.
    layer : name, names or None
        See :func:`extract_features`.
    batch_size : int or None
        Pictures at a time, >= 1; None: see :func:`predict_logits`.

    Attributes
    ----------
    computed : int
        Pictures that went through the network so far; the others were remembered.

    Raises
    ------
    CourseError
        If a layer does not exist.
    """

    def __init__(
        self, source: Source, layer: Layers = None, *, batch_size: int | None = None
    ) -> None:
        self.source, self.layer, self.batch_size = source, layer, batch_size
        self.computed, self._rows = 0, {}
        get_layers(getattr(source, "model", source), layer or ())

    def fit(self, x: Any = None, y: Any = None) -> "FeatureExtractor":
        """Do nothing and return the extractor; ``x`` and ``y`` are ignored."""
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the features of the pictures.

        Parameters
        ----------
        x : Tensor or ndarray, shape (n, 3, size, size), uint8; or a list of such
            pictures, all of one size

        Returns
        -------
        ndarray, shape (n, n_features), float32

        Raises
        ------
        CourseError
            If the pictures differ in size, there is none, their channels stand last,
            or they are scaled already where the source model would do it.
        """
        x, rows = stack_pictures(x), self._rows.get(network := self.fingerprint(), {})
        self._rows = {network: rows}  # what older weights said is forgotten
        keys = [f"{self.layer} {joblib.hash(p, 'sha1')}" for p in x]
        new = {k: i for i, k in enumerate(keys) if k not in rows}
        if new:
            wanted = torch.from_numpy(x[list(new.values())])
            how = {"layer": self.layer, "batch_size": self.batch_size}
            rows.update(zip(new, extract_features(self.source, wanted, **how)))
            self.computed += len(new)
        return np.stack([rows[k] for k in keys])

    def fingerprint(self) -> str:
        """Return a digest of the network that features depend on: scaling, weights."""
        scaling = [repr(getattr(self.source, k, None)) for k in ("mean", "std")]
        state = getattr(self.source, "model", self.source).state_dict()
        weights = [v.float().cpu().numpy() for v in state.values()]
        return joblib.hash((scaling, list(state), weights))

    def __sklearn_clone__(self) -> "FeatureExtractor":
        return self


def stack_pictures(x: Any) -> np.ndarray:
    """Make one array of pictures.

    Parameters
    ----------
    x : Tensor, ndarray, or list of n pictures (3, height, width), all of one size
        uint8, 0 … 255.

    Returns
    -------
    ndarray, shape (n, 3, height, width), same dtype, contiguous

    Raises
    ------
    CourseError
        If the pictures differ in size, there is none, or the channels stand last.
    """
    if isinstance(x, (list, tuple)):
        if len(shapes := sorted({np.shape(p) for p in x})) > 1:
            problem = f"The pictures differ in size: {', '.join(map(str, shapes[:4]))}."
            raise CourseError(problem, "Read them with `task.train.tensors(size)`.")
        x = [np.asarray(p) for p in x]
    x = np.ascontiguousarray(x.cpu() if isinstance(x, Tensor) else x)
    if x.ndim != 4 or not len(x) or x.shape[1] > 4 >= x.shape[3]:
        problem = f"Pictures were expected, (n, 3, height, width); got {x.shape}."
        raise CourseError(problem, "Give the tensor of `task.train.tensors(size)`.")
    return x


def grad_cam(
    model: nn.Module, x: Tensor, *, layer: str, target: int | None = None
) -> Tensor:
    """Show which regions speak for a class.

    Parameters
    ----------
    model : nn.Module
        Gives logits, shape (n, n_classes); may be frozen.
    x : Tensor, shape (n, 3, height, width), float32
        Normalised pictures.
    layer : str
        A layer whose output has the shape (n, channels, h, w), or (n, h, w, channels),
        or (n, pieces, channels) with a piece for each place, behind those of the class.
    target : int or None
        Class number, 0 … n_classes - 1; None takes the predicted class of each
        picture.

    Returns
    -------
    Tensor, shape (n, h, w), float32, 0 … 1, on the CPU
        1 where the evidence is strongest in that picture.

    Raises
    ------
    CourseError
        If the layer does not exist, its output is no map, or nothing in the map has a
        say: the head of many transformers reads the class's piece of the last block.

    Source
    ------
    Selvaraju et al. 2017, Grad-CAM. captum has it for maps (n, channels, h, w).
    """
    model = deepcopy(model).eval()  # nothing of the network itself is touched
    x = x.detach().to(next(model.parameters()), copy=True)
    kept: list[Any] = [x.new_empty(0, 0), x.requires_grad_()]

    def keep(_: nn.Module, __: Any, out: Any) -> None:
        maps = main_output(out)
        # A copy, because the next layer may work in place.
        kept[:] = maps.detach().clone(), get_gradient_edge(maps)

    with torch.enable_grad(), get_layer(model, layer).register_forward_hook(keep):
        logits = ask(model, x)
        evidence = logits.amax(dim=1) if target is None else logits[:, target]
        slopes = torch.autograd.grad(evidence.sum(), kept[1:])
    maps, slopes = (_as_map(v, x) for v in (kept[0], *slopes))
    if maps.ndim != 4 or len(maps) != len(x) or not slopes.any():
        problem = f"What {layer!r} gives, {tuple(maps.shape)}, is no map of evidence."
        raise CourseError(problem, "Name an earlier layer, one that gives a map.")
    heat = (slopes.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1).relu()  # (n, h, w)
    return (heat / heat.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)).float().cpu()
