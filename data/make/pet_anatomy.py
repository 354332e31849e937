"""Draw cats and dogs: coats, heads and bodies."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from painting import (
    Array,
    Canvas,
    Colour,
    Pen,
    cloud,
    curve,
    ellipse,
    limb,
    mirrored,
    mix,
)

# base, dark marking, light marking
PALETTE = {
    "ginger": ((206, 138, 78), (152, 86, 44), (247, 224, 194)),
    "black": ((62, 57, 58), (30, 28, 32), (232, 228, 222)),
    "grey": ((142, 141, 143), (80, 80, 86), (224, 222, 220)),
    "white": ((238, 232, 222), (120, 98, 84), (252, 250, 246)),
    "cream": ((230, 204, 164), (126, 88, 62), (250, 240, 222)),
    "brown": ((128, 90, 62), (66, 44, 34), (214, 184, 150)),
    "fawn": ((198, 156, 110), (92, 64, 48), (240, 222, 194)),
}


@dataclass(frozen=True)
class Breed:
    """Describe one breed: the look shared with its twin, and its own face."""

    name: str
    width: float  # of the skull, in head radii
    muzzle: float  # length
    eye: float  # size
    ears: str
    coats: tuple[str, ...]
    colours: tuple[str, ...]
    build: str
    tail: str
    fur: float  # roughness of the outline


# ---------------------------------------------------------------- coats


@dataclass
class Coat:
    """Hold the colour of every part of one animal."""

    main: Array  # one colour per pixel of the canvas, pattern included
    dark: Array
    pale: Array
    fur: float
    parts: dict[str, Array] = field(default_factory=dict)

    def of(self, part: str) -> Array:
        """Return the colour of a part: ``main`` unless the pattern says otherwise."""
        return self.parts.get(part, self.main)


def make_coat(canvas: Canvas, pen: Pen, breed: Breed, pattern: str,
              colour: str) -> Coat:
    """Mix the coat of one animal."""
    rng = canvas.rng
    tint = rng.normal(0, 4, 3) + rng.normal(0, 10)
    base, dark, pale = (np.clip(np.array(c) + tint, 16, 250) for c in PALETTE[colour])
    share = PATTERNS[pattern](canvas, pen)[..., None]
    main = mix(base, dark, (0.6 if pattern == "striped" else 0.8) * share)
    if pattern == "patches":
        main = mix(pale, base if colour != "white" else dark, share)
    mottle = 1 + 0.06 * cloud(rng, share.shape[:2], (9, 9))[..., None]
    coat = Coat((main * mottle).astype(np.float32), dark, pale, breed.fur)
    light = np.broadcast_to(mix(base, pale, 0.55), main.shape)
    white = np.broadcast_to(mix(pale, (250, 248, 244), 0.6), main.shape)
    if pattern == "points":
        shade = np.broadcast_to(mix(base, dark, 0.8), main.shape)
        coat.parts = dict.fromkeys(("ear", "tail", "leg", "paw"), shade)
        coat.parts["muzzle"] = np.broadcast_to(mix(base, dark, 0.6), main.shape)
    elif pattern == "bicolour":
        coat.parts = dict.fromkeys(("chest", "muzzle", "paw", "blaze"), white)
    elif pattern != "patches":
        coat.parts = dict.fromkeys(("chest", "muzzle"), light)
    return coat


def local_grid(canvas: Canvas, pen: Pen) -> tuple[Array, Array]:
    """Return each pixel's position in the animal's own units."""
    y, x = np.mgrid[: canvas.side, : canvas.side].astype(np.float32)
    return (x - pen.x) * pen.flip / pen.scale, (y - pen.y) / pen.scale


def pattern_none(canvas: Canvas, pen: Pen) -> Array:
    """Leave the coat plain."""
    return np.zeros((canvas.side, canvas.side), np.float32)


def pattern_striped(canvas: Canvas, pen: Pen) -> Array:
    """Draw wavering stripes: tabby on a cat, brindle on a dog."""
    x, y = local_grid(canvas, pen)
    angle = canvas.rng.uniform(-0.6, 0.6)
    warp = cloud(canvas.rng, x.shape, (8, 8)) * 0.09
    phase = (x * np.cos(angle) + y * np.sin(angle) + warp) * canvas.rng.uniform(5, 8)
    gaps = 0.75 + 0.25 * cloud(canvas.rng, x.shape, (14, 14))
    return np.clip(np.sin(2 * np.pi * phase) * 1.6 - 0.3, 0, 1) * gaps


def pattern_spots(canvas: Canvas, pen: Pen) -> Array:
    """Scatter round dark spots."""
    n = int(canvas.side / pen.scale * canvas.rng.uniform(9, 13))
    noise = cloud(canvas.rng, (canvas.side, canvas.side), (n, n))
    return np.clip((noise - 0.38) * 6, 0, 1)


def pattern_patches(canvas: Canvas, pen: Pen) -> Array:
    """Lay large coloured patches on white."""
    n = int(canvas.side / pen.scale * canvas.rng.uniform(2.4, 3.4)) + 2
    noise = cloud(canvas.rng, (canvas.side, canvas.side), (n, n))
    return np.clip(noise * 7 + 0.8, 0, 1)


def pattern_saddle(canvas: Canvas, pen: Pen) -> Array:
    """Darken the back and the crown of the head."""
    _, y = local_grid(canvas, pen)
    edge = canvas.rng.uniform(-0.12, 0.05)
    wave = 0.12 * cloud(canvas.rng, y.shape, (8, 8))
    head = np.clip((-0.62 - y + wave) * 6, 0, 1)
    back = np.clip((edge - y + wave) * 8, 0, 1) * np.clip((y + 0.42) * 8, 0, 1)
    return np.maximum(head, back) * 0.9


PATTERNS = {
    "plain": pattern_none, "points": pattern_none, "bicolour": pattern_none,
    "striped": pattern_striped, "spots": pattern_spots,
    "patches": pattern_patches, "saddle": pattern_saddle,
}


# ---------------------------------------------------------------- heads

IRISES = {"amber": (206, 156, 52), "green": (130, 174, 84), "blue": (110, 160, 204),
          "brown": (112, 72, 42), "dark": (44, 30, 26)}
NOSES = {"black": (40, 33, 35), "brown": (104, 70, 60), "pink": (204, 126, 120)}

@dataclass(frozen=True)
class Head:
    """Gather what the parts of a head need: who, where, and which way it looks."""

    canvas: Canvas
    pen: Pen
    label: str
    breed: Breed
    coat: Coat
    turn: float  # 0 = towards the viewer, 1 = profile, in the pen's x direction
    face: dict[str, str]  # the picture's attributes: ears, eyes, whiskers, nose ...
    iris: Colour

    def part(self, shapes: list[Array], name: str, **kwargs: float) -> None:
        """Paint shapes of this head in the coat's colour for ``name``."""
        options = {"relief": 0.32, "fur": 0.6 * self.coat.fur} | kwargs
        self.canvas.paint(shapes, self.pen, self.coat.of(name), **options)

    def flat(self, shapes: list[Array], colour: Colour, **kwargs: float) -> None:
        """Paint shapes of this head in one colour."""
        self.canvas.paint(shapes, self.pen, colour, **({"relief": 0.0} | kwargs))


