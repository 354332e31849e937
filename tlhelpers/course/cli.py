"""The command ``tlhelpers``: run, study, doctor, download, serve, publish, badges."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import datasets
from ..errors import CourseError
from . import publish
from . import run as runner
from .doctor import OK, check_machine


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
    add(
        "doctor",
        lambda _: int(not check_machine()),
        "check this machine: packages, memory, data, network",
    )
    add("download", _download, "fetch the data sets of the full profile")
    serving = add("serve", _serve, "show a finished project as a page in the browser")
    serving.add_argument("folder", type=Path, help="what project.save(folder) wrote")
    serving.add_argument("--port", type=int, default=0, help="0, the default: any")
    serving.add_argument(
        "--no-browser", action="store_true", help="only print the address"
    )
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
    for load in (datasets.load_pets, datasets.load_flowers):
        task = load("full")
        counts = f"{len(task.train)} + {len(task.valid)} + {len(task.test)} pictures"
        print(f"{OK} {task.card['title']}: {counts}")
    return 0


def _serve(options: argparse.Namespace) -> int:
    from ..project.page import serve

    serve(options.folder, port=options.port, open_browser=not options.no_browser)
    return 0


def _publish(options: argparse.Namespace) -> int:
    for path in publish.publish(options.folder):
        print(f"wrote {path}")
    return 0


def _badges(options: argparse.Namespace) -> int:
    for path in publish.set_repository(options.repository):
        print(f"wrote {path}")
    return 0
