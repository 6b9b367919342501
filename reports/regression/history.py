"""The history table: one JSON line per trial of every run, appended and never rewritten; and the series that are read from it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import InputError
from harness.identity import digest
from harness.results import Results

from ..statistics.intervals import mean_interval
from ..statistics.result import Direction
from .cells import as_text, by_cell, checked_trials
from .tables import Tables

SERIES = ("arm", "method", "task", "template", "backbone", "block", "metric")
FIELDS = (
    "commit",
    "date",
    "environment",
    *SERIES,
    "task_version",
    "higher_is_better",
    "ceiling",
    "seed",
    "score",
    "se",
    "status",
    "run_key",
)


@dataclass(frozen=True)
class Run:
    """One run of a series: mean over its successful seeds, the standard error of that mean (None for one seed), counts, and what it ran on."""

    commit: str
    date: str
    environment: str
    task_version: str
    score: float | None
    se: float | None
    n_ok: int
    n_failed: int


@dataclass(frozen=True)
class Series:
    """A cell over runs, in the order in which they were appended."""

    name: Mapping[str, str]
    direction: Direction
    ceiling: float | None
    runs: tuple[Run, ...]

    @property
    def label(self) -> str:
        return " · ".join(self.name[part] for part in ("arm", "task", "backbone", "template") if self.name[part])


def rows_of(results: Results, *, commit: str, date: str | None = None) -> list[dict[str, Any]]:
    """One row per finished trial. `se` is over the trial's examples; `environment` digests versions and device."""
    if not commit.strip():
        raise InputError("is empty", key="--commit", expected="name the commit that was run, such as $(git rev-parse HEAD)")
    moment = _moment(date)
    tables = Tables(results)
    rows = []
    for side in by_cell(checked_trials(results, "results")).values():
        table = tables.of(side)
        errors = [mean_interval(values).se for values in table.values] if table is not None else [None] * len(side.ok)
        error = dict(zip((row["trial_id"] for row in side.ok), errors))
        for row in (*side.ok, *side.failed):
            named = {field: as_text(row[field]) for field in (*SERIES, "task_version", "status", "run_key")}
            rows.append(
                {
                    "commit": commit.strip(), "date": moment, "environment": _environment(row), **named, "seed": as_text(row["seed"]),
                    "higher_is_better": as_text(row["higher_is_better"]) not in ("False", "0"), "ceiling": _finite(row["ceiling"]),
                    "score": _finite(row["score"]), "se": error.get(row["trial_id"]),
                }
            )  # fmt: skip
    return rows


def _moment(date: str | None) -> str:
    if date is None:
        return datetime.now(UTC).isoformat(timespec="seconds")
    try:
        return datetime.fromisoformat(date).isoformat(timespec="seconds")
    except ValueError:
        raise InputError(f"{date!r} is no date", key="--date", expected="write it as 2026-03-01 or 2026-03-01T12:00:00+00:00") from None


def _environment(row: Mapping[Any, Any]) -> str:
    text = as_text(row["environment"])
    try:
        versions = json.loads(text) if text else None
    except json.JSONDecodeError:
        versions = text
    return digest([versions, as_text(row["device"])])[:12]


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def append(table: str | Path, rows: Sequence[Mapping[str, Any]]) -> int:
    """Append rows that the table does not hold yet (same commit, run key, cell and seed), in one write; returns how many."""
    table = Path(table)
    held = {_identity(row) for row in read(table)} if table.exists() else set()
    new = [row for row in rows if _identity(row) not in held]
    text = "".join(json.dumps(dict(row), ensure_ascii=False, allow_nan=False) + "\n" for row in new)
    try:
        table.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(table, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=table) from None
    return len(new)


def _identity(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[field] for field in ("commit", "run_key", *SERIES, "seed"))


def read(table: str | Path) -> list[dict[str, Any]]:
    """All rows, in order; a line that is no row is named."""
    table = Path(table)
    if not table.is_file():
        raise InputError("no such history table", file=table, expected="append a run first: harness history STORE --commit SHA")
    rows = []
    for number, line in enumerate(table.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        try:
            row = json.loads(line)
            lacking = [field for field in FIELDS if field not in row]
        except (json.JSONDecodeError, TypeError):
            raise InputError("is no JSON", file=table, line=number, expected="remove the line: it was not written whole") from None
        if not isinstance(row, dict) or lacking:
            raise InputError(f"lacks {', '.join(lacking)}", file=table, line=number, expected="remove the line")
        rows.append(row)
    return rows


def series_of(rows: Sequence[Mapping[str, Any]]) -> list[Series]:
    """The rows as series, by name. A run is what was appended under one commit and date; its order is that of its first row."""
    if not rows:
        return []
    frame = pd.DataFrame(list(rows))
    found = []
    for key, cell in frame.groupby(list(SERIES), sort=True):
        runs = tuple(_run(trials) for _, trials in cell.groupby(["commit", "date"], sort=False))
        direction: Direction = "higher" if bool(cell["higher_is_better"].iloc[-1]) else "lower"
        name = dict(zip(SERIES, (str(part) for part in key if part is not None)))
        found.append(Series(name, direction, _finite(cell["ceiling"].iloc[-1]), runs))
    return found


def _run(trials: pd.DataFrame) -> Run:
    scores = trials.loc[trials["status"] == "ok", "score"].to_numpy(dtype=np.float64)
    scores = scores[np.isfinite(scores)]
    summary = mean_interval(scores)
    first = trials.iloc[0]
    environment = "+".join(sorted(set(trials["environment"])))
    return Run(
        str(first["commit"]), str(first["date"]), environment, str(first["task_version"]), summary.estimate, summary.se,
        len(scores), len(trials) - len(scores),
    )  # fmt: skip
