"""Examples a second: the course's loops beside PyTorch's, fastai's and the Trainer's.

    pip install accelerate
    python tests/benchmarks/throughput.py

Every way trains the same network on the same rows with AdamW, one pass, batches of the
same size; *plain* is the loop that a tutorial shows, the others are called as their
documentation does, with what they do by default. *ours, fp32* is ours on a CPU without
fast bf16. Prints rows for docs/benchmarks.md: the most of five rounds in turn, after
one that is not counted. Let nothing else compute meanwhile.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from copy import deepcopy
from time import perf_counter
from unittest.mock import patch

import numpy as np
import torch
from fastai.basics import DataLoaders, Learner
from fastai.text.all import AWD_LSTM, awd_lstm_lm_config, language_model_learner
from fastai.text.data import LMDataLoader
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from transformers import Trainer, TrainingArguments

import tlhelpers as tl
from tlhelpers import training
from tlhelpers.course.session import hardware

ROUNDS = 5
BATCH = 16
Ways = dict[str, Callable[[], object]]


class Wrapped(nn.Module):
    """A network as the Trainer wants it: named inputs, loss and logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return loss and logits."""
        out = self.network(x)
        logits = out[0] if isinstance(out, tuple) else out
        loss = cross_entropy(logits.flatten(0, -2), labels.flatten())
        return {"loss": loss, "logits": logits}


def padded(rows: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Make a batch; texts end at its longest."""
    x, y = torch.stack([r[0] for r in rows]), torch.stack([r[1] for r in rows])
    return (x, y) if x.ndim > 2 else (x[:, : int((x != 0).sum(1).max())], y)


