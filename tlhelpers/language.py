"""ULMFiT with fastai: a source language model, its vocabulary, a classifier."""

from __future__ import annotations

import gc
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import CourseError
from .machine import autocast, fast_precision, read_model_card, seed_everything
from .surgery import replace_head, without_scaling

if TYPE_CHECKING:
    import pandas as pd
    from fastai.text.all import DataLoaders, TextLearner
    from torch import Tensor

BUNDLED_MODEL = "wikipedia_lstm"
LONGEST = 400
#: Weights that fastai keeps twice: name of the copy, name of the original.
TWINS = {
    "0.encoder_dp.emb.weight": "0.encoder.weight",
    "1.decoder.weight": "0.encoder.weight",
}


@dataclass(frozen=True)
class LanguageModel:
    """The weights of a fastai language model, and the words that its rows stand for.

    Attributes
    ----------
    name : str
    weights : dict of Tensor
        By fastai's names; ``0.encoder.weight`` has one row per word.
    vocabulary : tuple of str
        The word of each row; special tokens such as ``xxunk`` first.
    config : dict
        What differs from fastai's ``awd_lstm_lm_config``: sizes.
    card : dict
        Where the weights come from.
    """

    name: str
    weights: dict[str, Tensor]
    vocabulary: tuple[str, ...]
    config: dict[str, Any]
    card: dict[str, Any] = field(default_factory=dict)


def load_language_model(profile: str = "mini") -> LanguageModel:
    """Load the source language model: an AWD-LSTM trained on Wikipedia.

    Parameters
    ----------
    profile : {"mini", "full"}
        "mini": trained by the course, two layers, 12,000 words. "full": fastai's own,
        three layers, 60,000 words of WikiText-103; 105 MB download.

    Raises
    ------
    CourseError
        If a bundled file is missing or damaged, or the download fails.

    Source
    ------
    Merity, Keskar and Socher 2018; Howard and Ruder 2018.
    """
    if profile == "full":
        return _wikitext103()
    from safetensors.torch import load_file

    path, card = read_model_card(BUNDLED_MODEL)
    words = path.with_suffix(".txt").read_text(encoding="utf-8").split("\n")[:-1]
    weights = {name: w.float() for name, w in load_file(path).items()}
    weights |= {twin: weights[name] for twin, name in TWINS.items()}
    config = {k: card["recipe"][k] for k in ("emb_sz", "n_hid", "n_layers")}
    return LanguageModel(BUNDLED_MODEL, weights, tuple(words), config, card)


def _wikitext103() -> LanguageModel:
    import torch
    from fastai.data.external import URLs, untar_data
    from fastcore.xtras import load_pickle

    try:
        folder = untar_data(URLs.WT103_FWD, c_key="model")
        weights = torch.load(
            next(folder.glob("*.pth")), map_location="cpu", weights_only=True
        )
        words = load_pickle(next(folder.glob("*.pkl")))
    except Exception as error:  # the download raises many kinds
        raise CourseError(
            f"fastai's language model could not be fetched ({type(error).__name__}).",
            'Check the network, or set PROFILE = "mini", which needs none.',
        ) from error
    card = {"title": "AWD-LSTM, WikiText-103, fastai", "licence": "Apache-2.0"}
    return LanguageModel("wikitext103", weights, tuple(words), {}, card)


def tokenize(texts: Iterable[str]) -> list[list[str]]:
    """Cut texts into fastai's tokens, exactly as the source model's text was cut.

    Capitals become ``xxmaj`` or ``xxup`` and a small word, repeated characters and
    words are counted (``xxrep``, ``xxwrep``), and every text starts with ``xxbos``.

    Returns
    -------
    list of lists of str
    """
    from fastai.text.core import SpacyTokenizer, TokenizeWithRules

    return [list(tokens) for tokens in TokenizeWithRules(SpacyTokenizer())(list(texts))]


def cut_words(texts: Iterable[str]) -> list[list[str]]:
    """Cut texts into words in lower case: :func:`tokenize` without special tokens."""
    from fastai.text.core import defaults

    special = set(defaults.text_spec_tok)
    return [[t for t in row if t not in special] for row in tokenize(texts)]


def make_vocabulary(
    tokens: Iterable[Sequence[str]], *, min_count: int = 2, max_size: int = 60_000
) -> list[str]:
    """List the words of a text, special tokens first, then the most frequent.

    Parameters
    ----------
    tokens : iterable of sequences of str
        From :func:`tokenize`.
    min_count : int
        Words seen less often become ``xxunk``.
    max_size : int
        Length of the list, at most.
    """
    from fastai.text.data import make_vocab

    counts = Counter(token for row in tokens for token in row)
    return list(make_vocab(counts, min_freq=min_count, max_vocab=max_size))


