"""Draw the source task "drawn shapes": flat geometric shapes, 64 x 64 pixels.

Nothing of this is bundled: a source model is trained on these pictures to be a poor
one.  A shape has an outline and one colour, and no texture at all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

# The neighbours must be found however this file is loaded, by path included.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from drawing_program import picture_rng
from painting import Array, Pen, ellipse, mirrored, mix

SIDE = 64  # pixels
OVERSAMPLE = 2  # drawn this many times larger, then averaged down: smooth edges
CONTRAST = 90.0  # least distance of a shape's colour from its background, 0 to 441
BACKGROUNDS = ("plain", "gradient", "noisy")


# ---------------------------------------------------------------- outlines


def star_points(tips: int, hollow: float) -> Array:
    """Return a star: tips on the unit circle, notches at ``hollow`` of its radius."""
    angle = np.arange(2 * tips) * np.pi / tips
    radius = np.where(np.arange(2 * tips) % 2, hollow, 1.0)
    return np.stack([radius * np.sin(angle), -radius * np.cos(angle)], 1)


def polygon(corners: int) -> Array:
    """Return a regular polygon."""
    angle = np.arange(corners) * 2 * np.pi / corners
    return np.stack([np.sin(angle), -np.cos(angle)], 1)


def circle(rng: np.random.Generator) -> Array:
    return ellipse(0, 0, 1, 1)


def oval(rng: np.random.Generator) -> Array:
    return ellipse(0, 0, 1, rng.uniform(0.45, 0.7))


def half_disc(rng: np.random.Generator) -> Array:
    t = np.linspace(0, np.pi, 24)
    return np.stack([np.cos(t), 0.5 - np.sin(t)], 1)


def ring(rng: np.random.Generator) -> Array:
    """Return a disc with a hole: out along the rim, back along the hole."""
    rim, hole = ellipse(0, 0, 1, 1), ellipse(0, 0, 1, 1) * rng.uniform(0.45, 0.75)
    return np.concatenate([rim, rim[:1], hole[:1], hole[::-1]])


def crescent(rng: np.random.Generator) -> Array:
    t = np.linspace(-2.3, 2.3, 32)
    outer = np.stack([np.cos(t), np.sin(t)], 1)
    (tip_x, tip_y), depth = outer[-1], rng.uniform(-0.1, 0.35)
    back = np.linspace(1, -1, 24)[1:-1]
    bow = tip_x + (depth - tip_x) * (1 - back**2)
    return np.concatenate([outer, np.stack([bow, tip_y * back], 1)])


def square(rng: np.random.Generator) -> Array:
    return polygon(4)


def triangle(rng: np.random.Generator) -> Array:
    return polygon(3) * (rng.uniform(0.8, 1.1), 1)


def pentagon(rng: np.random.Generator) -> Array:
    return polygon(5)


def star(rng: np.random.Generator) -> Array:
    return star_points(int(rng.integers(5, 8)), rng.uniform(0.35, 0.5))


def cross(rng: np.random.Generator) -> Array:
    w = rng.uniform(0.2, 0.38)
    arm = np.array([(-w, -1), (w, -1), (w, -w)])
    turn = np.array([(0, 1), (-1, 0)])
    return np.concatenate([arm @ np.linalg.matrix_power(turn, k) for k in range(4)])


def arrow(rng: np.random.Generator) -> Array:
    w, neck = rng.uniform(0.12, 0.26), rng.uniform(-0.3, 0.1)
    return np.array(mirrored([(0, -1), (0.7, neck), (w, neck), (w, 1)]))


def heart(rng: np.random.Generator) -> Array:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    y = sum(a * np.cos(k * t) for k, a in ((1, 13), (2, -5), (3, -2), (4, -1)))
    return np.stack([16 * np.sin(t) ** 3, -y], 1) / 16


def zigzag(rng: np.random.Generator) -> Array:
    """Return a band that goes up and down."""
    turns, width = int(rng.integers(4, 7)), rng.uniform(0.3, 0.45)
    x = np.linspace(-1, 1, turns)
    y = np.where(np.arange(turns) % 2, 0.4, -0.4)
    low, high = np.stack([x, y + width / 2], 1), np.stack([x, y - width / 2], 1)
    return np.concatenate([low, high[::-1]])


def drop(rng: np.random.Generator) -> Array:
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    wide = np.sin(t) * np.sin(t / 2) ** rng.uniform(1.5, 2.5)
    return np.stack([0.85 * wide, -np.cos(t)], 1)


SHAPES: dict[str, Callable[[np.random.Generator], Array]] = {
    "arrow": arrow,
    "circle": circle,
    "crescent": crescent,
    "cross": cross,
    "drop": drop,
    "half disc": half_disc,
    "heart": heart,
    "oval": oval,
    "pentagon": pentagon,
    "ring": ring,
    "square": square,
    "star": star,
    "triangle": triangle,
    "zigzag": zigzag,
}
SOURCE_LABELS = tuple(SHAPES)


# ---------------------------------------------------------------- one picture


def two_colours(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return two colours that can be told apart, 0 to 255."""
    while True:
        a, b = rng.uniform(0, 255, (2, 3))
        if np.linalg.norm(a - b) > CONTRAST:
            return a, b


def draw_background(colour: Array, kind: str, rng: np.random.Generator) -> Array:
    """Return an empty picture, shape (64, 64, 3), 0 to 255."""
    page = np.broadcast_to(colour.astype(np.float32), (SIDE, SIDE, 3))
    if kind == "gradient":
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.6)
        y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE - 0.5
        slope = (np.cos(angle) * x + np.sin(angle) * y) * reach
        page = page * (1 + slope[..., None])
    elif kind == "noisy":
        noise = rng.standard_normal((SIDE, SIDE, 3), np.float32)
        page = page + rng.uniform(6, 30) * noise
    return page


def cover(outline: Array, rng: np.random.Generator) -> Array:
    """Place a shape at random; return how much of each pixel it covers, 0 to 1."""
    side = SIDE * OVERSAMPLE
    size = side * rng.uniform(0.14, 0.4)
    pen = Pen(*rng.uniform(size, side - size, 2), size, 1, rng.uniform(0, 2 * np.pi))
    image = Image.new("L", (side, side))
    ImageDraw.Draw(image).polygon(pen.pixels(outline).ravel().tolist(), fill=255)
    small = image.resize((SIDE, SIDE), Image.BOX)
    return np.asarray(small, np.float32) / 255


def source_picture(seed: int, index: int) -> tuple[Image.Image, int]:
    """Draw one picture of the source task.

    Parameters
    ----------
    seed : int
        Seed of the whole set, 0 or more.
    index : int
        Number of the picture, 0 or more. Labels follow each other in turn, so any
        ``len(SOURCE_LABELS)`` neighbours hold one picture of each.

    Returns
    -------
    image : PIL.Image.Image
        The RGB picture, 64 px.
    label : int
        Which of ``SOURCE_LABELS``.
    """
    label = index % len(SOURCE_LABELS)
    rng = picture_rng(seed, "source", label, index)
    colour, ground = two_colours(rng)
    page = draw_background(ground, BACKGROUNDS[rng.integers(3)], rng)
    shape = cover(SHAPES[SOURCE_LABELS[label]](rng), rng)
    rgb = mix(page, colour, shape[..., None])
    return Image.fromarray(rgb.clip(0, 255).astype(np.uint8)), label
