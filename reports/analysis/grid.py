"""From the results view to one grid per family: arms x columns, and in each cell runs [seeds] and examples [seeds, examples]."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.errors import InputError
from harness.identity import canonical
from harness.results import TRIAL_COLUMNS, Results

from ..statistics.result import Floats
from .examples import Examples, read_examples
from .model import Column

Ints = NDArray[np.intp]
FACTORS = ("task", "backbone", "shots", "demonstrations", "selection")
FAILED = ("failed", "diverged", "out_of_memory", "timed_out", "undefined")
STATUSES = ("ok", *FAILED, "unsupported", "missing")


@dataclass(frozen=True)
class Table:
    """A cell's numbers; `index` are positions in the grid's trials. Templates are averaged; a failed run holds the floor, or NaN where the task declares none.

    seeds : [S] replicate numbers; runs : [S]; complete : [S], failed runs NaN; values : [S, E] or None; digests : [S], "" where unknown, "*" for a failed run that left none
    by_template : template -> [S]; summary : (mean, sd, n, covers) of an imported cell without runs
    """

    index: Ints
    seeds: tuple[int, ...]
    runs: Floats
    complete: Floats
    statuses: tuple[str, ...]
    digests: tuple[str, ...]
    values: Floats | None
    by_template: Mapping[str, Floats]
    summary: tuple[float, float | None, int | None, str | None] | None


@dataclass(frozen=True)
class Grid:
    """One family. `tables` has no entry where an arm was never planned on a column; `examples` holds, per column, what its task's trials answered."""

    family: str
    trials: pd.DataFrame
    columns: tuple[Column, ...]
    arms: tuple[str, ...]
    tables: Mapping[tuple[str, str], Table]
    clusters: Mapping[str, tuple[str, ...] | None]
    example_ids: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = field(default=())
    examples: Mapping[str, Examples | None] = field(default_factory=dict)


def check(results: Results) -> pd.DataFrame:
    """The trials with every column present; what no report could be honest about is refused in one line."""
    trials = results.trials
    if len(trials) == 0:
        raise InputError("no trials in this store", expected="run a suite first, or import results: harness import FORMAT PATH --store DIR")
    absent = [name for name in ("family", "arm", "task", "metric", "seed", "status", "score") if name not in trials]
    if absent:
        raise InputError(f"the results view lacks {', '.join(absent)}")
    trials = trials.reindex(columns=list(TRIAL_COLUMNS)).copy()
    unknown = sorted(set(trials["status"].astype(str)) - set(STATUSES))
    if unknown:
        raise InputError(f"unknown status {unknown[0]!r}", expected=f"one of {', '.join(STATUSES)}")
    trials["score"] = pd.to_numeric(trials["score"], errors="coerce")
    bad = trials[(trials["status"] == "ok") & ~np.isfinite(trials["score"])]
    if len(bad):
        first = bad.iloc[0]
        raise InputError(
            f"{len(bad)} trial(s) are ok but have no finite score, the first: {first['arm']} on {first['task']}, seed {first['seed']}",
            expected="a finite score, or a status that says what failed",
        )
    if not (trials["status"] == "ok").any():
        reasons = trials["reason"].dropna()
        why = f"; the first reason: {reasons.iloc[0]}" if len(reasons) else ""
        raise InputError(f"none of the {len(trials)} trials has a score{why}")
    return trials


def build_grids(results: Results, families: Sequence[str] = ()) -> list[Grid]:
    """One grid per leaderboard family, in order of name."""
    trials = check(results)
    trials["family"] = trials["family"].fillna("all").astype(str)
    trials["arm"] = trials["arm"].astype(str)
    trials["imported"] = trials["imported"].eq(True)
    trials["block"] = trials["block"].map(_without_template)
    # one trial that two suites planned, or that was planned under two templates and uses none, is one result
    trials = trials.drop_duplicates(["family", "arm", "block", "template", "seed", "trial_id", "run_key"])
    known = sorted(trials["family"].unique())
    for name in families:
        if name not in known:
            raise InputError(f"unknown family {name!r}", expected=f"one of {', '.join(known)}")
    read = {task: read_examples(scores) for task, scores in results.scores.items()}
    chosen = [name for name in known if not families or name in families]
    return [_grid(name, trials[trials["family"] == name].copy(), read) for name in chosen]


