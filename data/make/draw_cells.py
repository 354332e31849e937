"""Draw the bundled ``cells`` data set: fields of stained blood, 64 x 64 pixels.

Everything about a field is sampled without looking at the class; then parasites are put
into some cells of the infected ones.  Both classes hold the same things that look like
parasites: outside the cells, or inside them but pale.

``source_picture`` draws a source task from the same blood: which of eight kinds of
inclusion the cells hold.  Its pictures are not bundled, and share no random numbers
with those that are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos, sin
from pathlib import Path

import numpy as np
from PIL import Image

# The neighbours must be found however this file is loaded, by path included.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from drawing_program import DrawingProgram, picture_rng
from painting import Array, Colour, Pen, cloud
from pet_scenes import finish

LABELS = ("healthy", "infected")
PARASITES = ("ring", "dots", "pair")  # what the cells of an infected field may hold
SIDE = 64  # pixels
OVERSAMPLE = 2  # drawn this many times larger, then averaged down: smooth edges
QUALITY = (74, 89)
INSIDE = (2, 5)  # of the dark shapes of a field, those in cells, if any are
DEEP = (0.5, 1.0)  # how dark a parasite is, and its double outside the cells
PALE = (0.16, 0.30)  # how dark a harmless shape inside a cell is


@dataclass(frozen=True)
class Stain:
    """Describe a stain: optical densities in red, green and blue, and the light."""

    cell: Colour  # of a red cell
    dark: Colour  # of a nucleus, a platelet, a parasite
    pale: Colour  # of the body of a white cell
    light: Colour  # through empty glass, 0 to 255


# fmt: off
STAINS = {
    "giemsa": Stain((0.10, 0.40, 0.27), (1.15, 1.55, 0.70), (0.28, 0.24, 0.10),
                    (244, 239, 238)),
    "wright": Stain((0.08, 0.32, 0.38), (1.10, 1.50, 0.60), (0.24, 0.22, 0.08),
                    (246, 240, 232)),
    "leishman": Stain((0.24, 0.42, 0.20), (1.35, 1.50, 0.60), (0.34, 0.22, 0.10),
                      (238, 236, 242)),
    "field": Stain((0.16, 0.24, 0.32), (1.40, 1.20, 0.55), (0.30, 0.20, 0.12),
                   (240, 240, 230)),
    "jenner": Stain((0.36, 0.30, 0.20), (1.45, 1.35, 0.70), (0.36, 0.22, 0.12),
                    (234, 240, 242)),
    "faded": Stain((0.10, 0.22, 0.36), (0.95, 1.15, 0.75), (0.20, 0.18, 0.12),
                   (242, 236, 216)),
    "acid": Stain((0.06, 0.50, 0.42), (1.00, 1.50, 0.75), (0.26, 0.24, 0.12),
                  (246, 236, 228)),
}
# fmt: on
BROWN = np.array((0.85, 1.0, 1.25), np.float32)  # optical density of dirt
GROUNDS = {"clear": 0.4, "cloudy": 0.22, "streaked": 0.18, "granular": 0.2}
SHAPES = {"round": 0.4, "oval": 0.2, "crenated": 0.15, "mixed": 0.25}
RIPPLE = 1.08  # how far the waves of an outline reach, in radii
# Least distance between the middles of two cells, in sums of their radii.
SPACINGS = {"apart": 1.04, "touching": 0.92, "heaped": 0.68}


def choose(rng: np.random.Generator, odds: dict[str, float]) -> str:
    """Return a key with its probability."""
    return str(rng.choice(list(odds), p=list(odds.values())))


# ---------------------------------------------------------------- inclusions

# Every kind is a list of round spots (x, y, radius), in units of the cell's radius.


def line(x: Array, y: Array, r: Array | float) -> Array:
    """Return spots along a path."""
    return np.stack(np.broadcast_arrays(x, y, r), 1)


def ring(rng: np.random.Generator) -> Array:
    """Return a thin ring with one or two dots on it."""
    r, t = rng.uniform(0.26, 0.36), np.linspace(0, 2 * np.pi, 18)
    stretch = rng.uniform(0.85, 1.15)
    dots = rng.uniform(0, 2 * np.pi, 1 + (rng.random() < 0.3))
    return np.concatenate([
        line(r * np.cos(t), stretch * r * np.sin(t), 0.06),
        line(r * np.cos(dots), stretch * r * np.sin(dots), rng.uniform(0.12, 0.17)),
    ])


def dots(rng: np.random.Generator) -> Array:
    """Return a few dots beside each other."""
    n = int(rng.integers(3, 6))
    t = np.arange(n) * 2 * np.pi / n + rng.normal(0, 0.3, n)
    r = rng.uniform(0.26, 0.44, n)
    return line(r * np.cos(t), r * np.sin(t), rng.uniform(0.09, 0.14, n))


def pair(rng: np.random.Generator) -> Array:
    """Return two pears that touch with their tips."""
    open_by = rng.uniform(0.5, 1.3)
    t = np.linspace(0.1, 0.42, 5)
    return np.concatenate([
        line(t * np.cos(a), t * np.sin(a), 0.05 + 0.3 * t)
        for a in (-open_by, open_by)
    ])


def crescent(rng: np.random.Generator) -> Array:
    """Return a sickle with pointed ends."""
    t = np.linspace(-1, 1, 13)
    bend = rng.uniform(0.7, 1.1)
    x = 0.5 * np.cos(bend * t) / bend
    return line(x - x.mean(), 0.6 * np.sin(bend * t) / bend, 0.17 - 0.12 * t**2)


def rod(rng: np.random.Generator) -> Array:
    """Return a straight rod with blunt ends."""
    t = np.linspace(-0.42, 0.42, 9)
    return line(t, 0 * t, rng.uniform(0.08, 0.12))


def comma(rng: np.random.Generator) -> Array:
    """Return a dot with a bent tail."""
    t = np.linspace(0, 1, 10)
    x, y = 0.7 * t - 0.3, rng.uniform(0.25, 0.4) * (t * t - 0.3)
    return line(x, y, 0.2 * (1 - t) ** 2 + 0.05)


def net(rng: np.random.Generator) -> Array:
    """Return a ragged net of threads."""
    knots = rng.uniform(-0.42, 0.42, (6, 2))
    t = np.linspace(0, 1, 7)[:, None]
    threads = [a + (b - a) * t for a, b in zip(knots, np.roll(knots, -1, 0))]
    x, y = np.concatenate(threads).T
    return line(x, y, rng.uniform(0.05, 0.1, len(x)))


def lump(rng: np.random.Generator) -> Array:
    """Return one large uneven body."""
    x, y = rng.normal(0, 0.1, (2, 4))
    return line(x, y, rng.uniform(0.2, 0.28, 4))


INCLUSIONS: dict[str, Callable[[np.random.Generator], Array]] = {
    "comma": comma,
    "crescent": crescent,
    "dots": dots,
    "lump": lump,
    "net": net,
    "pair": pair,
    "ring": ring,
    "rod": rod,
}
SOURCE_LABELS = tuple(INCLUSIONS)


# ---------------------------------------------------------------- the slide


@dataclass(frozen=True)
class Cell:
    """Describe a cell: centre and radius in fine pixels, and its outline."""

    x: float
    y: float
    radius: float
    stretch: float
    angle: float
    waves: tuple[tuple[float, int, float], ...]  # height, number, phase
    red: bool = True

    def distance(self, dx: Array, dy: Array) -> Array:
        """Return distances from the centre; 1 is on the outline."""
        u, v = squeezed(dx, dy, self.stretch, cos(self.angle), sin(self.angle))
        theta = np.arctan2(v, u)
        outline = 1 + sum(h * np.cos(k * theta + p) for h, k, p in self.waves)
        return np.hypot(u, v) / (self.radius * outline)


def squeezed(
    dx: Array, dy: Array, stretch: float | Array, c: float | Array, s: float | Array
) -> tuple[Array, Array]:
    """Return offsets in the axes of an ellipse, in which it becomes a circle."""
    return (dx * c + dy * s) / stretch, (dy * c - dx * s) * stretch


class Slide:
    """Hold what lies in a field as the light it takes away: optical densities."""

    def __init__(self, side: int, stain: Stain, rng: np.random.Generator) -> None:
        self.side, self.stain, self.rng = side, stain, rng
        self.dark = np.array(stain.dark, np.float32)
        self.density = np.zeros((side, side, 3), np.float32)
        self.cells: list[Cell] = []
        self.loose: list[tuple[float, float, float]] = []  # x, y, radius, no cell

    def patch(self, low: Array, high: Array) -> tuple[tuple, Array, Array]:
        """Return the pixels of a box, and the places of their middles (x, y)."""
        (x0, y0), (x1, y1) = (
            [min(max(round(k), 0), self.side) for k in p.tolist()] for p in (low, high)
        )
        x, y = np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)
        return np.s_[y0:y1, x0:x1], x[None] + 0.5, y[:, None] + 0.5

    def stamp(self, spots: Array, pen: Pen, colour: Array, soft: float = 1.0) -> None:
        """Add stain under any of the round spots (x, y, radius in local units)."""
        xy = pen.pixels(spots[:, :2]).astype(np.float32)
        r = np.maximum(spots[:, 2] * pen.scale, 0.5 * OVERSAMPLE).astype(np.float32)
        reach = r.max() + soft
        where, x, y = self.patch(xy.min(0) - reach, xy.max(0) + reach)
        across, down = (x - xy[:, :1]) ** 2, (y.T - xy[:, 1:]) ** 2
        away = np.sqrt(across[:, None] + down[:, :, None]) - r[:, None, None]
        inside = (0.5 - away.min(0) / (2 * soft)).clip(0, 1)
        self.density[where] += inside[..., None] * colour

    def add_cell(self, cell: Cell, colour: Array, hollow: float, eye: float) -> None:
        """Add a red cell: thinner in its middle, where a target cell has an eye."""
        reach = cell.radius * max(cell.stretch, 1 / cell.stretch) * 1.25 + 2
        middle = np.array((cell.x, cell.y))
        where, x, y = self.patch(middle - reach, middle + reach)
        rho = cell.distance(x - cell.x, y - cell.y)
        amount = ((1 - rho) * (cell.radius / 2) + 0.5).clip(0, 1)
        near = rho * rho
        amount *= 1 - hollow * np.exp(-16 * near * near)
        if eye:
            amount += eye * np.exp(-20 * near)
        self.density[where] += amount[..., None] * colour

    def place(self, reach: float) -> tuple[float, float] | None:
        """Keep a place for a disc clear of all that lies there; None in a crowd."""
        x, y = self.rng.uniform(0.02, 0.98, (2, 40)) * self.side
        taken = [(c.x, c.y, c.radius, c.stretch, c.angle) for c in self.cells]
        taken += [(a, b, r, 1.0, 0.0) for a, b, r in self.loose]
        a, b, radius, stretch, angle = np.array(taken).T[..., None]
        u, v = squeezed(x - a, y - b, stretch, np.cos(angle), np.sin(angle))
        clear = (np.hypot(u, v) > RIPPLE * radius + reach * stretch).all(0)
        if not clear.any():
            return None
        first = int(clear.argmax())
        self.loose.append((float(x[first]), float(y[first]), reach))
        return self.loose[-1][:2]


# ---------------------------------------------------------------- what lies in a field


def make_cell(slide: Slide, shape: str, x: float, y: float, r: float) -> Cell:
    """Return a red cell of one shape at one place."""
    rng = slide.rng
    if shape == "mixed":
        shape = str(rng.choice(("round", "oval", "crenated")))
    stretch = {"oval": rng.uniform(1.1, 1.35)}.get(shape, rng.uniform(1, 1.08))
    height, number = (0.05, 9) if shape == "crenated" else (0.03, 3)
    number += int(rng.integers(0, 4))
    waves = ((height * rng.uniform(0.5, 1.2), number, rng.uniform(0, 6)),
             (0.025, 2, rng.uniform(0, 6)))
    return Cell(x, y, r, stretch, rng.uniform(0, np.pi), waves)


def add_white_cell(slide: Slide, r: float) -> None:
    """Add a white cell: a pale body, one large nucleus or several lobes."""
    rng = slide.rng
    x, y = (rng.uniform(0.05, 0.95, 2) * slide.side).tolist()
    cell = make_cell(slide, "round", x, y, r * rng.uniform(1.25, 1.6))
    cell = replace(cell, red=False)
    slide.add_cell(cell, np.array(slide.stain.pale, np.float32), 0, 0)
    slide.cells.append(cell)
    n = int(rng.choice((1, 2, 3, 4)))
    t = np.arange(n) * rng.uniform(1.1, 1.6) + rng.uniform(0, 6)
    away = 0.12 if n == 1 else 0.42
    size = rng.uniform(0.55, 0.75) if n == 1 else rng.uniform(0.26, 0.36)
    lobes = line(away * np.cos(t), away * np.sin(t), size)
    depth = rng.uniform(0.6, 0.95)
    slide.stamp(lobes, Pen(x, y, cell.radius), slide.dark * depth, 1.5)


def add_red_cells(slide: Slide, attributes: dict, r: float) -> None:
    """Fill the field with red cells, as close to each other as they are to lie."""
    rng, side = slide.rng, slide.side
    gap, reds = SPACINGS[attributes["spacing"]], []
    spread = rng.uniform(0.04, 0.12)
    hollow = rng.uniform(0.1, 0.65)
    for k in range(60):
        if len(reds) == attributes["cells"]:
            break
        low, high = (0.3, 0.7) if k == 0 else (-0.04, 1.04)
        x, y = (rng.uniform(low, high, 2) * side).tolist()
        mine = r * min(max(rng.normal(1, spread), 0.75), 1.3)
        if all(np.hypot(x - c.x, y - c.y) > gap * (mine + c.radius) for c in reds) and (
            all(np.hypot(x - c.x, y - c.y) > mine + c.radius for c in slide.cells)
        ):
            reds.append(make_cell(slide, attributes["cell_shape"], x, y, mine))
    eyes = rng.random(len(reds)) < rng.choice((0, 0, 0.15, 0.6))
    for cell, eye in zip(reds, eyes):
        colour = np.array(slide.stain.cell, np.float32) * rng.normal(1, 0.08)
        slide.add_cell(cell, colour, hollow * rng.uniform(0.7, 1.2), 0.35 * eye)
    slide.cells += reds
    attributes["cells"] = len(reds)


def add_inclusion(
    slide: Slide, kind: str, cell: Cell, depth: float, soft: float
) -> None:
    """Put one inclusion somewhere into a cell."""
    rng, r = slide.rng, cell.radius / cell.stretch
    a, away = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.3) * r
    pen = Pen(cell.x + away * cos(a), cell.y + away * sin(a),
              r * rng.uniform(0.9, 1.1), 1, rng.uniform(0, 2 * np.pi))
    slide.stamp(INCLUSIONS[kind](rng), pen, slide.dark * depth, soft)


def find_places(
    slide: Slide, kinds: tuple[str, ...], number: int, r: float
) -> list[tuple[Array, Pen]]:
    """Choose shapes that would be inclusions in a cell, and places outside all cells.

    In a crowd there may be fewer than ``number``.
    """
    rng, found = slide.rng, []
    for kind in rng.choice(kinds, number).tolist():
        spots, scale = INCLUSIONS[kind](rng), r * rng.uniform(0.85, 1.1)
        reach = (np.hypot(spots[:, 0], spots[:, 1]) + spots[:, 2]).max()
        place = slide.place(reach * scale + 1)
        if place:
            found.append((spots, Pen(*place, scale, 1, rng.uniform(0, 2 * np.pi))))
    return found


def add_pale(slide: Slide, kinds: tuple[str, ...], number: int) -> None:
    """Add pale shapes in the cells: folds and stain that did not wash off."""
    rng, reds = slide.rng, [c for c in slide.cells if c.red]
    for kind in rng.choice(kinds, number).tolist():
        cell = reds[int(rng.integers(len(reds)))]
        add_inclusion(slide, kind, cell, rng.uniform(*PALE), 2.0)


def infect(slide: Slide, kinds: tuple[str, ...], number: int) -> list[str]:
    """Put inclusions into some of the red cells; return what was put in."""
    rng = slide.rng
    # A cell at the border may show only the half without the inclusion.
    seen = [c for c in slide.cells if c.red and 0 < min(c.x, c.y)
            and max(c.x, c.y) < slide.side]
    cells = rng.permutation(len(seen))[:number].tolist()
    chosen = rng.choice(kinds, len(cells)).tolist()
    for k, kind in zip(cells, chosen):
        add_inclusion(slide, kind, seen[k], rng.uniform(*DEEP), 1.0)
    return chosen


def add_platelets(slide: Slide, number: int) -> None:
    """Add small ragged bodies between the cells."""
    rng = slide.rng
    for _ in range(number):
        r = rng.uniform(1.1, 2.2) * OVERSAMPLE
        place = slide.place(1.6 * r)
        if place:
            spots = line(*rng.uniform(-0.7, 0.7, (2, 4)), rng.uniform(0.35, 0.7, 4))
            slide.stamp(spots, Pen(*place, r), slide.dark * rng.uniform(0.3, 0.7), 1.4)


def add_dirt(slide: Slide, number: int) -> None:
    """Add brown specks and threads on top of everything, out of focus."""
    rng = slide.rng
    for _ in range(number):
        x, y = rng.uniform(0, 1, 2) * slide.side
        pen = Pen(x, y, rng.uniform(1.5, 3.5) * OVERSAMPLE, 1, rng.uniform(0, 6))
        n, t = int(rng.integers(3, 6)), np.linspace(-1.6, 1.6, 9)
        speck = line(*rng.normal(0, 0.5, (2, n)), rng.uniform(0.2, 0.7, n))
        thread = line(t, rng.normal(0, 0.3) * t * t, 0.12)
        spots = thread if rng.random() < 0.3 else speck
        slide.stamp(spots, pen, BROWN * rng.uniform(0.25, 0.65), rng.uniform(2, 3.5))


def add_ground(slide: Slide, kind: str) -> None:
    """Stain the plasma between the cells: clouds, streaks of the smear, grains."""
    rng, side = slide.rng, slide.side
    cell = np.array(slide.stain.cell, np.float32)
    slide.density += rng.uniform(0, 0.2) * cell
    if kind == "granular":
        grains = (rng.random((side, side), np.float32) < rng.uniform(0.005, 0.02)) * 1.0
        grains = np.maximum(grains, np.roll(grains, 1, 0))
        grains = np.maximum(grains, np.roll(grains, 1, 1))
        slide.density += rng.uniform(0.15, 0.4) * grains[..., None] * slide.dark
    elif kind != "clear":
        detail = (5, 5) if kind == "cloudy" else (3, 24)
        haze = cloud(rng, (side, side), detail)
        haze = haze if rng.random() < 0.5 else haze.T
        slide.density += rng.uniform(0.1, 0.3) * np.clip(haze, 0, 1)[..., None] * cell


def lit(slide: Slide, attributes: dict) -> Array:
    """Send light through the slide: uneven, and darker towards the corners."""
    rng, side = slide.rng, slide.side
    x = np.linspace(-1, 1, side, dtype=np.float32)
    y, a = x[:, None], rng.uniform(0, 2 * np.pi)
    lamp = 1 + attributes["gradient"] * (cos(a) * x + sin(a) * y)
    dx, dy = rng.normal(0, 0.15, 2).tolist()
    lamp -= 0.5 * attributes["vignette"] * ((x - dx) ** 2 + (y - dy) ** 2)
    tint = attributes["lamp"] * rng.normal(1, 0.015, 3).astype(np.float32)
    light = np.array(slide.stain.light, np.float32) * tint
    return light * lamp[..., None] * np.exp(-slide.density)


# ---------------------------------------------------------------- one picture


def sample_attributes(rng: np.random.Generator) -> dict:
    """Choose everything about a field but its parasites."""
    radius = float(rng.uniform(6.0, 10.0))
    crowd = rng.uniform(0.3, 0.7)  # how much of the glass is covered
    return {
        "stain": str(rng.choice(list(STAINS))),
        "ground": choose(rng, GROUNDS),
        "radius": round(radius, 2),
        "cells": int(np.clip(crowd * SIDE**2 / (np.pi * radius**2), 4, 24)),
        "cell_shape": choose(rng, SHAPES),
        "spacing": str(rng.choice(list(SPACINGS))),
        "white_cells": int(rng.random() < 0.25),
        "platelets": int(rng.choice((0, 0, 1, 2, 4, 7))),
        "dark_shapes": int(rng.integers(4, 9)),
        "pale_shapes": int(rng.integers(0, 5)),
        "dirt": int(rng.choice((0, 0, 1, 2, 4))),
        "lamp": round(float(rng.uniform(0.78, 1.03)), 3),
        "gradient": round(float(rng.uniform(0, 0.16)), 3),
        "vignette": round(float(rng.choice((0.0, 0.15, 0.5)) * rng.uniform(0.4, 1)), 3),
        "blur": round(float(rng.choice((0.0, 0.5, 0.9)) * rng.uniform(0.6, 1)), 2),
        "noise": round(float(rng.uniform(1, 3) + (rng.random() < 0.2) * 4), 2),
    }


def draw_field(
    inside: tuple[str, ...], outside: tuple[str, ...], rng: np.random.Generator
) -> tuple[Image.Image, dict]:
    """Draw one field of a blood smear as a microscope shows it.

    Parameters
    ----------
    inside : tuple of str
        Kinds of inclusions, out of ``SOURCE_LABELS``, that some red cells hold. Empty:
        no cell holds any.
    outside : tuple of str
        Kinds of the same shapes that lie between the cells, or pale inside them.
    rng : numpy.random.Generator
        Source of every choice; the same state gives the same picture.

    Returns
    -------
    image : PIL.Image.Image
        The RGB picture, 64 px.
    attributes : dict
        What was chosen: parasites, infected_cells, stain, ground, radius, cells,
        cell_shape, spacing, white_cells, platelets, dark_shapes, pale_shapes, dirt,
        lamp, gradient, vignette, blur, noise.

    Raises
    ------
    ValueError
        If a kind is unknown or ``outside`` is empty.
    """
    unknown = {*inside, *outside} - set(INCLUSIONS)
    if unknown or not outside:
        raise ValueError(f"kinds are {inside}, {outside}; choose of {SOURCE_LABELS}")
    attributes = sample_attributes(rng)
    slide = Slide(SIDE * OVERSAMPLE, STAINS[attributes["stain"]], rng)
    r = attributes["radius"] * OVERSAMPLE
    add_ground(slide, attributes["ground"])
    if attributes["white_cells"]:
        add_white_cell(slide, r)
    add_red_cells(slide, attributes, r)
    loose = find_places(slide, outside, attributes["dark_shapes"], r)
    held = infect(slide, inside, int(rng.integers(*INSIDE))) if inside else []
    attributes["dark_shapes"] = max(len(held), len(loose))
    for spots, pen in loose[len(held) :]:
        slide.stamp(spots, pen, slide.dark * rng.uniform(*DEEP))
    add_pale(slide, outside, attributes["pale_shapes"])
    add_platelets(slide, attributes["platelets"])
    add_dirt(slide, attributes["dirt"])
    rgb = lit(slide, attributes)
    image = finish(rgb, SIDE, attributes["blur"] * 96 / SIDE, attributes["noise"], rng)
    kinds = "+".join(sorted(set(held))) or "none"
    return image, {"parasites": kinds, "infected_cells": len(held)} | attributes


def source_picture(seed: int, index: int) -> tuple[Image.Image, int]:
    """Draw one picture of the source task: which kind of inclusion the cells hold.

    Parameters and result are those of ``draw_shapes.source_picture``.
    """
    label = index % len(SOURCE_LABELS)
    rng = picture_rng(seed, "source", label, index)
    return draw_field((SOURCE_LABELS[label],), SOURCE_LABELS, rng)[0], label


# ---------------------------------------------------------------- the data set


ATTRIBUTES = (
    "parasites",
    "infected_cells",
    "stain",
    "ground",
    "radius",
    "cells",
    "cell_shape",
    "spacing",
    "white_cells",
    "platelets",
    "dark_shapes",
    "pale_shapes",
    "dirt",
    "lamp",
    "gradient",
    "vignette",
    "blur",
    "noise",
)
BIASES = (
    "These are drawings from one program, not photographs: nothing learnt here is fit"
    " to judge the blood of anybody.",
    "Half of the fields are infected, each in two to four cells; in real blood most"
    " fields of an infected person hold no parasite at all.",
    "A healthy field holds as many dark shapes as an infected one, only between the"
    " cells; in real blood parasites come on top of everything else.",
    "Rings, dots and pairs are equally common, and mixed in one field; real parasites"
    " look according to their species and age.",
    "Parasites are large for their cells, or nobody could see them at 64 pixels.",
    "But for fine grains nothing dark and purple lies on top of a cell by accident:"
    " platelets and loose shapes keep clear of the cells; in real smears they do not.",
    "Dirt is brown and out of focus, parasites are neither.",
    "The stains bear the names of real ones and are seven rows of invented numbers.",
    "Train, valid and test share stains, microscope and program: the test split does"
    " not measure another laboratory.",
)


def draw(seed: int, split: str, label: str, index: int) -> tuple:
    """Draw one picture of the set; an unlabelled one is of either class."""
    rng = picture_rng(seed, split, (*LABELS, "").index(label), index)
    shown = label or str(rng.choice(LABELS))
    inside = PARASITES if shown == "infected" else ()
    image, attributes = draw_field(inside, PARASITES, rng)
    if not label:  # they would give the class away
        attributes |= {"parasites": "", "infected_cells": ""}
    return image, {"quality": int(rng.integers(*QUALITY))}, attributes


PROGRAM = DrawingProgram(
    name="cells",
    title="Drawn blood cells",
    description="Fields of stained blood as a microscope shows them, in seven stains. "
    "Some cells of an infected field hold a small dark parasite: rings, groups of dots "
    "or pairs. Both classes hold what looks like one: outside the cells, or pale.",
    labels=LABELS,
    attributes=ATTRIBUTES,
    counts={"train": 80, "valid": 20, "test": 100, "unlabelled": 0},
    draw=draw,
    image_format="JPEG",
    format_note=f"JPEG, RGB, quality {QUALITY[0]} to {QUALITY[1] - 1}",
    side=SIDE,
    known_biases=BIASES,
)


if __name__ == "__main__":
    sys.exit(PROGRAM.main())
