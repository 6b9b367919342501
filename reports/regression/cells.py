"""The cells of two results views, joined: the same question asked on both sides, or the reason why it is not the same."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.errors import InputError
from harness.results import TRIAL_COLUMNS, Results

NEEDED = ("trial_id", "arm", "task", "metric", "seed", "status", "score")
# the same question as far as a reader can see: cells that agree in these but not in their block are shown as incomparable
VISIBLE = ("arm", "task", "template", "backbone", "selection", "shots", "demonstrations")
EXACT = (*VISIBLE, "block")
Key = tuple[str, ...]


@dataclass(frozen=True)
class CellSide:
    """One side of a cell: one row per seed, those that gave a score, and those that failed (a NaN score is a failure with its reason)."""

    rows: pd.DataFrame
    ok: pd.DataFrame
    failed: pd.DataFrame

    @property
    def supported(self) -> bool:
        return len(self.ok) + len(self.failed) > 0

    def first(self, column: str) -> Any:
        return self.rows[column].iloc[0]

    def reasons(self) -> str:
        """Why runs failed, each reason once."""
        texts = (f"{row.status}: {row.reason}" if as_text(row.reason) else str(row.status) for row in self.failed.itertuples())
        return "; ".join(dict.fromkeys(texts))


@dataclass(frozen=True)
class Cell:
    """A joined cell. One side is None where only the other asks; `mismatch` says why the two sides are not the same question."""

    key: Key
    baseline: CellSide | None
    current: CellSide | None
    mismatch: str | None = None

    @property
    def either(self) -> CellSide:
        side = self.baseline if self.baseline is not None else self.current
        assert side is not None
        return side

    def name(self, column: str) -> str:
        return as_text(self.either.first(column))


def as_text(value: Any) -> str:
    """Text of a cell of the frame: "" for nothing, whole floats (pandas' integers beside None) as integers."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def checked_trials(results: Results, side: str) -> pd.DataFrame:
    """The trials of one side, each question and seed once; empty, incomplete and contradicting views are refused."""
    frame = results.trials
    lacking = [column for column in NEEDED if column not in frame.columns]
    if lacking and len(frame):
        raise InputError(f"results without {', '.join(lacking)}", key=side, expected="give a store or a file written by `harness store export`")
    frame = frame.reindex(columns=list(TRIAL_COLUMNS)).astype(object)
    frame = frame[frame["status"] != "missing"]
    if frame.empty:
        raise InputError("holds no finished trial", key=side, expected="run the suite first")
    # one trial that two suites asked for is one result
    frame = frame.sort_values("suite", key=lambda column: column.map(as_text), kind="stable")
    listed = frame.groupby(["trial_id", "run_key"], sort=False, dropna=False)["suite"].transform(lambda suites: suites.map(as_text).nunique())
    frame = frame[~(frame.duplicated(["trial_id", "run_key"]) & (listed > 1) & frame["run_key"].notna())]
    frame = frame.assign(cell=[tuple(as_text(value) for value in row) for row in frame[list(EXACT)].itertuples(index=False, name=None)])
    double = frame[frame.duplicated(["cell", "seed"], keep=False)]
    if len(double):
        row = double.iloc[0]
        twins = double[(double["cell"] == row["cell"]) & (double["seed"] == row["seed"])]
        raise InputError(
            f"{len(twins)} results for {row['arm']} on {row['task']}, seed {as_text(row['seed'])} ({len(double)} such rows in all)",
            key=side, expected="keep one result per cell and seed, for instance in a store of its own for each version of the code",
        )  # fmt: skip
    return frame


def side_of(rows: pd.DataFrame) -> CellSide:
    rows = rows.sort_values("seed", kind="stable")
    rows = rows[rows["status"] != "unsupported"] if (rows["status"] != "unsupported").any() else rows
    scored = pd.to_numeric(rows["score"], errors="coerce").map(math.isfinite)
    answered = rows["status"] == "ok"
    undefined = rows[answered & ~scored].assign(status="failed", reason="the score is NaN or missing")
    failed = pd.concat([rows[~answered & (rows["status"] != "unsupported")], undefined]) if len(undefined) else rows[~answered & (rows["status"] != "unsupported")]
    return CellSide(rows, rows[answered & scored], failed)


def join(baseline: Results, current: Results) -> tuple[list[Cell], list[Cell]]:
    """(cells that the baseline has, cells that only the current side has), in the order of their names.

    Cells meet by arm and block. What is left on both sides meets by what is visible of it, as an incomparable cell with the difference named.
    """
    sides = [_by_cell(checked_trials(results, name)) for results, name in ((baseline, "baseline"), (current, "current"))]
    old, new = sides
    cells = [Cell(key, old[key], new[key], mismatch(old[key], new[key])) for key in old if key in new]
    left, right = ({key: side for key, side in here.items() if key not in there} for here, there in ((old, new), (new, old)))
    alike = _by_visible(right)
    for visible, [*candidates] in _by_visible(left).items():
        others = alike.get(visible, [])
        if len(candidates) == len(others) == 1:
            a, b = left.pop(candidates[0]), right.pop(others[0])
            cells.append(Cell(candidates[0], a, b, mismatch(a, b) or _difference("setting", a, b, "block")))
    if not cells:
        raise InputError(
            f"no cell in common: the baseline has {_names(old)}, the current results have {_names(new)}",
            expected="compare two runs of one suite",
        )
    cells += [Cell(key, side, None) for key, side in left.items()]
    # a cell that was never supported is not missed
    cells = [cell for cell in cells if any(side is not None and side.supported for side in (cell.baseline, cell.current))]
    added = [Cell(key, None, side) for key, side in right.items()]
    return sorted(cells, key=lambda cell: cell.key), sorted(added, key=lambda cell: cell.key)


def _by_cell(frame: pd.DataFrame) -> dict[Key, CellSide]:
    found = {}
    for key, rows in frame.groupby("cell", sort=False):
        mixed = [column for column in ("metric", "task_version", "higher_is_better") if rows[column].map(as_text).nunique() > 1]
        if mixed:
            values = ", ".join(sorted(set(rows[mixed[0]].map(as_text))))
            raise InputError(
                f"{rows['arm'].iloc[0]} on {rows['task'].iloc[0]} mixes {mixed[0].replace('_', ' ')}s {values}",
                expected="keep the results of each version in a store of its own",
            )
        found[key] = side_of(rows)
    return found


def _by_visible(cells: Iterable[Key]) -> dict[Key, list[Key]]:
    groups: dict[Key, list[Key]] = defaultdict(list)
    for key in cells:
        groups[key[: len(VISIBLE)]].append(key)
    return groups


def _names(cells: Iterable[Key]) -> str:
    names = list(dict.fromkeys(f"{key[0]} on {key[1]}" for key in cells))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def mismatch(a: CellSide, b: CellSide) -> str | None:
    """Why two sides of a cell do not ask the same question, or None."""
    for label, column in (("task version", "task_version"), ("metric", "metric"), ("direction", "higher_is_better")):
        if found := _difference(label, a, b, column):
            return found
    return _config_difference(a.rows, b.rows)


def _difference(label: str, a: CellSide, b: CellSide, column: str) -> str | None:
    old, new = as_text(a.first(column)), as_text(b.first(column))
    return None if old == new else f"{label} {old or 'none'} became {new or 'none'}"


def _config_difference(a: pd.DataFrame, b: pd.DataFrame) -> str | None:
    """Configurations are compared where the trial ids do not already say that the question is the same."""
    if set(a["trial_id"]) & set(b["trial_id"]):
        return None
    tuned = pd.to_numeric(pd.concat([a["tuning_trials"], b["tuning_trials"]]), errors="coerce").fillna(0) > 0
    # a tuned method's configuration is an outcome of the run
    if tuned.any():
        return None
    old, new = as_text(a["config"].iloc[0]), as_text(b["config"].iloc[0])
    return None if old == new else f"configuration changed: {_changed_settings(old, new)}"


def _changed_settings(old: str, new: str) -> str:
    try:
        before, after = json.loads(old or "{}"), json.loads(new or "{}")
        keys = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
        return ", ".join(f"{key} {json.dumps(before.get(key))} to {json.dumps(after.get(key))}" for key in keys)
    except (json.JSONDecodeError, TypeError):
        return f"{old or 'none'} to {new or 'none'}"
