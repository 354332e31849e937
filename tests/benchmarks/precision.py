"""Steps and answers in fp32 and in bf16, on this machine's CPU.

    python tests/benchmarks/precision.py

Prints the rows of the table in docs/benchmarks.md: milliseconds, the least of nine in
turn. Nothing else should compute meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from fastai.text.all import AWD_LSTM, awd_lstm_lm_config
from fastai.text.models.core import get_language_model

import tlhelpers as tl
from tlhelpers import machine

ROUNDS = 9


def networks() -> dict[str, tuple[torch.nn.Module, Callable, torch.Tensor]]:
    """Return by name a network, what it is called with, and a batch of lessons."""
    bert, lstm = tl.load_bert("mini").body, tl.load_language_model("mini")
    reader = get_language_model(
        AWD_LSTM, len(lstm.vocabulary), config=awd_lstm_lm_config | lstm.config
    )
    words = torch.randint(5, len(lstm.vocabulary), (16, 70))
    efficient, small = tl.load_source().model, tl.small_cnn(5)
    efficient.to(memory_format=torch.channels_last)
    pictures = torch.randn(16, 3, 128, 128).to(memory_format=torch.channels_last)
    read = lambda ids: bert(input_ids=ids).last_hidden_state  # noqa: E731
    return {
        "MiniLM, 16 × 40 pieces": (bert, read, torch.randint(1000, 20_000, (16, 40))),
        "AWD-LSTM, 16 × 70 words": (
            reader,
            lambda x: (reader.reset(), reader(x))[1][0],
            words,
        ),
        "EfficientNet-Lite0, 16 × 128 px, channels last": (
            efficient,
            efficient,
            pictures,
        ),
        "small CNN, 32 × 64 px": (small, small, torch.randn(32, 3, 64, 64)),
    }


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Measure both formats in turn."""
    tiles = getattr(torch.cpu, "_is_amx_tile_supported", bool)()
    print(f"torch {torch.__version__}, AMX: {tiles}, {torch.get_num_threads()} threads")
    for name, (network, call, x) in networks().items():

        def step(precision: str, call: Callable = call, x: torch.Tensor = x) -> None:
            with machine.autocast("cpu", precision):
                loss = call(x).float().square().mean()
            loss.backward()

        def answer(precision: str, call: Callable = call, x: torch.Tensor = x) -> None:
            with torch.inference_mode(), machine.autocast("cpu", precision):
                call(x)

        for what, work in (("a step", step), ("an answer", answer)):
            network.train(what == "a step")
            taken = {"fp32": [], "bf16": []}
            for _ in range(ROUNDS):
                for precision, times in taken.items():
                    times.append(seconds(partial(work, precision)))
            fp32, bf16 = (1000 * min(times) for times in taken.values())
            print(f"| {name}: {what} | {fp32:.0f} | {bf16:.0f} | {bf16 / fp32:.2f} |")


if __name__ == "__main__":
    main()
