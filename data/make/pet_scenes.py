"""Draw what surrounds an animal: scenes, clutter, things in front, light, camera."""

from __future__ import annotations

import numpy as np
from painting import (
    Array,
    Canvas,
    Colour,
    box,
    cloud,
    curve,
    ellipse,
    limb,
    mix,
    soften,
)
from PIL import Image, ImageFilter

# name: upper colours (top, bottom), lower colours (far, near), floor texture, clutter
SCENES = {
    "meadow": (((132, 184, 226), (206, 226, 234)), ((140, 176, 84), (92, 138, 56)),
               "grass", ("cloud", "bush", "flower")),
    "garden": (((160, 192, 170), (176, 200, 140)), ((122, 160, 78), (86, 128, 58)),
               "grass", ("fence", "flower", "bush")),
    "beach": (((124, 188, 222), (178, 216, 222)), ((228, 206, 160), (208, 180, 128)),
              "speckle", ("cloud", "stone", "ball")),
    "snow": (((150, 174, 206), (208, 216, 228)), ((232, 236, 242), (206, 214, 228)),
             "speckle", ("bush", "tree", "stone")),
    "autumn": (((206, 176, 128), (220, 190, 132)), ((176, 120, 62), (138, 90, 50)),
               "speckle", ("tree", "bush", "stone")),
    "room": (((206, 190, 172), (190, 172, 152)), ((162, 116, 78), (134, 92, 60)),
             "planks", ("frame", "lamp", "plant")),
    "sofa": (((196, 202, 196), (176, 184, 180)), ((150, 120, 96), (126, 98, 80)),
             "weave", ("sofa", "frame")),
    "kitchen": (((208, 218, 216), (192, 204, 202)), ((206, 198, 186), (176, 168, 160)),
                "tiles", ("frame", "plant", "ball")),
    "rug": (((176, 160, 182), (160, 144, 168)), ((172, 84, 76), (136, 62, 62)),
            "weave", ("lamp", "plant", "ball")),
    "window": (((196, 180, 150), (178, 160, 134)), ((148, 108, 74), (120, 84, 58)),
               "planks", ("window", "plant")),
    "studio": (((172, 182, 190), (190, 196, 200)), ((170, 174, 178), (146, 150, 156)),
               "none", ()),
}
# name: (red, green, blue) gains
LIGHTS = {
    "day": (1.0, 1.0, 1.0),
    "warm": (1.08, 1.0, 0.88),
    "cool": (0.91, 0.98, 1.08),
    "bright": (1.2, 1.2, 1.18),
    "dim": (0.68, 0.67, 0.7),
    "evening": (0.86, 0.70, 0.62),
}
BEADS = ((206, 156, 52), (130, 174, 84), (110, 160, 204), (112, 72, 42),
         (230, 230, 226))
LIGHT_ODDS = (0.36, 0.18, 0.15, 0.12, 0.11, 0.08)
OCCLUSIONS = ("none", "grass", "fence", "cushion", "ball", "edge")
OCCLUSION_ODDS = (0.80, 0.05, 0.03, 0.04, 0.04, 0.04)


# ---------------------------------------------------------------- behind


def vertical(top: Colour, bottom: Colour, rows: int) -> Array:
    """Return a column of colours from ``top`` to ``bottom``."""
    return mix(top, bottom, np.linspace(0, 1, rows, dtype=np.float32)[:, None])


def draw_scene(canvas: Canvas, scene: str, horizon: float) -> None:
    """Paint wall or sky, floor or ground, texture and clutter."""
    (sky_a, sky_b), (far, near), texture, clutter = SCENES[scene]
    rng, side = canvas.rng, canvas.side
    tint = rng.normal(0, 8, 3) + rng.normal(0, 10)
    cut = int(horizon * side)
    canvas.rgb[:cut] = vertical(sky_a + tint, sky_b + tint, cut)[:, None]
    ground = rng.normal(0, 8, 3) + rng.normal(0, 10)
    canvas.rgb[cut:] = vertical(far + ground, near + ground, side - cut)[:, None]
    for cells in ((5, 5), (24, 24)):
        canvas.rgb *= 1 + 0.035 * cloud(rng, (side, side), cells)[..., None]
    for name in clutter:
        if rng.random() < 0.6:
            CLUTTER[name](canvas, rng.uniform(0.02, 0.98), horizon)
    draw_texture(canvas, texture, cut, near)
    canvas.rgb = soften(canvas.rgb, rng.uniform(0.2, 1.6) * side / 288)


