"""Exact segmentation of a series into constant pieces, and how noisy the series is apart from its steps."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ..statistics.result import Floats

Loss = Literal["squared", "absolute"]

MIN_LENGTH = 2  # one odd run is an outlier, not a level
RUNS_PER_STEP = 25  # steps that the noise estimate must survive: one in so many runs, at least one
# The correlation of a short series is hardly known: it is drawn towards a usual value as if that had been seen over 30 more runs, and kept under the
# largest for which the penalties are calibrated, or one step in 12 runs would pass for correlation.
USUAL_CORRELATION = 0.35
USUAL_RUNS = 30
LARGEST_CORRELATION = 0.6


def segment_costs(values: ArrayLike, weights: ArrayLike | None = None, loss: Loss = "squared") -> Floats:
    """cost[i, j] of values[i:j] around their own level: sum w (y - mean)^2, or sum |y - median|. [values, values + 1], inf where j <= i

    >>> segment_costs([1.0, 3.0, 8.0])[0].tolist()
    [inf, 0.0, 2.0, 26.0]
    >>> segment_costs([1.0, 3.0, 8.0], loss="absolute")[0].tolist()
    [inf, 0.0, 2.0, 7.0]
    """
    y = np.asarray(values, dtype=np.float64)
    if loss == "absolute":
        if weights is not None:
            raise ValueError("weights are for the squared loss")
        return _absolute_costs(y)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    # centred first: sums of squares of scores near 1 would lose the digits that a step of .001 stands in
    centred = y - (w @ y / w.sum() if len(y) else 0.0)
    weight, first, second = (np.concatenate([[0.0], np.cumsum(part)]) for part in (w, w * centred, w * centred**2))

    def between(total: Floats) -> Floats:
        return np.asarray(total[None, :] - total[:-1, None])

    start, stop = np.indices((len(y), len(y) + 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = between(second) - between(first) ** 2 / between(weight)
    return np.where(stop > start, np.maximum(cost, 0.0), np.inf)


def _absolute_costs(y: Floats) -> Floats:
    """Sum of distances from the running median, kept by two heaps as each segment grows."""
    n = len(y)
    cost = np.full((n, n + 1), np.inf)
    for start in range(n):
        below: list[float] = []  # negated: the largest of the lower half is first
        above: list[float] = []
        sum_below = sum_above = 0.0
        for stop in range(start, n):
            value = float(y[stop])
            moved = -heapq.heappushpop(below, -value)
            sum_below += value - moved
            heapq.heappush(above, moved)
            sum_above += moved
            if len(above) > len(below):
                moved = heapq.heappop(above)
                sum_above -= moved
                heapq.heappush(below, -moved)
                sum_below += moved
            median = -below[0]
            cost[start, stop + 1] = max(sum_above - sum_below + (len(below) - len(above)) * median, 0.0)
    return cost


def best_segmentation(costs: Floats, penalty: float, min_length: int = MIN_LENGTH) -> list[int]:
    """Boundaries 0 = b_0 < b_1 < ... < b_m = n that minimise the costs of the segments plus `penalty` for each. Exact, O(n^2).

    >>> best_segmentation(segment_costs([0.0, 0.1, 0.0, 5.0, 5.1, 5.0]), penalty=1.0)
    [0, 3, 6]
    """
    n = len(costs)
    best, previous = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=np.int64)
    best[0] = 0.0
    for stop in range(min_length, n + 1):
        total = best[: stop - min_length + 1] + costs[: stop - min_length + 1, stop]
        # of equal costs the fewest boundaries: a zero-cost series stays whole
        previous[stop] = int(np.argmin(total))
        best[stop] = total[previous[stop]] + penalty
    if not np.isfinite(best[n]):
        return [0, n]
    boundaries = [n]
    while boundaries[-1]:
        boundaries.append(int(previous[boundaries[-1]]))
    return boundaries[::-1]


def cost_per_count(costs: Floats, most_segments: int, min_length: int = MIN_LENGTH) -> Floats:
    """Smallest cost with exactly 1, 2, ... segments. [most_segments]

    >>> cost_per_count(segment_costs([0.0, 0.0, 4.0, 4.0]), 2).tolist()
    [16.0, 0.0]
    """
    n = len(costs)
    best = np.concatenate([[np.inf], costs[0, 1:]])
    best[:min_length] = np.inf
    found = [float(best[n])]
    for _ in range(1, most_segments):
        longer = np.full(n + 1, np.inf)
        for stop in range(2 * min_length, n + 1):
            longer[stop] = (best[: stop - min_length + 1] + costs[: stop - min_length + 1, stop]).min()
        best = longer
        found.append(float(best[n]))
    return np.array(found)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Standard deviation of single values about their level, correlation of neighbours, and the long-run standard deviation sd sqrt((1+r)/(1-r)).

    The long-run one is what the mean of a stretch varies by: positively correlated noise wanders, and wandering is not a step.
    """

    sd: float
    correlation: float

    @property
    def long_run_sd(self) -> float:
        return self.sd * float(np.sqrt((1 + self.correlation) / (1 - self.correlation)))


