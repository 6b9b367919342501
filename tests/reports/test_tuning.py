"""Tuning budgets, dev against test, and other boards of the same arms: what the analysis says, and that the page shows it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from harness.reports.analysis import Options, analyse, digits
from harness.reports.analysis.bounds import normalised_bounds
from harness.reports.html import render_page
from harness.reports.statistics import expected_best
from harness.reports.synthetic import Plan, synthetic_results

from harness.identity import canonical
from harness.results import TRY_COLUMNS, Results

FAST = Options(n_resamples=300)
TRIES = {"task-00": [0.50, 0.62, 0.71, 0.55, 0.66, 0.60], "task-01": [0.40, 0.45, 0.90, 0.42, 0.41, 0.44], "task-02": [0.7] * 6}


@pytest.fixture(scope="module")
def results() -> Results:
    return synthetic_results(Plan(methods=4, tasks=3, seeds=3, examples=80, failure_rate=0.0))


def tuned(results: Results, arm: str = "method-00") -> Results:
    """One arm's cells were tuned, all seeds of a cell with the same tries."""
    trials = results.trials[results.trials["arm"] == arm]
    rows = [
        (trial, canonical({"width": i}), score, 2.0)
        for trial, task in zip(trials["trial_id"], trials["task"])
        for i, score in enumerate(TRIES[task])
    ]
    return replace(results, tries=pd.DataFrame(rows, columns=list(TRY_COLUMNS)))


def section(text: str, name: str) -> str:
    found = re.search(rf'<section class="section" id="[^"]*{name}".*?</section>', text, re.DOTALL)
    assert found is not None
    return found.group(0)


def test_the_curve_of_a_tuned_arm_takes_the_best_on_each_column(results: Results) -> None:
    analysis = analyse(tuned(results), FAST)
    [curve] = [c for c in analysis.families[0].budget_curves if c.source == "tries of the tuning"]
    assert curve.arm == "method-00" and curve.budgets == tuple(range(1, 7))
    assert curve.expected == pytest.approx(np.mean([expected_best(v).expected for v in TRIES.values()], axis=0))
    assert curve.expected[-1] == pytest.approx((0.71 + 0.90 + 0.7) / 3) and curve.seconds == tuple(6.0 * b for b in curve.budgets)
    text = section(render_page(analysis), "budget")
    assert "tries of the tuning" in text and digits.number(curve.expected[2], 3) in text


def test_the_gap_is_between_the_dev_score_that_won_and_the_test_scores(results: Results) -> None:
    family = analyse(tuned(results), FAST).families[0]
    found = {gap.arm: gap for gap in family.selection_gaps}
    mine = results.trials[results.trials["arm"] == "method-00"].assign(score=lambda t: t["score"].astype(float))
    by_seed = (0.71 + 0.90 + 0.7) / 3 - mine.groupby("seed")["score"].mean()
    gap = found["method-00"]
    assert gap.tried == 6 and gap.n_seeds == 3 and gap.n_columns == 3 and gap.dev == pytest.approx((0.71 + 0.90 + 0.7) / 3)
    assert gap.gap.estimate == pytest.approx(by_seed.mean()) and gap.test == pytest.approx(mine["score"].mean())
    assert gap.gap.half_width == pytest.approx(4.302653 * by_seed.std(ddof=1) / np.sqrt(3), rel=1e-5)
    other = results.trials[results.trials["arm"] == "method-01"]
    assert found["method-01"].tried == 0
    assert found["method-01"].gap.estimate == pytest.approx(float((other["dev_score"] - other["score"]).astype(float).mean()))


def test_lower_is_better_keeps_the_sign_that_flatters(results: Results) -> None:
    turned = replace(results, trials=results.trials.assign(higher_is_better=False))
    plain, other = (
        {g.arm: g.gap.estimate for g in analyse(r, FAST).families[0].selection_gaps if g.chosen is None} for r in (results, turned)
    )
    assert other == pytest.approx({arm: -value for arm, value in plain.items()})