def draw_texture(canvas: Canvas, texture: str, cut: int, near: Colour) -> None:
    """Give the ground below row ``cut`` its texture."""
    rng, side = canvas.rng, canvas.side
    floor = canvas.rgb[cut:]
    y = np.linspace(0.15, 1, len(floor))[:, None]
    x = np.linspace(-1, 1, side)[None] + rng.uniform(-1, 1)
    if texture == "grass":
        canvas.strokes(420, (0, cut / side, 1, 1.04), 0.05, near)
    elif texture == "speckle":
        floor *= 1 + 0.06 * rng.standard_normal((*floor.shape[:2], 1))
    elif texture == "weave":
        wave = np.sin(x * 70) * np.sin(y * 60)
        floor *= 1 + 0.05 * wave[..., None]
    elif texture == "planks":
        floor *= 1 - 0.18 * (np.abs((4 * x / y) % 1 - 0.5) > 0.47)[..., None]
    elif texture == "tiles":
        line = (np.abs((3 * x / y) % 1 - 0.5) > 0.47) | ((2.5 / y) % 1 < 0.08)
        floor *= 1 - 0.14 * line[..., None]


def clutter_cloud(canvas: Canvas, x: float, horizon: float) -> None:
    """Add a cloud to the sky."""
    y = horizon * canvas.rng.uniform(0.2, 0.5)
    puffs = [ellipse(x + d, y - 0.04 * (d == 0), 0.09, 0.045) for d in (-0.08, 0, 0.09)]
    canvas.paint(puffs, canvas.scene_pen, (240, 243, 246), relief=0.1, fur=0.8)


def clutter_tree(canvas: Canvas, x: float, horizon: float) -> None:
    """Add a tree behind the horizon."""
    canvas.paint(limb([(x, horizon - 0.3), (x, horizon + 0.04)], [0.025, 0.035]),
                 canvas.scene_pen, (98, 72, 54))
    crown = [ellipse(x + dx, horizon - 0.34 + dy, 0.13, 0.12)
             for dx, dy in canvas.rng.normal(0, 0.06, (4, 2))]
    leaf = mix((86, 126, 68), (204, 128, 52), canvas.rng.random())
    canvas.paint(crown, canvas.scene_pen, leaf, fur=1.0)


def clutter_bush(canvas: Canvas, x: float, horizon: float) -> None:
    """Add a bush at the horizon."""
    lumps = [ellipse(x + d, horizon - 0.02, 0.10, 0.09) for d in (-0.1, 0.0, 0.1)]
    leaf = mix((70, 110, 62), (132, 140, 84), canvas.rng.random())
    canvas.paint(lumps, canvas.scene_pen, leaf, fur=1.0)


def clutter_flower(canvas: Canvas, _: float, horizon: float) -> None:
    """Sprinkle flowers over the ground."""
    colour = canvas.rng.choice([(232, 96, 92), (246, 214, 84), (240, 236, 246)])
    spots = canvas.rng.uniform((0, horizon + 0.05), (1, 1), (14, 2))
    canvas.paint([ellipse(a, b, 0.014, 0.012) for a, b in spots], canvas.scene_pen,
                 colour)


def clutter_stone(canvas: Canvas, x: float, horizon: float) -> None:
    """Add a stone to the ground."""
    y = canvas.rng.uniform(horizon + 0.06, 0.95)
    canvas.paint([ellipse(x, y, 0.08, 0.05)], canvas.scene_pen, (142, 138, 134),
                 contact=0.3)


def clutter_ball(canvas: Canvas, x: float, horizon: float) -> None:
    """Add a toy ball to the ground."""
    y = canvas.rng.uniform(horizon + 0.08, 0.95)
    draw_ball(canvas, x, y, canvas.rng.uniform(0.05, 0.08))