def match_vocabulary(
    model: LanguageModel, vocabulary: Sequence[str]
) -> dict[str, Tensor]:
    """Give every word of a new vocabulary its row of the source model.

    A word that the model knows keeps its row and its bias; a new one starts at the
    mean of all rows.

    Parameters
    ----------
    model : LanguageModel
    vocabulary : sequence of str, length n

    Returns
    -------
    dict of Tensor
        All weights; ``0.encoder.weight`` has the shape (n, emb_sz), the bias (n,).

    Source
    ------
    Howard and Ruder 2018, as in fastai's ``match_embeds``.
    """
    import torch

    row = {word: i for i, word in enumerate(model.vocabulary)}
    # The mean is one more row, at the end: the place of every unknown word.
    places = torch.tensor([row.get(word, len(row)) for word in vocabulary])
    weights = dict(model.weights)
    for name in ("0.encoder.weight", "1.decoder.bias"):
        rows = weights[name]
        weights[name] = torch.cat([rows, rows.mean(0, keepdim=True)])[places]
    return weights | {twin: weights[name] for twin, name in TWINS.items()}


def token_table(
    tokens: Sequence[Sequence[str]], labels: Sequence[int] | None = None, part: str = ""
) -> pd.DataFrame:
    """Put tokens into the table that :func:`text_loaders` takes.

    Parameters
    ----------
    tokens : sequence of lists of str, length n
        Longer texts are cut to :data:`LONGEST` tokens: a text of a megabyte would
        otherwise take minutes, and what it is shows at its beginning.
    labels : sequence of int, length n, or None
    part : str
        "valid" for rows that are only looked at, anything else to learn from.

    Returns
    -------
    DataFrame with the columns "tokens", "label" and "is_valid"
    """
    import pandas as pd

    table = pd.DataFrame({"tokens": [list(row[:LONGEST]) for row in tokens]})
    table["label"] = -1 if labels is None else np.asarray(labels)
    return table.assign(is_valid=part == "valid")


def perplexity(learner: Any) -> float:
    """Return how many words a language model hesitates between, on average, >= 1.

    The exponential of its mean loss on the learner's validation part.
    """
    with learner.no_bar(), learner.no_logging():
        return math.exp(learner.validate()[0])


def text_loaders(
    table: pd.DataFrame,
    vocabulary: Sequence[str],
    *,
    classes: Sequence[int],
    batch_size: int = 32,
) -> DataLoaders:
    """Make fastai's loaders of tokens for a classifier.

    Parameters
    ----------
    table : DataFrame
        From :func:`token_table`; both parts.
    vocabulary : sequence of str
    classes : sequence of int
        The class numbers.
    batch_size : int
        Texts in one step; four times as many where nothing is learnt.
    """
    from fastai.text import all as fa

    words = fa.TextBlock(fa.noop, vocab=list(vocabulary))
    block = fa.DataBlock(
        [words, fa.CategoryBlock(vocab=list(classes), sort=False)],
        get_x=fa.ColReader("tokens"),
        get_y=fa.ColReader("label"),
        splitter=fa.ColSplitter("is_valid"),
    )
    sizes = {"bs": batch_size, "val_bs": 4 * batch_size}
    return block.dataloaders(table, num_workers=0, **sizes)


def continue_text(
    learner: Any, prompt: str, *, n: int = 30, temperature: float = 0.7, seed: int = 0
) -> str:
    """Let a language model go on with a text, one word after the other.

    Parameters
    ----------
    learner : fastai Learner of a language model
    prompt : str
    n : int
        Tokens to add.
    temperature : float
        Below 1 the likely words become likelier, > 0.
    seed : int
    """
    import torch
    from fastai.text.learner import decode_spec_tokens

    words = list(learner.dls.vocab)
    number = {word: i for i, word in enumerate(words)}
    device, dice = next(learner.model.parameters()).device, torch.Generator()
    dice.manual_seed(seed)
    ids = [number.get(token, 0) for token in tokenize([prompt])[0]]
    model = learner.model.eval()
    model.reset()
    with torch.no_grad():
        for step in range(n):
            # The network remembers what it has read: only new words are handed over.
            new = ids if step == 0 else ids[-1:]
            logits = model(torch.tensor([new], device=device))[0][0, -1].float().cpu()
            logits[:2] = -torch.inf  # neither "unknown" nor padding
            chances = (logits / temperature).softmax(dim=0)
            ids.append(int(torch.multinomial(chances, 1, generator=dice)))
    model.reset()
    return " ".join(decode_spec_tokens([words[i] for i in ids[1:]]))


