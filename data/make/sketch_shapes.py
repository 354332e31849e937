"""Say what the things in the ``sketches`` data set look like, line by line.

Every function draws one view of one thing on a sheet, in local coordinates from -1 to
1 (x right, y down).  How a line looks is the business of the hand that draws it, in
``draw_sketches.py``; here is only what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from painting import curve, ellipse

Array = np.ndarray
Sheet = Any  # draw_sketches.Sheet; that module imports this one


def rounded(points: list, times: int = 2, closed: bool = True) -> Array:
    """Cut the corners of a polygon (Chaikin), so that it looks soft."""
    p = np.asarray(points, float)
    for _ in range(times):
        q = np.roll(p, -1, axis=0) if closed else p[1:]
        a = p if closed else p[:-1]
        cut = np.stack([0.75 * a + 0.25 * q, 0.25 * a + 0.75 * q], 1).reshape(-1, 2)
        p = cut if closed else np.concatenate([p[:1], cut, p[-1:]])
    return p


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Array:
    """Return a rectangle from two corners."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)


def arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> Array:
    """Return a piece of an ellipse, angles in quarter turns, clockwise from right."""
    t = np.linspace(start, end, 18) * np.pi / 2
    return np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], 1)


def scalloped(
    outline: Array,
    bumps: int,
    depth: float,
    rng: np.random.Generator,
) -> Array:
    """Turn an outline into a row of outward bumps, like a cloud."""
    p = np.concatenate([outline, outline[:1]])
    cuts = np.linspace(0, len(p) - 1, bumps + 1) + rng.uniform(-0.3, 0.3, bumps + 1)
    cuts[[0, -1]] = 0, len(p) - 1
    along = np.arange(len(p))
    ends = np.stack([np.interp(cuts, along, p[:, k]) for k in (0, 1)], 1)
    middle, parts = outline.mean(0), []
    for a, b in zip(ends, ends[1:]):
        t = np.linspace(0, np.pi, 9)[:-1, None]
        out = (a + b) / 2 - middle
        out /= np.linalg.norm(out) + 1e-9
        lift = depth * rng.uniform(0.7, 1.3)
        parts.append(a + (b - a) * (1 - np.cos(t)) / 2 + out * lift * np.sin(t))
    return np.concatenate(parts)


# ---------------------------------------------------------------- three dimensions


class Camera:
    """Look at a solid from the front right and above (z points away)."""

    def __init__(self, yaw: float, pitch: float, distance: float = 5.0) -> None:
        self.yaw, self.pitch, self.distance = yaw, pitch, distance

    def turned(self, points: Array) -> Array:
        """Return points (n, 3) as the camera sees them, third column depth."""
        x, y, z = np.asarray(points, float).T
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        x, z = x * c + z * s, z * c - x * s
        c, s = np.cos(self.pitch), np.sin(self.pitch)
        return np.stack([x, y * c - z * s, y * s + z * c], 1)

    def flat(self, points: Array) -> Array:
        """Return points (n, 3) on the picture plane."""
        p = self.turned(points)
        return p[:, :2] * (self.distance / (self.distance + p[:, 2:]))

    def plane(self, origin: tuple, u: tuple, v: tuple) -> Callable[[Array], Array]:
        """Return a function that puts drawings (n, 2) onto a plane in space."""
        o, axes = np.asarray(origin, float), np.array([u, v], float)
        return lambda p: self.flat(o + np.asarray(p, float) @ axes)


def upright(outline: Array, height: float) -> Array:
    """Lift a ground plan (x, z) to a height."""
    return np.insert(np.asarray(outline, float), 1, height, axis=1)


def lengthwise(outline: Array, depth: float) -> Array:
    """Lift a front view (x, y) to a depth."""
    return np.insert(np.asarray(outline, float), 2, depth, axis=1)


def volume(faces: list[Array]) -> float:
    """Return the signed volume inside closed faces."""
    return sum(
        np.linalg.det(np.stack([f[0], a, b]))
        for f in faces
        for a, b in zip(f[1:], f[2:])
    )


def smooth_runs(outline: Array, seen: Array) -> list[list[int]]:
    """Group neighbouring sides that are seen and meet without a sharp corner."""
    n = len(outline)
    along = np.roll(outline, -1, axis=0) - outline
    angle = np.unwrap(np.arctan2(along[:, 1], along[:, 0]))
    turn = np.abs((angle - np.roll(angle, 1) + np.pi) % (2 * np.pi) - np.pi)
    breaks = [i for i in range(n) if turn[i] > 0.5 or not seen[i - 1]]
    start = breaks[0] if breaks else 0
    runs: list[list[int]] = []
    for i in [(start + k) % n for k in range(n)]:
        if seen[i] and (i in breaks or not runs):
            runs.append([i])
        elif seen[i]:
            runs[-1].append(i)
    return runs


