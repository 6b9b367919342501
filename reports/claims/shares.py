"""Claims about a tool's share of cases: a Wilson interval against a bound, or McNemar's test of two settings on the same cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness import catalog
from harness.claims import Arm, Share
from harness.errors import InputError, unknown_name

from ..statistics.intervals import proportion_interval
from ..statistics.rank_tests import mcnemar_scores
from .judge import Verdict

ALPHA = 0.05


def judge_share(claim: Share) -> Verdict:
    """Holds where the whole interval reaches the bound; does not where none of it does; between the two, the cases are too few."""
    own = outcomes(claim.arm, claim.measure)
    if claim.against is not None:
        return _paired(own, outcomes(claim.against, claim.measure))
    assert claim.at_least is not None
    right, cases = int(own.sum()), len(own)
    if claim.at_least == 1:
        return Verdict("holds" if right == cases else "does not hold", measured=f"{right:,} of {cases:,}")
    interval = proportion_interval(right, cases)
    low, high = interval.ci_low, interval.ci_high
    if low is None or high is None:
        return Verdict("cannot show at this scale", reason=interval.degenerate or "there are no cases")
    measured = f"{right / cases:.3f} [{low:.3f}, {high:.3f}] of {cases:,} cases"
    if low >= claim.at_least or high < claim.at_least:
        return Verdict("holds" if low >= claim.at_least else "does not hold", measured=measured, test="Wilson interval at 95%")
    reason = f"the interval does not decide {claim.at_least:g} on {cases:,} cases"
    return Verdict("cannot show at this scale", measured=measured, reason=reason, test="Wilson interval at 95%")


def _paired(own: np.ndarray, other: np.ndarray) -> Verdict:
    found = mcnemar_scores(own.astype(float), other.astype(float))
    measured = f"{own.mean():.3f} against {other.mean():.3f} of {len(own):,} cases"
    if found.pvalue is None:
        return Verdict("cannot show at this scale", measured=measured, reason=found.degenerate or "no test")
    shown = f"p = {found.pvalue:.2g}" if found.pvalue > 0 else "p < 1e-300"
    about: dict[str, Any] = {"measured": f"{measured}, {shown}", "test": f"{found.method}, over cases"}
    if found.pvalue < ALPHA:
        return Verdict("holds" if own.mean() > other.mean() else "does not hold", **about)
    return Verdict("cannot show at this scale", reason="the two do not differ on these cases", **about)


def outcomes(arm: Arm, measure: str) -> np.ndarray:
    """bool [cases] of a tool's measure under the arm's configuration."""
    measures = catalog.load("tool", arm.method).measures
    if measure not in measures:
        raise unknown_name("measure", measure, measures)
    cases: np.ndarray = measures[measure](**arm.config)
    if cases.dtype != bool:
        raise InputError(f"measure {measure!r} of {arm.method} gives no bool cases", key="measure")
    return cases
