"""Every exercise passes its solution and answers typical mistakes with a hint."""

from __future__ import annotations

import hashlib
import json
import re

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, entropy
from sklearn.model_selection import GroupShuffleSplit

import tlhelpers as tl
from tlhelpers.course.check import exercises
from tlhelpers.surgery import head_names

EXERCISES = exercises()
GROUPS = np.repeat([[0.9, 0.1], [0.6, 0.4]], [30, 10], axis=0)
WILSON = binomtest(57, 60).proportion_ci(method="wilson")


def groups(*, lr=0.002, body_factor=0.05, still=True, n_classes=2, frozen=False):
    """Answer 01.3 the right way, or wrong in one respect."""
    model = tl.load_source(pretrained=False).model
    tl.replace_head(model, n_classes)
    if still:
        tl.freeze_batch_norm(model)
    if frozen:
        tl.freeze(model, but="classifier")
    return model, tl.param_groups(model, lr=lr, body_factor=body_factor)


def other_groups(change):
    """Answer 01.3 with the groups changed, the network as it should be."""
    model, (body, head) = groups()
    if body["params"][0].ndim == 2:
        body, head = head, body
    return model, change(body, head)


def restless():
    """Answer 01.3 with batch-norm frozen by requires_grad_(False) alone."""
    model = tl.replace_head(tl.load_source(pretrained=False).model, 2)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eval().requires_grad_(False)
    return model, tl.param_groups(model, lr=0.002, body_factor=0.05)


def by_gradient_only(network):
    """Freeze as the textbooks do: batch-norm statistics go on moving."""
    for name, p in network.named_parameters():
        p.requires_grad_(name.startswith("head"))
    return network


def drifted(*names, also=()):
    """Answer 02.3: what moved when these convolutions of the base learnt."""
    learnt = [f"base.{n}" for n in names] + ["head.1", "head.4", *also]
    every = [f"base.{n}" for n in (0, 1, 4, 8, 11, 15, 16, 18, 22, 23, 25)]
    return dict.fromkeys([*every, "head.1", "head.4"], 0.0) | dict.fromkeys(learnt, 0.1)


def kept_asleep(network):
    """Answer 02.2 without tl.freeze: batch-norm does not listen to train()."""
    norm = by_gradient_only(network).norm.eval()
    norm.train = lambda mode=True: norm
    return network


def grey_only(layer, *, join=torch.sum, bias=1.0):
    """Answer 03.2 the right way, or by averaging, or without the bias."""
    new = torch.nn.Conv2d(1, 4, 3, padding=1)
    with torch.no_grad():
        new.weight.copy_(join(layer.weight, dim=1, keepdim=True))
        new.bias.copy_(bias * layer.bias)
    return new


def green_only(layer):
    return grey_only(layer, join=lambda w, **_: w[:, 1:2])


def grey_in_place(layer):
    """Answer 03.2 by changing the layer itself."""
    layer.weight = torch.nn.Parameter(layer.weight.sum(1, keepdim=True))
    layer.in_channels = 1
    return layer


def three_times_mean(layer):
    return grey_only(layer, join=lambda w, **kw: 3 * w.mean(**kw))


def abstained(p, doubtful):
    """Return the classes, -1 where doubtful."""
    return np.where(doubtful, -1, p.argmax(axis=1))


def swapped(text):
    """Make every he of a text a she."""
    return " ".join("she" if word == "he" else word for word in text.split(" "))


def word_by_word(text):
    """Make every he a she without a single search for it."""
    words = re.split(r"(\W+)", text)
    return "".join("she" if word.lower() == "he" else word for word in words)


def she(text):
    """Make every whole he of a text a she, whatever stands beside it."""
    return re.sub(r"\bhe\b", "she", text, flags=re.IGNORECASE)


IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def shuffled_helps(
    *, n=5, by=(0.02, -0.01, 0.05, 0.01, 0.03), scale=1, names=("shuffled", "random")
):
    """Answer 09.1 with what the lesson's run.verdict returns."""
    without = np.array([0.41, 0.44, 0.39, 0.42, 0.43])[:n] * scale
    run = tl.start("mini", 0)
    return run.verdict(without + scale * np.array(by)[:n], without, names=names)


def other_features(now, kept, limit=0.9):
    """Answer 09.2 the right way, or with another limit."""
    return not np.corrcoef(now, kept)[0, 1] > limit


def twins(test, source, *, centre=True, mirror=True, limit=0.95):
    """Answer 09.3 the right way, or without one of its steps."""

    def flat(x):
        x = x.reshape(len(x), -1).astype(float)
        x = x - x.mean(1, keepdims=True) if centre else x
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    ways = [source, source[:, :, ::-1]] if mirror else [source]
    alike = np.max([flat(test) @ flat(s).T for s in ways], axis=0)
    return np.flatnonzero(alike.max(axis=1) > limit)