def ear_shape(label: str, kind: str, tall: float) -> tuple[list, list]:
    """Return the right ear's outline and the outline of its inside."""
    slim = 1.0 if label == "cat" else 0.9
    if kind == "pricked":
        outer = [(0.16, -0.66), (0.62 * slim, -1.22 * tall),
                 (0.78 * slim, -1.42 * tall), (0.90 * slim, -1.0 * tall),
                 (0.94 * slim, -0.2)]
        inner = [(0.38, -0.66), (0.72 * slim, -1.24 * tall), (0.80 * slim, -0.5)]
    elif kind == "rounded":
        outer = [(0.20, -0.66), (0.46, -1.1 * tall), (0.80 * slim, -1.22 * tall),
                 (1.0 * slim, -0.9 * tall), (0.92 * slim, -0.25)]
        inner = [(0.42, -0.7), (0.72, -1.06 * tall), (0.86 * slim, -0.6)]
    elif kind == "folded":
        outer = [(0.24, -0.68), (0.52, -0.98 * tall), (0.86 * slim, -0.9 * tall),
                 (1.02 * slim, -0.48), (0.86 * slim, -0.3), (0.56, -0.52)]
        inner = []
    else:
        low = 0.62 * tall
        outer = [(0.52, -0.76), (0.90, -0.74), (1.18 * slim, -0.2),
                 (1.24 * slim, low - 0.2), (1.06 * slim, low), (0.9 * slim, low - 0.2),
                 (0.80 * slim, -0.2)]
        inner = []
    return outer, inner


