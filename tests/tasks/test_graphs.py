"""Graphs: motifs are planted as drawn, gold stays out of the inputs, tasks are balanced and deterministic, and real graphs where there are some."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from harness.tasks.graphs import pretraining
from harness.tasks.graphs.local import around, singular_vectors
from harness.tasks.graphs.motifs import BASES, MOTIFS, base_edges, plant
from harness.tasks.graphs.probes import MotifLift, PromptedNodes
from harness.tasks.graphs.world import FEATURES, MEANS, SHIFT, features_of, spread_types

from harness import catalog
from harness.errors import InputError
from harness.seeds import Streams
from harness.task import Shots, draw

DATA = Path(os.environ.get("HARNESS_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
GRAPHS = ("graph-motif", "graph-motif-shifted", "graph-count", "graph-pair", "graph-colour")
LOCAL = ("mutag-local", "proteins-local", "cora-local")
needs_data = pytest.mark.skipif(not (DATA / "graphs").is_dir(), reason=f"no real graphs at {DATA}: set HARNESS_TEST_DATA")


def small(name: str) -> Any:
    """The task with few rows; the same generator."""
    cls = catalog.load("task", name)
    return type(cls.__name__, (cls,), {"pool_size": 150, "test_size": 60, "entry": cls.entry})()


def connected(edges: np.ndarray, nodes: int) -> bool:
    seen, waiting = {0}, [0]
    while waiting:
        here = waiting.pop()
        for node in edges[1][edges[0] == here].tolist():
            if node not in seen:
                seen.add(node)
                waiting.append(node)
    return len(seen) == nodes


@pytest.mark.parametrize("kind", BASES)
def test_bases(kind: str) -> None:
    edges = base_edges(np.random.default_rng(0), 30, kind)
    assert len(edges) == (29 if kind != "dense" else 1 + 2 * 28) and all(old < new for old, new in edges)
    assert len(set(edges)) == len(edges)


@pytest.mark.parametrize("name", MOTIFS)
def test_a_planted_motif_is_that_motif(name: str) -> None:
    size, inner = MOTIFS[name]
    graph = plant(np.random.default_rng(3), [name, name], 18, "tree")
    assert graph.nodes == 18 and connected(graph.edges, 18)
    forward = {(int(a), int(b)) for a, b in graph.edges.T}
    assert forward == {(b, a) for a, b in forward} and len(forward) == 2 * (17 - 2 * size + 2 * len(inner) + 2)
    for index in (0, 1):
        members = np.flatnonzero(graph.motif == index)
        degrees = sorted(sum(1 for a, b in forward if a == node and b in members) for node in members)
        assert degrees == sorted(sum(node in edge for edge in inner) for node in range(size))
        assert sum(1 for a, b in forward if a in members and b not in members) == 1, "hung on by one edge"
    with pytest.raises(ValueError, match="leave none"):
        plant(np.random.default_rng(0), [name, name], 2 * size, "tree")


def test_types_spread_from_parents_and_features_are_seen_through_noise() -> None:
    rng, same, nodes = np.random.default_rng(0), 0, 0
    for _ in range(60):
        graph = plant(rng, ["clique"], 16, "tree")
        types = spread_types(rng, graph, ["clique"])
        base = (graph.motif < 0) & (graph.parents >= 0)
        same, nodes = same + int((types[base] == types[graph.parents[base]]).sum()), nodes + int(base.sum())
    assert 0.5 < same / nodes < 0.68, "half take their parent's type, a sixth of the others have it by chance"
    seen = features_of(rng, np.full(4000, 2))
    assert seen.dtype == np.float32 and seen.shape == (4000, FEATURES)
    np.testing.assert_allclose(seen.mean(axis=0), MEANS[2], atol=0.06)


@pytest.mark.parametrize("name", GRAPHS)
def test_tasks(name: str) -> None:
    task, again = small(name), small(name)
    pool, test = task.pool(), task.test()
    assert [row.content for row in again.test()] == [row.content for row in test]
    assert not {row.content for row in pool} & {row.content for row in test}
    counts = np.bincount([row.target for row in pool], minlength=len(task.labels))
    assert counts.min() > 0.6 * len(pool) / len(task.labels) and task.floor == pytest.approx(1 / len(task.labels))
    for row in (*pool[:40], *test[:10]):
        assert set(row.inputs) == {"nodes", "edges"}, "gold stays out of the inputs"
        nodes = len(row.inputs["nodes"])
        assert 8 <= nodes <= 20 and row.inputs["edges"].max() < nodes and connected(row.inputs["edges"], nodes)
        mask = task.oracle_nodes(row.id)
        assert mask.shape == (nodes,) and 4 <= mask.sum() < nodes
    assert task.oracle_nodes("paper-1") is None
    sizes = [np.mean([len(row.inputs["nodes"]) for row in pool if row.target == label]) for label in range(len(task.labels))]
    assert max(sizes) - min(sizes) < 1.8, "a graph's size does not tell its label"


def test_the_colour_of_the_motif_alone_tells_the_label() -> None:
    task = small("graph-colour")
    warm = {True: [], False: []}  # type: ignore[var-annotated]
    for row in task.pool():
        nearest = ((row.inputs["nodes"][:, None] - MEANS) ** 2).sum(axis=2).argmin(axis=1) < 3
        mask = task.oracle_nodes(row.id)
        for inside in warm:
            warm[inside].append(nearest[mask == inside].mean() - 0.5 > 0)
    right = {inside: np.mean([found == (row.target == 0) for found, row in zip(told, task.pool())]) for inside, told in warm.items()}
    assert right[True] > 0.9 and abs(right[False] - 0.5) < 0.12


def test_the_shifted_world_is_shifted_and_denser() -> None:
    plain, moved = small("graph-motif"), small("graph-motif-shifted")
    means = [np.concatenate([row.inputs["nodes"] for row in task.pool()]).mean(axis=0) for task in (plain, moved)]
    np.testing.assert_allclose(means[1] - means[0], SHIFT, atol=0.15)
    edges = [np.mean([row.inputs["edges"].shape[1] / len(row.inputs["nodes"]) for row in task.pool()]) for task in (plain, moved)]
    assert edges[1] > edges[0] + 0.2


def test_pretraining_sees_no_row_of_a_task_and_knows_surroundings() -> None:
    known = pretraining.corpus(0, 200)
    shown = {nodes.tobytes() for nodes, _, _ in known}
    for name in GRAPHS:
        assert not shown & {row.inputs["nodes"].tobytes() for row in (*small(name).pool(), *small(name).test())}
    triangle = np.array([[0, 0, 1, 1, 2, 2, 2, 3], [1, 2, 0, 2, 0, 1, 3, 2]])  # with a tail
    np.testing.assert_allclose(np.expm1(pretraining.surroundings(triangle, 4))[:, :2], [[2, 2], [2, 2], [3, 2], [1, 0]], rtol=1e-5)
    batch = pretraining.joined(known[:3])
    assert len(batch.graph) == len(batch.around) == len(batch.nodes) and batch.graph.max() == 2
    fewer = pretraining.without(batch, np.random.default_rng(0), edges=0.5)
    kept, whole = ({(int(a), int(b)) for a, b in part.edges.T} for part in (fewer, batch))
    assert kept < whole and kept == {(b, a) for a, b in kept}


def test_probes_of_prompted_nodes() -> None:
    import torch

    task = small("graph-colour")
    data = draw(task, Streams({"data": 0}).rng("data"), train=Shots(2), dev=Shots(0), test_rows=5)

    class Wise:
        def chosen(self, examples: Any) -> list[np.ndarray]:
            return [3 * task.oracle_nodes(example.id).astype(int) for example in examples]

        def added(self, examples: Any) -> list[torch.Tensor]:
            return [torch.from_numpy(counts)[:, None] * torch.tensor([3.0, 4.0]) for counts in self.chosen(examples)]

    share = np.mean([task.oracle_nodes(row.id).mean() for row in data.test])
    ask: Any = (None, data, None)
    assert MotifLift().measure(Wise(), *ask).value == pytest.approx(1 - share)  # type: ignore[arg-type]
    found = PromptedNodes().measure(Wise(), *ask)  # type: ignore[arg-type]
    assert found.value == pytest.approx(share) and found.parts == {"norm": pytest.approx(15.0)}
    for probe in (MotifLift(), PromptedNodes()):
        assert probe.measure(SimpleNamespace(), *ask).reason == "it chooses no nodes"  # type: ignore[arg-type]


def test_neighbourhoods_and_singular_vectors() -> None:
    chain = [[1], [0, 2], [1, 3], [2]]
    assert around(chain, 0, 9) == [0, 1, 2] and around(chain, 1, 2) == [1, 0]
    from scipy.sparse import csr_matrix

    matrix = np.random.default_rng(0).random((30, 12)) < 0.4
    found = singular_vectors(csr_matrix(matrix.astype(float)), 3)
    left, size, _ = np.linalg.svd(matrix.astype(float))
    wanted = left[:, :3] * size[:3]
    wanted *= 4 * np.sqrt(30 / (wanted**2).sum())
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), atol=2e-3)
    assert (found[:, 0] >= 0).all(), "signs are fixed"


@pytest.mark.parametrize("name", LOCAL)
def test_missing_data_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HARNESS_TEST_DATA", str(tmp_path))
    with pytest.raises(InputError, match="HARNESS_TEST_DATA"):
        catalog.load("task", name)().test()


@needs_data
@pytest.mark.parametrize(
    ("name", "rows", "features", "labels"), [("mutag-local", 188, 7, 2), ("proteins-local", 1113, 3, 2), ("cora-local", 2708, 16, 7)]
)
def test_real_graphs(name: str, rows: int, features: int, labels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_TEST_DATA", str(DATA))
    task = catalog.load("task", name)()
    pool, test = task.pool(), task.test()
    assert len(pool) + len(test) == rows and len(test) > rows / 5
    assert {row.target for row in pool} == {row.target for row in test} == set(range(labels))
    for row in pool[:50]:
        assert row.inputs["nodes"].shape[1] == features and row.inputs["edges"].max() < len(row.inputs["nodes"])
    if name == "cora-local":
        assert max(len(row.inputs["nodes"]) for row in pool) == 20
