"""Lasting steps in a series of scores over commits, and which of them are regressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..statistics.result import Direction, Floats, orient
from .segmentation import MIN_LENGTH, Loss, Noise, best_segmentation, cost_per_count, estimate_noise, levels, segment_costs

LEAST_RUNS = 8
FALSE_ALARMS = 0.05

# Penalty per step, in units of the long-run variance, at which at most 5 % of series without a step show one, for AR(1) noise with correlations from
# 0 to .5: the .95 quantiles that `calibrate_penalty` finds at .5, where they are largest. Measured at n = 50 (2000 series each): white noise 0.0 %,
# .3 0.9 %, .4 1.8 %, .5 5.0 %, and beyond the range .6 8 %, .7 19 %; a step of 2 sd in the middle is found in 92 % (white), 80 % (.3), 81 % (.5).
# 2 ln n = 7.8 would not do: neither the variance nor the correlation is known, and both are estimated from the same 50 runs.
PENALTIES: dict[Loss, tuple[tuple[int, float], ...]] = {
    "squared": ((8, 6.1), (10, 6.7), (12, 7.5), (16, 8.8), (20, 9.7), (30, 11.0), (50, 13.0), (75, 13.4), (100, 13.7), (300, 13.7)),
    "absolute": ((8, 2.7), (10, 3.1), (12, 3.3), (16, 3.7), (20, 4.0), (30, 4.7), (50, 5.4), (75, 5.5), (100, 5.7), (150, 6.1), (300, 6.1)),
}


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Runs start .. stop - 1 at one level; deviation : their mean absolute distance from it; best : the best single value among them."""

    start: int
    stop: int
    level: float
    best: float
    deviation: float


@dataclass(frozen=True, kw_only=True)
class Change:
    """A step between run `index - 1` and run `index`; change : after - before.

    low, high : interval for `index`, None where no bootstrap was asked for; worse : by the direction of the series
    """

    index: int
    before: float
    after: float
    change: float
    worse: bool
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, kw_only=True)
class History:
    """The series as segments and the changes between them."""

    segments: tuple[Segment, ...]
    changes: tuple[Change, ...]
    noise: Noise | None
    penalty: float | None
    loss: Loss
    direction: Direction
    n: int
    degenerate: str | None = None


def find_changes(
    values: ArrayLike,
    direction: Direction = "higher",
    *,
    standard_errors: ArrayLike | None = None,
    loss: Loss = "squared",
    penalty: float | None = None,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
) -> History:
    """Piecewise-constant levels that minimise sum w (y - level)^2 / v + penalty * segments exactly; w = 1 / se^2 if standard errors are given.

    v is the long-run variance of `estimate_noise`, so that correlated noise is not read as steps; segments hold two runs at least. "absolute" takes
    sum |y - median| instead, which single odd runs do not move (t noise on 3 df: 0 % false alarms, 6 % under the squared loss). The default penalty keeps
    false alarms at 5 % per series for AR(1) noise up to .5 (`PENALTIES`).
    With `rng` each step gets an interval for its place. values : runs in order of commits on one machine, none missing.

    >>> history = find_changes([0.80, 0.81, 0.79, 0.80, 0.80, 0.81, 0.75, 0.74, 0.76, 0.75, 0.75, 0.74])
    >>> [(change.index, round(change.change, 4), change.worse) for change in history.changes]
    [(6, -0.0533, True)]
    """
    y = np.asarray(values, dtype=np.float64)
    if y.ndim != 1 or not np.isfinite(y).all():
        raise ValueError("values: one series without missing runs expected")
    weights = None if standard_errors is None else _weights(standard_errors, y)
    if len(y) < LEAST_RUNS or np.ptp(y) == 0:
        reason = f"fewer than {LEAST_RUNS} runs" if len(y) < LEAST_RUNS else "zero variance"
        whole = _segments(y, [0, len(y)], weights, loss, direction) if len(y) else ()
        return History(segments=whole, changes=(), noise=None, penalty=None, loss=loss, direction=direction, n=len(y), degenerate=reason)
    noise = estimate_noise(y, weights)
    used = default_penalty(len(y), loss) if penalty is None else penalty
    costs = segment_costs(y, weights, loss)
    boundaries = best_segmentation(costs, used * _unit(noise, loss))
    segments = _segments(y, boundaries, weights, loss, direction)
    places: Sequence[tuple[int | None, int | None]] = [(None, None)] * (len(segments) - 1)
    if rng is not None and len(segments) > 1:
        places = [_place(y, segments, i, noise, rng, level, n_resamples) for i in range(len(segments) - 1)]
    sign = 1 if direction == "higher" else -1
    changes = tuple(
        Change(
            index=right.start, before=left.level, after=right.level, change=right.level - left.level,
            worse=sign * (right.level - left.level) < 0, low=low, high=high,
        )
        for left, right, (low, high) in zip(segments, segments[1:], places, strict=False)
    )  # fmt: skip
    return History(segments=segments, changes=changes, noise=noise, penalty=used, loss=loss, direction=direction, n=len(y))


def default_penalty(n: int, loss: Loss = "squared") -> float:
    """The calibrated penalty for n runs, between the tabulated lengths linear in log n; beyond the last it stays.

    >>> default_penalty(50)
    13.0
    """
    lengths, values = zip(*PENALTIES[loss], strict=True)
    return float(np.interp(np.log(max(n, 1)), np.log(lengths), values))