def prism(
    s: Sheet,
    camera: Camera,
    outline: Array,
    lift: Callable,
    lo: float,
    hi: float,
    tones: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Draw an outline pulled out into a solid: its sides that are seen, then its cap.

    ``tones`` shade the sides and the cap.
    """
    outline = np.asarray(outline, float)
    rings = lift(outline, lo), lift(outline, hi)
    n, step = len(outline), np.roll(np.arange(len(outline)), -1)
    sides = [
        np.stack([rings[0][i], rings[0][j], rings[1][j], rings[1][i]])
        for i, j in zip(range(n), step)
    ]
    caps = [rings[0][::-1], rings[1]]
    out = np.sign(volume([*sides, *caps]))
    seen = [out * area(camera.flat(f)) < 0 for f in (*sides, *caps)]
    faces = []
    for run in smooth_runs(outline, np.array(seen[:n])):
        edge = [*run, (run[-1] + 1) % n]
        face = np.concatenate([rings[0][edge], rings[1][edge[::-1]]])
        faces.append((camera.turned(face)[:, 2].mean(), face))
    for _, face in sorted(faces, key=lambda f: -f[0]):
        s.draw(camera.flat(face), tone=tones[0])
    for cap, visible in zip(caps, seen[n:]):
        if visible:
            s.draw(camera.flat(cap), tone=tones[1])


def area(p: Array) -> float:
    """Return the signed area of a polygon."""
    x, y = p.T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


# Coordinates read better in rows than one to a line.
# fmt: off
# ---------------------------------------------------------------- cars (front: right)


def wheel(s: Sheet, x: float, y: float, r: float, spokes: int = 0) -> None:
    """Draw a wheel from the side."""
    s.draw(ellipse(x, y, r, r), tone=s.pick(0.0, 0.9), weight=1.2)
    s.draw(ellipse(x, y, 0.5 * r, 0.5 * r), detail=1)
    for k in range(spokes):
        a = np.pi * (k + 0.2) / spokes
        d = np.array([np.cos(a), np.sin(a)]) * r * 0.95
        s.line([(x, y) - d, (x, y) + d], weight=0.7)
    if not spokes:
        s.draw(ellipse(x, y, 0.14 * r, 0.14 * r), detail=2)


def windows(s: Sheet, *panes: list) -> None:
    """Draw window panes, dark, blank or with a gleam."""
    tone = s.pick(0.0, 0.35, 0.8)
    for pane in panes:
        s.draw(rounded(pane, 1), tone=tone)
        (x, y), w = np.mean(pane, 0), np.ptp(np.asarray(pane)[:, 0])
        s.line([(x - 0.1 * w, y + 0.06), (x + 0.12 * w, y - 0.08)], detail=2)


def side_car(s: Sheet, body: Array, wheels: tuple, r: float, panes: tuple,
             door: float | None = -0.04) -> None:
    """Draw body, windows, door, lights and wheels of a car from the side."""
    s.draw(body, tone=s.pick(0.0, 0.0, 0.3))
    if panes:
        windows(s, *panes)
    low = float(body[:, 1].max())
    if door is not None:
        s.line([(door, -0.1), (door, low - 0.06)], detail=1)
        s.line([(door - 0.16, -0.02), (door - 0.07, -0.02)], detail=2)
    front, rear = float(body[:, 0].max()), float(body[:, 0].min())
    s.draw(ellipse(front - 0.06, 0.06, 0.05, 0.055), detail=1)
    s.draw(rectangle(rear, 0.0, rear + 0.06, 0.1), detail=2)
    s.line([(rear - 0.05, low - 0.03), (rear + 0.12, low - 0.03)], detail=2)
    for x in wheels:
        s.draw(arc(x, low, 1.25 * r, 1.25 * r, 2, 4), closed=False, detail=2)
        wheel(s, x, low + 0.02, r)


def car_sedan(s: Sheet) -> None:
    roof = s.between(-0.50, -0.38)
    body = rounded([(-1, 0.25), (-1.02, -0.04), (-0.95, -0.12), (-0.62, -0.14),
                    (-0.4, roof), (0.22, roof), (0.52, -0.12), (0.92, -0.06),
                    (1.02, 0.02), (1, 0.25)])
    top = roof + 0.07
    side_car(s, body, (-0.56, 0.6), s.between(0.18, 0.23),
             ([(-0.52, -0.12), (-0.35, top), (-0.09, top), (-0.09, -0.12)],
              [(-0.01, -0.12), (-0.01, top), (0.2, top), (0.4, -0.12)]))


def car_beetle(s: Sheet) -> None:
    body = curve([(-1, 0.22), (-0.93, -0.05), (-0.72, -0.25), (-0.42, -0.5),
                  (0, -0.6), (0.34, -0.46), (0.52, -0.15), (0.8, -0.08), (0.98, 0.08),
                  (1, 0.22), (0.4, 0.25), (-0.4, 0.25)])
    side_car(s, body, (-0.58, 0.62), 0.22,
             ([(-0.5, -0.16), (-0.36, -0.4), (-0.05, -0.48), (-0.05, -0.16)],
              [(0.03, -0.16), (0.03, -0.48), (0.24, -0.42), (0.4, -0.16)]), 0.0)
    for x in (-0.58, 0.62):
        s.draw(arc(x, 0.26, 0.33, 0.33, 2, 4), closed=False)


def car_van(s: Sheet) -> None:
    top = s.between(-0.78, -0.62)
    body = rounded([(-0.95, 0.25), (-0.98, top + 0.1), (-0.88, top), (0.68, top),
                    (0.86, top + 0.14), (0.98, -0.1), (1, 0.25)], 1)
    high, low = top + 0.1, top + 0.42
    panes = [[(x, low), (x, high), (x + 0.36, high), (x + 0.36, low)]
             for x in (-0.86, -0.42, 0.02)]
    nose = [(0.46, low), (0.46, high), (0.66, high), (0.84, low)]
    side_car(s, body, (-0.55, 0.58), 0.2, (*panes, nose), 0.42)
    s.line([(-0.97, low + 0.1), (0.96, low + 0.1)], detail=1)


def car_pickup(s: Sheet) -> None:
    body = rounded([(-1, 0.25), (-1, -0.12), (-0.2, -0.12), (-0.18, -0.55),
                    (0.26, -0.55), (0.46, -0.13), (0.94, -0.08), (1, 0.04),
                    (1, 0.25)], 1)
    side_car(s, body, (-0.55, 0.6), 0.24,
             ([(-0.1, -0.14), (-0.1, -0.46), (0.22, -0.46), (0.36, -0.14)],), -0.14)
    s.line([(-0.95, -0.03), (-0.22, -0.03)], detail=2)
    if s.chance(0.5):  # a load of logs or boxes
        s.draw(rectangle(-0.85, -0.4, -0.55, -0.13), detail=1)
        s.draw(rectangle(-0.55, -0.32, -0.28, -0.13), detail=1)


def car_sports(s: Sheet) -> None:
    body = rounded([(-1, 0.2), (-1.02, -0.1), (-0.85, -0.14), (-0.45, -0.22),
                    (-0.2, -0.42), (0.14, -0.42), (0.46, -0.13), (0.95, 0.0),
                    (1.05, 0.12), (1, 0.2)])
    side_car(s, body, (-0.6, 0.6), 0.21,
             ([(-0.34, -0.18), (-0.17, -0.35), (0.11, -0.35), (0.32, -0.13)],), -0.1)
    s.line([(-0.92, -0.12), (-0.94, -0.3), (-0.72, -0.3)], detail=0)
    s.line([(-0.4, 0.02), (0.4, 0.04)], detail=2)
    if s.chance(0.4):  # speed lines
        for y in (-0.3, -0.1, 0.1):
            s.line([(-1.45, y), (-1.12, y)], detail=1, weight=0.7)


def car_vintage(s: Sheet) -> None:
    s.draw(rectangle(0.12, -0.18, 0.8, 0.2), tone=s.pick(0.0, 0.3))
    s.draw(rounded([(-0.8, 0.2), (-0.8, -0.62), (0.14, -0.62), (0.2, -0.2),
                    (0.2, 0.2)], 1))
    windows(s, [(-0.7, -0.18), (-0.7, -0.5), (-0.36, -0.5), (-0.36, -0.18)],
            [(-0.26, -0.18), (-0.26, -0.5), (0.04, -0.5), (0.08, -0.18)])
    s.line([(-0.31, -0.55), (-0.31, 0.18)], detail=1)
    s.draw(ellipse(0.86, -0.05, 0.09, 0.1))
    s.line([(-0.86, -0.64), (0.24, -0.64)], weight=1.2)
    for x in (-0.55, 0.62):
        s.line(arc(x, 0.26, 0.37, 0.38, 2, 4), weight=1.2)
        wheel(s, x, 0.28, 0.27, spokes=4)
    s.line([(-0.2, 0.24), (0.28, 0.24)], weight=1.2)


def car_city(s: Sheet) -> None:
    body = rounded([(-0.82, 0.25), (-0.86, -0.15), (-0.7, -0.55), (-0.5, -0.64),
                    (0.12, -0.64), (0.42, -0.2), (0.78, -0.12), (0.84, 0.25)])
    side_car(s, body, (-0.48, 0.5), 0.23,
             ([(-0.66, -0.18), (-0.56, -0.52), (-0.26, -0.54), (-0.26, -0.18)],
              [(-0.17, -0.18), (-0.17, -0.54), (0.08, -0.54), (0.3, -0.18)]), -0.22)


def car_front(s: Sheet) -> None:
    top = s.between(-0.72, -0.55)
    for x in (-0.58, 0.58):
        s.draw(rectangle(x - 0.15, 0.3, x + 0.15, 0.66), tone=0.9)
    s.draw(rounded([(-0.62, -0.1), (-0.46, top), (0.46, top), (0.62, -0.1)], 1))
    windows(s, [(-0.5, -0.12), (-0.38, top + 0.1), (0.38, top + 0.1), (0.5, -0.12)])
    for x in (-1, 1):
        s.draw(ellipse(x * 0.76, -0.14, 0.11, 0.07), detail=1)
    s.draw(rounded([(-0.78, 0.46), (-0.8, 0.0), (-0.6, -0.12), (0.6, -0.12),
                    (0.8, 0.0), (0.78, 0.46)], 1), tone=s.pick(0.0, 0.3))
    for x in (-0.55, 0.55):
        s.draw(ellipse(x, 0.1, 0.13, 0.13), weight=1.1)
        s.draw(ellipse(x, 0.1, 0.07, 0.07), detail=2)
    s.draw(rounded(rectangle(-0.3, 0.02, 0.3, 0.18), 1), detail=0)
    for x in (-0.15, 0.0, 0.15):
        s.line([(x, 0.02), (x, 0.18)], detail=1)
    s.draw(rectangle(-0.2, 0.27, 0.2, 0.39), detail=1)
    s.line([(-0.78, 0.3), (-0.24, 0.3)], detail=2)
    s.line([(0.24, 0.3), (0.78, 0.3)], detail=2)


def round_on(plane: Callable, x: float, y: float, r: float) -> Array:
    """Return a circle drawn onto a plane in space."""
    return plane(ellipse(x, y, r, r))


def car_three_quarter(s: Sheet) -> None:
    camera = Camera(s.between(0.45, 0.8), s.between(0.2, 0.42))
    w, roof = 0.46, s.between(-0.62, -0.5)
    side = camera.plane((0, 0, -w), (1, 0, 0), (0, 1, 0))
    front = camera.plane((1, 0, 0), (0, 0, 1), (0, 1, 0))
    body = [(-1, 0.25), (-1, -0.15), (1, -0.1), (1, 0.25)]
    s.draw(front(ellipse(0.3, 0.28, 0.12, 0.2)), tone=0.9)
    prism(s, camera, np.array(body), lengthwise, -w, w, (s.pick(0.0, 0.35), 0.0))
    cabin = np.array([(-0.78, -0.15), (-0.52, roof), (0.14, roof), (0.5, -0.12)])
    prism(s, camera, cabin, lengthwise, -0.9 * w, 0.9 * w)
    glass = s.pick(0.0, 0.35, 0.8)
    pane = [(-0.64, -0.19), (-0.48, roof + 0.08), (-0.2, roof + 0.08), (-0.2, -0.19)]
    s.draw(side(pane), tone=glass)
    pane = [(-0.12, -0.19), (-0.12, roof + 0.08), (0.1, roof + 0.08), (0.34, -0.19)]
    s.draw(side(pane), tone=glass)
    shield = camera.plane((0.5, -0.12, 0), (0, 0, 1), (-0.36, roof + 0.12, 0))
    s.draw(shield(rectangle(-0.34, 0.12, 0.34, 0.86)), tone=glass)
    for z in (-0.32, 0.32):
        s.draw(front(ellipse(z, 0.02, 0.09, 0.075)))
    s.draw(front(rectangle(-0.16, -0.02, 0.16, 0.1)), detail=1)
    s.line(front([(-w, 0.16), (w, 0.16)]), detail=1)
    s.line(side([(-0.16, -0.1), (-0.16, 0.2)]), detail=1)
    for x in (-0.58, 0.6):
        s.draw(round_on(side, x, 0.27, 0.22), tone=s.pick(0.0, 0.9), weight=1.2)
        s.draw(round_on(side, x, 0.27, 0.11), detail=0)


# ---------------------------------------------------------------- houses


def pane(s: Sheet, x: float, y: float, w: float, h: float, put: Callable = np.asarray,
         ) -> None:
    """Draw a window with its cross, centred at (x, y)."""
    s.draw(put(rectangle(x - w, y - h, x + w, y + h)), tone=s.look["glass"])
    s.line(put([(x, y - h), (x, y + h)]), detail=s.look["cross"], weight=0.8)
    s.line(put([(x - w, y), (x + w, y)]), detail=s.look["cross"], weight=0.8)


def door(s: Sheet, x: float, low: float, w: float, h: float,
         put: Callable = np.asarray) -> None:
    """Draw a door that stands on ``low``."""
    s.draw(put(rectangle(x - w, low - h, x + w, low)), tone=s.look["door"])
    s.draw(put(ellipse(x + 0.6 * w, low - 0.45 * h, 0.02, 0.02)), detail=1)


def chimney(s: Sheet, x: float, top: float, low: float) -> None:
    """Draw a chimney, sometimes with smoke; draw the roof after it."""
    s.draw(rectangle(x - 0.08, top, x + 0.08, low), tone=s.pick(0.0, 0.4))
    s.line([(x - 0.11, top), (x + 0.11, top)], detail=1)
    if s.chance(0.55):
        t = np.linspace(0, 1, 40)
        curl = 0.07 + 0.06 * t
        turn = 2 * np.pi * (2.2 * t + 0.2)
        s.line(np.stack([x + 0.35 * t + curl * np.cos(turn),
                         top - 0.08 - 0.42 * t + curl * np.sin(turn)], 1), detail=0)


def tiles(s: Sheet, put: Callable, rows: int, detail: int = 2) -> None:
    """Draw rows of tiles on a roof given as the unit square."""
    for k in range(1, rows):
        s.line(put([(0.0, k / rows), (1.0, k / rows)]), detail=detail, weight=0.7)
        for x in np.arange(0.1 + 0.08 * (k % 2), 0.99, 0.16):
            s.line(put([(x, k / rows), (x, (k - 1) / rows)]), detail=2, weight=0.6)


def between_lines(a: tuple, b: tuple, c: tuple, d: tuple) -> Callable:
    """Return a map from the unit square to the quadrilateral a, b, c, d."""
    corners = np.array([a, b, c, d], float)

    def put(points: Array) -> Array:
        x, y = np.asarray(points, float).T[:, :, None]
        return ((1 - y) * ((1 - x) * corners[0] + x * corners[1])
                + y * ((1 - x) * corners[3] + x * corners[2]))

    return put


def house_gable(s: Sheet, low: float = 0.75) -> None:
    """Draw the house every child draws."""
    w, eave, top = s.between(0.5, 0.66), s.between(-0.12, 0.02), s.between(-0.8, -0.6)
    chimney(s, s.pick(-1, 1) * 0.3, top + 0.02, eave)
    s.draw(rectangle(-w, eave, w, low))
    over = w + s.pick(0.0, 0.12)
    s.draw([(-over, eave), (0, top), (over, eave)], tone=s.pick(0.0, 0.3, 0.5))
    if s.chance(0.5):
        s.draw(ellipse(0, 0.62 * eave + 0.38 * top, 0.09, 0.09), detail=1)
    place = s.pick(-1, 0, 1)
    door(s, place * 0.28, low, 0.12, 0.4)
    if place == 0:
        pane(s, -0.34, 0.32, 0.11, 0.12)
        pane(s, 0.34, 0.32, 0.11, 0.12)
    else:
        pane(s, -place * 0.26, 0.36, 0.14, 0.14)


def house_wide(s: Sheet) -> None:
    eave, low, top = s.between(-0.15, -0.02), 0.58, s.between(-0.66, -0.52)
    chimney(s, s.pick(-0.45, 0.45), top - 0.2, top + 0.2)
    s.draw(rectangle(-0.88, eave, 0.88, low))
    slope = s.pick(0.0, 0.2)
    roof = ((-0.92 + slope, top), (0.92 - slope, top), (1.0, eave), (-1.0, eave))
    s.draw(roof, tone=s.pick(0.0, 0.3, 0.5))
    tiles(s, between_lines(*roof), 4)
    if s.chance(0.6):
        s.draw(rectangle(-0.18, eave - 0.3, 0.18, eave - 0.04), detail=1)
        s.draw([(-0.25, eave - 0.3), (0, eave - 0.5), (0.25, eave - 0.3)], detail=1)
        pane(s, 0, eave - 0.17, 0.09, 0.09)
    place = s.pick(-0.5, 0.0, 0.5)
    door(s, place, low, 0.12, 0.42)
    for x in {-0.5, 0.0, 0.5} - {place}:
        pane(s, x, 0.24, 0.15, 0.14)


def gabled_solid(s: Sheet, camera: Camera, w: float, d: float, eave: float,
                 low: float, top: float) -> None:
    """Draw walls and roof of a house in space."""
    gable = np.array([(-w, low), (-w, eave), (0, top), (w, eave), (w, low)])
    prism(s, camera, gable, lengthwise, -d, d, (s.pick(0.0, 0.3), 0.0))
    out, drop = 0.14, 0.14 * (eave - top) / w
    roof = np.array([(0, top - 0.02, -d - 0.1), (w + out, eave + drop, -d - 0.1),
                     (w + out, eave + drop, d + 0.1), (0, top - 0.02, d + 0.1)])
    s.draw(camera.flat(roof), tone=s.pick(0.0, 0.35, 0.5))
    corners = camera.flat(roof)
    tiles(s, between_lines(corners[0], corners[3], corners[2], corners[1]), 5)
    s.line(camera.flat(np.array([(0, top - 0.02, -d - 0.1),
                                 (-w - out, eave + drop, -d - 0.1)])))


def house_perspective(s: Sheet) -> None:
    camera = Camera(s.between(0.4, 0.9), s.between(0.15, 0.5), s.pick(3.5, 30.0))
    w, d, low = 0.46, s.between(0.55, 0.8), 0.55
    gabled_solid(s, camera, w, d, -0.1, low, -0.62)
    front = camera.plane((0, 0, -d), (1, 0, 0), (0, 1, 0))
    side = camera.plane((w, 0, 0), (0, 0, 1), (0, 1, 0))
    door(s, s.pick(-0.2, 0.0), low, 0.11, 0.4, front)
    pane(s, 0, -0.2, 0.1, 0.09, front)
    for z in (-0.5, 0.0, 0.5):
        pane(s, z * d * 1.15, 0.2, 0.11, 0.13, side)


def house_hut(s: Sheet) -> None:
    low, eave = 0.62, 0.02
    s.draw(rectangle(-0.58, eave, 0.58, low))
    if s.chance(0.5):  # a log cabin
        for y in np.arange(eave + 0.1, low - 0.03, 0.1):
            s.line([(-0.58, y), (0.58, y)], detail=1, weight=0.7)
        for y in np.arange(eave + 0.06, low, 0.1):
            s.draw(ellipse(-0.6, y, 0.05, 0.05), detail=1)
            s.draw(ellipse(0.6, y, 0.05, 0.05), detail=1)
        s.draw([(-0.85, 0.08), (0, -0.58), (0.85, 0.08), (0.74, 0.1), (0, -0.46),
                (-0.74, 0.1)])
    else:  # a thatched roof
        roof = curve([(-0.86, 0.14), (-0.5, -0.25), (0, -0.66), (0.5, -0.25),
                      (0.86, 0.14), (0.4, 0.08), (-0.4, 0.08)])
        s.draw(roof)
        for x in np.linspace(-0.7, 0.7, 9):
            s.line([(x * 0.35, -0.42 + 0.3 * abs(x)), (x, 0.1)], detail=1, weight=0.7)
    door(s, s.pick(-0.2, 0.0, 0.2), low, 0.13, 0.4)
    pane(s, s.pick(-0.4, 0.4), 0.32, 0.09, 0.09)


def house_tower(s: Sheet) -> None:
    w = s.between(0.26, 0.36)
    if s.chance(0.6):
        s.draw(rectangle(w - 0.05, 0.2, 0.85, 0.85))
        s.draw([(w - 0.05, 0.22), (w + 0.02, -0.08), (0.82, -0.08), (0.94, 0.22)],
               tone=s.look["roof"])
        pane(s, 0.58, 0.48, 0.1, 0.12)
    s.draw(rectangle(-w, -0.3, w, 0.85))
    s.draw([(-w - 0.12, -0.3), (0, -0.95), (w + 0.12, -0.3)], tone=s.look["roof"])
    if s.chance(0.5):
        s.line([(0, -0.95), (0, -1.15)])
        s.draw([(0, -1.15), (0.2, -1.09), (0, -1.02)], detail=1)
    door(s, 0, 0.85, 0.11, 0.34)
    for y in (-0.08, 0.28):
        pane(s, 0, y, 0.09, 0.11)


def house_garage(s: Sheet) -> None:
    low = 0.55
    s.draw(rectangle(0.1, 0.02, 0.98, low))
    s.draw([(0.08, 0.02), (0.2, -0.24), (0.9, -0.24), (1.05, 0.02)],
           tone=s.look["roof"])
    s.draw(rectangle(0.32, 0.16, 0.86, low), tone=0.0)
    for y in (0.26, 0.36, 0.46):
        s.line([(0.32, y), (0.86, y)], detail=1, weight=0.8)
    chimney(s, -0.62, -0.7, -0.1)
    s.draw(rectangle(-0.9, -0.08, 0.16, low))
    s.draw([(-1.02, -0.06), (-0.37, -0.66), (0.28, -0.06)], tone=s.look["roof"])
    door(s, -0.1, low, 0.11, 0.38)
    pane(s, -0.58, 0.24, 0.16, 0.13)
    s.draw(ellipse(-0.37, -0.26, 0.09, 0.09), detail=1)


def house_fence(s: Sheet) -> None:
    house_gable(s, 0.62)
    for x in np.arange(-1.0, 1.01, 0.2):
        if abs(x) > 0.3:
            s.draw([(x - 0.05, 0.86), (x - 0.05, 0.5), (x, 0.42), (x + 0.05, 0.5),
                    (x + 0.05, 0.86)], weight=0.9)
    for side in (-1, 1):
        s.line([(side * 0.34, 0.62), (side * 1.06, 0.62)], weight=0.8)
        s.line([(side * 0.34, 0.76), (side * 1.06, 0.76)], weight=0.8)


def house_modern(s: Sheet) -> None:
    camera = Camera(s.between(0.35, 0.75), s.between(0.25, 0.45), 6.0)
    plan = np.array([(-0.9, -0.5), (0.75, -0.5), (0.75, 0.5), (-0.9, 0.5)])
    prism(s, camera, plan, upright, 0.62, 0.05, (0.0, 0.0))
    upper = np.array([(-0.6, -0.58), (0.85, -0.58), (0.85, 0.5), (-0.6, 0.5)])
    front = camera.plane((0, 0, -0.5), (1, 0, 0), (0, 1, 0))
    right = camera.plane((0.85, 0, 0), (0, 0, 1), (0, 1, 0))
    door(s, -0.6, 0.62, 0.12, 0.42, front)
    pane(s, 0.2, 0.35, 0.38, 0.18, front)
    prism(s, camera, upper, upright, 0.05, -0.5, (0.0, s.pick(0.0, 0.3)))
    front = camera.plane((0, 0, -0.58), (1, 0, 0), (0, 1, 0))
    pane(s, -0.25, -0.22, 0.2, 0.14, front)
    pane(s, 0.4, -0.22, 0.28, 0.14, front)
    pane(s, 0.0, -0.22, 0.3, 0.13, right)


def house_canal(s: Sheet) -> None:
    w, low = s.between(0.34, 0.44), 0.9
    step, rise = w / 4, 0.14
    half = [(w, -0.4)]
    for k in range(3):
        half += [(w - k * step, -0.4 - k * rise), (w - (k + 1) * step, -0.4 - k * rise)]
    half += [(step, -0.4 - 3 * rise)]
    outline = [(w, low), *half, *[(-x, y) for x, y in half[::-1]], (-w, low)]
    s.draw(outline, tone=s.pick(0.0, 0.0, 0.3))
    s.draw(ellipse(0, -0.56, 0.08, 0.08), detail=1)
    for y in (-0.2, 0.18):
        for x in (-0.5, 0.5):
            pane(s, x * w, y, 0.1, 0.12)
    door(s, s.pick(-0.5, 0.5) * w, low, 0.1, 0.36)
    pane(s, 0.0, 0.62, 0.07, 0.1) if w > 0.4 else None
    if s.chance(0.5):  # a neighbour, cut off
        s.line([(w, -0.1), (w + 0.28, -0.36), (w + 0.52, -0.1)], detail=1)
        s.line([(w + 0.5, -0.1), (w + 0.5, low)], detail=1)


def house_timber(s: Sheet) -> None:
    eave, low, top = 0.0, 0.78, -0.74
    s.draw(rectangle(-0.66, eave, 0.66, low))
    s.draw([(-0.78, eave), (0, top), (0.78, eave)])
    beams = [((-0.66, 0.38), (0.66, 0.38)), ((-0.22, eave), (-0.22, low)),
             ((0.22, eave), (0.22, low)), ((-0.66, 0.38), (-0.22, low)),
             ((0.66, 0.38), (0.22, low)), ((-0.66, 0.38), (-0.22, eave)),
             ((0.66, 0.38), (0.22, eave)), ((0, top), (0, eave)),
             ((-0.4, -0.35), (0.4, -0.35)), ((0, -0.35), (-0.4, eave)),
             ((0, -0.35), (0.4, eave))]
    for a, b in beams:
        s.line([a, b], weight=1.2, detail=1 if abs(a[0]) == 0.66 else 0)
    door(s, 0, low, 0.13, 0.38)
    pane(s, 0, 0.2, 0.12, 0.11)


# ---------------------------------------------------------------- trees


def trunk(s: Sheet, w: float, top: float, low: float = 0.92, lean: float = 0.0) -> None:
    """Draw a trunk with roots that spread a little."""
    foot = w * s.between(1.3, 2.0)
    for side in (-1, 1):
        s.line(curve([(side * foot, low), (side * w, low - 0.16),
                      (lean + side * w * 0.9, top)], False))
    for k in range(2):
        x = s.between(-0.5, 0.5) * w
        s.line([(x, low - 0.12 - 0.2 * k), (x, low - 0.3 - 0.2 * k)], detail=2)


def leaves(s: Sheet, count: int, spread: tuple[float, float, float, float]) -> None:
    """Draw small arcs inside a crown, over an ellipse (x, y, rx, ry)."""
    x, y, rx, ry = spread
    for _ in range(count):
        a, r = s.between(0, 2 * np.pi), np.sqrt(s.between(0, 0.7))
        cx, cy, turn = x + r * rx * np.cos(a), y + r * ry * np.sin(a), s.between(0, 4)
        s.line(arc(cx, cy, 0.09, 0.07, turn, turn + 1.8), detail=1, weight=0.8)


def tree_cloud(s: Sheet) -> None:
    rx, ry = s.between(0.55, 0.8), s.between(0.46, 0.6)
    trunk(s, s.between(0.09, 0.14), 0.0)
    crown = scalloped(ellipse(0, -0.32, rx, ry), s.whole(8, 13), 0.13, s.rng)
    s.draw(crown, tone=s.pick(0.0, 0.25, 0.45))
    leaves(s, s.whole(3, 9), (0, -0.32, rx, ry))


def tree_lollipop(s: Sheet) -> None:
    r = s.between(0.45, 0.58)
    w = s.between(0.05, 0.1)
    s.draw(rectangle(-w, -0.1, w, 0.92), tone=s.pick(0.0, 0.6))
    s.draw(ellipse(0, -0.38, r, r * s.between(0.9, 1.2)), tone=s.pick(0.0, 0.3))
    s.line([(0, 0.1), (0, -0.42)])
    for y, side in ((-0.02, 1), (-0.16, -1), (-0.3, 1)):
        s.line([(0, y), (side * 0.22, y - 0.2)], detail=0)


def tree_tiers(s: Sheet) -> None:
    tiers, wide = s.whole(3, 4), s.between(0.5, 0.7)
    s.draw(rectangle(-0.09, 0.55, 0.09, 0.92), tone=s.pick(0.0, 0.6))
    tone = s.pick(0.0, 0.3, 0.5)
    for k in range(tiers):  # from the bottom up: each hides part of the one below
        low = 0.62 - k * 1.25 / tiers
        w = wide * (1 - 0.72 * k / tiers)
        s.draw([(-w, low), (-0.0, low - 1.9 / tiers), (w, low),
                (0.4 * w, low - 0.06), (0, low), (-0.4 * w, low - 0.06)], tone=tone)
        for x in (-0.45, 0.0, 0.45):  # needles
            for y in (0.14, 0.26):
                s.line([(x * w * 0.8, low - y - 0.1), (x * w, low - y)], detail=1,
                       weight=0.7)


def tree_spruce(s: Sheet) -> None:
    wide, n = s.between(0.45, 0.62), s.whole(6, 9)
    s.line([(0, -1.0), (0, 0.95)], weight=1.2)
    for side in (-1, 1):
        for k in range(1, n + 1):
            y, w = -0.95 + 1.6 * k / n, wide * k / n
            tip = (side * w, y + 0.14)
            s.line(curve([(0, y - 0.1), (side * w * 0.6, y + 0.1), tip], False))
            for t in (0.4, 0.7):
                s.line([(side * w * t, y), (side * w * t * 1.02, y + 0.18)], detail=1,
                       weight=0.7)


def tree_palm(s: Sheet) -> None:
    lean = s.between(0.1, 0.35)
    path = curve([(-lean, 0.92), (-0.5 * lean, 0.3), (0.05, -0.45)], False)
    for side in (-1, 1):
        s.line(path + (side * 0.06, 0))
    for x, y in path[2::3]:
        s.line([(x - 0.06, y), (x, y + 0.03), (x + 0.06, y)], detail=1, weight=0.7)
    top = np.array([0.05, -0.45])
    for a in np.linspace(-2.9, -0.2, 6) + s.rng.normal(0, 0.1, 6):
        d = np.array([np.cos(a), np.sin(a)])
        tip = top + (d[0] * 0.8, d[1] * 0.3 + 0.22)
        upper = top + (d[0] * 0.45, d[1] * 0.42 - 0.06)
        lower = top + (d[0] * 0.42, d[1] * 0.3 + 0.08)
        s.draw(np.concatenate([curve([top, upper, tip], False),
                               curve([tip, lower, top], False)]),
               tone=s.look["leaf"])
    for x in (-0.04, 0.12):
        s.draw(ellipse(x, -0.38, 0.06, 0.06), detail=1)
    s.line(curve([(-0.8, 0.95), (-0.2, 0.88), (0.5, 0.95)], False), detail=1)


def branches(s: Sheet, x: float, y: float, angle: float, size: float, level: int,
             ) -> None:
    """Draw a branch and, from its end, thinner ones."""
    end = (x + size * np.cos(angle), y + size * np.sin(angle))
    bend = s.rng.normal(0, 0.06, 2) * size
    middle = ((x + end[0]) / 2 + bend[0], (y + end[1]) / 2 + bend[1])
    s.line(curve([(x, y), middle, end], False), weight=0.5 + 0.4 * level)
    if level:
        for turn in (-1, 0.1, 1)[:: 1 if s.chance(0.6) else 2]:
            a = angle + turn * s.between(0.35, 0.65)
            branches(s, *end, a, size * s.between(0.62, 0.8), level - 1)


def tree_bare(s: Sheet) -> None:
    trunk(s, 0.09, 0.25)
    for x, turn in ((-0.08, -0.5), (0.0, 0.0), (0.08, 0.5)):
        branches(s, x, 0.26, -np.pi / 2 + turn + s.rng.normal(0, 0.08),
                 s.between(0.42, 0.5), 2)


def tree_poplar(s: Sheet) -> None:
    w = s.between(0.26, 0.36)
    s.draw(rectangle(-0.06, 0.5, 0.06, 0.94), tone=s.pick(0.0, 0.6))
    flame = curve([(0, -1.05), (0.7 * w, -0.5), (w, 0.1), (0.7 * w, 0.55), (0, 0.64),
                   (-0.7 * w, 0.55), (-w, 0.1), (-0.7 * w, -0.5)])
    if s.chance(0.6):
        flame = scalloped(flame, 16, 0.06, s.rng)
    s.draw(flame, tone=s.look["leaf"])
    s.line([(0, 0.55), (0, -0.75)], weight=0.8)
    for k, y in enumerate(np.arange(-0.6, 0.5, 0.14)):
        s.line([(0, y + 0.18), (0.6 * w * (-1) ** k, y)], weight=0.8)
    leaves(s, 8, (0, -0.1, w, 0.7))
    if s.chance(0.4):  # a second one, farther away
        far = flame * (0.6, 0.6) + (0.75, 0.32)
        s.draw(far, tone=s.look["leaf"], detail=1)
        s.line([(0.75, 0.7), (0.75, 0.92)], detail=1)


def tree_willow(s: Sheet) -> None:
    trunk(s, 0.12, -0.3)
    s.line(curve([(-0.75, -0.1), (-0.5, -0.65), (0, -0.85), (0.5, -0.65),
                  (0.75, -0.1)], False))
    for x in np.linspace(-0.85, 0.85, s.whole(11, 15)):
        top = -0.78 + 0.55 * abs(x)
        low = s.between(0.2, 0.68) - 0.25 * (abs(x) < 0.25)
        s.line(curve([(x * 0.55, top), (x * 0.9, (top + low) / 2 - 0.1), (x, low)],
                     False), weight=0.9)
        for t in (0.55, 0.75, 0.92):
            y = top + t * (low - top)
            s.line([(x * 0.95, y), (x * 0.95 + 0.05, y + 0.07)], detail=2, weight=0.7)


def tree_fruit(s: Sheet) -> None:
    trunk(s, 0.11, -0.05)
    s.line([(0, 0.2), (0.2, -0.1)], detail=1)
    crown = scalloped(ellipse(0, -0.35, 0.66, 0.5), s.whole(9, 12), 0.1, s.rng)
    s.draw(crown)
    tone = s.pick(0.0, 0.9)
    spots = [(-0.38, -0.45), (-0.1, -0.65), (0.28, -0.58), (-0.15, -0.25),
             (0.15, -0.35), (0.42, -0.25), (-0.42, -0.1)]
    for x, y in spots:
        s.draw(ellipse(x, y, 0.07, 0.07), tone=tone)
        s.line([(x, y - 0.07), (x + 0.02, y - 0.13)], detail=1)


def tree_oak(s: Sheet) -> None:
    for x, y, r in ((-0.52, -0.18, 0.4), (0.54, -0.22, 0.4), (0.0, -0.5, 0.52)):
        puff = scalloped(ellipse(x, y, r, 0.8 * r), 8, 0.09, s.rng)
        s.draw(puff, tone=s.look["leaf"])
    trunk(s, s.between(0.14, 0.2), -0.02)
    for x, y in ((-0.45, -0.2), (0.45, -0.24), (-0.1, -0.45), (0.16, -0.42)):
        s.line(curve([(0.2 * x, 0.12), (0.6 * x, 0.5 * y), (x, y)], False), weight=1.1)
    s.line([(-0.9, 0.95), (0.9, 0.93)], detail=1)


# ---------------------------------------------------------------- cheese


def hole(s: Sheet, points: Array) -> None:
    """Draw a hole and the dark crescent inside it."""
    s.draw(points, tone=s.look["hole"])
    middle = points.mean(0)
    inner = middle + (points - middle) * 0.72 + np.ptp(points, 0) * (0.06, 0.06)
    n = len(inner)
    s.line(inner[n // 2 : n // 2 + n // 3], detail=2, weight=0.7)


def holes(s: Sheet, put: Callable, spots: list[tuple[float, float, float]]) -> None:
    """Draw holes (x, y, radius) on a face."""
    for x, y, r in spots:
        r *= s.between(0.75, 1.25)
        x, y = x + s.rng.normal(0, 0.02), y + s.rng.normal(0, 0.02)
        hole(s, put(ellipse(x, y, r, r * s.between(0.8, 1.0), s.between(0, 3))))


def bite(s: Sheet, put: Callable, x: float, y: float, r: float) -> None:
    """Draw a hole that was cut open by the edge above it."""
    s.blank(put(ellipse(x, y - 0.15 * r, r, r)))
    s.line(put(arc(x, y, r, r, 0, 2)))


def wedge(s: Sheet, camera: Camera, length: float, open_: float, h: float) -> None:
    """Draw a wedge whose long cut face looks at us, with its holes."""
    t = np.linspace(-open_, 0, 9)
    rind = np.stack([length * np.cos(t), -length * np.sin(t)], 1)
    middle = np.array([0.55 * length, 0.2])
    plan = np.concatenate([[(0.0, 0.0)], rind[::-1]]) - middle
    prism(s, camera, plan, upright, h, -h, (s.pick(0.0, 0.3), s.pick(0.0, 0.0, 0.3)))
    face = camera.plane((-middle[0], 0, -middle[1]), (1, 0, 0), (0, 1, 0))
    holes(s, face, [(0.42, 0.3 * h, 0.11), (0.8, -0.35 * h, 0.09), (1.0, 0.4 * h, 0.14),
                    (1.35, -0.2 * h, 0.12), (0.68, 0.62 * h, 0.06)])
    top = camera.plane((-middle[0], -h, -middle[1]), (1, 0, 0), (0, 0, 1))
    holes(s, top, [(0.95, 0.3, 0.1), (1.3, 0.5, 0.11), (1.3, 0.18, 0.06)])
    bite(s, face, s.between(0.6, 0.75), -h, 0.1)
    if s.chance(0.6):
        bite(s, face, s.between(1.1, 1.2), -h, 0.13)


def cheese_wedge(s: Sheet) -> None:
    wedge(s, Camera(s.between(-0.15, 0.25), s.between(0.45, 0.75)),
          s.between(1.5, 1.7), s.between(0.55, 0.75), s.between(0.26, 0.36))


def cheese_thick(s: Sheet) -> None:
    wedge(s, Camera(s.between(0.3, 0.5), s.between(0.4, 0.65)), s.between(1.35, 1.5),
          s.between(0.7, 0.95), s.between(0.4, 0.5))


def pie(start: float, end: float, r: float = 0.9, n: int = 36) -> Array:
    """Return a ground plan: a disc without the sector from ``start`` to ``end``."""
    t = np.linspace(end, start + 2 * np.pi, n)
    rim = np.stack([r * np.cos(t), r * np.sin(t)], 1)
    return np.concatenate([[(0.0, 0.0)], rim])


def cut_wheel(s: Sheet, camera: Camera, h: float, start: float, end: float) -> None:
    """Draw a wheel of cheese that lacks a slice towards us."""
    prism(s, camera, pie(start, end), upright, h, -h, (0.0, s.pick(0.0, 0.25)))
    for a, side in ((start, 1), (end, -1)):
        u = (np.cos(a), 0, np.sin(a))
        # A cut face shows only when it is turned towards us.
        if side * camera.turned(np.array([[-u[2], 0, u[0]]]))[0, 2] < 0.12:
            face = camera.plane((0, 0, 0), u, (0, 1, 0))
            holes(s, face, [(0.3, 0.2 * h, 0.1), (0.58, -0.35 * h, 0.11),
                            (0.7, 0.4 * h, 0.09)])
    top = camera.plane((0, -h, 0), (1, 0, 0), (0, 0, 1))
    holes(s, top, [(-0.5, 0.1, 0.13), (0.05, 0.5, 0.15), (0.5, 0.25, 0.1),
                   (-0.35, -0.35, 0.09)])
    if s.chance(0.5):  # the rind, or a label on it
        ring = pie(start, end, 0.8)
        s.line(camera.flat(upright(ring[1:], -h)), detail=1, weight=0.8)


def cheese_cut_wheel(s: Sheet) -> None:
    middle = s.between(-1.9, -1.2)
    half = s.between(0.35, 0.6)
    cut_wheel(s, Camera(0, s.between(0.5, 0.85)), s.between(0.2, 0.34), middle - half,
              middle + half)


def cheese_served(s: Sheet) -> None:
    camera, h = Camera(0, s.between(0.55, 0.8)), s.between(0.26, 0.34)
    cut_wheel(s, camera, h, -1.3, -0.45)
    t = np.linspace(-1.25, -0.5, 8)
    slice_ = np.concatenate([[(0.0, 0.0)], np.stack([np.cos(t), np.sin(t)], 1) * 0.9])
    slice_ += (0.42, -0.62)
    prism(s, camera, slice_, upright, h, -h, (0.0, 0.0))
    face = camera.plane((0.42, 0, -0.62), (np.cos(-1.25), 0, np.sin(-1.25)), (0, 1, 0))
    holes(s, face, [(0.38, 0.1, 0.1), (0.68, -0.08, 0.11), (0.72, 0.16, 0.07)])


def cheese_block(s: Sheet) -> None:
    camera = Camera(s.between(0.35, 0.75), s.between(0.35, 0.6), s.pick(4.0, 30.0))
    w, d, h = s.between(0.6, 0.75), s.between(0.36, 0.5), s.between(0.3, 0.42)
    plan = np.array([(-w, -d), (w, -d), (w, d), (-w, d)])
    prism(s, camera, plan, upright, h, -h, (s.pick(0.0, 0.25), 0.0))
    front = camera.plane((0, 0, -d), (1, 0, 0), (0, 1, 0))
    right = camera.plane((w, 0, 0), (0, 0, 1), (0, 1, 0))
    top = camera.plane((0, -h, 0), (1, 0, 0), (0, 0, 1))
    holes(s, front, [(-0.65 * w, -0.1, 0.1), (-0.1 * w, 0.14, 0.13),
                     (0.55 * w, -0.08, 0.1), (-0.45 * w, 0.22, 0.06),
                     (0.2 * w, -0.18, 0.06)])
    holes(s, right, [(-0.4 * d, 0.0, 0.09), (0.4 * d, 0.12, 0.1)])
    holes(s, top, [(-0.5 * w, 0.1, 0.11), (0.2 * w, 0.0, 0.1), (0.7 * w, 0.2, 0.07)])
    bite(s, front, s.between(0.2, 0.4) * w, -h, 0.12)


def cheese_slice(s: Sheet) -> None:
    camera = Camera(s.between(-0.5, 0.5), s.between(0.75, 1.15))
    plan = np.array([(-0.75, -0.7), (0.75, -0.7), (0.75, 0.7), (-0.75, 0.7)])
    count = s.pick(1, 1, 3)
    for k in range(count):
        prism(s, camera, plan + k * np.array([0.14, 0.1]), upright,
              0.04 - 0.1 * k, -0.03 - 0.1 * k)
    k = count - 1
    top = camera.plane((0.14 * k, -0.03 - 0.1 * k, 0.1 * k), (1, 0, 0), (0, 0, 1))
    holes(s, top, [(-0.4, -0.35, 0.15), (0.15, -0.45, 0.1), (0.42, -0.05, 0.17),
                   (-0.05, 0.05, 0.12), (-0.48, 0.2, 0.1), (0.1, 0.48, 0.14),
                   (-0.32, 0.5, 0.08), (0.5, 0.45, 0.08)])


def cheese_triangle(s: Sheet) -> None:
    """Draw the sign for cheese: a flat wedge, its thin top, and holes."""
    tall, low = s.between(-0.42, -0.25), s.between(0.4, 0.55)
    left, right, back = (-0.92, 0.02), (0.85, 0.02), (0.4, tall - 0.15)
    s.draw([left, back, (0.85, tall + 0.2), right], tone=s.pick(0.0, 0.3))
    s.draw([left, right, (0.85, low), (-0.92, low)])
    holes(s, np.asarray, [(-0.5, 0.26, 0.11), (0.0, 0.36, 0.08), (0.36, 0.22, 0.13),
                          (0.68, 0.38, 0.07)])
    holes(s, np.asarray, [(0.32, tall + 0.18, 0.07), (0.6, tall + 0.3, 0.06)])
    bite(s, np.asarray, -0.12, 0.02, 0.12)


def cheese_board(s: Sheet) -> None:
    camera = Camera(s.between(-0.1, 0.2), s.between(0.45, 0.6))
    board = rounded([(-1.0, -0.7), (0.9, -0.7), (0.9, 0.6), (-1.0, 0.6)], 1)
    prism(s, camera, board, upright, 0.34, 0.26)
    top = camera.plane((0, 0.26, 0), (1, 0, 0), (0, 0, 1))
    s.draw(top(rounded([(-0.75, -0.56), (-0.1, -0.6), (-0.02, -0.55), (-0.1, -0.46),
                        (-0.75, -0.47)], 1)), detail=1)
    s.draw(top(rectangle(-0.02, -0.58, 0.5, -0.49)), tone=0.9, detail=1)
    wedge(s, camera, 1.35, 0.6, 0.26)


def cheese_half(s: Sheet) -> None:
    camera = Camera(s.between(-0.3, 0.3), s.between(0.4, 0.65))
    t = np.linspace(0, np.pi, 22)
    plan = np.stack([0.95 * np.cos(t), 0.95 * np.sin(t) - 0.3], 1)
    h = s.between(0.3, 0.42)
    prism(s, camera, plan, upright, h, -h, (0.0, s.pick(0.0, 0.25)))
    face = camera.plane((0, 0, -0.3), (1, 0, 0), (0, 1, 0))
    holes(s, face, [(-0.62, 0.05, 0.12), (-0.25, -0.12, 0.08), (-0.05, 0.12, 0.14),
                    (0.4, -0.05, 0.12), (0.7, 0.12, 0.09), (-0.4, 0.22, 0.06)])
    bite(s, face, s.between(-0.5, -0.3), -h, 0.12)
    bite(s, face, s.between(0.1, 0.3), -h, 0.1)


# ---------------------------------------------------------------- fish (head: right)


def eye(s: Sheet, x: float, y: float, r: float) -> None:
    """Draw an eye."""
    s.draw(ellipse(x, y, r, r))
    s.draw(ellipse(x + 0.2 * r, y, 0.4 * r, 0.4 * r), tone=0.9, detail=1)


def fish_plain(s: Sheet) -> None:
    fat = s.between(0.3, 0.45)
    s.draw(curve([(-0.5, 0), (-0.95, -0.38), (-0.85, 0), (-0.95, 0.38)]))
    s.draw(curve([(-0.15, -0.8 * fat), (0.05, -1.6 * fat), (0.45, -0.7 * fat)], False),
           closed=False)
    s.draw(curve([(-0.62, 0), (-0.2, -0.8 * fat), (0.35, -fat), (0.9, 0),
                  (0.35, fat), (-0.2, 0.8 * fat)]), tone=s.pick(0.0, 0.3))
    eye(s, 0.58, -0.25 * fat, 0.09)
    s.line(arc(0.3, 0, 0.16, 0.8 * fat, -1, 1))
    s.line(curve([(0.86, 0.06), (0.76, 0.1), (0.7, 0.08)], False), detail=1)
    for x in (-0.3, -0.1, 0.1):
        for y in (-0.14, 0.02, 0.18):
            s.line(arc(x, y, 0.07, 0.08, -1, 1), detail=1, weight=0.7)


def fish_goldfish(s: Sheet) -> None:
    s.draw(curve([(-0.35, 0), (-0.7, -0.5), (-1.05, -0.4), (-0.85, -0.05),
                  (-1.1, 0.35), (-0.7, 0.45)]))
    for y in (-0.25, -0.05, 0.2):
        s.line([(-0.45, 0.2 * y), (-0.85, y)], detail=1, weight=0.7)
    s.draw(curve([(-0.1, -0.4), (0.0, -0.75), (0.4, -0.6), (0.4, -0.35)], False))
    s.draw(ellipse(0.2, 0, 0.58, 0.46), tone=s.pick(0.0, 0.25))
    eye(s, 0.55, -0.12, 0.11)
    s.draw(curve([(0.15, 0.12), (-0.1, 0.4), (0.2, 0.34)]), detail=0)
    for k in range(3):
        s.draw(ellipse(0.95 + 0.08 * k, -0.25 - 0.25 * k, 0.05 + 0.02 * k,
                       0.05 + 0.02 * k), detail=1)


def fish_angel(s: Sheet) -> None:
    s.draw([(-0.4, -0.1), (-0.85, -0.35), (-0.8, 0.35), (-0.4, 0.1)])
    s.draw(curve([(0.65, 0.05), (0.15, -0.4), (-0.45, -1.0), (-0.35, -0.3), (-0.5, 0),
                  (-0.35, 0.3), (-0.45, 1.0), (0.15, 0.45)]), tone=s.pick(0.0, 0.25))
    for x in (0.25, 0.0, -0.25):
        s.line(curve([(x, -0.42 + 0.2 * x), (x + 0.07, 0), (x, 0.42 - 0.2 * x)], False),
               weight=1.2)
    eye(s, 0.42, -0.06, 0.08)


def fish_bones(s: Sheet) -> None:
    s.draw([(0.45, -0.32), (0.95, 0.02), (0.45, 0.34)])
    eye(s, 0.6, -0.05, 0.07)
    s.line([(0.45, 0), (-0.75, 0)], weight=1.2)
    for x, h in ((0.25, 0.32), (0.05, 0.34), (-0.15, 0.3), (-0.35, 0.24)):
        s.line(curve([(x - 0.1, -h), (x, 0), (x - 0.1, h)], False))
    s.draw([(-0.72, 0), (-1.0, -0.28), (-0.9, 0), (-1.0, 0.28)])


def fish_sign(s: Sheet) -> None:
    h = s.between(0.34, 0.46)
    for side in (-1, 1):
        s.line(curve([(0.95, 0), (0.4, side * h), (-0.3, side * 0.75 * h),
                      (-0.9, -side * 0.8 * h)], False), weight=1.2)
    s.line([(-0.9, -0.8 * h), (-0.9, 0.8 * h)])
    eye(s, 0.55, -0.1, 0.07)


def fish_long(s: Sheet) -> None:
    s.draw([(-0.75, 0), (-1.05, -0.25), (-0.97, 0), (-1.05, 0.25)])
    for x in (-0.45, 0.1):
        s.draw([(x, -0.15), (x - 0.12, -0.36), (x + 0.2, -0.18)])
        s.draw([(x, 0.15), (x - 0.12, 0.32), (x + 0.14, 0.18)])
    s.draw(curve([(-0.82, -0.04), (-0.3, -0.18), (0.4, -0.2), (1.0, 0.0), (0.4, 0.2),
                  (-0.3, 0.18), (-0.82, 0.04)]), tone=s.pick(0.0, 0.3))
    eye(s, 0.7, -0.06, 0.05)
    s.line([(0.97, 0.03), (0.72, 0.06)], detail=0)
    s.line(arc(0.45, 0, 0.07, 0.16, -1, 1))
    s.line([(-0.7, 0), (0.4, 0)], detail=1, weight=0.7)


def fish_puffer(s: Sheet) -> None:
    s.draw([(-0.58, -0.02), (-0.95, -0.3), (-0.88, 0), (-0.95, 0.3)])
    s.draw(ellipse(0.05, 0, 0.66, 0.62))
    for a in np.linspace(0.6, 5.7, 17):
        if abs(a - np.pi) > 0.4:
            d = np.array([np.cos(a), np.sin(a)])
            s.line([(0.05, 0) + d * 0.62, (0.05, 0) + d * 0.8])
    eye(s, 0.38, -0.18, 0.12)
    s.draw(ellipse(0.68, 0.06, 0.06, 0.08))
    s.draw(curve([(0.05, 0.1), (-0.25, 0.0), (-0.22, 0.28)]), detail=1)


VIEWS: dict[str, dict[str, Callable[[Sheet], None]]] = {
    "car": {"sedan": car_sedan, "beetle": car_beetle, "van": car_van,
            "pickup": car_pickup, "sports": car_sports, "vintage": car_vintage,
            "city": car_city, "front": car_front,
            "three-quarter": car_three_quarter},
    "cheese": {"wedge": cheese_wedge, "thick wedge": cheese_thick,
               "cut wheel": cheese_cut_wheel, "wheel and slice": cheese_served,
               "block": cheese_block, "slice": cheese_slice,
               "triangle": cheese_triangle, "board": cheese_board,
               "half wheel": cheese_half},
    "house": {"gable": house_gable, "wide": house_wide,
              "perspective": house_perspective, "hut": house_hut,
              "tower": house_tower, "garage": house_garage, "fence": house_fence,
              "modern": house_modern, "canal": house_canal, "timber": house_timber},
    "tree": {"cloud": tree_cloud, "lollipop": tree_lollipop, "tiers": tree_tiers,
             "spruce": tree_spruce, "palm": tree_palm, "bare": tree_bare,
             "poplar": tree_poplar, "willow": tree_willow, "fruit": tree_fruit,
             "oak": tree_oak},
    "fish": {"plain": fish_plain, "goldfish": fish_goldfish, "angelfish": fish_angel,
             "bones": fish_bones, "sign": fish_sign, "long": fish_long,
             "puffer": fish_puffer},
}
