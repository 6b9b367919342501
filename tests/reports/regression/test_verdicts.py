"""Every verdict, from constructed results."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from harness.reports.regression.compare import compare
from harness.reports.regression.comparison import Comparison
from harness.reports.regression.verdicts import judge

from harness.results import Results


def only(results: Results, **kept: object) -> Results:
    trials = results.trials
    for column, value in kept.items():
        trials = trials[trials[column] == value]
    return replace(results, trials=trials)


def verdicts(comparison: Comparison) -> dict[str, str]:
    return {cell.label: cell.verdict for cell in comparison.cells}


def test_identical_runs_are_equivalent_whatever_their_number_of_seeds(run_suite):
    for seeds in ((0,), (0, 1, 2)):
        found = compare(run_suite(1, seeds=seeds), run_suite(1, seeds=seeds), gate="strict", exact=True)
        assert set(verdicts(found).values()) == {"equivalent"}
        assert found.exit_code == 0
        assert all(cell.flips is not None and cell.flips.changed == 0 for cell in found.cells)


def test_severe_regression_names_its_numbers(run_suite):
    found = compare(run_suite(1), run_suite(2, shift={("lora", "rte"): -1.2}), margins={"*": 0.02})
    cell = next(cell for cell in found.cells if cell.label == "lora · rte")
    assert cell.verdict == "severe"
    assert cell.estimate is not None and cell.interval[1] is not None and cell.interval[1] < -0.02
    assert cell.p_adjusted is not None and cell.p_adjusted <= 0.05
    assert cell.current_mean is not None and cell.baseline_mean is not None
    assert cell.estimate == pytest.approx(cell.current_mean - cell.baseline_mean)
    assert found.exit_code == 1


def test_regressed_but_not_severe(run_suite):
    found = compare(run_suite(1, examples=1000), run_suite(2, examples=1000, shift=-0.4), margins={"*": 0.1})
    assert set(verdicts(found).values()) == {"regressed"}


def test_a_sure_loss_under_half_of_the_margin_is_harmless(run_suite):
    found = compare(run_suite(1, examples=2000, seed_sd=0.02), run_suite(2, examples=2000, seed_sd=0.02, shift=-0.35), margins={"*": 0.2})
    assert all(cell.p_adjusted is not None and cell.p_adjusted < 0.05 for cell in found.cells)
    assert set(verdicts(found).values()) == {"equivalent"}


def test_improved(run_suite):
    found = compare(run_suite(1), run_suite(2, shift=1.2))
    assert set(verdicts(found).values()) == {"improved"}
    assert found.exit_code == 0


def test_equivalent_noninferior_and_inconclusive_by_margin(run_suite):
    baseline, current = run_suite(1, seed_sd=0.02), run_suite(2, seed_sd=0.02)
    wide = compare(baseline, current, margins={"*": 0.3}, gate="noninferiority")
    narrow = compare(baseline, current, margins={"*": 0.001}, gate="noninferiority")
    assert set(verdicts(wide).values()) == {"equivalent"} and wide.exit_code == 0
    assert set(verdicts(narrow).values()) == {"inconclusive"} and narrow.exit_code == 3
    assert compare(baseline, current, margins={"*": 0.001}).exit_code == 0
    assert all(cell.needed is not None and str(cell.needed) for cell in narrow.cells)


def test_more_seeds_are_asked_for_at_the_margin_and_not_at_the_observed_difference(run_suite):
    found = compare(run_suite(1, seed_sd=0.4), run_suite(2, seed_sd=0.4), margins={"*": 0.08})
    wider = compare(run_suite(1, seed_sd=0.4), run_suite(2, seed_sd=0.4), margins={"*": 0.11})
    for cell, other in zip(found.cells, wider.cells):
        if cell.needed is not None and cell.needed.seeds is not None:
            assert cell.needed.seeds > 5
            if other.needed is not None and other.needed.seeds is not None:
                assert other.needed.seeds <= cell.needed.seeds


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ((-0.03, -0.05, -0.012, 0.01, 1.0), "severe"),
        ((-0.03, -0.05, -0.008, 0.01, 1.0), "regressed"),
        ((-0.03, -0.05, -0.012, 0.06, 1.0), "inconclusive"),  # the interval is unadjusted, the claim is not
        ((-0.004, -0.006, -0.002, 0.001, 1.0), "equivalent"),
        ((-0.005, -0.012, -0.002, 0.001, 1.0), "regressed"),  # exactly half of the margin
        ((0.02, 0.005, 0.04, 1.0, 0.01), "improved"),
        ((0.02, 0.005, 0.04, 1.0, 0.06), "non-inferior"),
        ((0.0, -0.009, 0.009, 0.5, 0.5), "equivalent"),
        ((0.004, -0.009, 0.012, 0.5, 0.5), "non-inferior"),
        ((0.0, -0.02, 0.02, 0.5, 0.5), "inconclusive"),
        ((0.0, None, None, None, None), "inconclusive"),
    ],
)
def test_the_rules(numbers, verdict):
    estimate, low, high, p_loss, p_gain = numbers
    assert judge(estimate, low, high, p_loss=p_loss, p_gain=p_gain, margin=0.01, alpha=0.05) == verdict


def test_lower_is_better_turns_the_sign(run_suite):
    def as_error(results: Results) -> Results:
        trials = results.trials.assign(higher_is_better=False)
        return replace(results, trials=trials)

    found = compare(as_error(run_suite(1)), as_error(run_suite(2, shift=1.2)))
    assert set(verdicts(found).values()) <= {"regressed", "severe"}
    assert all(cell.estimate < 0 < cell.current_mean - cell.baseline_mean for cell in found.cells)


def test_broken_names_status_and_reason(run_suite, fail):
    baseline = run_suite(1)
    all_fail = compare(baseline, fail(run_suite(1), "lora", "rte", range(5)))
    some_fail = compare(baseline, fail(run_suite(1), "lora", "rte", [3]))
    for found in (all_fail, some_fail):
        cell = next(cell for cell in found.cells if cell.label == "lora · rte")
        assert cell.verdict == "broken" and "diverged: loss is not finite at step 40" in cell.reason
        assert found.exit_code == 4


def test_fixed_and_failing_as_before(run_suite, fail):
    failing = fail(run_suite(1), "lora", "rte", [3])
    assert verdicts(compare(failing, run_suite(1)))["lora · rte"] == "fixed"
    same = compare(failing, failing)
    assert verdicts(same)["lora · rte"] == "equivalent" and same.exit_code == 0
    swapped = fail(run_suite(1), "lora", "rte", [4])
    assert compare(failing, swapped).exit_code == 0
    assert compare(failing, swapped, gate="strict").exit_code == 4  # seed 4 newly fails


def test_a_fix_does_not_hide_a_loss(run_suite, fail):
    failing = fail(run_suite(1), "lora", "rte", [3])
    assert verdicts(compare(failing, run_suite(2, shift=-1.5)))["lora · rte"] in ("regressed", "severe")


def test_failed_on_both_sides_is_no_news_but_under_strict(run_suite, fail):
    both = fail(run_suite(1), "lora", "rte", range(5))
    found = compare(both, both)
    assert verdicts(found)["lora · rte"] == "incomparable" and found.exit_code == 0
    assert compare(both, both, gate="strict").exit_code == 5


def test_missing_cells_and_seeds(run_suite):
    baseline = run_suite(1)
    current = only(run_suite(1), arm="lora")
    found = compare(baseline, current)
    assert verdicts(found)["bitfit · rte"] == "missing" and found.exit_code == 4
    fewer = replace(baseline, trials=baseline.trials[baseline.trials["seed"] < 3])
    partial = compare(baseline, fewer)
    assert partial.exit_code == 0 and all(cell.seeds_absent == 2 and cell.n_current == 3 for cell in partial.cells)
    assert compare(baseline, fewer, gate="strict").exit_code == 4
    assert compare(fewer, baseline).exit_code == 0


def test_planned_but_not_run_is_missing(run_suite):
    current = run_suite(1)
    rows = current.trials["arm"] == "lora"
    current.trials.loc[rows, "status"], current.trials.loc[rows, "score"] = "missing", None
    assert verdicts(compare(run_suite(1), current))["lora · rte"] == "missing"


def test_new_cells_are_listed_and_do_not_fail(run_suite):
    found = compare(run_suite(1, arms=("lora",)), run_suite(1))
    assert found.added == ("bitfit · rte", "bitfit · sst2") and found.exit_code == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task_version": 2}, "task version 1 became 2"),
        ({"metric": "f1_macro"}, "metric accuracy became f1_macro"),
        ({"higher_is_better": False}, "direction True became False"),
        ({"block": "task=rte budget=9"}, "setting task=rte backbone=tiny shots=16 per class became task=rte budget=9"),
    ],
)
def test_incomparable_says_what_differs(run_suite, change, words):
    current = run_suite(1, arms=("lora",), tasks=("rte",), change=lambda row: row.update(change))
    found = compare(run_suite(1, arms=("lora",), tasks=("rte",)), current)
    assert verdicts(found) == {"lora · rte": "incomparable"} and found.cells[0].reason == words
    assert found.exit_code == 5 and found.cells[0].estimate is None


def test_another_configuration_under_the_same_name_is_incomparable(run_suite):
    def change(row):
        row.update(config=json.dumps({"rank": 16}), trial_id=f"new.{row['trial_id']}")

    found = compare(run_suite(1), run_suite(1, change=change))
    assert {cell.reason for cell in found.cells} == {"configuration changed: rank 8 to 16"}
    tuned = compare(run_suite(1), run_suite(1, change=lambda row: (change(row), row.update(tuning_trials=8))))
    assert set(verdicts(tuned).values()) == {"equivalent"}


def test_other_examples_are_incomparable_and_some_fewer_are_noted(run_suite):
    baseline, current = run_suite(1), run_suite(1)
    renamed = {task: replace(s, example_ids=tuple(f"other/{i}" for i in range(200))) for task, s in current.scores.items()}
    assert {cell.reason for cell in compare(baseline, replace(current, scores=renamed)).cells} == {
        "test examples changed: 200 before, 200 now, 0 in both"
    }
    fewer = {}
    trials = current.trials.copy()
    for task, s in current.scores.items():
        values = s.values[:, :180]
        fewer[task] = replace(s, example_ids=s.example_ids[:180], values=values)
        trials.loc[trials["task"] == task, "score"] = values[..., 0].mean(axis=1)
    found = compare(baseline, replace(current, scores=fewer, trials=trials))
    assert set(verdicts(found).values()) == {"equivalent"}
    assert all("180 of 200 test examples" in " ".join(cell.notes) for cell in found.cells)
    assert all(cell.flips is not None and cell.flips.one_sided == 100 for cell in found.cells)


def test_seeds_with_other_rows_are_not_paired(run_suite):
    found = compare(run_suite(1), run_suite(2, shift=-1.5, change=lambda row: row.update(data_digest=f"other.{row['seed']}")))
    for cell in found.cells:
        assert cell.verdict in ("regressed", "severe") and cell.test is not None
        assert cell.test.method == "crossed t, unpaired seeds" and cell.flips is None
        assert "5 of 5 seeds drew other rows" in cell.notes[0]


def test_without_examples_seeds_are_tested_for_this_test_set(run_suite):
    baseline, current = (replace(run_suite(n, shift=s), scores={}) for n, s in ((1, 0.0), (2, -1.5)))
    found = compare(baseline, current)
    assert {cell.test.generalise_over for cell in found.cells if cell.test} == {"seeds"}
    assert set(verdicts(found).values()) <= {"regressed", "severe"}


def test_published_summaries_get_the_test_that_they_allow(run_suite):
    def summary(score: float, sd: float | None) -> Results:
        one = run_suite(1, arms=("lora",), tasks=("rte",), seeds=(0,))
        trials = one.trials.assign(score=score, score_sd=sd, score_n=10, score_spread_covers="seeds", imported=True)
        return Results(trials)

    found = compare(summary(0.80, 0.01), summary(0.70, 0.01))
    assert found.cells[0].verdict == "severe" and found.cells[0].test.method == "Welch t from summaries"
    assert found.cells[0].test.df == pytest.approx(18)
    unknown = compare(summary(0.80, None), summary(0.70, None))
    assert unknown.cells[0].verdict == "inconclusive" and unknown.exit_code == 0


def test_a_metric_that_is_no_mean_is_linearised(run_suite):
    from harness.metrics import get

    metric = get("f1_micro")

    def as_f1(results: Results) -> Results:
        scores, trials = {}, results.trials.assign(metric="f1_micro").astype({"score": float})
        for task, s in results.scores.items():
            right = s.values[..., 0]
            rng = np.random.default_rng(3)
            gold = np.eye(2)[rng.integers(0, 2, right.shape[1])]
            predicted = np.where(right[..., None] > 0, gold, 1 - gold)
            values = np.concatenate([predicted * gold, predicted, np.broadcast_to(gold, predicted.shape)], axis=-1)
            scores[task] = replace(s, metric="f1_micro", values=values)
            trials.loc[trials["task"] == task, "score"] = metric.value(values.sum(axis=1))
        return replace(results, scores=scores, trials=trials)

    plain = compare(run_suite(1), run_suite(2, shift=-1.2))
    found = compare(as_f1(run_suite(1)), as_f1(run_suite(2, shift=-1.2)))
    for cell, other in zip(found.cells, plain.cells):  # with one class per example micro F1 is accuracy
        assert cell.test.generalise_over == "seeds+examples"
        assert cell.estimate == pytest.approx(other.estimate) and cell.test.se == pytest.approx(other.test.se, rel=1e-6)


def test_the_family_is_the_gating_cells(run_suite):
    baseline, current = run_suite(1), run_suite(2, shift=-0.4)
    whole, part = compare(baseline, current), compare(baseline, current, gating=["lora/rte/*"])
    assert (whole.family_size, part.family_size) == (4, 1)
    named = {cell.label: cell for cell in part.cells}
    alone = named["lora · rte"]
    assert alone.p_adjusted == pytest.approx(alone.test.pvalue)
    assert [cell.label for cell in part.cells if cell.gating] == ["lora · rte"]


def test_a_loss_outside_the_gate_passes(run_suite):
    found = compare(run_suite(1), run_suite(2, shift={("bitfit", "rte"): -1.5}), gating=["lora/*"], margins={"*": 0.3})
    assert verdicts(found)["bitfit · rte"] in ("regressed", "severe", "inconclusive") and found.exit_code == 0


def test_labels_tell_cells_apart(run_suite):
    def with_backbone(results: Results, name: str) -> pd.DataFrame:
        return results.trials.assign(backbone=name, trial_id=[f"{name}.{t}" for t in results.trials["trial_id"]])

    one = run_suite(1, arms=("lora",), tasks=("rte",))
    both = Results(pd.concat([with_backbone(one, "tiny"), with_backbone(one, "large")]))
    assert list(verdicts(compare(both, both))) == ["lora · rte · large", "lora · rte · tiny"]
