"""A trained classifier that is kept in a folder, and used without its training."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from ..bert import Bert, BertClassifier, load_bert
from ..compression import export_onnx
from ..errors import CourseError
from ..machine import default_device, file_sha256, release_memory
from ..sources import BUNDLED, load_source
from ..surgery import replace_head
from ..tasks import by_length, to_tensor

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

AT_A_TIME = 16  # examples: more take more memory, and no less time on a CPU
WEIGHTS, CARD, PAGE, TOKENIZER = (
    "network.safetensors",
    "project.json",
    "MODEL_CARD.md",
    "tokenizer",
)


class PictureClassifier(nn.Module):
    """A network that takes pictures as they are: scaling, body and head in one.

    Parameters
    ----------
    body : nn.Module
        Takes normalised pictures; its last linear layer is the head.
    mean, std : 3 floats each
        ``(pixel / 255 - mean) / std``, per channel; kept with the weights.
    """

    def __init__(
        self, body: nn.Module, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("mean", torch.tensor(mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(1, 3, 1, 1))

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
        return encode_examples(examples, self.kind, size, self.tokenizer)

    def probabilities(self, x: Tensor) -> np.ndarray:
        """Return calibrated probabilities, shape (n, n_classes), of encoded examples.

        Parameters
        ----------
        x : Tensor
            What :meth:`encode` or :func:`read_inputs` gives.
        """
        logits = answer(self.network, x) / self.temperature
        return logits.softmax(dim=1).numpy()

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
        """
        from safetensors.torch import save

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {k: v.contiguous() for k, v in self.network.state_dict().items()}
        (folder / WEIGHTS).write_bytes(save(weights))
        files = [folder / WEIGHTS]
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(folder / TOKENIZER)
            files += sorted((folder / TOKENIZER).iterdir())
        kept = {
            "name": self.name,
            "kind": self.kind,
            "class_names": list(self.class_names),
            "temperature": self.temperature,
            "card": self.card,
            "sha256": {f.relative_to(folder).as_posix(): file_sha256(f) for f in files},
        }
        text = json.dumps(kept, indent=1, ensure_ascii=False)
        (folder / CARD).write_text(text + "\n", encoding="utf-8")
        (folder / PAGE).write_text(self.model_card(), encoding="utf-8")
        return folder

    def export_onnx(self, path: str | Path) -> Path:
        """Write the network, calibration included, for use without PyTorch.

        Parameters
        ----------
        path : path ending in .onnx

        Returns
        -------
        Path
            The file. Its input is "pixels", shape (n, 3, size, size), uint8, or "ids",
            shape (n, longest), int64; its output "logits", whose softmax are the
            probabilities.

        Raises
        ------
        CourseError
            If ONNX Runtime does not get the same from the file as PyTorch here.
        """
        example = self._example()
        network = _Calibrated(self.network.cpu().eval(), self.temperature)
        if self.kind == "images":
            _export_pictures(network, example, Path(path))
        else:
            export_onnx(network, example, path)
        _check_onnx(Path(path), example, answer(network, example).numpy())
        return Path(path)

    def model_card(self) -> str:
        """Return the card as a page, Markdown.

        Source
        ------
        Mitchell et al. 2019, Model Cards for Model Reporting.
        """
        lines = [f"# {self.name}", ""]
        for key, value in self.card.items():
            lines += [f"## {key.replace('_', ' ').capitalize()}", "", _page(value), ""]
        return "\n".join(lines)

    def _example(self) -> Tensor:
        """Make two examples that any network of this kind takes."""
        generator = torch.Generator().manual_seed(0)
        size = self.card["network"]["size"]
        if self.kind == "images":
            shape = (2, 3, size, size)
            return torch.randint(256, shape, generator=generator, dtype=torch.uint8)
        return self.encode(["One text of several words.", "Another."])


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
    from safetensors.torch import load_file

    folder = Path(folder)
    kept = _read_kept(folder)
    for name, sha256 in kept["sha256"].items():
        _check_kept(folder / name, sha256)
    network = build_network(kept["card"]["network"], len(kept["class_names"]))
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except RuntimeError:
        raise CourseError(
            f"The weights in {folder} are those of another architecture.",
            f"Restore {CARD} and {WEIGHTS} as they were saved together.",
        ) from None
    tokenizer = None
    if kept["kind"] == "texts":
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder / TOKENIZER)
    names = tuple(kept["class_names"])
    parts = (network.eval(), kept["temperature"], kept["card"], tokenizer)
    return Project(kept["name"], kept["kind"], names, *parts)


def _read_kept(folder: Path) -> dict[str, Any]:
    path = folder / CARD
    if not path.is_file():
        raise CourseError(
            f"{folder} holds no project: there is no {CARD}.",
            "Check the path; `project.save(folder)` makes one.",
        )
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        wanted = ("name", "kind", "class_names", "temperature", "sha256")
        missing = [k for k in wanted if k not in kept] or kept["card"]["network"] == {}
    except (ValueError, KeyError, TypeError):
        missing = True
    if missing:
        raise CourseError(f"{path} is damaged.", "Save the project again.")
    return kept