def draw_ball(canvas: Canvas, x: float, y: float, r: float) -> None:
    """Draw a shaded ball with a stripe."""
    colour = canvas.rng.choice([(210, 66, 58), (66, 118, 190), (236, 186, 62)])
    canvas.paint([ellipse(x, y, r, r)], canvas.scene_pen, colour, contact=0.4)
    canvas.paint([ellipse(x, y, r * 0.96, r * 0.24, 0.5)], canvas.scene_pen,
                 (244, 240, 232), relief=0.2)


def clutter_fence(canvas: Canvas, _: float, horizon: float) -> None:
    """Run a fence along the horizon."""
    draw_fence(canvas, horizon, 0.24, canvas.rng.uniform(0, 0.14))


def draw_fence(canvas: Canvas, y: float, height: float, start: float) -> None:
    """Draw pales and two rails across the whole picture."""
    wood = mix((232, 226, 214), (150, 112, 78), canvas.rng.random())
    rails = [box(0.5, y + d * height, 1.1, 0.025) for d in (-0.25, 0.22)]
    canvas.paint(rails, canvas.scene_pen, wood * 0.88, relief=0.2)
    pales = [box(x, y, 0.045, height) for x in np.arange(start, 1.05, 0.15)]
    canvas.paint(pales, canvas.scene_pen, wood, relief=0.2)


def clutter_frame(canvas: Canvas, x: float, horizon: float) -> None:
    """Hang a picture on the wall."""
    y, size = horizon * 0.4, canvas.rng.uniform(0.14, 0.24)
    canvas.paint([box(x, y, size, size * 0.8)], canvas.scene_pen, (112, 84, 62))
    inside = canvas.rng.uniform(120, 230, 3)
    canvas.paint([box(x, y, size * 0.78, size * 0.58)], canvas.scene_pen, inside)


def clutter_lamp(canvas: Canvas, x: float, horizon: float) -> None:
    """Stand a lamp against the wall."""
    canvas.paint([box(x, horizon - 0.15, 0.02, 0.34)], canvas.scene_pen, (94, 84, 78))
    shade = np.array([(-0.06, -0.42), (0.06, -0.42), (0.1, -0.27), (-0.1, -0.27)])
    canvas.paint([shade + (x, horizon)], canvas.scene_pen, (244, 220, 168))


def clutter_plant(canvas: Canvas, x: float, horizon: float) -> None:
    """Add a potted plant."""
    y = horizon + 0.03
    for a in canvas.rng.uniform(-0.9, 0.9, 6):
        tip = (x + 0.22 * np.sin(a), y - 0.1 - 0.24 * np.cos(a))
        canvas.paint(limb([(x, y - 0.06), tip], [0.012, 0.03, 0.01]), canvas.scene_pen,
                     (84, 132, 82))
    canvas.paint([box(x, y, 0.13, 0.13)], canvas.scene_pen, (190, 108, 76))


def clutter_sofa(canvas: Canvas, _: float, horizon: float) -> None:
    """Put a sofa along the wall."""
    cloth = canvas.rng.choice([(120, 148, 158), (176, 122, 104), (140, 150, 110)])
    canvas.paint([box(0.5, horizon - 0.12, 1.2, 0.34)], canvas.scene_pen, cloth)
    canvas.paint([box(x, horizon + 0.02, 0.52, 0.14) for x in (0.22, 0.78)],
                 canvas.scene_pen, cloth * 1.08, contact=0.3)


def clutter_window(canvas: Canvas, x: float, horizon: float) -> None:
    """Open a bright window in the wall."""
    y, size = horizon * 0.45, 0.36
    canvas.paint([box(x, y, size, size)], canvas.scene_pen, (240, 236, 228))
    for dx in (-0.085, 0.085):
        canvas.paint([box(x + dx, y, 0.15, 0.32)], canvas.scene_pen, (178, 214, 232))


CLUTTER = {
    "ball": clutter_ball, "bush": clutter_bush, "cloud": clutter_cloud,
    "fence": clutter_fence, "flower": clutter_flower, "frame": clutter_frame,
    "lamp": clutter_lamp, "plant": clutter_plant, "sofa": clutter_sofa,
    "stone": clutter_stone, "tree": clutter_tree, "window": clutter_window,
}


