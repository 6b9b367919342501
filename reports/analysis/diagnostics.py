"""Where the variance comes from, what could have been shown, and how much templates matter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..statistics.components import variance_components
from ..statistics.power import design_risk, detectable_difference, difference_precision, paired_t_detectable, seeds_needed
from ..statistics.reml import reml_components
from ..statistics.result import Floats, GeneraliseOver, TestResult
from ..statistics.templates import template_sensitivity
from .findings import Power, Shares, TemplateInteraction, Templates
from .grid import Grid, Table, paired_seeds
from .model import Column, Options, Standing

PLANNED_SEEDS = (3, 5, 10, 20, 50)


@dataclass(frozen=True)
class _Parts:
    """Variances of one cell by source; sizes : seeds, examples."""

    variances: Mapping[str, float]
    sizes: tuple[int, int]
    note: str | None = None


def _components(table: Table | None) -> _Parts | None:
    """Moment estimates of a complete table; REML where an example is missing from some seed, with a word where that lies on the boundary."""
    if table is None or table.values is None:
        return None
    done = np.array([status == "ok" for status in table.statuses])
    values = table.values[done] if len(done) == len(table.values) else table.values
    values = values[np.isfinite(values).any(axis=1)][:, np.isfinite(values).any(axis=0)]
    if values.ndim != 2 or min(values.shape) < 2:
        return None
    sizes = (int(values.shape[0]), int(values.shape[1]))
    if np.isfinite(values).all():
        complete = variance_components(values)
        return None if complete.degenerate else _Parts(complete.variances, sizes)
    found = reml_components(values)
    if found.degenerate:
        return None
    edge = f", {' and '.join(found.boundary)} at the boundary (0)" if found.boundary else ""
    return _Parts(found.variances, sizes, f"unbalanced cells by REML{edge}")


def variance_shares(grid: Grid) -> tuple[Shares, ...]:
    """Per column: components of each arm's runs (seeds, templates where several, examples), averaged over arms, as shares."""
    found = []
    for column in grid.columns:
        parts = [_components(grid.tables.get((arm, column.key))) for arm in grid.arms]
        usable = [part for part in parts if part is not None]
        if not usable:
            continue
        names = list(dict.fromkeys(name for part in usable for name in part.variances))
        totals = {name: float(np.mean([part.variances.get(name, 0.0) for part in usable])) for name in names}
        whole = sum(totals.values())
        notes = ["templates are averaged first"] if len(column.templates) > 1 else []
        notes += dict.fromkeys(part.note for part in usable if part.note)
        found.append(
            Shares(
                column=column.key, label=column.label, shares={name: value / whole for name, value in totals.items()},
                n_seeds=max(part.sizes[0] for part in usable), n_examples=max(part.sizes[-1] for part in usable), n_arms=len(usable),
                note="; ".join(notes) or None,
            )
        )  # fmt: skip
    return tuple(found)


def difference_table(a: Table | None, b: Table | None) -> Floats | None:
    """[seeds, examples] of a - b on common seeds with equal rows."""
    if a is None or b is None or a.values is None or b.values is None:
        return None
    pairs = paired_seeds(a, b)
    if len(pairs) < 2 or a.values.shape[1] != b.values.shape[1]:
        return None
    values = a.values[[i for i, _ in pairs]] - b.values[[j for _, j in pairs]]
    values = values[np.isfinite(values).any(axis=1)]
    values = values[:, np.isfinite(values).all(axis=0)]
    return values if values.shape[0] > 1 and values.shape[1] > 1 else None


def power_table(grid: Grid, rows: Sequence[Standing], options: Options) -> tuple[Power, ...]:
    """Per column, from the variance of the differences between neighbours on the board (median over up to 12 pairs)."""
    ranked = [row.arm for row in rows if row.ranked] or [row.arm for row in rows]
    pairs = list(itertools.pairwise(ranked))[:12]
    found = []
    for column in grid.columns:
        tables = [(grid.tables.get((a, column.key)), grid.tables.get((b, column.key))) for a, b in pairs]
        crossed = [d for d in (difference_table(a, b) for a, b in tables) if d is not None]
        found.append(_crossed_power(column, crossed, options) if crossed else _seed_power(column, tables, options))
    return tuple(found)


