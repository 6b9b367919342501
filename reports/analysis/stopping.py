"""Looking at results more than once: what suites declared before, and what their stored plans show was added after results stood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from harness.results import Results

from ..statistics.sequential import planned_looks, unplanned
from .grid import FAILED
from .model import Options

FINISHED = ("ok", *FAILED)


def suites_of(results: Results, names: Sequence[str] | None = None) -> list[Mapping[str, Any]]:
    given = [suite for suite in results.provenance.get("suites", ()) if isinstance(suite, Mapping)]
    return [suite for suite in given if names is None or suite.get("suite") in names]


def at_this_look(options: Options, results: Results) -> Options:
    """alpha shared among the looks that all suites declared, where the seeds that were run are one of these looks."""
    declared = {tuple(suite.get("looks") or ()) for suite in suites_of(results)}
    looks = next(iter(declared)) if len(declared) == 1 else ()
    n = _seeds_run(results.trials)
    if not looks or options.looks or n not in looks:
        return replace(options, looks=looks) if looks else options
    alpha = planned_looks(len(looks), alpha=options.alpha)[looks.index(n)]
    return replace(options, alpha=alpha, level=1 - alpha, looks=looks)


def stopping_notes(trials: pd.DataFrame, results: Results, options: Options) -> tuple[str, ...]:
    """What a family's reader must know about looks: declared ones, and seeds that no plan named before results stood."""
    suites = suites_of(results, [str(name) for name in trials["suite"].dropna().unique()])
    if options.looks:
        n = _seeds_run(trials)
        named = _and([str(look) for look in options.looks])
        if n in options.looks:
            place = options.looks.index(n) + 1
            return (
                f"Looks after {named} seeds were declared in the suite. This is look {place} of {len(options.looks)}: tests and intervals "
                f"share α between the looks and stand at {options.alpha:.3g}.",
            )
        return (f"Optional stopping: looks after {named} seeds were declared, but {n} seeds were run, so p-values have no declared level.",)
    return tuple(note for suite in suites if (note := _added_later(trials, suite)))


def _added_later(trials: pd.DataFrame, suite: Mapping[str, Any]) -> str | None:
    """Seeds that a later plan added when results of earlier ones had been started."""
    planned: Mapping[str, str] = suite.get("seeds_planned") or {}
    if len(set(planned.values())) < 2:
        return None
    first = min(planned.values())
    before = [int(seed) for seed, when in planned.items() if when == first]
    mine = trials[(trials["suite"] == suite.get("suite")) & trials["status"].isin(FINISHED)]
    used = sorted({int(seed) for seed in mine["seed"].dropna()})
    extra = unplanned(before, used)
    added = min((when for seed, when in planned.items() if int(seed) in extra), default=None)
    started = mine[mine["seed"].isin(before)]["started"].dropna().astype(str)
    if not extra or added is None or not len(started) or _moment(started.min()) >= _moment(added):
        return None
    return (
        f"Optional stopping: seed{'s' if len(extra) > 1 else ''} {_and([str(seed) for seed in extra])} of suite {suite.get('suite')} "
        f"{'were' if len(extra) > 1 else 'was'} planned on {added[:10]}, when results of {len(before)} seed{'s' if len(before) > 1 else ''} "
        f"stood. If those decided it, p-values are too small: declare `looks` in the suite before its first run."
    )


def plans_are_known(trials: pd.DataFrame, results: Results) -> bool:
    """Whether one suite's stored plans say which seeds were meant, so that nothing has to be guessed from their numbers."""
    names = [str(name) for name in trials["suite"].dropna().unique()]
    found = suites_of(results, names)
    return len(names) == 1 and len(found) == 1 and bool(found[0].get("seeds_planned"))


def _moment(text: str) -> pd.Timestamp:
    return pd.to_datetime(text, utc=True)


def _seeds_run(trials: pd.DataFrame) -> int:
    return int(trials.loc[trials["status"].isin(FINISHED), "seed"].dropna().nunique())


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
