"""Pictures of one thing by colour and shape together, in pairs that no shipped model was pretrained on."""

from __future__ import annotations

from harness.registry import task

from .scenes.scene import COLOURS, SHAPES, Scene, SceneSampler, held_out
from .scenes.task import SceneTask

PAIRS = tuple((colour, shape) for shape in SHAPES for colour in COLOURS if held_out(shape, colour))


@task("scene-new-things", tags=("vision", "vision-language", "scenes", "many-class"))
class SceneNewThings(SceneTask):
    """Which of twenty things is it? Every colour and every shape was seen in pretraining, these pairs of them never."""

    labels = tuple(f"{colour} {shape}" for colour, shape in PAIRS)
    floor = 1 / len(PAIRS)
    combinations = {"pool": "all", "test": "all"}

    def scene(self, sampler: SceneSampler, split: str) -> tuple[Scene, int]:
        label = sampler.below(len(PAIRS))
        colour, shape = PAIRS[label]
        return sampler.of(sampler.object(shapes=(shape,), colours=(colour,))), label
