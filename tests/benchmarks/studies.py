"""Ten runs of a notebook: one after the other, and as a study on two workers.

    python tests/benchmarks/studies.py [NN] [RUNS]

Runs are in small (``TLHELPERS_SMOKE=1``). In series each run has all cores; on two
workers each has one thread. Nothing else should compute meanwhile. Prints the rows of
the table in docs/benchmarks.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def timed(*words: object, **environment: str) -> float:
    """Run a command of the course; return its seconds."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "tlhelpers", *map(str, words)],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TLHELPERS_SMOKE": "1", **environment},
    )
    return time.perf_counter() - began


def main(number: str = "05", runs: str = "10") -> None:
    """Measure both ways."""
    with tempfile.TemporaryDirectory() as name:
        folder, n = Path(name), int(runs)
        seeds = range(1000, 1000 + 100 * n, 100)
        words = ("run", number, "--out", folder / "run", "--seed")
        series = sum(timed(*words, seed) for seed in seeds)
        one = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        alone = sum(timed(*words, seed, **one) for seed in seeds)
        study = timed("study", number, "--seeds", n, "--out", folder / "study")
    print(f"| {n} runs of {number} in small | seconds | ratio |\n|---|---|---|")
    for way, seconds in (
        ("one after the other, two threads", series),
        ("one after the other, one thread", alone),
        ("a study: two workers, one thread each", study),
    ):
        print(f"| {way} | {seconds:.0f} | {seconds / series:.2f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
