"""Scenes as values, and how they are drawn at random.

Nouns, colours, materials and sizes are words of the text world's lexicon, so that a caption of a scene is a text of that world.
All randomness is in the sampler and in `Scene.seed`: what is made of a scene (picture, mask, caption) is a function of the scene.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from ..world import lexicon

SHAPES: tuple[str, ...] = ("ball", "box", "ring", "star", "moon", "heart", "sun", "stick", "hat", "lamp")
COLOURS: tuple[str, ...] = lexicon.ATTRIBUTES["colour"]
TEXTURES: tuple[str, ...] = ("paper", "wooden", "metal", "stone", "plastic", "glass")
"""Materials of the lexicon: plain, stripes along, stripes across, specks, chequers, see-through with a rim."""
SIZES: dict[str, float] = {"tiny": 0.10, "small": 0.145, "big": 0.2, "huge": 0.27}
"""Size word -> half the extent of a thing as a share of the picture's width."""
RELATIONS: tuple[str, ...] = ("left of", "right of", "over", "under")
MOST = 6
"""As many things stand in a scene at most."""

Combinations = Literal["all", "seen", "held_out"]
T = TypeVar("T")


def held_out(shape: str, colour: str) -> bool:
    """Whether things of this shape and colour are kept out of pretraining: two colours of each shape, two or three shapes of each colour."""
    return (COLOURS.index(colour) - 3 * SHAPES.index(shape)) % len(COLOURS) in (0, 4)


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One thing of a scene.

    x, y : its centre, as shares of the picture's width from the left and from the top.
    turn : radians by which it is turned.
    """

    shape: str
    colour: str
    texture: str
    size: str
    x: float
    y: float
    turn: float = 0.0

    @property
    def radius(self) -> float:
        """Half its extent as a share of the picture's width."""
        return SIZES[self.size]


@dataclass(frozen=True, slots=True)
class Scene:
    """Things in the order they are painted (later ones in front), and the seed of specks, shades and noise."""

    objects: tuple[SceneObject, ...]
    seed: int = 0


def relation(first: SceneObject, second: SceneObject) -> str:
    """Where `first` stands from `second`: the word of the axis on which their centres are further apart."""
    across, down = first.x - second.x, first.y - second.y
    if abs(across) >= abs(down):
        return "left of" if across < 0 else "right of"
    return "over" if down < 0 else "under"


class SceneSampler:
    """Draws scenes from a generator. Things overlap by at most a third of the smaller one's radius; no centre is nearer to the picture's border than the thing's radius."""

    def __init__(self, rng: np.random.Generator, combinations: Combinations = "all") -> None:
        self.rng, self.combinations = rng, combinations

    def below(self, number: int) -> int:
        return int(self.rng.integers(number))

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def object(
        self,
        *,
        shapes: Iterable[str] = SHAPES,
        colours: Iterable[str] = COLOURS,
        textures: Sequence[str] = TEXTURES,
        sizes: Sequence[str] = ("small", "big", "huge"),
    ) -> SceneObject:
        """A thing of the given kinds, its shape and colour a pair that `combinations` allows; at a place of its own choosing."""
        colours = tuple(colours)
        shape = self.pick(tuple(shapes))
        allowed = [
            colour for colour in colours if self.combinations == "all" or held_out(shape, colour) == (self.combinations == "held_out")
        ]
        if not allowed:
            raise ValueError(f"no colour of {colours} may go with {shape!r} among {self.combinations!r} combinations")
        turn = float(self.rng.uniform(-math.pi, math.pi)) if shape in ("stick", "moon") else float(self.rng.uniform(-0.35, 0.35))
        return self.moved(SceneObject(shape, self.pick(allowed), self.pick(textures), self.pick(sizes), 0.5, 0.5, turn))

    def moved(self, thing: SceneObject) -> SceneObject:
        """The thing at a random place, its centre a radius or more from the border."""
        low, high = thing.radius, 1 - thing.radius
        return replace(thing, x=float(self.rng.uniform(low, high)), y=float(self.rng.uniform(low, high)))

    def scene(self, objects: int | Sequence[SceneObject]) -> Scene:
        """A scene of so many things, or of these, moved until they stand apart (the last try stands if a hundred were not enough).

        Of more than three, all are small or tiny: larger ones have no room.
        """
        if isinstance(objects, int):
            sizes = ("small", "big", "huge") if objects <= 2 else ("small", "big") if objects == 3 else ("tiny", "small")
            objects = [self.object(sizes=sizes) for _ in range(objects)]
        if len(objects) > MOST:
            raise ValueError(f"{len(objects)} things do not fit into a scene; at most {MOST} do")
        placed: list[SceneObject] = []
        for thing in sorted(objects, key=lambda thing: -thing.radius):  # large ones find room first
            for _ in range(100):
                if all(_apart(thing, other) for other in placed):
                    break
                thing = self.moved(thing)
            placed.append(thing)
        return self.of(*placed)

    def of(self, *objects: SceneObject) -> Scene:
        """A scene of these things where they are, with a seed of its own."""
        return Scene(objects, self.below(2**31))


def _apart(first: SceneObject, second: SceneObject) -> bool:
    distance = math.hypot(first.x - second.x, first.y - second.y)
    return distance >= first.radius + second.radius - min(first.radius, second.radius) / 3
