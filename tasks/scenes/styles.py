"""Ways to draw one and the same scene: "plain" is what models are pretrained on, the others are shifts away from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def _tinted(rng: np.random.Generator, size: int) -> Field:
    """A pale, slightly tinted ground with a slope of light."""
    tone = rng.uniform(0.55, 0.85) + rng.uniform(-0.08, 0.08, 3)
    slope = np.linspace(-1, 1, size, dtype=np.float32) * rng.uniform(-0.06, 0.06)
    ground = slope[:, None, None] + tone.astype(np.float32)
    return np.broadcast_to(ground, (size, size, 3)).astype(np.float32)


def _white(rng: np.random.Generator, size: int) -> Field:
    return np.full((size, size, 3), 0.97, dtype=np.float32)


def _stripes(rng: np.random.Generator, size: int) -> Field:
    """Slanted bands of two strong colours."""
    first, second = rng.uniform(0.2, 0.9, (2, 3)).astype(np.float32)
    line = np.arange(size, dtype=np.float32)
    bands = np.sin((line[:, None] * rng.uniform(0.3, 1) + line) * np.float32(2 * np.pi * 3 / size)) > 0
    ground: Field = np.where(bands[..., None], first, second).astype(np.float32)
    return ground


def _clutter(rng: np.random.Generator, size: int) -> Field:
    """Soft blobs of every colour, as of a room out of focus."""
    coarse = rng.uniform(0.15, 0.95, (6, 6, 3)).astype(np.float32)
    place = np.linspace(0, 4.999, size)
    low, share = place.astype(int), (place % 1).astype(np.float32)
    rows = coarse[low] + share[:, None, None] * (coarse[low + 1] - coarse[low])
    ground: Field = rows[:, low] + share[None, :, None] * (rows[:, low + 1] - rows[:, low])
    return ground


def _same(image: Field, rng: np.random.Generator | None = None) -> Field:
    return image


def _dark(image: Field, rng: np.random.Generator) -> Field:
    return image * np.array([0.32, 0.36, 0.55], dtype=np.float32)


def _levels(image: Field, rng: np.random.Generator) -> Field:
    return (np.round(image * 3) / 3).astype(np.float32)


def _negative(image: Field, rng: np.random.Generator) -> Field:
    return 1 - image


@dataclass(frozen=True)
class Style:
    """background (rng, size) -> float32 [size, size, 3]; fill: a thing's colour as this style has it; rim: strength of the outline in
    the colour `ink`; finish (image, rng): what is done to the whole picture."""

    background: Callable[[np.random.Generator, int], Field] = _tinted
    fill: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda colour: colour
    rim: float = 0.35
    ink: tuple[float, float, float] = (0.1, 0.1, 0.1)
    finish: Callable[[Field, np.random.Generator], Field] = _same


STYLES: dict[str, Style] = {
    "plain": Style(),
    "sketch": Style(_white, lambda colour: 0.6 + 0.4 * colour, rim=0.9),
    "night": Style(finish=_dark, rim=0.2),
    "pastel": Style(_white, lambda colour: 0.45 + 0.5 * colour, rim=0.0),
    "poster": Style(_stripes, rim=0.9, ink=(0.98, 0.98, 0.98), finish=_levels),
    "clutter": Style(_clutter),
    "negative": Style(finish=_negative),
}
