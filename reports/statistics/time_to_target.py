"""How long a learning curve takes to reach a score, and how the times of two arms compare over seeds where some never arrive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .result import Direction


@dataclass(frozen=True, kw_only=True)
class TimeToTarget:
    """value : the first time at which the target was reached, None where it never was.  best : the best score of the curve, with the time spent on it all."""

    value: float | None
    best: float | None
    spent: float | None
    degenerate: str | None = None


def time_to_target(time: ArrayLike, score: ArrayLike, target: float, direction: Direction = "higher") -> TimeToTarget:
    """The first time at which a curve's score is `target` or better.

    time, score : [points], any unit of time that only grows (seconds, FLOPs, steps); points without a score (NaN) are left out. Nothing is
    interpolated: a score holds where it was measured, so curves should be measured at like intervals (Coleman et al. 2017, DAWNBench).

    >>> time_to_target([1e9, 2e9, 3e9], [0.5, 0.8, 0.7], 0.75).value
    2000000000.0
    >>> time_to_target([1.0, 2.0], [0.5, 0.6], 0.9).degenerate
    'the target was never reached'
    """
    times, scores = np.asarray(time, dtype=np.float64), np.asarray(score, dtype=np.float64)
    if times.shape != scores.shape or times.ndim != 1:
        raise ValueError(f"time and score: one [points] each expected, got shapes {times.shape} and {scores.shape}")
    measured = np.isfinite(scores) & np.isfinite(times)
    times, scores = times[measured], scores[measured]
    if not len(times):
        return TimeToTarget(value=None, best=None, spent=None, degenerate="no score was measured")
    order = np.argsort(times, kind="stable")
    times, scores = times[order], scores[order]
    reached = scores >= target if direction == "higher" else scores <= target
    best = float(scores.max() if direction == "higher" else scores.min())
    if not reached.any():
        return TimeToTarget(value=None, best=best, spent=float(times[-1]), degenerate="the target was never reached")
    return TimeToTarget(value=float(times[np.argmax(reached)]), best=best, spent=float(times[-1]))
