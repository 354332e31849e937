"""Paint soft, shaded shapes: what the drawing programs of the data sets share.

Shapes are outlines in local coordinates; a pen places them; a canvas fills them with
colour, rounds them with light and roughens their edge like fur.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Array = np.ndarray
Colour = tuple[float, float, float]
OVERSAMPLE = 3  # drawn this many times larger, then averaged down: smooth edges


@dataclass(frozen=True)
class Pen:
    """Map local coordinates (x right, y down) to pixels."""

    x: float
    y: float
    scale: float
    flip: int = 1
    angle: float = 0.0

    def pixels(self, points: Array) -> Array:
        """Return ``points`` (n, 2) in pixels."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        p = np.asarray(points, float) @ np.array([[c, s], [-s, c]])
        return p * (self.scale * self.flip, self.scale) + (self.x, self.y)

    def child(self, x: float, y: float, scale: float, angle: float = 0.0) -> Pen:
        """Return a pen whose origin is at local (x, y)."""
        px, py = self.pixels(np.array([[x, y]]))[0]
        return Pen(px, py, self.scale * scale, self.flip, self.angle + angle)


def ellipse(x: float, y: float, rx: float, ry: float, angle: float = 0.0) -> Array:
    """Return the outline of a rotated ellipse."""
    t = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    p = np.stack([rx * np.cos(t), ry * np.sin(t)], 1)
    c, s = np.cos(angle), np.sin(angle)
    return p @ np.array([[c, s], [-s, c]]) + (x, y)


