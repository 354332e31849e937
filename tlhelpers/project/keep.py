"""A trained classifier that is kept in a folder, and used without its training."""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, PackageLoader
from jsonschema import Draft4Validator
from PIL import Image
from safetensors.torch import load_model, save_file
from torch import Tensor, nn

from .. import bert, sources, surgery, tasks, training
from ..errors import CourseError
from ..machine import check_file, file_sha256

# Examples at a time: more take more memory, and no less time on a CPU.
AT_A_TIME, TOKENIZER = 16, "tokenizer/tokenizer.json"
WEIGHTS, CARD, PAGE = "network.safetensors", "project.json", "MODEL_CARD.md"
COPY = "Take back what was changed, copy the whole folder again, or make it anew."
CHANGE = "Fix what it names, free disk space or choose another folder, and retry."
WORDS = Environment(loader=PackageLoader(__package__, "words"), autoescape=True)

#: What a project may say: types, ranges, architectures, keys. Draft 4 of JSON Schema,
#: because to later ones 1.0 is a whole number.
SCHEMA = Draft4Validator(json.loads(WORDS.get_template("schema.json").render()))
SHAPE = SCHEMA.schema["definitions"]["config"]["properties"]  # of a BERT


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
        is read again, ``MODEL_CARD.md`` for people and, of texts, the tokenizer. All is
        written beside what is there, then moved into place: where that fails, for
        example on a full disk, an older project stays whole.

        Parameters
        ----------
        folder : path
            Made where it is not there.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        CourseError
            If the project says what could not be loaded again, or cannot be written;
            then it can be saved again, elsewhere.
        """
        folder = Path(folder).expanduser()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=".new", dir=folder) as name:
                new = Path(name)
                save_file(surgery.snapshot(self.network), new / WEIGHTS)
                if self.tokenizer is not None:
                    self.tokenizer.save_pretrained(new / "tokenizer")
                files = {f.relative_to(new).as_posix(): f for f in new.rglob("*.*")}
                kept = self.describe({k: file_sha256(f) for k, f in files.items()})
                (new / CARD).write_text(json.dumps(kept, indent=1), "utf-8")
                (new / PAGE).write_text(self.model_card(), encoding="utf-8")
                for name in (*sorted(files)[::-1], PAGE, CARD):  # the tokenizer first
                    (folder / name).parent.mkdir(exist_ok=True)
                    (new / name).replace(folder / name)
        except Exception as error:  # no room, no right, and each library's own kinds
            raise CourseError(f"{folder} cannot be written: {error}", CHANGE) from None
        return folder

    def describe(self, sha256: dict[str, str]) -> dict[str, Any]:
        """Return what ``project.json`` says; refuse what could not be loaded again.

        Parameters
        ----------
        sha256 : dict, file -> sum
            Of every other file that is read again.

        Raises
        ------
        CourseError
            If the project says what no project may say.
        """
        kept = vars(self) | {"network": None, "tokenizer": None, "sha256": sha256}
        return _check(lambda: json.dumps(kept), f"{self.name!r} cannot be saved", COPY)

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
    for p in surgery.get_layer(network, *surgery.head_names(network)).parameters():
        p.data *= factor
    return network


def load_project(folder: str | Path) -> Project:
    """Load what :meth:`Project.save` kept; needs nothing but the folder.

    The folder may be a stranger's: what it says is held against a schema, and its files
    against their sums, before anything is built. No other file is opened.

    Parameters
    ----------
    folder : path

    Raises
    ------
    CourseError
        If the folder holds no project, a file in it is missing or damaged, or it says
        what no project may say.
    """
    folder, file = Path(folder).expanduser(), Path(folder, CARD).expanduser()
    if not file.is_file():
        raise CourseError(f"{folder} holds no project, no {CARD}.", "Check the path.")
    kept = _check(file.read_bytes, f"{file} is damaged", COPY)
    for name, sha256 in kept.pop("sha256").items():
        check_file(folder / name, sha256, COPY)
    project = Project(**kept | {"class_names": tuple(kept["class_names"])})
    try:
        project.network = _build(project, folder).eval()
        load_model(project.network, folder / WEIGHTS)
    except Exception:  # each library has kinds of its own
        raise CourseError(f"{folder}: the network cannot be rebuilt.", COPY) from None
    return project


def _check(read: Callable[[], str | bytes], place: str, step: str) -> dict[str, Any]:
    """Read what a project says, and hold it against the schema."""
    try:
        # NaN is no number here.
        kept = {"network": None, **json.loads(read(), parse_constant=int)}
        json.dumps(kept, ensure_ascii=False).encode()  # and half a letter is none
        SCHEMA.validate(kept)
        if kept["class_names"] != kept["card"]["data"]["classes"]:
            raise ValueError("class_names differ from those it was trained with")
    except Exception as error:  # no right to read, no JSON, not as the schema says
        found = f"{getattr(error, 'json_path', '')} {getattr(error, 'message', error)}"
        raise CourseError(f"{place}: {found.strip():.300}.", step) from None
    return kept


def _build(project: Project, folder: Path) -> nn.Module:
    """Make the network of random weights that the card describes, and its tokenizer."""
    how, n = project.card["network"], len(project.class_names)
    if project.kind != "texts":
        return PictureClassifier(sources.load_source(how["arch"], pretrained=False), n)
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    # This file alone: no code, and nothing that could be asked of the hub.
    project.tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / TOKENIZER))
    body = BertModel(BertConfig(**how["config"]), add_pooling_layer=False)
    return bert.BertClassifier(body, n)
