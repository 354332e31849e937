"""Run a lesson's own cells, so that a search tries exactly what the lesson does."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).parents[2]


def run_cells(number: str, until: str, skip: Collection[str] = ()) -> dict[str, Any]:
    """Execute a notebook's code cells up to the first with these words.

    Cells that hold one of ``skip``, and the one that installs the course, are left out.
    Returns the names that they defined.
    """
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    names: dict[str, Any] = {}
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and not any(
            w in source for w in ("%pip", *skip)
        ):
            exec(source, names)
            if until in source:
                return names
    raise LookupError(until)


def keep_choices(number: str, table: list[list], columns: str) -> None:
    """Write what was tried; mark the best of each arm on valid.

    An arm whose name has a comma is a remark: settings beside those that are compared.
    """
    found = pd.DataFrame(table, columns=columns.split())
    compared = found[~found["arm"].str.contains(",")]
    best = compared.groupby("arm")["valid"].idxmax()
    found["chosen"] = found.index.isin(best).astype(int)
    path = ROOT / "data" / "studies" / f"choices_{number}.csv"
    found.to_csv(path, index=False)