def twins_by_numpy(test, source):
    """Answer 09.3 with a list, from numpy's own correlation."""
    test, *both = (x.reshape(len(x), -1) for x in (test, source, source[:, :, ::-1]))
    alike = np.corrcoef(test, np.concatenate(both))[: len(test), len(test) :]
    return [i for i, row in enumerate(alike) if (row > 0.9).any()]


def twins_in_a_loop(test, source):
    """Answer 09.3 with a set, picture by picture."""
    found = set()
    for i, picture in enumerate(test):
        for other in (*source, *(s[:, ::-1] for s in source)):
            a, b = (x.astype(float) - x.mean() for x in (picture, other))
            if (a * b).sum() > 0.95 * length(a) * length(b):
                found.add(i)
    return found


def length(x):
    return np.linalg.norm(x)


def menu(models, limit):
    fast = {name: score for name, (score, ms) in models.items() if ms <= limit}
    return max(fast, key=fast.get, default=None)


def menu_in_a_loop(models, limit):
    """Answer 08.3 without a dictionary of those within the limit."""
    best = None
    for name, (score, ms) in models.items():
        if ms <= limit and (best is None or score > models[best][0]):
            best = name
    return best


def menu_sorted(models, limit):
    """Answer 08.3 by going down from the most accurate."""
    names = sorted(models, key=lambda name: -models[name][0])
    return next((name for name in names if models[name][1] <= limit), None)


def apart(groups, seed, share=0.3):
    """Answer 10.2 the right way, or with another share."""
    names = np.unique(groups)
    drawn = np.random.default_rng(seed).choice(names, round(share * len(names)), False)
    return np.isin(groups, drawn)


def unchanged(folder, *, n=None, careful=True):
    """Answer 10.3 the right way, for the first n files, or raising on a lost one."""
    listed = json.loads((folder / "project.json").read_text())["sha256"]
    return all(
        (not careful or (folder / name).is_file())
        and hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        for name, digest in list(listed.items())[:n]
    )


def apart_by_splitter(groups, seed):
    """Answer 10.2 with scikit-learn's own splitter."""
    split = GroupShuffleSplit(1, test_size=0.3, random_state=seed)
    _, drawn = next(split.split(groups, groups=groups))
    return np.isin(np.arange(len(groups)), drawn)


def apart_by_hash(groups, seed):
    """Answer 10.2 without a generator: a digest of patient and seed draws."""
    digests = [hashlib.sha256(f"{g} {seed}".encode()).digest()[0] for g in groups]
    return np.array(digests) < 0.3 * 256


def unchanged_in_a_loop(folder):
    """Answer 10.3 file by file."""
    for name, digest in json.loads((folder / "project.json").read_text())[
        "sha256"
    ].items():
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except FileNotFoundError:
            return False
        if found != digest:
            return False
    return True


SOLUTIONS = {
    "00.1": "classifier",
    "00.2": 0.91 - 0.62,
    "00.3": ["pre-trained", "develop", "pre-trained"],
    "01.1": 1280 * 3 + 3,
    "01.2": lambda x: x.float() / 127.5 - 1,
    "01.3": groups,
    "02.1": 512 * 7 * 7 * 256 + 256,
    "02.2": lambda network: tl.freeze(network, but="head"),
    "02.3": drifted(15, 18, 22, 25),
    "03.1": ["layer2", "layer3", "layer4", "fc"],
    "03.2": lambda layer: grey_only(layer),
    "03.3": [0.223, 0.331, 0.446],
    "04.1": 0.125,
    "04.2": ["accuracy"],
    "04.3": lambda p: abstained(p, entropy(p, axis=1) > np.median(entropy(p, axis=1))),
    "05.1": 0.5**0.5,
    "05.2": ([0.86, 0.88, 0.87, 0.87], [0.87, 0.88, 0.86, 0.875], "neither"),
    "05.3": lambda predict, text: predict(she(text)) - predict(text),
    "06.1": 4.0,
    "06.2": lambda s, n, lr: np.interp(s, [0, 0.1 * n, n], [lr / 32, lr, lr / 32]),
    "06.3": ([0.90, 0.91, 0.88, 0.90], [0.89, 0.87, 0.90, 0.89], "neither"),
    "07.1": 1 - 24 / 33,
    "07.2": lambda s, m: s.masked_fill(m[..., None] == 0, -torch.inf).amax(1),
    "07.3": ([0.82, 0.83, 0.81, 0.8], [0.81, 0.83, 0.8, 0.81], "neither"),
    "08.1": [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))],
    "08.2": ([0.77, 0.76, 0.78], [0.76, 0.77, 0.775], "neither"),
    "08.3": lambda models, limit: menu(models, limit),
    "09.1": lambda: shuffled_helps(),
    "09.2": lambda now, kept: other_features(now, kept),
    "09.3": lambda test, source: twins(test, source),
    "10.1": WILSON.low,
    "10.2": lambda groups, seed: apart(groups, seed),
    "10.3": lambda folder: unchanged(folder),
}

