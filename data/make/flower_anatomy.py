"""Draw flowers: petals in space, heads of five kinds, seed clocks, buds and leaves.

A head stands in its own space: x and y lie in the plane it faces, z points out of it.
Tilted by 0 it looks at the viewer, by 90 degrees it is seen from the side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from painting import Array, Canvas, Colour, Pen, blurred, curve, ellipse, mix, ribbon
from PIL import Image, ImageDraw

GOLDEN = np.pi * (3 - 5**0.5)
ALONG = 1 - (1 - np.linspace(0, 1, 13)) ** 2  # denser towards the tip of a petal
CURVE = np.linspace(0, 1, 13)

# name: the petals' colour at base and tip, tuned to look alike in every class
COLOURS = {
    "white": ((222, 224, 200), (248, 247, 243)),
    "pink": ((226, 116, 158), (247, 176, 202)),
    "violet": ((118, 68, 150), (178, 134, 214)),
    "red": ((146, 20, 40), (216, 48, 52)),
    "yellow": ((236, 176, 28), (250, 220, 66)),
    "orange": ((222, 96, 26), (247, 160, 54)),
    "russet": ((110, 36, 24), (190, 84, 40)),
}


@dataclass(frozen=True)
class Petal:
    """Describe one petal by where its middle line runs and how wide it is."""

    angle: float
    r: Array
    z: Array
    half: Array
    wraps: bool = False  # widths are angles around the axis: petals of a cup

    def line(self, v: float) -> Array:
        """Return the line from base to tip at ``v``, -1 and 1 being the edges."""
        turn = self.angle + v * self.half * self.wraps
        aside = v * self.half * (not self.wraps)
        x = self.r * np.cos(turn) - aside * np.sin(self.angle)
        y = self.r * np.sin(turn) + aside * np.cos(self.angle)
        return np.stack([x, y, self.z], 1)

    @property
    def outline(self) -> Array:
        """Return the closed edge: up one side, down the other."""
        return np.concatenate([self.line(-1), self.line(1)[::-1]])


@dataclass(frozen=True)
class Bloom:
    """Hold what every part of one flower head needs to be drawn."""

    canvas: Canvas
    pen: Pen
    tilt: float
    colour: str
    tint: Array  # this head's own shift of colour

    @property
    def rng(self) -> np.random.Generator:
        """Return the picture's generator."""
        return self.canvas.rng

    def project(self, p: Array) -> Array:
        """Return points of the head's space as the pen's local coordinates."""
        c, s = np.cos(self.tilt), np.sin(self.tilt)
        return np.stack([p[:, 0], p[:, 1] * c - p[:, 2] * s], 1)

    def depth(self, p: Array) -> float:
        """Return how near to the viewer the middle of some points is."""
        return float((p[:, 1] * np.sin(self.tilt) + p[:, 2] * np.cos(self.tilt)).mean())

    @cached_property
    def distance(self) -> Array:
        """Return each pixel's distance from the axis, in head radii."""
        side, pen = self.canvas.side, self.pen
        y, x = np.mgrid[:side, :side].astype(np.float32)
        x, y = (x - pen.x) / pen.scale * pen.flip, (y - pen.y) / pen.scale
        c, s = np.cos(pen.angle), np.sin(pen.angle)
        across, down = x * c + y * s, y * c - x * s
        return np.hypot(across, down / max(np.cos(self.tilt), 0.45))

    def field(self, start: float = 0.0, end: float = 1.0) -> Array:
        """Return the petals' colour at every pixel, from base to tip."""
        base, tip = COLOURS[self.colour]
        share = np.clip((self.distance - start) / (end - start), 0, 1)[..., None]
        return mix(base, tip, share) * self.tint


# ---------------------------------------------------------------- brushes


