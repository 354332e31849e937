"""Pictures of two kinds, drawn by number; and where real data may lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SHARED = Path(__file__).parents[2] / "shared" / "real"


def draw(kind: str, number: int, side: int = 40) -> Image.Image:
    """Draw a picture that no other number repeats: a disc or a square on noise."""
    rng = np.random.default_rng([number, len(kind), ord(kind[0])])
    image = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
    shape = {"disc": "ellipse"}.get(kind, "rectangle")
    colour = (220, 40, 40) if kind == "disc" else (40, 40, 220)
    getattr(ImageDraw.Draw(image), shape)((8, 8, side - 8, side - 8), fill=colour)
    return image


def fill(folder: Path, kind: str, numbers: range) -> None:
    """Write the pictures of one class."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in numbers:
        draw(kind, i).save(folder / f"{kind}_{i:03d}.png")