def _crossed_power(column: Column, differences: Sequence[Floats], options: Options) -> Power:
    parts = [variance_components(d).variances for d in differences]
    seed, example, rest = (float(np.median([p.get(name, 0.0) for p in parts])) for name in ("seed", "example", "remainder"))
    n_seeds = int(np.median([d.shape[0] for d in differences]))
    n_examples = int(np.median([d.shape[1] for d in differences]))

    def detect(s: int, e: int = n_examples) -> float | None:
        return detectable_difference(seed, example, rest, s, e, alpha=options.alpha)

    planned = {str(s): detect(s) for s in PLANNED_SEEDS}
    floor = detect(100_000)
    needed = None if floor is None or floor > options.relevant else _fewest(lambda s: (detect(s) or math.inf) <= options.relevant)
    note = None if needed else f"no number of seeds shows {options.relevant:g}: {n_examples} test examples hide it"
    se, df = difference_precision(seed, example, rest, n_seeds, n_examples) or (0.0, 1.0)
    return Power(
        column=column.key, label=column.label, n_seeds=n_seeds, n_examples=n_examples, detectable=detect(n_seeds), with_seeds=planned,
        floor=floor, seeds_for_relevant=needed, note=note, **_risk(se, df, options),
    )  # fmt: skip


def _risk(se: float, df: float, options: Options) -> dict[str, float | None]:
    """Type-M and type-S error at this standard error and the relevant difference, never at the observed one (that would restate p)."""
    found = design_risk(options.relevant, se, df=df, alpha=options.alpha)
    return {"exaggeration": found.exaggeration, "wrong_sign": found.type_s}


def _fewest(enough: Callable[[int], bool], most: int = 100_000) -> int | None:
    """The smallest number of seeds from 2 on that is enough, for a condition that stays true once it is."""
    low, high = 1, 2
    while not enough(high):
        low, high = high, high * 2
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _seed_power(column: Column, tables: Sequence[tuple[Table | None, Table | None]], options: Options) -> Power:
    """From the spread of runs alone, for results without examples: the difference of two unpaired means of as many runs."""
    seen = list({id(t): t for pair in tables for t in pair if t is not None}.values())
    over_examples = bool(seen) and all(t.summary is not None and t.summary[3] == "examples" for t in seen)
    known = [(sd, n) for sd, n in map(_spread, seen) if sd is not None and n is not None and n > 1]
    if not known:
        return Power(
            column=column.key, label=column.label, n_seeds=1, n_examples=column.n_examples or 0, detectable=None, with_seeds={}, floor=None,
            seeds_for_relevant=None, note="one run per arm: no variance is known", exaggeration=None, wrong_sign=None,
        )  # fmt: skip
    sd, n = float(np.median([sd for sd, _ in known])) * math.sqrt(2), int(np.median([n for _, n in known]))
    effect = paired_t_detectable(n, options.alpha)
    risk = _risk(sd / math.sqrt(n), n - 1, options)
    needed = seeds_needed(sd, n, options.relevant, alpha=options.alpha).planned if sd > 0 else None
    detectable = None if effect is None else effect * sd
    if over_examples:
        enough = f"; {needed:,} examples would show {options.relevant:g}".replace(",", " ") if needed else ""
        return Power(
            column=column.key, label=column.label, n_seeds=1, n_examples=n, detectable=detectable, with_seeds={}, floor=None,
            seeds_for_relevant=None, note=f"over examples, unpaired; nothing is known about seeds{enough}", **risk,
        )  # fmt: skip
    planned = {str(s): None if (e := paired_t_detectable(s, options.alpha)) is None else e * sd for s in PLANNED_SEEDS}
    return Power(
        column=column.key, label=column.label, n_seeds=n, n_examples=column.n_examples or 0, detectable=detectable, with_seeds=planned,
        floor=None, seeds_for_relevant=needed, note="from the spread of runs; seeds are not paired, examples not known", **risk,
    )  # fmt: skip


