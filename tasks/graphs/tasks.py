"""Few-shot tasks over planted motifs. Every task keeps, apart from its rows, which nodes its question is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from harness.registry import task
from harness.task import GeneratedTask, Row

from .motifs import Planted
from .world import NOISE, SHIFT, TYPES, features_of, grown, inputs_of, spread_types


class GraphTask(GeneratedTask):
    """Base: `example` gives a graph, its node types and its label.

    oracle_nodes : for analysis alone, never among the inputs.
    """

    pool_size: ClassVar[int] = 1000
    test_size: ClassVar[int] = 400
    noise: ClassVar[float] = NOISE
    shift: ClassVar[np.ndarray | float] = 0.0

    def example(self, rng: np.random.Generator) -> tuple[Planted, np.ndarray, int]:
        raise NotImplementedError

    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        number = 0
        while True:
            graph, types, target = self.example(rng)
            name = f"{split}-{number}"
            self._masks[name] = graph.motif >= 0
            yield Row(name, inputs_of(graph, features_of(rng, types, noise=self.noise, shift=self.shift)), target)
            number += 1

    @property
    def _masks(self) -> dict[str, np.ndarray]:
        masks: dict[str, np.ndarray] = self.__dict__.setdefault("_kept_masks", {})
        return masks

    def oracle_nodes(self, example_id: str) -> np.ndarray | None:
        """bool [n]: the nodes of planted motifs of a pool or test row; None for an example that is not this task's."""
        self.test()
        return self._masks.get(example_id)


def _with_types(
    rng: np.random.Generator, names: Sequence[str], kinds: Sequence[str] = ("tree", "scale-free")
) -> tuple[Planted, np.ndarray]:
    graph = grown(rng, names, kinds)
    return graph, spread_types(rng, graph, names)


@task("graph-motif", tags=("graph", "motif"))
class GraphMotif(GraphTask):
    """Which of four motifs is planted? Their nodes are often of a type of their own, which the noisy features only hint at."""

    labels = ("ring", "clique", "house", "ladder")
    floor = 0.25

    kinds: ClassVar[tuple[str, ...]] = ("tree", "scale-free")

    def example(self, rng: np.random.Generator) -> tuple[Planted, np.ndarray, int]:
        target = int(rng.integers(4))
        return *_with_types(rng, [self.labels[target]], self.kinds), target


@task("graph-motif-shifted", tags=("graph", "motif", "shift"))
class GraphMotifShifted(GraphMotif):
    """The question of graph-motif in a shifted world: denser bases, and a constant vector on all features, which pretraining never saw."""

    kinds = ("dense", "scale-free")
    shift = SHIFT


@task("graph-count", tags=("graph", "motif"))
class GraphCount(GraphTask):
    """How many of the two planted motifs are cliques: none, one or two? The others are squares, of as many nodes."""

    labels = ("none", "one", "two")
    floor = 1 / 3

    def example(self, rng: np.random.Generator) -> tuple[Planted, np.ndarray, int]:
        target = int(rng.integers(3))
        return *_with_types(rng, ["clique"] * target + ["square"] * (2 - target)), target


@task("graph-pair", tags=("graph", "motif"))
class GraphPair(GraphTask):
    """Are a clique and a ring both there? Where not, one of the two stands beside a house."""

    labels = ("no", "yes")
    floor = 0.5

    def example(self, rng: np.random.Generator) -> tuple[Planted, np.ndarray, int]:
        target = int(rng.integers(2))
        names = ["clique", "ring"] if target else [("clique", "ring")[int(rng.integers(2))], "house"]
        return *_with_types(rng, names), target


@task("graph-colour", tags=("graph", "motif", "features", "oracle"))
class GraphColour(GraphTask):
    """Are the types of the motif's nodes warm (the first three) or cold? All other nodes' types are drawn at random, so that only the
    motif's nodes matter: the task for asking whether chosen nodes lie where they should."""

    labels = ("warm", "cold")
    floor = 0.5
    told: ClassVar[float] = 0.9  # share of the motif's nodes that are of the label's types

    def example(self, rng: np.random.Generator) -> tuple[Planted, np.ndarray, int]:
        target = int(rng.integers(2))
        graph = grown(rng, [("clique", "house", "ladder")[int(rng.integers(3))]])
        types = rng.integers(TYPES, size=graph.nodes)
        own = (graph.motif >= 0) & (rng.random(graph.nodes) < self.told)
        types[own] = rng.integers(TYPES // 2, size=int(own.sum())) + target * (TYPES // 2)
        return graph, types, target
