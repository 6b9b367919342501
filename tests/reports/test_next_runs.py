"""What to run next from trials: templates as a factor, what they cost, what is not known about them, and one object behind page and JSON."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from harness.reports.analysis import Options, analyse
from harness.reports.analysis.codec import read_results, results_json
from harness.reports.analysis.findings import NextSample
from harness.reports.analysis.next_runs import NO_TEMPLATE, NOT_CROSSED, ONE_TEMPLATE
from harness.reports.html import render_page
from harness.reports.statistics import variance_components
from harness.reports.statistics.next_sample import UNSEEN
from harness.reports.synthetic import Plan, synthetic_results
from scipy import stats

from harness.results import Results

FAST = Options(n_resamples=200, relevant=0.05)
SEEDS, TEMPLATES, EXAMPLES = 4, 3, 30


def made(*, wording: float = 0.05, templates: int = TEMPLATES) -> tuple[Results, np.ndarray]:
    """Two methods on one task with known answers, and their difference [seeds, templates, examples]; `wording` : sd of arm x template."""
    plan = Plan(methods=2, tasks=1, seeds=SEEDS, examples=EXAMPLES, templates=templates, failure_rate=0)
    results = synthetic_results(plan, effects={"method-00": 1.0, "method-01": 0.0})
    rng = np.random.default_rng(5)
    answers = 0.5 + 0.05 * rng.normal(size=(2, SEEDS, 1, EXAMPLES)) + np.array([0.1, -0.1]).reshape(2, 1, 1, 1)
    answers = answers + 0.02 * rng.normal(size=(2, SEEDS, 1, 1)) + wording * rng.normal(size=(2, 1, templates, 1))
    if wording:
        answers = answers + 0.03 * rng.normal(size=(2, SEEDS, templates, EXAMPLES))
    return with_answers(results, answers), answers[0] - answers[1]


def with_answers(results: Results, answers: np.ndarray) -> Results:
    [task] = results.scores
    scores, trials = results.scores[task], results.trials.copy()
    values = np.ones_like(scores.values)
    for i, trial in enumerate(scores.trial_ids):
        _, method, template, seed = trial.split(".")
        values[i, :, 0] = answers[int(method[-1]), int(seed), int(template)]
    of = dict(zip(scores.trial_ids, values[:, :, 0].mean(axis=1)))
    trials["score"] = [of[trial] for trial in trials["trial_id"]]
    return replace(results, trials=trials, scores={task: replace(scores, values=values)})


def advice(results: Results) -> dict[str, NextSample]:
    return {option.axis: option for option in analyse(results, FAST).families[0].next_samples}


def cost_of(results: Results, method: str) -> float:
    """Seconds of a trial by hand: 0.4 to set up, the median of training, 0.8 to evaluate."""
    return 1.2 + float(np.median(results.trials[results.trials["arm"] == method]["seconds_train"].astype(float)))


def test_templates_are_a_factor_with_their_cost() -> None:
    results, difference = made()
    found = advice(results)
    parts = variance_components(difference, ("seed", "template", "example"))
    assert set(found) == {"seed", "template", "example"} and parts.variances["template"] > 0
    template = found["template"]
    assert template.over == ("seed", "template", "example") and template.n_now == TEMPLATES
    a_trial_each = cost_of(results, "method-00") + cost_of(results, "method-01")
    assert template.seconds_each == pytest.approx(SEEDS * a_trial_each)
    assert found["seed"].seconds_each == pytest.approx(TEMPLATES * a_trial_each)
    assert found["example"].seconds_each == pytest.approx(2 * SEEDS * TEMPLATES * 0.8 / EXAMPLES)
    # by SE^2 = sum of component / levels; the interval's own degrees of freedom are tested with the statistic
    assert template.half_width_now == pytest.approx(parts.se * stats.t.ppf(0.975, parts.df), rel=0.02)
    assert template.half_width_next is not None and template.half_width_next < template.half_width_now
    assert template.shrink_per_second == pytest.approx((template.half_width_now - template.half_width_next) / template.seconds_each)
    assert next(iter(found)) == max(found, key=lambda axis: found[axis].shrink_per_second or 0)
    if template.n_needed is None:
        assert template.floor is not None and template.floor > FAST.relevant
        assert f"the floor from seeds and examples alone is {template.floor:.3g}" in (template.reason or "")
    else:
        assert template.seconds_needed == pytest.approx(max(template.n_needed - TEMPLATES, 0) * template.seconds_each)


def test_a_failed_trial_counts_with_the_floor_on_every_example() -> None:
    results, _ = made()
    whole = advice(results)["template"].half_width_now
    trials = results.trials.copy()
    failed = trials["trial_id"] == "task-00.method-00.1.2"
    trials.loc[failed, ["status", "score", "reason"]] = ["diverged", None, "made to fail"]
    after = advice(replace(results, trials=trials))["template"]
    assert after.over == ("seed", "template", "example") and after.half_width_now > whole


def test_wording_without_variance_is_none_with_a_reason() -> None:
    results, _ = made(wording=0.0)
    found = advice(results)
    template = found["template"]
    assert list(found)[-1] == "template" and template.reason == UNSEEN and template.n_now == TEMPLATES
    assert template.half_width_next is template.n_needed is template.seconds_needed is template.floor is template.shrink_per_second is None
    assert found["seed"].half_width_next is not None


def test_one_template_none_and_a_task_without_any() -> None:
    plain, _ = made(templates=1)
    assert set(advice(plain)) == {"seed", "example"}
    one = replace(plain, trials=plain.trials.assign(template="only"))
    found = advice(one)
    assert found["template"].reason == ONE_TEMPLATE and found["template"].n_now == 1 and found["template"].half_width_next is None
    assert found["seed"].over == ("seed", "example")
    # the two arms at the top use no template, a third one does
    three = synthetic_results(
        Plan(methods=3, tasks=1, seeds=SEEDS, examples=EXAMPLES, failure_rate=0),
        effects={"method-00": 2.0, "method-01": 1.0, "method-02": -2.0},
    )
    third = three.trials["arm"] == "method-02"
    found = advice(replace(three, trials=three.trials.assign(template=np.where(third, "only", None))))
    assert found["template"].reason == NO_TEMPLATE and found["template"].n_now == 0


def test_templates_that_no_two_seeds_share_are_not_an_axis() -> None:
    results, _ = made()
    trials = results.trials
    kept = (trials["arm"] == "method-00") == (trials["template"] == "template-0")
    kept &= trials["template"] != "template-2"
    found = advice(replace(results, trials=trials[kept].reset_index(drop=True)))
    assert found["template"].reason == NOT_CROSSED and found["template"].n_now == 2
    assert found["seed"].over == ("seed", "example")


def test_an_arm_without_templates_meets_every_wording_of_the_other() -> None:
    results, _ = made()
    trials, [scores] = results.trials, results.scores.values()
    plain = trials["arm"] == "method-01"
    trials = trials[~plain | (trials["template"] == "template-0")].copy()
    trials.loc[trials["arm"] == "method-01", "template"] = None
    results = replace(results, trials=trials.reset_index(drop=True))
    found = advice(results)
    answers = dict(zip(scores.trial_ids, scores.values[:, :, 0]))
    difference = np.array([
        [answers[f"task-00.method-00.{p}.{s}"] - answers[f"task-00.method-01.0.{s}"] for p in range(TEMPLATES)] for s in range(SEEDS)
    ])  # fmt: skip
    parts = variance_components(difference, ("seed", "template", "example"))
    assert found["template"].half_width_now == pytest.approx(parts.se * stats.t.ppf(0.975, parts.df), rel=0.02)
    assert found["template"].seconds_each == pytest.approx(SEEDS * cost_of(results, "method-00"))
    assert found["seed"].seconds_each == pytest.approx(TEMPLATES * cost_of(results, "method-00") + cost_of(results, "method-01"))


def test_scores_alone_give_seeds_and_templates() -> None:
    results, difference = made()
    found = advice(replace(results, scores={}))
    parts = variance_components(difference.mean(axis=2), ("seed", "template"))
    assert set(found) == {"seed", "template"} and found["template"].over == ("seed", "template")
    assert found["template"].half_width_now == pytest.approx(parts.se * stats.t.ppf(0.975, parts.df), rel=1e-6)
    assert math.isclose(found["template"].seconds_each or 0, SEEDS * (cost_of(results, "method-00") + cost_of(results, "method-01")))


def test_without_measured_seconds_none_are_made_up() -> None:
    results, _ = made()
    unknown = results.trials.assign(seconds_setup=None, seconds_train=None, seconds_evaluate=None)
    for option in advice(replace(results, trials=unknown)).values():
        assert option.seconds_each is option.shrink_per_second is option.seconds_needed is None
        assert option.half_width_next is not None


@pytest.mark.parametrize("wording", [0.05, 0.0])
def test_page_and_json_show_the_same_object(wording: float) -> None:
    analysis = analyse(made(wording=wording)[0], FAST)
    options = analysis.families[0].next_samples
    assert read_results(json.loads(results_json(analysis))).families[0].next_samples == options
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", render_page(analysis)))
    best, template = options[0], next(option for option in options if option.axis == "template")
    assert f"{best.half_width_now:.{analysis.families[0].places.difference + 1}f}" in text
    assert "seeds, templates, examples" in text and "about new wordings too" in text
    sentence = f"What more templates would do is not predicted on task-00: {UNSEEN}."
    assert (sentence in text, template.reason == UNSEEN) == ((True, True) if wording == 0 else (False, False))
