"""Choose the rates of notebook 08's students, on valid.

    python tests/benchmarks/choose_08.py

Runs the notebook as far as it defines a student and tries five rates, without free
texts (labels alone) and with all of them (distilled), on the same draws, each with its
own teacher; then five rates for each student of flowers: alone, hard, soft; for soft,
at each of five temperatures. The highest mean accuracy wins. The test set is not looked
at. Writes ``data/studies/choices_08.csv``; the rates at the other temperatures stand
there as remarks.
"""

from __future__ import annotations

from itertools import product

import matplotlib
import numpy as np
from lesson_cells import keep_choices, run_cells
from sklearn.linear_model import LogisticRegression

DRAWS = range(100, 105)  # other draws of the labels than the lesson's
RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
HEAT = (0.25, 0.5, 1.0, 2.0, 5.0)
FLOWERS = ("load_flowers", "laps = ", "judge = ")  # the lesson's cells about them


def main() -> None:
    """Try all rates, print the table, write it."""
    matplotlib.use("Agg")
    nb = run_cells("08", "def distilled", skip=["tl.check", "plot.bar"])
    tl, told, draw = nb["tl"], nb["told"], nb["draw"]
    for seed in DRAWS:
        x, y = nb["numbers"](draw(seed))
        told[seed] = nb["ask"](nb["learn"](draw(seed), seed), x), x, y
    table = []
    for arm, amount, alpha in (
        ("labels alone", 0, 0.0),
        ("distilled", nb["most"], 0.5),
    ):
        for lr in RATES:
            right = tl.side_by_side(
                lambda *job: tl.evaluate(nb["distilled"](*job), nb["valid"]),
                [(seed, amount, lr, alpha) for seed in DRAWS],
            )
            table.append([arm, lr, None, len(right), round(np.mean(right), 4)])
            print(*table[-1], flush=True)
    table += flowers(nb)
    keep_choices("08", table, "arm lr temperature draws valid")


def flowers(nb: dict) -> list[list]:
    """Try all rates and temperatures for each kind, on few labels and on many."""
    nb |= {"SEED": DRAWS[0], "LogisticRegression": LogisticRegression}
    run_cells("08", FLOWERS[-1], only=FLOWERS, before="for (way, k", names=nb)
    x, y = nb["flowers"].valid.tensors(32)
    nb["final"], table = (x / 127.5 - 1, y), []
    for way, heats in (("alone", [None]), ("hard", [1.0]), ("soft", HEAT)):
        mine = [job for job in nb["queue"] if job[0] == way]
        tried = {heat: [] for heat in heats}
        for heat, lr in product(heats, RATES):
            how = {"lr": lr} | ({"temperature": heat} if heat else {})
            right = nb["tl"].side_by_side(nb["judge"], [(*job, how) for job in mine])
            row = [way, lr, heat, len(right), round(np.mean(right), 4)]
            tried[heat].append(row)
            print(*row, flush=True)
        best = max(heats, key=lambda heat: max(row[-1] for row in tried[heat]))
        for heat in heats:
            if heat != best:
                tried[heat] = [[f"{way}, T = {heat:g}", *r[1:]] for r in tried[heat]]
            table += tried[heat]
    return table


if __name__ == "__main__":
    main()
