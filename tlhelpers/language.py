"""ULMFiT with fastai: a source language model, its vocabulary, a classifier."""

import gc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from . import machine
from .surgery import replace_head, without_scaling

Tokens, Labelled = Sequence[Sequence[str]], Iterable[tuple[Sequence[str], int]]
#: Tokens of a text that are read: a text of a megabyte would otherwise take minutes,
#: and what it is shows at its beginning. The network takes them in one piece: cut into
#: more, short texts among long ones get other texts' states (fastai 2.8.12).
LONGEST = 400
#: The copies of "0.encoder.weight" that fastai keeps.
TWINS = ("0.encoder_dp.emb.weight", "1.decoder.weight")


@dataclass(frozen=True)
class LanguageModel:
    """The weights of a fastai language model, and the words that its rows stand for.

    Attributes
    ----------
    weights : dict, name -> Tensor
        By fastai's names; ``0.encoder.weight`` has one row per word. Empty stands for
        a network that starts from scratch.
    vocabulary : tuple of str
        The word of each row; special tokens such as ``xxunk`` first.
    config : dict, name -> int
        What differs from fastai's ``awd_lstm_lm_config``: sizes.
    """

    weights: dict[str, Tensor]
    vocabulary: tuple[str, ...]
    config: dict[str, int]


def load_language_model(profile: str = "mini") -> LanguageModel:
    """Load the source language model: an AWD-LSTM trained on Wikipedia.

    Parameters
    ----------
    profile : {"mini", "full"}
        "mini": trained by the course, two layers, 12,000 words. "full": fastai's own,
        three layers, 60,000 words of WikiText-103; 105 MB download.

    Returns
    -------
    LanguageModel
        Its weights in fp32, on the CPU.

    Raises
    ------
    CourseError
        If a bundled file is missing or damaged, or the download fails.

    Source
    ------
    Merity, Keskar and Socher 2018; Howard and Ruder 2018.
    """
    if profile == "full":
        from fastai.text.all import URLs, load_pickle, untar_data

        with machine.fetching("fastai's language model", machine.NEXT_STEP, hub=False):
            folder = untar_data(URLs.WT103_FWD, c_key="model")
            weights = torch.load(next(folder.glob("*.pth")), "cpu", weights_only=True)
            words = load_pickle(next(folder.glob("*.pkl")))
        return LanguageModel(weights, tuple(words), {})
    path, card = machine.read_model_card("wikipedia_lstm")
    words = path.with_suffix(".txt").read_text("utf-8").split()
    weights = {name: w.float() for name, w in load_file(path).items()}
    weights |= dict.fromkeys(TWINS, weights["0.encoder.weight"])
    config = {k: card["recipe"][k] for k in ("emb_sz", "n_hid", "n_layers")}
    return LanguageModel(weights, tuple(words), config)


def tokenize(texts: Iterable[str]) -> list[list[str]]:
    """Cut texts into fastai's tokens, exactly as the source model's text was cut.

    Capitals become ``xxmaj`` or ``xxup`` and a small word, repeated characters and
    words are counted (``xxrep``, ``xxwrep``), and every text starts with ``xxbos``.

    Parameters
    ----------
    texts : iterable of n str

    Returns
    -------
    list of n lists of str
    """
    from fastai.text.core import SpacyTokenizer, TokenizeWithRules

    return [list(tokens) for tokens in TokenizeWithRules(SpacyTokenizer())(list(texts))]


def match_vocabulary(model: LanguageModel, vocabulary: Sequence[str]) -> LanguageModel:
    """Give every word of a new vocabulary its row of the source model.

    A word that the model knows keeps its row and its bias; a new one starts at the
    mean of all rows.

    Parameters
    ----------
    model : LanguageModel
    vocabulary : sequence of n str

    Returns
    -------
    LanguageModel
        ``0.encoder.weight`` has the shape (n, emb_sz), the bias (n,).

    Source
    ------
    Howard and Ruder 2018; fastai's ``match_embeds``.
    """
    from fastai.text.learner import match_embeds

    weights = match_embeds(dict(model.weights), model.vocabulary, vocabulary)
    return replace(model, weights=weights, vocabulary=tuple(vocabulary))