# exercise, typical wrong answer, a word of the hint that helps with just this mistake
MISTAKES = [
    ("00.1", "conv_head", "misleads"),
    ("00.1", "blocks", "body"),
    ("00.1", 6, "quotation marks"),
    ("00.1", "conv_stem", "one number per class"),
    ("00.2", 29, "as a share"),
    ("00.2", 0.41, "over chance"),
    ("00.2", 0.0, "memory"),
    ("00.2", -0.29, "minus"),
    ("00.3", ["pre-trained", "pre-trained", "pre-trained"], "(b)"),
    ("00.3", ["develop", "develop", "pre-trained"], "(a)"),
    ("00.3", ["pre-trained", "develop", "develop"], "(c)"),
    ("00.3", "develop", "list of three"),
    ("01.1", 3840, "bias"),
    ("01.1", 1281000, "old head"),
    ("01.1", 2562, "two classes"),
    ("01.1", "many", "whole number"),
    ("01.2", lambda x: x.float() / 255, "0 … 1"),
    ("01.2", lambda x: (x.float() / 255 - IMAGENET_MEAN) / IMAGENET_STD, "usual mean"),
    ("01.2", lambda x: x.float() - 127.5, "hundreds"),
    ("01.2", lambda x: (x - 127.5 / 127.5) / 127.5 + 5, "0 must become"),
    ("01.2", 0.5, "function itself"),
    ("01.2", lambda x: None, "uint8 tensor"),
    ("01.3", lambda: groups(lr=0.001), "0.002"),
    ("01.3", lambda: groups(body_factor=1.0), "twentieth"),
    ("01.3", lambda: groups(still=False), "freeze_batch_norm"),
    ("01.3", lambda: groups(frozen=True), "frozen"),
    ("01.3", lambda: groups(n_classes=1000), "replace_head"),
    ("01.3", 0.002, "(model, groups)"),
    ("01.3", lambda: groups()[1], "(model, groups)"),
    ("01.3", restless, "stops no statistics"),
    (
        "01.3",
        lambda: other_groups(lambda body, head: [body | {"params": []}, head]),
        "in no group",
    ),
    (
        "01.3",
        lambda: other_groups(
            lambda body, head: [body | {"params": body["params"][:1]}, head]
        ),
        "in no group",
    ),
    ("02.1", 512 * 7 * 7 * 256, "bias"),
    ("02.1", 512 * 256 + 256, "every place"),
    ("02.1", 512 * 256, "every place"),
    ("02.1", 0.5, "whole number"),
    ("02.2", by_gradient_only, "statistics move"),
    ("02.2", lambda network: tl.freeze(network), "head no longer learns"),
    ("02.2", lambda network: network, "besides the head"),
    ("02.2", lambda network: None, "return the network"),
    ("02.3", 0.7, "tl.drift gave"),
    ("02.3", dict.fromkeys(drifted(), 0.0), "snapshot before"),
    ("02.3", drifted(), "new optimiser"),
    ("02.3", drifted(22, 25), "block before the last"),
    ("02.3", drifted(15, 18), "last block stood still"),
    ("02.3", drifted(15, 18, 22, 25, also=["base.16"]), "evaluation mode"),
    ("02.3", drifted(0, 4, 8, 11, 15, 18, 22, 25), "nothing else"),
    ("02.3", drifted(15, 18, 22, 25) | {"head.1": 0, "head.4": 0}, "head should go on"),
    ("03.1", ["conv1", "bn1", "layer1"], "kept"),
    ("03.1", ["layer2", "layer3", "layer4"], "head"),
    ("03.1", "fc", "list"),
    ("03.1", ["layer3", "layer4", "fc"], "with bn1"),
    ("03.2", lambda layer: grey_only(layer, join=torch.mean), "do not average"),
    ("03.2", lambda layer: green_only(layer), "add up"),
    ("03.2", lambda layer: grey_only(layer, bias=0.0), "added once"),
    ("03.2", lambda layer: grey_only(layer, bias=3.0), "added once"),
    ("03.2", lambda layer: layer, "One input channel"),
    ("03.3", [0.331, 0.331, 0.446], "twice"),
    ("03.3", [0.223, 0.446], "Three numbers"),
    ("03.3", [0.372, 0.446, 0.576, 0.342, 0.223], "Three numbers"),
    ("03.3", 0.223, "three numbers"),
    ("03.3", [22.3, 33.1, 44.6], "Percent"),
    ("03.3", [0.223, 0.331, 1.0], "between 0 and 1"),
    ("03.3", [0.446, 0.331, 0.223], "comes last"),
    ("03.3", [0.223, 0.446, 0.331], "comes last"),
    ("03.3", [0.331, float("nan"), 0.446], "comes last"),
    ("04.1", 0.15, "Thirty weigh more"),
    ("04.1", 0.025, "do not cancel"),
    ("04.1", 0.2, "gap of the ten"),
    ("04.1", 0.1, "gap of the thirty"),
    ("04.1", 12.5, "between 0 and 1"),
    ("04.2", ["accuracy", "ECE"], "see ECE"),
    ("04.2", ["NLL", "Brier"], "argmax"),
    ("04.2", "area", "Name some"),
    ("04.2", ["accuracy", "Brier"], "another probability"),
    ("04.3", lambda p: p.argmax(axis=1), "No row"),
    ("04.3", lambda p: abstained(p, doubt(p) < np.median(doubt(p))), "turn it round"),
    ("04.3", lambda p: np.full(len(p), -1), "two certain"),
    ("04.3", lambda p: abstained(p, doubt(p) > 0.5) * 1.0, "whole numbers"),
    ("04.3", lambda p: entropy(p.mean(axis=0)), "for each row"),
    ("05.1", 45, "between -1 and 1"),
    ("05.1", 0.5, "which is not 1"),
    ("05.1", 1.0, "0.5 divided"),
    ("05.1", 0.25, "0.5 divided"),
    ("05.1", [0.5, 0.5], "another form"),
    ("05.2", (0.87, 0.86, "neither"), "per draw"),
    ("05.2", ([0.87, 0.86, 0.88], [0.86, 0.87], "neither"), "same draws"),
    ("05.2", ([0.87, 0.86, 0.9], [0.87, 0.86, 0.9], "neither"), "weights used"),
    ("05.2", ([0.87, 0.86], [0.86, 0.87], "neither"), "three draws"),
    ("05.2", ([87.0, 86.5, 88.0], [85.25, 86.0, 86.5], "weighted"), "shares"),
    ("05.2", ([0.73, 0.74, 0.72], [0.76, 0.765, 0.755], "neither"), "beyond that"),
    ("05.2", ([0.73, 0.74, 0.72], [0.76, 0.765, 0.755], "weighted"), "beyond that"),
    ("05.2", ([0.86, 0.88, 0.87], [0.87, 0.88, 0.84], "weighted"), "beyond that"),
    ("05.2", ([0.86, 0.88], [0.87, 0.84]), "(weighted, plain, ahead)"),
    ("05.3", 0.1, "function itself"),
    ("05.3", lambda f, text: f(text.replace("he", "she")) - f(text), "whole words"),
    ("05.3", lambda f, text: f(text) - f(she(text)), "second minus the first"),
    ("05.3", lambda f, text: f(swapped(text)) - f(text), "before a comma"),
    (
        "05.3",
        lambda f, text: f(re.sub(r"\bhe\b", "she", text, count=1)) - f(text),
        "nothing else changes",
    ),
    ("06.1", 14 / 3, "mean of 1/p"),
    ("06.1", float(np.log(4)), "exponential"),
    ("06.1", 64, "per word"),
    ("06.1", 2.0, "ln 2"),
    ("06.2", 1.0, "function itself"),
    ("06.2", lambda s, n, lr: lr * s / n, "At step 0"),
    ("06.2", lambda s, n, lr: lr / 32, "peak"),
    ("06.2", lambda s, n, lr: lr * (1 / 32 + min(1, 10 * s / n) * 31 / 32), "last"),
    (
        "06.2",
        lambda s, n, lr: np.interp(s, [0, 0.1 * n, n], [1 / 32, 1, 1 / 32]),
        "scales with lr",
    ),
    ("06.2", lambda s, n, lr: np.linspace(lr / 32, lr, n)[s - 1], "At step 0"),
    ("06.3", ([0.91, 0.90, 0.92], [0.89, 0.88], "joined"), "per draw"),
    ("06.3", (0.91, 0.89, "joined"), "per draw"),
    ("06.3", ([91.0, 90.5, 92.0], [89.0, 88.0, 89.5], "joined"), "shares"),
    ("06.3", ([0.91, 0.90, 0.92], [0.91, 0.90, 0.92], "neither"), "both joined"),
    ("06.3", ([0.91, 0.90, 0.92], [0.88, 0.875, 0.89], "vectors"), "Who is ahead"),
    ("06.3", ([0.91, 0.90, 0.92], [0.88, 0.875, 0.89], "neither"), "Who is ahead"),
    ("06.3", ([0.91, 0.86, 0.92], [0.90, 0.90, 0.89], "joined"), "Who is ahead"),
    ("07.1", 24 / 33, "real pieces; padding"),
    ("07.1", 9 / 24, "all numbers"),
    ("07.1", 9, "between 0 and 1"),
    ("07.1", 11 / 33, "Three rows"),
    ("07.2", lambda s, m: s.amax(1), "Padding won"),
    ("07.2", lambda s, m: (s * m[..., None]).amax(1), "A 0 beats"),
    ("07.2", lambda s, m: s, "shape (n, d)"),
    ("07.2", lambda s, m: (s * m[..., None]).sum(1), "largest value"),
    ("07.2", lambda s, m: s.masked_fill(m[..., None] == 0, -9).max(1), "(n, d)"),
    ("07.2", lambda s, m: s.masked_fill(m[..., None] == 0, -9).amax(1), "largest"),
    ("07.3", (0.82, 0.81, "neither"), "per draw"),
    ("07.3", ([0.82, 0.83, 0.81], [0.81, 0.83], "neither"), "same draws"),
    ("07.3", ([0.82, 0.83, 0.8], [0.82, 0.83, 0.8], "neither"), "frozen=0"),
    ("07.3", ([0.82, 0.83], [0.8, 0.815], "neither"), "three draws"),
    ("07.3", ([82.0, 83.0, 81.5], [80.0, 81.5, 79.0], "everything"), "shares"),
    ("07.3", ([0.82, 0.83, 0.81], [0.79, 0.81, 0.78], "neither"), "beyond that"),
    ("07.3", ([0.82, 0.83, 0.81], [0.81, 0.83, 0.82], "upper"), "beyond that"),
    ("07.3", ([0.82, 0.83], [0.81, 0.83]), "(everything, upper, ahead)"),
    ("08.1", [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))], "without temperature"),
    ("08.1", [1 / (1 + np.exp(-4)), 1 / (1 + np.exp(4))], "do not multiply"),
    ("08.1", [0.6], "Two probabilities"),
    ("08.1", [1 / (1 + np.exp(1)), 1 / (1 + np.exp(-1))], "the first is larger"),
    ("08.1", [73.1, 26.9], "shares"),
    ("08.2", (0.77, 0.76, "states"), "Three accuracies"),
    ("08.2", ([0.77, 0.76, 0.78], [0.76, 0.77], "neither"), "same seeds"),
    ("08.2", ([0.77, 0.78], [0.76, 0.77], "states"), "Three accuracies"),
    ("08.2", ([0.77, 0.76, 0.78], [0.77, 0.76, 0.78], "neither"), "enter the loss"),
    ("08.2", ([77.0, 76.0, 78.5], [76.0, 77.0, 77.5], "neither"), "shares"),
    ("08.2", ([-0.4, -0.5, -0.6], [-0.6, -0.5, -0.4], "neither"), "not losses"),
    ("08.2", ([0.77, 0.76, 0.78], [0.76, 0.77, 0.775], "states"), "beyond that"),
    ("08.2", ([0.72, 0.71, 0.725], [0.76, 0.765, 0.77], "states"), "beyond that"),
    ("08.2", ([0.77, 0.76, 0.78], [0.76, 0.77, 0.775]), "(with_states, without"),
    ("08.3", lambda models, limit: max(models, key=models.get), "above the limit"),
    (
        "08.3",
        lambda models, limit: min(models, key=lambda name: models[name][1]),
        "not the fastest",
    ),
    ("08.3", lambda models, limit: menu(models, limit) or "weak", "return None"),
    ("09.1", 0.02, "what run.verdict returned"),
    ("09.1", [0.02, -0.01, 0.05, 0.01, 0.03], "what run.verdict returned"),
    ("09.1", lambda: shuffled_helps(n=3), "fewer prove little"),
    ("09.1", lambda: shuffled_helps(by=[0.0] * 5), "differences are equal"),
    ("09.1", lambda: shuffled_helps(scale=100), "shares, 0 … 1"),
    ("09.1", lambda: shuffled_helps(names=("a", "b")), "Name both arms"),
    ("09.1", lambda: shuffled_helps(names=("random", "shuffled")), "source first"),
    ("09.2", lambda now, kept: True, "same features must pass"),
    ("09.2", lambda now, kept: (now != kept).any(), "rounding noise"),
    ("09.2", lambda now, kept: abs(now.sum() - kept.sum()) > 1, "one by one"),
    ("09.2", lambda now, kept: other_features(now, kept, 0.5), "half wrong"),
    ("09.2", lambda now, kept: np.corrcoef(now, kept)[0, 1] < 0.9, "nan"),
    ("09.2", lambda now, kept: abs(now - kept).mean() > 0.3 * kept.mean(), "nan"),
    ("09.2", lambda now, kept: other_features(now, kept, 0.95), "fresh JPEG"),
    ("09.2", lambda now, kept: not np.allclose(now, kept, rtol=0.05), "fresh JPEG"),
    ("09.3", lambda test, source: [2], "Exact copies"),
    ("09.3", lambda test, source: twins(test, source, centre=False), "copies only"),
    ("09.3", lambda test, source: twins(test, source, mirror=False), "mirrored"),
    (
        "09.3",
        lambda test, source: [
            i for i, t in enumerate(test) if any((t == s).all() for s in source)
        ],
        "paler",
    ),
    ("10.1", 57 / 60, "share itself"),
    ("10.1", 0.95 - 1.96 * (0.95 * 0.05 / 60) ** 0.5, "Wilson's"),
    ("10.1", WILSON.high, "upper end"),
    ("10.1", 95, "between 0 and 1"),
    (
        "10.2",
        lambda groups, seed: np.random.default_rng(seed).random(len(groups)) < 0.3,
        "both sides",
    ),
    ("10.2", lambda groups, seed: apart(groups, seed, 0.7), "30 %"),
    ("10.2", lambda groups, seed: apart(groups, 0), "other patients"),
    ("10.2", lambda groups, seed: np.flatnonzero(apart(groups, seed)), "True or False"),
    ("10.3", lambda folder: True, "A changed byte"),
    ("10.3", lambda folder: unchanged(folder, n=1), "every file"),
    ("10.3", lambda folder: unchanged(folder, careful=False), "raise nothing"),
    ("10.3", lambda folder: not unchanged(folder), "nothing was changed"),
]


