"""Run a lesson's own cells, so that a search tries exactly what the lesson does."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).parents[2]


def run_cells(
    number: str,
    until: str,
    skip: Collection[str] = (),
    *,
    only: Collection[str] = ("",),
    before: str = "\0",
    names: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Execute a notebook's code cells up to the first with these words.

    Cells that hold one of ``skip``, or none of ``only``, and the one that installs the
    course are left out; of the others, what stands from ``before`` on. Returns the
    names that they defined, beside those given.
    """
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    names = {} if names is None else names
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        left_out = any(word in source for word in ("%pip", *skip))
        wanted = not left_out and any(word in source for word in only)
        if cell["cell_type"] == "code" and wanted:
            exec(source.partition(before)[0], names)
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
