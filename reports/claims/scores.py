"""Claims about scores: both arms are trained over seeds as ordinary trials of a store, then compared on seeds.

The rule is fixed before anything is run. A claim holds if its whole interval lies on the claimed side (95% for better and not_worse,
90% within both margins for equivalent, which is two one-sided tests at 5%); it does not hold if the interval rules it out; between
the two, this scale cannot show it, and the smallest difference that would have been found is given.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.claims import Scores
from harness.suite import Suite

from ..statistics import paired_t
from ..statistics.power import paired_t_detectable
from ..statistics.result import TestResult
from .judge import Verdict
from .known import Known

ARM, AGAINST = "claimed", "against"


def judge_scores(known: Known, claim: Scores, store: Path) -> Verdict:
    from harness.api import run

    trials = run(suite_of(known, claim), store=store).trials
    scores = seed_scores(trials)
    missing = claim.seeds - len(scores)
    if missing:
        return Verdict("not run", reason=f"{missing} of {claim.seeds} seeds have no score in both arms", seeds=len(scores))
    return decided(claim, scores)


def suite_of(known: Known, claim: Scores) -> Suite:
    """The two arms as a suite of its own, so that its trials are found again."""
    assert claim.against is not None
    arms = [(ARM, claim.arm), (AGAINST, claim.against)]
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


def seed_scores(trials: pd.DataFrame) -> pd.DataFrame:
    """Mean score over tasks, [seed, arm]; only seeds in which every task of both arms was scored and drew the same rows."""
    done = trials[trials["status"] == "ok"]
    rows = done.groupby(["seed", "task"])["data_digest"].nunique()
    unequal = set(rows[rows > 1].index.get_level_values("seed"))
    table = done.pivot_table(index="seed", columns=["arm", "task"], values="score", aggfunc="mean")
    whole = table[~table.index.isin(unequal)].dropna()
    return whole.T.groupby(level="arm").mean().T if len(whole) else pd.DataFrame(columns=[ARM, AGAINST])


def decided(claim: Scores, scores: pd.DataFrame) -> Verdict:
    """The verdict on per-seed scores of both arms, columns `claimed` and `against`."""
    found = paired_t(scores[ARM], scores[AGAINST], level=0.90 if claim.relation == "equivalent" else 0.95)
    about: dict[str, Any] = {"measured": _measured(found), "seeds": len(scores), "test": f"{found.method}, over seeds"}
    low, high = found.ci_low, found.ci_high
    if low is None or high is None:
        return Verdict("cannot show at this scale", reason=found.degenerate or "the difference has no interval", **about)
    holds, ruled_out = {
        "better": (low > 0, high < claim.margin),
        "not_worse": (low > -claim.margin, high < -claim.margin),
        "equivalent": (low > -claim.margin and high < claim.margin, low > claim.margin or high < -claim.margin),
    }[claim.relation]
    if holds or ruled_out:
        return Verdict("holds" if holds else "does not hold", **about)
    return Verdict("cannot show at this scale", reason=_power(scores, claim), **about)


def _measured(found: TestResult) -> str:
    if found.estimate is None or found.ci_low is None or found.ci_high is None:
        return "no difference could be estimated"
    return f"{found.estimate:+.3f} [{found.ci_low:+.3f}, {found.ci_high:+.3f}] at {found.level:.0%}"


def _power(scores: pd.DataFrame, claim: Scores) -> str:
    spread = float(np.std(scores[ARM] - scores[AGAINST], ddof=1))
    detectable = paired_t_detectable(len(scores))
    smallest = f"{detectable * spread:.3f}" if detectable is not None else "none"
    return f"the interval does not decide a margin of {claim.margin:g}; found with power 0.8 at {len(scores)} seeds: {smallest} and more"