def test_configurations_that_were_run_as_arms_say_which_one_dev_would_take(results: Results) -> None:
    trials = results.trials.copy()
    trials["method"] = "one"
    trials["dev_score"] = 0.5 + 0.1 * (trials["arm"] == "method-02") - 0.01 * (trials["arm"] == "method-03")
    analysis = analyse(replace(results, trials=trials), FAST)
    [choice] = [gap for gap in analysis.families[0].selection_gaps if gap.chosen]
    test = trials[trials["arm"] == "method-02"]["score"].astype(float).mean()
    assert (choice.arm, choice.chosen, choice.tried) == ("one", "method-02", 4) and choice.dev == pytest.approx(0.6)
    assert choice.gap.estimate == pytest.approx(0.6 - test) and choice.gap.ci_low is None
    assert "one: dev would choose method-02" in section(render_page(analysis), "budget")
    assert analysis.families[0].budget_curves[0].source == "configurations compared here"


def test_the_page_prints_the_gaps_of_the_analysis(results: Results) -> None:
    analysis = analyse(tuned(results), FAST)
    family, text = analysis.families[0], section(render_page(analysis), "budget")
    assert "Dev score against test score" in text
    for gap in family.selection_gaps:
        assert digits.number(gap.gap.estimate, family.places.difference, sign=True) in text
        assert digits.interval(gap.gap, family.places.difference, sign=True) in text


# --- other boards -----------------------------------------------------------------------------------------------------------------------


def test_other_boards_are_compared_with_the_board(results: Results) -> None:
    analysis = analyse(results, FAST)
    family = analysis.families[0]
    found = {item.name: item for item in family.agreements}
    assert list(found) == ["two halves of the examples", "dev score", "macro-f1"]
    assert found["macro-f1"].tau.estimate == pytest.approx(1.0)  # made up as accuracy less a constant
    halves = found["two halves of the examples"].tau
    assert halves.generalise_over == "examples" and halves.n == 240 and halves.ci_low <= halves.estimate <= halves.ci_high
    text = section(render_page(analysis), "ranks")
    assert "two halves of the examples" in text and digits.interval(halves, 2) in text


def test_a_board_that_says_the_reverse_is_seen(results: Results) -> None:
    reverse = analyse(replace(results, trials=results.trials.assign(dev_score=1 - results.trials["score"].astype(float))), FAST)
    found = {item.name: item for item in reverse.families[0].agreements}
    assert found["dev score"].tau.estimate == pytest.approx(-1.0) and found["dev score"].weighted < 0


def test_two_arms_have_no_agreement_to_speak_of(results: Results) -> None:
    two = replace(results, trials=results.trials[results.trials["arm"].isin(["method-00", "method-01"])])
    assert analyse(two, FAST).families[0].agreements == ()


# --- gaps and bounds --------------------------------------------------------------------------------------------------------------------


def test_arms_with_gaps_are_tested_together_and_the_page_says_how(results: Results) -> None:
    trials = results.trials
    holed = trials[~((trials["arm"] == "method-03") & (trials["task"] == "task-02"))]
    analysis = analyse(replace(results, trials=holed), FAST)
    found = analysis.families[0].testing.omnibus_with_gaps
    assert found.method.startswith("Skillings-Mack") and found.n == 3
    assert digits.pequals(found.pvalue) in section(render_page(analysis), "failures")
    assert analyse(results, FAST).families[0].testing.omnibus_with_gaps is None
    # every arm misses one task and every two meet twice: balanced
    plan = Plan(methods=4, tasks=4, seeds=2, examples=60, failure_rate=0.0)
    four = synthetic_results(plan)
    kept = four.trials[[int(a[-1]) != int(t[-1]) for a, t in zip(four.trials["arm"], four.trials["task"])]]
    assert "Skillings-Mack" in analyse(replace(four, trials=kept), FAST).families[0].testing.omnibus_with_gaps.method


def test_an_iqm_cannot_pass_the_ceiling(results: Results) -> None:
    top = results.trials.assign(score=np.where(results.trials["seed"] == 0, 0.9, 1.0))
    family = analyse(Results(top), FAST).families[0]
    for row in family.standings:
        assert row.iqm.ci_high <= 1.0 and row.iqm.estimate <= row.iqm.ci_high
    assert any("cut at 1" in (row.iqm.note or "") for row in family.standings)
    lowest, highest = normalised_bounds(family.columns, {c.key: (0.0, 1.0) for c in family.columns})
    assert highest == 1.0 and lowest == pytest.approx(-1.0)  # a score of 0 where the floor is .5
