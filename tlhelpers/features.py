"""Use a frozen network as a feature extractor, and see where it looks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from .errors import CourseError
from .machine import autocast, default_device, fast_precision, progress, release_memory
from .surgery import get_layer, head_name
from .tasks import by_length

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .sources import SourceModel


def extract_features(
    source: SourceModel | nn.Module,
    x: Tensor,
    *,
    layer: str | Sequence[str] | None = None,
    batch_size: int = 64,
) -> np.ndarray:
    """Compute what one layer or several say about each picture.

    The network runs in eval mode, batch by batch, so memory does not grow with the
    number of pictures, in bf16 or fp16 where the hardware is faster with it.

    Parameters
    ----------
    source : SourceModel or nn.Module
        A bare network takes ``x`` as it is.
    x : Tensor, shape (n, 3, size, size), uint8
        Or texts, shape (n, longest), int64: short and long ones are read apart, which
        saves padding.
    layer : name, names or None
        Exact layer names; their features stand side by side, in this order. None:
        what the head sees, the input of the last linear layer.
    batch_size : int
        Pictures at a time.

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
    import torch

    model, device = getattr(source, "model", source), default_device()
    normalize = getattr(source, "normalize", lambda batch: batch)
    kept: dict[str, Tensor] = {}
    hooks, order = _listen(model, layer, kept), by_length(x)
    rows = []
    model.to(device).eval()
    try:
        with torch.inference_mode(), autocast(device):
            for part in progress(order.split(batch_size), "features"):
                model(normalize(x[part].to(device)))
                rows.append(torch.cat([kept[n] for n in hooks], dim=1))
                kept.clear()
    except KeyError as error:
        raise CourseError(
            f"The layer {error} takes no part in the computation.", "Name another one."
        ) from None
    finally:
        for hook in hooks.values():
            hook.remove()
    features = torch.cat(rows)[order.argsort()].numpy()
    rows.clear()
    release_memory()
    return features


def _listen(model: nn.Module, layer: Any, kept: dict[str, Tensor]) -> dict[str, Any]:
    """Hang a listener on each layer; it keeps the averaged output by name."""
    if layer is None:
        name = head_name(model)
        hook = get_layer(model, name).register_forward_pre_hook(
            lambda _, a: kept.update({name: _average(a[0])})
        )
        return {name: hook}
    hooks = {}
    layers = {n: get_layer(model, n) for n in layer_names(layer)}
    for name, module in layers.items():

        def keep(_, __, out, name=name):
            kept[name] = _average(out)

        hooks[name] = module.register_forward_hook(keep)
    return hooks


def layer_names(layer: str | Sequence[str] | None) -> list[str]:
    """Return the names as a list, empty for None."""
    return [layer] if isinstance(layer, str) else list(layer or [])


def _first(out: Any) -> Tensor:
    """Take the tensor out of a tuple, or of a model output of transformers."""
    while isinstance(out, (tuple, list)) or hasattr(out, "to_tuple"):
        out = out[0]
    return out


def _average(out: Any) -> Tensor:
    """Average over places: (n, c, h, w) or (n, pieces, c) become (n, c).

    Networks that keep channels last in 4-D (timm's Swin) are not told apart: name a
    layer of theirs that gives (n, pieces, c), or their pooling.
    """
    out = _first(out).detach().float()
    if out.ndim == 4:
        out = out.mean(dim=(2, 3))
    elif out.ndim == 3:
        out = out.mean(dim=1)
    return out.flatten(1).cpu().clone()


def _shape(out: Any) -> str:
    shape = " × ".join(str(s) for s in _first(out).shape[1:])
    places = _first(out).shape[2:] if _first(out).ndim == 4 else ("all",)
    averaged = f", averaged over {' × '.join(map(str, places))} places"
    return shape + (averaged if _first(out).ndim > 2 else "")