def _check_kept(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise CourseError(f"{path} is missing.", "Copy the whole folder again.")
    if file_sha256(path) != sha256:
        raise CourseError(
            f"{path} is damaged: its sha256 is not the one in {CARD}.",
            "Copy the whole folder again, or save the project again.",
        )


def build_network(how: dict[str, Any], n_classes: int) -> nn.Module:
    """Build a network of random weights as ``card["network"]`` describes it.

    Raises
    ------
    CourseError
        If the architecture is unknown here.
    """
    arch = how.get("arch", "")
    if arch == "bert":
        from transformers import BertConfig, BertModel

        body = BertModel(BertConfig(**how["config"]), add_pooling_layer=False)
        body.pooler = None
        return BertClassifier(body, n_classes)
    import timm

    if arch in BUNDLED:
        body = BUNDLED[arch](n_classes)
    elif timm.is_model(arch):
        body = timm.create_model(arch, num_classes=n_classes)
    else:
        raise CourseError(
            f"There is no architecture {arch!r} in this version of the course.",
            "Load the project with the versions that its card names.",
        )
    body.to(memory_format=torch.channels_last)
    return PictureClassifier(body, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def encode_examples(
    examples: Sequence[Image.Image | str], kind: str, size: int, tokenizer: Any = None
) -> Tensor:
    """Turn examples into what a network of this kind takes.

    Parameters
    ----------
    examples : sequence of n pictures, or of n texts
    kind : {"images", "texts"}
    size : int
        Side of the pictures in pixels, or the most pieces of a text.
    tokenizer : transformers tokenizer or None
        For texts.

    Raises
    ------
    CourseError
        If there is no example, or one of the wrong kind.
    """
    if kind == "texts":
        return Bert("", tokenizer, nn.Identity(), 0.0).encode(examples, max_length=size)
    from PIL import Image

    examples = list(examples)
    wrong = [e for e in examples if not isinstance(e, Image.Image)]
    if wrong or not examples:
        got = f"a {type(wrong[0]).__name__}" if wrong else "none"
        raise CourseError(
            f"Pictures were expected; got {got}.", "Read files with `tl.read_image`."
        )
    return torch.stack([to_tensor(e.convert("RGB"), size) for e in examples])


#: What rebuilds a BERT of the same shape.
_BERT_SHAPE = (
    "vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size "
    "hidden_act hidden_dropout_prob attention_probs_dropout_prob layer_norm_eps "
    "max_position_embeddings type_vocab_size pad_token_id"
).split()


class Repurposed(NamedTuple):
    """A source model under a new head, and how the network is built again."""

    network: nn.Module
    how: dict[str, Any]
    tokenizer: Any
    card: dict[str, Any]


def with_new_head(
    source: str, kind: str, n_classes: int, *, pretrained: bool = True, seed: int = 0
) -> Repurposed:
    """Load a source model and put a new, random head on it.

    Parameters
    ----------
    source : str
        Name that :func:`load_source` knows; of texts "minilm" or "bert-base-uncased".
    kind : {"images", "texts"}
    n_classes : int
    pretrained : bool
        False: the body is random, too.
    seed : int
        Seed of what is random.
    """
    if kind == "images":
        loaded = load_source(source, pretrained=pretrained, seed=seed)
        body = replace_head(loaded.model, n_classes)
        network = PictureClassifier(body, loaded.mean, loaded.std)
        return Repurposed(network, {"arch": loaded.arch}, None, loaded.card)
    profile = "full" if source == "bert-base-uncased" else "mini"
    bert = load_bert(profile, pretrained=pretrained, seed=seed)
    shape = bert.body.config.to_dict()
    how = {"arch": "bert", "config": {k: shape[k] for k in _BERT_SHAPE}}
    network = BertClassifier(bert.body, n_classes, seed=seed)
    return Repurposed(network, how, bert.tokenizer, bert.card)


class _Calibrated(nn.Module):
    """A network whose logits are divided by the temperature."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, shape (n, n_classes), divided by the temperature."""
        return self.network(x) / self.temperature


def _export_pictures(network: nn.Module, example: Tensor, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        program = torch.onnx.export(
            network,
            (example,),
            input_names=["pixels"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("n")},),
            dynamo=True,
            verbose=False,
        )
    program.save(str(path))


def _check_onnx(path: Path, x: Tensor, wanted: np.ndarray) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )
    got = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    off = float(np.abs(got - wanted).max())
    if off > 1e-2 * max(1.0, float(np.abs(wanted).max())):
        raise CourseError(
            f"ONNX Runtime gets other logits than PyTorch, up to {off:.3f} apart.",
            "Use the saved project; this network cannot be exported faithfully.",
        )


def _page(value: Any) -> str:
    """Write one entry of the card for people: lists and tables as bullets."""
    if isinstance(value, dict):
        rows = [f"- {k}: {v}" for k, v in value.items() if not isinstance(v, dict)]
        for k, v in ((k, v) for k, v in value.items() if isinstance(v, dict)):
            # The settings of a network are for programs, figures for people.
            if all(isinstance(n, int | float) for n in v.values()):
                rows.append(f"- {k}: " + ", ".join(f"{a} {b}" for a, b in v.items()))
        return "\n".join(rows)
    if isinstance(value, (list, tuple)):
        return "\n".join(f"- {v}" for v in value)
    return str(value)


def answer(network: nn.Module, x: Tensor) -> Tensor:
    """Return the logits, shape (n, n_classes), on the CPU, in single precision.

    Slower than half precision, but every machine says the same.
    """
    device, order = default_device(), by_length(x)
    network.to(device).eval()
    with torch.inference_mode():
        parts = [network(x[i].to(device)).cpu() for i in order.split(AT_A_TIME)]
    release_memory()
    return torch.cat(parts)[order.argsort()]