def draw_ears(head: Head, in_front: bool) -> None:
    """Draw the pair of ears, if this kind lies on that side of the skull."""
    if (head.face["ears"] in ("folded", "drooping")) != in_front:
        return
    tall = head.canvas.rng.uniform(0.9, 1.1)
    outer, inner = ear_shape(head.label, head.face["ears"], tall)
    shrink = 1 - (0.12 if head.face["ears"] == "drooping" else 0.35) * head.turn
    for side in (-1, 1):
        near = shrink if side > 0 else 1.0
        place = np.array([side * near * head.breed.width, 1.0])
        shift = np.array([-0.18 * head.turn, 0.0])
        shape = curve(outer) * place + shift
        head.part([shape], "ear", contact=0.3 if in_front else 0.0, relief=0.4)
        if inner:
            pink = mix(head.coat.pale, (214, 150, 138), 0.6) * 0.86
            head.flat([curve(inner) * place + shift], pink, relief=0.3, fur=0.3)
        elif head.face["ears"] == "folded":
            crease = [np.array(outer[i]) * place + shift for i in (1, 2)]
            head.canvas.line(crease, head.pen, head.coat.dark * 0.9, 0.03)


def draw_eyes(head: Head, gap: float, y: float) -> None:
    """Draw the visible eyes; the far one is narrower, and hidden in profile."""
    size = head.breed.eye * head.canvas.rng.uniform(0.85, 1.2)
    size *= 1.12 if head.label == "cat" else 0.88
    shine = head.canvas.rng.random() < 0.7
    for side in (-1, 1):
        far = head.turn if side > 0 else 0.0
        if far > 0.62 and head.label == "dog":
            continue
        x = side * gap * (1 - 0.25 * head.turn) + 0.40 * head.turn
        draw_eye(head, (x, y), (size, 1 - 0.5 * far), -side, shine)


def draw_eye(head: Head, at: tuple, size: tuple, side: int, shine: bool) -> None:
    """Draw one eye: almond or round, bright or dark."""
    x, y = at[0] + 0.03 * head.turn, at[1]
    shape, colour = head.face["eyes"], head.face["iris"]
    rx, ry = (0.19, 0.145) if shape == "almond" else (0.155, 0.155)
    rx, ry, tilt = rx * size[0] * size[1], ry * size[0], 0.0
    if shape == "almond":
        tilt = 0.28 * side
    head.flat([ellipse(*at, rx + 0.05, ry + 0.045, tilt)], (36, 28, 28))
    head.flat([ellipse(*at, rx, ry, tilt)], head.iris, relief=0.35)
    wide = 0.3 if head.face["pupil"] == "slit" else 0.64
    if colour != "dark":
        head.flat([ellipse(x, y, ry * wide, ry * max(wide, 0.7))], (18, 14, 18))
    if shine:
        glint = 0.32 * ry
        head.flat([ellipse(at[0] - 0.3 * rx, y - 0.4 * ry, glint, glint)],
                  (250, 250, 250))