def slanted_triangular(
    learner: Any,
    epochs: int,
    lr: float,
    *,
    factor: float = 2.6,
    cut: float = 0.1,
    quiet: bool = True,
) -> None:
    """Train what is not frozen: the rate rises steeply, then falls slowly.

    In bf16 where the device has it, with gradients clipped at the length 0.5, and
    without a look at the validation part.

    Parameters
    ----------
    learner : fastai Learner
    epochs : int
    lr : float
        Highest rate of the topmost layer group, > 0.
    factor : float
        Each group learns so many times slower than the one above it.
    cut : float
        Share of the steps that the rise takes, 0 … 1.
    quiet : bool
        False shows fastai's progress bar.

    Source
    ------
    Howard and Ruder 2018: ratio 32, cut 0.1, factor 2.6.
    """
    from fastai.callback.schedule import ParamScheduler, SchedLin, combine_scheds

    learner.create_opt()
    groups = np.arange(len(learner.opt.param_groups))[::-1]
    high = lr / factor**groups
    parts = [SchedLin(high / 32, high), SchedLin(high, high / 32)]
    schedule = ParamScheduler({"lr": combine_scheds([cut, 1 - cut], parts)})
    # The table of losses would have a column for the validation that is left out.
    with learner.no_logging(), learner.no_bar() if quiet else nullcontext():
        learner.fit(epochs, cbs=[schedule, *_training_callbacks()])


def _half() -> Any:
    """Return a context of bf16 products; fp16 would need its losses scaled."""
    return autocast(precision="bf16" if fast_precision() == "bf16" else "fp32")


def _training_callbacks() -> list[Any]:
    """Make fastai's callbacks for bf16, clipping, and no validation after epochs."""
    from fastai.callback.core import Callback, CancelValidException
    from fastai.callback.training import GradientClip

    class HalfPrecision(Callback):  # fastai's own is for GPUs only
        order = 10

        def before_batch(self) -> None:
            self.context = _half()
            self.context.__enter__()

        def after_loss(self) -> None:
            self.context.__exit__(None, None, None)

        def before_validate(self) -> None:
            raise CancelValidException

    return [HalfPrecision(), GradientClip(0.5)]


def unfreeze_gradually(
    learner: Any, *, epochs: Sequence[int], lr: float, factor: float = 2.6
) -> None:
    """Train the head, then one layer group more in each stage, all in the last.

    Parameters
    ----------
    learner : fastai Learner
    epochs : sequence of int
        Epochs of each stage, for example (4, 2, 3); a stage of 0 is left out.
    lr : float
        Highest rate of the head in the first stage; halved in each further one.
    factor : float
        As in :func:`slanted_triangular`.

    Source
    ------
    Howard and Ruder 2018, gradual unfreezing.
    """
    for stage, n in enumerate(epochs):
        if stage == len(epochs) - 1:
            learner.unfreeze()
        else:
            learner.freeze_to(-1 - stage)
        if n:
            slanted_triangular(learner, n, lr / 2**stage, factor=factor)


def text_classifier(
    dls: DataLoaders,
    model: LanguageModel,
    encoder: Mapping[str, Tensor] | None,
    *,
    drop_mult: float = 0.5,
    seed: int = 0,
) -> TextLearner:
    """Put a new head on the encoder of a language model.

    Parameters
    ----------
    dls : fastai DataLoaders
        From :func:`text_loaders`.
    model : LanguageModel
        Gives the sizes of the layers.
    encoder : mapping of Tensor, or None
        Weights of a language model with the vocabulary of ``dls``; None starts from
        scratch.
    drop_mult : float
        Factor on every dropout of fastai's ``awd_lstm_clas_config``.
    seed : int
        Seed of the head, and of the encoder from scratch.
    """
    from fastai.text import all as fa

    seed_everything(seed)
    learner = fa.text_classifier_learner(
        dls, fa.AWD_LSTM, config=model.config, pretrained=False, drop_mult=drop_mult
    )
    if encoder is not None:
        body = {k[2:]: w for k, w in encoder.items() if k.startswith("0.")}
        learner.model[0].module.load_state_dict(body)
    return learner