# other right answers, which a check must not take for mistakes
RIGHT = [
    ("03.1", ("fc", "layer4", "layer3", "layer2")),
    ("03.1", {"layer2", "layer3", "layer4", "fc"}),
    ("03.2", lambda layer: grey_in_place(layer)),
    ("03.2", lambda layer: three_times_mean(layer)),
    ("03.3", np.array([0.214, 0.302, 0.459])),
    ("03.3", (np.float32(0.4), np.float32(0.3), np.float32(0.9))),
    ("03.3", torch.tensor([0.223, 0.331, 0.446])),
    ("00.1", np.str_("classifier")),
    ("00.1", head_names(tl.load_source(pretrained=False).model)[0]),
    ("00.2", 0.29),
    ("00.2", np.float32(0.29)),
    ("00.3", ("pre-trained", "develop", "pre-trained")),
    ("00.3", np.array(["pre-trained", "develop", "pre-trained"])),
    ("01.1", 3843.0),
    ("01.1", np.int64(3843)),
    ("02.1", 6_422_784),
    ("02.1", np.int64(6_422_784)),
    ("02.1", 6_422_784.0),
    ("02.2", lambda n: tl.freeze(n, ["early", "norm", "late"])),
    ("02.2", lambda n: tl.freeze(tl.freeze(n), but=["head"])),
    ("02.2", kept_asleep),
    ("02.3", {k: v for k, v in drifted(15, 18, 22, 25).items() if v}),
    ("02.3", {k: np.float64(v) for k, v in drifted(15, 18, 22, 25).items()}),
    ("02.3", {k: torch.tensor(v) for k, v in drifted(15, 18, 22, 25).items()}),
    ("01.2", lambda x: (x.double() - 127.5) / 127.5),
    ("01.2", lambda x: 2 * (x / 255) - 1),
    ("09.1", lambda: shuffled_helps(by=(-0.02, 0.01, -0.05, -0.01, -0.03))),
    ("09.1", lambda: shuffled_helps(by=(0.01, -0.02, 0.03, -0.03, 0.01))),
    ("09.2", lambda now, kept: not abs(now - kept).mean() < 0.3 * kept.mean()),
    ("09.2", lambda now, kept: not length(now - kept) < 0.4 * length(kept)),
    ("09.3", lambda test, source: twins_by_numpy(test, source)),
    ("09.3", lambda test, source: twins_in_a_loop(test, source)),
    ("01.3", lambda: plain_groups()),
    ("01.3", lambda: other_groups(lambda body, head: [head, body])),
    ("04.1", np.float32(0.125)),
    ("04.1", tl.ece(GROUPS, np.repeat([0, 1, 0, 1], [24, 6, 8, 2]))),
    ("04.1", (30 * abs(0.9 - 24 / 30) + 10 * abs(0.6 - 8 / 10)) / 40),
    ("04.2", "accuracy"),
    ("04.2", {"Accuracy"}),
    ("04.2", np.array(["accuracy"])),
    ("04.3", lambda p: [*map(int, abstained(p, doubt(p) > np.median(doubt(p))))]),
    ("04.3", lambda p: abstained(p, doubt(p).argsort().argsort() >= len(p) / 2)),
    ("04.3", lambda p: torch.where(bits(p) > bits(p).median(), -1, p_max(p))),
    ("05.1", 0.71),
    ("05.1", np.float32(0.7071)),
    ("05.1", 1 / np.sqrt(2)),
    ("05.2", (np.array([0.73, 0.74, 0.72]), np.array([0.76, 0.765, 0.755]), "plain")),
    ("05.2", [(0.9, 0.91, 0.89), [0.85, 0.87, 0.85], np.str_("weighted")]),
    ("05.3", lambda f, text: -f(text) + f(re.sub(r"(?i)\bhe\b", "she", text))),
    ("05.3", lambda f, text: f(word_by_word(text)) - f(text)),
    ("06.2", lambda s, n, lr: np.float64(SOLUTIONS["06.2"](s, n, lr))),
    ("06.1", 4),
    ("06.1", np.float32(4)),
    ("06.1", 64 ** (1 / 3)),
    ("06.2", lambda s, n, lr: lr * (1 + 31 * min(10 * s, (n - s) / 0.9) / n) / 32),
    ("06.3", (np.array([0.91, 0.90, 0.92]), [0.88, 0.875, 0.89], "joined")),
    ("06.3", [(0.85, 0.84, 0.86), (0.88, 0.885, 0.89), np.str_("vectors")]),
    ("06.3", ([0.91, 0.90, 0.92], [0.90, 0.89, 0.91], "joined")),
    ("07.1", 0.27),
    ("07.1", 0.2727),
    ("07.2", lambda s, m: SOLUTIONS["07.2"](s, m).tolist()),
    ("07.2", lambda s, m: torch.stack([t[k == 1].max(0)[0] for t, k in zip(s, m)])),
    ("07.2", lambda s, m: (s + (m[..., None] - 1) * 1e9).max(dim=1).values),
    ("07.3", (np.array([0.82, 0.83, 0.8]), [0.8, 0.815, 0.81], np.str_("neither"))),
    ("07.3", [(0.82, 0.83, 0.81), [0.79, 0.81, 0.78], "everything"]),
    ("07.3", ([0.79, 0.81, 0.78], [0.82, 0.83, 0.81], "upper")),
    ("08.1", [0.73, 0.27]),
    ("08.1", np.array([0.7311, 0.2689])),
    ("08.1", (torch.tensor([3.0, 1.0]) / 2).softmax(0)),
    ("08.2", (np.array([0.78, 0.79, 0.785]), np.array([0.76, 0.765, 0.77]), "states")),
    ("08.2", [(0.72, 0.71, 0.725), [0.76, 0.765, 0.77], np.str_("answers")]),
    ("08.3", lambda models, limit: menu_in_a_loop(models, limit)),
    ("08.3", lambda models, limit: menu_sorted(models, limit)),
    ("10.1", 0.86),
    ("10.1", binomtest(57, 60).proportion_ci(method="exact").low),
    ("10.2", lambda groups, seed: apart_by_splitter(groups, seed)),
    ("10.2", lambda groups, seed: apart_by_hash(groups, seed)),
    ("10.3", lambda folder: np.bool_(unchanged(folder))),
    ("10.3", lambda folder: unchanged_in_a_loop(folder)),
]
# wrong answers that look right on the first example
SLY = [
    ("01.2", lambda x: 2 * (x.float() - x.min()) / (x.max() - x.min()) - 1, "smallest"),
    ("04.3", lambda p: [0, 1, -1, -1], "another order"),
    ("04.3", lambda p: abstained(p, doubt(p) > 0.5), "Half of any rows"),
    ("04.3", lambda p: abstained(p, doubt(p) > 0.5 * np.log(p.shape[1])), "Half of"),
    ("04.3", lambda p: abstained(p, doubt(p) > doubt(p).mean()), "the median"),
    ("04.3", lambda p: abstained(p, doubt(p).argsort().argsort() > 1), "Half of"),
    ("04.3", lambda p: abstained(p, p.max(1) < np.median(p.max(1))), "whole row"),
    ("04.3", lambda p: abstained(p, margin(p) < np.median(margin(p))), "margin"),
    ("04.3", lambda p: abstained(p, gini(p) > np.median(gini(p))), "sum of squares"),
    ("02.2", lambda network: without_momentum(network), "momentum"),
    ("06.2", lambda s, n, lr: jump(s, n, lr), "way up"),
    ("06.2", lambda s, n, lr: waves(s, n, lr), "line"),
    ("08.3", lambda models, limit: slowest(models, limit), "slowest"),
    ("10.2", lambda groups, seed: runs(groups, seed), "both sides"),
]


