"""Batches for pretraining on graphs of the world: no label, no motif's name and no node's type is ever shown, only noisy features and edges."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .motifs import MOTIFS
from .world import features_of, grown, spread_types


@dataclass(frozen=True)
class GraphBatch:
    """Graphs joined by offset: nodes float32 [N, f], edges int64 [2, e] in both directions, graph int64 [N] which graph a node is in,
    around float32 [N, 3] what stands around it (see `surroundings`)."""

    nodes: np.ndarray
    edges: np.ndarray
    graph: np.ndarray
    around: np.ndarray


CORPUS = 4096  # unlabelled graphs that pretraining sees


Known = tuple[np.ndarray, np.ndarray, np.ndarray]


def surroundings(edges: np.ndarray, nodes: int) -> np.ndarray:
    """float32 [n, 3]: log(1 + x) of every node's degree, closed walks of three steps and of four, which tell how its neighbours hang together."""
    one = np.zeros((nodes, nodes))
    one[edges[0], edges[1]] = 1.0
    two = one @ one
    counts = np.stack([one.sum(axis=1), (two * one).sum(axis=1), (two * two).sum(axis=1)], axis=1)
    logs: np.ndarray = np.log1p(counts).astype(np.float32)
    return logs


@functools.cache
def corpus(seed: int, graphs: int = CORPUS) -> tuple[Known, ...]:
    """(features, edges, surroundings) of graphs with none to two random motifs, drawn by the seed alone, apart from every task's rows."""
    rng = np.random.default_rng([seed, 5])
    found = []
    for _ in range(graphs):
        names = [str(name) for name in rng.choice(list(MOTIFS), size=int(rng.integers(3)))]
        graph = grown(rng, names)
        features = features_of(rng, spread_types(rng, graph, names))
        found.append((features, graph.edges, surroundings(graph.edges, graph.nodes)))
    return tuple(found)


def joined(graphs: Sequence[Known]) -> GraphBatch:
    nodes, edges, around = zip(*graphs)
    sizes = np.array([len(part) for part in nodes])
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    shifted = np.concatenate([part + offset for part, offset in zip(edges, offsets)], axis=1)
    return GraphBatch(np.concatenate(nodes), shifted, np.repeat(np.arange(len(graphs)), sizes), np.concatenate(around))


def batch_at(seed: int, step: int, graphs: int) -> GraphBatch:
    """The batch of a step: so many graphs of the seed's corpus, drawn by (seed, step) alone."""
    known = corpus(seed)
    rng = np.random.default_rng([seed, step, 7])
    return joined([known[i] for i in rng.choice(len(known), size=graphs, replace=False)])


def without(batch: GraphBatch, rng: np.random.Generator, *, edges: float) -> GraphBatch:
    """The batch with this share of its undirected edges left out."""
    forward = batch.edges[0] < batch.edges[1]
    kept = batch.edges[:, forward]
    kept = kept[:, rng.random(kept.shape[1]) >= edges]
    return replace(batch, edges=np.concatenate([kept, kept[::-1]], axis=1))
