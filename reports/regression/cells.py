"""The cells of two results views, joined: the same question asked on both sides, or the reason why it is not the same."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import InputError
from harness.results import TRIAL_COLUMNS, Results

from ..statistics.result import Floats

NEEDED = ("trial_id", "arm", "task", "metric", "seed", "status", "score")
# the same question as far as a reader can see: cells that agree in these but not in their block are shown as incomparable
VISIBLE = ("arm", "task", "template", "backbone", "selection", "shots", "demonstrations")
EXACT = (*VISIBLE, "block")
Key = tuple[str, ...]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class CellSide:
    """One side of a cell: one row per seed, those that gave a score, and those that failed (a NaN score is a failure with its reason)."""

    rows: tuple[Row, ...]
    ok: tuple[Row, ...]
    failed: tuple[Row, ...]

    @property
    def supported(self) -> bool:
        return len(self.ok) + len(self.failed) > 0

    @property
    def scores(self) -> Floats:
        return np.array([float(row["score"]) for row in self.ok])

    def seeds(self, which: str = "rows") -> list[Any]:
        """Seeds of the `rows`, of those that are `ok`, or of those that `failed`."""
        return [row["seed"] for row in getattr(self, which)]

    def with_seeds(self, seeds: Sequence[Any]) -> CellSide:
        """The same side with the successful runs of these seeds, in their order."""
        by_seed = {row["seed"]: row for row in self.ok}
        return CellSide(self.rows, tuple(by_seed[seed] for seed in seeds), self.failed)

    def first(self, column: str) -> Any:
        return self.rows[0][column]

    def reasons(self) -> str:
        """Why runs failed, each reason once."""
        texts = (f"{row['status']}: {row['reason']}" if as_text(row["reason"]) else str(row["status"]) for row in self.failed)
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
        # the key's block tells suites apart where the rows' does not
        return self.key[-1] if column == "block" else as_text(self.either.first(column))


def as_text(value: Any) -> str:
    """Text of a cell of the frame: "" for nothing, whole floats (pandas' integers beside None) as integers."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def checked_trials(results: Results, side: str) -> list[Row]:
    """The trials of one side, each question and seed once, with the cell's key as `cell`; empty and contradicting views are refused."""
    frame = results.trials
    lacking = [column for column in NEEDED if column not in frame.columns]
    if lacking and len(frame):
        raise InputError(
            f"results without {', '.join(lacking)}", key=side, expected="give a store or a folder written by `harness store export`"
        )
    records: Any = frame.reindex(columns=list(TRIAL_COLUMNS)).astype(object).to_dict("records")
    rows: list[Any] = [dict(row) for row in records if row["status"] != "missing"]
    if not rows:
        raise InputError("holds no finished trial", key=side, expected="run the suite first")
    rows.sort(key=lambda row: as_text(row["suite"]))
    rows = _asked_once(rows)
    for row in rows:
        row["cell"] = tuple(as_text(row[column]) for column in EXACT)
    # where two suites use one name for different questions, their cells are told apart by suite
    by_suite = {twins[0]["cell"] for twins in _twins(rows) if len({as_text(row["suite"]) for row in twins}) == len(twins)}
    for row in rows:
        if row["cell"] in by_suite:
            row["cell"] = (*row["cell"][:-1], f"{row['cell'][-1]} suite={as_text(row['suite'])}")
    if double := _twins(rows):
        first, number = double[0][0], sum(map(len, double))
        raise InputError(
            f"{len(double[0])} results for {first['arm']} on {first['task']}, seed {as_text(first['seed'])} ({number} such rows in all)",
            key=side, expected="keep one result per cell and seed, for instance in a store of its own for each version of the code",
        )  # fmt: skip
    return list(rows)


def _asked_once(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One trial that several suites asked for is one result: its first row stays."""
    seen: dict[tuple[str, str], str] = {}
    kept = []
    for row in rows:
        key, suite = (as_text(row["trial_id"]), as_text(row["run_key"])), as_text(row["suite"])
        if seen.setdefault(key, suite) == suite or not key[1]:
            kept.append(row)
    return kept


def _twins(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows that share a cell and a seed."""
    groups: dict[tuple[Any, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["cell"], as_text(row["seed"])].append(row)
    return [group for group in groups.values() if len(group) > 1]


def side_of(rows: Sequence[Row]) -> CellSide:
    """A cell's rows, sorted by seed, taken apart by how they ended."""
    rows = sorted(
        rows,
        key=lambda row: (
            not isinstance(row["seed"], (int, float)),
            row["seed"] if isinstance(row["seed"], (int, float)) else as_text(row["seed"]),
        ),
    )
    tried = [row for row in rows if row["status"] != "unsupported"]
    ok, failed = [], []
    for row in tried:
        if row["status"] != "ok":
            failed.append(row)
        elif _is_number(row["score"]):
            ok.append(row)
        else:
            failed.append({**row, "status": "failed", "reason": "the score is NaN or missing"})
    return CellSide(tuple(tried or rows), tuple(ok), tuple(failed))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and math.isfinite(value)


def join(baseline: Results, current: Results) -> tuple[list[Cell], list[Cell]]:
    """(cells that the baseline has, cells that only the current side has), in the order of their names.

    Cells meet by arm and block. What is left on both sides meets by what is visible of it, as an incomparable cell with the difference named.
    """
    sides = [by_cell(checked_trials(results, name)) for results, name in ((baseline, "baseline"), (current, "current"))]
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


def by_cell(rows: Iterable[Row]) -> dict[Key, CellSide]:
    """The sides of the cells, in order of appearance; a cell that mixes versions is refused."""
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["cell"]].append(row)
    for key, members in groups.items():
        for column in ("metric", "task_version", "higher_is_better"):
            values = sorted({as_text(row[column]) for row in members})
            if len(values) > 1:
                raise InputError(
                    f"{key[0]} on {key[1]} mixes {column.replace('_', ' ')}s {', '.join(values)}",
                    expected="keep the results of each version in a store of its own",
                )
    return {key: side_of(members) for key, members in groups.items()}


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


def _config_difference(a: Sequence[Row], b: Sequence[Row]) -> str | None:
    """Configurations are compared where the trial ids do not already say that the question is the same."""
    if {row["trial_id"] for row in a} & {row["trial_id"] for row in b}:
        return None
    # a tuned method's configuration is an outcome of the run
    if any(_is_number(row["tuning_trials"]) and row["tuning_trials"] > 0 for row in (*a, *b)):
        return None
    old, new = as_text(a[0]["config"]), as_text(b[0]["config"])
    return None if old == new else f"configuration changed: {_changed_settings(old, new)}"


def _changed_settings(old: str, new: str) -> str:
    try:
        before, after = json.loads(old or "{}"), json.loads(new or "{}")
        keys = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
        return ", ".join(f"{key} {json.dumps(before.get(key))} to {json.dumps(after.get(key))}" for key in keys)
    except (json.JSONDecodeError, TypeError):
        return f"{old or 'none'} to {new or 'none'}"
