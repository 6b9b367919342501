"""The verdict of one cell from its difference, its family-wise p-values and its margin."""

from __future__ import annotations

from typing import Literal

from .margins import DELTA_MIN_SHARE

Verdict = Literal[
    "regressed", "severe", "non-inferior", "equivalent", "improved", "inconclusive", "broken", "fixed", "incomparable", "missing"
]
VERDICTS: tuple[Verdict, ...] = (
    "broken", "missing", "incomparable", "severe", "regressed", "inconclusive", "non-inferior", "equivalent", "improved", "fixed",
)  # fmt: skip
LOST: frozenset[Verdict] = frozenset({"regressed", "severe"})
GONE: frozenset[Verdict] = frozenset({"broken", "missing"})


def judge(
    estimate: float, low: float | None, high: float | None, *, p_loss: float | None, p_gain: float | None, margin: float, alpha: float
) -> Verdict:
    """The first that holds, for a difference whose losses are negative, with its unadjusted interval at 1 - 2 alpha.

    regressed : family-wise p <= alpha and estimate <= -margin / 2; severe : and the whole interval below -margin
    improved : family-wise p of a gain <= alpha; equivalent : interval within (-margin, margin); non-inferior : interval above -margin
    Without a p (one seed) nothing is claimed but what an interval of width 0 says.

    Equivalence and non-inferiority are not corrected for the family: "all cells hold" is an intersection-union test (Berger 1982).

    >>> judge(-0.03, -0.05, -0.012, p_loss=0.01, p_gain=1.0, margin=0.01, alpha=0.05)
    'severe'
    """
    if low is None or high is None:
        return "inconclusive"
    if p_loss is not None and p_loss <= alpha and high < 0 and estimate <= -DELTA_MIN_SHARE * margin:
        return "severe" if high < -margin else "regressed"
    if p_gain is not None and p_gain <= alpha and low > 0:
        return "improved"
    if -margin < low:
        return "equivalent" if high < margin else "non-inferior"
    return "inconclusive"
