"""Pictures whose classes are not what things are but how many there are and where they stand."""

from __future__ import annotations

from dataclasses import replace

from harness.registry import task

from .scenes.scene import MOST, RELATIONS, Scene, SceneSampler, relation
from .scenes.task import SceneTask

ROWS = 4


@task("scene-count", tags=("vision", "scenes"))
class SceneCount(SceneTask):
    """How many things are in the picture, one to six? All are small or tiny, so that the covered area does not tell."""

    labels = ("one", "two", "three", "four", "five", "six")
    floor = 1 / 6

    def scene(self, sampler: SceneSampler, split: str) -> tuple[Scene, int]:
        label = sampler.below(MOST)
        return sampler.scene([sampler.object(sizes=("tiny", "small")) for _ in range(label + 1)]), label


@task("scene-position", tags=("vision", "scenes", "many-class"))
class ScenePosition(SceneTask):
    """In which cell of a 4 x 4 grid is the centre of the one thing?"""

    labels = tuple(f"row {row} column {column}" for row in range(1, ROWS + 1) for column in range(1, ROWS + 1))
    floor = 1 / 16

    def scene(self, sampler: SceneSampler, split: str) -> tuple[Scene, int]:
        label = sampler.below(ROWS * ROWS)
        row, column = divmod(label, ROWS)
        across, down = sampler.rng.uniform(0.1, 0.9, 2)  # not on a line between two cells
        thing = sampler.object(sizes=("tiny", "small"))
        return sampler.of(replace(thing, x=(column + float(across)) / ROWS, y=(row + float(down)) / ROWS)), label


@task("scene-relation", tags=("vision", "scenes"))
class SceneRelation(SceneTask):
    """Where does the larger of two things stand from the smaller one: left of it, right of it, over it or under it?

    The axis that decides is at least 1.3 times as long as the other.
    """

    labels = RELATIONS
    floor = 1 / 4

    def scene(self, sampler: SceneSampler, split: str) -> tuple[Scene, int]:
        wanted = sampler.below(4)
        while True:
            scene = sampler.scene((sampler.object(sizes=("big",)), sampler.object(sizes=("tiny",))))
            larger, smaller = scene.objects
            apart = sorted((abs(larger.x - smaller.x), abs(larger.y - smaller.y)))
            if relation(larger, smaller) == RELATIONS[wanted] and apart[1] >= 1.3 * apart[0]:
                return scene, wanted