def draw_cat_face(head: Head) -> None:
    """Draw eyes, a short muzzle with a small nose, mouth and whiskers."""
    turn, long = head.turn, head.breed.muzzle
    x = 0.46 * turn + long * turn
    draw_eyes(head, 0.43, -0.06)
    bridge = [(0.34 * turn, -0.25), (x, 0.2)]
    head.part(limb(bridge, [0.1, 0.14]), "blaze", relief=0.12)
    pads = [ellipse(x + s * 0.17, 0.43, 0.23, 0.18) for s in (-1, 1)]
    head.part([*pads, ellipse(x, 0.58, 0.17, 0.14)], "muzzle", contact=0.15)
    nose = [(x - 0.12, 0.22), (x + 0.12, 0.22), (x + 0.03, 0.33), (x - 0.03, 0.33)]
    head.flat([curve(nose)], NOSES[head.face["nose"]], relief=0.3)
    ink = (70, 48, 46)
    for s in (-1, 1):
        smile = [(x, 0.34), (x + s * 0.03, 0.45), (x + s * 0.14, 0.5),
                 (x + s * 0.24, 0.45)]
        head.canvas.line(smile, head.pen, ink, 0.018)
    draw_whiskers(head, x, 0.40)


def draw_whiskers(head: Head, x: float, top: float) -> None:
    """Draw three fine whiskers on each side, if the animal shows any."""
    rng = head.canvas.rng
    if head.face["whiskers"] == "none":
        return
    colour = (248, 246, 242) if head.face["whiskers"] == "pale" else (58, 48, 46)
    for s in (-1, 1):
        for k in range(3):
            reach, drop = rng.uniform(0.75, 1.0), (k - 1) * 0.15 + rng.normal(0, 0.03)
            y = top + 0.05 * k
            path = [(x + s * 0.22, y), (x + s * (0.22 + reach / 2), y + drop * 0.4),
                    (x + s * (0.22 + reach), y + drop + 0.06)]
            head.canvas.line(path, head.pen, colour, 0.012)


def draw_dog_face(head: Head) -> None:
    """Draw eyes and a long muzzle that ends in a big nose; sometimes a tongue."""
    turn, long = head.turn, head.breed.muzzle
    tip_x = turn * (0.42 + 0.95 * long)
    tip_y = 0.42 + 0.22 * (1 - turn) * long
    wide = 0.40 + 0.06 * (head.breed.width - 0.9)
    root = (0.26 * turn, 0.12)
    draw_eyes(head, 0.35, -0.16)
    bridge = [(0.2 * turn, -0.55), (0.24 * turn, -0.1), root]
    head.part(limb(bridge, [0.06, 0.1, 0.2]), "blaze", relief=0.1)
    if head.face["tongue"] == "out":
        draw_tongue(head, tip_x, tip_y)
    jaw = limb([(0.3 * turn, 0.42), (tip_x * 0.86, tip_y + 0.2)], [0.36, 0.2])
    head.part(jaw, "muzzle", relief=0.3)
    snout = limb([root, (tip_x, tip_y)], [wide * 0.9, wide * (1 - 0.28 * long)])
    head.part(snout, "muzzle", contact=0.12, relief=0.42)
    draw_dog_nose(head, tip_x, tip_y, wide * (1 - 0.28 * long))
    draw_whiskers(head, tip_x, tip_y + 0.02)


def draw_tongue(head: Head, x: float, y: float) -> None:
    """Draw a tongue that hangs from an open mouth."""
    mouth = ellipse(x * 0.82, y + 0.28, 0.22, 0.2)
    head.flat([mouth], (86, 44, 46))
    hang = [(x * 0.84, y + 0.3), (x * 0.86, y + 0.62)]
    head.flat(limb(hang, [0.13, 0.14]), (226, 122, 128), relief=0.35)


def draw_dog_nose(head: Head, x: float, y: float, wide: float) -> None:
    """Draw the nose, its shine, and the line of the mouth."""
    nose_x, nose_y = x + 0.55 * wide * head.turn, y - 0.30 * wide
    ink = (38, 32, 34)
    shape = [(-0.21, -0.07), (0, -0.12), (0.21, -0.07), (0.13, 0.09), (0, 0.14),
             (-0.13, 0.09)]
    narrow = np.array([1 - 0.25 * head.turn, 1.0]) * 1.05
    head.flat([curve(shape) * narrow + (nose_x, nose_y)],
              NOSES[head.face["nose"]], relief=0.5)
    head.flat([ellipse(nose_x - 0.05, nose_y - 0.05, 0.06, 0.025)], (150, 146, 150))
    low = y + 0.62 * wide
    head.canvas.line([(nose_x, nose_y + 0.1), (nose_x, low)], head.pen, ink, 0.02)
    for s in (-1, 1):
        reach = wide * (0.8 + (0.9 * head.turn if s < 0 else -0.5 * head.turn))
        smile = [(nose_x, low), (nose_x + s * reach * 0.5, low + 0.09),
                 (nose_x + s * reach, low - 0.03)]
        head.canvas.line(smile, head.pen, ink, 0.02)


