"""The difference of one cell, current - baseline with losses negative, and how many more seeds would settle it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from ..statistics.components import variance_components
from ..statistics.next_sample import next_best_sample
from ..statistics.paired import paired_difference
from ..statistics.power import seeds_needed
from ..statistics.resample import sign_flip_test
from ..statistics.result import Floats, TestResult
from ..statistics.t_tests import paired_t, t_test, welch_t
from .cells import Cell, CellSide, Row, as_text
from .tables import ExampleTable, Tables

POWER = 0.8
SD_CONFIDENCE = 0.8
LEAST_SHARED_EXAMPLES = 0.5  # under it the two sides were scored on different test sets


@dataclass(frozen=True)
class Pairing:
    """Seeds in order: of both sides alike where they are paired, else each side's own."""

    baseline: tuple[Any, ...]
    current: tuple[Any, ...]
    paired: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """A cell's difference: `test` has p against "no loss" (alternative less) and the two-sided interval at 1 - 2 alpha.

    means : of the scores that were compared, as stored.  testable : seeds vary on both sides, so that p enters the family.
    identical : no example and no score differs
    """

    test: TestResult
    means: tuple[float, float]
    paired: bool
    testable: bool
    identical: bool
    tables: tuple[Floats, Floats] | None
    notes: tuple[str, ...]


def pair_seeds(baseline: CellSide, current: CellSide) -> Pairing:
    """Seeds are paired where both sides drew the same rows and demonstrations; two such seeds are enough to use those alone."""
    old, new = ({row["seed"]: as_text(row["data_digest"]) for row in side.ok} for side in (baseline, current))
    shared = [seed for seed in old if seed in new]
    alike = [seed for seed in shared if old[seed] == new[seed]]
    notes = []
    if len(alike) < len(shared):
        notes.append(f"{len(shared) - len(alike)} of {len(shared)} seeds drew other rows or demonstrations than before")
    if len(alike) >= 2 or (alike and len(alike) == len(old) == len(new)):
        for name, side in (("baseline", old), ("current", new)):
            if len(side) > len(alike):
                notes.append(f"{len(side) - len(alike)} of {len(side)} {name} seeds have no partner and are left out")
        return Pairing(tuple(alike), tuple(alike), True, tuple(notes))
    if old and new:
        notes.append("seeds are not paired")
    return Pairing(tuple(old), tuple(new), False, tuple(notes))


def measure(cell: Cell, old: Tables, new: Tables, *, alpha: float) -> Measured | str:
    """The difference of a cell with scores on both sides; a text says why it cannot be compared."""
    assert cell.baseline is not None and cell.current is not None
    pairing = pair_seeds(cell.baseline, cell.current)
    sides = cell.baseline.with_seeds(pairing.baseline), cell.current.with_seeds(pairing.current)
    sign = -1.0 if as_text(cell.baseline.first("higher_is_better")) in ("False", "0") else 1.0
    about: dict[str, Any] = {"alternative": "less", "level": 1 - 2 * alpha}
    tables = old.of(sides[0]), new.of(sides[1])
    if tables[0] is None or tables[1] is None:
        return _over_scores(*sides, pairing, sign, about)
    shared = _shared_examples(tables[0], tables[1])
    if isinstance(shared, str):
        return shared
    a, b, note = shared
    before, after = sign * a.values, sign * b.values
    identical = pairing.paired and before.shape == after.shape and bool(np.array_equal(before, after, equal_nan=True))
    test = paired_difference(
        after, before, seeds_paired=pairing.paired, cluster=None if a.clusters is None else np.asarray(a.clusters), **about
    )
    test = _with_sign_flip(test, sign * _means(b), sign * _means(a), pairing.paired)
    testable = min(len(before), len(after)) > 1 and test.pvalue is not None
    notes = (*pairing.notes, *note, *([test.note] if test.note else []))
    means = float(_means(a).mean()), float(_means(b).mean())
    return Measured(test, means, pairing.paired, testable, identical, (before, after), notes)


def _means(table: ExampleTable) -> Floats:
    return np.asarray(np.nanmean(table.values, axis=1))


def _shared_examples(a: ExampleTable, b: ExampleTable) -> tuple[ExampleTable, ExampleTable, tuple[str, ...]] | str:
    """Both tables on the examples that both sides scored, in one order."""
    if a.examples == b.examples:
        return a, b, ()
    known = set(b.examples)
    shared = [name for name in a.examples if name in known]
    most = max(len(a.examples), len(b.examples))
    if len(shared) < LEAST_SHARED_EXAMPLES * most:
        return f"test examples changed: {len(a.examples)} before, {len(b.examples)} now, {len(shared)} in both"
    note = () if len(shared) == most else (f"compared on the {len(shared)} of {most} test examples that both sides scored",)
    return a.select(shared), b.select(shared), note


