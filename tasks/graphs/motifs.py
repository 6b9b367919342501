"""Small graphs that are planted, and the random graphs they are planted into. Pure functions of a generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Edge = tuple[int, int]

MOTIFS: dict[str, tuple[int, tuple[Edge, ...]]] = {  # nodes, edges
    "ring": (5, ((0, 1), (1, 2), (2, 3), (3, 4), (4, 0))),
    "square": (4, ((0, 1), (1, 2), (2, 3), (3, 0))),
    "clique": (4, ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))),
    "house": (5, ((0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (1, 4))),
    "ladder": (6, ((0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5))),
    "star": (6, ((0, 1), (0, 2), (0, 3), (0, 4), (0, 5))),
}
BASES = ("tree", "scale-free", "dense")


@dataclass(frozen=True)
class Planted:
    """A connected graph of n nodes in random order.

    edges : int64 [2, 2m], every edge in both directions, sorted.  motif : int64 [n], which of the planted motifs (0, 1, ...) a node
    belongs to; -1 outside.  parents : int64 [n], a neighbour that was there before (-1 for the first), along which types spread.
    """

    edges: np.ndarray
    motif: np.ndarray
    parents: np.ndarray

    @property
    def nodes(self) -> int:
        return len(self.motif)


def base_edges(rng: np.random.Generator, nodes: int, kind: str) -> list[Edge]:
    """Edges (older, newer) of a random graph: a tree by uniform attachment, or Barabási-Albert with one ("scale-free") or two ("dense") edges a node."""
    edges: list[Edge] = []
    ends: list[int] = [0]  # every node once for each of its edges: drawing from it is preferential attachment
    for new in range(1, nodes):
        wanted = min(new, 2 if kind == "dense" else 1)
        olds: set[int] = set()
        while len(olds) < wanted:
            olds.add(int(rng.integers(new)) if kind == "tree" else ends[int(rng.integers(len(ends)))])
        for old in sorted(olds):
            edges.append((old, new))
            ends += [old, new]
    return edges


def plant(rng: np.random.Generator, names: Sequence[str], nodes: int, kind: str) -> Planted:
    """A random graph of `nodes` nodes in all, with the named motifs each hung onto its base by one edge."""
    inside = sum(MOTIFS[name][0] for name in names)
    base = nodes - inside
    if base < 1:
        raise ValueError(f"{nodes} nodes leave none beside {', '.join(names)}")
    edges = base_edges(rng, base, kind)
    motif, parents = np.full(nodes, -1), np.full(nodes, -1)
    for old, new in edges:
        parents[new] = old
    start = base
    for index, name in enumerate(names):
        size, inner = MOTIFS[name]
        anchor = int(rng.integers(base))
        edges.append((anchor, start))
        edges += [(start + a, start + b) for a, b in inner]
        motif[start : start + size] = index
        parents[start : start + size] = anchor
        start += size
    return _shuffled(rng, edges, motif, parents)


def _shuffled(rng: np.random.Generator, edges: list[Edge], motif: np.ndarray, parents: np.ndarray) -> Planted:
    """The same graph with its nodes in random order, so that a node's number tells nothing."""
    order = rng.permutation(len(motif))  # order[i]: the old number of the new node i
    place = np.argsort(order)
    pairs = place[np.asarray(edges, dtype=np.int64).reshape(-1, 2)]
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    old = parents[order]
    return Planted(np.ascontiguousarray(both.T), motif[order], np.where(old < 0, -1, place[old]))