CAT_SKULL = [(0, -0.80), (0.48, -0.74), (0.86, -0.32), (1.0, 0.18), (0.78, 0.56),
             (0.34, 0.78), (0, 0.82)]
DOG_SKULL = [(0, -0.84), (0.46, -0.78), (0.80, -0.38), (0.84, 0.10), (0.66, 0.50),
             (0.34, 0.74), (0, 0.80)]


def draw_head(head: Head) -> None:
    """Draw a whole head, back to front."""
    outline = CAT_SKULL if head.label == "cat" else DOG_SKULL
    draw_ears(head, in_front=False)
    skull = curve(mirrored(outline)) * (head.breed.width, 1.0)
    head.part([skull], "head", contact=0.25, fur=head.coat.fur)
    if head.label == "cat":
        draw_cat_face(head)
    else:
        draw_dog_face(head)
    draw_ears(head, in_front=True)


# ---------------------------------------------------------------- bodies


@dataclass(frozen=True)
class Body:
    """Gather what the parts of a body need."""

    canvas: Canvas
    pen: Pen
    label: str
    coat: Coat
    bulk: float
    tail: str

    def part(self, shapes: list[Array], name: str, **kwargs: float) -> None:
        """Paint shapes of this body in the coat's colour for ``name``."""
        options = {"relief": 0.34, "fur": self.coat.fur, "contact": 0.22} | kwargs
        self.canvas.paint(shapes, self.pen, self.coat.of(name), **options)

    def leg(self, points: list, radii: list, dim: float = 1.0) -> None:
        """Draw a leg ending in a paw; ``dim`` darkens the far ones."""
        fine = 0.86 if self.label == "cat" else 1.0
        radii = [r * fine * (0.6 + 0.4 * self.bulk) for r in radii]
        x, y = points[-1]
        for shapes, name in ((limb(points, radii), "leg"),
                             ([ellipse(x + 0.03, y, 0.12, 0.075)], "paw")):
            tone = self.coat.of(name) * dim
            self.canvas.paint(shapes, self.pen, tone, relief=0.34,
                              fur=0.5 * self.coat.fur, contact=0.2)


def draw_tail(body: Body, x: float, y: float, up: bool) -> None:
    """Draw the tail from its root, pointing to the pen's left."""
    rise = -1.0 if up else 0.25
    thick = {"long": 0.075, "plume": 0.13, "curled": 0.085, "bob": 0.1}[body.tail]
    if body.tail == "bob":
        path = [(x, y), (x - 0.12, y + 0.06 * rise)]
    elif body.tail == "curled":
        path = [(x, y), (x - 0.22, y + 0.30 * rise), (x - 0.08, y + 0.52 * rise),
                (x + 0.08, y + 0.36 * rise)]
    else:
        path = [(x, y), (x - 0.24, y + 0.10 * rise), (x - 0.40, y + 0.42 * rise),
                (x - 0.36, y + 0.66 * rise)]
    tip = thick * (0.75 if body.tail != "plume" else 0.5)
    body.part(limb(path, [thick * 0.9, thick * 1.15, tip]), "tail")


