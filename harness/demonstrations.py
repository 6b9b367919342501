"""Demonstrations for in-context learning: which rows are shown, and the text they make.

A chosen set depends on the pool and the stream alone, a retrieved set on the pool and the item alone: evaluating fewer items,
or on more devices, changes no prompt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from harness.errors import InputError, unknown_name
from harness.task import Row, Task
from harness.templates import Template

STRATEGIES = ("random", "balanced", "first")


def choose(rows: Sequence[Row], number: int, rng: np.random.Generator, strategy: str = "random") -> list[Row]:
    """`number` rows in the order they will be shown, drawn once for all test items.

    random : drawn without replacement.  balanced : as equal numbers of every class (or gold position) as can be, in random order;
    random where targets are no classes.  first : the first rows of the pool, whatever the stream.

    >>> rows = [Row(str(i), {"text": str(i)}, i % 2) for i in range(10)]
    >>> sorted(row.target for row in choose(rows, 4, np.random.default_rng(0), "balanced"))
    [0, 0, 1, 1]
    """
    if strategy not in STRATEGIES:
        raise unknown_name("demonstration strategy", strategy, STRATEGIES)
    if not 0 <= number <= len(rows):
        raise InputError(
            f"{number} demonstrations are asked for but the pool has {len(rows)} rows", key="demonstrations", expected="ask for fewer"
        )
    if strategy == "first":
        return list(rows[:number])
    order = [rows[i] for i in rng.permutation(len(rows))]
    if strategy == "random" or not all(isinstance(row.target, (int, np.integer)) for row in rows):
        return order[:number]
    chosen = _in_turns(order, number, rng)
    return [chosen[i] for i in rng.permutation(number)]


def _in_turns(order: Sequence[Row], number: int, rng: np.random.Generator) -> list[Row]:
    """One row of each class in turn, until there are enough; which classes get one more is drawn too."""
    classes: dict[int, list[Row]] = defaultdict(list)
    for row in reversed(order):
        classes[int(row.target)].append(row)
    names = sorted(classes)
    turns = [names[i] for i in rng.permutation(len(names))]
    chosen: list[Row] = []
    while len(chosen) < number:
        for name in turns:
            if classes[name] and len(chosen) < number:
                chosen.append(classes[name].pop())
    return chosen


def nearest(rows: Sequence[Row], query_vectors: np.ndarray, pool_vectors: np.ndarray, k: int) -> list[list[Row]]:
    """For every query the k rows of highest cosine similarity, the nearest one last (next to the question).

    query_vectors : float [Q, d].  pool_vectors : float [N, d], one for each of `rows`. Equal similarities are broken by the pool's order.
    """
    if len(rows) != len(pool_vectors):
        raise InputError(f"{len(pool_vectors)} vectors for {len(rows)} rows", key="demonstrations")
    if k > len(rows):
        raise InputError(
            f"{k} demonstrations are asked for but the pool has {len(rows)} rows", key="demonstrations", expected="ask for fewer"
        )
    pool = _unit(pool_vectors)
    chosen = []
    for query in _unit(query_vectors):  # one at a time: a matrix product's last digits depend on how many queries there are
        order = np.argsort(-(pool * query).sum(axis=1), kind="stable")[:k]
        chosen.append([rows[i] for i in order[::-1]])
    return chosen


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, dtype=np.float64)
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)
    return unit


def demonstration_text(task: Task, template: Template, rows: Sequence[Row], separator: str | None = None) -> str:
    """What stands before the question: the task's prefix, then every row with its answer filled in and a separator behind it.

    separator : None takes the template's own, or the task's, which is an empty line unless it says otherwise.
    """
    from harness.text import target_text

    labels = task.labels if task.kind == "classification" else ()
    own = template.separator if template.separator is not None else getattr(task, "separator", "\n\n")
    between = separator if separator is not None else own
    shown = []
    for row in rows:
        rendered = template.render(row.inputs, labels)
        shown.append(rendered.filled(target_text(template, row, rendered)) + between)
    return str(getattr(task, "prefix", "")) + "".join(shown)