def estimate_noise(values: ArrayLike, weights: ArrayLike | None = None) -> Noise:
    """Noise of a series with steps, from differences at lags 1 and 2, which see a step only where they straddle it.

    For AR(1) noise the mean squared differences are 2 s^2 (1 - r) and 2 s^2 (1 - r^2), so r = ratio - 1, between 0 and .6 and shrunk. The largest squares,
    as many as one step in 25 runs can reach, are left out, and made up for by what that leaves of a normal law.
    Source of the two lags: Chakar et al. 2017, who take medians of them.

    >>> steps = np.repeat([0.0, 10.0], 100) + np.random.default_rng(0).normal(size=200)
    >>> estimate_noise(steps).sd.__round__(1)
    1.0
    """
    y = np.asarray(values, dtype=np.float64)
    n = len(y)
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64) / np.mean(np.asarray(weights, dtype=np.float64))
    steps = max(1, n // RUNS_PER_STEP)
    near, far = (_trimmed_mean_square(_scaled_differences(y, w, lag), lag * steps) for lag in (1, 2))
    if near <= 0:
        # most runs repeat the value before exactly: the few that do not are all there is to go by
        rest = _scaled_differences(y, w, 1)
        return Noise(sd=float(np.sqrt((rest**2).mean() / 2)) if len(rest) else 0.0, correlation=0.0)
    own = float(np.clip(far / near - 1, 0.0, LARGEST_CORRELATION))
    correlation = (n * own + USUAL_RUNS * USUAL_CORRELATION) / (n + USUAL_RUNS)
    return Noise(sd=float(np.sqrt(near / (2 * (1 - correlation)))), correlation=correlation)


def _scaled_differences(y: Floats, w: Floats, lag: int) -> Floats:
    return np.asarray((y[lag:] - y[:-lag]) / np.sqrt((1 / w[lag:] + 1 / w[:-lag]) / 2))


def _trimmed_mean_square(differences: Floats, left_out: int) -> float:
    squares = np.sort(differences**2)
    left_out = min(left_out, len(squares) - 2)
    if left_out < 0:
        return 0.0
    share = 1 - left_out / len(squares)
    # E[x^2; x^2 < edge] of a normal law is the chi-squared probability with 3 df
    return float(squares[: len(squares) - left_out].mean() / (stats.chi2.cdf(stats.chi2.ppf(share, 1), 3) / share))


def levels(values: ArrayLike, boundaries: Sequence[int], weights: ArrayLike | None = None, loss: Loss = "squared") -> Floats:
    """The level of each segment: weighted mean, or median under the absolute loss.

    >>> levels([1.0, 3.0, 8.0, 8.0], [0, 2, 4]).tolist()
    [2.0, 8.0]
    """
    y = np.asarray(values, dtype=np.float64)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    pieces = [slice(start, stop) for start, stop in itertools.pairwise(boundaries)]
    if loss == "absolute":
        return np.array([np.median(y[piece]) for piece in pieces])
    return np.array([w[piece] @ y[piece] / w[piece].sum() for piece in pieces])
