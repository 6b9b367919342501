"""What the tasks of the scenes share: rows of one picture each, drawn from a sampler over the given generator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from harness.task import GeneratedTask, Row

from .render import Picture, render
from .scene import Combinations, Scene, SceneSampler


class SceneTask(GeneratedTask):
    """A generated task of pictures, inputs {"image": uint8 [32, 32, 3]}; subclasses give `scene`, and `picture` where it is not plain.

    combinations : split -> which pairs of shape and colour its scenes are drawn from; splits that are not named take "seen", the pairs
        that stood in the pretraining of the shipped models.
    """

    pool_size: ClassVar[int] = 2000
    test_size: ClassVar[int] = 600
    combinations: ClassVar[dict[str, Combinations]] = {}
    metrics = ("accuracy",)

    def scene(self, sampler: SceneSampler, split: str) -> tuple[Scene, int]:
        """A new scene of a split, and its class."""
        raise NotImplementedError

    def picture(self, scene: Scene, split: str) -> Picture:
        """What is shown of a scene."""
        return render(scene)

    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        sampler, number = SceneSampler(rng, self.combinations.get(split, "seen")), 0
        cluster = split if len(self.test_splits) > 1 and split in self.test_splits else None
        while True:
            scene, label = self.scene(sampler, split)
            yield Row(f"{split}-{number}", {"image": self.picture(scene, split)}, label, cluster)
            number += 1
