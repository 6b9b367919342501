"""Simulated tables with gaps: how often Durbin's test and Skillings and Mack's reject although no method differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .calibration_metrics import Found
from .missing import durbin, skillings_mack
from .result import Floats, TestResult

# every two of seven methods meet in one of seven tasks
PLANE = ((0, 1, 3), (1, 2, 4), (2, 3, 5), (3, 4, 6), (4, 5, 0), (5, 6, 1), (6, 0, 2))
N_RESAMPLES = 199


@dataclass(frozen=True)
class Gaps:
    """A table of tasks x methods, which of its cells are there, and by how much a method that differs does (in sd of a cell)."""

    name: str
    tasks: int
    methods: int
    missing: float | None  # share of cells, at random; None: balanced, in `repeats` of the plane
    repeats: int = 1
    digits: int | None = None
    skewed: bool = False
    shift: float = 1.5


REGIMES = (
    Gaps("balanced, 7 tasks x 7 methods, 3 methods a task", 7, 7, None),
    Gaps("the same twice, 14 tasks", 14, 7, None, repeats=2),
    Gaps("the same, ties (whole sds)", 14, 7, None, repeats=2, digits=0),
    Gaps("8 tasks x 5 methods, a fifth missing", 8, 5, 0.2),
    Gaps("20 tasks x 8 methods, two fifths missing", 20, 8, 0.4),
    Gaps("5 tasks x 4 methods, a fifth missing", 5, 4, 0.2),
    Gaps("8 tasks x 5 methods, a fifth missing, ties (whole sds)", 8, 5, 0.2, digits=0),
    Gaps("8 tasks x 5 methods, a fifth missing, skewed", 8, 5, 0.2, skewed=True),
)


def incomplete_rejections(simulations: int, rng: np.random.Generator, *, fast: bool) -> Iterator[Found]:
    """Rejections at .05 without and with a method that differs from the rest on every task; Durbin's T2 beside the permutations where it applies."""
    for regime in REGIMES[::4] if fast else REGIMES:
        runs = max(simulations // 4, 1)
        for name, test in PROCEDURES.items() if regime.missing is None else list(PROCEDURES.items())[:1]:
            wrong = sum(test(_drawn(regime, rng, 0.0), rng) for _ in range(simulations))
            found = sum(test(_drawn(regime, rng, regime.shift), rng) for _ in range(runs))
            yield regime.name, name, "tasks", wrong, simulations, found / runs, False


def _permuted(table: Floats, rng: np.random.Generator) -> bool:
    return _rejects(skillings_mack(table, reference="permutation", rng=rng, n_resamples=N_RESAMPLES))


def _durbin(table: Floats, rng: np.random.Generator) -> bool:
    return _rejects(durbin(table))


def _rejects(found: TestResult) -> bool:
    return found.pvalue is not None and found.pvalue <= 0.05


PROCEDURES = {"Skillings-Mack, permutations": _permuted, "Durbin, T2": _durbin}


def _drawn(regime: Gaps, rng: np.random.Generator, shift: float) -> Floats:
    size = (regime.tasks, regime.methods)
    noise = rng.exponential(size=size) if regime.skewed else rng.normal(size=size)
    table = noise + rng.normal(size=(regime.tasks, 1)) * 2
    table[:, 0] += shift
    if regime.digits is not None:
        table = np.round(table, regime.digits)
    if regime.missing is not None:
        gone = rng.random(size) < regime.missing
    else:
        gone = np.ones(size, dtype=bool)
        for task, methods in enumerate(PLANE * regime.repeats):
            gone[task, list(methods)] = False
    table[gone] = np.nan
    return table
