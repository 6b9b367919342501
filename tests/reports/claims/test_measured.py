"""Claims about something else than scores: probes, FLOPs to a target, spread; and arms that are selections."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from harness.reports.claims.bench import Bench, small_config
from harness.reports.claims.known import Known
from harness.reports.claims.scores import decided, measured_by, over_examples, seed_scores, suite_of
from harness.reports.statistics import time_to_target

from harness.claims import Arm, Scores, Sizes
from harness.errors import InputError
from harness.results import TaskScores

ABOUT: dict[str, Any] = {"relation": "less", "margin": 0.05, "tasks": ("world-topic",), "backbone": "tiny-masked-lm"}
CLAIM = Scores("s", "about", arm=Arm("lora"), against=Arm("bitfit"), measure="probe:density", **ABOUT)


@pytest.mark.parametrize(
    ("mean", "spread", "result"),
    [(-0.1, 0.01, "holds"), (0.1, 0.01, "does not hold"), (-0.01, 0.001, "holds"), (-0.02, 0.1, "cannot show at this scale")],
)
def test_less_is_better_turned_round(mean: float, spread: float, result: str) -> None:
    noise = np.linspace(-1, 1, 12)
    differences = mean + spread * noise / noise.std(ddof=1)
    assert decided(CLAIM, pd.DataFrame({"claimed": 0.7 + differences, "against": 0.7})).result == result


@pytest.mark.parametrize(("wide", "result"), [(10.0, "holds"), (0.1, "does not hold"), (1.1, "cannot show at this scale")])
def test_steadier_is_about_spread_alone(wide: float, result: str) -> None:
    noise = np.random.default_rng(0).normal(size=20)
    claim = dataclasses.replace(CLAIM, measure="score", relation="steadier")
    found = decided(claim, pd.DataFrame({"claimed": 5 + noise, "against": np.roll(noise, 3) * wide}))
    assert found.result == result and found.test is not None and "Levene" in found.test
    still = decided(claim, pd.DataFrame({"claimed": [0.5] * 5, "against": [0.4] * 5}))
    assert still.reason == "neither varies"


def test_arms_that_no_seed_changes_are_judged_over_examples() -> None:
    """Equal differences on every seed have an interval of no width, which would decide any claim."""
    claim = dataclasses.replace(CLAIM, measure="score", relation="better", tasks=("t",))
    right = np.array([[1.0, 1, 1, 0, 1, 1, 1, 0, 1, 1], [1.0, 0, 1, 1, 0, 1, 0, 1, 1, 1]])
    trials = pd.DataFrame({"trial_id": ["a0", "b0", "a1", "b1"], "arm": ["claimed", "against"] * 2, "task": "t", "seed": [0, 0, 1, 1]})
    scores = TaskScores("t", "accuracy", tuple("0123456789"), None, ("a0", "b0", "a1", "b1"), np.concatenate([right, right])[:, :, None])
    found = over_examples(claim, SimpleNamespace(trials=trials, scores={"t": scores}))
    assert found is not None and found.estimate == pytest.approx(0.1) and found.ci_low is not None and found.ci_low < 0
    seeds = pd.DataFrame({"claimed": [0.8] * 10, "against": [0.7] * 10})
    assert decided(claim, seeds).result == "holds"
    judged = decided(claim, seeds, found)
    assert judged.result == "cannot show at this scale" and "over test examples" in str(judged.test)
    assert over_examples(CLAIM, SimpleNamespace(trials=trials, scores={"t": scores})) is None


def results() -> Any:
    arms, seeds = ("claimed", "against"), range(3)
    trials = [
        {"trial_id": f"{arm}{seed}", "arm": arm, "seed": seed, "task": "t", "status": "ok", "data_digest": str(seed), "score": 0.5}
        for arm in arms
        for seed in seeds
    ]
    curves = [
        {"trial_id": trial["trial_id"], "flops": 10.0**step, "dev_score": 0.2 * step if trial["trial_id"] != "against2" else 0.1}
        for trial in trials
        for step in (1, 2, 3)
    ]
    frame = pd.DataFrame(trials)
    return SimpleNamespace(trials=frame.assign(**{"probe:density": np.arange(6) / 10}), curves=pd.DataFrame(curves))


def test_what_is_measured_takes_the_place_of_the_score() -> None:
    assert seed_scores(measured_by(CLAIM, results())).loc[1].to_dict() == {"claimed": 0.1, "against": 0.4}
    flops = dataclasses.replace(CLAIM, measure="flops_to:0.4")
    found = seed_scores(measured_by(flops, results()))
    assert found.loc[0].to_dict() == {"claimed": 2.0, "against": 2.0}, "the logarithm of 100 FLOPs"
    assert found.loc[2].to_dict() == {"claimed": 2.0, "against": np.inf}, "never, within what was spent"
    assert decided(flops, found).result == "cannot show at this scale", "one seed of three decides nothing"
    always = pd.DataFrame({"claimed": [2.0] * 9 + [3.0], "against": [np.inf] * 9 + [2.5]})
    assert decided(flops, always).result == "holds" and "9 of 10 seeds, later on 1" in decided(flops, always).measured
    turned = always.rename(columns={"claimed": "against", "against": "claimed"})
    assert decided(flops, turned).result == "does not hold"
    never = pd.DataFrame({"claimed": [np.inf] * 10, "against": [np.inf] * 10})
    assert decided(flops, never).reason == "p = 1.00"
    with pytest.raises(InputError, match="no measure"):
        measured_by(dataclasses.replace(CLAIM, measure="time"), results())


def test_arms_with_selections_become_a_suite_of_selections() -> None:
    one, other = ({"name": "rs2", "ratio": 0.1}, {"name": "static-random", "ratio": 0.1})
    claim = dataclasses.replace(CLAIM, arm=Arm("lora", {}, one), against=Arm("lora", {}, other))
    suite = suite_of(Known("rs2", None, claim), claim)
    assert suite.arms == ["selection"] and [spec.shown for spec in suite.selections] == ["claimed", "against"]
    assert [spec.config for spec in suite.selections] == [{"ratio": 0.1}] * 2 and str(claim.arm) == "lora on rs2 ratio 0.1"
    mixed = dataclasses.replace(claim, against=Arm("bitfit", {}, other))
    with pytest.raises(InputError, match="one method"):
        suite_of(Known("rs2", None, mixed), mixed)


def test_small_settings_reach_into_wrappers() -> None:
    assert small_config("deft", {"over": {"lora": {"rank": 1}}}) == {"epsilon": 0.1, "over": {"lora": {"rank": 1, "steps": 4}}}
    bench = Bench(Arm("bitfit", {}, {"name": "rs2", "ratio": 0.5}), Sizes(width=16))
    assert bench.new_run().selection is bench.selection is not None


def test_time_to_target() -> None:
    curve = time_to_target([3.0, 1.0, 2.0, 4.0], [0.9, 0.1, np.nan, 0.8], 0.8)
    assert (curve.value, curve.best, curve.spent) == (3.0, 0.9, 4.0)
    assert time_to_target([1.0, 2.0], [0.9, 0.3], 0.5, "lower").value == 2.0
    never = time_to_target([1.0, 2.0], [0.1, 0.2], 0.5)
    assert (never.value, never.best, never.spent, never.degenerate) == (None, 0.2, 2.0, "the target was never reached")
    assert time_to_target([], [], 0.5).degenerate == time_to_target([1.0], [np.nan], 0.5).degenerate == "no score was measured"
    with pytest.raises(ValueError, match="expected"):
        time_to_target([1.0, 2.0], [0.1], 0.5)
