"""The analysis: what must not matter does not, what the tests say is what the board says, and bad input gives one line."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from harness.reports.analysis import Options, analyse
from harness.reports.analysis.cells import describe_cells
from harness.reports.analysis.codec import decoder, encode
from harness.reports.analysis.grid import build_grids
from harness.reports.analysis.model import Analysis
from harness.reports.analysis.pairs import column_pairs, column_test
from harness.reports.analysis.scale import choose_scale, weighted
from harness.reports.statistics.paired import paired_difference
from harness.reports.statistics.result import TestResult
from harness.reports.statistics.summaries import summary_interval, welch_from_summaries
from harness.reports.synthetic import Plan, synthetic_results

from harness.errors import InputError
from harness.results import Results

FAST = Options(n_resamples=1000)


@pytest.fixture(scope="module")
def results() -> Results:
    return synthetic_results(Plan(methods=5, tasks=7, failure_rate=0.03))


@pytest.fixture(scope="module")
def analysis(results: Results) -> Analysis:
    return analyse(results, FAST)


def shuffled(results: Results, seed: int = 1) -> Results:
    order = np.random.default_rng(seed).permutation(len(results.trials))
    return Results(results.trials.iloc[order].reset_index(drop=True), results.scores, results.curves, results.provenance)


def renamed(results: Results, names: dict[str, str]) -> Results:
    trials = results.trials.assign(arm=results.trials["arm"].map(names))
    return Results(trials, results.scores, results.curves, results.provenance)


def test_order_of_rows_does_not_matter(results: Results, analysis: Analysis) -> None:
    again = analyse(shuffled(results), FAST)
    assert encode(replace(again, provenance=analysis.provenance)) == encode(analysis)
    assert again.provenance.digest == analysis.provenance.digest


def test_same_call_gives_the_same_numbers(results: Results, analysis: Analysis) -> None:
    assert encode(analyse(results, FAST)) == encode(analysis)


def test_relabelling_keeps_tests_and_places(results: Results, analysis: Analysis) -> None:
    """Exact quantities follow the arm through a renaming that reverses the order of names."""
    names = {f"method-{i:02d}": f"zz-{9 - i}" for i in range(5)}
    other = analyse(renamed(results, names), FAST).families[0]
    place = {row.arm: row.place for row in other.standings}
    for row in analysis.families[0].standings:
        assert place[names[row.arm]] == row.place
    tests = {frozenset((p.a, p.b)): p for p in other.pairs}
    for pair in analysis.families[0].pairs:
        found = tests[frozenset((names[pair.a], names[pair.b]))]
        sign = 1 if found.a == names[pair.a] else -1
        assert found.here.estimate == pytest.approx(sign * pair.here.estimate, abs=1e-12)
        assert found.here_adjusted == pytest.approx(pair.here_adjusted, abs=1e-12)
        assert found.tasks_adjusted == pytest.approx(pair.tasks_adjusted, abs=1e-12)


def test_round_trip_without_loss(analysis: Analysis) -> None:
    assert decoder(Analysis)(encode(analysis)) == analysis


def test_fast_pairs_equal_the_public_statistic(results: Results) -> None:
    """The array form used for all pairs gives what `paired_difference` gives for one."""
    [grid] = build_grids(results)
    checked = 0
    for pair in column_pairs(grid, 0.95):
        a, b = grid.tables[pair.a, pair.column], grid.tables[pair.b, pair.column]
        if not (np.isfinite(a.values).all() and np.isfinite(b.values).all()) or "*" in a.digests + b.digests:
            continue
        one = paired_difference(a.values, b.values)
        for name in ("estimate", "se", "df", "statistic", "pvalue", "ci_low", "ci_high", "effect"):
            assert getattr(pair.test, name) == pytest.approx(getattr(one, name), rel=1e-9, abs=1e-12), name
        assert (pair.test.method, pair.test.generalise_over, pair.test.n, dict(pair.test.details)) == (
            one.method,
            one.generalise_over,
            one.n,
            dict(one.details),
        )
        checked += 1
    assert checked > 40


def test_failed_runs_count_with_the_floor(results: Results, analysis: Analysis) -> None:
    family = analysis.families[0]
    cell = next(cell for cell in family.cells if cell.n_failed)
    floor = next(column.floor for column in family.columns if column.key == cell.column)
    scores = [floor if run.status != "ok" else run.score for run in cell.runs]
    assert cell.mean == pytest.approx(np.mean(scores))
    assert cell.complete_case == pytest.approx(np.mean([run.score for run in cell.runs if run.status == "ok"]))
    assert cell.mean < cell.complete_case
    assert cell.failure_rate.estimate == pytest.approx(cell.n_failed / cell.n_planned)


def test_every_interval_says_what_it_generalises_over(analysis: Analysis) -> None:
    family = analysis.families[0]
    found: list[TestResult] = [pair.test for pair in family.column_pairs]
    found += [test for pair in family.pairs for test in (pair.tasks, pair.here)]
    found += [test for row in family.standings for test in (row.score, row.over_tasks, row.iqm)]
    found += [cell.interval for cell in family.cells]
    assert all(test.generalise_over for test in found)


def test_places_come_from_the_adjusted_tests(analysis: Analysis) -> None:
    family = analysis.families[0]
    over_tasks = family.testing.ranking_over == "tasks"
    for row in family.standings:
        better = worse = 0
        for pair in family.pairs:
            if row.arm not in (pair.a, pair.b):
                continue
            p = pair.tasks_adjusted if over_tasks else pair.here_adjusted
            value = (pair.tasks if over_tasks else pair.here).estimate * (1 if pair.a == row.arm else -1)
            if p is not None and p <= 0.05:
                better, worse = better + (value < 0), worse + (value > 0)
        assert (row.place_low, row.place_high) == (1 + better, len(family.standings) - worse)


def test_too_few_tasks_are_said_and_not_called_insignificant() -> None:
    family = analyse(synthetic_results(Plan(methods=4, tasks=3)), FAST).families[0]
    assert not family.testing.can_reject
    assert family.testing.tasks_needed == 6
    assert any("6 tasks would do" in sentence for sentence in family.verdict)
    assert family.testing.ranking_over == "seeds+examples"


def test_partial_coverage_is_not_ranked() -> None:
    results = synthetic_results(Plan(methods=4, tasks=6, failure_rate=0))
    gone = (results.trials["arm"] == "method-00") & (results.trials["task"] == "task-00")
    family = analyse(Results(results.trials[~gone], results.scores), FAST).families[0]
    row = next(row for row in family.standings if row.arm == "method-00")
    assert not row.ranked and row.coverage == (5, 6) and row.place == "-"
    assert row.bound_low < row.bound_high
    assert family.standings[-1].arm == "method-00"
    assert len(family.critical_difference.arms) == 3


def test_unsupported_is_no_failure() -> None:
    results = synthetic_results(Plan(methods=3, tasks=6, failure_rate=0))
    cell = (results.trials["arm"] == "method-02") & (results.trials["task"] == "task-01")
    trials = results.trials.copy()
    trials.loc[cell, ["status", "score", "reason"]] = ["unsupported", None, "no hidden states"]
    family = analyse(Results(trials, results.scores), FAST).families[0]
    row = next(row for row in family.standings if row.arm == "method-02")
    assert row.n_failed == 0 and row.coverage == (5, 5) and not row.ranked
    assert any(item.status == "unsupported" for item in family.failures)


def test_lower_is_better_turns_the_differences() -> None:
    results = synthetic_results(Plan(methods=3, tasks=6, failure_rate=0))
    turned = results.trials.assign(higher_is_better=False, floor=1.0, ceiling=0.0)
    up, down = (analyse(Results(trials, results.scores), FAST).families[0] for trials in (results.trials, turned))
    assert [row.arm for row in up.standings] == [row.arm for row in down.standings][::-1]
    tests = {(p.a, p.b): p.here.estimate for p in down.pairs}
    for pair in up.pairs:
        assert tests[pair.a, pair.b] == pytest.approx(-pair.here.estimate)


def test_metrics_that_differ_are_normalised_with_the_constants_printed() -> None:
    results = synthetic_results(Plan(methods=3, tasks=6, failure_rate=0))
    odd = results.trials["task"] == "task-00"
    trials = results.trials.assign(metric=np.where(odd, "mcc", "accuracy"))
    family = analyse(Results(trials, {}), FAST).families[0]
    assert family.unit == "normalised"
    assert any("task-00: 0.5 to 1" in note for note in family.notes)
    family = analyse(Results(trials.assign(floor=None), {}), FAST).families[0]
    assert family.unit == "win rate"


def test_settings_of_one_task_count_once() -> None:
    """A task with two backbones weighs as much as a task with one."""
    results = synthetic_results(Plan(methods=2, tasks=2, failure_rate=0))
    twice = results.trials[results.trials["task"] == "task-00"].assign(backbone="other", score=0.0)
    twice["trial_id"] += "-other"
    twice["block"] = twice["block"].str.replace("made-up", "other")
    trials = pd.concat([results.trials, twice], ignore_index=True)
    family = analyse(Results(trials, {}), FAST).families[0]
    assert len(family.columns) == 3 and len(family.tasks) == 2
    means = {(cell.arm, cell.column): cell.mean for cell in family.cells}
    row = family.standings[0]
    first = np.mean([value for (arm, key), value in means.items() if arm == row.arm and key.startswith("task-00")])
    second = np.mean([value for (arm, key), value in means.items() if arm == row.arm and key.startswith("task-01")])
    assert row.score.estimate == pytest.approx((first + second) / 2)


def test_pairing_needs_equal_rows() -> None:
    results = synthetic_results(Plan(methods=2, tasks=1, seeds=4, failure_rate=0))
    [grid] = build_grids(results)
    other = results.trials.assign(
        data_digest=np.where(
            results.trials["arm"] == "method-01", "own" + results.trials["seed"].astype(str), results.trials["data_digest"]
        )
    )
    [apart] = build_grids(Results(other, results.scores))
    [column] = grid.columns
    one = column_test(grid.tables["method-00", column.key], grid.tables["method-01", column.key], column, None, 0.95)
    two = column_test(apart.tables["method-00", column.key], apart.tables["method-01", column.key], column, None, 0.95)
    assert one.method == "crossed paired t" and two.method == "crossed t, unpaired seeds"
    assert one.estimate == pytest.approx(two.estimate)


def test_deterministic_cells_are_marked() -> None:
    results = synthetic_results(Plan(methods=2, tasks=2, failure_rate=0))
    scores = dict(results.scores)
    trials = results.trials.copy()
    for task, found in scores.items():
        values = found.values.copy()
        same = [i for i, trial in enumerate(found.trial_ids) if ".method-00." in trial]
        values[same] = values[same[0]]
        scores[task] = dataclasses.replace(found, values=values)
        trials.loc[trials["trial_id"].isin([found.trial_ids[i] for i in same]), "score"] = float(values[same[0], :, 0].mean())
    [grid] = build_grids(Results(trials, scores))
    marked = {cell.arm for cell in describe_cells(grid, 0.95) if cell.deterministic}
    assert marked == {"method-00"}


def test_weighted_sum_is_undefined_with_a_part_missing() -> None:
    whole = TestResult(method="t", n=3, generalise_over="seeds", estimate=1.0, se=0.1, df=4)
    assert weighted([whole, None], [0.5, 0.5], level=0.95, what="mean").estimate is None
    found = weighted([whole, whole], [0.5, 0.5], level=0.95, what="mean")
    assert found.estimate == pytest.approx(1.0) and found.se == pytest.approx(0.1 / math.sqrt(2)) and found.df == pytest.approx(8)


def test_summaries_get_only_what_they_allow() -> None:
    assert welch_from_summaries((0.8, None, 5, "seeds"), (0.7, 0.1, 5, "seeds"), level=0.95).pvalue is None
    assert welch_from_summaries((0.8, 0.1, 5, "seeds"), (0.7, 0.1, 5, "examples"), level=0.95).pvalue is None
    assert summary_interval(0.8, 0.02, None, "seeds", level=0.95).ci_low is None
    assert "not published" in str(summary_interval(0.8, 0.02, 5, None, level=0.95).degenerate)


def test_cache_is_read_only_for_the_same_input(results: Results, tmp_path) -> None:
    path = tmp_path / "results.json"
    first = analyse(results, FAST, stored=path)
    before = path.read_bytes()
    assert analyse(results, FAST, stored=path) == first and path.read_bytes() == before
    changed = results.trials.copy()
    changed.loc[changed.index[changed["status"] == "ok"][0], "score"] += 0.01
    assert analyse(Results(changed, results.scores, results.curves), FAST, stored=path).provenance.digest != first.provenance.digest
    assert path.read_bytes() != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda trials: trials.iloc[:0], "no trials"),
        (lambda trials: trials.assign(score=float("nan")), "no finite score"),
        (lambda trials: trials.assign(score=float("inf")), "no finite score"),
        (lambda trials: pd.concat([trials, trials.assign(run_key="again")]), "two results for one cell"),
        (lambda trials: trials.assign(status="fine"), "unknown status"),
        (lambda trials: trials.assign(status="failed", score=None, reason="no memory"), "none of the"),
        (lambda trials: trials.assign(floor=trials["seed"] / 10), "floor differs"),
        (lambda trials: trials.assign(task_version=trials["seed"]), "task_version differs"),
        (lambda trials: trials.drop(columns="arm"), "lacks arm"),
    ],
)
def test_bad_input_gives_one_line(change, message: str) -> None:
    results = synthetic_results(Plan(methods=2, tasks=2, seeds=2, failure_rate=0))
    with pytest.raises(InputError, match=message) as caught:
        analyse(Results(change(results.trials), results.scores), FAST)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "plan",
    [
        Plan(methods=1, tasks=1, seeds=1),
        Plan(methods=2, tasks=1, seeds=1),
        Plan(methods=1, tasks=3),
        Plan(methods=2, tasks=1, seeds=2, examples=2),
    ],
)
def test_small_stores_give_a_report_without_a_false_number(plan: Plan) -> None:
    family = analyse(synthetic_results(replace(plan, failure_rate=0)), FAST).families[0]
    for cell in family.cells:
        if plan.seeds == 1:
            assert cell.sd is None and cell.interval.generalise_over == "examples"
    assert family.verdict


def test_unknown_names_are_answered_with_the_known(results: Results) -> None:
    with pytest.raises(InputError, match="method-00"):
        analyse(results, Options(baselines=("nobody",)))
    with pytest.raises(InputError, match="synthetic"):
        analyse(results, families=("nothing",))


def test_scale_has_weights_that_sum_to_one(results: Results) -> None:
    [grid] = build_grids(results)
    assert sum(choose_scale(grid.columns).weights.values()) == pytest.approx(1)
