"""The command ``tlhelpers``: run, study, doctor, download, publish, badges."""

from __future__ import annotations

import argparse
import errno
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from . import datasets, publish, runner, session, sources
from .errors import CourseError

OK, FAIL = "[OK]  ", "[FAIL]"
Finding = tuple[bool, str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0: all went well; 1: a notebook failed, a claim does not hold or a check of the
    doctor failed; 2: the input was wrong, said in one paragraph; 130: Ctrl-C.
    """
    # Windows consoles may not know ✔; printing must not fail there.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except CourseError as error:
        print(f"✘ {error}", file=sys.stderr)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        print(f"✘ {error}\n→ Choose another place with --out.", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped with Ctrl-C", file=sys.stderr)
        return 130
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tlhelpers", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, function: Callable, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(command=function)
        return command

    run = add("run", _run, "execute notebooks, measure them, judge their claims")
    run.add_argument("numbers", nargs="*", metavar="NN", help="01 02 …; all if none")
    run.add_argument("--profile", default="auto", help="auto, mini or full")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument(
        "-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE")
    )
    run.add_argument("--out", type=Path, default=Path("build/course"))
    study = add(
        "study", _study, "run one notebook with many seeds: data/studies/NN.json"
    )
    study.add_argument("number", metavar="NN")
    study.add_argument("--seeds", type=int, default=10)
    study.add_argument("--out", type=Path, default=Path("build/study"))
    add("doctor", _doctor, "check this machine: packages, memory, data, network")
    add("download", _download, "fetch the data sets of the full profile")
    publishing = add(
        "publish", _publish, "write measured figures into notebooks, README"
    )
    publishing.add_argument(
        "folder", nargs="?", type=Path, default=Path("build/course")
    )
    badges = add("badges", _badges, "point badges and first cells at a repository")
    badges.add_argument("repository", metavar="OWNER/NAME")
    return parser


def _run(options: argparse.Namespace) -> int:
    parameters = {name: runner.literal(value) for name, value in options.p}
    results = runner.run_course(
        options.numbers,
        out=options.out.resolve(),
        profile=options.profile,
        seed=options.seed,
        parameters=parameters,
    )
    print(runner.table(results))
    print(f"pages: {options.out / 'index.html'}")
    if any(n["status"] == "interrupted" for n in results["notebooks"]):
        return 130
    return 0 if runner.succeeded(results) else 1


def _study(options: argparse.Namespace) -> int:
    path = runner.run_study(options.number, seeds=options.seeds, out=options.out)
    print(f"wrote {path}")
    return 0


def _download(options: argparse.Namespace) -> int:
    task = datasets.load_pets("full")
    print(f"{OK} {task.card['title']}: {len(task.train)} + {len(task.test)} pictures")
    return 0


def _publish(options: argparse.Namespace) -> int:
    for path in publish.publish(options.folder):
        print(f"wrote {path}")
    return 0


def _badges(options: argparse.Namespace) -> int:
    for path in publish.set_repository(options.repository):
        print(f"wrote {path}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    """Print one line per check; each failure says the next step."""
    failed = False
    for check in (
        _python,
        _packages,
        _device,
        _memory,
        _disk,
        _data,
        _source,
        _network,
    ):
        for good, text, step in check():
            failed |= not good
            print(
                f"{OK if good else FAIL} {text}"
                + ("" if good else f"\n       → {step}")
            )
    return int(failed)


def _python() -> list[Finding]:
    good = (3, 10) <= sys.version_info[:2]
    return [
        (good, f"Python {platform.python_version()}", "Install Python 3.10 or newer.")
    ]


def _packages() -> list[Finding]:
    from packaging.requirements import Requirement

    found: list[Finding] = []
    for line in requires("tlhelpers") or []:
        need = Requirement(line)
        if need.marker and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            have = version(need.name)
        except PackageNotFoundError:
            have = ""
        good = bool(have) and need.specifier.contains(have, prereleases=True)
        step = f'Run `pip install -c constraints.txt "{need}"`.'
        found.append((good, f"{need.name} {have or 'missing'}", step))
    return found


def _device() -> list[Finding]:
    gpu = session.default_device() == "cuda"
    note = "" if gpu else " (no GPU: the bundled data need none)"
    return [
        (True, f"device {session.hardware()}, {session.fast_precision()}{note}", "")
    ]


def _memory() -> list[Finding]:
    import psutil

    free = psutil.virtual_memory().available / 2**30
    return [
        (free >= 2, f"{free:.1f} GB of memory free", "Close programs: 2 GB needed.")
    ]


def _disk() -> list[Finding]:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return [(free >= 0.5, f"{free:.1f} GB of disk free", "Free 0.5 GB of disk.")]


def _data() -> list[Finding]:
    found: list[Finding] = []
    for card in sorted(session.data_folder().glob("*/card.json")):
        try:
            rows = datasets.read_manifest(card.parent)
            text = (
                f"data/{card.parent.name}: {len(rows)} files, sha256 as in the manifest"
            )
            found.append((True, text, ""))
        except CourseError as error:
            found.append((False, error.problem, error.next_step))
    return found


def _source() -> list[Finding]:
    import timm

    name = sources.LITE0_CARD["title"]
    try:
        sources.lite0_weights(timm.create_model("tf_efficientnet_lite0"))
        return [(True, f"source model {name}, sha256 as published", "")]
    except CourseError as error:
        return [(False, error.problem, error.next_step)]


def _network() -> list[Finding]:
    reach = session.hub_reachable()
    text = (
        "model hub reached"
        if reach
        else "model hub not reached (mini needs no network)"
    )
    return [(True, text, "")]