def _over_scores(old: CellSide, new: CellSide, pairing: Pairing, sign: float, about: dict[str, Any]) -> Measured:
    """Without per-example values: over seeds for this test set, or from imported summaries."""
    before, after = sign * old.scores, sign * new.scores
    identical = pairing.paired and bool(np.array_equal(before, after))
    means = float(sign * before.mean()), float(sign * after.mean())
    if len(before) == len(after) == 1 and (summary := _over_summaries(old.ok[0], new.ok[0], sign, about)) is not None:
        return Measured(summary, means, False, True, False, None, (*pairing.notes, "from published means and spreads"))
    if pairing.paired:
        test = paired_t(after, before, **about)
    else:
        test = welch_t(after, before, **about)
    test = _with_sign_flip(test, after, before, pairing.paired)
    testable = min(len(before), len(after)) > 1 and test.pvalue is not None
    return Measured(test, means, pairing.paired, testable, identical, None, (*pairing.notes, "no per-example values: this test set only"))


def _over_summaries(old: Row, new: Row, sign: float, about: dict[str, Any]) -> TestResult | None:
    """Welch's t from two means, standard deviations over seeds and numbers of seeds."""
    rows = [[as_text(row[name]) for name in ("score", "score_sd", "score_n")] for row in (old, new)]
    if not all(all(row) for row in rows) or any(as_text(row["score_spread_covers"]) not in ("", "seeds") for row in (old, new)):
        return None
    (mean_a, sd_a, n_a), (mean_b, sd_b, n_b) = ([float(text) for text in row] for row in rows)
    part_a, part_b = (sd_a**2 / n_a if n_a > 1 else math.nan), (sd_b**2 / n_b if n_b > 1 else math.nan)
    if not part_a + part_b > 0:
        return None
    df = (part_a + part_b) ** 2 / (part_a**2 / (n_a - 1) + part_b**2 / (n_b - 1))
    return t_test(
        sign * (mean_b - mean_a),
        math.sqrt(part_a + part_b),
        df,
        method="Welch t from summaries",
        generalise_over="seeds",
        n=int(n_a + n_b),
        **about,
    )


def _with_sign_flip(test: TestResult, after: Floats, before: Floats, paired: bool) -> TestResult:
    """A difference that is the same on every seed has no t, but its signs over seeds have a p (none under 2^-seeds)."""
    if test.degenerate != "zero variance of differences" or not paired:
        return test
    flip = sign_flip_test(after, before, alternative="less", rng=np.random.default_rng(0))
    return replace(test, pvalue=flip.pvalue, method=f"{test.method}; {flip.method}", note=flip.note)


@dataclass(frozen=True)
class MoreSeeds:
    """Seeds (with these examples), or where none would do examples (with these seeds), at which a loss of the margin is found with 80 % power."""

    seeds: int | None
    examples: int | None
    reason: str | None = None

    def __str__(self) -> str:
        if self.seeds is not None:
            return f"{self.seeds} seeds"
        return f"{self.examples} test examples" if self.examples is not None else (self.reason or "unknown")


def more_seeds(measured: Measured, margin: float, *, alpha: float) -> MoreSeeds:
    """At the upper 80 % limit of the seed variance, and at the margin, never at the observed difference (that would restate p).

    For paired tables from the crossed components of the differences; otherwise from the spread of the seeds' scores.
    """
    if measured.tables is None or not measured.paired or len(measured.tables[0]) < 2:
        return _from_scores(measured, margin, alpha)
    before, after = measured.tables
    found = variance_components(after - before)
    if found.se is None or found.axes != ("seed", "example"):
        return MoreSeeds(None, None, "variance unknown")
    spare = found.sizes[0] - 1
    factor = spare / float(special.chdtri(spare, SD_CONFIDENCE))
    inflated = {name: value if name == "example" else value * factor for name, value in found.variances.items()}
    planned = replace(found, variances=inflated)
    for axis in ("seed", "example"):
        [option] = next_best_sample(planned, {axis: 1.0}, difference=margin, level=1 - 2 * alpha, power=POWER)
        if option.n_needed is not None:
            return MoreSeeds(option.n_needed, None) if axis == "seed" else MoreSeeds(None, option.n_needed)
    return MoreSeeds(None, None, "more seeds and more test examples together")


def _from_scores(measured: Measured, margin: float, alpha: float) -> MoreSeeds:
    test = measured.test
    if not measured.testable or test.se is None:
        return MoreSeeds(None, None, "seed variance unknown: run at least 2 seeds, better 5")
    n = max(2, round((test.df or 1) + 1))
    found = seeds_needed(test.se * math.sqrt(n), n, margin, alpha=2 * alpha, power=POWER, sd_confidence=SD_CONFIDENCE)
    return MoreSeeds(found.planned, None, found.degenerate)


def detectable_loss(test: TestResult, *, alpha: float) -> float | None:
    """(t_{1-alpha} + t_{power}) SE: the loss that this comparison finds with 80 % power before any correction for the family."""
    if not test.se or test.df is None:
        return None
    return float((special.stdtrit(test.df, 1 - alpha) + special.stdtrit(test.df, POWER)) * test.se)