def draw_toys(canvas: Canvas) -> None:
    """Scatter beads, buttons and strings that look like eyes, noses and whiskers."""
    rng = canvas.rng
    for x, y in rng.uniform((0, 0.1), 1, (int(rng.integers(1, 6)), 2)):
        draw_bead(canvas, x, y, rng.uniform(0.025, 0.06))
    for x, y in rng.uniform(0, 1, (int(rng.integers(0, 4)), 2)):
        angle = rng.uniform(0, 2 * np.pi)
        half = 0.125 * np.array([np.cos(angle), np.sin(angle)])
        bend = half + rng.normal(0, 0.02, 2)
        colour = (246, 242, 236) if rng.random() < 0.6 else (70, 58, 50)
        path = [(x, y) + k for k in (0 * half, bend, 2 * half)]
        canvas.line(path, canvas.scene_pen, colour, 0.004)


def draw_bead(canvas: Canvas, x: float, y: float, r: float) -> None:
    """Draw a glass bead with a dark rim, a dark button or a plain ball."""
    rng, pen = canvas.rng, canvas.scene_pen
    glass = BEADS[int(rng.integers(len(BEADS)))]
    kind = str(rng.choice(("bead", "button", "ball")))
    rim = glass if kind == "ball" else (36, 28, 28)
    canvas.paint([ellipse(x, y, r * 1.25, r * 1.2)], pen, rim)
    if kind != "ball":
        inside = glass if kind == "bead" else (50, 36, 30)
        canvas.paint([ellipse(x, y, r, r * 0.9)], pen, inside, relief=0.35)
    if kind == "bead":
        canvas.paint([ellipse(x, y, r * 0.5, r * 0.7)], pen, (18, 14, 18))
    glint = 0.25 * r
    canvas.paint([ellipse(x - 0.3 * r, y - 0.4 * r, glint, glint)], pen,
                 (250, 250, 250))


# ---------------------------------------------------------------- in front, and light


def draw_occlusion(canvas: Canvas, kind: str, ground: float) -> None:
    """Paint something in front of the animal."""
    rng, x = canvas.rng, canvas.rng.uniform(0.25, 0.75)
    if kind == "grass":
        canvas.strokes(170, (0, ground - 0.02, 1, 1.1), 0.2, (104, 146, 66), 3)
    elif kind == "fence":
        draw_fence(canvas, ground - 0.1, 0.34, rng.uniform(0, 0.14))
    elif kind == "ball":
        draw_ball(canvas, x, ground - 0.06, rng.uniform(0.11, 0.15))
    elif kind == "cushion":
        colour = rng.choice([(196, 96, 96), (92, 128, 160), (222, 186, 110)])
        shape = curve([(-0.24, -0.13), (0, -0.11), (0.24, -0.13), (0.22, 0.02),
                       (0.24, 0.16), (0, 0.14), (-0.24, 0.16), (-0.22, 0.02)])
        canvas.paint([shape + (x, ground - 0.02)], canvas.scene_pen, colour,
                     contact=0.3, relief=0.5)


def apply_light(rgb: Array, light: str, rng: np.random.Generator) -> Array:
    """Apply colour cast, side light, vignette and contrast."""
    side = len(rgb)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j].astype(np.float32)
    slope = rng.normal(0, 0.09, 2)
    falloff = 1 + slope[0] * x + slope[1] * y
    falloff -= rng.uniform(0, 0.22) * (x * x + y * y) / 2
    gain = np.array(LIGHTS[light]) * rng.normal(1, 0.05) * rng.normal(1, 0.015, 3)
    lit = rgb * falloff[..., None] * gain
    return mix(np.full(3, lit.mean()), lit, rng.uniform(0.85, 1.12))


def finish(rgb: Array, size: int, blur: float, noise: float,
           rng: np.random.Generator) -> Image.Image:
    """Shrink to the final size, then add the camera's blur and noise."""
    image = Image.fromarray(rgb.clip(0, 255).astype(np.uint8))
    image = image.resize((size, size), Image.BOX)
    if blur:
        image = image.filter(ImageFilter.GaussianBlur(blur * size / 96))
    grain = rng.normal(0, max(noise, 0.01), (size, size, 3))
    return Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))
