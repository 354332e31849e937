"""Draw the bundled ``flowers`` data set: five kinds of flowers, 96 x 96 pixels.

View, number, scale, scene, light and damage are sampled without looking at the class,
and most colours occur in several classes.  What is left to tell the classes apart is
how a flower is built: rays around a disc, layered petals, a cup, a shaggy cushion.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

# The neighbours must be found however this file is loaded, by path included.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from drawing_program import DrawingProgram, picture_rng
from flower_anatomy import (
    COLOURS,
    KINDS,
    LEAF_LENGTHS,
    Bloom,
    draw_head,
    paint_bud,
    paint_leaf,
    paint_stem,
)
from painting import OVERSAMPLE, Canvas, Pen, box, curve, ellipse, mix, soften
from pet_scenes import CLUTTER, LIGHT_ODDS, LIGHTS, apply_light, draw_scene, finish

LABELS = tuple(KINDS)
VIEWS = {"front": (0.0, 0.4), "tilted": (0.5, 0.9), "side": (1.02, 1.36)}
VIEW_ODDS = (0.38, 0.38, 0.24)
SCENE_ODDS = {
    "meadow": 0.2,
    "garden": 0.16,
    "vase": 0.2,
    "sky": 0.14,
    "bokeh": 0.14,
    "studio": 0.10,
    "autumn": 0.06,
}
ROOMS = ("room", "kitchen", "window", "sofa")
OCCLUSIONS = ("none", "grass", "leaf", "edge")
OCCLUSION_ODDS = (0.76, 0.08, 0.08, 0.08)
VISITORS = ("none", "bee", "ladybird", "butterfly")
VISITOR_ODDS = (0.82, 0.06, 0.06, 0.06)
QUALITY = (74, 89)
RADII = {1: 0.29, 2: 0.24, 3: 0.21, 4: 0.19}
UPWARD = {"meadow", "garden", "autumn", "vase"}  # stems end inside these scenes


# ---------------------------------------------------------------- one picture


def sample_attributes(label: str, rng: np.random.Generator) -> dict:
    """Choose everything about a picture; only stage and colour look at the label."""
    hues = KINDS[label][1]
    clock = rng.random() < 0.4 and label == "dandelion"
    hard = rng.random(2) < 0.14
    colour = str(rng.choice(list(hues), p=list(hues.values())))
    return {
        "stage": "clock" if clock else "bloom",
        "colour": "white" if clock else colour,
        "view": str(rng.choice(list(VIEWS), p=VIEW_ODDS)),
        "flowers": int(rng.choice((1, 2, 3, 4), p=(0.5, 0.22, 0.16, 0.12))),
        "buds": int(rng.choice((0, 1, 2), p=(0.66, 0.24, 0.10))),
        "scale": round(float(rng.uniform(0.68, 1.42)), 3),
        "background": str(rng.choice(list(SCENE_ODDS), p=list(SCENE_ODDS.values()))),
        "light": str(rng.choice(list(LIGHTS), p=LIGHT_ODDS)),
        "occlusion": str(rng.choice(OCCLUSIONS, p=OCCLUSION_ODDS)),
        "visitor": str(rng.choice(VISITORS, p=VISITOR_ODDS)),
        "blur": round(float(hard[0] * rng.uniform(0.4, 0.9)), 2),
        "noise": round(float(rng.uniform(0.6, 2) + hard[1] * rng.uniform(3, 7)), 2),
    }


def place_heads(canvas: Canvas, attributes: dict) -> list[tuple[float, float, float]]:
    """Return (x, y, radius) of every head, in parts of the side, the far ones first."""
    rng, n = canvas.rng, attributes["flowers"]
    size = RADII[n] * attributes["scale"]
    low = 0.56 if attributes["background"] == "vase" else 0.72
    middle = 0.5 if n == 1 else 0.4
    spots = [(*rng.normal((middle, 0.42), (0.12, 0.075)), size)]
    if attributes["occlusion"] == "edge":
        shift = float(rng.choice((-0.24, 0.24)))
        spots = [(0.5 + shift, spots[0][1], size * 1.1)]
    for _ in range(60):
        if len(spots) == n:
            break
        r = size * rng.uniform(0.72, 1.02)
        x, y = rng.uniform((r * 0.8, r * 0.8), (1 - r * 0.8, low))
        if all(np.hypot(x - a, y - b) > 0.86 * (r + c) for a, b, c in spots):
            spots.append((x, y, r))
    attributes["flowers"] = len(spots)
    return sorted((float(x), float(y), float(r)) for x, y, r in spots)[::-1]


def draw_backdrop(canvas: Canvas, attributes: dict) -> None:
    """Paint what lies behind the flowers."""
    rng, scene = canvas.rng, attributes["background"]
    if scene == "sky":
        draw_scene(canvas, "meadow", rng.uniform(0.82, 0.93))
        for x in rng.uniform(0, 1, int(rng.integers(1, 4))):
            CLUTTER["cloud"](canvas, x, rng.uniform(0.3, 1.4))
        canvas.rgb = soften(canvas.rgb, 3)
    elif scene == "bokeh":
        draw_bokeh(canvas)
    elif scene == "vase":
        draw_scene(canvas, str(rng.choice(ROOMS)), rng.uniform(0.7, 0.86))
        canvas.rgb = soften(canvas.rgb, rng.uniform(0.5, 3.5))
    elif scene == "studio":
        draw_scene(canvas, "studio", rng.uniform(0.6, 0.9))
        cloth = rng.choice(
            [
                (60, 58, 70),
                (214, 206, 196),
                (150, 176, 190),
                (190, 150, 150),
                (120, 60, 66),
            ]
        )
        canvas.rgb = mix(soften(canvas.rgb, 6), cloth, rng.uniform(0.4, 0.9))
    else:
        draw_scene(canvas, scene, rng.uniform(0.3, 0.62))
        canvas.rgb = soften(canvas.rgb, rng.uniform(0.5, 4.0))


def draw_bokeh(canvas: Canvas) -> None:
    """Paint foliage far out of focus, with discs of light and blurred blossoms."""
    rng, side = canvas.rng, canvas.side
    dark = np.array(rng.choice([(40, 66, 38), (76, 104, 52), (54, 74, 70)]), float)
    canvas.rgb[:] = dark * rng.normal(1, 0.1)
    for _ in range(26):
        x, y = rng.uniform(0, 1, 2)
        leaf = dark * rng.uniform(0.6, 1.9) * rng.normal(1, 0.08, 3)
        shape = ellipse(x, y, *rng.uniform(0.05, 0.22, 2), rng.uniform(0, 3))
        canvas.paint([shape], canvas.scene_pen, leaf, relief=0)
    canvas.rgb = soften(canvas.rgb, side / 24)


def draw_blossoms(canvas: Canvas) -> None:
    """Add blurred spots of any petal colour, so that a stray colour means nothing."""
    rng = canvas.rng
    behind = canvas.rgb.copy()
    for _ in range(int(rng.integers(0, 12))):
        x, y = rng.uniform(0, 1, 2)
        base, tip = COLOURS[str(rng.choice(list(COLOURS)))]
        r = rng.uniform(0.02, 0.08)
        lobes = [
            ellipse(x + dx, y + dy, r, r * rng.uniform(0.5, 1))
            for dx, dy in rng.normal(0, 0.7 * r, (3, 2))
        ]
        canvas.paint(lobes, canvas.scene_pen, mix(base, tip, rng.random()), relief=0.2)
    canvas.rgb = mix(behind, canvas.rgb, rng.uniform(0.45, 0.85))
    canvas.rgb = soften(canvas.rgb, canvas.side * rng.uniform(0.012, 0.03))


def draw_vase(canvas: Canvas, mouth: tuple[float, float]) -> None:
    """Stand a vase in front of the stems."""
    rng, (x, y) = canvas.rng, mouth
    w, h = rng.uniform(0.09, 0.15), 1.0 - y
    waist, belly = rng.uniform(0.7, 1.0), rng.uniform(1.0, 1.9)
    half = [(w, 0), (w * waist, h * 0.22), (w * belly, h * 0.6), (w * 0.9, h * 1.05)]
    shape = curve(half + [(-a, b) for a, b in half[::-1]]) + (x, y)
    glaze = np.array(
        rng.choice(
            [
                (88, 128, 168),
                (222, 216, 204),
                (176, 96, 74),
                (120, 150, 120),
                (70, 72, 84),
                (214, 180, 110),
            ]
        )
    )
    canvas.paint([shape], canvas.scene_pen, glaze, relief=0.55, contact=0.35)
    if rng.random() < 0.5:
        band = box(x, y + 0.45 * h, w * 1.5 * belly, 0.03)
        canvas.paint(
            [band], canvas.scene_pen, mix(glaze, (250, 246, 236), 0.6), relief=0.2
        )
    rim = ellipse(x, y + 0.01, w * 1.04, 0.018)
    canvas.paint([rim], canvas.scene_pen, glaze * 0.6, relief=0.2)


class Plant:
    """Hold what the flowers of one picture share: stem, leaves, colours."""

    def __init__(self, canvas: Canvas, label: str, attributes: dict) -> None:
        rng = canvas.rng
        self.canvas, self.label, self.attributes = canvas, label, attributes
        green = mix((84, 128, 58), (124, 150, 84), rng.random())
        self.green = green * rng.normal(1, 0.05, 3)
        foot = rng.normal((0.5, 1.06), (0.05, 0.01))
        self.foot = (float(foot[0]), 0.74) if self.in_vase else tuple(foot)

    @property
    def in_vase(self) -> bool:
        """Say whether the stems end in a vase."""
        return self.attributes["background"] == "vase"

    def path(self, x: float, y: float, lean: float) -> list[tuple[float, float]]:
        """Return the way of a stem from the head to the ground."""
        rng, (fx, fy) = self.canvas.rng, self.foot
        if not self.in_vase:
            fx = x + 0.3 * (fx - x) + rng.normal(0, 0.06)
        fy += 0.1
        bend = rng.normal(0, 0.03) - 0.18 * lean
        return [
            (x, y),
            (x + bend * 0.6, mix(y, fy, 0.3)),
            (mix(x, fx, 0.75) + bend * 0.3, mix(y, fy, 0.65)),
            (fx, fy),
        ]

    def leaves(self, path: list, radius: float) -> None:
        """Paint leaves along a stem, or around its foot."""
        rng, label, canvas = self.canvas.rng, self.label, self.canvas
        line = curve(path, closed=False)
        first = 0.45 if label in ("rose", "sunflower") else 0.74
        for side in rng.permutation((-1, 1, 1, -1))[: int(rng.integers(1, 4))]:
            x, y = line[int(rng.uniform(first, 0.97) * (len(line) - 1))]
            if self.in_vase and y > self.foot[1] - 0.02:
                y = self.foot[1] - 0.02
            length = LEAF_LENGTHS[label] * radius * rng.uniform(0.7, 1.15)
            pen = Pen(
                x * canvas.side,
                y * canvas.side,
                length * canvas.side,
                int(side),
                rng.uniform(0.35, 1.25),
            )
            paint_leaf(canvas, pen, label, self.green * rng.normal(1, 0.08))

    def bloom(
        self, x: float, y: float, radius: float, lean: float, tilt: float
    ) -> Bloom:
        """Return one head, ready to be painted."""
        rng, side = self.canvas.rng, self.canvas.side
        flip = int(rng.choice((-1, 1)))
        pen = Pen(x * side, y * side, radius * side, flip, lean * flip)
        tint = rng.normal(1, 0.05) * rng.normal(1, 0.035, 3)
        return Bloom(self.canvas, pen, tilt, self.attributes["colour"], tint)

    def flower(self, x: float, y: float, radius: float) -> None:
        """Paint stem, leaves and head of one flower."""
        rng, (_, _, thick, body) = self.canvas.rng, KINDS[self.label]
        tilt = rng.uniform(*VIEWS[self.attributes["view"]])
        lean = rng.normal(0, 0.32)
        # The body of a cup lies above its base: lower the base to keep it in place.
        stands = self.attributes["stage"] == "bloom"
        below = body * np.sin(tilt) * radius * stands
        bx, by = x - np.sin(lean) * below, y + np.cos(lean) * below
        path = self.path(bx, by, lean)
        paint_stem(
            self.canvas,
            path,
            thick * radius * rng.uniform(0.8, 1.2) + 0.003,
            self.green,
        )
        self.leaves(path, radius)
        draw_head(
            self.bloom(bx, by, radius, lean, tilt), self.label, self.attributes["stage"]
        )

    def bud(self, radius: float) -> None:
        """Paint one bud on a stem of its own."""
        rng = self.canvas.rng
        x, y = rng.uniform((0.12, 0.15), (0.88, 0.6))
        lean = rng.normal(0, 0.25)
        size = radius * rng.uniform(0.28, 0.42)
        paint_stem(
            self.canvas, self.path(x, y, lean), 0.03 * radius + 0.003, self.green
        )
        paint_bud(self.bloom(x, y, size, lean, 1.4), self.label)


def paint_picture(canvas: Canvas, label: str, attributes: dict) -> None:
    """Paint scene, buds, flowers, and whatever stands in front of them."""
    rng, scene = canvas.rng, attributes["background"]
    draw_backdrop(canvas, attributes)
    draw_blossoms(canvas)
    plant = Plant(canvas, label, attributes)
    heads = place_heads(canvas, attributes)
    for _ in range(attributes["buds"]):
        plant.bud(max(r for *_, r in heads))
    for x, y, r in heads:
        plant.flower(x, y, r)
    if scene == "vase":
        draw_vase(canvas, plant.foot)
    elif scene in UPWARD:
        tone = rng.choice([(92, 138, 56), (120, 150, 70), (70, 110, 54)])
        canvas.strokes(90, (0, 0.93, 1, 1.1), 0.12, tone, 2.5)
    draw_visitor(canvas, attributes["visitor"], heads[-1])
    draw_occlusion(canvas, attributes["occlusion"])


def draw_visitor(canvas: Canvas, kind: str, head: tuple) -> None:
    """Let an insect sit near a flower."""
    rng, side = canvas.rng, canvas.side
    x, y = np.clip(rng.normal(head[:2], head[2] * 0.8), 0.08, 0.92) * side
    pen = Pen(x, y, 0.05 * side, 1, rng.uniform(-0.8, 0.8))
    if kind == "butterfly":
        wing = rng.choice([(236, 150, 48), (120, 160, 220), (244, 236, 200)])
        for dx in (-1, 1):
            canvas.paint(
                [
                    ellipse(0.75 * dx, -0.5, 0.75, 0.55, 0.6 * dx),
                    ellipse(0.55 * dx, 0.45, 0.5, 0.45),
                ],
                pen,
                wing,
                contact=0.2,
            )
            canvas.paint([ellipse(0.95 * dx, -0.6, 0.2, 0.2)], pen, (60, 40, 40))
        canvas.paint([ellipse(0, 0, 0.12, 0.7)], pen, (40, 34, 34))
    elif kind == "ladybird":
        canvas.paint([ellipse(0, -0.55, 0.3, 0.25)], pen, (30, 26, 28))
        canvas.paint([ellipse(0, 0, 0.6, 0.6)], pen, (204, 40, 34), contact=0.3)
        canvas.paint(
            [
                ellipse(a, b, 0.12, 0.12)
                for a, b in ((-0.28, -0.2), (0.28, -0.2), (-0.25, 0.25), (0.25, 0.25))
            ],
            pen,
            (30, 26, 28),
            relief=0,
        )
    elif kind == "bee":
        for dx in (-1, 1):
            canvas.paint(
                [ellipse(0.5 * dx, -0.45, 0.5, 0.25, 0.5 * dx)],
                pen,
                (226, 230, 234),
                relief=0.2,
            )
        canvas.paint([ellipse(0, 0, 0.42, 0.75)], pen, (224, 168, 50), fur=0.6)
        canvas.paint(
            [box(0, b, 0.7, 0.14) for b in (-0.3, 0.05, 0.4)],
            pen,
            (46, 34, 26),
            relief=0,
        )


def draw_occlusion(canvas: Canvas, kind: str) -> None:
    """Paint grass or an unsharp leaf in front of the flowers."""
    rng = canvas.rng
    if kind == "grass":
        canvas.strokes(46, (0, 0.8, 1, 1.1), 0.42, (112, 148, 70), 4)
    elif kind == "leaf":
        sharp = canvas.rgb.copy()
        x = float(rng.choice((0.06, 0.94)))
        shape = ellipse(x, rng.uniform(0.5, 1.0), 0.16, 0.34, rng.normal(0, 0.5))
        canvas.paint(
            [shape], canvas.scene_pen, np.array((86, 126, 62)) * rng.normal(1, 0.15)
        )
        soft = soften(canvas.rgb, 7)
        where = np.asarray(canvas.mask([shape], canvas.scene_pen), np.float32)
        where = soften(np.repeat(where[..., None], 3, 2), 7) / 255
        canvas.rgb = mix(sharp, soft, where)


def draw_flower(
    label: str, rng: np.random.Generator, *, size: int = 96
) -> tuple[Image.Image, dict]:
    """Draw one picture of one to four flowers of a kind.

    Parameters
    ----------
    label : str
        "daisy", "dandelion", "rose", "sunflower" or "tulip".
    rng : numpy.random.Generator
        Source of every choice; the same state gives the same picture.
    size : int
        Side of the square picture in pixels.

    Returns
    -------
    image : PIL.Image.Image
        The RGB picture.
    attributes : dict
        What was drawn: stage, colour, view, flowers, buds, scale, background, light,
        occlusion, visitor, blur, noise.

    Raises
    ------
    ValueError
        If ``label`` is no known kind, or ``size`` is below 16.
    """
    if label not in LABELS:
        raise ValueError(f"label is {label!r}; choose one of {', '.join(LABELS)}")
    if size < 16:
        raise ValueError(f"size is {size}; pictures need at least 16 pixels")
    attributes = sample_attributes(label, rng)
    canvas = Canvas(size * OVERSAMPLE, rng)
    paint_picture(canvas, label, attributes)
    rgb = apply_light(canvas.rgb, attributes["light"], rng)
    image = finish(rgb, size, attributes["blur"], attributes["noise"], rng)
    return image, attributes


# ---------------------------------------------------------------- the data set


ATTRIBUTES = (
    "stage",
    "colour",
    "view",
    "flowers",
    "buds",
    "scale",
    "background",
    "light",
    "occlusion",
    "visitor",
    "blur",
    "noise",
)
BIASES = (
    "These are drawings from one program, not photographs: a model that does well here"
    " has not been shown to do well on real flowers.",
    "All flowers of one picture are of one kind, in one stage and one colour, seen from"
    " similar directions; real bouquets are mixed.",
    "Each kind is drawn by one recipe with random numbers in it: real species vary in"
    " ways no number here stands for, and train and test share the recipes.",
    "Front, tilted and side views are equally common for every kind, although people"
    " photograph tulips from the side and sunflowers from the front.",
    "Two dandelions in five are seed clocks, which no other kind has; a clock is always"
    " whitish.",
    "Colours overlap but not fully: red is a rose or a tulip, violet a daisy or a"
    " tulip, russet a sunflower; yellow, the commonest, occurs in every kind.",
    "Yellow and violet daisies and orange dandelions are commoner here than in nature.",
    "Leaves are true to the kind (toothed, heart-shaped, blade-like), so stems and"
    " leaves give part of the answer where they are seen.",
    "Sunflowers are drawn as large as daisies: size means nothing here.",
    "Side views of sunflowers and roses are hardest, for people and source model alike;"
    " a wide-open tulip seen from the front may pass for a poppy.",
)


def draw(seed: int, split: str, label: str, index: int) -> tuple:
    """Draw one picture of the set; an unlabelled one is of any kind."""
    rng = picture_rng(seed, split, (*LABELS, "").index(label), index)
    image, attributes = draw_flower(label or str(rng.choice(LABELS)), rng)
    if not label:  # stage and colour would narrow the class down
        attributes |= {"stage": "", "colour": ""}
    return image, {"quality": int(rng.integers(*QUALITY))}, attributes


PROGRAM = DrawingProgram(
    name="flowers",
    title="Drawn flowers",
    description="Small paintings of one to four daisies, dandelions, roses, "
    "sunflowers or tulips, in many colours, views, scenes and lights, with buds "
    "and seed clocks. About one picture in two is partly hidden, visited by an "
    "insect, blurred or grainy.",
    labels=LABELS,
    attributes=ATTRIBUTES,
    counts={"train": 60, "valid": 15, "test": 75, "unlabelled": 0},
    draw=draw,
    image_format="JPEG",
    format_note=f"JPEG, RGB, quality {QUALITY[0]} to {QUALITY[1] - 1}",
    side=96,
    known_biases=BIASES,
)


if __name__ == "__main__":
    sys.exit(PROGRAM.main())
