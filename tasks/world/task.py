"""What the tasks of the world share: rows drawn by one `example` each, from a sampler over the given generator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from harness.task import GeneratedTask, Row

from .meaning import Sampler


class WorldTask(GeneratedTask):
    """A generated task of the world; subclasses give `example`.

    pretrained : rows outside pool and test stand in the shipped models' pretraining, in the templates that are not held out.
    """

    pretrained: ClassVar[bool] = True

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int | str]:
        """Inputs and target of one new row of a split ("pretraining" is one too)."""
        raise NotImplementedError

    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        sampler, number = Sampler(rng), 0
        cluster = split if len(self.test_splits) > 1 and split in self.test_splits else None
        while True:
            inputs, target = self.example(sampler, split)
            yield Row(f"{split}-{number}", inputs, target, cluster)
            number += 1
