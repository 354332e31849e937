"""Draw the bundled ``sketches`` data set: pen drawings by many hands, 128 x 128 pixels.

What is drawn (``sketch_shapes.py``) and how it is drawn are chosen apart: hand, pen,
shading, paper, place, size and clutter are sampled without looking at the label.  The
unlabelled pictures show a fifth thing, which no class name fits.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

# The neighbours must be found however this file is loaded, by path included.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from drawing_program import DrawingProgram, picture_rng
from painting import Array, Pen, blurred, cloud, curve, ellipse
from sketch_shapes import VIEWS, arc, rectangle

LABELS = ("car", "cheese", "house", "tree")
FIFTH = "fish"  # what the unlabelled pictures show
OVERSAMPLE = 4  # drawn this many times larger, then averaged down: smooth edges
LEVELS = 16  # grey levels of a stored picture: small files


@dataclass(frozen=True)
class Hand:
    """Describe how somebody draws; lengths in pixels of the final picture."""

    wobble: float  # sideways tremble of a line
    drift: float  # how far a whole stroke lands from its place
    warp: float  # how far the proportions are off
    passes: tuple[int, int]  # how often a line is drawn
    reach: tuple[float, float]  # ends overshoot (positive) or stop short (negative)
    detail: int  # 0: the essential lines, 2: everything
    split: bool  # lift the pen at corners
    nibs: tuple[str, ...]
    shades: tuple[str, ...]
    gaps: float = 0.0  # chance that a stroke is interrupted
    dash: tuple[float, float] = (0.0, 0.0)  # length on, length off


@dataclass(frozen=True)
class Nib:
    """Describe a pen: width in pixels, and how its line varies."""

    width: tuple[float, float]
    pressure: float  # how much the width varies along a stroke
    taper: float  # how thin the ends are: 0 blunt, 1 pointed
    tone: tuple[int, int]  # grey value of its ink
    grain: float = 0.0  # how much paper shows through
    slant: float = 0.0  # a broad nib: thin in one direction


NIBS = {
    "ballpoint": Nib((1.0, 1.5), 0.2, 0.2, (40, 95), 0.15),
    "fineliner": Nib((1.1, 1.7), 0.05, 0.0, (10, 40)),
    "felt-tip": Nib((2.1, 2.9), 0.1, 0.0, (10, 70)),
    "marker": Nib((3.3, 4.6), 0.05, 0.0, (10, 60)),
    "brush": Nib((2.6, 4.4), 0.55, 0.9, (5, 40)),
    "pencil": Nib((1.3, 2.2), 0.3, 0.4, (60, 105), 0.55),
    "crayon": Nib((2.8, 4.2), 0.3, 0.1, (40, 90), 0.75),
    "fountain pen": Nib((1.9, 2.8), 0.15, 0.2, (10, 50), 0.0, 0.7),
}
# fmt: off
STYLES = {  # one hand to two or three lines: a table
    "plain": Hand(0.35, 0.3, 1.5, (1, 1), (-0.5, 0.5), 2, True,
                  ("fineliner", "ballpoint", "felt-tip"), ("none", "hatch")),
    "shaky": Hand(0.95, 0.4, 2.5, (1, 1), (-1.0, 1.0), 2, False,
                  ("fineliner", "ballpoint", "pencil"), ("none", "scribble"), 0.15),
    "sketchy": Hand(0.5, 1.0, 2.0, (2, 3), (0.5, 4.0), 2, True,
                    ("pencil", "ballpoint"), ("hatch", "none", "scribble")),
    "child": Hand(1.1, 1.2, 3.2, (1, 1), (-2.0, 2.0), 2, False,
                  ("crayon", "felt-tip", "ballpoint"), ("scribble", "none"), 0.1),
    "icon": Hand(0.08, 0.0, 0.4, (1, 1), (0.0, 0.0), 0, False,
                 ("marker", "felt-tip"), ("none", "solid")),
    "hatched": Hand(0.3, 0.3, 1.5, (1, 1), (-0.5, 1.0), 2, True,
                    ("fineliner", "fountain pen", "ballpoint"), ("hatch", "cross")),
    "brush": Hand(0.5, 0.6, 2.5, (1, 1), (-1.5, 2.0), 1, True,
                  ("brush",), ("wash", "none"), 0.2),
    "dotted": Hand(0.25, 0.2, 1.5, (1, 1), (0.0, 0.0), 2, True,
                   ("felt-tip", "fineliner", "ballpoint"), ("stipple", "none"), 0.0,
                   (2.6, 2.2)),
    "technical": Hand(0.04, 0.1, 0.3, (1, 1), (0.5, 3.5), 2, True,
                      ("fineliner", "pencil"), ("none", "hatch")),
    "hasty": Hand(0.6, 1.6, 3.5, (1, 2), (-3.0, 5.0), 1, True,
                  ("ballpoint", "fountain pen", "felt-tip"), ("none", "scribble"), 0.4),
    "shaded": Hand(0.4, 0.5, 2.0, (1, 2), (-0.5, 1.5), 2, True,
                   ("pencil", "crayon", "ballpoint"), ("scribble", "wash", "stipple")),
}
# fmt: on
PAPERS = {"blank": 0.40, "toned": 0.40, "ruled": 0.04, "squared": 0.04, "dark": 0.12}
CLUTTER = {
    "none": 0.42,
    "ground": 0.12,
    "frame": 0.02,
    "doodle": 0.16,
    "caption": 0.05,
    "ring": 0.04,
    "stray": 0.14,
    "shadow": 0.05,
}


# ---------------------------------------------------------------- what is on the page


@dataclass(frozen=True)
class Mark:
    """One thing to put on paper: an outline, and what happens inside it."""

    points: Array
    closed: bool
    weight: float  # 0: no outline
    tone: float | None  # None leaves what is behind, 0 hides it, above shades it


@dataclass
class Sheet:
    """Collect the marks of one drawing, in the local coordinates of its shapes."""

    rng: np.random.Generator
    detail: int
    look: dict = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Choose what is decided once for a whole drawing."""
        self.look = {
            "glass": self.pick(0.0, 0.0, 0.35, 0.9),
            "cross": self.pick(0, 1, 3),
            "door": self.pick(0.0, 0.4, 0.9),
            "roof": self.pick(0.0, 0.35, 0.5),
            "leaf": self.pick(0.0, 0.3),
            "hole": self.pick(0.0, 0.0, 0.4, 0.9),
        }

    def pick(self, *values: float) -> float:
        """Return one of the values."""
        return values[int(self.rng.integers(len(values)))]

    def chance(self, share: float) -> bool:
        """Return True with this probability."""
        return bool(self.rng.random() < share)

    def between(self, low: float, high: float) -> float:
        """Return a number from a range."""
        return float(self.rng.uniform(low, high))

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from a range, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def draw(
        self,
        points: Array | list,
        *,
        closed: bool = True,
        tone: float = 0.0,
        weight: float = 1.0,
        detail: int = 0,
    ) -> None:
        """Draw an outline that hides what lies behind it."""
        if detail <= self.detail:
            self.marks.append(Mark(np.asarray(points, float), closed, weight, tone))

    def line(
        self,
        points: Array | list,
        *,
        weight: float = 1.0,
        detail: int = 0,
    ) -> None:
        """Draw an open line."""
        if detail <= self.detail:
            self.marks.append(Mark(np.asarray(points, float), False, weight, None))

    def blank(self, points: Array) -> None:
        """Hide what is inside an outline without drawing it."""
        self.marks.append(Mark(np.asarray(points, float), True, 0.0, 0.0))

    def box(self) -> tuple[Array, Array]:
        """Return the corners of everything drawn."""
        p = np.concatenate([m.points for m in self.marks])
        return p.min(0), p.max(0)


