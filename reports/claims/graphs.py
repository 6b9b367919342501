"""The small world of claims about graph methods: a random GIN and random trees in two classes that mean nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from harness.backbones.capabilities import EXPECTED
from harness.backbones.graph import GIN, GraphBackbone
from harness.claims import Sizes
from harness.registry import Entry
from harness.task import GeneratedTask, Row

FEATURES = 4


class RandomGraphs(GeneratedTask):
    """Random trees of three to eight nodes with random features."""

    pool_size, test_size = 60, 12
    labels = ("no", "yes")
    entry = Entry("task", "random-graphs")

    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        number = 0
        while True:
            size = int(rng.integers(3, 9))
            pairs = np.array([(int(rng.integers(new)), new) for new in range(1, size)]).T
            nodes = rng.standard_normal((size, FEATURES)).astype(np.float32)
            number += 1
            yield Row(f"{split}-{number}", {"nodes": nodes, "edges": np.concatenate([pairs, pairs[::-1]], axis=1)}, number % 2)


def random_backbone(sizes: Sizes) -> GraphBackbone:
    """A random GIN of these sizes, drawn from one seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GIN(FEATURES, sizes.width, sizes.layers)
    return GraphBackbone(name="random-graph", family="graph", model=model, capabilities=EXPECTED["graph"])
