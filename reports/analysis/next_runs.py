"""What to run next: the seeds, templates or examples that narrow the difference of the two arms at the top most per second of compute."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..statistics.components import VarianceComponents, variance_components
from ..statistics.next_sample import SampleOption, next_best_sample
from ..statistics.result import Floats
from .diagnostics import difference_table
from .findings import NextSample
from .grid import FAILED, Grid, Table, paired_seeds
from .model import Column, Options, Standing

NO_TEMPLATE = "neither arm uses a template"
ONE_TEMPLATE = "one template only: run a second to see what templates add"
NOT_CROSSED = "not known: no two templates were run on the same two seeds of both arms"


@dataclass(frozen=True)
class _Crossed:
    """values : [seeds, templates, examples] of a - b, one "example" where only scores are known; why_no_templates : where templates are no axis."""

    values: Floats
    axes: tuple[str, ...]
    why_no_templates: str | None = None


def next_samples(grid: Grid, rows: Sequence[Standing], options: Options) -> tuple[NextSample, ...]:
    """For the two arms at the top, on every column: what one more seed, template and example would narrow, and how many resolve `relevant`.

    Templates are a random factor, as seeds and examples are, where two or more were run on the same two or more seeds of both arms: the interval then
    generalises over new wordings too. Elsewhere templates are averaged, and on a task that has any, their option says why nothing is predicted.
    """
    ranked = [row.arm for row in rows if row.ranked][:2]
    if len(ranked) < 2:
        return ()
    found: list[NextSample] = []
    for column in grid.columns:
        found += _of_column(grid, column, ranked[0], ranked[1], options)
    return tuple(found)


def _of_column(grid: Grid, column: Column, a: str, b: str, options: Options) -> list[NextSample]:
    table = _crossed(grid, column, a, b)
    if table is None:
        return []
    components = variance_components(table.values, table.axes)
    if components.se is None or components.degenerate is not None or len(components.axes) < 2:
        return []
    costs = _seconds(grid, column, (a, b))
    chosen = _options(components, {axis: costs[axis] for axis in components.axes} if costs else None, options)
    if table.why_no_templates:
        used = sum(bool(name) for name in _templates(grid, column, (a, b)))
        now = chosen[0].half_width_now
        chosen += (SampleOption("template", used, now, None, None, None, None, None, table.why_no_templates),)
    return [
        NextSample(
            column=column.key, label=column.label, a=a, b=b, over=components.axes, axis=option.axis, n_now=option.n_now,
            half_width_now=option.half_width_now, half_width_next=option.half_width_one_more, seconds_each=costs[option.axis] if costs else None,
            shrink_per_second=option.shrink_per_second if costs else None, n_needed=option.n_needed,
            seconds_needed=option.seconds_needed if costs else None, floor=option.floor, reason=option.reason,
        )
        for option in chosen
    ]  # fmt: skip


def _options(components: VarianceComponents, costs: Mapping[str, float] | None, options: Options) -> tuple[SampleOption, ...]:
    """In order of what a second buys; where no cost was measured, in order of what one more level buys."""
    seconds = costs or dict.fromkeys(components.axes, 1.0)
    return next_best_sample(components, seconds, difference=options.relevant, level=options.level, must_show=("template",))


# --- the table of differences ---------------------------------------------------------------------------------------------------------


def _crossed(grid: Grid, column: Column, a: str, b: str) -> _Crossed | None:
    """With templates as an axis where they can be one, else with templates averaged."""
    first, second = grid.tables.get((a, column.key)), grid.tables.get((b, column.key))
    names = [name for name in _templates(grid, column, (a, b)) if name]
    if first is not None and second is not None and len(names) > 1:
        values = _template_difference(grid, column, first, second)
        if values is not None:
            if values.shape[2] > 1:
                return _Crossed(values, ("seed", "template", "example"))
            return _Crossed(values[:, :, 0], ("seed", "template"))
    averaged = difference_table(first, second)
    if averaged is None:
        return None
    why = None
    if column.templates:
        why = NOT_CROSSED if len(names) > 1 else ONE_TEMPLATE if names else NO_TEMPLATE
    return _Crossed(averaged, ("seed", "example"), why)


def _templates(grid: Grid, column: Column, arms: Sequence[str]) -> tuple[str, ...]:
    """Of these arms' trials on this column; "" for an arm that uses none."""
    tables = [table for arm in arms if (table := grid.tables.get((arm, column.key))) is not None]
    names: set[str] = set()
    for table in tables:
        names |= set(grid.trials["template"].to_numpy()[table.index])
    return tuple(sorted(names))


