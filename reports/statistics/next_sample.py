"""What to run next: the source of variance whose next level narrows the interval most per second, and how many would be enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from scipy import special

from .components import REMAINDER, VarianceComponents, mean_precision, pairs_of

MOST = 2**30  # levels of one axis; what these do not resolve, none do
UNSEEN = "cannot be told apart from noise: their variance is estimated as 0"


@dataclass(frozen=True)
class SampleOption:
    """What more levels of one axis would buy.

    floor : the difference that any number of levels of this axis alone would come down to, left by the other axes
    half_width_one_more, shrink_per_second, floor : None where the axis shows no variance of its own and had to
    n_needed, seconds_needed : None there, where no difference was named, and where the floor is above it; reason : which
    """

    axis: str
    n_now: int
    half_width_now: float
    half_width_one_more: float | None
    shrink_per_second: float | None
    n_needed: int | None
    seconds_needed: float | None
    floor: float | None
    reason: str | None


def planned_precision(components: VarianceComponents, sizes: Mapping[str, int]) -> tuple[float, float]:
    """(se, df) of the grand mean that these components would give with other numbers of levels."""
    names = components.axes
    counts = [sizes.get(name, now) for name, now in zip(names, components.sizes)]
    total = math.prod(counts)
    rest = components.variances.get(REMAINDER, 0.0)
    squares = {name: rest + total / count * components.variances[name] for name, count in zip(names, counts)}
    degrees = {name: count - 1 for name, count in zip(names, counts)}
    for i, j in pairs_of(names):
        pair = f"{names[i]}:{names[j]}"
        extra = total / (counts[i] * counts[j]) * components.variances[pair]
        squares[pair], degrees[pair] = rest + extra, (counts[i] - 1) * (counts[j] - 1)
        squares[names[i]] += extra
        squares[names[j]] += extra
    if REMAINDER in components.variances:
        squares[REMAINDER] = rest
        degrees[REMAINDER] = total - 1 - sum(degrees.values())
    return mean_precision(squares, degrees, names, total)


def next_best_sample(
    components: VarianceComponents,
    seconds: Mapping[str, float],
    *,
    difference: float | None = None,
    level: float = 0.95,
    power: float = 0.8,
    must_show: Collection[str] = (),
) -> tuple[SampleOption, ...]:
    """The axes named in `seconds` (cost of one more level), the one first that shrinks the interval most per second.

    `n_needed` is the number of levels of that axis alone at which (t_{1-a/2} + t_power) SE <= difference; None where the other axes'
    variance keeps it above for any number, which `reason` says with that floor. The difference is the user's, never the observed one.
    An axis in `must_show` whose component is estimated as 0 is predicted nothing and comes last: of two or three wordings a 0 says that they
    could not be told apart from noise, not that they do not matter, and a gain from more of them would be made of interactions alone.

    >>> from harness.reports.statistics.components import variance_components
    >>> found = variance_components([[0.6, 0.2, 0.9], [0.5, 0.3, 0.8], [0.7, 0.2, 0.8]])
    >>> next_best_sample(found, {"seed": 60.0, "example": 0.1})[0].axis
    'example'
    """
    unknown = set(seconds) - set(components.axes)
    if unknown or components.se is None:
        raise ValueError(f"no variance is known for {sorted(unknown) or 'this table'}")
    now = dict(zip(components.axes, components.sizes))

    def half_width(sizes: Mapping[str, int]) -> float:
        se, df = planned_precision(components, sizes)
        return se * float(special.stdtrit(df, (1 + level) / 2))

    # the quantiles of t without the argument checks of scipy.stats, which a comparison of thousands of cells would spend most of its time in
    def detectable(sizes: Mapping[str, int]) -> float:
        se, df = planned_precision(components, sizes)
        return se * float(special.stdtrit(df, (1 + level) / 2) + special.stdtrit(df, power))

    options = []
    for axis, cost in seconds.items():
        before = half_width(now)
        if axis in must_show and components.variances[axis] <= 0:
            options.append(SampleOption(axis, now[axis], before, None, None, None, None, None, UNSEEN))
            continue
        after, floor = half_width({**now, axis: now[axis] + 1}), detectable({**now, axis: MOST})
        needed = None if difference is None or floor > difference else _smallest(axis, now, detectable, difference)
        extra = None if needed is None else max(needed - now[axis], 0) * cost
        reason = None
        if difference is not None and needed is None:
            others = " and ".join(f"{name}s" for name in now if name != axis) or "the rest"
            reason = f"cannot resolve {difference:g}: the floor from {others} alone is {floor:.3g}"
        options.append(SampleOption(axis, now[axis], before, after, (before - after) / cost, needed, extra, floor, reason))
    return tuple(sorted(options, key=_most_first))


def _most_first(option: SampleOption) -> tuple[float, str]:
    return (math.inf if option.shrink_per_second is None else -option.shrink_per_second, option.axis)


def _smallest(axis: str, now: Mapping[str, int], detectable: Callable[[Mapping[str, int]], float], difference: float) -> int:
    """Bisection for the smallest number of levels at which the detectable difference is small enough, as at MOST it is."""
    low, high = 1, 2
    while high < MOST and detectable({**now, axis: high}) > difference:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if detectable({**now, axis: middle}) <= difference else (middle, high)
    return high
