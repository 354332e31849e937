"""Write tests/colab.txt: what Colab has installed, by its own account.

    python tests/refresh_colab.py SOURCE [--about TEXT]
    python tests/refresh_colab.py --old

SOURCE is the address or the path of ``pip-freeze.gpu.txt``, which Colab's makers keep
in github.com/googlecolab/backend-info. ``--old`` writes nothing; it prints what the
oldest row of the workflow installs: Colab's versions of what is old there.
"""

from __future__ import annotations

import argparse
import re
from datetime import date
from pathlib import Path
from urllib.request import urlopen

PINNED = re.compile(r"([\w.-]+)==(\S+)")
#: What was installed from a file or a repository; a file's name tells its version.
FETCHED = re.compile(r"([\w.-]+) @ \S+")
FILE = re.compile(r"/[\w.]+-([\w.+!]+?)(?:-[\w.-]+\.whl|\.tar\.gz|\.zip)(?:#\S*)?$")

#: What Colab has in versions that other machines have left behind.
OLD = ("ipywidgets", "ipython", "ipykernel", "pandas", "numpy", "scikit-learn")
LIST = Path(__file__).with_name("colab.txt")


def read(text: str) -> tuple[dict[str, str], list[str]]:
    """Return name → version, and the names of which the list tells no version."""
    versions, unknown = {}, []
    for line in map(str.strip, text.splitlines()):
        if pin := PINNED.fullmatch(line):
            versions[pin[1]] = pin[2]
        elif fetched := FETCHED.fullmatch(line):
            if file := FILE.search(line):
                versions[fetched[1]] = file[1]
            else:
                unknown.append(fetched[1])
        elif line and not line.startswith("#"):
            raise ValueError(f"What does this line mean? {line!r}")
    return versions, unknown


def old() -> dict[str, str]:
    """Return name → version of what is old on Colab, by the list beside this file."""
    versions, _ = read(LIST.read_text(encoding="utf-8"))
    return {name: versions[name] for name in OLD}


def main() -> None:
    """Write the file beside this program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("source", nargs="?", help="address or path of pip-freeze.gpu.txt")
    what.add_argument("--old", action="store_true", help="print pins, write nothing")
    parser.add_argument("--about", help="source and date, if not SOURCE and today")
    options = parser.parse_args()
    if options.old:
        print(*(f"{name}=={version}" for name, version in old().items()))
        return
    if "://" in options.source:
        with urlopen(options.source, timeout=60) as answer:
            text = answer.read().decode("utf-8")
    else:
        text = Path(options.source).read_text(encoding="utf-8")
    versions, unknown = read(text)
    about = options.about or f"{options.source}, read on {date.today()}"
    lines = [f"# Colab's packages, for test_colab.py. {about}."]
    if unknown:
        lines.append(f"# Left out, because no version is given: {', '.join(unknown)}.")
    lines += [f"{name}=={version}" for name, version in versions.items()]
    LIST.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(versions)} versions")


if __name__ == "__main__":
    main()
