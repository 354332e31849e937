"""Choose the rates of notebook 03 on valid; write data/studies/choices_03.csv.

    python tests/benchmarks/choose_03.py [NUMBER ...]

Runs the notebook's own cells with valid in the place of test, on three draws of its
own. Each way tries five rates. With numbers, only these of the five, counted from 0,
are tried again and the table's rows of the others stay: that is as good as long as the
notebook's code is the same. All five take about half an hour on one core.
"""

from __future__ import annotations

import ast
import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np

import tlhelpers as tl

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "03_what_transfers.ipynb"
OUT = ROOT / "data" / "studies" / "choices_03.csv"
DRAWS = range(100, 103)
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
KNOWN = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)  # for networks that answer the question already
KNOWING = ("new channel at zero", "colours only, tuned")
#: Where only the head and what stands behind the frozen part learn.
FROZEN = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)

Row = tuple[str, float, int, int, float]


def rates(arm: str) -> tuple[float, ...]:
    """Return what a way tries, in the order of the rounds."""
    if arm.startswith("frozen"):
        return FROZEN
    return KNOWN if arm in KNOWING else RATES


def row(arm: str, lr: float, epochs: int, scores: list[float]) -> Row:
    """Sum up the draws."""
    return arm, lr, epochs, len(scores), round(float(np.mean(scores)), 4)


class Lesson:
    """The cells of the notebook, run one by one with rates of our choice."""

    def __init__(self, tried: list[int]) -> None:
        self.tried = tried
        self.cells = {c.id: c.source for c in nbformat.read(NOTEBOOK, 4).cells}
        self.space = {"tl": tl, "run": tl.start("mini", notebook="03")}
        for cell in ("nb03-02", "nb03-07", "nb03-15", "nb03-measure", "nb03-21"):
            self.run(cell)
        task, size = self.space["task"], self.space["size"]
        self.space["test_x"], self.space["test_y"] = task.valid.tensors(size)
        self.space["seeds"] = DRAWS

    def run(self, cell: str, pick: Callable[[str], float] | None = None) -> None:
        """Run a cell; ``pick`` takes a way and gives its rate."""
        tree = ast.parse(self.cells[cell])
        for node in ast.walk(tree):
            values = node.values if isinstance(node, ast.Dict) else []
            if pick and all(isinstance(getattr(v, "value", 0), float) for v in values):
                for key, value in zip(getattr(node, "keys", []), values):
                    value.value = pick(key.value)
        exec(compile(tree, cell, "exec"), self.space)
        plt.close("all")

    def rounds(self, cell: str, read: Callable[[], dict], *then: str) -> Iterator[Row]:
        """Run a cell once for each rate; yield a row for each way that tries it."""
        for i in self.tried:
            self.run(cell, lambda arm, i=i: rates(arm)[i])
            for next_cell in then:
                self.run(next_cell)
            for (arm, epochs), scores in read().items():
                yield row(arm, rates(arm)[i], epochs, scores)


def still_batch_norm(lesson: Lesson, kept: int) -> Iterator[Row]:
    """Tune with the batch-norm of the kept stages standing still."""
    s = lesson.space
    for lr in (RATES[i] for i in lesson.tried):
        scores = []
        for draw in DRAWS:
            model = s["start_from"](kept, draw)
            for layer in sum(s["groups"][:kept], []):
                tl.freeze_batch_norm(model.get_submodule(layer))
            rows = s["task"].rows(s["n"], draw)
            s["train"](model, s["x"], rows, draw, epochs=20, lr=lr)
            scores.append(s["score"](model))
        yield row(f"tuned, {kept} stages, still", lr, 20, scores)


def search(lesson: Lesson) -> Iterator[Row]:
    """Yield a row for each way and rate."""
    read = lambda name: lesson.space[name].items()  # noqa: E731
    yield from lesson.rounds(
        "nb03-23",
        lambda: {
            (f"{way}, {k} stages", 20): scores
            for way, curve in read("curves")
            for k, scores in curve.items()
        },
    )
    for kept in (3, 5):
        yield from still_batch_norm(lesson, kept)
    yield from lesson.rounds(
        "nb03-27",
        lambda: {
            (f"{way}, {epochs} epochs", epochs): scores
            for way, curve in read("longer")
            for epochs, scores in curve.items()
        },
    )
    lesson.run("nb03-27")  # the old networks, at the chosen rates
    lesson.run("nb03-29")
    yield from lesson.rounds(
        "nb03-31",
        lambda: {(arm, 20): s for arm, s in read("arms") if "as it is" not in arm},
        "nb03-31b",
    )


def earlier(tried: list[int]) -> Iterator[Row]:
    """Yield the table's rows of the rates that are not tried again."""
    with OUT.open(newline="", encoding="utf-8") as file:
        for arm, lr, epochs, draws, valid, _ in list(csv.reader(file))[1:]:
            if rates(arm).index(float(lr)) not in tried:
                yield arm, float(lr), int(epochs), int(draws), float(valid)


def main(tried: list[int]) -> None:
    """Search, mark the best rate of each way of the notebook, write the table."""
    plt.switch_backend("agg")
    lesson, found = Lesson(tried), list(earlier(tried))
    for line in search(lesson):
        print(*line, flush=True)
        found.append(line)
    arms = list(dict.fromkeys(line[0] for line in found))
    found.sort(key=lambda line: (arms.index(line[0]), line[1]))
    best = {}
    for line in sorted(found, key=lambda line: -line[4]):
        best.setdefault(line[0], line)
    with OUT.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["arm", "lr", "epochs", "draws", "valid", "chosen"])
        for line in found:
            used = line[0] in lesson.space["rate"] and line == best[line[0]]
            table.writerow([*line, int(used)])


if __name__ == "__main__":
    main([int(i) for i in sys.argv[1:]] or list(range(len(RATES))))