def text_loaders(
    texts: Labelled, vocabulary: Sequence[str], *, valid: Labelled = ()
) -> object:
    """Make fastai's loaders of tokens for a classifier.

    Parameters
    ----------
    texts : iterable of (tokens, label)
        Longer texts are cut to :data:`LONGEST` tokens. A label is a class number; the
        largest decides how many classes there are.
    vocabulary : sequence of str
        The word of each row of the network; any other word is ``xxunk``.
    valid : iterable of (tokens, label)
        Texts that are only looked at.

    Returns
    -------
    fastai DataLoaders
        Eight texts to learn from in one step, or 64 to look at. A text that is shorter
        than others ends with padding: the learner needs ``seq_len=LONGEST``, too.
    """
    from fastai.text import all as fa

    train = [(row[:LONGEST], label) for row, label in texts]
    items = train + [(row[:LONGEST], label) for row, label in valid]
    words = fa.TextBlock(fa.noop, vocab=list(vocabulary), seq_len=LONGEST)
    classes = list(range(max(int(label) for _, label in train) + 1))
    blocks = [words, fa.CategoryBlock(classes, sort=False)]
    how = {"splitter": fa.IndexSplitter(range(len(train), len(items)))}
    block = fa.DataBlock(blocks, getters=[fa.ItemGetter(0), fa.ItemGetter(1)], **how)
    # fastai leaves out a batch that is not full: fewer than eight fill none.
    return block.dataloaders(items, bs=min(8, len(train)), val_bs=64, num_workers=0)


def continue_text(learner: object, prompt: str, *, n: int = 30, seed: int = 0) -> str:
    """Let a language model go on with a text, one word after the other.

    Parameters
    ----------
    learner : fastai Learner of a language model
    prompt : str
    n : int
        Tokens to add, >= 0.
    seed : int
        Seed of the draws.

    Returns
    -------
    str
        The prompt and what follows, tokens separated by spaces.
    """
    from fastai.text.learner import decode_spec_tokens

    words = learner.dls.train_ds.numericalize
    ids = new = words(tokenize([prompt])[0])  # (length,)
    generator = torch.Generator().manual_seed(seed)
    model = learner.model.to(learner.dls.device).eval()
    model.reset()
    with torch.no_grad():
        for _ in range(n):
            # The network remembers what it has read: only new words are handed over.
            logits = model(new[None].to(learner.dls.device))[0][0, -1].float().cpu()
            logits[:2] = -torch.inf  # neither "unknown" nor padding
            p = (logits / 0.7).softmax(dim=0)  # likely words become likelier
            new = torch.multinomial(p, 1, generator=generator)
            ids = torch.cat([ids, new])
    return " ".join(decode_spec_tokens([words.vocab[i] for i in ids[1:].tolist()]))


def slanted_triangular(
    learner: object, epochs: int, lr: float, *, factor: float = 2.6
) -> None:
    """Train what is not frozen: the rate rises steeply, then falls slowly.

    In bf16 where the device has it, with gradients clipped at the length 0.5, and
    without a look at the validation part.

    Parameters
    ----------
    learner : fastai Learner
    epochs : int
        Passes over the training part, >= 1.
    lr : float
        Highest rate of the topmost layer group, > 0.
    factor : float
        Each group learns so many times slower than the one above it, > 0.

    Source
    ------
    Howard and Ruder 2018: ratio 32, a tenth of the steps to rise, factor 2.6.
    """
    from fastai.text import all as fa

    # Losses in fp16 would have to be scaled.
    precision = "bf16" if machine.fast_precision() == "bf16" else "fp32"

    class HalfPrecision(fa.Callback):  # fastai's own is for GPUs only
        order, context = 10, machine.autocast(precision=precision)

        def before_batch(self) -> None:
            self.context.__enter__()

        def after_loss(self) -> None:
            self.context.__exit__(None, None, None)

        def before_validate(self) -> None:
            machine.release_memory()  # or each pass adds two hundred megabytes
            raise fa.CancelValidException

    learner.create_opt()
    high = lr / factor ** np.arange(len(learner.opt.param_groups))[::-1]  # (n_groups,)
    parts = [fa.SchedLin(high / 32, high), fa.SchedLin(high, high / 32)]
    schedule = fa.ParamScheduler({"lr": fa.combine_scheds([0.1, 0.9], parts)})
    # The table of losses would have a column for the validation that is left out.
    with learner.no_logging():
        learner.fit(epochs, cbs=[schedule, HalfPrecision(), fa.GradientClip(0.5)])


