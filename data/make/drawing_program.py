"""What the drawing programs share: files, manifest, card and command line."""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

SPLITS = ("train", "valid", "test")
# Streams of random numbers; "source" is drawn to train source models, never bundled.
STREAMS = (*SPLITS, "unlabelled", "source")
# Draws picture ``index`` (from 1) of a split: picture, options of PIL.save, attributes.
# The label is "" for unlabelled pictures; the first argument is the set's seed.
Draw = Callable[[int, str, str, int], tuple[Image.Image, dict, dict]]


@dataclass(frozen=True)
class DrawingProgram:
    """A drawn data set: how to draw one picture, and what the card says of all.

    ``counts`` are the numbers drawn by default: pictures per class for ``train``,
    ``valid`` and ``test``, and pictures in all for ``unlabelled``.
    """

    name: str
    title: str
    description: str
    labels: tuple[str, ...]
    attributes: tuple[str, ...]
    counts: dict[str, int]
    draw: Draw
    image_format: str  # "JPEG" or "PNG"
    format_note: str
    side: int  # pixels
    known_biases: tuple[str, ...]

    @property
    def suffix(self) -> str:
        """Return the end of the pictures' file names."""
        return {"JPEG": ".jpg", "PNG": ".png"}[self.image_format]

    def plan(self, counts: dict[str, int]) -> list[tuple[str, str, int]]:
        """List (split, label, index) of every picture to draw."""
        jobs = [
            (split, label, i + 1)
            for split in SPLITS
            for label in self.labels
            for i in range(counts[split])
        ]
        return jobs + [("unlabelled", "", i + 1) for i in range(counts["unlabelled"])]

    def prepare(self, out: Path) -> None:
        """Make room in ``out``: remove an earlier run's pictures and nothing else."""
        if out.exists() and not out.is_dir():
            raise NotADirectoryError(f"{out} is a file; --out needs a folder")
        known = (out / "manifest.csv").exists()
        if out.exists() and any(out.iterdir()) and not known:
            raise FileExistsError(
                f"{out} holds other files and no manifest.csv; choose an empty folder "
                "with --out"
            )
        for split in (*SPLITS, "unlabelled"):
            for old in sorted((out / split).glob(f"**/*{self.suffix}")):
                old.unlink()
        out.mkdir(parents=True, exist_ok=True)

    def write_picture(
        self, out: Path, seed: int, split: str, label: str, index: int
    ) -> dict:
        """Draw one picture, save it, and return its row of the manifest."""
        image, options, attributes = self.draw(seed, split, label, index)
        data = io.BytesIO()
        image.save(data, self.image_format, **options)
        name = f"{index:04d}{self.suffix}"
        file = "/".join(part for part in (split, label, name) if part)
        path = out / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.getvalue())
        digest = hashlib.sha256(data.getvalue()).hexdigest()
        row = {"file": file, "split": split, "label": label, "sha256": digest}
        return row | attributes

    def write_manifest(self, path: Path, rows: list[dict]) -> str:
        """Write the manifest and return its SHA-256."""
        text = io.StringIO()
        columns = ("file", "split", "label", "sha256", *self.attributes)
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        data = text.getvalue().encode()
        path.write_bytes(data)
        return hashlib.sha256(data).hexdigest()

    def card(self, seed: int, counts: dict[str, int], digest: str) -> dict:
        """Return the data card, without gates."""
        options = " ".join(f"--{k} {v}" for k, v in counts.items() if v or k in SPLITS)
        per_class = {k: dict.fromkeys(self.labels, counts[k]) for k in SPLITS}
        if counts["unlabelled"]:
            per_class["unlabelled"] = counts["unlabelled"]
        program = f"data/make/draw_{self.name}.py"
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "made_by": {
                "program": program,
                "command": f"python {program} --seed {seed} {options}",
            },
            "seed": seed,
            "counts": per_class,
            "classes": list(self.labels),
            "size_px": [self.side, self.side],
            "format": self.format_note,
            "licence": "CC BY 4.0",
            "sha256": digest,
            "known_biases": list(self.known_biases),
        }

    def generate(self, out: Path, seed: int, counts: dict[str, int]) -> None:
        """Draw the whole data set into ``out``.

        Raises
        ------
        FileExistsError
            If ``out`` holds files of something else.
        NotADirectoryError
            If ``out`` is a file.
        """
        self.prepare(out)
        jobs = tqdm(self.plan(counts), desc=f"drawing {self.name}", unit="picture")
        rows = [self.write_picture(out, seed, *job) for job in jobs]
        digest = self.write_manifest(out / "manifest.csv", rows)
        write_card(out / "card.json", self.card(seed, counts, digest))

    def main(self) -> int:
        """Run the program with the arguments of the command line."""
        parser = argparse.ArgumentParser(description=f"Draw {self.name}.")
        parser.add_argument("--out", type=Path, default=Path("data") / self.name)
        parser.add_argument("--seed", type=count, default=0)
        for split, number in self.counts.items():
            what = "per class" if split in SPLITS else "without a class"
            parser.add_argument(
                f"--{split}",
                type=count,
                default=number,
                help=f"pictures {what} (default {number})",
            )
        options = parser.parse_args()
        counts = {k: getattr(options, k) for k in self.counts}
        try:
            self.generate(options.out, options.seed, counts)
        except OSError as error:
            print(f"draw_{self.name}: {error}", file=sys.stderr)
            return 1
        return 0


def picture_rng(seed: int, split: str, thing: int, index: int) -> np.random.Generator:
    """Return the generator of one picture, shared with no other picture."""
    return np.random.default_rng([seed, STREAMS.index(split), thing, index])


def write_card(path: Path, card: dict) -> None:
    """Write the card, keeping measured gates if the pictures are still the same."""
    gates = {}
    if path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))
        gates = old.get("gates", {}) if old.get("sha256") == card["sha256"] else {}
    text = json.dumps(card | {"gates": gates}, indent=2, ensure_ascii=False)
    path.write_bytes((text + "\n").encode())


def count(text: str) -> int:
    """Parse a number of pictures."""
    number = int(text) if text.isdigit() else -1
    if not 0 <= number <= 9999:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 9999")
    return number
