"""Two arms on one column: the crossed test where examples are known, else over seeds, else what a published summary allows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from ..statistics.adjust import adjust
from ..statistics.paired import crossed_difference, paired_difference
from ..statistics.result import TIE_TOLERANCE, Floats, TestResult
from ..statistics.summaries import Summary, welch_from_summaries
from ..statistics.t_tests import paired_t, welch_t
from .grid import Grid, Table, paired_seeds
from .model import Column, ColumnPair

# values held at once while one arm meets all others on a column
CHUNK_VALUES = 8_000_000


def column_pairs(grid: Grid, level: float) -> tuple[ColumnPair, ...]:
    """Every pair on every column, positive where `a` is better; adjusted by Holm over the pairs of the column."""
    found: list[ColumnPair] = []
    for column in grid.columns:
        arms = [arm for arm in grid.arms if _has_numbers(grid.tables.get((arm, column.key)))]
        tests = _column_tests(grid, column, arms, level)
        order = list(itertools.combinations(arms, 2))
        raw = np.array([math.nan if tests[pair].pvalue is None else tests[pair].pvalue for pair in order], dtype=np.float64)
        holm = adjust(raw, "holm").adjusted if len(raw) else raw
        family = int(np.isfinite(raw).sum())
        for pair, value in zip(order, holm):
            p = None if math.isnan(value) else float(value)
            found.append(ColumnPair(column=column.key, a=pair[0], b=pair[1], test=tests[pair], adjusted=p, n_family=family))
    return tuple(found)


def _has_numbers(table: Table | None) -> bool:
    return table is not None and bool(np.isfinite(table.runs).any())


def _column_tests(grid: Grid, column: Column, arms: Sequence[str], level: float) -> dict[tuple[str, str], TestResult]:
    """All pairs of one column. Arms with the same complete seeds and rows go through one array operation per arm."""
    tests: dict[tuple[str, str], TestResult] = {}
    alike: dict[Any, list[str]] = {}
    for arm in arms:
        table = grid.tables[arm, column.key]
        if (
            table.values is not None
            and len(table.seeds) > 1
            and all(d not in ("", "*") for d in table.digests)
            and np.isfinite(table.values).all()
        ):
            alike.setdefault((table.seeds, table.digests), []).append(arm)
    clusters = grid.clusters[column.key]
    sign = 1.0 if column.higher_is_better else -1.0
    for group in alike.values():
        if len(group) > 2:
            tables = [grid.tables[arm, column.key].values for arm in group]
            stack = sign * np.stack([values for values in tables if values is not None])
            tests.update(_crossed_group(group, stack, clusters, level))
    for a, b in itertools.combinations(arms, 2):
        if (a, b) not in tests:
            tests[a, b] = column_test(grid.tables[a, column.key], grid.tables[b, column.key], column, clusters, level)
    return tests


def _crossed_group(
    arms: Sequence[str], stack: Floats, clusters: tuple[str, ...] | None, level: float
) -> Iterable[tuple[tuple[str, str], TestResult]]:
    """The same numbers as `paired_difference` for every pair of complete tables [arms, seeds, examples]; pairs without spread are left out."""
    n_seeds, n_examples = stack.shape[1:]
    if n_examples < 2 or (clusters is not None and len(set(clusters)) < 2):
        return
    labels = None if clusters is None else np.asarray(clusters)
    step = max(1, CHUNK_VALUES // (n_seeds * n_examples))
    details = {"seeds_a": n_seeds, "seeds_b": n_seeds, "examples": n_examples, "dropped_seeds": 0, "dropped_examples": 0}
    for i, first in enumerate(arms[:-1]):
        for start in range(i + 1, len(arms), step):
            others = stack[start : start + step]
            estimate, variance, df = crossed_difference(stack[i], others, cluster=labels)
            se = np.sqrt(variance)
            spread = (stack[i] - others).std(axis=(1, 2), ddof=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                statistic, effect = estimate / se, estimate / spread
            reach = stats.t.ppf((1 + level) / 2, df) * se
            pvalue = 2 * stats.t.sf(np.abs(statistic), df)
            tiny = se <= TIE_TOLERANCE * max(float(np.abs(stack[i]).max()), float(np.abs(others).max()))
            for j, second in enumerate(arms[start : start + step]):
                if tiny[j]:
                    continue
                yield (
                    (first, second),
                    TestResult(
                        method="crossed paired t", generalise_over="seeds+examples", n=n_seeds, level=level, estimate=float(estimate[j]),
                        se=float(se[j]), df=float(df[j]), statistic=float(statistic[j]), pvalue=float(pvalue[j]), effect=float(effect[j]),
                        ci_low=float(estimate[j] - reach[j]), ci_high=float(estimate[j] + reach[j]), details=details,
                    ),
                )  # fmt: skip


def column_test(a: Table, b: Table, column: Column, clusters: tuple[str, ...] | None, level: float) -> TestResult:
    """Paired on the seeds whose rows and demonstrations agree; unpaired where fewer than two do."""
    sign = 1.0 if column.higher_is_better else -1.0
    if a.summary is not None or b.summary is not None:
        found = welch_from_summaries(_summary(a, sign), _summary(b, sign), level=level)
        return found
    common = paired_seeds(a, b)
    paired = len(common) > 1 or (len(common) == 1 and max(len(a.seeds), len(b.seeds)) == 1)
    left, right = ([i for i, _ in common], [j for _, j in common]) if paired else (list(range(len(a.seeds))), list(range(len(b.seeds))))
    lost = len(a.seeds) - len(left) + len(b.seeds) - len(right)
    if a.values is not None and b.values is not None and a.values.shape[1] == b.values.shape[1]:
        found = paired_difference(sign * a.values[left], sign * b.values[right], seeds_paired=paired, cluster=clusters, level=level)
    else:
        test = paired_t if paired else welch_t
        found = test(sign * a.runs[left], sign * b.runs[right], level=level)
    if lost:
        found = replace(found, note="; ".join(filter(None, (found.note, f"{lost} seed(s) without a partner left out"))))
    return found


def _summary(table: Table, sign: float) -> Summary:
    if table.summary is not None:
        mean, sd, n, covers = table.summary
        return sign * mean, sd, n, covers
    runs = table.runs[np.isfinite(table.runs)]
    return sign * float(runs.mean()), float(runs.std(ddof=1)) if len(runs) > 1 else None, len(runs), "seeds"
