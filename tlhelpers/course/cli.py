"""The command ``tlhelpers``: run, study, doctor, download, serve."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# Import nothing slow here, so that Ctrl-C works from the first second.
from ..errors import CourseError, need


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments : sequence of str or None
        What stands behind ``tlhelpers``; None: what was typed.

    Returns
    -------
    int
        0: all went well; 1: a notebook failed, a claim does not hold or a check of the
        doctor failed; 2: the input was wrong, said in one paragraph; 130: Ctrl-C;
        141: the output was closed.
    """
    # Windows consoles may not know ✔; printing must not fail there.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    options = vars(_parser().parse_args(arguments))
    command = options.pop("command")
    try:
        status = command(**options) or 0
        sys.stdout.flush()
        return status
    except CourseError as error:
        print(f"✘ {error}", file=sys.stderr)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        next_step = "Check permissions and free disk space, or choose another place."
        print(f"✘ {error}\n→ {next_step}", file=sys.stderr)
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
    run.add_argument("-p", nargs=2, action="append", metavar=("NAME", "VALUE"))
    run.add_argument("--out", type=Path, default=Path("build/course"))
    study = add("study", _study, "run notebooks with many seeds: data/studies/")
    study.add_argument("numbers", nargs="+", metavar="NN", help="01 02 …, or all")
    study.add_argument("--seeds", type=int, default=10)
    study.add_argument("--scheduler", help="of Dask; none: this machine alone")
    study.add_argument("--out", type=Path, default=Path("build/study"))
    add("doctor", _doctor, "check this machine: packages, memory, data, network")
    add("download", _download, "fetch the photographs of the full profile")
    serving = add("serve", _serve, "show a finished project as a page in the browser")
    serving.add_argument("folder", type=Path, help="what project.save(folder) wrote")
    serving.add_argument("--port", type=int, default=0, help="0, the default: any")
    serving.add_argument("--no-browser", action="store_false", dest="open_browser")
    return parser


def _later(room: str, name: str, extra: str = "run") -> Callable[..., Any]:
    """Import the room of a command when it is called: few need every package."""
    return lambda **given: getattr(need(room, extra, __package__), name)(**given)


_download = _later(".doctor", "download")
_study = _later(".study", "run_study", "study")
_serve = _later("..project.page", "serve", "serve")


def _run(numbers: list[str], p: list[list[str]] | None, out: Path, **more: Any) -> int:
    run, publish = (need(f".{m}", "run", __package__) for m in ("run", "publish"))
    results = run.run_course(numbers, out=out, parameters=dict(p or []), **more)
    publish.write_pages(out, results)
    status = [entry["status"] for entry in results["notebooks"]]
    minutes = sum(entry["seconds"] for entry in results["notebooks"]) / 60
    passed = f"{status.count('passed')} of {len(status)} notebooks passed"
    print(f"{passed} in {minutes:.1f} minutes\npages: {out / 'index.html'}")
    stopped = "interrupted" in status or "stopped" in results
    return 130 if stopped else int(set(status) != {"passed"})


def _doctor() -> int:
    return int(not _later(".doctor", "check_machine")())