def calibrate_penalty(
    n: int, *, correlation: float, rng: np.random.Generator, n_series: int = 2000, loss: Loss = "squared", level: float = FALSE_ALARMS
) -> float:
    """The penalty that series of n runs of AR(1) noise without a step exceed with probability `level`: what PENALTIES was made with.

    A series shows a step exactly if some number of segments K saves more than (K - 1) penalties; up to 6 segments are tried.

    >>> 2 < calibrate_penalty(10, correlation=0.0, rng=np.random.default_rng(0), n_series=40) < 20
    True
    """
    largest = np.empty(n_series)
    for i in range(n_series):
        y = autoregressive(n, correlation, rng)
        found = cost_per_count(segment_costs(y, loss=loss), min(6, n // MIN_LENGTH))
        largest[i] = ((found[0] - found[1:]) / np.arange(1, len(found))).max() / _unit(estimate_noise(y), loss)
    return float(np.quantile(largest, 1 - level))


def autoregressive(n: int, correlation: float, rng: np.random.Generator) -> Floats:
    """Stationary AR(1) noise of variance 1: y_t = r y_{t-1} + sqrt(1 - r^2) e_t.

    >>> autoregressive(3, 0.5, np.random.default_rng(0)).shape
    (3,)
    """
    e = rng.standard_normal(n)
    for t in range(1, n):
        e[t] = correlation * e[t - 1] + np.sqrt(1 - correlation**2) * e[t]
    return e


@dataclass(frozen=True, kw_only=True)
class Regression:
    """The latest level against the best earlier one; steps : the changes for the worse since then, which may be several small ones."""

    latest: float
    best: float
    steps: tuple[Change, ...]


def find_regression(history: History, *, threshold: float = 0.0) -> Regression | None:
    """Whether the latest level is worse than the best earlier level by more than `threshold` (relative) and by more than the scatter of both.

    Losses add up over steps: three of 2 % since the best level are one of 6 %. None where there is no such loss.

    >>> history = find_changes([0.80, 0.81, 0.79, 0.80, 0.80, 0.81, 0.75, 0.74, 0.76, 0.75, 0.75, 0.74])
    >>> [step.index for step in find_regression(history, threshold=0.05).steps]
    [6]
    """
    if len(history.segments) < 2:
        return None
    oriented = orient([segment.level for segment in history.segments], history.direction)
    best = int(len(oriented) - 2 - np.argmax(oriented[-2::-1]))  # the last of equal levels
    top, latest = history.segments[best], history.segments[-1]
    loss = float(oriented[best] - oriented[-1])
    if loss <= max(threshold * abs(top.level), top.deviation, latest.deviation):
        return None
    return Regression(latest=latest.level, best=top.level, steps=tuple(change for change in history.changes[best:] if change.worse))


def latest_stretch(environments: Sequence[str]) -> slice:
    """The runs since the environment last changed: only those are comparable, a step at the change says nothing about the code.

    >>> latest_stretch(["torch 2.6", "torch 2.6", "torch 2.7", "torch 2.7"])
    slice(2, 4, None)
    """
    start = len(environments)
    while start and environments[start - 1] == environments[-1]:
        start -= 1
    return slice(start, len(environments))


def _weights(standard_errors: ArrayLike, y: Floats) -> Floats:
    errors = np.asarray(standard_errors, dtype=np.float64)
    if errors.shape != y.shape or not (errors > 0).all():
        raise ValueError("standard_errors: one positive number per run expected")
    weights = 1 / errors**2
    return np.asarray(weights / weights.mean())


def _unit(noise: Noise, loss: Loss) -> float:
    """The long-run variance, or under the absolute loss that per standard deviation: the unit in which a pure-noise split saves costs."""
    return noise.long_run_sd**2 if loss == "squared" else noise.long_run_sd**2 / noise.sd


def _segments(y: Floats, boundaries: Sequence[int], weights: Floats | None, loss: Loss, direction: Direction) -> tuple[Segment, ...]:
    pick = np.max if direction == "higher" else np.min
    pieces = list(zip(boundaries[:-1], boundaries[1:], levels(y, boundaries, weights, loss), strict=True))
    return tuple(
        Segment(start=a, stop=b, level=float(m), best=float(pick(y[a:b])), deviation=float(np.abs(y[a:b] - m).mean())) for a, b, m in pieces
    )


def _place(
    y: Floats, segments: Sequence[Segment], left: int, noise: Noise, rng: np.random.Generator, level: float, n_resamples: int
) -> tuple[int, int]:
    """Interval for one step's place: noise rebuilt from resampled innovations, the step put back, its place found anew between its neighbours."""
    first, second = segments[left], segments[left + 1]
    fitted = np.concatenate([np.full(s.stop - s.start, s.level) for s in segments])
    residuals = (y - fitted) * np.sqrt(len(y) / max(len(y) - len(segments), 1))
    innovations = residuals[1:] - noise.correlation * residuals[:-1]
    innovations = innovations - innovations.mean()
    window, split = second.stop - first.start, second.start - first.start
    drawn = rng.choice(innovations, size=(n_resamples, window))
    drawn[:, 0] = rng.choice(residuals, size=n_resamples)
    for t in range(1, window):
        drawn[:, t] += noise.correlation * drawn[:, t - 1]
    total = np.cumsum(drawn + np.where(np.arange(window) < split, first.level, second.level) - first.level, axis=1)
    at = np.arange(MIN_LENGTH, window - MIN_LENGTH + 1)
    before, whole = total[:, at - 1], total[:, -1:]
    found = at[np.argmax(before**2 / at + (whole - before) ** 2 / (window - at), axis=1)]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return int(first.start + low), int(first.start + high)