def pose_sitting(body: Body, turn: float) -> tuple[float, float, float]:
    """Draw a sitting body; return where the head goes and its size."""
    b, lean = body.bulk, 0.26 * turn
    draw_tail(body, -0.40 * b - lean, 0.82, up=False)
    back = [ellipse(s * 0.27 * b - lean, 0.62, 0.27 * b, 0.31) for s in (-1, 1)]
    body.part(back, "main")
    trunk = [(0.04, -0.42), (0.26 * b, -0.22), (0.33 * b, 0.2), (0.36 * b - lean, 0.7),
             (0.1 - lean, 0.9), (-0.36 * b - lean, 0.78), (-0.36 * b - lean, 0.3),
             (-0.26 * b, -0.2)]
    body.part([curve(trunk)], "main", relief=0.42)
    body.part([ellipse(0.05 * turn, 0.08, 0.19 * b, 0.32)], "chest", contact=0,
              relief=0.15, fur=body.coat.fur + 0.5)
    for s in (-1, 1):
        x = s * 0.30 * b - lean
        body.leg([(x, 0.84), (x + s * 0.06, 0.91)], [0.1, 0.09])
    for s in (-1, 1):
        x = s * 0.145 * b + 0.08 * turn
        body.leg([(x, 0.2), (x, 0.55), (x + 0.01, 0.90)], [0.125, 0.105, 0.085])
    return 0.14 * turn, -0.50, 0.54


def pose_standing(body: Body, turn: float) -> tuple[float, float, float]:
    """Draw a standing body from the side; return where the head goes and its size."""
    b = body.bulk
    draw_tail(body, -0.66, -0.10, up=True)
    for x in (-0.40, 0.40):
        body.leg([(x, 0.15), (x + 0.02, 0.5), (x, 0.86)], [0.14, 0.09, 0.075], 0.72)
    chest, loin = (0.25, 0.235) if body.label == "cat" else (0.31, 0.22)
    trunk = limb([(-0.50, 0.02), (0.0, 0.06), (0.44, -0.02)],
                 [0.25 * b, loin * b, chest * b])
    body.part(trunk, "main", relief=0.45)
    body.part(limb([(0.46, -0.02), (0.62, -0.38)], [0.25 * b, 0.24]), "main")
    body.part([ellipse(0.64, 0.04, 0.12, 0.24 * b, -0.3)], "chest", contact=0,
              relief=0.15, fur=body.coat.fur + 0.5)
    body.part([ellipse(-0.52, 0.12, 0.2 * b, 0.26 * b)], "main", contact=0.1)
    body.leg([(-0.56, 0.2), (-0.50, 0.45), (-0.62, 0.64), (-0.58, 0.90)],
             [0.17, 0.12, 0.075, 0.08])
    body.leg([(0.46, 0.1), (0.47, 0.5), (0.47, 0.90)], [0.15, 0.095, 0.08])
    if body.label == "cat":
        return 0.66 + 0.08 * turn, -0.36, 0.46
    return 0.64 + 0.08 * turn, -0.50, 0.48


def pose_lying(body: Body, turn: float) -> tuple[float, float, float]:
    """Draw a lying body; return where the head goes and its size."""
    b = body.bulk
    draw_tail(body, -0.72, 0.62, up=False)
    trunk = limb([(-0.52, 0.50), (0.0, 0.42), (0.38, 0.34)],
                 [0.30 * b, 0.31 * b, 0.27 * b])
    body.part(trunk, "main", relief=0.45)
    body.part([ellipse(-0.44, 0.60, 0.32 * b, 0.26 * b, -0.2)], "main")
    body.leg([(-0.40, 0.82), (-0.16, 0.84)], [0.09, 0.085])
    body.part([ellipse(0.44, 0.40, 0.2, 0.28)], "chest", contact=0, relief=0.15)
    body.leg([(0.22, 0.66), (0.40, 0.80), (0.72, 0.82)], [0.11, 0.10, 0.085])
    body.leg([(0.40, 0.66), (0.56, 0.82), (0.90, 0.86)], [0.11, 0.10, 0.085])
    return 0.40 + 0.1 * turn, -0.06, 0.56


def pose_portrait(body: Body, turn: float) -> tuple[float, float, float]:
    """Draw shoulders below a large head."""
    b = body.bulk
    trunk = limb([(-0.1 * turn, 0.55), (-0.3 * turn, 1.5)], [0.5 * b, 0.78 * b])
    body.part(trunk, "main", relief=0.4)
    body.part([ellipse(0.02, 0.86, 0.3 * b, 0.42)], "chest", contact=0, relief=0.15,
              fur=body.coat.fur + 0.5)
    return 0.0, 0.0, 0.74


BODIES = {"sitting": pose_sitting, "standing": pose_standing,
          "lying": pose_lying, "portrait": pose_portrait}
