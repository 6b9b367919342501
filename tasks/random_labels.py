"""Random labels: texts of a real task under coin-flip labels. No method may beat chance on it; one that does has seen the test set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.registry import task
from harness.task import Row
from harness.templates import Template

from .world_sentiment import WorldSentiment


@task("world-random-labels", tags=("text", "sanity"))
class WorldRandomLabels(WorldSentiment):
    """World sentiment with labels drawn by a coin: the true accuracy of every method is one half."""

    templates = {"review": Template("{{ text }}. it was {{ answer }}.", answers={"negative": "bad", "positive": "good"})}

    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        for row in super().generate(rng, split):
            yield Row(row.id, row.inputs, int(rng.integers(2)), row.cluster)
