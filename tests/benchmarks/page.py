"""The page of a project, one visitor and thirty: python tests/benchmarks/page.py FOLDER

Starts `tlhelpers serve FOLDER` and lets visitors send something all at the same moment,
in several rounds. Prints a table in Markdown: answers that were lost, seconds from
sending to the answer, the highest memory of all processes of the page.
"""

from __future__ import annotations

import argparse
import io
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import psutil
from PIL import Image

TEXT = "The meeting of the board was moved to Tuesday at noon. "


def picture(number: int, width: int, height: int) -> bytes:
    """Make a JPEG that no other number repeats, as smooth as a photograph."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 256, (height // 20, width // 20, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(coarse).resize((width, height)).save(out, "JPEG", quality=90)
    return out.getvalue()


def memory(process: psutil.Process) -> float:
    """Return the resident memory of a process and all that it started, in megabytes."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.Error):
            total += one.memory_info().rss
    return total / 2**20


class Watched:
    """The highest memory while something runs."""

    def __init__(self, process: psutil.Process) -> None:
        self.process, self.most, self.over = process, 0.0, threading.Event()
        self.thread = threading.Thread(target=self.look)

    def look(self) -> None:
        while not self.over.wait(0.05):
            self.most = max(self.most, memory(self.process))

    def __enter__(self) -> Watched:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def visit(address: str, name: str, content: bytes | str) -> float | None:
    """Send one thing; return the seconds to its answer, None where that is lost."""
    part = (None, content) if isinstance(content, str) else (name, content)
    since = time.perf_counter()
    try:
        reply = httpx.post(address, files={"given": part}, timeout=300)
    except httpx.HTTPError:
        return None
    seconds = time.perf_counter() - since
    own = name in reply.text and re.search(r"<h2>.* %</h2>", reply.text)
    return seconds if reply.status_code == 200 and own else None


def measure(
    address: str, visitors: int, rounds: int, size: tuple[int, int]
) -> list[float | None]:
    """Let visitors come at once, again and again; return the seconds of each answer."""
    if "<textarea" in httpx.get(address).text:
        given = [(f"“{i} The meeting", f"{i} {TEXT * 20}") for i in range(visitors)]
    else:
        given = [(f"picture {i}.jpg", picture(i, *size)) for i in range(visitors)]
    times: list[float | None] = []
    with ThreadPoolExecutor(visitors) as crowd:
        for _ in range(rounds):
            times += crowd.map(lambda thing: visit(address, *thing), given)
    return times


def main(arguments: list[str]) -> None:
    """Print a row for each number of visitors, and the ratio of last to first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--visitors", type=int, nargs="+", default=[1, 30])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, nargs=2, default=(1600, 1200))
    options = parser.parse_args(arguments)
    command = [sys.executable, "-m", "tlhelpers", "serve", str(options.folder)]
    server = subprocess.Popen(
        [*command, "--no-browser"], stdout=subprocess.PIPE, text=True
    )
    try:
        address = "http://" + server.stdout.readline().rpartition("http://")[2].strip()
        process, most = psutil.Process(server.pid), []
        measure(address, 1, 3, options.size)  # the first answers load what is lazy
        print(f"before the visitors: {memory(process):.0f} MB")
        print(
            "| visitors at once | answers | lost | median s | slowest s | memory MB |"
        )
        print("|---" * 6 + "|")
        for visitors in options.visitors:
            # One visitor alone takes more turns, for a stable median.
            rounds = options.rounds * (4 if visitors == 1 else 1)
            with Watched(process) as watched:
                times = measure(address, visitors, rounds, options.size)
            done = [t for t in times if t is not None]
            most.append(watched.most)
            seconds = f"{statistics.median(done):.2f} | {max(done):.2f}"
            lost = len(times) - len(done)
            print(
                f"| {visitors} | {len(times)} | {lost} | {seconds} | {most[-1]:.0f} |"
            )
        print(f"memory ratio {most[-1] / most[0]:.2f}, after: {memory(process):.0f} MB")
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


if __name__ == "__main__":
    main(sys.argv[1:])
