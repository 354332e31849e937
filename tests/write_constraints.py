"""Write constraints.txt: the versions installed here, on which the tests passed."""

from __future__ import annotations

import platform
from importlib.metadata import distributions
from pathlib import Path

HEAD = """\
# The exact versions last tested together (Python {python}); `make` installs with them.
# Written by `make constraints`. On an older Python, also an older 3.11, the ranges in
# pyproject.toml decide, because several of these versions no longer support it.
"""
LEFT_OUT = {"tlhelpers", "pip", "setuptools", "wheel"}


def main() -> None:
    """Write the file beside pyproject.toml."""
    found = {
        d.metadata["Name"].lower().replace("_", "-"): d.version for d in distributions()
    }
    python = platform.python_version()
    # A build tag such as +cu126 exists on one index only: the version alone is enough.
    lines = [
        f'{name}=={version.partition("+")[0]} ; python_full_version >= "{python}"'
        for name, version in sorted(found.items())
        if name not in LEFT_OUT
    ]
    text = HEAD.format(python=python) + "\n".join(lines) + "\n"
    Path(__file__).parents[1].joinpath("constraints.txt").write_text(text)
    print(f"{len(lines)} versions")


if __name__ == "__main__":
    main()
