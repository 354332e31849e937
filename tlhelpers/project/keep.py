"""A trained classifier that is kept in a folder, and used without its training."""

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, PackageLoader
from PIL import Image
from safetensors.torch import load_file, save
from torch import Tensor, nn

from .. import bert, sources, surgery, tasks, training
from ..errors import CourseError
from ..machine import file_sha256

AT_A_TIME = 16  # examples: more take more memory, and no less time on a CPU
WEIGHTS, CARD, TOKENIZER = "network.safetensors", "project.json", "tokenizer"
COPY = "Copy the whole folder again, or save the project again."
WORDS = Environment(loader=PackageLoader(__package__, "words"), autoescape=True)


class PictureClassifier(nn.Module):
    """A network that takes pictures as they are: scaling, body and head in one.

    Parameters
    ----------
    source : SourceModel
        Its network, with a new head, becomes the body; its mean and standard deviation
        of the channels are kept with the weights.
    n_classes : int, >= 2
    """

    def __init__(self, source: sources.SourceModel, n_classes: int) -> None:
        super().__init__()
        self.body = surgery.replace_head(source.model, n_classes)
        self.register_buffer("mean", torch.tensor(source.mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(source.std).reshape(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the logits, (n, n_classes), of pixels, (n, 3, s, s), 0 … 255."""
        x = (pixels.float() / 255 - self.mean) / self.std
        return self.body(x.contiguous(memory_format=torch.channels_last))


@dataclass
class Project:
    """A trained classifier with all that is needed to use it elsewhere.

    Attributes
    ----------
    name : str
    kind : {"images", "texts"}
    class_names : tuple of str, length n_classes
    network : nn.Module
        Body and linear head in one; gives logits, shape (n, n_classes).
    temperature : float, > 0
        The logits are divided by it: calibration.
    card : dict
        Only what JSON knows: data, source, method and why, figures, versions, date,
        and under "network" how to build the network again.
    tokenizer : transformers tokenizer or None
        Cuts texts into the pieces that the network takes.
    """

    name: str
    kind: str
    class_names: tuple[str, ...]
    network: nn.Module = field(repr=False)
    temperature: float
    card: dict[str, Any] = field(repr=False)
    tokenizer: Any = field(default=None, repr=False)

    def encode(self, examples: Sequence[Image.Image | str]) -> Tensor:
        """Turn examples into what the network takes.

        Parameters
        ----------
        examples : sequence of n pictures, or of n texts

        Returns
        -------
        Tensor
            Pictures: shape (n, 3, size, size), uint8. Texts: the numbers of their
            pieces, shape (n, longest), int64, 0 where a text has ended.

        Raises
        ------
        CourseError
            If there is no example, or one of the wrong kind.
        """
        size = self.card["network"]["size"]
        if self.kind == "texts":
            return bert.encode(self.tokenizer, examples, max_length=size)
        if not examples or not all(isinstance(e, Image.Image) for e in examples):
            raise CourseError("Expected pictures; got none or others.", "Open files.")
        return torch.stack([tasks.to_tensor(e.convert("RGB"), size) for e in examples])

    def probabilities(self, x: Tensor) -> np.ndarray:
        """Return calibrated probabilities, shape (n, n_classes), of encoded examples.

        Parameters
        ----------
        x : Tensor
            What :meth:`encode` or :func:`read_inputs` gives.
        """
        return (answer(self.network, x) / self.temperature).softmax(dim=1).numpy()

    def predict_proba(self, examples: Sequence[Image.Image | str]) -> np.ndarray:
        """Return the probabilities of the classes, shape (n, n_classes), float32.

        Parameters
        ----------
        examples : sequence of n pictures, or of n texts

        Raises
        ------
        CourseError
            If there is no example, or one of the wrong kind.
        """
        return self.probabilities(self.encode(examples))

    def save(self, folder: str | Path) -> Path:
        """Keep everything in a folder: safetensors and JSON, no pickle.

        Writes the weights, ``project.json`` with the sha256 of every other file that
        is read again, ``MODEL_CARD.md`` for people and, of texts, the tokenizer.

        Parameters
        ----------
        folder : path
            Made where it is not there.

        Returns
        -------
        Path
            The folder.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {k: v.contiguous() for k, v in self.network.state_dict().items()}
        (folder / WEIGHTS).write_bytes(save(weights))
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(folder / TOKENIZER)
        files = [folder / WEIGHTS, *sorted(folder.glob(f"{TOKENIZER}/*"))]
        sums = {f.relative_to(folder).as_posix(): file_sha256(f) for f in files}
        kept = {**vars(self), "network": None, "tokenizer": None, "sha256": sums}
        (folder / CARD).write_text(json.dumps(kept, indent=1), "utf-8")
        (folder / "MODEL_CARD.md").write_text(self.model_card(), encoding="utf-8")
        return folder

    def calibrated(self) -> nn.Module:
        """Return a copy of the network whose logits need no temperature any more.

        :func:`export_onnx` writes it for use without PyTorch: the softmax of its logits
        are the probabilities.
        """
        return scale_head(deepcopy(self.network), 1 / self.temperature)

    def model_card(self) -> str:
        """Return the card as a page, Markdown.

        Source
        ------
        Mitchell et al. 2019, Model Cards for Model Reporting.
        """
        return WORDS.get_template("card.md").render(project=self)


def answer(network: nn.Module, x: Tensor) -> Tensor:
    """Return the logits, shape (n, n_classes), on the CPU, in single precision.

    Slower than half precision, but every machine says the same.

    Parameters
    ----------
    network : nn.Module
    x : Tensor, shape (n, ...)
        Encoded examples.
    """
    return training.predict_logits(network, x, batch_size=AT_A_TIME, precision="fp32")


def scale_head(network: nn.Module, factor: float) -> nn.Module:
    """Multiply the logits by a factor, in place: the head is linear.

    Parameters
    ----------
    network : nn.Module
    factor : float

    Returns
    -------
    nn.Module
        The same network.
    """
    for p in surgery.get_layer(network, surgery.head_name(network)).parameters():
        p.data *= factor
    return network


def load_project(folder: str | Path) -> Project:
    """Load what :meth:`Project.save` kept; needs nothing but the folder.

    Parameters
    ----------
    folder : path

    Raises
    ------
    CourseError
        If the folder holds no project, a file in it is missing or damaged, or the
        network is of a kind that this version cannot build.
    """
    folder, file = Path(folder), Path(folder, CARD)
    if not file.is_file():
        raise CourseError(f"{folder} holds no project, no {CARD}.", "Check the path.")
    try:
        kept = {"network": None, **json.loads(file.read_text(encoding="utf-8"))}
        sums, _ = kept.pop("sha256").items(), kept["card"]["network"]["arch"]
        project = Project(**kept | {"class_names": tuple(kept["class_names"])})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CourseError(f"{file} is damaged.", COPY) from None
    for name, sha256 in sums:
        if not (folder / name).is_file() or file_sha256(folder / name) != sha256:
            raise CourseError(f"{folder / name} is missing or damaged (sha256).", COPY)
    project.network = _build(project, folder).eval()
    try:
        project.network.load_state_dict(load_file(folder / WEIGHTS))
    except RuntimeError:
        raise CourseError(f"{folder}: weights of another architecture.", COPY) from None
    return project


def _build(project: Project, folder: Path) -> nn.Module:
    """Make the network of random weights that the card describes, and its tokenizer."""
    how, n = project.card["network"], len(project.class_names)
    if project.kind != "texts":
        return PictureClassifier(sources.load_source(how["arch"], pretrained=False), n)
    from transformers import AutoTokenizer, BertConfig, BertModel

    files = folder / TOKENIZER
    project.tokenizer = AutoTokenizer.from_pretrained(files, local_files_only=True)
    body = BertModel(BertConfig(**how["config"]), add_pooling_layer=False)
    return bert.BertClassifier(body, n)
