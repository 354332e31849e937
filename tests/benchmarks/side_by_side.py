"""Time trainings one after the other and two at a time; and BLAS in one thread.

    python tests/benchmarks/side_by_side.py

Prints seconds (the least of three rounds, in turn) and their ratio, for a table in
docs/benchmarks.md. Let nothing else compute meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import starmap
from time import perf_counter

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

import tlhelpers as tl
from tlhelpers.course.session import hardware
from tlhelpers.sources import small_resnet, small_vgg, tiny_vgg

JOBS = [(seed,) for seed in range(6)]
STEPS, BATCH, CLASSES = 20, 8, 5


def lite0(n_classes: int) -> torch.nn.Module:
    """Return EfficientNet-Lite0 with a new head."""
    return tl.replace_head(tl.load_source().model, n_classes)


#: What is trained, and the side of its pictures.
NETWORKS = {
    "small VGG, one convolution a block": (tiny_vgg, 48),
    "small CNN": (tl.small_cnn, 96),
    "small VGG": (small_vgg, 64),
    "half-width ResNet-18": (small_resnet, 64),
    "EfficientNet-Lite0": (lite0, 96),
}


def training(make: Callable[[int], torch.nn.Module], side: int) -> Callable:
    """Return a function that trains a network for a few steps."""
    x = torch.randint(0, 256, (STEPS * BATCH, 3, side, side), dtype=torch.uint8)
    y, source = torch.arange(len(x)) % CLASSES, tl.load_source("tiny_photos")

    def train(seed: int) -> float:
        torch.manual_seed(seed)
        look = lambda b: source.normalize(tl.augment(b))  # noqa: E731
        return tl.fit(
            make(CLASSES), (x, y), epochs=1, lr=1e-3, batch_size=BATCH, transform=look
        )[0]

    return train


def seconds(*ways: Callable[[], object]) -> list[float]:
    """Time each way, in turn, three rounds; return the least of each."""
    times = []
    for _ in range(3):
        for way in ways:
            start = perf_counter()
            way()
            times.append(perf_counter() - start)
    return [min(times[k :: len(ways)]) for k in range(len(ways))]


def head(n: int, threads: int | None) -> Callable[[], object]:
    """Return a fit of a logistic regression on n pictures' features."""
    rng = np.random.default_rng(0)
    f = np.abs(rng.normal(size=(n, 1280))).astype(np.float32)
    model = LogisticRegression(max_iter=2000)

    def fit() -> None:
        with threadpool_limits(threads, user_api="blas"):
            model.fit(f, np.arange(n) % 2)

    return fit


def main() -> None:
    """Print both tables."""
    print(f"{hardware()}; {len(JOBS)} trainings of {STEPS} steps")
    for name, network in NETWORKS.items():
        train = training(*network)
        one, two = seconds(
            lambda train=train: list(starmap(train, JOBS)),
            lambda train=train: tl.side_by_side(train, JOBS),
        )
        print(f"| {name} | {one:.1f} | {two:.1f} | {two / one:.2f} |")
    for n in (40, 200, 800):
        many, one = seconds(head(n, None), head(n, 1))
        print(f"| logistic, {n} × 1,280 | {many:.3f} | {one:.3f} | {one / many:.2f} |")


if __name__ == "__main__":
    main()
