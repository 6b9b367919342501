"""How small a difference a comparison can see, and how many more seeds it would need."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from .result import TIE_TOLERANCE, Floats

MOST_SEEDS = 100_000  # beyond this the answer is "not by more seeds"


def power_paired_t(dz: float, n: float, alpha: float = 0.05) -> float | None:
    """Probability that a two-sided paired t-test on n pairs rejects when the mean difference is dz standard deviations of the differences.

    Noncentral t with n - 1 degrees of freedom and noncentrality dz sqrt(n); both tails are counted. None for n < 2.

    >>> round(power_paired_t(1.0, 5), 4)
    0.4014
    """
    if n < 2 or not math.isfinite(dz):
        return None
    return _power_t(dz, n, alpha)


def _power_t(dz: float, n: float, alpha: float) -> float:
    critical, shift = stats.t.ppf(1 - alpha / 2, n - 1), dz * math.sqrt(n)
    tails = [float(stats.nct.sf(critical, n - 1, shift)), float(stats.nct.cdf(-critical, n - 1, shift))]
    # scipy gives nan for a tail too small to compute
    return min(sum(tail for tail in tails if math.isfinite(tail)), 1.0)


def paired_t_sample_size(dz: float, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """Pairs needed for `power`, fractional (round up in use); None where dz is 0.

    >>> round(paired_t_sample_size(1.0), 4)
    9.9378
    """
    if not math.isfinite(dz) or dz == 0 or _power_t(dz, MOST_SEEDS, alpha) < power:
        return None
    if _power_t(dz, 2, alpha) >= power:
        return 2.0
    return float(optimize.brentq(lambda n: _power_t(dz, n, alpha) - power, 2, MOST_SEEDS, xtol=1e-10))


def paired_t_detectable(n: float, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """Smallest standardised difference dz that n pairs detect with `power`; None for n < 2.

    >>> round(paired_t_detectable(5), 3)
    1.682
    """
    if n < 2:
        return None
    return float(optimize.brentq(lambda dz: _power_t(dz, n, alpha) - power, 0, 1e3, xtol=1e-12))


@dataclass(frozen=True, kw_only=True)
class DetectableGrid:
    """Smallest detectable differences over numbers of seeds and examples.

    values : [len(seeds), len(examples)]; floor : [len(examples)], what is left when seeds are unlimited
    """

    seeds: tuple[int, ...]
    examples: tuple[int, ...]
    values: Floats
    floor: Floats
    alpha: float
    power: float


def detectable_difference(
    var_seed: float,
    var_example: float,
    var_rest: float,
    seeds: int,
    examples: int,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float | None:
    """(t_{1-alpha/2} + t_{power}) sqrt(var_seed / S + var_example / E + var_rest / (S E)) for a difference over seeds and examples.

    The variances are components of the *differences* of two methods, negatives counted as 0. Degrees of freedom: Satterthwaite on the expected mean
    squares, at least min(S, E) - 1, as in the test that the plan is for. None with fewer than two seeds or examples.

    >>> round(detectable_difference(1e-4, 0.2, 0.0, 5, 500), 4)
    0.0575
    """
    found = difference_precision(var_seed, var_example, var_rest, seeds, examples)
    if found is None:
        return None
    se, freedom = found
    return float((special.stdtrit(freedom, 1 - alpha / 2) + special.stdtrit(freedom, power)) * se) if se else 0.0


def difference_precision(var_seed: float, var_example: float, var_rest: float, seeds: int, examples: int) -> tuple[float, float] | None:
    """(SE, df) that a crossed test of a difference is planned with; None with fewer than two seeds or examples. Terms as in `detectable_difference`.

    >>> se, df = difference_precision(1e-4, 0.2, 0.0, 5, 500)
    >>> round(se, 4), round(df)
    (0.0205, 419)
    """
    if seeds < 2 or examples < 2:
        return None
    seed, example, rest = (max(v, 0.0) for v in (var_seed, var_example, var_rest))
    variance = seed / seeds + example / examples + rest / (seeds * examples)
    if variance == 0:
        return 0.0, float(min(seeds, examples) - 1)
    squares = [(examples * seed + rest, seeds - 1), (seeds * example + rest, examples - 1), (-rest, (seeds - 1) * (examples - 1))]
    spread = sum(square**2 / freedom for square, freedom in squares)
    freedom = max(sum(square for square, _ in squares) ** 2 / spread, min(seeds, examples) - 1)
    return math.sqrt(variance), float(freedom)


def detectable_grid(
    var_seed: float,
    var_example: float,
    var_rest: float,
    seeds: ArrayLike,
    examples: ArrayLike,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> DetectableGrid:
    """`detectable_difference` for every number of seeds and of examples, with the floor that more seeds cannot pass: sqrt(var_example / E) in the formula.

    >>> detectable_grid(1e-4, 0.2, 0.1, [3, 5, 1000], [500]).values.round(4).ravel()
    array([0.064 , 0.0604, 0.0562])
    """
    s, e = ([int(v) for v in np.atleast_1d(np.asarray(axis))] for axis in (seeds, examples))
    cells = [[detectable_difference(var_seed, var_example, var_rest, i, j, alpha=alpha, power=power) for j in e] for i in s]
    floor = [
        math.nan if j < 2 else (stats.t.ppf(1 - alpha / 2, j - 1) + stats.t.ppf(power, j - 1)) * math.sqrt(max(var_example, 0.0) / j)
        for j in e
    ]
    return DetectableGrid(
        seeds=tuple(s), examples=tuple(e), values=np.array(cells, dtype=np.float64), floor=np.array(floor), alpha=alpha, power=power
    )


def power_mcnemar(n: int, p01: float, p10: float, alpha: float = 0.05) -> float | None:
    """Exact power of the exact McNemar test with n examples of which shares p01 and p10 are discordant either way.

    Sum over the number of discordant examples m ~ Bin(n, p01 + p10) of the probability that the split of m, Bin(m, p01 / (p01 + p10)), is rejected.
    Source of the setting: Card et al. 2020, "With little power comes great responsibility".

    >>> round(power_mcnemar(500, 0.08, 0.04), 4)
    0.7026
    """
    if n < 1 or p01 < 0 or p10 < 0 or p01 + p10 > 1 or p01 + p10 == 0:
        return None
    m = np.arange(1, n + 1)
    # largest c with 2 P(Bin(m, 1/2) <= c) <= alpha; -1 where no split of m can be rejected
    c = stats.binom.ppf(alpha / 2, m, 0.5)
    c = np.where(2 * stats.binom.cdf(c, m, 0.5) <= alpha * (1 + TIE_TOLERANCE), c, c - 1)
    share = p01 / (p01 + p10)
    rejected = np.where(c >= 0, stats.binom.cdf(c, m, share) + stats.binom.sf(m - c - 1, m, share), 0.0)
    return float(np.sum(stats.binom.pmf(m, n, p01 + p10) * rejected))


def miller_sample_size(
    omega2: float,
    sigma2_a: float,
    sigma2_b: float,
    delta: float,
    *,
    answers_a: int = 1,
    answers_b: int = 1,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float | None:
    """Examples needed to see a difference `delta` over examples: (z_{alpha/2} + z_{power})^2 (omega2 + sigma2_a / K_a + sigma2_b / K_b) / delta^2.

    omega2 : variance of the conditional mean difference between examples; sigma2 : variance of one answer to an example; K : answers per example.
    Source: Miller 2024, "Adding error bars to evals", section on power. Fractional (round up in use); None where delta is 0.

    >>> math.ceil(miller_sample_size(1 / 9, 1 / 6, 1 / 6, 0.03))
    3876
    """
    if delta == 0:
        return None
    z = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)
    return float(z**2 * (omega2 + sigma2_a / answers_a + sigma2_b / answers_b) / delta**2)


@dataclass(frozen=True, kw_only=True)
class SeedsNeeded:
    """Seeds for `power` at the smallest relevant difference.

    planned : at the upper limit of the standard deviation, the number to run; at_estimate : at the observed one, optimistic in half of all cases
    """

    planned: int | None
    at_estimate: int | None
    sd: float
    sd_upper: float | None
    relevant_difference: float
    alpha: float
    power: float
    degenerate: str | None = None


def seeds_needed(
    sd: float, n: int, relevant_difference: float, *, alpha: float = 0.05, power: float = 0.8, sd_confidence: float = 0.8
) -> SeedsNeeded:
    """Smallest number of seeds at which a paired t-test finds `relevant_difference` with `power`.

    sd : standard deviation of the paired differences over n seeds; its one-sided upper limit is sd sqrt((n - 1) / chi2_{1 - confidence, n - 1}).
    The difference is the smallest that the user cares about, never the observed one: power at the observed effect says no more than the p-value.

    >>> seeds_needed(0.01, 5, 0.01).planned
    22
    """

    def result(planned: int | None, estimate: int | None, upper: float | None, reason: str | None) -> SeedsNeeded:
        return SeedsNeeded(
            planned=planned, at_estimate=estimate, sd=sd, sd_upper=upper, relevant_difference=relevant_difference,
            alpha=alpha, power=power, degenerate=reason,
        )  # fmt: skip

    if relevant_difference == 0:
        return result(None, None, None, "no relevant difference given")
    if n < 2 or not math.isfinite(sd):
        return result(None, None, None, "fewer than two seeds: seed variance unknown")
    if sd == 0:
        return result(None, None, 0.0, "zero variance")
    upper = sd * math.sqrt((n - 1) / float(stats.chi2.ppf(1 - sd_confidence, n - 1)))
    planned, estimate = (_whole(paired_t_sample_size(abs(relevant_difference) / scale, alpha, power)) for scale in (upper, sd))
    return result(planned, estimate, upper, None if planned else f"more than {MOST_SEEDS} seeds")


def _whole(n: float | None) -> int | None:
    return None if n is None else max(2, math.ceil(n - 1e-9))


@dataclass(frozen=True, kw_only=True)
class DesignRisk:
    """What significance means at this standard error if the true effect is `effect`.

    type_s : probability that a significant estimate has the wrong sign; exaggeration (type M) : mean of its size over the true size
    """

    effect: float
    se: float
    power: float | None
    type_s: float | None
    exaggeration: float | None
    degenerate: str | None = None


def design_risk(effect: float, se: float, *, df: float | None = None, alpha: float = 0.05) -> DesignRisk:
    """Power, type-S and type-M risk of an estimate ~ effect + se t_df (normal without df), in closed form.

    Source: Gelman and Carlin 2014, "Beyond power calculations"; their simulation of the shifted t, integrated: the mean of t over (c, inf) is
    density(c) (df + c^2) / (df - 1).

    >>> design_risk(1.0, 1.0).exaggeration.__round__(2)
    2.49
    """
    if effect == 0 or se <= 0 or not math.isfinite(effect / se):
        reason = "effect of zero" if effect == 0 else "no standard error"
        return DesignRisk(effect=effect, se=se, power=None, type_s=None, exaggeration=None, degenerate=reason)
    law = stats.norm() if df is None else stats.t(df)
    critical, shift = float(law.ppf(1 - alpha / 2)), abs(effect) / se
    above, below = critical - shift, -critical - shift
    right, wrong = float(law.sf(above)), float(law.cdf(below))
    if df is not None and df <= 1:
        return DesignRisk(
            effect=effect, se=se, power=right + wrong, type_s=wrong / (right + wrong), exaggeration=None, degenerate="no mean at df <= 1"
        )
    tails = [float(law.pdf(c)) * (1.0 if df is None else (df + c**2) / (df - 1)) for c in (above, below)]
    # E|estimate| over the significant region, in units of se
    size = shift * (right - wrong) + sum(tails)
    return DesignRisk(
        effect=effect, se=se, power=right + wrong, type_s=wrong / (right + wrong), exaggeration=size / (shift * (right + wrong))
    )