def _spread(table: Table) -> tuple[float | None, int | None]:
    """Standard deviation and number of the runs of a cell, or what a published summary says of them."""
    if table.summary is not None:
        return table.summary[1], table.summary[2]
    runs = table.runs[np.isfinite(table.runs)]
    return (float(runs.std(ddof=1)), len(runs)) if len(runs) > 1 else (None, None)


# --- templates ------------------------------------------------------------------------------------------------------------------------


def template_tables(grid: Grid, rows: Sequence[Standing]) -> tuple[tuple[Templates, ...], tuple[TemplateInteraction, ...]]:
    order = [row.arm for row in rows]
    sensitivity: list[Templates] = []
    interactions: list[TemplateInteraction] = []
    for column in grid.columns:
        if len(column.templates) < 2:
            continue
        arms, scores = _template_scores(grid, column, order)
        if not arms:
            continue
        found = template_sensitivity(scores, "higher" if column.higher_is_better else "lower")
        for i, arm in enumerate(arms):
            cell = scores[i].mean(axis=1)
            usable = len(found.worst_template) > i
            sensitivity.append(
                Templates(
                    column=column.key, label=column.label, arm=arm, means={t: float(v) for t, v in zip(column.templates, cell)},
                    spread=float(found.spread[i]) if usable else None, sd=float(found.sd[i]) if usable else None,
                    worst=column.templates[found.worst_template[i]] if usable else None,
                    best=column.templates[found.best_template[i]] if usable else None, noise=found.noise_spread, note=found.degenerate,
                )
            )  # fmt: skip
        if len(arms) > 1:
            flips = found.rank_flips
            interactions.append(
                TemplateInteraction(
                    column=column.key, label=column.label, n_templates=len(column.templates),
                    fixed=_f_test("methods on these templates", found.f.get("method"), found.pvalues.get("method"), "seeds", scores.shape, found.degenerate),
                    random=_f_test("methods on new templates", found.f_random, found.pvalue_random, "examples", scores.shape, found.degenerate, note="generalises over templates"),
                    interaction=_f_test("method x template", found.f.get("interaction"), found.pvalues.get("interaction"), "seeds", scores.shape, found.degenerate),
                    agreement=None if flips is None else 1 - flips,
                )
            )  # fmt: skip
    return tuple(sensitivity), tuple(interactions)


def _template_scores(grid: Grid, column: Column, order: Sequence[str]) -> tuple[list[str], Floats]:
    """Arms with every template on the same number of seeds: [arms, templates, seeds]."""
    arms, tables = [], []
    for arm in order:
        table = grid.tables.get((arm, column.key))
        if table is None or not table.by_template:
            continue
        values = np.stack([table.by_template[t] for t in column.templates])
        values = values[:, np.isfinite(values).all(axis=0)]
        if values.shape[1]:
            arms.append(arm)
            tables.append(values)
    if not arms:
        return [], np.zeros((0, 0, 0))
    width = min(values.shape[1] for values in tables)
    return arms, np.stack([values[:, :width] for values in tables])


def _f_test(
    name: str, f: float | None, p: float | None, over: GeneraliseOver, shape: tuple[int, ...], reason: str | None, note: str | None = None
) -> TestResult:
    kind: GeneraliseOver | None = None if note else over
    return TestResult(
        method=f"F test: {name}",
        n=shape[1],
        generalise_over=kind,
        statistic=f,
        pvalue=p,
        degenerate=reason if f is None else None,
        note=note,
    )
