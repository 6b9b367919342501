"""Scores along a test-time stream: what adaptation during the test did, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.results import Results

from ..statistics.intervals import mean_interval
from .bounds import Bounds, bounded
from .findings import Stream
from .grid import Grid
from .model import Options, Standing

MOST_ARMS = 6


def along_streams(
    grid: Grid, results: Results, rows: Sequence[Standing], baselines: Sequence[str], options: Options, bounds: Mapping[str, Bounds]
) -> tuple[Stream, ...]:
    """For the baselines and the arms at the top, per column: mean over seeds at each step that every seed reached, with its t interval."""
    if not len(results.streams):
        return ()
    wanted = list(dict.fromkeys([*baselines, *(row.arm for row in rows)]))[:MOST_ARMS]
    of = grid.trials[grid.trials["arm"].isin(wanted) & (grid.trials["status"] == "ok")][["trial_id", "arm", "column", "seed"]]
    joined = results.streams.merge(of, on="trial_id")
    labels = {column.key: column.label for column in grid.columns}
    found = []
    for (key, arm), part in joined.groupby(["column", "arm"], sort=True):
        if key not in labels:
            continue
        # templates of one seed are averaged: seeds are what the band is over
        table = part.pivot_table(index="step", columns="seed", values="value", aggfunc="mean").dropna()
        if len(table) < 2:
            continue
        values = table.to_numpy(np.float64)
        points = [bounded(mean_interval(row, level=options.level, generalise_over="seeds"), bounds[str(key)]) for row in values]
        found.append(
            Stream(
                column=str(key), label=labels[str(key)], arm=str(arm), steps=tuple(float(step) for step in table.index.to_numpy(np.float64)),
                mean=tuple(point.estimate for point in points), low=tuple(point.ci_low for point in points),
                high=tuple(point.ci_high for point in points), n_seeds=table.shape[1],
            )
        )  # fmt: skip
    order = {arm: i for i, arm in enumerate(wanted)}
    return tuple(sorted(found, key=lambda stream: (stream.label, order[stream.arm])))
