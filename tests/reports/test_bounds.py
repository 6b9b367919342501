"""Intervals of means stay within what the metric can be, in every output; tests and standard errors stay as they were."""

import csv
import io
import math

import numpy as np
import pytest
from harness.reports.analysis import Options, analyse
from harness.reports.analysis.bounds import ANY, bounded, metric_bounds
from harness.reports.exports import leaderboard_csv, leaderboard_markdown
from harness.reports.statistics.result import TestResult
from harness.reports.synthetic import Plan, synthetic_results

from harness import metrics
from harness.results import Results

SCORES = {"method-00": (1.0, 0.93, 1.0), "method-01": (0.05, 0.0, 0.02)}


def near_the_bounds(factor: float = 1.0) -> Results:
    """Two arms on two tasks, three seeds, without examples: one arm near 1, the other near 0, times `factor`."""
    results = synthetic_results(Plan(methods=2, tasks=2, seeds=3, examples=20, failure_rate=0.0))
    trials = results.trials.copy()
    trials["score"] = [factor * SCORES[arm][int(seed)] for arm, seed in zip(trials["arm"], trials["seed"])]
    trials["ceiling"], trials["floor"] = factor, 0.0
    return Results(trials=trials, provenance=results.provenance)


def test_every_output_stays_within_the_bounds() -> None:
    analysis = analyse(near_the_bounds(), Options())
    [family] = analysis.families
    rows = list(csv.DictReader(io.StringIO(leaderboard_csv(analysis))))
    ends = [float(row[end]) for row in rows for end in ("ci_low", "ci_high")]
    assert min(ends) == 0 and max(ends) == 1
    assert "to 1.0" in leaderboard_markdown(analysis)
    for cell in family.cells:
        runs = np.array(SCORES[cell.arm])
        assert cell.interval.se == pytest.approx(runs.std(ddof=1) / math.sqrt(3))  # as it was
        assert cell.interval.note and "uncut" in cell.interval.note
    leader = next(row for row in family.standings if row.arm == "method-00")
    assert leader.score.ci_high == 1 and leader.score.note and "cut at 1" in leader.score.note


def test_other_units_are_left_alone() -> None:
    [family] = analyse(near_the_bounds(100.0), Options()).families
    assert max(cell.interval.ci_high or 0 for cell in family.cells) > 100
    assert not any(cell.interval.note for cell in family.cells)


def test_what_is_cut() -> None:
    wide = TestResult(method="t", n=3, estimate=0.5, ci_low=-0.2, ci_high=1.2, note="first")
    assert bounded(wide, (0.0, 1.0)).interval == (0.0, 1.0)
    assert (bounded(wide, (0.0, 1.0)).note or "").startswith("first; interval cut at 0 and 1")
    assert bounded(wide, ANY) is wide
    outside = TestResult(method="t", n=3, estimate=1.5, ci_low=1.2, ci_high=1.8)
    assert bounded(outside, (0.0, 1.0)) is outside
    undefined = TestResult(method="t", n=1, estimate=1.0)
    assert bounded(undefined, (0.0, 1.0)) is undefined
    assert metric_bounds("of nobody") == ANY and metric_bounds("mcc") == (-1.0, 1.0)


@pytest.mark.parametrize("name", metrics.names())
def test_our_metrics_declare_bounds(name: str) -> None:
    low, high = metrics.get(name).bounds
    assert math.isfinite(low) and low < high