class FeatureExtractor:
    """Turn pictures into features of a frozen network, each picture only once.

    Follows scikit-learn: ``fit`` learns nothing, ``transform`` gives the features, and
    a clone is the extractor itself, so that a grid search copies no network and asks
    for no picture twice.

    Parameters
    ----------
    source : SourceModel or nn.Module
    layer : name, names or None
        See :func:`extract_features`.
    cache : folder or None
        Keeps the features on disk, too, for the next session.
    batch_size : int
        Pictures at a time.

    Attributes
    ----------
    computed : int
        Pictures that went through the network so far; the others came from the cache.
    """

    def __init__(
        self,
        source: SourceModel | nn.Module,
        layer: str | Sequence[str] | None = None,
        *,
        cache: str | Path | None = None,
        batch_size: int = 64,
    ) -> None:
        self.source, self.layer, self.batch_size = source, layer, batch_size
        self.cache = Path(cache).expanduser() if cache else None
        self.computed = 0
        self._key = ""
        self._rows: dict[bytes, np.ndarray] = {}
        for name in layer_names(layer):
            get_layer(self._model, name)

    def fit(self, x: Any = None, y: Any = None) -> FeatureExtractor:
        """Do nothing; for pipelines."""
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
        import torch

        x = stack_pictures(x)
        self._open_cache()
        keys = [_digest(p) for p in x]
        new = {k: i for i, k in enumerate(keys) if k not in self._rows}
        if new:
            wanted = torch.from_numpy(x[list(new.values())])
            features = extract_features(
                self.source, wanted, layer=self.layer, batch_size=self.batch_size
            )
            self._rows.update(zip(new, features))
            self.computed += len(new)
            self._write_cache()
        return np.stack([self._rows[k] for k in keys])

    def fit_transform(self, x: Any, y: Any = None) -> np.ndarray:
        """Return ``transform(x)``."""
        return self.transform(x)

    def describe(self, x: Any) -> str:
        """Say what each layer gives for one picture, and what is averaged.

        Parameters
        ----------
        x : as in :meth:`transform`; the first picture is used
        """
        import torch

        seen: dict[str, Any] = {}
        picture = torch.from_numpy(stack_pictures(x)[:1])
        layers = {n: get_layer(self._model, n) for n in layer_names(self.layer)}
        hooks = [
            m.register_forward_hook(lambda _, __, out, n=n: seen.update({n: out}))
            for n, m in layers.items()
        ]
        try:
            features = extract_features(self.source, picture, layer=self.layer)
        finally:
            for hook in hooks:
                hook.remove()
        lines = [f"{n}: {_shape(out)}" for n, out in seen.items()]
        return "\n".join([*lines, f"{features.shape[1]} features per picture"])

    def normalize(self, batch: Tensor) -> Tensor:
        """Scale pictures as the network expects them."""
        return getattr(self.source, "normalize", lambda b: b)(batch)

    def fingerprint(self) -> str:
        """Return a digest of the network's weights and of its input scaling."""
        digest = hashlib.blake2b(digest_size=16)
        scaling = [getattr(self.source, k, None) for k in ("mean", "std")]
        digest.update(repr(scaling).encode())
        for name, tensor in self._model.state_dict().items():
            digest.update(name.encode())
            tensor = tensor.detach().cpu().contiguous()
            if tensor.is_floating_point():  # NumPy knows no bf16; float32 holds it
                tensor = tensor.float()
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    @property
    def _model(self) -> nn.Module:
        return getattr(self.source, "model", self.source)

    def _open_cache(self) -> None:
        """Forget features of other weights; read those kept for these."""
        parts = (self.fingerprint(), self.layer, fast_precision())
        key = hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()
        if key == self._key:
            return
        self._key, self._rows = key, {}
        path = self._path()
        if path and path.is_file():
            try:
                with np.load(path, allow_pickle=False) as kept:
                    names = [bytes(row) for row in kept["keys"]]
                    self._rows = dict(zip(names, kept["features"]))
            except (OSError, ValueError, KeyError, BadZipFile, EOFError):
                pass  # damaged: computed again, and written anew

    def _write_cache(self) -> None:
        path = self._path()
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        keys = np.frombuffer(b"".join(self._rows), np.uint8).reshape(-1, 16)
        np.savez(part, keys=keys, features=np.stack(list(self._rows.values())))
        part.replace(path)

    def _path(self) -> Path | None:
        return self.cache / f"features-{self._key}.npz" if self.cache else None

    def __sklearn_clone__(self) -> FeatureExtractor:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __repr__(self) -> str:
        name = getattr(self.source, "name", type(self.source).__name__)
        layers = ", ".join(layer_names(self.layer)) or "last"
        return f"FeatureExtractor({name}, {layers})"


def _digest(picture: np.ndarray) -> bytes:
    digest = hashlib.blake2b(repr(picture.shape).encode(), digest_size=16)
    digest.update(picture.tobytes())
    return digest.digest()


def stack_pictures(x: Any) -> np.ndarray:
    """Make one uint8 array, shape (n, 3, height, width), of pictures."""
    if hasattr(x, "numpy"):
        x = x.cpu().numpy()
    elif not isinstance(x, np.ndarray):
        x = [np.asarray(p) for p in x]
        shapes = sorted({p.shape for p in x})
        if len(shapes) > 1:
            raise CourseError(
                f"The pictures differ in size: {', '.join(map(str, shapes[:4]))}.",
                "Read them at one size, for example with `task.train.tensors(128)`.",
            )
        x = np.stack(x) if x else np.empty((0, 0))
    if x.ndim != 4 or not len(x):
        raise CourseError(
            f"Pictures were expected, shape (n, 3, height, width); got {x.shape}.",
            "Give the tensor of `task.train.tensors(size)`.",
        )
    return np.ascontiguousarray(x)


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
