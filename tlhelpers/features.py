"""Use a frozen network as a feature extractor, and see where it looks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import joblib
import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from torch import Tensor, nn

from .errors import CourseError
from .sources import SourceModel
from .surgery import get_layer, head_name
from .training import predict_logits

Source = SourceModel | nn.Module
Layers = str | Sequence[str] | None


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
        what the head sees, the input of the last linear layer.
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
        If a layer does not exist, or takes no part in the computation.
    """
    model = getattr(source, "model", source)
    names = _names(layer) or [head_name(model)]
    layers = {name: get_layer(model, name) for name in names}
    averages: dict[str, Tensor] = {}

    def hear(name: str, _: nn.Module, inputs: Any, output: Any = None) -> None:
        out = inputs if output is None else output
        # A tuple, or a model output of transformers.
        while isinstance(out, (tuple, list)) or hasattr(out, "to_tuple"):
            out = out[0]
        averages[name] = _average(out.float())

    def collect(_: Any) -> Tensor:
        for name in set(layers) - set(averages):
            raise CourseError(f"The layer {name!r} takes no part.", "Name another one.")
        return torch.cat([averages.pop(name) for name in layers], dim=1)

    hang = "register_forward_hook" if layer else "register_forward_pre_hook"
    hooks = [getattr(m, hang)(partial(hear, n)) for n, m in layers.items()]
    how = {"transform": getattr(source, "normalize", None), "batch_size": batch_size}
    try:
        return predict_logits(model, x, read=collect, **how).numpy()
    finally:
        for hook in hooks:
            hook.remove()


def _average(out: Tensor) -> Tensor:
    """Average over places: (n, c, h, w) or (n, pieces, c) become (n, c).

    Networks that keep channels last in 4-D (timm's Swin) are not told apart: name a
    layer of theirs that gives (n, pieces, c), or their pooling.
    """
    places = {4: (2, 3), 3: (1,)}.get(out.ndim)
    # A copy, because the next layer may work in place.
    return out.mean(dim=places) if places else out.flatten(1).clone()


def _names(layer: Layers) -> list[str]:
    """Return the names as a list, empty for None."""
    return [layer] if isinstance(layer, str) else list(layer or [])


class FeatureExtractor(TransformerMixin, BaseEstimator):
    """Turn pictures into features of a frozen network, each picture only once.

    Follows scikit-learn: ``fit`` learns nothing, ``transform`` gives the features, and
    a clone is the extractor itself, so that a grid search copies no network and asks
    for no picture twice.

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
        self.computed, self._network = 0, ""
        self._rows: dict[str, np.ndarray] = {}
        for name in _names(layer):
            get_layer(getattr(source, "model", source), name)

    def fit(self, x: Any = None, y: Any = None) -> FeatureExtractor:
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
            If the pictures differ in size or there is none.
        """
        x = stack_pictures(x)
        network = self.fingerprint()
        if network != self._network:  # what is remembered are features of another one
            self._network, self._rows = network, {}
        keys = [joblib.hash(p, "sha1") for p in x]
        new = {k: i for i, k in enumerate(keys) if k not in self._rows}
        if new:
            wanted = torch.from_numpy(x[list(new.values())])
            how = {"layer": self.layer, "batch_size": self.batch_size}
            features = extract_features(self.source, wanted, **how)
            self._rows.update(zip(new, features))
            self.computed += len(new)
        return np.stack([self._rows[k] for k in keys])

    def fingerprint(self) -> str:
        """Return a digest of what features depend on: scaling, layers, weights."""
        scaling = [repr(getattr(self.source, k, None)) for k in ("mean", "std")]
        state = getattr(self.source, "model", self.source).state_dict()
        weights = [v.float().cpu().numpy() for v in state.values()]
        return joblib.hash((scaling, self.layer, list(state), weights))

    def __sklearn_clone__(self) -> FeatureExtractor:
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
        If the pictures differ in size, or there is none.
    """
    if isinstance(x, (list, tuple)):
        if len(shapes := sorted({np.shape(p) for p in x})) > 1:
            problem = f"The pictures differ in size: {', '.join(map(str, shapes[:4]))}."
            raise CourseError(problem, "Read them with `task.train.tensors(size)`.")
        x = [np.asarray(p) for p in x]
    x = np.ascontiguousarray(x.cpu() if isinstance(x, Tensor) else x)
    if x.ndim != 4 or not len(x):
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
        A layer whose output has the shape (n, channels, h, w).
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
        If the layer does not exist.

    Source
    ------
    Selvaraju et al. 2017, Grad-CAM; computed by captum.
    """
    from captum.attr import LayerGradCam

    def evidence(batch: Tensor) -> Tensor:
        logits = model(batch)
        return logits.max(dim=1).values if target is None else logits[:, target]

    modes = {m: m.training for m in model.modules()}
    cam = LayerGradCam(evidence, get_layer(model, layer))
    x = x.detach().to(next(model.parameters()).device, copy=True)
    try:
        model.eval()
        maps = cam.attribute(x, relu_attributions=True)[:, 0].detach()  # (n, h, w)
    finally:
        for m, training in modes.items():
            m.training = training
    return (maps / maps.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)).cpu()
