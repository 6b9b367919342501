"""Claims about scores: both arms are trained over seeds as ordinary trials of a store, then compared on seeds.

The rule is fixed before anything is run. A claim holds if its whole interval lies on the claimed side (95% for better and not_worse,
90% within both margins for equivalent, which is two one-sided tests at 5%); it does not hold if the interval rules it out; between
the two, this scale cannot show it, and the smallest difference that would have been found is given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from harness.claims import Scores
from harness.errors import InputError
from harness.results import Results
from harness.suite import Suite

from ..analysis.examples import read_examples
from ..analysis.scale import weighted
from ..statistics import paired_t
from ..statistics.power import paired_t_detectable
from ..statistics.result import TestResult
from ..statistics.time_to_target import time_to_target
from .judge import Verdict
from .known import Known

ARM, AGAINST = "claimed", "against"


def judge_scores(known: Known, claim: Scores, store: Path) -> Verdict:
    from harness.api import run

    results = run(suite_of(known, claim), store=store)
    scores = seed_scores(measured_by(claim, results))
    missing = claim.seeds - len(scores)
    if missing:
        return Verdict("not run", reason=f"{missing} of {claim.seeds} seeds have no score in both arms", seeds=len(scores))
    return decided(claim, scores, over_examples(claim, results) if _still(scores) else None)


def _still(scores: pd.DataFrame) -> bool:
    return bool(np.ptp(scores[ARM] - scores[AGAINST]) < 1e-9)


def over_examples(claim: Scores, results: Results) -> TestResult | None:
    """The difference over test examples, a mean over tasks: for arms that no seed changes, whose interval over seeds would have no width.

    None where the measure is not the tasks' own metric, or that is no mean of examples.
    """
    if claim.measure != "score" or claim.against_measure not in (None, "score"):
        return None
    level = _level(claim)
    parts = []
    for task in claim.tasks:
        found = read_examples(results.scores[task]) if task in results.scores else None
        if found is None or not found.mean:
            return None
        trials = results.trials[(results.trials["task"] == task) & results.trials["trial_id"].isin(found.position)]
        rows = {arm: [found.position[name] for name in trials.loc[trials["arm"] == arm, "trial_id"]] for arm in (ARM, AGAINST)}
        parts.append(paired_t(*(found.values[rows[arm]].mean(axis=0) for arm in (ARM, AGAINST)), level=level))
    return weighted(parts, [1 / len(parts)] * len(parts), level=level, what="paired t")


def suite_of(known: Known, claim: Scores) -> Suite:
    """The two arms as a suite of its own, so that its trials are found again."""
    assert claim.against is not None
    arms = [(ARM, claim.arm), (AGAINST, claim.against)]
    chosen = [(label, arm.selection) for label, arm in arms if arm.selection is not None]
    if chosen:
        return _suite_of_selections(known, claim, chosen)
    if claim.arm.backbone is not None:
        return _suite_of_backbones(known, claim)
    return Suite.model_validate(
        {
            "suite": f"claim-{known.system}-{claim.name}",
            "question": claim.text,
            "backbones": claim.backbone,
            "methods": [{"name": arm.method, "label": label, "config": dict(arm.config)} for label, arm in arms],
            "tasks": list(claim.tasks),
            "shots": claim.shots,
            "seeds": claim.seeds,
            **claim.settings,
        }
    )


def _suite_of_backbones(known: Known, claim: Scores) -> Suite:
    """One method, on the backbones that are the arms; an arm that names none has the claim's."""
    assert claim.against is not None
    if (claim.arm.method, claim.arm.config) != (claim.against.method, claim.against.config):
        raise InputError("arms with backbones need one method", key=f"claims.{known.name}")
    arms = [(ARM, claim.arm), (AGAINST, claim.against)]
    suite: dict[str, Any] = {
        "suite": f"claim-{known.system}-{claim.name}",
        "question": claim.text,
        "arms": ["backbone"],
        "backbones": [{**(arm.backbone or {"name": claim.backbone}), "label": label} for label, arm in arms],
        "methods": [{"name": claim.arm.method, "config": dict(claim.arm.config)}],
        "tasks": list(claim.tasks),
        "shots": claim.shots,
        "seeds": claim.seeds,
        **claim.settings,
    }
    return Suite.model_validate(suite)