# ---------------------------------------------------------------- how it is drawn


def resampled(path: Array, step: float) -> Array:
    """Return points about ``step`` apart along a path."""
    gaps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(gaps)])
    t = np.linspace(0, along[-1], max(int(along[-1] / step) + 1, 3))
    return np.stack([np.interp(t, along, path[:, k]) for k in (0, 1)], 1)


def ripple(rng: np.random.Generator, n: int, cells: float) -> Array:
    """Return ``n`` values of smooth noise with about ``cells`` waves."""
    knots = rng.normal(0, 1, max(int(cells), 1) + 3)
    return curve(np.stack([np.arange(len(knots)), knots], 1), False, 12)[
        np.linspace(12, len(knots) * 12 - 24, n).astype(int), 1
    ]


def pieces(points: Array, closed: bool, split: bool, start: int) -> list[Array]:
    """Cut an outline into strokes, at its corners if the pen is lifted there."""
    if closed:
        points = np.concatenate([points, points[:1]])
    step = np.diff(points, axis=0)
    turn = np.angle(np.exp(1j * np.diff(np.unwrap(np.arctan2(step[:, 1], step[:, 0])))))
    corners = [i + 1 for i in np.flatnonzero(np.abs(turn) > 0.7)]
    if split and corners:
        cuts = [0, *corners, len(points) - 1]
        return [points[a : b + 1] for a, b in zip(cuts, cuts[1:])]
    if closed and not corners:  # a round shape: begin anywhere, close it with a lap
        ring = np.roll(points[:-1], start, axis=0)
        return [np.concatenate([ring, ring[: 1 + len(ring) // 10]])]
    return [points]


class Artist:
    """Put marks on paper with one hand and one nib."""

    def __init__(
        self, side: int, hand: Hand, nib: str, shade: str, rng: np.random.Generator
    ) -> None:
        self.side, self.hand, self.nib, self.rng = side, hand, NIBS[nib], rng
        self.unit = side / 128  # hands and nibs are described for 128 pixels
        self.shade = shade
        self.radius = 0.5 * self.unit * rng.uniform(*self.nib.width)
        self.ink = np.zeros((side, side), np.float32)
        self.angle = rng.choice((-1, 1)) * rng.uniform(0.5, 1.1)  # of hatching
        self.waves = rng.uniform((0.5, 0), (1.6, 2 * np.pi), (2, 2, 2))

    def warped(self, p: Array) -> Array:
        """Bend the page a little: proportions are never quite right."""
        t = 2 * np.pi * p / self.side
        out = [
            np.sin(w[0, 0] * t[:, 0] + w[0, 1]) + np.sin(w[1, 0] * t[:, 1] + w[1, 1])
            for w in self.waves
        ]
        return p + self.hand.warp * self.unit * 0.7 * np.stack(out, 1)

    def put(self, mark: Mark, pen: Pen) -> None:
        """Draw one mark: hide, shade, outline."""
        if mark.tone is not None:
            inside = self.warped(resampled(pen.pixels(mark.points), 4))
            self.hide(inside)
            if mark.tone:
                self.shaded(inside, mark.tone)
        if mark.weight:
            start = int(self.rng.integers(len(mark.points)))
            parts = pieces(mark.points, mark.closed, self.hand.split, start)
            for part in parts:
                self.strokes(pen.pixels(part), mark.weight)

    def mask(self, outline: Array) -> Array:
        """Return the inside of an outline."""
        image = Image.new("L", (self.side, self.side))
        ImageDraw.Draw(image).polygon([tuple(p) for p in outline], fill=255)
        return np.asarray(image, np.float32) / 255

    def hide(self, outline: Array) -> None:
        """Take away the ink behind a part, as if it had never been drawn."""
        self.ink *= 1 - self.mask(outline)

    def strokes(self, path: Array, weight: float) -> None:
        """Draw a line as often as this hand does."""
        for _ in range(self.rng.integers(self.hand.passes[0], self.hand.passes[1] + 1)):
            self.stroke(path, weight)

    def stroke(self, path: Array, weight: float) -> None:
        """Draw a line once."""
        rng, hand, unit = self.rng, self.hand, self.unit
        path = self.warped(resampled(path, 2.0))
        length = 2.0 * len(path)
        path = self.stretched(path, length)
        n = len(path)
        tremble = [ripple(rng, n, length / (9 * unit)) for _ in (0, 1)]
        # Short strokes are guided better: a window must stay a window.
        calm = min(1.0, length / (30 * unit))
        path = path + calm * unit * (
            hand.wobble * np.stack(tremble, 1) + rng.normal(0, hand.drift * 0.7, 2)
        )
        self.stamp(path, self.width(path, weight, length), self.kept(n))

    def stretched(self, path: Array, length: float) -> Array:
        """Overshoot the ends of a stroke, or stop short of them."""
        ends = self.rng.uniform(*self.hand.reach, 2) * self.unit
        ends = np.clip(ends, -length / 8, length / 4)
        for end in ends:
            path = path[::-1]
            if end < 0:
                path = path[: max(len(path) + int(end / 2), 3)]
            elif end > 1:
                back = path[-1] - path[-min(len(path), 8)]
                back /= np.linalg.norm(back) + 1e-9
                path = np.concatenate(
                    [path, path[-1] + back * np.arange(2, end, 2)[:, None]]
                )
        return path

    def width(self, path: Array, weight: float, length: float) -> Array:
        """Return the radius along a stroke: pressure, pointed ends, a broad nib."""
        n, nib = len(path), self.nib
        r = 1 + nib.pressure * 0.6 * ripple(self.rng, n, length / (22 * self.unit))
        ends = np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.2 * n + 1)
        r = np.clip(r, 0.35, 1.7) * (1 - nib.taper * (1 - np.minimum(ends, 1)) ** 2)
        if nib.slant:
            d = np.gradient(path, axis=0)
            across = np.abs(np.sin(np.arctan2(d[:, 1], d[:, 0]) + 0.7))
            r = r * (1 - nib.slant * (1 - across))
        return np.maximum(self.radius * weight**0.6 * r, 0.32 * self.unit)

    def kept(self, n: int) -> Array:
        """Return which points of a stroke touch the paper."""
        keep, (on, off) = np.ones(n, bool), self.hand.dash
        if on and n > 9 * self.unit:  # a short stroke would be one dot
            cycle = (on + off) * self.unit + 2 * self.radius
            along = 2.0 * np.arange(n) + self.rng.uniform(0, cycle)
            keep = along % cycle < on * self.unit
        elif n > 40 and self.rng.random() < self.hand.gaps:
            at = int(self.rng.integers(n // 6, n - n // 6))
            keep[at : at + int(self.rng.uniform(2, 5) * self.unit / 2)] = False
        return keep

    def stamp(self, path: Array, radius: Array, keep: Array) -> None:
        """Press discs onto the paper along a path."""
        reach = float(radius.max()) + 2
        low = np.maximum(np.floor(path.min(0) - reach), 0).astype(int)
        high = np.minimum(np.ceil(path.max(0) + reach), self.side).astype(int)
        if (high <= low).any():
            return
        image = Image.new("L", tuple(high - low))
        draw = ImageDraw.Draw(image)
        for (x, y), r in zip(path[keep] - low, radius[keep]):
            draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
        where = np.s_[low[1] : high[1], low[0] : high[0]]
        dark = 0.97 if self.nib.grain < 0.1 else self.rng.uniform(0.72, 0.92)
        new = np.asarray(image, np.float32) / 255 * dark
        self.ink[where] = 1 - (1 - self.ink[where]) * (1 - new)

    # ------------------------------------------------------------ shading

    def shaded(self, outline: Array, tone: float) -> None:
        """Shade the inside of an outline in the manner of this drawing."""
        inside, before = self.mask(outline), self.ink.copy()
        kind = self.shade
        if tone > 0.8 and kind != "none":
            kind = "scribble" if kind == "scribble" else "solid"
        if kind in ("hatch", "cross"):
            self.hatch(outline, tone, self.angle)
            if kind == "cross":
                self.hatch(outline, tone, self.angle + 1.2)
        elif kind == "scribble":
            self.scribble(outline, tone)
        elif kind == "stipple":
            self.stipple(outline, tone)
        elif kind in ("wash", "solid"):
            level = 0.95 if tone > 0.8 or kind == "solid" and tone > 0.4 else tone * 0.7
            blot = 1 + 0.15 * cloud(self.rng, self.ink.shape, (6, 6))
            self.ink = np.maximum(self.ink, np.clip(level * blot, 0, 1) * inside)
        self.ink = before * (1 - inside) + self.ink * inside

    def rows(self, outline: Array, gap: float, angle: float) -> list[Array]:
        """Return parallel lines across an outline."""
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, -s], [s, c]])
        p = outline @ turn
        (x0, y0), (x1, y1) = p.min(0), p.max(0)
        ys = np.arange(y0 + 0.5 * gap, y1, gap)
        return [np.array([(x0, y), (x1, y)]) @ turn.T for y in ys]

    def hatch(self, outline: Array, tone: float, angle: float) -> None:
        """Draw parallel lines."""
        gap = self.unit * (5.6 - 3.2 * tone) + self.radius
        for row in self.rows(outline, gap, angle):
            self.stroke(row, 0.6)

    def scribble(self, outline: Array, tone: float) -> None:
        """Draw one line to and fro, as children fill a shape."""
        gap = self.unit * (4.6 - 2.8 * tone) + self.radius
        rows = self.rows(outline, gap, self.angle)
        ends = [r if k % 2 else r[::-1] for k, r in enumerate(rows)]
        if ends:
            zigzag = np.concatenate(ends)
            jolt = self.rng.normal(0, 0.8 * self.unit, zigzag.shape)
            self.stroke(zigzag + jolt, 0.7)

    def stipple(self, outline: Array, tone: float) -> None:
        """Draw dots."""
        low, high = outline.min(0), outline.max(0)
        number = int(np.prod(high - low) / self.unit**2 * 0.05 * (0.4 + tone))
        for p in self.rng.uniform(low, high, (min(number, 900), 2)):
            dot = p + np.array([(0, 0), (0.5, 0), (1, 0)])
            self.stamp(dot, np.full(3, 0.8 * self.radius), np.ones(3, bool))


# ---------------------------------------------------------------- the rest of the page


def doodle(kind: int, rng: np.random.Generator) -> Array:
    """Return a small thing people draw in a margin."""
    t = np.linspace(0, 1, 60)
    if kind == 0:  # a spiral
        a = 2 * np.pi * 2.6 * t
        return np.stack([t * np.cos(a), t * np.sin(a)], 1)
    if kind == 1:  # a star in one line
        a = np.arange(6) * 0.8 * np.pi - np.pi / 2
        return np.stack([np.cos(a), np.sin(a)], 1)
    if kind == 2:  # a spring
        a = 2 * np.pi * 5 * t
        return np.stack([2.4 * t - 1.2 + 0.3 * np.cos(a), 0.4 * np.sin(a)], 1)
    if kind == 3:  # an arrow
        return np.array(
            [(-1.2, 0.5), (1.0, -0.3), (0.6, -0.6), (1.0, -0.3), (0.8, 0.2)]
        )
    if kind == 4:  # a heart
        return curve(
            [(0, 0.9), (-0.9, -0.1), (-0.5, -0.8), (0, -0.35), (0.5, -0.8), (0.9, -0.1)]
        )
    return rng.normal(0, 0.6, (9, 2))  # a pen being tried out


def caption(rng: np.random.Generator) -> Array:
    """Return a line of writing that nobody can read."""
    n = int(rng.integers(14, 30))
    x = np.linspace(-1, 1, n) + rng.normal(0, 0.02, n)
    tall = np.where(rng.random(n) < 0.25, 0.22, 0.09)
    return curve(np.stack([x, tall * np.where(np.arange(n) % 2, -1, 0.3)], 1), False)


def add_clutter(artist: Artist, kind: str, box: tuple[Array, Array]) -> None:
    """Add what is on the page beside the drawing; ``box`` in pixels."""
    rng, side = artist.rng, artist.side
    (x0, y0), (x1, y1) = box
    page = Pen(0.0, 0.0, float(side))
    corner = rng.uniform(0.1, 0.9, 2)
    corner[rng.integers(2)] = rng.choice((0.1, 0.9))
    if kind == "ground":
        y = min(y1 / side + rng.uniform(-0.02, 0.03), 0.97)
        a, b = sorted(rng.uniform((0.0, 0.75), (0.25, 1.0)))
        wave = [(a, y), (0.4, y + rng.normal(0, 0.01)), (0.7, y), (b, y)]
        artist.put(Mark(curve(wave, False), False, 0.9, None), page)
    elif kind == "frame":
        gap = rng.uniform(0.02, 0.06)
        artist.put(Mark(rectangle(gap, gap, 1 - gap, 1 - gap), True, 0.8, None), page)
    elif kind == "doodle":
        for _ in range(int(rng.integers(1, 4))):
            spot = rng.uniform(0.08, 0.92, 2)
            spot[rng.integers(2)] = rng.choice((0.08, 0.92))
            size = side * rng.uniform(0.04, 0.09)
            shape = doodle(int(rng.integers(6)), rng)
            artist.put(Mark(shape, False, 0.8, None), Pen(*spot * side, size))
    elif kind == "caption":
        spot = (rng.uniform(0.3, 0.7) * side, rng.choice((0.06, 0.95)) * side)
        pen = Pen(*spot, side * rng.uniform(0.12, 0.3), 1, rng.normal(0, 0.05))
        artist.put(Mark(caption(rng), False, 0.6, None), pen)
    elif kind == "ring":  # where a cup stood
        rim = arc(*corner, 0.3, 0.3, *sorted(rng.uniform(0, 4.5, 2)))
        artist.put(Mark(rim, False, 0.5, None), page)
    elif kind == "stray":
        for _ in range(int(rng.integers(2, 6))):
            a = rng.uniform(0.03, 0.97, 2)
            dash = np.stack([a, a + rng.normal(0, 0.04, 2), a + rng.normal(0, 0.09, 2)])
            artist.put(Mark(curve(dash, False), False, 0.7, None), page)
    elif kind == "shadow":
        spot = ((x0 + x1) / 2 + 0.1 * (x1 - x0), y1 - 0.02 * side)
        shape = Pen(*spot, 1.0).pixels(ellipse(0, 0, 0.5 * (x1 - x0), 0.045 * side))
        before = artist.ink.copy()
        artist.hatch(shape, 0.6, artist.angle)
        artist.ink = np.maximum(before, artist.ink * artist.mask(shape))


def fit(sheet: Sheet, attributes: dict, side: int, rng: np.random.Generator) -> Pen:
    """Place a drawing on the page: its area, not its kind, decides how large it is."""
    low, high = sheet.box()
    width, height = high - low
    grow = attributes["scale"] * side / np.sqrt(width * height)
    grow = min(grow, 0.92 * side / max(width, height))
    room = np.maximum(side - grow * (high - low), 0.0)
    middle = side / 2 + room * rng.uniform(-0.36, 0.36, 2)
    flip = -1 if attributes["mirrored"] == "yes" else 1
    angle = np.deg2rad(attributes["angle"])
    centre = Pen(0.0, 0.0, grow, flip, angle).pixels([(low + high) / 2])[0]
    return Pen(*(middle - centre), grow, flip, angle)


def make_paper(kind: str, tone: float, size: int, rng: np.random.Generator) -> Array:
    """Return an empty page: tone, lines, and a soft shadow from one side."""
    page = np.full((size, size), tone, np.float32)
    if kind in ("ruled", "squared"):
        gap, start = size * rng.uniform(0.07, 0.12), rng.integers(0, 9)
        at = (start + gap * np.arange(16)).astype(int)
        at = at[at < size]
        page[at] -= 13
        if kind == "squared":
            page[:, at] = np.minimum(page[:, at], tone - 13)
    angle, strength = rng.uniform(0, 2 * np.pi), rng.choice((0.0, 0.05, 0.12))
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    slope = np.clip(x * np.cos(angle) + y * np.sin(angle) + 0.1, 0, 1)
    return page * (1 - 1.6 * strength * slope)


def print_page(
    artist: Artist, attributes: dict, size: int, rng: np.random.Generator
) -> Image.Image:
    """Bring ink and paper together at the final size, in few grey levels."""
    image = Image.fromarray((artist.ink * 255).clip(0, 255).astype(np.uint8))
    soft = image.filter(ImageFilter.GaussianBlur(0.25 * artist.unit))
    ink = blurred(soft.resize((size, size), Image.BOX), 0.01)
    rough = rng.uniform(0, 1, ink.shape).astype(np.float32)
    grain = artist.nib.grain
    ink = ink * (1 - grain * np.clip(1.6 * rough - 0.5, 0, 1))
    dark = attributes["paper"] == "dark"
    pen = 255 - rng.uniform(5, 40) if dark else rng.uniform(*artist.nib.tone)
    page = make_paper(attributes["paper"], attributes["paper_tone"], size, rng)
    grey = page * (1 - ink) + pen * ink
    return Image.fromarray(few_levels(grey, page))


def few_levels(grey: Array, page: Array) -> Array:
    """Round to few grey levels, half of them for the paper: no bands in a shadow."""
    ends = (page.min(), page.max())
    rest = (grey.min(), ends[0]) if grey.min() < ends[0] - 8 else (ends[1], grey.max())
    half = LEVELS // 2
    levels = np.unique(
        np.round([*np.linspace(*ends, half), *np.linspace(*rest, half + 1)[:-1]])
    )
    nearest = np.abs(grey[..., None] - levels).argmin(-1)
    return levels[nearest].astype(np.uint8)


# ---------------------------------------------------------------- one picture


def choose(rng: np.random.Generator, odds: dict[str, float]) -> str:
    """Return a key with its probability."""
    return str(rng.choice(list(odds), p=list(odds.values())))


def sample_attributes(rng: np.random.Generator, view: str, style: str) -> dict:
    """Choose everything about how a picture is drawn, whatever it shows."""
    hand, paper = STYLES[style], choose(rng, PAPERS)
    tones = {"toned": (140, 215), "dark": (20, 75)}.get(paper, (226, 252))
    return {
        "view": view,
        "style": style,
        "pen": str(rng.choice(hand.nibs)),
        "shading": str(rng.choice(hand.shades)),
        "mirrored": str(rng.choice(("yes", "no"))),
        "scale": round(float(rng.uniform(0.60, 0.88)), 3),
        "angle": round(float(np.clip(rng.normal(0, 5), -12, 12)), 1),
        "paper": paper,
        "paper_tone": int(rng.integers(*tones)),
        "clutter": choose(rng, CLUTTER),
    }


def draw_sketch(
    thing: str, view: str, style: str, rng: np.random.Generator, *, size: int = 128
) -> tuple[Image.Image, dict]:
    """Draw one view of one thing.

    Parameters
    ----------
    thing : str
        ``"car"``, ``"cheese"``, ``"house"``, ``"tree"`` or ``"fish"``.
    view : str
        A view of it, from ``sketch_shapes.VIEWS``.
    style : str
        The hand that draws it, from ``STYLES``.
    rng : numpy.random.Generator
        Source of every choice; the same state gives the same picture.
    size : int
        Side of the square picture in pixels.

    Returns
    -------
    image : PIL.Image.Image
        The grey picture, in at most 16 levels.
    attributes : dict
        What was chosen: view, style, pen, shading, mirrored, scale, angle, paper,
        paper_tone, clutter.

    Raises
    ------
    ValueError
        If ``thing``, ``view`` or ``style`` is unknown, or ``size`` is below 16.
    """
    for what, value, known in (
        ("thing", thing, VIEWS),
        ("style", style, STYLES),
        ("view", view, VIEWS.get(thing, {})),
    ):
        if value not in known:
            raise ValueError(f"{what} is {value!r}; choose one of {', '.join(known)}")
    if size < 16:
        raise ValueError(f"size is {size}; pictures need at least 16 pixels")
    attributes = sample_attributes(rng, view, style)
    hand, side = STYLES[style], size * OVERSAMPLE
    sheet = Sheet(rng, hand.detail)
    VIEWS[thing][view](sheet)
    artist = Artist(side, hand, attributes["pen"], attributes["shading"], rng)
    pen = fit(sheet, attributes, side, rng)
    for mark in sheet.marks:
        artist.put(mark, pen)
    ends = np.concatenate([pen.pixels(m.points) for m in sheet.marks])
    add_clutter(artist, attributes["clutter"], (ends.min(0), ends.max(0)))
    return print_page(artist, attributes, size, rng), attributes


# ---------------------------------------------------------------- the data set


ATTRIBUTES = (
    "drawn",
    "view",
    "style",
    "pen",
    "shading",
    "mirrored",
    "scale",
    "angle",
    "paper",
    "paper_tone",
    "clutter",
)
BIASES = (
    "These are drawings from one program that imitates hands, not scans of paper: a"
    " model that does well here has not been shown to read what people draw.",
    "The things are those that people of the programmer's surroundings draw: gabled"
    " houses, Emmental-like cheese, cars of the last century.",
    "Every picture shows exactly one thing, large and upright; whatever else is on the"
    " page is small.",
    "Every class has 9 or 10 views and the same 11 hands, in train, valid and test"
    " alike: the test split measures new drawings, not new views.",
    "Nearly every cheese has holes, and hardly anything else has: a detector of round"
    " holes inside an outline goes a long way.",
    "Cars are wider than tall and most trees taller than wide, in spite of equal areas;"
    " the gate on outlines says how far that alone goes.",
    "The unlabelled pictures all show fish: one kind of unknown, not every kind.",
)


def view_and_style(seed: int, split: str, thing: str, index: int) -> tuple[str, str]:
    """Deal views and hands like cards; no pair of them comes twice in 40 pictures."""
    views, styles = list(VIEWS[thing]), list(STYLES)
    rng = np.random.default_rng([seed, 99, (*LABELS, FIFTH).index(thing)])
    rng.shuffle(views)
    rng.shuffle(styles)
    # 7, 9 and 10 views share no factor with 11 hands, so the pairs repeat late.
    place = {"valid": 30, "test": 40}.get(split, 0) + index - 1
    return views[place % len(views)], styles[place % len(styles)]


def draw(seed: int, split: str, label: str, index: int) -> tuple:
    """Draw one picture of the set; the unlabelled ones show a fifth thing."""
    thing = label or FIFTH
    view, style = view_and_style(seed, split, thing, index)
    rng = picture_rng(seed, split, (*LABELS, FIFTH).index(thing), index)
    image, attributes = draw_sketch(thing, view, style, rng)
    return image, {"optimize": True}, {"drawn": thing} | attributes


PROGRAM = DrawingProgram(
    name="sketches",
    title="Drawn sketches",
    description="Pen drawings of a car, a cheese, a house or a tree, in 9 or 10 "
    "views per class, by 11 different hands with 8 kinds of pen; no view comes "
    f"twice from the same hand. The unlabelled ones show a {FIFTH}: none of the four.",
    labels=LABELS,
    attributes=ATTRIBUTES,
    counts={"train": 16, "valid": 4, "test": 20, "unlabelled": 20},
    draw=draw,
    image_format="PNG",
    format_note=f"PNG, grey, at most {LEVELS} levels",
    side=128,
    known_biases=BIASES,
)


if __name__ == "__main__":
    sys.exit(PROGRAM.main())
