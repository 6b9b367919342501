"""Outlines: for every shape, how far points are outside of it.

Points are given as u (to the right) and v (down) in units of a thing's radius, float32 arrays of one shape; what comes back is a signed
distance in the same unit (negative inside), exact or close to it near the outline, which is all that an anti-aliased edge needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Points = Any  # NDArray[np.float32], which NumPy's functions lose
Outline = Callable[[Points, Points], Points]


def _bar(u: Points, v: Points, x: float, y: float, width: float, height: float) -> Points:
    return np.maximum(np.abs(u - x) - width, np.abs(v - y) - height)


def _ball(u: Points, v: Points) -> Points:
    return np.hypot(u, v) - 1


def _box(u: Points, v: Points) -> Points:
    return _bar(u, v, 0, 0, 0.85, 0.85)


def _ring(u: Points, v: Points) -> Points:
    return np.abs(np.hypot(u, v) - 0.7) - 0.28


def _star(u: Points, v: Points) -> Points:
    """Five points: each tenth of the circle is folded onto one, whose edge is a line from a tip (radius 1) to a notch (0.45)."""
    sector = 2 * np.pi / 10
    angle = np.abs(np.mod(np.arctan2(u, -v) + sector, 2 * sector) - sector)
    far = np.hypot(u, v)
    along, across = far * np.cos(angle) - 1, far * np.sin(angle)
    edge = np.array([0.45 * np.cos(sector) - 1, 0.45 * np.sin(sector)])
    edge /= np.hypot(*edge)
    return (across * -edge[0] + along * edge[1]).astype(np.float32)


def _moon(u: Points, v: Points) -> Points:
    return np.maximum(np.hypot(u, v) - 1, 0.8 - np.hypot(u - 0.55, v))


def _heart(u: Points, v: Points) -> Points:
    side = np.abs(u)
    lobe = np.hypot(side - 0.46, v + 0.35) - 0.52
    tip = np.maximum((side * 0.8 + v * 0.6) - 0.57, -0.35 - v)
    return np.minimum(lobe, tip)


def _sun(u: Points, v: Points) -> Points:
    return np.hypot(u, v) - (0.76 + 0.24 * np.cos(8 * np.arctan2(u, v)))


def _stick(u: Points, v: Points) -> Points:
    return _bar(u, v, 0, 0, 1, 0.22)


def _hat(u: Points, v: Points) -> Points:
    return np.minimum(_bar(u, v, 0, 0.65, 1, 0.2), _bar(u, v, 0, -0.1, 0.5, 0.75))


def _lamp(u: Points, v: Points) -> Points:
    shade = np.maximum((np.abs(u) - 0.65 - 0.45 * v) * 0.9, np.abs(v + 0.4) - 0.55)
    return np.minimum(np.minimum(shade, _bar(u, v, 0, 0.5, 0.14, 0.5)), _bar(u, v, 0, 0.88, 0.55, 0.14))


OUTLINES: dict[str, Outline] = {
    "ball": _ball, "box": _box, "ring": _ring, "star": _star, "moon": _moon, "heart": _heart, "sun": _sun, "stick": _stick, "hat": _hat,
    "lamp": _lamp,
}  # fmt: skip
REACH = 1.4
"""No shape reaches further than this from its centre, in units of its radius (the brim of a hat does 1.32)."""