def _template_difference(grid: Grid, column: Column, a: Table, b: Table) -> Floats | None:
    """[seeds, templates, examples] of a - b on the templates of both and the seeds that have them all; None under two of either.

    An arm that uses no template stands against every template of the other with the same run.
    """
    by_example = a.values is not None and b.values is not None
    of_a, of_b = _answers(grid, column, a, by_example), _answers(grid, column, b, by_example)
    names = [sorted({template for _, template in of if template}) for of in (of_a, of_b)]
    common = sorted(set(names[0]) & set(names[1])) if names[0] and names[1] else names[0] or names[1]
    keys = [
        [((a.seeds[i], name if names[0] else ""), (b.seeds[j], name if names[1] else "")) for name in common] for i, j in paired_seeds(a, b)
    ]
    whole = [row for row in keys if all(one in of_a and two in of_b for one, two in row)]
    if len(common) < 2 or len(whole) < 2:
        return None
    values = np.array([[of_a[one] - of_b[two] for one, two in row] for row in whole])
    values = values[:, :, np.isfinite(values).all(axis=(0, 1))]
    return values if values.shape[2] else None


def _answers(grid: Grid, column: Column, table: Table, by_example: bool) -> dict[tuple[int, str], Floats]:
    """(seed, template) -> [examples], or [1] with the score; a failed trial counts with the floor, as everywhere."""
    if table.summary is not None:
        return {}
    known = grid.examples.get(column.key) if by_example else None
    floor = np.nan if column.floor is None else column.floor
    found = {}
    names = ("seed", "template", "trial_id", "status", "score")
    for seed, template, trial, status, score in zip(*(grid.trials[name].to_numpy()[table.index] for name in names)):
        if status != "ok" and status not in FAILED:
            continue
        if status != "ok":
            values = np.full(len(known.ids) if known else 1, floor)
        else:
            values = known.values[known.position[trial]] if known else np.array([score], dtype=np.float64)
        found[int(seed), str(template)] = values
    return found


# --- costs ----------------------------------------------------------------------------------------------------------------------------


def _seconds(grid: Grid, column: Column, arms: Sequence[str]) -> dict[str, float] | None:
    """Seconds of one more level for both arms: a seed is run on every template, a template on every seed, an example by every run.

    From medians of the measured parts of a trial; None where an arm has no measured trial.
    """
    rows = grid.trials[(grid.trials["column"] == column.key) & grid.trials["arm"].isin(arms) & (grid.trials["status"] == "ok")]
    parts = {name: pd.to_numeric(rows[name], errors="coerce") for name in ("seconds_setup", "seconds_train", "seconds_evaluate")}
    measured = pd.concat(list(parts.values()), axis=1).notna().any(axis=1)
    if not set(arms) <= set(rows["arm"][measured]):
        return None
    seed = template = 0.0
    for arm in arms:
        of_arm = rows["arm"] == arm
        medians = [part[of_arm].median() for part in parts.values()]
        trial = sum(float(value) for value in medians if math.isfinite(value))
        names = set(rows["template"][of_arm])
        seed += trial * len(names)
        template += trial * rows["seed"][of_arm].nunique() if names != {""} else 0.0
    n_test = pd.to_numeric(rows["n_test"], errors="coerce").median()
    evaluate = float(parts["seconds_evaluate"].sum())
    example = evaluate / float(n_test) if n_test and math.isfinite(n_test) else 0.0
    return {"seed": max(seed, 1e-6), "template": max(template, 1e-6), "example": max(example, 1e-9)}
