"""Train a small source model on Tiny-ImageNet, without its cats and dogs.

    python data/make/train_cnn.py small_resnet --data FOLDER

One command, on a CPU or a GPU. After each epoch the state is kept in build/, so an
interrupted training goes on where it stopped. At the end ``data/models`` holds the
weights (safetensors, fp16) and a card with the figures of every epoch.

``FOLDER`` holds ``tiny_imagenet_a.npz``, ``_b.npz`` and ``_val.npz``: the pictures as
WebP bytes end to end (``blob``, ``offsets``), ``labels`` and ``class_names``.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from tlhelpers.session import autocast, default_device, hardware, seed_everything
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


RECIPES = {"small_resnet": Recipe(8, 3e-3), "small_vgg": Recipe(5, 3e-3)}


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
            batch = self.source.normalize(augment(x[rows]).to(self.device))
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


def train(name: str, data: Path, recipe: Recipe, kept: Path) -> tuple[Training, list]:
    """Train to the end of the recipe, from the kept state where there is one."""
    parts = [read_pictures(data / f"tiny_imagenet_{p}.npz") for p in ("a", "b", "val")]
    x, y = (torch.cat([part[i] for part in parts[:2]]) for i in (0, 1))
    names = parts[0][2]
    seed_everything(recipe.seed)
    model = BUNDLED[name](len(names)).to(memory_format=torch.channels_last)
    source = SourceModel(name, name, model, MEAN, STD)
    job = Training(source, recipe, steps=-(-len(x) // recipe.batch_size))
    if kept.is_file():
        job.resume(kept)
    while len(job.log) < recipe.epochs:
        start = time.perf_counter()
        loss = job.epoch(x, y)
        line = {"loss": round(loss, 4), "valid": round(job.accuracy(*parts[2][:2]), 4)}
        job.log.append({**line, "seconds": round(time.perf_counter() - start)})
        kept.parent.mkdir(parents=True, exist_ok=True)
        torch.save(job.state(), kept.with_suffix(".part"))
        kept.with_suffix(".part").replace(kept)
        print(f"{name} epoch {len(job.log)}/{recipe.epochs} {job.log[-1]}", flush=True)
    return job, names


def save(name: str, job: Training, names: list[str], out: Path) -> None:
    """Write the weights in fp16 and their card."""
    state = job.model.state_dict()
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.safetensors"
    save_file({k: v.cpu().contiguous() for k, v in half.items()}, path)
    card = {
        "title": f"{name}, trained by this course",
        "source_task": f"{len(names)} classes of Tiny-ImageNet (64 px photographs), "
        "its cats and dogs left out",
        "origin": "weights: this course; pictures: Tiny-ImageNet, Stanford CS231n",
        "licence": "Apache-2.0 for the weights; the pictures are not included",
        "command": f"python data/make/train_cnn.py {name}",
        "hardware": hardware(),
        "recipe": asdict(job.recipe),
        "epochs": job.log,
        "valid_accuracy": job.log[-1]["valid"],
        "known_biases": "those of ImageNet: web photographs, mostly from a few "
        "countries; no cats, no dogs",
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
    parser.add_argument("--data", type=Path, required=True, help="folder of the .npz")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "models")
    args = parser.parse_args()
    recipe = RECIPES[args.name]
    recipe.epochs = args.epochs or recipe.epochs
    kept = ROOT / "build" / "training" / f"{args.name}.pt"
    job, names = train(args.name, args.data, recipe, kept)
    save(args.name, job, names, args.out)


if __name__ == "__main__":
    main()
