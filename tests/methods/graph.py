"""A tiny random graph network and a small task of random graphs, for the matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from harness.backbones.capabilities import EXPECTED
from harness.backbones.graph import GIN, GraphBackbone
from harness.registry import Entry
from harness.task import GeneratedTask, Row


class SmallGraphs(GeneratedTask):
    """Random trees of three to seven nodes; of some, all nodes' first feature is higher."""

    entry = Entry("task", "small-graphs")
    pool_size, test_size = 60, 12
    labels = ("low", "high")

    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        while True:
            label, size = int(rng.integers(2)), int(rng.integers(3, 8))
            nodes = rng.standard_normal((size, 4)).astype(np.float32)
            nodes[:, 0] += 2 * label
            pairs = np.array([(int(rng.integers(new)), new) for new in range(1, size)]).T
            edges = np.concatenate([pairs, pairs[::-1]], axis=1)
            yield Row(f"{split}-{int(rng.integers(10**9))}", {"nodes": nodes, "edges": edges}, label)


def backbone() -> GraphBackbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GIN(features=4, width=8, layers=2)
    return GraphBackbone(name="random-gin", family="graph", model=model, capabilities=EXPECTED["graph"])


def tasks() -> dict[str, Any]:
    return {"classification": SmallGraphs()}