def doubt(p):
    return entropy(p, axis=1)


def bits(p):
    """Compute the entropy with PyTorch, to base 2; its median is the lower of two."""
    return -(torch.tensor(p) * torch.tensor(p).log2()).sum(dim=1)


def p_max(p):
    return torch.tensor(p).argmax(dim=1)


def margin(p):
    first, second = np.sort(p)[:, :-3:-1].T
    return first - second


def gini(p):
    return 1 - (p**2).sum(axis=1)


def plain_groups():
    """Answer 01.3 with PyTorch alone."""
    model = tl.freeze_batch_norm(tl.replace_head(tl.load_source().model, 2))
    head = list(model.classifier.parameters())
    body = [p for n, p in model.named_parameters() if not n.startswith("classifier")]
    return model, [{"params": body, "lr": 1e-4}, {"params": iter(head), "lr": 2e-3}]


def without_momentum(network):
    """Freeze by gradients, and let the averages stand still in another way."""
    network = by_gradient_only(network)
    network.norm.momentum = 0.0
    return network


def jump(s, n, lr):
    up = 0.1 * n
    return lr / 32 if s < up else np.interp(s, [up, n], [lr, lr / 32])


def waves(s, n, lr):
    """Rise and fall as cosines, through the corners and halfway points of the lines."""
    share = s / (0.1 * n) if s < 0.1 * n else (n - s) / (0.9 * n)
    return lr * (1 + 31 * (1 - np.cos(np.pi * share)) / 2) / 32


