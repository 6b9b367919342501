"""What can be told of a scene in numbers: sets of what is there, masks, boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .render import coverage
from .scene import COLOURS, SHAPES, TEXTURES, Scene

CONCEPTS: tuple[str, ...] = (*SHAPES, *COLOURS, *TEXTURES)
"""Words whose presence a multi-label set says."""


def present(scene: Scene) -> NDArray[np.bool_]:
    """bool [concepts] which of `CONCEPTS` at least one thing of the scene has."""
    words = {word for thing in scene.objects for word in (thing.shape, thing.colour, thing.texture)}
    return np.array([word in words for word in CONCEPTS])


def masks(scene: Scene, size: int = 32) -> NDArray[np.bool_]:
    """bool [things, size, size] the pixels that show each thing: at least half covered by it, and not by one in front of it."""
    covers = [coverage(thing, size) >= 0.5 for thing in scene.objects]
    result, hidden = np.zeros((len(covers), size, size), dtype=bool), np.zeros((size, size), dtype=bool)
    for index in reversed(range(len(covers))):
        result[index] = covers[index] & ~hidden
        hidden |= covers[index]
    return result


def classes(scene: Scene, size: int = 32) -> NDArray[np.int64]:
    """int64 [size, size] for every pixel 1 + the index in `SHAPES` of what it shows, 0 for the ground."""
    result = np.zeros((size, size), dtype=np.int64)
    for thing, mask in zip(scene.objects, masks(scene, size), strict=True):
        result[mask] = 1 + SHAPES.index(thing.shape)
    return result


def boxes(scene: Scene, size: int = 32) -> NDArray[np.int64]:
    """int64 [things, 4] left, top, right, bottom (the last two exclusive) of the pixels that each thing covers, hidden ones too; zeros
    for a thing too thin to cover half of any pixel."""
    result = np.zeros((len(scene.objects), 4), dtype=np.int64)
    for index, thing in enumerate(scene.objects):
        down, across = np.nonzero(coverage(thing, size) >= 0.5)
        if len(down):
            result[index] = across.min(), down.min(), across.max() + 1, down.max() + 1
    return result
