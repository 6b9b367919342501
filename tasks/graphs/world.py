"""The world of graphs: nodes have one of six types, spread along edges, and are seen only through noisy features.

Inputs of an example are {"nodes": float32 [n, 16], "edges": int64 [2, e]}; which nodes belong to a motif is never among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .motifs import MOTIFS, Planted, plant

FEATURES = 16
TYPES = 6
NOISE = 0.8  # standard deviation of every feature; the types' mean vectors lie about 2.8 apart
FEWEST, MOST = 8, 20  # nodes
SAME_TYPE = 0.5  # chance that a node takes the type of the node it hangs on
OWN_TYPE = 0.4  # chance that a motif's node has the motif's own type: a weak hint beside its structure
MEANS = 0.5 * np.random.default_rng(77).choice([-1.0, 1.0], size=(TYPES, FEATURES))
"""float64 [types, features]: the mean features of each type."""
SHIFT = 1.5 * np.random.default_rng(78).choice([-1.0, 1.0], size=FEATURES) / np.sqrt(FEATURES / 2)
"""float64 [features]: what the shifted world adds to every node."""


def spread_types(rng: np.random.Generator, graph: Planted, names: Sequence[str]) -> np.ndarray:
    """int64 [n] node types: often that of the node one hangs on; in a motif often the motif's own."""
    types = rng.integers(TYPES, size=graph.nodes)
    same, own = rng.random(graph.nodes) < SAME_TYPE, rng.random(graph.nodes) < OWN_TYPE
    done = np.zeros(graph.nodes, dtype=bool)
    for start in range(graph.nodes):
        chain = []
        node = start
        while node >= 0 and not done[node]:
            chain.append(node)
            node = int(graph.parents[node])
        for node in reversed(chain):  # parents first
            parent = graph.parents[node]
            if parent >= 0 and same[node]:
                types[node] = types[parent]
            if graph.motif[node] >= 0 and own[node]:
                types[node] = list(MOTIFS).index(names[graph.motif[node]])
            done[node] = True
    return types


def features_of(rng: np.random.Generator, types: np.ndarray, *, noise: float = NOISE, shift: np.ndarray | float = 0.0) -> np.ndarray:
    """float32 [n, 16]: the type's mean with normal noise, in hundredths, so that the last bits of a platform do not show."""
    seen = MEANS[types] + shift + noise * rng.standard_normal((len(types), FEATURES))
    rounded: np.ndarray = np.round(seen, 2).astype(np.float32)
    return rounded


def inputs_of(graph: Planted, features: np.ndarray) -> Mapping[str, Any]:
    return {"nodes": features, "edges": graph.edges}


def grown(rng: np.random.Generator, names: Sequence[str], kinds: Sequence[str] = ("tree", "scale-free")) -> Planted:
    """A graph of 8 to 20 nodes in all with the named motifs, on a base of one of these kinds; its size does not depend on which motifs."""
    inside = sum(MOTIFS[name][0] for name in names)
    fewest = FEWEST + 4 * len(names)
    return plant(rng, names, int(rng.integers(max(fewest, inside + 1), MOST + 1)), kinds[int(rng.integers(len(kinds)))])
