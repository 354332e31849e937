"""Run one notebook with many seeds: where its figures lie, ``data/studies/NN.json``."""

import json
from collections import Counter, defaultdict
from pathlib import Path

from ..errors import CourseError
from ..machine import data_folder
from .run import claims, environment, replace_text, run_course


def run_study(number: str, *, seeds: int, out: Path) -> None:
    """Run one notebook with many seeds and keep every figure it records.

    Writes ``data/studies/NN.json``: the scores by metric, the machine, the command.

    Parameters
    ----------
    number : str
        Number of the notebook, "01".
    seeds : int
        How many runs, >= 2. Their seeds start at 1,000, so that no ordinary run
        repeats one of them, and lie 100 apart, so that no two runs share one.
    out : Path
        Gets the executed notebook of the last run.

    Raises
    ------
    CourseError
        If a run fails or fewer than two seeds are asked for.
    """
    if seeds < 2:
        raise CourseError("A study needs at least 2 seeds.", "Use --seeds 10.")
    metrics: defaultdict[str, list[float]] = defaultdict(list)
    held: Counter[str] = Counter()
    # A run uses the seeds after its own, too: neighbours would share most of them.
    numbers = range(1000, 1000 + 100 * seeds, 100)
    for seed in numbers:
        (entry,) = run_course([number], out=out, profile="mini", seed=seed)["notebooks"]
        if None in entry["metrics"].values():
            entry["status"] = "recorded a value that is not finite"
        if entry["status"] not in ("passed", "claim does not hold"):
            raise CourseError(f"Seed {seed}: run {entry['status']}.", "See above.")
        for name, value in entry["metrics"].items():
            metrics[name].append(round(value, 4))
        held.update({c["text"]: int(c["holds"]) for c in claims(entry)})
    study = {
        "command": f"tlhelpers study {number} --seeds {seeds}",
        "environment": environment(),
        "seeds": list(numbers),
        "claims_held": held,
        "metrics": metrics,
    }
    path = data_folder() / "studies" / f"{number.zfill(2)}.json"
    replace_text(path, json.dumps(study, indent=1) + "\n")
    print(f"wrote {path}")
