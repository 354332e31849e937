"""Memory and time of a project of many pictures, stage by stage.

    python tests/benchmarks/memory.py [1000 10000 50000]

The pictures are random crops of the course's drawings of pets, 160 px, JPEG, two
classes, in a temporary folder. For each number a process of its own reads them,
computes their features and fits the head, as notebook 10 does with a budget that is
long enough. Prints a row each: seconds, and by how much the process grew at most in
each stage. That is its own memory; what it maps from the temporary file is left out,
because the system takes it back at will. Linux only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from time import perf_counter

import numpy as np

SIDE = 160


def own_mb() -> float:
    """Return this process's anonymous memory, MB."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


def measured(work: Callable[[], object]) -> tuple[object, str]:
    """Call; return what it returned, and its seconds and growth at most, as cells."""
    peak, over, before = [0.0], Event(), own_mb()

    def watch() -> None:
        while not over.wait(0.05):
            peak[0] = max(peak[0], own_mb())

    watcher, since = Thread(target=watch), perf_counter()
    watcher.start()
    found = work()
    seconds = perf_counter() - since
    over.set()
    watcher.join()
    return found, f"{seconds:.0f} | {peak[0] - before:+.0f}"


def draw(folder: Path, n: int) -> None:
    """Write n pictures, half of each class."""
    import tlhelpers as tl

    pets, rng = tl.load_pets().train, np.random.default_rng(0)
    rows = [np.flatnonzero(pets.labels == c) for c in (0, 1)]
    for c in (0, 1):
        (folder / "ab"[c]).mkdir()
    whole = {int(i): pets[int(i)][0] for some in rows for i in some}
    for k in range(n):
        picture = whole[int(rng.choice(rows[k % 2]))]
        part = 3 * min(picture.size) // 4
        left, top = (int(rng.integers(side - part + 1)) for side in picture.size)
        crop = picture.crop((left, top, left + part, top + part)).resize((SIDE, SIDE))
        turned = crop.rotate(int(rng.integers(360)))
        turned.save(folder / "ab"[k % 2] / f"{k:06d}.jpg", quality=90)


def one(n: int) -> None:
    """Print the row of n pictures."""
    import torch

    import tlhelpers as tl
    from tlhelpers import project
    from tlhelpers.project.plan import Plan

    plan = Plan("images", "efficientnet_lite0", "frozen", 128, 20, {}, ())
    tl.extract_features(tl.load_source(), torch.zeros(64, 3, 128, 128).byte())
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder), n)
        task, reading = measured(lambda: project.read_data(folder))
        inputs, features = measured(lambda: project.read_inputs(task, plan))
        _, head = measured(lambda: project.repurpose(task, plan, inputs))
    print(f"| {n:,} | {reading} | {features} | {head} | {own_mb():.0f} |", flush=True)


def main() -> None:
    """Read the command line; start a process for each number."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("numbers", type=int, nargs="*", default=[1000, 10_000, 50_000])
    parser.add_argument("--one", action="store_true", help="in this process")
    given = parser.parse_args()
    if given.one:
        return one(given.numbers[0])
    stages = "reading", "features", "head"
    cells = [f"{stage}, s | MB" for stage in stages]
    print("| pictures |", " | ".join(cells), "| MB at the end |")
    print("|---" * 8 + "|", flush=True)
    for n in given.numbers:
        subprocess.run([sys.executable, __file__, str(n), "--one"], check=True)
    return None


if __name__ == "__main__":
    main()
