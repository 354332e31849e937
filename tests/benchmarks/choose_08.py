"""Choose the rates of notebook 08's students, on valid.

    python tests/benchmarks/choose_08.py

Runs the notebook as far as it defines a student and tries five rates, without free
texts (labels alone) and with all of them (distilled), on the same draws, each with its
own teacher. The highest mean accuracy wins. The test set is not looked at. Writes
``data/studies/choices_08.csv``.
"""

from __future__ import annotations

import matplotlib
import numpy as np
from lesson_cells import keep_choices, run_cells

DRAWS = range(100, 105)  # other draws of the labels than the lesson's
RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


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
            table.append([arm, lr, len(right), round(np.mean(right), 4)])
            print(*table[-1], flush=True)
    keep_choices("08", table, "arm lr draws valid")


if __name__ == "__main__":
    main()