def _suite_of_selections(known: Known, claim: Scores, chosen: list[tuple[str, Mapping[str, Any]]]) -> Suite:
    """One method, whose selections are the arms."""
    if len(chosen) < 2 or claim.against is None or (claim.arm.method, claim.arm.config) != (claim.against.method, claim.against.config):
        raise InputError("arms with selections need one method, and a selection each", key=f"claims.{known.name}")
    return Suite.model_validate(
        {
            "suite": f"claim-{known.system}-{claim.name}",
            "question": claim.text,
            "arms": ["selection"],
            "backbones": claim.backbone,
            "methods": [{"name": claim.arm.method, "config": dict(claim.arm.config)}],
            "selections": [{**selection, "label": label} for label, selection in chosen],
            "tasks": list(claim.tasks),
            "shots": claim.shots,
            "seeds": claim.seeds,
            **claim.settings,
        }
    )


def measured_by(claim: Scores, results: Results) -> pd.DataFrame:
    """The trials with what the claim measures in the column `score`."""
    if claim.against_measure is None or claim.against_measure == claim.measure:
        return _measured_column(claim.measure, results)
    parts = ((ARM, claim.measure), (AGAINST, claim.against_measure))
    frames = [_measured_column(measure, results) for _, measure in parts]
    return pd.concat([frame[frame["arm"] == arm] for (arm, _), frame in zip(parts, frames)], ignore_index=True)


def _measured_column(measure: str, results: Results) -> pd.DataFrame:
    kind, _, name = measure.partition(":")
    if kind == "score":
        return results.trials
    if kind == "metric":
        return results.trials.assign(score=[_secondary(scores, name) for scores in results.trials["scores"]])
    if kind == "probe":
        return results.trials.assign(score=results.trials[measure])
    if kind != "flops_to":
        raise InputError(f"{measure!r} is no measure", expected="score, metric:NAME, probe:LABEL or flops_to:SCORE")
    return results.trials.assign(score=[_log_flops(results, trial_id, float(name)) for trial_id in results.trials["trial_id"]])


def _secondary(scores: Any, name: str) -> float:
    """A metric of a trial by name; NaN where the trial has no scores, or the metric is undefined there."""
    found = json.loads(scores).get(name) if isinstance(scores, str) else None
    return float("nan") if found is None else float(found)


def _log_flops(results: Results, trial_id: str, target: float) -> float:
    curve = results.curves[results.curves["trial_id"] == trial_id]
    found = time_to_target(curve["flops"], curve["dev_score"], target)
    if found.value is None:
        return float("nan" if found.best is None else "inf")  # never reached, within what was spent
    return float(np.log10(found.value))


def seed_scores(trials: pd.DataFrame) -> pd.DataFrame:
    """Mean score over tasks, [seed, arm]; only seeds in which every task of both arms was scored and drew the same rows."""
    done = trials[trials["status"] == "ok"]
    rows = done.groupby(["seed", "task"])["data_digest"].nunique()
    unequal = set(rows[rows > 1].index.get_level_values("seed"))
    table = done.pivot_table(index="seed", columns=["arm", "task"], values="score", aggfunc="mean")
    whole = table[~table.index.isin(unequal)].dropna()
    return whole.T.groupby(level="arm").mean().T if len(whole) else pd.DataFrame(columns=[ARM, AGAINST])


def _level(claim: Scores) -> float:
    return 0.90 if claim.relation == "equivalent" else 0.95


