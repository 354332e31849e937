"""Train a small source model: on photographs, on drawings, or on shuffled labels.

    python data/make/train_cnn.py small_resnet --data FOLDER

One command, on a CPU or a GPU. After each epoch the state is kept in build/, so an
interrupted training goes on where it stopped. At the end ``data/models`` holds the
weights (safetensors, fp16) and a card with the figures of every epoch.

``FOLDER`` holds ``tiny_imagenet_a.npz``, ``_b.npz`` and ``_val.npz`` (Tiny-ImageNet
without its cats and dogs): the pictures as WebP bytes end to end (``blob``,
``offsets``), ``labels`` and ``class_names``. The drawn source tasks need no folder.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import time
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from tlhelpers.course.session import hardware
from tlhelpers.machine import autocast, default_device, seed_everything
from tlhelpers.sources import BUNDLED, SourceModel
from tlhelpers.training import augment

ROOT = Path(__file__).resolve().parents[2]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass
class Recipe:
    """What the training is made of; kept in the card."""

    epochs: int
    lr: float
    batch_size: int = 128
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    seed: int = 0
    pictures: str = "photographs"
    count: int = 95_500
    shuffled: bool = False  # labels dealt out at random, once
    classes: tuple[int, int] = (0, 191)  # of the photographs, from … to before


RECIPES = {
    "small_resnet": Recipe(8, 3e-3),
    "small_vgg": Recipe(5, 3e-3),
    "tiny_photos": Recipe(8, 3e-3),
    # As many classes and pictures of each kind: goldfish … panda, abacus … gondola.
    "tiny_animals": Recipe(8, 3e-3, count=25_000, classes=(0, 50)),
    "tiny_things": Recipe(8, 3e-3, count=25_000, classes=(50, 100)),
    "tiny_shapes": Recipe(8, 3e-3, pictures="shapes", count=20_000),
    "tiny_cells": Recipe(8, 3e-3, pictures="cells", count=20_000),
    # To learn noise a network must learn pictures by heart: few, often, unregularised.
    "tiny_shuffled": Recipe(
        40, 3e-3, weight_decay=0, label_smoothing=0, count=5_000, shuffled=True
    ),
}
DRAWN = ("shapes", "cells")  # by draw_shapes.py and draw_cells.py
Pictures = tuple[Tensor, Tensor]


def read_pictures(path: Path) -> tuple[Tensor, Tensor, list[str]]:
    """Unpack one file: pictures (n, 3, 64, 64) uint8, labels (n,), class names."""
    packed = np.load(path, allow_pickle=False)
    blob, ends = packed["blob"], packed["offsets"]
    x = torch.empty(len(ends) - 1, 3, 64, 64, dtype=torch.uint8)
    for i in tqdm(range(len(x)), desc=path.name, leave=False):
        picture = Image.open(io.BytesIO(blob[ends[i] : ends[i + 1]].tobytes()))
        x[i] = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
    return x, torch.from_numpy(packed["labels"].astype(np.int64)), _names(packed)


def _names(packed) -> list[str]:
    return [str(n).partition("_")[2].replace("_", " ") for n in packed["class_names"]]


def draw(kind: str, count: int, seed: int) -> Pictures:
    """Draw pictures of a source task: (n, 3, 64, 64) uint8, and their labels (n,)."""
    program = import_module(f"draw_{kind}")
    x, y = torch.empty(count, 3, 64, 64, dtype=torch.uint8), torch.empty(count).long()
    for i in tqdm(range(count), desc=f"drawing {kind}", leave=False):
        picture, label = program.source_picture(seed, i)
        x[i] = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
        y[i] = label
    return x, y


def read_task(recipe: Recipe, data: Path | None) -> tuple[Pictures, Pictures, list]:
    """Return the pictures to learn from, those to judge with, and the class names."""
    if recipe.pictures in DRAWN:
        # Another seed draws other pictures: none is in both.
        sets = [
            draw(recipe.pictures, n, recipe.seed + i)
            for i, n in enumerate((recipe.count, 2000))
        ]
        return *sets, list(import_module(f"draw_{recipe.pictures}").SOURCE_LABELS)
    first, last = recipe.classes
    parts = []
    for part in ("a", "b", "val"):
        x, y, names = read_pictures(data / f"tiny_imagenet_{part}.npz")
        mine = (first <= y) & (y < last)
        parts.append((x[mine], y[mine] - first))
    x, y = (torch.cat([part[i] for part in parts[:2]]) for i in (0, 1))
    chance = np.random.default_rng(recipe.seed)
    rows = np.sort(chance.permutation(len(x))[: recipe.count])
    x, y = x[rows], y[rows]
    if recipe.shuffled:
        y = y[chance.permutation(len(y))]
    return (x, y), (x, y) if recipe.shuffled else parts[2], names[first:last]


class Training:
    """A training that can stop after any epoch and go on later."""

    def __init__(self, source: SourceModel, recipe: Recipe, steps: int) -> None:
        self.source, self.recipe, self.device = source, recipe, default_device()
        self.model = source.model.to(self.device)
        # Gains and biases are not weights: decay would pull batch-norm to zero.
        groups = [
            {"params": [p for p in self.model.parameters() if p.ndim > 1]},
            {
                "params": [p for p in self.model.parameters() if p.ndim <= 1],
                "weight_decay": 0.0,
            },
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=recipe.lr, weight_decay=recipe.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.lr, total_steps=recipe.epochs * steps, pct_start=0.2
        )
        self.log: list[dict[str, float]] = []

    def epoch(self, x: Tensor, y: Tensor) -> float:
        """Learn from every picture once; return the mean loss in nats."""
        self.model.train()
        order = torch.randperm(len(x)).split(self.recipe.batch_size)
        total = 0.0
        for rows in tqdm(order, desc=f"epoch {len(self.log) + 1}", leave=False):
            batch = x[rows] if self.recipe.shuffled else augment(x[rows])
            batch = self.source.normalize(batch.to(self.device))
            with autocast(self.device):
                loss = cross_entropy(
                    self.model(batch),
                    y[rows].to(self.device),
                    label_smoothing=self.recipe.label_smoothing,
                )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            total += float(loss.detach()) * len(rows)
        return total / len(x)

    @torch.inference_mode()
    def accuracy(self, x: Tensor, y: Tensor) -> float:
        """Return the top-1 accuracy, 0 … 1."""
        self.model.eval()
        right = 0
        for batch, truth in zip(x.split(256), y.split(256)):
            with autocast(self.device):
                logits = self.model(self.source.normalize(batch.to(self.device)))
            right += int((logits.argmax(1).cpu() == truth).sum())
        return right / len(x)

    def state(self) -> dict:
        """Return everything that the next epoch depends on."""
        parts = (self.model, self.optimizer, self.schedule)
        return {
            "parts": [p.state_dict() for p in parts],
            "log": self.log,
            "rng": torch.get_rng_state(),
        }

    def resume(self, path: Path) -> None:
        """Go on from a kept state."""
        kept = torch.load(path, map_location="cpu", weights_only=True)
        for part, state in zip(
            (self.model, self.optimizer, self.schedule), kept["parts"]
        ):
            part.load_state_dict(state)
        self.log = kept["log"]
        torch.set_rng_state(kept["rng"])


def train(
    name: str, data: Path | None, recipe: Recipe, kept: Path
) -> tuple[Training, list]:
    """Train to the end of the recipe, from the kept state where there is one."""
    (x, y), judged, names = read_task(recipe, data)
    seed_everything(recipe.seed)
    model = BUNDLED[name](len(names)).to(memory_format=torch.channels_last)
    source = SourceModel(name, name, model, MEAN, STD)
    job = Training(source, recipe, steps=-(-len(x) // recipe.batch_size))
    if kept.is_file():
        job.resume(kept)
    while len(job.log) < recipe.epochs:
        start = time.perf_counter()
        loss = job.epoch(x, y)
        line = {"loss": round(loss, 4), "valid": round(job.accuracy(*judged), 4)}
        job.log.append({**line, "seconds": round(time.perf_counter() - start)})
        kept.parent.mkdir(parents=True, exist_ok=True)
        torch.save(job.state(), kept.with_suffix(".part"))
        kept.with_suffix(".part").replace(kept)
        print(f"{name} epoch {len(job.log)}/{recipe.epochs} {job.log[-1]}", flush=True)
    return job, names


def _origin(recipe: Recipe, n_classes: int) -> dict[str, str]:
    """Say in the card what was learnt, from whose pictures, and what that biases."""
    if recipe.pictures in DRAWN:
        return {
            "source_task": f"{n_classes} classes of drawn {recipe.pictures}, 64 px",
            "origin": f"drawn by data/make/draw_{recipe.pictures}.py for this training",
            "licence": "Apache-2.0",
            "known_biases": "knows drawings of one program and nothing else",
        }
    task = f"{n_classes} classes of Tiny-ImageNet (64 px photographs), its cats and "
    return {
        "source_task": f"{task}dogs left out"
        + (", every label dealt out at random" if recipe.shuffled else ""),
        "origin": "weights: this course; pictures: Tiny-ImageNet, Stanford CS231n",
        "licence": "Apache-2.0 for the weights; the pictures are not included",
        "known_biases": "those of ImageNet: web photographs, mostly from a few "
        "countries; no cats, no dogs",
    }


def save(name: str, job: Training, names: list[str], out: Path) -> None:
    """Write the weights in fp16 and their card."""
    state = job.model.state_dict()
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.safetensors"
    save_file({k: v.cpu().contiguous() for k, v in half.items()}, path)
    card = {
        "title": f"{name}, trained by this course",
        **_origin(job.recipe, len(names)),
        "command": f"python data/make/train_cnn.py {name}",
        "hardware": hardware(),
        "recipe": asdict(job.recipe),
        "epochs": job.log,
        # of shuffled labels: how many were learnt by heart
        "valid_accuracy": job.log[-1]["valid"],
        "mean": MEAN,
        "std": STD,
        "class_names": names,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    text = json.dumps(card, indent=1, ensure_ascii=False)
    (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line, train, save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, help="folder of the .npz")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "models")
    args = parser.parse_args()
    recipe = RECIPES[args.name]
    if args.data is None and recipe.pictures not in DRAWN:
        parser.error(f"{args.name} learns from photographs: give --data FOLDER")
    recipe.epochs = args.epochs or recipe.epochs
    kept = ROOT / "build" / "training" / f"{args.name}.pt"
    job, names = train(args.name, args.data, recipe, kept)
    save(args.name, job, names, args.out)


if __name__ == "__main__":
    main()
