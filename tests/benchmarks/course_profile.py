"""Where a run of the course spends its seconds, cell by cell.

``python tests/benchmarks/course_profile.py [FOLDER]``

Reads the times that papermill left in ``build/course``, so it costs nothing. Run
``make course`` first, with nothing else beside it. Cells are counted from 0.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEAST = 20  # seconds


def cells(path: Path) -> list[tuple[float, int, str]]:
    """Return seconds, place and what is computed, of every cell that ran."""
    found = []
    for i, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        seconds = cell["metadata"].get("papermill", {}).get("duration") or 0
        lines = [s for s in "".join(cell["source"]).splitlines() if s.strip()]
        if cell["cell_type"] == "code" and lines:
            found.append((seconds, i, lines[-1].strip()[:60]))
    return found


def main(folder: Path) -> None:
    """Print the seconds of each notebook, and those of its longest cells."""
    lessons = {path.stem: cells(path) for path in sorted(folder.glob("*.ipynb"))}
    if not lessons:
        raise SystemExit(f"{folder} holds no run. Run `make course` first.")
    whole = sum(s for found in lessons.values() for s, *_ in found)
    print("| notebook | seconds | in cells of 20 s and more | share of these |")
    print("|---|---|---|---|")
    for name, found in lessons.items():
        total = sum(s for s, *_ in found)
        long = sorted((c for c in found if c[0] >= LEAST), reverse=True)
        listed = ", ".join(f"[{i}] {s:.0f}" for s, i, _ in long)
        share = sum(s for s, *_ in long) / total
        print(f"| {name[:2]} | {total:.0f} | {listed or '—'} | {share:.0%} |")
    print(f"| all | {whole:.0f} | | |")


if __name__ == "__main__":
    main(Path(*sys.argv[1:2] or [ROOT / "build" / "course"]))
