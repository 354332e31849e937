"""Measure the promises of the course and write docs/benchmarks.md: `make bench`.

Times depend on the machine and its other work, so they are measured here and not
tested; what must hold everywhere is tested in the suite.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
MEMORY = """
import psutil, sys, torch, tlhelpers as tl
source = tl.load_source()
x = torch.randint(0, 256, (int(sys.argv[1]), 3, 96, 96), dtype=torch.uint8)
tl.extract_features(source, x[:64])
before = psutil.Process().memory_info().rss
tl.extract_features(source, x)
print((psutil.Process().memory_info().rss - before) / 2**20)
"""


def import_seconds() -> float:
    """Return the best of five times of `import tlhelpers` over a bare start."""

    def best(code: str) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times.append(time.perf_counter() - began)
        return min(times)

    return best("import tlhelpers") - best("pass")


def extraction_mb(n: int) -> float:
    """Return by how much extracting features of n pictures enlarges a process."""
    command = [sys.executable, "-c", MEMORY, str(n)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def course_rows() -> list[str]:
    """Return what the published runs took, in seconds of the README's machine."""
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    cards = [json.loads(path.read_text("utf-8"))["metadata"] for path in paths]
    runs = [card["published"] for card in cards]
    seconds = [run["seconds"] for run in runs]
    peak = max(run["peak_rss_mb"] for run in runs)
    ratio = [run["metrics"].get("times faster with cached features") for run in runs]
    cached = [f"| cached features | ≥ 10 × faster | {r:.0f} × |" for r in ratio if r]
    return [
        *cached,
        f"| whole course ({len(runs)} notebooks) | ≤ 20 minutes "
        f"| {held(sum(seconds) / 60, 20, '.1f')} |",
        f"| longest notebook | ≤ 180 s | {held(max(seconds), 180)} |",
        f"| largest notebook (shared memory once) | ≤ 2,000 MB | {held(peak, 2000)} |",
    ]


def held(value: float, most: float, form: str = ".0f") -> str:
    """Write a figure, and say so where it breaks its promise."""
    return f"{value:{form}}" + (", **not kept**" if value > most else "")


def main() -> None:
    """Measure, print and write the table."""
    small, large = extraction_mb(200), extraction_mb(2000)
    rows = [
        "| promise | limit | measured |",
        "|---|---|---|",
        f"| `import tlhelpers` | ≤ 0.5 s | {import_seconds():.3f} |",
        f"| memory added by the features of 2,000 pictures instead of 200 | flat "
        f"(features alone: 9 MB) | {large - small:+.0f} MB |",
        *course_rows(),
    ]
    said = (
        "Written by `make bench`. The notebooks' figures are those of the published "
        "runs;\ntheir times were divided by the pace of the machine."
    )
    text = f"# Benchmarks\n\n{said}\n\n" + "\n".join(rows) + "\n"
    path = ROOT / "docs" / "benchmarks.md"
    # What was measured with other commands stands below and stays.
    _, mark, below = path.read_text(encoding="utf-8").partition("\n## ")
    path.write_text(text + mark + below, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
