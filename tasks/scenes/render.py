"""Scenes as pictures: anti-aliased shapes with a texture, painted one over the other in NumPy (some thousands of pictures a second)."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from .corruptions import corrupted
from .scene import Scene, SceneObject
from .shapes import OUTLINES, REACH
from .styles import STYLES, Style

Picture = NDArray[np.uint8]
Field = NDArray[np.float32]

RGB: dict[str, tuple[float, float, float]] = {
    "red": (0.85, 0.13, 0.12), "blue": (0.14, 0.28, 0.85), "green": (0.13, 0.60, 0.22), "yellow": (0.96, 0.86, 0.14),
    "black": (0.07, 0.07, 0.07), "white": (0.97, 0.97, 0.97), "brown": (0.48, 0.28, 0.11), "grey": (0.50, 0.50, 0.50),
}  # fmt: skip
SHADE = 0.04  # standard deviation of a thing's colour around its name's
_WOBBLE = 0.42  # how far a texture's second tone is from the first, towards white or black


def render(scene: Scene, style: str = "plain", corruption: str | None = None, severity: int = 3, size: int = 32) -> Picture:
    """uint8 [size, size, 3] picture of a scene; the same bytes for the same arguments.

    style : one of `styles.STYLES`. corruption, severity : one of `corruptions.CORRUPTIONS` (or None) and 1 (mild) to 5. size : 16 to 64.
    """
    if style not in STYLES:
        raise ValueError(f"no style {style!r}; there are {', '.join(STYLES)}")
    if not 16 <= size <= 64:
        raise ValueError(f"size {size} is not within 16 and 64")
    rng = np.random.default_rng(scene.seed)
    look = STYLES[style]
    canvas = look.background(rng, size)
    for thing in scene.objects:
        _paint(canvas, thing, look, rng)
    image = look.finish(canvas, rng)
    if corruption is not None:
        image = corrupted(image, corruption, severity, rng)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def coverage(thing: SceneObject, size: int) -> Field:
    """float32 [size, size] how much of each pixel the thing covers, 0 to 1 (as if nothing stood in front of it)."""
    result = np.zeros((size, size), dtype=np.float32)
    window = _window(thing, size)
    outside = OUTLINES[thing.shape](*_local(thing, size, window)) * np.float32(thing.radius * size)
    result[window] = np.clip(0.5 - outside, 0, 1)
    return result


@functools.lru_cache(maxsize=8)
def _grid(size: int) -> tuple[Field, Field]:
    line = ((np.arange(size) + 0.5) / size).astype(np.float32)
    return np.ascontiguousarray(np.broadcast_to(line, (size, size))), np.ascontiguousarray(np.broadcast_to(line[:, None], (size, size)))


def _window(thing: SceneObject, size: int) -> tuple[slice, slice]:
    """Rows and columns outside of which the thing covers no pixel."""
    reach = REACH * thing.radius * size + 1
    top, left = thing.y * size, thing.x * size
    return (
        slice(max(int(top - reach), 0), min(int(top + reach) + 1, size)),
        slice(max(int(left - reach), 0), min(int(left + reach) + 1, size)),
    )


def _local(thing: SceneObject, size: int, window: tuple[slice, slice]) -> tuple[Field, Field]:
    """The window's pixels as the thing sees them: its centre is 0, its radius 1, its turn undone."""
    x, y = _grid(size)
    cos, sin = math.cos(thing.turn) / thing.radius, math.sin(thing.turn) / thing.radius
    across, down = x[window] - np.float32(thing.x), y[window] - np.float32(thing.y)
    return across * np.float32(cos) + down * np.float32(sin), down * np.float32(cos) - across * np.float32(sin)


def _paint(canvas: Field, thing: SceneObject, look: Style, rng: np.random.Generator) -> None:
    """Paint a thing over the canvas, in place."""
    size = canvas.shape[0]
    window = _window(thing, size)
    u, v = _local(thing, size, window)
    outside = OUTLINES[thing.shape](u, v) * np.float32(thing.radius * size)  # in pixels
    cover = np.clip(0.5 - outside, 0, 1)
    rim = np.clip(outside + (size / 32 + 0.7), 0, 1)  # 1 at the outline, 0 from about one and a half pixels inwards (at 32 pixels)
    first = np.clip(np.asarray(RGB[thing.colour]) + rng.normal(0, SHADE, 3), 0, 1)
    first = look.fill(first).astype(np.float32)
    target = np.float32(first.mean() < 0.5)  # dark colours have lighter marks, light ones darker
    second = first + np.float32(_WOBBLE) * (target - first)
    marks = _marks(thing, u, v, rng)
    colour = first + marks[..., None] * (second - first)
    if look.rim:
        colour += (np.float32(look.rim) * rim)[..., None] * (np.asarray(look.ink, dtype=np.float32) - colour)
    if thing.texture == "glass":
        cover = cover * (np.float32(0.35) + np.float32(0.65) * rim)
    part = canvas[window]
    part += cover[..., None].astype(np.float32) * (colour - part)


def _marks(thing: SceneObject, u: Field, v: Field, rng: np.random.Generator) -> Field:
    """float32, like u, how much of the texture's second tone stands at each pixel, 0 to 1. Its scale is the picture's, not the thing's."""
    step = np.float32(2 * np.pi * 8 * thing.radius)  # eight periods across the picture
    if thing.texture == "paper" or thing.texture == "glass":
        return np.zeros_like(u)
    if thing.texture == "stone":
        chosen = rng.random(u.shape, dtype=np.float32) < 0.4
    elif thing.texture == "plastic":
        chosen = np.sin(u * step) * np.sin(v * step) > 0
    else:
        chosen = np.sin((v if thing.texture == "wooden" else u + v) * step) > 0
    return chosen.astype(np.float32)
