"""Build the site once for all tests, and read its pages."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from notebook_tools import ROOT

PAGES = ROOT / "docs" / "site" / "pages.py"
NEEDED = ("myst_nb", "sphinx_book_theme")


def build_site(out: Path) -> Path:
    """Run the command of `make site`, with the network cut; it must say nothing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f'{missing[0]} is missing: pip install -e ".[site]"')
    offline = [str(ROOT / "tests" / "offline"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(offline)}
    done = subprocess.run(
        [sys.executable, PAGES, out],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    assert "warning" not in (done.stdout + done.stderr).lower()
    return out


def files(site: Path, ending: str = "html") -> list[str]:
    """Name the pages, from the root of the site; the theme's own files are none."""
    found = (p.relative_to(site).as_posix() for p in site.rglob(f"*.{ending}"))
    return sorted(name for name in found if not name.startswith("_static/"))


@functools.cache
def soup(path: Path):
    """Parse a page."""
    from bs4 import BeautifulSoup

    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