def draw_marks(
    canvas: Canvas, shapes: list[Array], colours: Array, opacity: float = 1.0
) -> None:
    """Fill many small outlines, given in pixels, each in a colour of its own."""
    image = Image.fromarray(canvas.rgb.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for shape, colour in zip(shapes, np.asarray(colours).clip(0, 255).astype(int)):
        draw.polygon([tuple(p) for p in shape], fill=tuple(colour.tolist()))
    marked = np.asarray(image, np.float32)
    canvas.rgb = marked if opacity == 1 else mix(canvas.rgb, marked, opacity)


def draw_hairs(
    canvas: Canvas, lines: list[Array], colour: Array, opacity: float, width: int = 1
) -> None:
    """Draw fine half-transparent lines, given in pixels."""
    mask = Image.new("L", (canvas.side, canvas.side))
    draw = ImageDraw.Draw(mask)
    for line in lines:
        draw.line([tuple(p) for p in line], fill=255, width=width)
    share = np.asarray(mask, np.float32)[..., None] / 255 * opacity
    canvas.rgb = mix(canvas.rgb, np.asarray(colour, np.float32), share)


def glow(
    canvas: Canvas, pen: Pen, shapes: list[Array], factor: float, radius: float = 0.03
) -> None:
    """Brighten or darken a soft-edged area."""
    soft = blurred(canvas.mask(shapes, pen), radius * canvas.side)[..., None]
    canvas.rgb *= 1 + (factor - 1) * soft


def paint_petal(
    bloom: Bloom,
    petal: Petal,
    field: Array,
    *,
    veins: tuple = (),
    rim: float = 0.0,
    contact: float = 0.35,
) -> None:
    """Paint one petal with a shadow below it, fine veins and a bright rim."""
    rng = bloom.rng
    tint = field * (rng.normal(1, 0.05) * (1 + 0.10 * np.sin(petal.angle + 2)))
    outline = bloom.project(petal.outline)
    bloom.canvas.paint([outline], bloom.pen, tint, relief=0.35, contact=contact)
    if veins:
        lines = [
            ribbon(list(bloom.project(petal.line(v))[2:-1:3]), 0.008) for v in veins
        ]
        dark = rng.choice((0.84, 1.08))
        bloom.canvas.paint(lines, bloom.pen, tint * dark, relief=0)
    if rim:
        lip = bloom.project(
            np.concatenate([petal.line(-1)[-5:], petal.line(1)[-5:][::-1]])
        )
        edge = ribbon(list(lip[::2]), 0.02 + 0.012 * rng.random())
        bloom.canvas.paint(
            [edge], bloom.pen, mix(tint, (255, 250, 240), rim), relief=0.2
        )


def nearest_last(bloom: Bloom, petals: list[Petal]) -> list[Petal]:
    """Order petals as a painter does: the far ones first."""
    return sorted(petals, key=lambda p: bloom.depth(p.line(0)))


def paint_disc(
    bloom: Bloom, radius: float, height: float, seeds: int, rings: list[Colour]
) -> None:
    """Paint a domed disc of seeds in a golden spiral, coloured from centre to rim."""
    rng, pen = bloom.rng, bloom.pen
    circle = radius * np.stack(
        [np.cos(CURVE * 2 * np.pi), np.sin(CURVE * 2 * np.pi), 0 * CURVE], 1
    )
    rim, top = bloom.project(circle), bloom.project(circle * 0.6 + (0, 0, height))
    bloom.canvas.paint([rim, top], pen, np.array(rings[-1]) * 0.7, contact=0.5)
    i = np.arange(seeds)[::-1] + 0.5
    q = np.sqrt(i / seeds)
    a = i * GOLDEN
    z = height * (1 - q**2)
    spots = np.stack([radius * q * np.cos(a), radius * q * np.sin(a), z], 1)
    size = radius / np.sqrt(seeds) * 0.95
    squash = np.cos(bloom.tilt) * 0.75 + 0.25
    at = np.interp(q, np.linspace(0, 1, len(rings)), np.arange(len(rings)))
    low = np.floor(at).astype(int).clip(0, len(rings) - 2)
    table = np.asarray(rings, float)
    colours = mix(table[low], table[low + 1], (at - low)[:, None])
    colours *= rng.uniform(0.72, 1.3, (seeds, 1))
    # the side away from the light is darker
    sun = (spots[:, 0] * pen.flip * bloom.canvas.light[0] - spots[:, 1]) / radius
    colours *= 1 + 0.14 * sun[:, None]
    shapes = [
        pen.pixels(ellipse(x, y, size, size * squash)) for x, y in bloom.project(spots)
    ]
    draw_marks(bloom.canvas, shapes, colours)


# ---------------------------------------------------------------- heads


def rays(
    bloom: Bloom,
    count: int,
    length: float,
    width: float,
    lift: float,
    shape: str,
    start: float = 0.2,
) -> list[Petal]:
    """Return one ring of petals around a disc."""
    rng = bloom.rng
    first = rng.uniform(0, 2 * np.pi)
    u = ALONG
    half = {
        "round": np.minimum(1, (u / 0.4) ** 0.6) * (1.001 - u**7) ** 0.4,
        "pointed": 1.25 * np.sin(np.pi * (0.08 + 0.92 * u**0.85)) ** 0.8,
    }[shape]
    petals = []
    for k in range(count):
        reach = length * rng.normal(1, 0.05)
        rise = lift + rng.normal(0, 0.05)
        r = start + (reach - start) * u
        z = rise * reach * u - rng.uniform(0, 0.16) * u**3
        angle = first + (k + rng.normal(0, 0.14)) * 2 * np.pi / count
        petals.append(Petal(angle, r, z, width * half * rng.normal(1, 0.08)))
    return petals


def paint_rays(
    bloom: Bloom, rings: list[list[Petal]], disc: Callable, lift: float, veins: tuple
) -> None:
    """Paint rings of petals around a disc, far petals before it, near ones after."""
    field = bloom.field(0.25, 0.95)
    cupped = lift > 0.05 and bloom.tilt > 1.0
    late = []
    for number, ring in enumerate(rings):
        shade = field * (0.86 if number + 1 < len(rings) else 1.0)
        for petal in nearest_last(bloom, ring):
            if cupped and np.sin(petal.angle) > 0.25:
                late.append((petal, shade))
            else:
                paint_petal(bloom, petal, shade, veins=veins)
    disc()
    for petal, shade in late:
        paint_petal(bloom, petal, shade * 0.93, veins=veins)


def paint_daisy(bloom: Bloom) -> None:
    """Paint many narrow blunt petals around a small golden button."""
    rng = bloom.rng
    count = int(rng.integers(15, 27))
    width = rng.uniform(2.3, 3.0) / count
    lift = float(rng.uniform(-0.12, 0.32))
    button = rng.uniform(0.21, 0.31)
    rings = [rays(bloom, count, 1.0, width, lift, "round")]
    if rng.random() < 0.45:
        rings.insert(0, rays(bloom, count, 1.04, width, lift - 0.06, "round"))
    gold = np.array((240, 186, 36)) * rng.normal(1, 0.06, 3)
    middle = mix(gold, (150, 160, 50), rng.random() * 0.6)
    paint_calyx(bloom, 0.22, 0.2)
    paint_rays(
        bloom,
        rings,
        lambda: paint_disc(
            bloom,
            button,
            0.65 * button,
            int(rng.integers(70, 120)),
            [tuple(middle), tuple(gold), tuple(gold * (0.86, 0.74, 0.6))],
        ),
        lift,
        (-0.35, 0.35),
    )


def paint_sunflower(bloom: Bloom) -> None:
    """Paint pointed petals around a large dark disc of seeds."""
    rng = bloom.rng
    disc = rng.uniform(0.40, 0.66)
    count = int(rng.integers(17, 27))
    width = rng.uniform(3.0, 3.9) / count * 0.62
    lift = float(rng.uniform(-0.2, 0.14))
    rings = [
        rays(bloom, count, 1.06, width, lift - 0.06, "pointed", disc * 0.85),
        rays(bloom, count - 2, 0.99, width, lift, "pointed", disc * 0.85),
    ]
    dark = np.array((66, 40, 24)) * rng.normal(1, 0.12)
    green = np.array((122, 128, 52)) * rng.normal(1, 0.1)
    heart = mix(dark, green, rng.choice((0.0, 0.35, 0.9)))
    ring = mix(dark, (176, 112, 36), rng.uniform(0.1, 0.8))
    paint_calyx(bloom, disc * 0.9, 0.3)
    paint_rays(
        bloom,
        rings,
        lambda: paint_disc(
            bloom,
            disc,
            rng.uniform(0.3, 0.55) * disc,
            int(rng.integers(190, 280)),
            [
                tuple(heart),
                tuple(mix(heart, dark, 0.6)),
                tuple(dark),
                tuple(ring),
                tuple(dark * 1.2),
            ],
        ),
        lift,
        (-0.3, 0.3),
    )


def paint_calyx(bloom: Bloom, radius: float, depth: float) -> None:
    """Paint the green cup under a head, seen only from the side."""
    if bloom.tilt < 0.7:
        return
    u = CURVE
    for a in np.linspace(0, 2 * np.pi, 9)[:-1]:
        petal = Petal(
            a,
            radius * (0.3 + 0.9 * u),
            depth * (u - 1),
            radius * 0.5 * np.sin(np.pi * (0.2 + 0.8 * u)),
        )
        bloom.canvas.paint(
            [bloom.project(petal.outline)],
            bloom.pen,
            np.array((92, 132, 66)) * bloom.rng.normal(1, 0.08),
            contact=0.2,
        )


def paint_dandelion(bloom: Bloom) -> None:
    """Paint a shaggy cushion of very many thin strap-shaped florets."""
    rng, pen = bloom.rng, bloom.pen
    paint_calyx(bloom, 0.3, 0.42)
    base, tip = (np.array(c) * bloom.tint for c in COLOURS[bloom.colour])
    f = np.repeat(np.linspace(0, 1, 9), (40, 40, 38, 34, 30, 26, 22, 16, 10))
    a = rng.uniform(0, 2 * np.pi, len(f))
    start, end = florets(rng, f, a)
    middle = 0.45 * start + 0.55 * end + (0, 0, 0.1)
    under = ellipse(0, -0.28 * np.sin(bloom.tilt), 0.5, 0.2 + 0.3 * np.cos(bloom.tilt))
    bloom.canvas.paint([under], pen, base * 0.75, contact=0.3)
    depth = end[:, 1] * np.sin(bloom.tilt) + (end[:, 2] + f) * np.cos(bloom.tilt)
    shapes, colours = [], []
    for i in np.argsort(depth):
        line = bloom.project(np.stack([start[i], middle[i], end[i]]))
        aside = np.array([-np.sin(a[i]), np.cos(a[i]) * np.cos(bloom.tilt)])
        aside *= rng.uniform(0.034, 0.048) / (np.linalg.norm(aside) + 0.2)
        light = rng.uniform(0.84, 1.14)
        strap = mix(base, tip, 1 - 0.4 * f[i])
        for wide, colour in ((1.1, base * 0.76), (0.66, strap)):
            flare = wide * aside * [[0.5], [1], [1.1]]
            strip = np.concatenate([line + flare, (line - flare)[::-1]])
            shapes.append(pen.pixels(strip))
            colours.append(colour * light)
    draw_marks(bloom.canvas, shapes, colours)
    dome = ellipse(0, -0.12 - 0.3 * np.sin(bloom.tilt), 0.5, 0.42)
    glow(bloom.canvas, pen, [dome], 1.1, pen.scale / bloom.canvas.side * 0.22)


def florets(rng: np.random.Generator, f: Array, a: Array) -> tuple[Array, Array]:
    """Return base and tip of every floret, ``f`` from outermost 0 to innermost 1."""
    reach = mix(1.0, 0.16, f**0.9) * rng.normal(1, 0.08, len(f))
    top = 0.72 * np.sin(mix(0.14, 1.5, f) + rng.normal(0, 0.08, len(f)))
    out = np.stack([np.cos(a), np.sin(a)], 1) * reach[:, None]
    return np.column_stack([0.2 * out, 0.25 * f]), np.column_stack([out, top])


def paint_clock(bloom: Bloom) -> None:
    """Paint a seed clock: a sphere of little parachutes, perhaps half blown away."""
    rng, pen, canvas = bloom.rng, bloom.pen, bloom.canvas
    n = int(rng.integers(70, 105))
    i = np.arange(n) + 0.5
    polar, a = np.arccos(1 - 2 * i / n), i * GOLDEN
    ball = np.stack(
        [np.sin(polar) * np.cos(a), np.cos(polar), np.sin(polar) * np.sin(a)], 1
    )
    if rng.random() < 0.35:
        gust = rng.normal(0, 1, 3)
        ball = ball[ball @ (gust / np.linalg.norm(gust)) < rng.uniform(0.1, 0.7)]
    pale = np.array((246, 244, 236)) * bloom.tint
    glow(canvas, pen, [ellipse(0, 0, 0.95, 0.95)], 0.78, 0.02)
    halo = canvas.rgb.copy()
    canvas.paint([ellipse(0, 0, 0.9, 0.9)], pen, pale * 0.9, relief=0.3, fur=0.7)
    canvas.rgb = mix(halo, canvas.rgb, 0.30)
    canvas.paint([ellipse(0, 0.02, 0.13, 0.13)], pen, (132, 116, 74), relief=0.4)
    for front in (False, True):
        part = ball[(ball[:, 2] > 0) == front]
        beaks = [pen.pixels(np.stack([k[:2] * 0.12, k[:2] * 0.72])) for k in part]
        draw_hairs(canvas, beaks, pale * 0.62, 0.45 if front else 0.25)
        draw_hairs(
            canvas,
            [h for k in part for h in parachute(bloom, k)],
            pale,
            0.85 if front else 0.4,
        )
        knots = [pen.pixels(ellipse(*(k[:2] * 0.72), 0.018, 0.018)) for k in part]
        draw_marks(canvas, knots, np.tile(pale * 0.8, (len(part), 1)))
        seeds = [pen.pixels(ellipse(*(k[:2] * 0.2), 0.02, 0.02)) for k in part]
        draw_marks(canvas, seeds, np.tile((104, 80, 52), (len(part), 1)))


def parachute(bloom: Bloom, k: Array) -> list[Array]:
    """Return the hairs of one seed that points along ``k``."""
    side = np.cross(k, (0.31, 0.5, 0.81))
    side /= np.linalg.norm(side)
    other = np.cross(k, side)
    hairs = []
    for t in np.linspace(0, 2 * np.pi, 11)[:-1] + bloom.rng.random():
        out = k * 0.97 + 0.19 * (np.cos(t) * side + np.sin(t) * other)
        hairs.append(bloom.pen.pixels(np.stack([k[:2] * 0.72, out[:2]])))
    return hairs


def paint_rose(bloom: Bloom) -> None:
    """Paint ring in ring of broad petals with rolled rims, closing to a spiral."""
    rng = bloom.rng
    paint_sepals(bloom)
    rings = int(rng.integers(5, 8))
    u, petals = ALONG, []
    spread = rng.uniform(0.82, 1.0)
    for k in range(rings):
        f = k / (rings - 1)
        count = int(round(6 - 3.4 * f))
        first = rng.uniform(0, 2 * np.pi)
        for j in range(count):
            reach = mix(spread, 0.15, f**0.85) * rng.normal(1, 0.05)
            r = reach * (0.25 + 0.75 * u ** mix(0.5, 0.75, f))
            z = mix(0.84, 1.14, f) * u**1.5 - mix(0.16, 0.0, f) * u**6 - 0.05
            half = mix(0.72, 1.15, f) * (0.5 + 0.5 * u**0.5) * (1.001 - u**8) ** 0.35
            petals.append(
                Petal(
                    first + (j + rng.normal(0, 0.1)) * 2 * np.pi / count,
                    r,
                    z,
                    half,
                    True,
                )
            )
    field = bloom.field(-0.1, 0.9)
    for petal in nearest_last(bloom, petals):
        deep = 0.72 + 0.28 * petal.r[-1]
        shade = np.array((deep**0.6, deep, deep))  # shadows in a rose stay warm
        paint_petal(bloom, petal, field * shade, rim=0.28, contact=0.55)
    if bloom.tilt < 1.0:
        paint_spiral(bloom, field)


def paint_spiral(bloom: Bloom, field: Array) -> None:
    """Paint the rolled heart of a rose."""
    t = np.linspace(0, 2.3 * 2 * np.pi, 22)
    r = 0.02 + 0.012 * t
    a = t + bloom.rng.uniform(0, 6)
    coil = np.stack([r * np.cos(a), r * np.sin(a), 1.1 - 0 * t], 1)
    bloom.canvas.paint(
        [ribbon(list(bloom.project(coil)), 0.016)], bloom.pen, field * 0.5, relief=0
    )


def paint_sepals(bloom: Bloom) -> None:
    """Paint five narrow green sepals and the hip below a rose."""
    if bloom.tilt > 0.8:
        hip = bloom.project(np.array([(0, 0, -0.06)]))[0]
        bloom.canvas.paint([ellipse(*hip, 0.14, 0.15)], bloom.pen, (84, 124, 62))
    first = bloom.rng.uniform(0, 2)
    for a in first + np.arange(5) * 2 * np.pi / 5:
        r = 0.1 + 0.85 * CURVE
        petal = Petal(
            a, r, -0.1 - 0.25 * CURVE**2 + 0.2 * CURVE, 0.12 * (1 - CURVE) ** 0.8
        )
        bloom.canvas.paint([bloom.project(petal.outline)], bloom.pen, (88, 134, 64))


def paint_tulip(bloom: Bloom) -> None:
    """Paint six broad petals that form a cup, or a star when seen from above."""
    rng = bloom.rng
    # Straight from above a tulip would pass for a poppy: look into the cup aslant.
    bloom = replace(bloom, tilt=max(bloom.tilt, 0.3 + 0.6 * bloom.tilt, 0.42))
    ease = np.clip(1.25 - bloom.tilt, 0, 1)  # from above only open cups are lovely
    opening = float(np.clip(rng.normal(0.20 + 0.48 * ease, 0.13), 0.02, 1.0))
    u, petals, first = ALONG, [], rng.uniform(0, 2 * np.pi)
    for k in range(6):
        outer = k % 2
        reach = (0.56 + 0.04 * outer) * rng.normal(1, 0.03)
        swell = np.sin(np.pi * (0.02 + 0.62 * u)) ** 0.75
        r = reach * (swell + opening * 1.05 * u**2)
        z = (1.55 - 0.55 * opening) * u * rng.normal(1, 0.03) - 0.1
        half = 0.55 * np.sin(np.pi * (0.06 + 0.94 * u**0.8)) ** 0.88
        half *= (1 - u**4) ** 0.4  # pointed tips
        petals.append(Petal(first + k * np.pi / 3 + rng.normal(0, 0.05), r, z, half))
    field = bloom.field(-0.2, 1.0)
    order = nearest_last(bloom, petals)
    for number, petal in enumerate(order):
        inside = np.sin(petal.angle) < 0.1 or bloom.tilt < 0.7
        shade = 0.80 if inside and bloom.tilt >= 0.7 else 0.9 + 0.025 * number
        paint_petal(
            bloom,
            petal,
            field * shade,
            veins=(-0.55, -0.2, 0.0, 0.25, 0.6),
            contact=0.4,
        )
        if number == 2 and bloom.tilt < 1.15:
            paint_stamens(bloom)
    if bloom.tilt < 0.7:
        paint_stamens(bloom)


def paint_stamens(bloom: Bloom) -> None:
    """Paint the dark eye, six stamens and the pistil of a tulip."""
    eye = bloom.rng.choice([(54, 36, 58), (230, 206, 96), (70, 60, 40)])
    ring = 0.3 * np.stack([np.cos(CURVE * 6.3), np.sin(CURVE * 6.3), 0 * CURVE], 1)
    glow(bloom.canvas, bloom.pen, [bloom.project(ring)], 0.55, 0.012)
    for a in np.arange(6) * np.pi / 3:
        tip = np.array([(0.24 * np.cos(a), 0.24 * np.sin(a), 0.42)])
        x, y = bloom.project(tip)[0]
        bloom.canvas.paint([ellipse(x, y, 0.035, 0.09, a)], bloom.pen, eye)
    x, y = bloom.project(np.array([(0, 0, 0.45)]))[0]
    bloom.canvas.paint([ellipse(x, y, 0.075, 0.075)], bloom.pen, (170, 186, 96))


# name: painter, colours and odds, thickness of the stem, middle of the body in z
KINDS = {
    "daisy": (
        paint_daisy,
        {"white": 0.34, "pink": 0.22, "yellow": 0.22, "violet": 0.22},
        0.040,
        0.08,
    ),
    "dandelion": (paint_dandelion, {"yellow": 0.66, "orange": 0.34}, 0.050, 0.25),
    "rose": (
        paint_rose,
        {"red": 0.22, "white": 0.2, "yellow": 0.2, "pink": 0.2, "orange": 0.18},
        0.050,
        0.5,
    ),
    "sunflower": (
        paint_sunflower,
        {"yellow": 0.46, "orange": 0.27, "russet": 0.27},
        0.075,
        0.1,
    ),
    "tulip": (
        paint_tulip,
        {
            "red": 0.2,
            "white": 0.18,
            "yellow": 0.2,
            "pink": 0.16,
            "orange": 0.1,
            "violet": 0.16,
        },
        0.060,
        0.62,
    ),
}


# ---------------------------------------------------------------- leaves, stems, buds


def leaf_shapes(label: str) -> list[Array]:
    """Return the outlines of one leaf: base at (0, 0), tip at (0, -1)."""
    if label == "tulip":
        return [
            curve(
                [
                    (0, 0),
                    (0.10, -0.35),
                    (0.09, -0.7),
                    (0, -1),
                    (-0.07, -0.65),
                    (-0.09, -0.3),
                ]
            )
        ]
    if label == "dandelion":
        side = []
        for y in np.arange(0.1, 0.9, 0.16):
            wide = 0.08 + 0.2 * np.sin(np.pi * y) * (0.4 + y)
            side += [(0.03, -y), (wide, -y + 0.05), (wide * 0.6, -y - 0.08)]
        half = [(0, 0), *side, (0.07, -0.93), (0, -1)]
        return [np.array(half + [(-x, y) for x, y in half[::-1]])]
    if label == "rose":
        t = np.linspace(0, 1, 25)
        teeth = 0.02 * (np.arange(25) % 2)
        wide = 0.19 * np.sin(np.pi * t**0.85) ** 0.8 + teeth * (t < 0.97)
        leaf = np.concatenate(
            [np.stack([wide, -0.55 * t], 1), np.stack([-wide, -0.55 * t], 1)[::-1]]
        )
        turned = [
            leaf @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
            for a in (-1.1, 1.1, 0)
        ]
        return [
            turned[0] * 0.85 + (0, -0.4),
            turned[1] * 0.85 + (0, -0.4),
            turned[2] + (0, -0.45),
            ribbon([(0, 0), (0, -0.2), (0, -0.5)], 0.012),
        ]
    if label == "sunflower":
        return [
            curve(
                [
                    (0, 0),
                    (0.26, 0.02),
                    (0.40, -0.24),
                    (0.24, -0.66),
                    (0, -1),
                    (-0.24, -0.66),
                    (-0.40, -0.24),
                    (-0.26, 0.02),
                ]
            )
        ]
    return [
        curve(
            [
                (0, 0),
                (0.04, -0.3),
                (0.17, -0.6),
                (0.16, -0.86),
                (0.05, -0.99),
                (-0.07, -0.97),
                (-0.17, -0.8),
                (-0.14, -0.58),
                (-0.04, -0.3),
            ]
        )
    ]


LEAF_LENGTHS = {
    "daisy": 0.8,
    "dandelion": 1.25,
    "rose": 0.95,
    "sunflower": 1.0,
    "tulip": 1.9,
}


def paint_leaf(canvas: Canvas, pen: Pen, label: str, green: Array) -> None:
    """Paint one leaf with its midrib, twisted a little towards the viewer."""
    squeeze = canvas.rng.uniform(0.6, 1.05)
    shapes = [s * (squeeze, 1) for s in leaf_shapes(label)]
    for shape in shapes:
        canvas.paint(
            [shape], pen, green * canvas.rng.normal(1, 0.06), relief=0.4, contact=0.25
        )
    rib = ribbon([(0, 0), (0.01, -0.4), (0, -0.85)], 0.012)
    canvas.paint([rib], pen, green * 1.25, relief=0)


def paint_stem(canvas: Canvas, path: list, width: float, green: Array) -> None:
    """Paint a rounded stem along a path in scene coordinates."""
    canvas.paint(
        [ribbon(path, width)], canvas.scene_pen, green, relief=0.5, contact=0.2
    )


def paint_bud(bloom: Bloom, label: str) -> None:
    """Paint a bud: green scales below, a tuft of the flower's colour above."""
    canvas, pen = bloom.canvas, bloom.pen
    base, tip = (np.array(c) * bloom.tint for c in COLOURS[bloom.colour])
    tall = {"tulip": 1.5, "rose": 1.25, "sunflower": 0.8}.get(label, 0.95)
    drop = curve(
        [
            (0, 0.5),
            (0.42, 0.1),
            (0.3, -0.5 * tall),
            (0, -tall),
            (-0.3, -0.5 * tall),
            (-0.42, 0.1),
        ]
    )
    canvas.paint([drop], pen, mix(base, tip, 0.4), relief=0.5, contact=0.3)
    streak = ribbon([(0.05, 0.3), (0.16, -0.3 * tall), (0.02, -tall * 0.95)], 0.03)
    canvas.paint([streak], pen, base * 0.85, relief=0)
    cover = {"tulip": 0.15, "rose": 0.65, "daisy": 0.75}.get(label, 0.95)
    green = np.array((96, 138, 70)) * bloom.rng.normal(1, 0.08, 3)
    for x in (-0.26, 0.26, 0.0):
        scale = curve(
            [(x * 0.4, 0.55), (x + 0.2, 0.2), (x, 0.3 - cover), (x - 0.2, 0.2)]
        )
        canvas.paint([scale], pen, green, contact=0.25)


def draw_head(bloom: Bloom, label: str, stage: str) -> None:
    """Paint a flower, or the seed clock it became."""
    painter = paint_clock if stage == "clock" else KINDS[label][0]
    painter(bloom)