def decided(claim: Scores, scores: pd.DataFrame, examples: TestResult | None = None) -> Verdict:
    """The verdict on per-seed scores of both arms, columns `claimed` and `against`; on `examples` where no seed changes their difference."""
    if claim.relation == "steadier":
        return _steadier(scores)
    if not np.isfinite(scores.to_numpy(np.float64)).all():
        return _sooner(scores)
    found = paired_t(scores[ARM], scores[AGAINST], level=_level(claim))
    over = "over seeds"
    if examples is not None and examples.se:
        found, over = examples, "over test examples: no seed changes the difference"
    about: dict[str, Any] = {"measured": _measured(found), "seeds": len(scores), "test": f"{found.method}, {over}"}
    low, high = found.ci_low, found.ci_high
    if low is None or high is None:
        return Verdict("cannot show at this scale", reason=found.degenerate or "the difference has no interval", **about)
    holds, ruled_out = {
        "better": (low > 0, high < claim.margin),
        "not_worse": (low > -claim.margin, high < -claim.margin),
        "less": (high < 0, low > -claim.margin),
        "equivalent": (low > -claim.margin and high < claim.margin, low > claim.margin or high < -claim.margin),
    }[claim.relation]
    if holds or ruled_out:
        return Verdict("holds" if holds else "does not hold", **about)
    return Verdict("cannot show at this scale", reason=_power(scores, claim), **about)


def _sooner(scores: pd.DataFrame) -> Verdict:
    """Times, some never reached: an exact two-sided sign test at 5%. A seed on which only one arm gets there counts for it."""
    sooner, later = int((scores[ARM] < scores[AGAINST]).sum()), int((scores[ARM] > scores[AGAINST]).sum())
    reached = [int(np.isfinite(scores[arm]).sum()) for arm in (ARM, AGAINST)]
    about: dict[str, Any] = {
        "measured": f"sooner on {sooner} of {len(scores)} seeds, later on {later}; reached on {reached[0]} and {reached[1]}",
        "seeds": len(scores),
        "test": "sign test, over seeds: not every run got there",
    }
    p = float(stats.binomtest(sooner, sooner + later).pvalue) if sooner + later else 1.0
    if p < 0.05:
        return Verdict("holds" if sooner > later else "does not hold", **about)
    return Verdict("cannot show at this scale", reason=f"p = {p:.2f}", **about)


def _steadier(scores: pd.DataFrame) -> Verdict:
    """Spread over seeds, by the Brown-Forsythe form of Levene's test, one-sided at 5%."""
    spreads = [float(np.std(scores[arm], ddof=1)) for arm in (ARM, AGAINST)]
    about: dict[str, Any] = {
        "measured": f"standard deviation {spreads[0]:.3f} against {spreads[1]:.3f}",
        "seeds": len(scores),
        "test": "Levene's test on distances from the median (Brown and Forsythe), over seeds",
    }
    if max(spreads) == 0:
        return Verdict("cannot show at this scale", reason="neither varies", **about)
    p = float(stats.levene(scores[ARM], scores[AGAINST], center="median").pvalue) / 2  # one-sided: the spreads say which side
    if p < 0.05:
        return Verdict("holds" if spreads[0] < spreads[1] else "does not hold", **about)
    return Verdict("cannot show at this scale", reason=f"one-sided p = {p:.2f}", **about)


def _measured(found: TestResult) -> str:
    if found.estimate is None or found.ci_low is None or found.ci_high is None:
        return "no difference could be estimated"
    return f"{found.estimate:+.3f} [{found.ci_low:+.3f}, {found.ci_high:+.3f}] at {found.level:.0%}"


def _power(scores: pd.DataFrame, claim: Scores) -> str:
    spread = float(np.std(scores[ARM] - scores[AGAINST], ddof=1))
    detectable = paired_t_detectable(len(scores))
    smallest = f"{detectable * spread:.3f}" if detectable is not None else "none"
    return f"the interval does not decide a margin of {claim.margin:g}; found with power 0.8 at {len(scores)} seeds: {smallest} and more"