def named(rows: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Make a batch for the Trainer."""
    return dict(zip(("x", "labels"), padded(rows)))


def plain(network: nn.Module, loader: DataLoader) -> None:
    """Train as a tutorial does."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    network.train()
    for x, y in loader:
        optimizer.zero_grad()
        cross_entropy(network(x), y).backward()
        optimizer.step()


def trainer(network: nn.Module, rows: object) -> Trainer:
    """Return a Trainer on the CPU that writes and reports nothing."""
    how = TrainingArguments(
        tempfile.mkdtemp(), per_device_train_batch_size=BATCH, num_train_epochs=1,
        per_device_eval_batch_size=BATCH, report_to=[], save_strategy="no",
        use_cpu=True, disable_tqdm=True, logging_strategy="no", learning_rate=1e-4,
        remove_unused_columns=False)  # fmt: skip
    return Trainer(Wrapped(network), how, named, rows)


def fastai(network: nn.Module, loader: DataLoader) -> Learner:
    """Return a silent learner with fastai's own optimizer, Adam."""
    loaders = DataLoaders(loader, loader)
    learner = Learner(loaders, network, nn.CrossEntropyLoss(), path=tempfile.mkdtemp())
    learner.validate = lambda *args, **more: None
    return learner


def train_ways(network: nn.Module, x: Tensor, y: Tensor, look: object = None) -> Ways:
    """Return the ways to train a copy of a network once over these rows."""
    ready = look(x) if look else x
    rows = TensorDataset(ready, y)
    loader = DataLoader(rows, BATCH, shuffle=True, collate_fn=padded)

    def ours() -> None:
        how = {"epochs": 1, "lr": 1e-4, "batch_size": BATCH}
        training.fit(deepcopy(network), (x, y), transform=look, **how)

    def fp32() -> None:
        with patch.object(training, "fast_precision", lambda *_: "fp32"):
            ours()

    def learner() -> None:
        with (one := fastai(deepcopy(network), loader)).no_logging(), one.no_bar():
            one.fit(1, 1e-4)

    return {
        "ours": ours, "ours, fp32": fp32,
        "PyTorch": lambda: plain(deepcopy(network), loader), "fastai": learner,
        "Trainer": lambda: trainer(deepcopy(network), rows).train(),
    }  # fmt: skip


def pictures(n: int) -> tuple[nn.Module, Tensor, Tensor, Callable]:
    """Return EfficientNet-Lite0 with two classes, n pictures of 128 px, its look."""
    source, rng = tl.load_source(), np.random.default_rng(0)
    x = torch.from_numpy(rng.integers(0, 256, (n, 3, 128, 128), dtype=np.uint8))
    return tl.replace_head(source.model, 2), x, torch.arange(n) % 2, source.normalize


def read_ways(n: int) -> Ways:
    """Return the ways to ask EfficientNet-Lite0 about n pictures."""
    network, x, y, look = pictures(n)
    rows = TensorDataset(look(x), y)
    loader = DataLoader(rows, BATCH, collate_fn=padded)
    network.eval()

    def by_hand() -> list[Tensor]:
        with torch.no_grad():
            return [network(batch) for batch, _ in loader]

    def learner() -> None:
        with (one := fastai(network, loader)).no_logging(), one.no_bar():
            one.get_preds(dl=loader)

    ours = lambda **more: tl.predict_logits(network, x, transform=look, **more)  # noqa: E731
    asked = trainer(network, rows)
    return {
        "ours": ours, "ours, fp32": lambda: ours(precision="fp32"),
        "PyTorch": by_hand, "fastai": learner,
        "Trainer": lambda: asked.predict(rows),
    }  # fmt: skip


def lstm_ways(n: int) -> Ways:
    """Return the ways to train the AWD-LSTM on n windows of 70 words."""
    lstm = tl.load_language_model("mini")
    words = torch.randint(5, len(lstm.vocabulary), (n * 70 + 1,))
    how = {"bs": BATCH, "seq_len": 70}
    loaders = DataLoaders(LMDataLoader([words], **how), LMDataLoader([words], **how))
    loaders.vocab = list(lstm.vocabulary)
    config = awd_lstm_lm_config | lstm.config

    def learner() -> Learner:
        one = language_model_learner(
            loaders, AWD_LSTM, config=config, pretrained=False, drop_mult=0.1,
            path=tempfile.mkdtemp())  # fmt: skip
        one.model.load_state_dict(lstm.weights)
        one.validate = lambda *args, **more: None
        return one

    whole = words[:-1].view(BATCH, -1), words[1:].view(BATCH, -1)
    windows = [*zip(*(part.split(70, dim=1) for part in whole))]

    def ours() -> None:
        with (one := learner()).no_bar():
            tl.slanted_triangular(one, 1, 1e-3, factor=1)

    def fp32() -> None:
        with patch("tlhelpers.machine.fast_precision", lambda *_: "fp32"):
            ours()

    def by_hand() -> None:
        network = learner().model
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
        network.train()
        network.reset()
        for x, y in windows:
            optimizer.zero_grad()
            loss = cross_entropy(network(x)[0].flatten(0, 1), y.flatten())
            loss.backward()
            optimizer.step()

    def its_own() -> None:
        with (one := learner()).no_logging(), one.no_bar():
            one.fit(1, 1e-3)

    stream = [(x[k], y[k]) for x, y in windows for k in range(BATCH)]

    def trained() -> None:
        network = learner().model
        network.reset()
        trainer(network, stream).train()

    return {
        "ours": ours, "ours, fp32": fp32, "PyTorch": by_hand, "fastai": its_own,
        "Trainer": trained,
    }  # fmt: skip


def bert_ways(n: int) -> Ways:
    """Return the ways to tune MiniLM on n of the course's reviews."""
    bert, task = tl.load_bert("mini"), tl.load_reviews()
    x = bert.encode(task.train.texts[:n])
    model = tl.BertClassifier(bert.body, 2)
    return train_ways(model, x, torch.as_tensor(task.train.labels[:n]))


def main() -> None:
    """Measure the ways of each job in turn; print a row a job."""
    print(f"{hardware()}; torch {torch.__version__}")
    network, *rest = pictures(128)
    jobs = {
        "EfficientNet-Lite0, training, 128 px": (train_ways(network, *rest), 128),
        "EfficientNet-Lite0, inference, 128 px": (read_ways(512), 512),
        "AWD-LSTM, reading, windows of 70 words": (lstm_ways(128), 128),
        "MiniLM, tuning, reviews": (bert_ways(160), 160),
    }
    for job, (ways, n) in jobs.items():
        speed = {name: [] for name in ways}
        for _ in range(1 + ROUNDS):
            for name, way in ways.items():
                since = perf_counter()
                way()
                speed[name].append(n / (perf_counter() - since))
        best = [max(found[1:]) for found in speed.values()]
        ratios = [f"{ours / max(best[2:]):.2f}" for ours in best[:2]]
        cells = [job, *(f"{speed:.0f}" for speed in best), *ratios]
        print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