def slowest(models, limit):
    fast = {name: ms for name, (_, ms) in models.items() if ms <= limit}
    return max(fast, key=fast.get, default=None)


def runs(groups, seed):
    """Split between examples that stand beside each other, not between patients."""
    starts = np.r_[True, groups[1:] != groups[:-1]]
    number = np.cumsum(starts)
    drawn = np.random.default_rng(seed).permutation(number.max())[: number.max() // 3]
    return np.isin(number, drawn + 1)


def answer_of(exercise, answer):
    """Build the answers to 01.3 and 09.1 only when they are needed."""
    built = exercise in ("01.3", "09.1") and callable(answer)
    return answer() if built else answer


def test_every_exercise_has_a_solution():
    assert set(SOLUTIONS) == set(EXERCISES)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_three_right_and_four_wrong_forms_are_tried(exercise):
    assert 1 + sum(e == exercise for e, _ in RIGHT) >= 3
    assert sum(e == exercise for e, *_ in MISTAKES + SLY) >= 4


@pytest.mark.parametrize("exercise", sorted(SOLUTIONS))
def test_solution_passes(exercise, capsys):
    assert tl.check(exercise, answer_of(exercise, SOLUTIONS[exercise]))
    assert "✔" in capsys.readouterr().out


@pytest.mark.parametrize(("exercise", "right"), RIGHT)
def test_other_right_answers_pass(exercise, right, capsys):
    assert tl.check(exercise, answer_of(exercise, right)), capsys.readouterr().out


@pytest.mark.parametrize(("exercise", "wrong", "word"), SLY)
def test_answer_that_is_right_by_luck_does_not_pass(exercise, wrong, word, capsys):
    assert not tl.check(exercise, wrong)
    assert word in capsys.readouterr().out


def test_an_exception_of_the_learner_is_shown_as_what_it_is(capsys):
    def answer(x):
        return x.float() / 127.5 - missing  # noqa: F821

    assert not tl.check("01.2", answer)
    said = capsys.readouterr().out
    assert "NameError" in said and "'missing' is not defined" in said
    assert "x.float() / 127.5 - missing" in said


def test_another_form_says_which_was_asked_for(capsys):
    assert not tl.check("01.2", lambda x: None)
    assert "Take a uint8 tensor, (n, 3, height, width)" in capsys.readouterr().out


@pytest.mark.parametrize("exercise", sorted(SOLUTIONS))
def test_unsolved_exercise_is_not_an_error(exercise, capsys):
    assert not tl.check(exercise, ...)
    assert "not tried yet" in capsys.readouterr().out


@pytest.mark.parametrize(("exercise", "wrong", "word"), MISTAKES)
def test_mistake_gets_its_own_hint(exercise, wrong, word, capsys):
    assert not tl.check(exercise, answer_of(exercise, wrong))
    assert word in capsys.readouterr().out


@pytest.mark.parametrize("exercise", sorted(SOLUTIONS))
@pytest.mark.parametrize("odd", [None, "", [], {}, float("nan"), object(), print])
def test_no_answer_raises_or_passes_by_accident(exercise, odd, capsys):
    assert not tl.check(exercise, odd)


def test_unknown_exercise_lists_the_known_ones():
    with pytest.raises(tl.CourseError, match=r"01\.2"):
        tl.check("99.9", 1)
