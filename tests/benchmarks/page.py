"""The page of a project, one visitor and thirty: python tests/benchmarks/page.py FOLDER

Starts `tlhelpers serve FOLDER`, lets visitors come all at once, each with several
requests one after the other, and prints a table in Markdown: the highest memory of all
processes of the page, answers that were lost, seconds from sending to the answer.
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
    """Return the memory of a process and all that it started, in megabytes.

    What processes share is counted once where the system tells (Linux).
    """
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            full = one.memory_full_info()
        except psutil.Error:
            continue
        total += getattr(full, "pss", full.rss)
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


def visit(address: str, given: list[tuple[str, bytes | str]]) -> list[float | None]:
    """Send one thing after the other; return the seconds of each, None where lost."""
    times: list[float | None] = []
    with httpx.Client(base_url=address, timeout=300) as page:
        for name, content in given:
            since = time.perf_counter()
            part = (None, content) if isinstance(content, str) else (name, content)
            try:
                reply = page.post("/", files={"given": part})
                own = name in reply.text and re.search(r"<h2>.* %</h2>", reply.text)
                fine = reply.status_code == 200 and own
            except httpx.HTTPError:
                fine = False
            times.append(time.perf_counter() - since if fine else None)
    return times


def measure(address: str, visitors: int, requests: int, size: tuple[int, int]):
    """Let visitors come at once; return what each waited for each answer."""
    if "<textarea" in httpx.get(address).text:
        numbers = range(visitors * requests)
        given = [(f"“{i} The meeting", f"{i} {TEXT * 20}") for i in numbers]
    else:
        files = [picture(i, *size) for i in range(min(20, visitors * requests))]
        names = [f"picture {i}.jpg" for i in range(visitors * requests)]
        given = [(n, files[i % len(files)]) for i, n in enumerate(names)]
    parts = [given[i::visitors] for i in range(visitors)]
    with ThreadPoolExecutor(visitors) as crowd:
        return [
            t for times in crowd.map(visit, [address] * visitors, parts) for t in times
        ]


def main(arguments: list[str]) -> None:
    """Print a row for each number of visitors, and the ratio of last to first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--visitors", type=int, nargs="+", default=[1, 30])
    parser.add_argument("--requests", type=int, default=5, help="of each visitor")
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
            # One visitor alone takes as many turns as a few do, for a stable median.
            requests = options.requests * (4 if visitors == 1 else 1)
            with Watched(process) as watched:
                times = measure(address, visitors, requests, options.size)
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