def train_classifier(
    tokens: Tokens,
    labels: Sequence[int],
    model: LanguageModel,
    *,
    epochs: Sequence[int] = (2, 3),
    lr: float = 5e-3,
    seed: int = 0,
) -> object:
    """Make and train a text classifier: the last step of ULMFiT, in one call.

    The head starts as the logistic regression on the features of the encoder, because
    a random one needs more steps than a handful of labels gives. Then the layers are
    unfrozen from the top.

    Parameters
    ----------
    tokens : sequence of n lists of str
        Longer texts are cut to :data:`LONGEST` tokens.
    labels : sequence of n int, 0 … n_classes - 1
    model : LanguageModel
        Where the encoder starts: its weights, or from scratch if it has none.
    epochs : sequence of int
        Epochs of each stage, for example (4, 2, 3): the head and one layer group, one
        group more in each further stage, all in the last. 0 leaves a stage out; ()
        trains the head alone, and freezes nothing.
    lr : float
        Highest rate of the head in the first stage, > 0; halved in each further one.
    seed : int
        Seed of dropout and of the order, and of an encoder from scratch.

    Returns
    -------
    fastai TextLearner
        ``model[0]`` is the encoder, ``model[1]`` the head.

    Source
    ------
    Howard and Ruder 2018; the start of the head: Kumar et al. 2022.
    """
    from fastai.text import all as fa

    gc.collect()  # a learner of fastai is a ring of references, and holds 100 MB
    dls = text_loaders(zip(tokens, labels), model.vocabulary)
    fa.set_seed(seed)
    how = {"config": model.config, "pretrained": False, "seq_len": LONGEST}
    # With fastai's full dropout a start from few labels is now and then forgotten.
    learner = fa.text_classifier_learner(dls, fa.AWD_LSTM, drop_mult=0.1, **how)
    if model.weights:
        encoder = {k[2:]: w for k, w in model.weights.items() if k.startswith("0.")}
        learner.model[0].module.load_state_dict(encoder)
    learner.remove_cb(fa.ProgressCallback)
    x, n = text_features(learner, tokens), dls.c
    scale = StandardScaler().fit(x)
    head = LogisticRegression(C=0.05, max_iter=1000).fit(scale.transform(x), labels)
    # The scaling becomes part of the weights; no batch statistics are left.
    head = without_scaling(head, scale.mean_, scale.scale_)
    learner.model[1].layers = nn.Sequential(nn.Linear(x.shape[1], n))
    replace_head(learner.model[1], n, like=head)
    for stage, n in enumerate(epochs):
        learner.freeze_to(0 if stage == len(epochs) - 1 else -2 - stage)
        if n:
            slanted_triangular(learner, n, lr / 2**stage)
    return learner


def text_features(learner: object, tokens: Tokens) -> np.ndarray:
    """Return what the encoder makes of each text: last state, maximum and mean.

    Parameters
    ----------
    learner : fastai Learner of a text classifier
        From :func:`train_classifier`, or fastai's own on :func:`text_loaders`.
    tokens : sequence of n lists of str
        Longer texts are cut to :data:`LONGEST` tokens.

    Returns
    -------
    ndarray, shape (n, 3 * emb_sz), float32

    Source
    ------
    Howard and Ruder 2018, concat pooling.
    """
    from fastai.text.models.core import masked_concat_pool

    dl = learner.dls.test_dl([(row[:LONGEST],) for row in tokens])
    # fastai moves a model when it is trained, and this one may not have been yet.
    pooled, encoder = [], learner.model.to(learner.dls.device).eval()[0]
    # Without tiles (Intel's AMX) a CPU reads with an LSTM faster in fp32.
    tiles = getattr(torch.cpu, "_is_amx_tile_supported", bool)()
    with torch.no_grad(), machine.autocast(precision=None if tiles else "fp32"):
        for batch in dl:
            states, mask = encoder(batch[0])  # (n, length, emb_sz)
            pooled.append(masked_concat_pool(states.float(), mask, encoder.bptt).cpu())
    # Long texts were read first.
    return torch.cat(pooled)[np.argsort(list(dl.get_idxs()))].numpy()


def classify(learner: object, tokens: Tokens) -> np.ndarray:
    """Return the probabilities of the classes.

    Parameters
    ----------
    learner : fastai Learner of a text classifier
        From :func:`train_classifier`, or fastai's own on :func:`text_loaders`.
    tokens : sequence of n lists of str
        Longer texts are cut to :data:`LONGEST` tokens.

    Returns
    -------
    ndarray, shape (n, n_classes), float32
        Each row adds up to 1.
    """
    x = torch.from_numpy(text_features(learner, tokens)).to(learner.dls.device)
    with torch.no_grad():
        return learner.model[1].layers(x).softmax(dim=1).cpu().numpy()
