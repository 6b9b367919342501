"""Pictures of one thing or two: its shape, colour, material, size, and all of shape and colour together."""

from __future__ import annotations

from harness.registry import task

from .scenes.scene import COLOURS, SHAPES, SIZES, TEXTURES, Scene, SceneSampler
from .scenes.task import SceneTask

SMALLER, LARGER = ("tiny", "small"), ("big", "huge")


@task("scene-shape", tags=("vision", "scenes"))
class SceneShape(SceneTask):
    """Which of ten shapes has the one thing in the picture?"""

    labels = SHAPES
    floor = 1 / 10

    def scene(self, sampler: SceneSampler, split: str) -> tuple[Scene, int]:
        label = sampler.below(10)
        return sampler.of(sampler.object(shapes=SHAPES[label : label + 1])), label


@task("scene-colour", tags=("vision", "scenes"))
class SceneColour(SceneTask):
    """Which of eight colours has the one thing in the picture?"""

    labels = COLOURS
    floor = 1 / 8

    def scene(self, sampler: SceneSampler, split: str) -> tuple[Scene, int]:
        thing = sampler.object()
        return sampler.of(thing), COLOURS.index(thing.colour)


@task("scene-texture", tags=("vision", "scenes"))
class SceneTexture(SceneTask):
    """Of which of six materials is the one thing in the picture?"""

    labels = TEXTURES
    floor = 1 / 6

    def scene(self, sampler: SceneSampler, split: str) -> tuple[Scene, int]:
        label = sampler.below(6)
        return sampler.of(sampler.object(textures=TEXTURES[label : label + 1])), label


@task("scene-size", tags=("vision", "scenes"))
class SceneSize(SceneTask):
    """Which of four sizes has the one thing in the picture?"""

    labels = tuple(SIZES)
    floor = 1 / 4

    def scene(self, sampler: SceneSampler, split: str) -> tuple[Scene, int]:
        label = sampler.below(4)
        return sampler.of(sampler.object(sizes=self.labels[label : label + 1])), label


@task("scene-larger", tags=("vision", "scenes"))
class SceneLarger(SceneTask):
    """Which of ten shapes has the larger of two things? The smaller one has another shape."""

    labels = SHAPES
    floor = 1 / 10

    def scene(self, sampler: SceneSampler, split: str) -> tuple[Scene, int]:
        label = sampler.below(10)
        others = SHAPES[:label] + SHAPES[label + 1 :]
        things = (sampler.object(shapes=SHAPES[label : label + 1], sizes=LARGER), sampler.object(shapes=others, sizes=SMALLER))
        return sampler.scene(things), label


@task("scene-thing", tags=("vision", "scenes", "many-class"))
class SceneThing(SceneTask):
    """Which colour and shape has the larger of two things? Eighty classes: the smaller thing has another colour and another shape."""

    labels = tuple(f"{colour} {shape}" for shape in SHAPES for colour in COLOURS)
    floor = 1 / 80
    pool_size = 4000
    combinations = {"pool": "all", "test": "all"}

    def scene(self, sampler: SceneSampler, split: str) -> tuple[Scene, int]:
        label = sampler.below(80)
        shape, colour = divmod(label, 8)
        larger = sampler.object(shapes=SHAPES[shape : shape + 1], colours=COLOURS[colour : colour + 1], sizes=LARGER)
        shapes, colours = SHAPES[:shape] + SHAPES[shape + 1 :], COLOURS[:colour] + COLOURS[colour + 1 :]
        return sampler.scene((larger, sampler.object(shapes=shapes, colours=colours, sizes=SMALLER))), label


@task("scene-shape-new-pairs", tags=("vision", "scenes", "shift"))
class SceneShapeNewPairs(SceneShape):
    """Shapes as in `scene-shape`, tested on pairs of shape and colour that stand neither in its pool nor in any pretraining."""

    combinations = {"test": "held_out"}
