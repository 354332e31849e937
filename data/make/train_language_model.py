"""Train the source language model: an AWD-LSTM on English Wikipedia (fastai).

    python data/make/train_language_model.py --data FOLDER

One command, on a CPU or a GPU. The state is kept in build/ every few minutes, so an
interrupted training goes on where it stopped. At the end ``data/models`` holds the
weights (safetensors, fp16) and a card with the vocabulary and the figures.

Merity, Keskar and Socher, Regularizing and Optimizing LSTM Language Models (2018);
Howard and Ruder, Universal Language Model Fine-tuning (2018).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from corpus import read_corpus, write_vocabulary
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from tlhelpers.course.session import hardware
from tlhelpers.machine import (
    autocast,
    default_device,
    fast_precision,
    seed_everything,
)

ROOT = Path(__file__).resolve().parents[2]
NAME = "wikipedia_lstm"


@dataclass
class Recipe:
    """What the training is made of; kept in the card."""

    n_tokens: int = 12_000
    emb_sz: int = 256
    n_hid: int = 640
    n_layers: int = 2
    drop_mult: float = 0.1
    batch_size: int = 20
    sequence: int = 70
    steps: int = 10_000
    lr: float = 3e-3
    warm_up: float = 0.02
    clip: float = 0.5
    seed: int = 0


def streams(numbers: np.ndarray, recipe: Recipe) -> Tensor:
    """Cut the text into ``batch_size`` long rows; rare tokens become ``xxunk`` (0)."""
    known = np.where(numbers < recipe.n_tokens, numbers, 0).astype(np.int64)
    length = len(known) // recipe.batch_size
    return torch.from_numpy(known[: length * recipe.batch_size]).view(-1, length)


def build(recipe: Recipe, counts: np.ndarray) -> torch.nn.Module:
    """Make the network; its output starts at the frequencies of the tokens."""
    from fastai.text.models.awdlstm import AWD_LSTM, awd_lstm_lm_config
    from fastai.text.models.core import get_language_model

    shape = {k: getattr(recipe, k) for k in ("emb_sz", "n_hid", "n_layers")}
    model = get_language_model(
        AWD_LSTM, recipe.n_tokens, awd_lstm_lm_config | shape, recipe.drop_mult
    )
    frequency = (counts + 1) / (counts + 1).sum()
    with torch.no_grad():
        model[1].decoder.bias.copy_(torch.from_numpy(np.log(frequency)))
    return model


class Training:
    """A training that can stop after any block of steps and go on later."""

    def __init__(self, recipe: Recipe, text: Tensor) -> None:
        self.recipe, self.text, self.device = recipe, text, default_device()
        counts = np.bincount(text.flatten(), minlength=recipe.n_tokens)
        self.model = build(recipe, counts).to(self.device)
        # Less than one pass over the text: nothing to guard against with weight decay.
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.lr, weight_decay=0.0, fused=True
        )
        self.log: list[dict[str, float]] = []
        self.step = 0

    def rate(self, step: int) -> float:
        """Return the learning rate: a short rise, then half a cosine."""
        done = step / self.recipe.steps
        rise = min(1.0, done / self.recipe.warm_up)
        return self.recipe.lr * rise * (1 + math.cos(math.pi * done)) / 2

    def run(self, steps: int) -> float:
        """Take so many steps through the text; return the mean loss in nats."""
        self.model.train()
        total, n = 0.0, self.recipe.sequence
        last = (self.text.shape[1] - 1) // n
        for _ in tqdm(range(steps), desc=f"step {self.step}", leave=False):
            at = self.step % last
            if at == 0:
                self.model.reset()
            rows = self.text[:, at * n : at * n + n + 1].to(self.device)
            loss = self._loss(rows)
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate(self.step)
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
            self.optimizer.step()
            self.step += 1
            total += float(loss.detach())
        return total / steps

    def _loss(self, rows: Tensor) -> Tensor:
        # fp16 would need its losses scaled, so a GPU without bf16 computes in fp32.
        half = fast_precision(self.device) == "bf16"
        with autocast(self.device, "bf16" if half else "fp32"):
            logits = self.model(rows[:, :-1])[0]
        return cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())

    @torch.inference_mode()
    def perplexity(self, text: Tensor) -> float:
        """Return the perplexity of a text, read in its order; ``xxunk`` counts."""
        self.model.eval()
        self.model.reset()
        n, total, count = self.recipe.sequence, 0.0, 0
        for start in range(0, text.shape[1] - 1, n):
            rows = text[:, start : start + n + 1].to(self.device)
            total += float(self._loss(rows)) * rows[:, 1:].numel()
            count += rows[:, 1:].numel()
        self.model.reset()
        return math.exp(total / count)

    def keep(self, path: Path) -> None:
        """Write everything that the next step depends on."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "log": self.log,
            "step": self.step,
            "rng": torch.get_rng_state(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def resume(self, path: Path) -> None:
        """Go on from a kept state; the memory of the LSTM starts anew."""
        kept = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(kept["model"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.log, self.step = kept["log"], kept["step"]
        torch.set_rng_state(kept["rng"])


def train(job: Training, valid: Tensor, kept: Path, block: int) -> None:
    """Train to the end of the recipe, from the kept state where there is one."""
    if kept.is_file():
        job.resume(kept)
    while job.step < job.recipe.steps:
        start = time.perf_counter()
        loss = job.run(min(block, job.recipe.steps - job.step))
        tokens = job.step * job.recipe.batch_size * job.recipe.sequence
        part = valid[:, : 20 * job.recipe.sequence]
        line = {"tokens": tokens, "loss": loss, "valid": job.perplexity(part)}
        line = {k: round(v, 3) for k, v in line.items()}
        job.log.append(line | {"seconds": round(time.perf_counter() - start)})
        job.keep(kept)
        print(f"{NAME} {job.step}/{job.recipe.steps} {job.log[-1]}", flush=True)


def save(job: Training, vocabulary: list[str], figures: dict, out: Path) -> None:
    """Write the weights in fp16 and their card."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{NAME}.safetensors"
    # Three names stand for the same rows: the decoder is tied to the encoder.
    twins = ("encoder_dp", "decoder.weight")
    state = {
        k: v.half().cpu().contiguous()
        for k, v in job.model.state_dict().items()
        if not any(twin in k for twin in twins)
    }
    save_file(state, path)
    card = {
        "title": "AWD-LSTM language model, trained by this course",
        "source_task": "predict the next word of English Wikipedia (2015)",
        "origin": "weights: this course; text: Wikipedia, its authors, CC BY-SA 3.0",
        "licence": "Apache-2.0 for the weights; the text is not included",
        "command": "python data/make/train_language_model.py",
        "hardware": hardware(),
        "recipe": asdict(job.recipe),
        "tokenizer": "fastai's: spaCy's English rules, special tokens, lower case",
        "measured": f"Perplexity {figures['valid_perplexity']:.1f} on the validation "
        f"part, {figures['test_perplexity']:.1f} on the test part; {len(vocabulary):,} "
        f"words, {figures['unknown']:.1%} of the tokens unknown; trained on "
        f"{job.log[-1]['tokens'] / 1e6:.0f} million tokens ({hardware()})",
        **figures,
        "log": job.log,
        "known_biases": "those of Wikipedia's authors: encyclopaedic prose, mostly "
        "about men, places and sport of rich countries; no letters, no talk",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "vocabulary_sha256": write_vocabulary(out / f"{NAME}.txt", vocabulary),
    }
    text = json.dumps(card, indent=1, ensure_ascii=False)
    (out / f"{NAME}.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line, train, save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the texts")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--block", type=int, default=500, help="steps between states")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "models")
    args = parser.parse_args()
    recipe = Recipe(steps=args.steps)
    seed_everything(recipe.seed)
    corpus = read_corpus(args.data, ROOT / "build" / "corpus")
    train_text, valid, test = (
        streams(part, recipe) for part in (corpus.train, corpus.valid, corpus.test)
    )
    job = Training(recipe, train_text)
    train(job, valid, ROOT / "build" / "training" / f"{NAME}.pt", args.block)
    figures = {
        "valid_perplexity": round(job.perplexity(valid), 2),
        "test_perplexity": round(job.perplexity(test), 2),
        "unknown": round(float((valid == 0).float().mean()), 4),
    }
    print(figures)
    save(job, corpus.vocabulary[: recipe.n_tokens], figures, args.out)


if __name__ == "__main__":
    main()
