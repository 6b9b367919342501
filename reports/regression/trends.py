"""What a series of runs says: its levels, its steps, and what the newest run should have scored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from ..statistics.result import spawn_rng
from .changepoints import Change, find_changes
from .history import Run, Series
from .limits import LEAST_HISTORY, prediction_limit
from .margins import Margins

TAIL = 0.01


@dataclass(frozen=True)
class Level:
    """Runs start .. stop - 1 (positions in the series) at one level; opened_by : why it is not the level before ("step", "environment", "start")."""

    start: int
    stop: int
    value: float
    opened_by: str


@dataclass(frozen=True)
class Trend:
    """A series with its levels and steps, and the newest run against its limit.

    changes : steps within stretches of one environment and task version, by position in the series
    limit : prediction limit of the newest run from the runs of its level before it, or, where these are fewer than 6, their mean -+ the margin
        (or -+ what seed noise alone explains, where that is more)
    """

    series: Series
    levels: tuple[Level, ...]
    changes: tuple[Change, ...]
    limit: float | None
    limit_source: str
    limit_start: int
    crossed: bool

    @property
    def newest(self) -> Run:
        return self.series.runs[-1]

    def changed_between(self, change: Change) -> tuple[str, str]:
        """Commits of the runs on either side of a step, or of the ends of its interval."""
        low = change.index if change.low is None else change.low
        high = change.index if change.high is None else change.high
        runs = self.series.runs
        return runs[max(low - 1, 0)].commit, runs[min(high, len(runs) - 1)].commit

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.series.name,
            "direction": self.series.direction,
            "runs": [vars(run) for run in self.series.runs],
            "levels": [vars(level) for level in self.levels],
            "changes": [vars(change) | {"between": list(self.changed_between(change))} for change in self.changes],
            "limit": self.limit,
            "limit_source": self.limit_source,
            "crossed": self.crossed,
        }


def find_trends(series: Sequence[Series], *, tail: float = TAIL, margins: Margins | None = None) -> list[Trend]:
    """Every series; `tail` is the chance that any newest run crosses its limit by noise, shared equally (Bonferroni)."""
    share = tail / max(len(series), 1)
    return [find_trend(one, tail=share, margins=margins) for one in series]


def find_trend(series: Series, *, tail: float = TAIL, margins: Margins | None = None) -> Trend:
    """Levels and steps of all runs, and the limit for the newest from the runs before it.

    A change of environment or task version starts a new stretch: a step at it says nothing about the code. The limit is found without the
    newest run, so that a loss does not widen it.
    """
    stretches = _stretches(series.runs)
    levels: list[Level] = []
    changes: list[Change] = []
    for number, positions in enumerate(stretches):
        found_levels, found_changes = _segments(series, positions, first=number == 0)
        levels += found_levels
        changes += found_changes
    limit, source, start = _limit(series, stretches[-1] if stretches else [], tail, margins or Margins())
    newest = series.runs[-1].score if series.runs else None
    crossed = limit is not None and newest is not None and (newest < limit if series.direction == "higher" else newest > limit)
    return Trend(series, tuple(levels), tuple(changes), limit, source, start, crossed)


def _stretches(runs: Sequence[Run]) -> list[list[int]]:
    """Positions of runs with a score, cut where environment or task version change."""
    stretches: list[list[int]] = []
    before: tuple[str, str] | None = None
    for position, run in enumerate(runs):
        here = (run.environment, run.task_version)
        if here != before:
            stretches.append([])
        before = here
        if run.score is not None:
            stretches[-1].append(position)
    return stretches


def _segments(series: Series, positions: list[int], *, first: bool) -> tuple[list[Level], list[Change]]:
    if not positions:
        return [], []
    found = find_changes(
        [_score(series.runs[position]) for position in positions], series.direction, rng=spawn_rng(0, "change point", series.label)
    )
    place = [*positions, positions[-1] + 1]
    opened = ["start" if first else "environment", *["step"] * len(found.segments)]
    levels = [Level(place[part.start], place[part.stop - 1] + 1, part.level, by) for part, by in zip(found.segments, opened)]
    changes = [
        Change(
            index=place[change.index], before=change.before, after=change.after, change=change.change, worse=change.worse,
            low=None if change.low is None else place[change.low], high=None if change.high is None else place[change.high],
        )
        for change in found.changes
    ]  # fmt: skip
    return levels, changes


def _score(run: Run) -> float:
    assert run.score is not None
    return run.score


def _limit(series: Series, positions: list[int], tail: float, margins: Margins) -> tuple[float | None, str, int]:
    """(limit, where it comes from, first run it rests on) for the newest run."""
    newest = len(series.runs) - 1
    before = [position for position in positions if position != newest]
    if newest not in positions:
        return None, "the newest run has no score", newest
    if not before:
        return None, "no earlier run in this environment", newest
    levels, _ = _segments(series, before, first=True)
    kept = [position for position in before if position >= levels[-1].start]
    runs = [series.runs[position] for position in kept]
    values = [_score(run) for run in runs]
    sign = 1.0 if series.direction == "higher" else -1.0
    if len(values) < LEAST_HISTORY:
        reach, why = _short_reach(series, runs, series.runs[newest], tail, margins)
        return float(np.mean(values)) - sign * reach, f"{why} from the mean of {len(values)} runs", kept[0]
    found = prediction_limit(values, tail=tail, side="lower" if sign > 0 else "upper", **_seed_errors(runs, series.runs[newest]))
    limit = found.ci_low if sign > 0 else found.ci_high
    if found.degenerate == "zero variance":
        return limit, f"{len(values)} runs with one and the same score", kept[0]
    return limit, f"{100 * (1 - tail):.4g}% prediction limit from {len(values)} runs", kept[0]


def _short_reach(series: Series, runs: Sequence[Run], newest: Run, tail: float, margins: Margins) -> tuple[float, str]:
    """How far from a short history's mean the limit lies: the margin, or what seeds alone make of the difference where that is more.

    t_{N - n, 1 - tail} sd sqrt(1 / S_new + 1 / N) over N seeds of n runs with pooled seed sd. A margin by itself would be crossed by noise.
    """
    sd = _seed_sd(runs)
    margin = margins.of(arm=series.name["arm"], task=series.name["task"], metric=series.name["metric"], seed_sd=sd, ceiling=series.ceiling)
    seeds = sum(run.n_ok for run in runs)
    if sd is None or seeds <= len(runs):
        return margin, f"margin {margin:.4g}"
    noise = float(stats.t.ppf(1 - tail, seeds - len(runs))) * sd * math.sqrt(1 / newest.n_ok + 1 / seeds)
    return (margin, f"margin {margin:.4g}") if margin >= noise else (noise, f"seed noise {noise:.4g}")


def _seed_sd(runs: Sequence[Run]) -> float | None:
    """Seed standard deviation, averaged over runs, from the standard errors of their means."""
    variances = [run.se**2 * run.n_ok for run in runs if run.se is not None]
    return float(np.sqrt(np.mean(variances))) if variances else None


def _seed_errors(runs: Sequence[Run], newest: Run) -> dict[str, Any]:
    """Standard errors for `prediction_limit`, needed where the newest run has another number of seeds than the others."""
    sd = _seed_sd(runs)
    if sd is None or {run.n_ok for run in runs} == {newest.n_ok}:
        return {}
    return {"history_se": [sd / np.sqrt(run.n_ok) for run in runs], "next_se": sd / float(np.sqrt(newest.n_ok))}