def _grid(family: str, trials: pd.DataFrame, read: Mapping[str, Examples | None]) -> Grid:
    trials["column"] = _column_keys(trials)
    keys = ["arm", "column", "template", "seed"]
    trials["template"] = trials["template"].astype(object).where(trials["template"].notna(), "")
    twice = trials[trials.duplicated(keys, keep=False)]
    if len(twice):
        first = twice.iloc[0]
        raise InputError(
            f"two results for one cell: {first['arm']} on {first['column']}, seed {first['seed']} ({len(twice)} rows in all)",
            expected="`harness gc` keeps the newest run of each trial",
        )
    trials, notes = _counted(trials)
    columns = []
    for key, rows in sorted(trials.groupby("column", sort=True), key=lambda item: str(item[0])):
        if (rows["status"] != "unsupported").any():
            columns.append(_column(str(key), rows, read))
    trials = trials.sort_values(["arm", "column", "template", "seed"], kind="stable").reset_index(drop=True)
    arms = tuple(sorted(trials["arm"].unique()))
    tables: dict[tuple[str, str], Table] = {}
    by_key = {column.key: column for column in columns}
    of = {name: trials[name].to_numpy() for name in ("trial_id", "score", "score_n", "score_spread_covers", "data_digest", "template")}
    of |= {"score_sd": pd.to_numeric(trials["score_sd"], errors="coerce").to_numpy(dtype=np.float64)}
    of |= {"status": trials["status"].astype(str).to_numpy(dtype=object), "seed": trials["seed"].fillna(0).to_numpy(dtype=np.int64)}
    groups: Mapping[Any, Any] = trials.groupby(["arm", "column"], sort=True).indices
    for (arm, key), index in groups.items():
        if key in by_key:
            tables[str(arm), str(key)] = _table(np.asarray(index, dtype=np.intp), of, by_key[str(key)], read.get(by_key[str(key)].task))
    used = {column.key: read.get(column.task) for column in columns}
    return Grid(
        family=family,
        trials=trials,
        columns=tuple(columns),
        arms=arms,
        tables=tables,
        clusters={key: found.clusters if found else None for key, found in used.items()},
        example_ids={key: found.ids if found else () for key, found in used.items()},
        notes=notes,
        examples=used,
    )


