"""Real graphs from a local folder: MUTAG, PROTEINS (TU Dortmund's collection) and Cora, where HARNESS_TEST_DATA names it. None is shipped."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harness.data_sources import local_path
from harness.errors import InputError
from harness.registry import task
from harness.settings import setting
from harness.task import Row, Task

ROOT = "${HARNESS_TEST_DATA:-../../../shared/data}/graphs"
HERE = Path(__file__).parent
TEST_FOLDS = (0, 1, 2)  # of ten


class LocalGraphs(Task):
    """Base of graph classification: `folder`/all.jsonl holds num_nodes, node_label, edges, label and fold; three of ten folds are test."""

    folder: ClassVar[str]
    kinds: ClassVar[int]  # of nodes, one feature each

    @property
    def source_files(self) -> list[Path]:
        return [local_path(f"{self.folder}/all.jsonl", ROOT, HERE)]

    @functools.cached_property
    def _rows(self) -> tuple[list[Row], list[Row]]:
        (file,) = self.source_files
        try:
            lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            rows = [(int(line["fold"]), self._row(number, line)) for number, line in enumerate(lines)]
        except FileNotFoundError:
            raise InputError("is missing", file=file, expected="set HARNESS_TEST_DATA to the folder that holds this data") from None
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise InputError(f"is damaged: {error}", file=file) from None
        return [row for fold, row in rows if fold not in TEST_FOLDS], [row for fold, row in rows if fold in TEST_FOLDS]

    def _row(self, number: int, line: Mapping[str, Any]) -> Row:
        nodes = np.eye(self.kinds, dtype=np.float32)[np.asarray(line["node_label"], dtype=np.int64)]
        return Row(f"graph-{number}", {"nodes": nodes, "edges": both_ways(line["edges"])}, int(line["label"]))

    def pool(self) -> Sequence[Row]:
        return self._rows[0]

    def test(self) -> Sequence[Row]:
        return self._rows[1]


@task("mutag-local", tags=("graph", "molecules", "local"))
class Mutag(LocalGraphs):
    """Is a molecule mutagenic? 188 nitroaromatic compounds, 7 kinds of atom, bonds without their type (Debnath et al. 1991)."""

    labels = ("no", "yes")
    metrics = ("balanced_accuracy", "accuracy")
    floor = 0.5
    folder, kinds = "mutag", 7


@task("proteins-local", tags=("graph", "proteins", "local"))
class Proteins(LocalGraphs):
    """Is a protein an enzyme? 1,113 graphs of secondary structure elements, 3 kinds of node (Borgwardt et al. 2005)."""

    labels = ("enzyme", "other")
    metrics = ("balanced_accuracy", "accuracy")
    floor = 0.5
    folder, kinds = "proteins", 3


@task("cora-local", tags=("graph", "citations", "nodes", "local"))
class Cora(Task):
    """Which of seven topics has a paper? Each of 2,708 papers with those around it in the citation graph (two steps, the nearest ones, its
    own features standing first and said twice over by a loop). Features are the leading singular vectors of all papers' words, made
    without labels, so that a network that reads few features can read them."""

    labels = (
        "case-based",
        "genetic-algorithms",
        "neural-networks",
        "probabilistic-methods",
        "reinforcement-learning",
        "rule-learning",
        "theory",
    )
    metrics = ("accuracy", "f1_macro")
    floor = 1 / 7

    features: int = setting(16, at_least=2, at_most=256, help="singular vectors of the bags of words")
    most: int = setting(20, at_least=1, help="papers in a graph, the paper itself included")
    test_papers: ClassVar[int] = 1000

    @property
    def source_files(self) -> list[Path]:
        return [local_path("cora/cora.npz", ROOT, HERE)]

    @functools.cached_property
    def _rows(self) -> tuple[list[Row], list[Row]]:
        (file,) = self.source_files
        try:
            with np.load(file, allow_pickle=False) as arrays:
                parts = {name: arrays[name] for name in arrays.files if name not in ("node_names", "class_names")}
            words = singular_vectors(_sparse(parts, "attr"), self.features)
            linked = _sparse(parts, "adj")
            targets = parts["labels"].astype(int)
        except FileNotFoundError:
            raise InputError("is missing", file=file, expected="set HARNESS_TEST_DATA to the folder that holds this data") from None
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"is damaged: {error}", file=file) from None
        neighbours = [sorted({int(j) for j in part} - {i}) for i, part in enumerate((linked + linked.T).tolil().rows)]
        rows = []
        for paper, target in enumerate(targets):
            members = around(neighbours, paper, self.most)
            place = {member: index for index, member in enumerate(members)}
            pairs = [(place[a], place[b]) for a in members for b in neighbours[a] if a < b and b in place]
            edges = np.concatenate([np.zeros((2, 1), dtype=np.int64), both_ways(pairs)], axis=1)
            rows.append(Row(f"paper-{paper}", {"nodes": words[members], "edges": edges}, int(target)))
        order = np.random.default_rng([self.version, 3]).permutation(len(rows))
        return [rows[i] for i in order[self.test_papers :]], [rows[i] for i in order[: self.test_papers]]

    def pool(self) -> Sequence[Row]:
        return self._rows[0]

    def test(self) -> Sequence[Row]:
        return self._rows[1]


def both_ways(pairs: Sequence[Sequence[int]]) -> np.ndarray:
    """int64 [2, 2m] of m undirected edges."""
    one = np.asarray(pairs, dtype=np.int64).reshape(-1, 2).T
    return np.ascontiguousarray(np.concatenate([one, one[::-1]], axis=1))


def around(neighbours: Sequence[Sequence[int]], start: int, most: int) -> list[int]:
    """`start` and the nodes within two steps of it, nearest first, up to `most`."""
    found, layer = [start], [start]
    for _ in range(2):
        layer = sorted({node for known in layer for node in neighbours[known]} - set(found))
        found += layer
    return found[:most]


def singular_vectors(matrix: Any, number: int) -> np.ndarray:
    """float32 [n, number]: rows of U S, each of length about 4 as the world's nodes have, signs fixed, in thousandths so that platforms agree."""
    from scipy.sparse.linalg import svds

    left, size, right = svds(matrix.astype(np.float64), k=number, v0=np.ones(min(matrix.shape)))
    order = np.argsort(-size)
    left, size, right = left[:, order], size[order], right[order]
    signs = np.sign(right[np.arange(number), np.abs(right).argmax(axis=1)])
    vectors = left * size * signs
    rounded: np.ndarray = np.round(vectors * 4 * np.sqrt(len(vectors) / (vectors**2).sum()), 3).astype(np.float32)
    return rounded


def _sparse(parts: Mapping[str, np.ndarray], name: str) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix((parts[f"{name}_data"], parts[f"{name}_indices"], parts[f"{name}_indptr"]), shape=tuple(parts[f"{name}_shape"]))