def curve(points: list, closed: bool = True, steps: int = 8) -> Array:
    """Return a smooth (Catmull-Rom) curve through ``points``."""
    p = np.asarray(points, float)
    ends = (p[-1:], p[:2]) if closed else (p[:1], p[-1:])
    q = np.concatenate([ends[0], p, ends[1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(q, q[1:], q[2:], q[3:], strict=False):
        cubic = (-a + 3 * b - 3 * c + d) * t**3
        parts.append(0.5 * (cubic + (2 * a - 5 * b + 4 * c - d) * t**2
                            + (c - a) * t + 2 * b))
    return np.concatenate(parts if closed else [*parts, p[-1:]])


def ribbon(points: list, width: float) -> Array:
    """Return the outline of a smooth line, ``width`` to either side of its path."""
    path = curve(points, closed=False)
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    aside = along[:, ::-1] * (-width, width)
    return np.concatenate([path + aside, (path - aside)[::-1]])


def mirrored(half: list) -> list:
    """Close an outline from its right half (top to bottom)."""
    return half + [(-x, y) for x, y in half[::-1] if x]


def limb(points: list, radii: list) -> list[Array]:
    """Return overlapping discs along a smooth path: a leg, a tail, a trunk."""
    path = curve(points, closed=False, steps=10)
    r = np.interp(np.linspace(0, 1, len(path)), np.linspace(0, 1, len(radii)), radii)
    return [ellipse(x, y, k, k) for (x, y), k in zip(path, r, strict=True)]


def cloud(rng: np.random.Generator, shape: tuple[int, int], cells: tuple) -> Array:
    """Return smooth noise in [-1, 1] with ``cells`` (rows, columns) of detail."""
    seed = rng.uniform(-1, 1, cells).astype(np.float32)
    return np.asarray(Image.fromarray(seed).resize(shape[::-1], Image.BICUBIC))


def mix(a: Colour | Array, b: Colour | Array, share: float | Array) -> Array:
    """Blend from ``a`` to ``b``."""
    return np.asarray(a, np.float32) * (1 - share) + np.asarray(b, np.float32) * share


def box(x: float, y: float, w: float, h: float) -> Array:
    """Return a rectangle given its centre, width and height."""
    return np.array([(x - w / 2, y - h / 2), (x + w / 2, y - h / 2),
                     (x + w / 2, y + h / 2), (x - w / 2, y + h / 2)])


class Canvas:
    """Hold the picture being painted, and the direction the light comes from."""

    def __init__(self, side: int, rng: np.random.Generator) -> None:
        self.side, self.rng = side, rng
        self.rgb = np.zeros((side, side, 3), np.float32)
        self.light = (rng.uniform(-0.8, 0.8), -0.8)
        self.streaks = cloud(rng, (side, side), (side // 7, side // 2))
        self.rough = cloud(rng, (side, side), (side // 4, side // 4))
        self.scene_pen = Pen(0.0, 0.0, float(side))

    def mask(self, shapes: list[Array], pen: Pen) -> Image.Image:
        """Return the union of ``shapes`` as a greyscale image."""
        out = Image.new("L", (self.side, self.side))
        draw = ImageDraw.Draw(out)
        for shape in shapes:
            draw.polygon([tuple(p) for p in pen.pixels(shape)], fill=255)
        return out

    def paint(self, shapes: list[Array], pen: Pen, colour: Colour | Array, *,
              relief: float = 0.3, fur: float = 0.0, contact: float = 0.0) -> None:
        """Paint one rounded part: fur edge, shading, and a soft shadow around it."""
        mask = self.mask(shapes, pen)
        box = mask.getbbox()
        if box is None:
            return
        pad = self.side // 16
        x0, y0 = max(box[0] - pad, 0), max(box[1] - pad, 0)
        x1, y1 = min(box[2] + pad, self.side), min(box[3] + pad, self.side)
        crop, where = mask.crop((x0, y0, x1, y1)), np.s_[y0:y1, x0:x1]
        cover = self._edge(crop, where, fur)
        shade = self._shade(crop, where, relief, fur)
        under = self.rgb[where]
        if contact:
            near = blurred(crop, self.side / 50)
            under = under * (1 - contact * near)[..., None]
        top = colour[where] if np.ndim(colour) == 3 else np.asarray(colour)
        self.rgb[where] = mix(under, top * shade[..., None], cover[..., None])

    def _edge(self, crop: Image.Image, where: tuple, fur: float) -> Array:
        """Return the coverage of a part, its outline roughened by fur."""
        if not fur:
            return blurred(crop, 0.6)
        soft = blurred(crop, self.side * (0.004 + 0.004 * fur))
        wobble = 0.28 * (self.rough + self.streaks)[where] * min(fur, 1.2)
        return np.clip((soft + wobble * 4 * soft * (1 - soft) - 0.35) * 3.3, 0, 1)

    def _shade(self, crop: Image.Image, where: tuple, relief: float,
               fur: float) -> Array:
        """Return brightness factors that make a flat part look rounded."""
        if not relief:
            return np.ones(crop.size[::-1], np.float32)
        radius = max(2.0, 0.13 * min(crop.size))
        dome = blurred(crop, radius)
        gy, gx = np.gradient(dome)
        lit = -(gx * self.light[0] + gy * self.light[1]) * radius * 2.5
        grain = 0.13 * min(fur, 1.0) * (self.streaks + 0.6 * self.rough)[where]
        return 1 + relief * (lit + 0.9 * (dome - 0.95)) + grain

    def shadow(self, shape: Array) -> None:
        """Cast a soft shadow on the ground."""
        depth = blurred(self.mask([shape], self.scene_pen), self.side / 40)
        self.rgb *= 1 - 0.45 * depth[..., None]

    def line(self, points: list, pen: Pen, colour: Colour, width: float) -> None:
        """Draw a smooth thin stroke (width in local units)."""
        self.paint([ribbon(points, width)], pen, colour, relief=0)

    def strokes(self, count: int, spread: tuple, length: float, colour: Colour,
                width: float = 1.6) -> None:
        """Scatter short upright strokes, like grass, over a box (x0, y0, x1, y1)."""
        rng, side = self.rng, self.side
        image = Image.fromarray(self.rgb.clip(0, 255).astype(np.uint8))
        draw = ImageDraw.Draw(image)
        xy = rng.uniform(spread[:2], spread[2:], (count, 2))
        for x, y in xy[np.argsort(xy[:, 1])] * side:
            dx, dy = rng.normal(0, 0.3) * length * side, -length * side
            tint = np.asarray(colour) * rng.uniform(0.72, 1.2)
            end = (x + dx, y + dy * rng.uniform(0.6, 1.2))
            draw.line([(x, y), end], tuple(int(min(c, 255)) for c in tint),
                      int(rng.uniform(1, width + 1)))
        self.rgb = np.asarray(image).astype(np.float32)


def blurred(image: Image.Image, radius: float) -> Array:
    """Return a greyscale image blurred, as floats in [0, 1]."""
    soft = image.filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(soft, np.float32) / 255


def soften(rgb: Array, radius: float) -> Array:
    """Blur a colour picture."""
    image = Image.fromarray(rgb.clip(0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32)
