"""Time and memory of the search for near-duplicates, on made-up examples.

    python tests/benchmarks/near_duplicates.py [50000] [--kind rare]

Texts have 30 words, all equally frequent out of 400,000 ("rare") or as frequent as in a
language ("zipf"); thumbnails ("pictures") are noise. One in a hundred is a copy. A run
tries one kind, so that its memory is measured alone.
"""

from __future__ import annotations

import argparse
import resource
from time import perf_counter

import numpy as np

from tlhelpers import duplicates
from tlhelpers.tasks import TextSplit, TextTask

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def name(number: int) -> str:
    """Write a number with four letters."""
    return "".join(LETTERS[number // 26**k % 26] for k in range(4))


def texts(n: int, kind: str) -> TextTask:
    """Make a task of n texts, all but a few in train."""
    rng, different = np.random.default_rng(0), 400_000
    rank = 1 / np.arange(1, different + 1)
    p = rank / rank.sum() if kind == "zipf" else None
    words = rng.choice(different, (n, 30), p=p)
    words[-(n // 100) :] = words[: n // 100]
    written = [" ".join(map(name, row)) for row in words.tolist()]
    parts = (written[:-200], written[-200:-100], written[-100:])
    splits = [TextSplit(tuple(part), np.zeros(len(part), int)) for part in parts]
    return TextTask(kind, ("a",), *splits)


def thumbnails(n: int) -> np.ndarray:
    """Make n thumbnails of noise, mean 0 and length 1, float32."""
    v = np.random.default_rng(0).standard_normal((n, 256), dtype=np.float32)
    v -= v.mean(axis=1, keepdims=True)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    v[-(n // 100) :] = v[: n // 100]
    return v


def main() -> None:
    """Read the command line, search, print seconds and megabytes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("n", type=int, nargs="?", default=50_000)
    parser.add_argument("--kind", choices=["rare", "zipf", "pictures"], default="rare")
    args = parser.parse_args()
    limit = duplicates.NEARLY["pictures"]
    made = thumbnails(args.n) if args.kind == "pictures" else texts(args.n, args.kind)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = perf_counter()
    if args.kind == "pictures":
        found = sum(len(i) for i, *_ in duplicates._pairs(made, limit))
    else:
        found = len(duplicates.near_duplicates(made))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{args.kind}, {args.n}: {perf_counter() - start:.1f} s, {found} pairs, ",
        end="",
    )
    print(f"{peak / 1024:.0f} MB at most, {before / 1024:.0f} MB before the search")


if __name__ == "__main__":
    main()