def _counted(trials: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Without the columns that fewer than half of the arms were ever meant for: they would leave everyone else incomplete.

    The rule looks at what was planned, never at scores; a planned cell that is missing keeps its column.
    """
    arms = trials.groupby("column")["arm"].nunique()
    rare = sorted(str(key) for key in arms.index[arms < trials["arm"].nunique() / 2])
    if not rare or len(rare) == len(arms):
        return trials, ()
    named = ", ".join(rare[:6]) + (f" and {len(rare) - 6} more" if len(rare) > 6 else "")
    kept = trials[~trials["column"].isin(rare)]
    return kept, (f"{len(rare)} columns are left out, because fewer than half of the arms were run on them: {named}.",)


def _column_keys(trials: pd.DataFrame) -> pd.Series:
    """The task, and what else varies between blocks but not within one (within a block only the arm may differ)."""
    block = trials["block"].where(trials["block"].notna(), trials["task"]).astype(str)
    parts = [trials["task"].astype(str)]
    texts = {name: trials[name].map(_text) for name in (*FACTORS[1:], "task_version")}
    varying = [name for name, text in texts.items() if text.nunique() > 1 and text.groupby([trials["task"], block]).nunique().max() == 1]
    # a factor that follows from the task is no setting of its own
    varying = [name for name in varying if texts[name].groupby(trials["task"]).nunique().max() > 1]
    parts += [texts[name] for name in varying]
    key = parts[0]
    for part in parts[1:]:
        key = key + " · " + part
    # blocks that no known factor tells apart (dtype, precision): their own text does
    template = trials["template"].map(_text)
    blocks_per_key = block.groupby([key, template]).nunique()
    if blocks_per_key.max() > 1:
        key = key.where(block.groupby([key, template]).transform("nunique") <= 1, key + " · " + block)
    return key


def _without_template(block: Any) -> Any:
    """The template is a factor of its own; with it in the block, an arm that uses no template would stand in columns apart."""
    try:
        factors = json.loads(block)
    except (TypeError, ValueError):
        return block
    return canonical({name: value for name, value in factors.items() if name != "template"}) if isinstance(factors, dict) else block


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "-"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _column(key: str, rows: pd.DataFrame, read: Mapping[str, Examples | None]) -> Column:
    first = rows.iloc[0]
    for name in ("metric", "higher_is_better", "floor", "task_version"):
        values = rows[name].dropna().unique()
        if len(values) > 1:
            raise InputError(
                f"{key}: {name} differs between trials ({', '.join(map(str, values[:3]))})", expected="one report compares one"
            )
    found = read.get(str(first["task"]))
    higher = rows["higher_is_better"].dropna()
    return Column(
        key=key,
        label=key,
        task=str(first["task"]),
        context={name: _text(first[name]) for name in FACTORS[1:] if _text(first[name]) != "-" and rows[name].nunique() == 1},
        metric=str(first["metric"]),
        higher_is_better=bool(higher.iloc[0]) if len(higher) else True,
        floor=_number(first["floor"]),
        ceiling=_number(first["ceiling"]),
        task_version=None if pd.isna(first["task_version"]) else int(first["task_version"]),
        n_examples=len(found.ids) if found else _whole(rows["n_test"].max()),
        templates=tuple(sorted(t for t in rows["template"].unique() if t)),
        clustered=bool(found and found.clusters),
        tags=common_tags(rows),
        decomposable=bool(found and found.mean),
    )


def _table(index: Ints, of: Mapping[str, np.ndarray], column: Column, found: Examples | None) -> Table:
    """The cell of the trials at `index`, positions in the arrays `of` (one per column of the frame)."""
    spread = of["score_sd"][index]
    if len(index) == 1 and np.isfinite(spread[0]):
        summary = (float(of["score"][index[0]]), float(spread[0]), _whole(of["score_n"][index[0]]), of["score_spread_covers"][index[0]])
        return Table(index, (0,), of["score"][index], of["score"][index], ("ok",), ("",), None, {}, summary)
    ok, failed = of["status"][index] == "ok", np.isin(of["status"][index], FAILED)
    floor = np.nan if column.floor is None else column.floor
    score = of["score"][index]
    treated = np.where(ok, score, np.where(failed, floor, np.nan))
    planned, seed_of, template_of = ok | failed, of["seed"][index], of["template"][index]
    seeds = tuple(sorted({int(seed) for seed in seed_of[planned]}))
    of_seed = [np.flatnonzero((seed_of == seed) & planned) for seed in seeds]
    digests = [sorted({str(digest) for digest in of["data_digest"][index[part]] if isinstance(digest, str)}) for part in of_seed]
    # a failed run drew its rows too, only nothing says which: its floor pairs with whatever the partner drew
    digests = [digest or (["*"] if len(part) and failed[part].all() else []) for digest, part in zip(digests, of_seed)]
    return Table(
        index=index,
        seeds=seeds,
        runs=np.array([_mean(treated[part]) for part in of_seed]),
        complete=np.array([_mean(score[part][ok[part]]) for part in of_seed]),
        statuses=tuple(next((str(of["status"][index[i]]) for i in part if not ok[i]), "ok") for part in of_seed),
        digests=tuple("+".join(digest) for digest in digests),
        values=_values(of["trial_id"][index], of_seed, found, failed, floor),
        by_template={t: np.array([_mean(treated[part][template_of[part] == t]) for part in of_seed]) for t in column.templates},
        summary=None,
    )


def _values(ids: np.ndarray, of_seed: Sequence[Ints], found: Examples | None, failed: np.ndarray, floor: float) -> Floats | None:
    """[seeds, examples], mean over templates; a failed trial counts with the floor on every example."""
    if found is None or not of_seed:
        return None
    table = np.full((len(of_seed), len(found.ids)), np.nan)
    for position, part in enumerate(of_seed):
        parts = []
        for i in part:
            if failed[i]:
                parts.append(np.full(len(found.ids), floor))
            elif ids[i] in found.position:
                parts.append(found.values[found.position[ids[i]]])
            else:
                return None
        if parts:
            table[position] = parts[0] if len(parts) == 1 else np.mean(parts, axis=0)
    return table if np.isfinite(table).any() else None


def paired_seeds(a: Table, b: Table) -> list[tuple[int, int]]:
    """Positions of the seeds on which two arms drew the same rows and demonstrations."""
    of = {seed: j for j, seed in enumerate(b.seeds)}
    pairs = [(i, of[seed]) for i, seed in enumerate(a.seeds) if seed in of]
    return [
        (i, j) for i, j in pairs if a.digests[i] and b.digests[j] and (a.digests[i] == b.digests[j] or "*" in (a.digests[i], b.digests[j]))
    ]


def common_tags(rows: pd.DataFrame) -> tuple[str, ...]:
    """Tags that all of these trials have: the task's own on a column, the method's own on an arm."""
    common: set[str] | None = None
    for value in set(rows["tags"].map(lambda v: tuple(v) if isinstance(v, (tuple, list, np.ndarray)) else ())):
        common = {str(tag) for tag in value} if common is None else common & {str(tag) for tag in value}
    return tuple(sorted(common or ()))


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _whole(value: Any) -> int | None:
    return None if value is None or pd.isna(value) else int(value)
