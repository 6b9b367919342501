"""Which commits a lasting loss lies between, from the history table; `git bisect` does the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .changepoints import Change
from .history import Run, Series
from .trends import Trend


@dataclass(frozen=True)
class Suspects:
    """The commits on either side of the newest loss of a series: `good` was run before it, `bad` after it.

    sure : whether a step was found (its interval is the range); otherwise only the newest run is beyond its limit, and the range is the last two runs
    """

    trend: Trend
    good: str
    bad: str
    before: float
    after: float
    n_runs: int
    sure: bool


def matching(series: Sequence[Series], pattern: str) -> list[Series]:
    """Series whose arm, task, arm/task or arm/task/metric fits the glob."""
    return [one for one in series if any(fnmatchcase(text, pattern) for text in _names(one))]


def _names(series: Series) -> tuple[str, ...]:
    arm, task, metric = (series.name[part] for part in ("arm", "task", "metric"))
    return arm, task, f"{arm}/{task}", f"{arm}/{task}/{metric}", series.label


def find_suspects(trend: Trend) -> Suspects | None:
    """The newest step for the worse; failing that, a newest run beyond its limit; None where neither is there."""
    worse = [change for change in trend.changes if change.worse]
    runs = trend.series.runs
    if worse and not _is_one_run(worse[-1], runs):
        return _of_step(trend, worse[-1])
    scored = [i for i, run in enumerate(runs[:-1]) if run.score is not None]
    if not trend.crossed or not scored or trend.newest.score is None:
        return None
    before = runs[scored[-1]]
    return Suspects(trend, before.commit, trend.newest.commit, before.score or 0.0, trend.newest.score, 0, False)


def _is_one_run(change: Change, runs: Sequence[Run]) -> bool:
    """Whether a step rests on the newest run: two runs are the shortest level, and the one before may still belong to the level before."""
    score = runs[change.index].score
    return change.index == len(runs) - 2 and score is not None and abs(score - change.before) < abs(score - change.after)


def _of_step(trend: Trend, change: Change) -> Suspects:
    good, bad = trend.changed_between(change)
    low = change.index if change.low is None else change.low
    high = change.index if change.high is None else change.high
    return Suspects(trend, good, bad, change.before, change.after, max(high - low, 0), True)