def train_classifier(
    tokens: Sequence[Sequence[str]],
    labels: Sequence[int],
    vocabulary: Sequence[str],
    model: LanguageModel,
    encoder: Mapping[str, Tensor] | None = None,
    *,
    epochs: Sequence[int] = (2, 3),
    lr: float = 5e-3,
    batch_size: int = 8,
    seed: int = 0,
) -> TextLearner:
    """Make and train a text classifier: the last step of ULMFiT, in one call.

    The head starts as the logistic regression on the features of the encoder, because
    a random one needs more steps than a handful of labels gives. Then the layers are
    unfrozen from the top.

    Parameters
    ----------
    tokens : sequence of n lists of str
    labels : sequence of n int, 0 … n_classes - 1
    vocabulary : sequence of str
    model : LanguageModel
        Gives the sizes of the layers.
    encoder : mapping of Tensor, or None
        Weights to start from. None is the control: from scratch, where nothing is
        worth sparing, so all layers learn all the time, at one rate.
    epochs : sequence of int
        Epochs of each stage, the last with all layers; () trains the head alone.
    lr : float
        Highest rate of the head, > 0.
    batch_size : int
    seed : int
        Seed of dropout and of the order, and of the encoder from scratch.

    Source
    ------
    Howard and Ruder 2018; the start of the head: Kumar et al. 2022.
    """
    gc.collect()  # a learner of fastai is a ring of references, and holds 100 MB
    classes = range(int(np.max(labels)) + 1)
    dls = text_loaders(
        token_table(tokens, labels),
        vocabulary,
        classes=classes,
        batch_size=batch_size,
    )
    learner = text_classifier(dls, model, encoder, seed=seed)
    _start_head(learner, tokens, labels)
    if encoder is not None:
        unfreeze_gradually(learner, epochs=(0, *epochs), lr=2 * lr)
    elif epochs:
        learner.unfreeze()
        slanted_triangular(learner, sum(epochs), lr, factor=1)
    return learner


def _start_head(learner: Any, tokens: Any, labels: Any) -> None:
    """Put logistic regression on the encoder's features in place of fastai's head."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from torch import nn

    x, n_classes = text_features(learner, tokens), len(learner.dls.vocab[1])
    scale = StandardScaler().fit(x)
    head = LogisticRegression(C=0.05, max_iter=1000).fit(scale.transform(x), labels)
    linear = nn.Linear(x.shape[1], n_classes).to(next(learner.model.parameters()))
    learner.model[1].layers = nn.Sequential(nn.Dropout(0.2), linear)
    # The scaling becomes part of the weights; no batch statistics are left.
    head = without_scaling(head, scale.mean_, scale.scale_)
    replace_head(learner.model[1], n_classes, like=head)


def text_features(learner: TextLearner, tokens: Sequence[Sequence[str]]) -> np.ndarray:
    """Return what the encoder makes of each text: last state, maximum and mean.

    Returns
    -------
    ndarray, shape (n, 3 * emb_sz), float32

    Source
    ------
    Howard and Ruder 2018, concat pooling.
    """
    from fastai.text.models.core import masked_concat_pool

    def pooled(x: Tensor) -> Tensor:
        states, mask = learner.model[0](x)
        return masked_concat_pool(states.float(), mask, learner.model[0].bptt)

    return _through(learner, tokens, pooled)


def classify(learner: TextLearner, tokens: Sequence[Sequence[str]]) -> np.ndarray:
    """Return the probabilities of the classes, shape (n, n_classes), float32."""
    return _through(
        learner, tokens, lambda x: learner.model(x)[0].float().softmax(dim=1)
    )


def _through(learner: Any, tokens: Any, compute: Callable) -> np.ndarray:
    """Apply a function to all texts, long ones first, and put its rows in order."""
    import torch

    dl = learner.dls.test_dl(token_table(tokens))
    # fastai moves a model when it is trained, and this one may not have been yet.
    learner.model.to(learner.dls.device).eval()
    with torch.no_grad(), _half():
        rows = torch.cat([compute(batch[0]).float().cpu() for batch in dl])
    out = np.empty(rows.shape, dtype=np.float32)
    out[list(dl.get_idxs())] = rows.numpy()
    return out


def leave_one_out(
    predict: Callable[[list[list[str]]], np.ndarray], tokens: Sequence[str]
) -> np.ndarray:
    """Measure what each word does: the change when it alone becomes unknown.

    Parameters
    ----------
    predict : callable
        Takes n texts as tokens, gives n numbers, such as the probability of a class.
    tokens : sequence of n str

    Returns
    -------
    ndarray, shape (n,)
        Positive where the word pushed the number up.

    Source
    ------
    Occlusion: Zeiler and Fergus 2014; for words Li, Monroe and Jurafsky 2016.
    """
    without = [[*tokens[:i], "xxunk", *tokens[i + 1 :]] for i in range(len(tokens))]
    scores = predict([list(tokens), *without])
    return scores[0] - scores[1:]
