"""Any table with one result a row, its columns mapped by the user."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import InputError, unknown_name
from harness.results import TRIAL_COLUMNS

from .frame import Imported, complete, digest_of

NUMBERS = ("score", "score_sd", "score_se", "score_n", "dev_score", "floor", "ceiling", "seed", "n_test", "demonstrations", "tuning_trials")
FIELDS = (*TRIAL_COLUMNS, "score_se", "example")


@dataclass(frozen=True)
class Mapping:
    """columns : field -> column, or several joined as "a+b"; values : field -> one value for all rows; where : column -> values to keep."""

    columns: Dict[str, str] = field(default_factory=dict)
    values: Dict[str, str] = field(default_factory=dict)
    where: Dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_long_table(path: Path, mapping: Mapping | None = None) -> Imported:
    """CSV, TSV or Parquet. Unmapped columns whose names are fields (arm, task, seed, score, ...) are taken as they are.

    With a column mapped to `example`, rows are per-example values: a trial's score is their mean. `score_se` (with `score_n`) stands for a
    spread given as a standard error. The text "None" or "NA" is a level, not a gap: only an empty cell is missing.
    """
    mapping = mapping or Mapping()
    table = _read(path)
    for column, keep in mapping.where.items():
        _known(column, table, path)
        table = table[table[column].astype(str).isin(keep)]
    if not len(table):
        raise InputError("no row is left", file=path, expected="check --where")
    frame = pd.DataFrame(index=table.index)
    for name in table.columns:
        if name in FIELDS and name not in mapping.columns and name not in mapping.values:
            frame[name] = table[name]
    for name, columns in mapping.columns.items():
        frame[_field(name)] = _joined(table, columns, path)
    for name, value in mapping.values.items():
        frame[_field(name)] = _literal(value)
    for name in NUMBERS:
        if name in frame:
            numbers = pd.to_numeric(frame[name], errors="coerce")
            bad = numbers.isna() & frame[name].notna() & (frame[name].astype(str) != "")
            if bad.any():
                raise InputError(f"{name} {frame[name][bad].iloc[0]!r} is no number", file=path, key=mapping.columns.get(name, name))
            frame[name] = numbers
    if "score_se" in frame:
        _from_standard_error(frame, path)
    source = path.stem
    digest = digest_of([path])
    if "example" in frame:
        return _from_examples(frame, source, digest)
    return Imported(complete(frame.reset_index(drop=True), source=source, digest=digest), None, digest)


def _from_standard_error(frame: pd.DataFrame, path: Path) -> None:
    """Spread from a standard error and its n; for an accuracy over examples the two give n: SE^2 = p (1 - p) / (n - 1)."""
    if "score_n" not in frame:
        covers = frame.get("score_spread_covers")
        p = frame["score"]
        if covers is None or not (covers == "examples").all() or not p.dropna().between(0, 1).all():
            expected = "--map score_n=COLUMN or --set score_n=N; or, for an accuracy over examples, --set score_spread_covers=examples"
            raise InputError("a standard error needs the number of runs or examples behind it", file=path, expected=expected)
        error = frame["score_se"].where(frame["score_se"] > 0)
        frame["score_n"] = (p * (1 - p) / error**2 + 1).round()
    frame["score_sd"] = frame.pop("score_se") * frame["score_n"] ** 0.5


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        separator = "\t" if path.suffix == ".tsv" else ","
        return pd.read_csv(path, sep=separator, keep_default_na=False, na_values=[""], dtype=object)
    except FileNotFoundError as error:
        raise InputError("does not exist", file=path) from error
    except (ValueError, OSError) as error:
        raise InputError(f"cannot be read as a table: {str(error).splitlines()[0]}", file=path) from error


def _known(column: str, table: pd.DataFrame, path: Path) -> None:
    if column not in table:
        raise unknown_name("column", column, [str(name) for name in table.columns]).located(file=path)


def _field(name: str) -> str:
    if name not in FIELDS:
        raise unknown_name("field", name, FIELDS)
    return name


def _joined(table: pd.DataFrame, columns: str, path: Path) -> pd.Series:
    names = columns.split("+") if columns not in table else [columns]
    for name in names:
        _known(name, table, path)
    if len(names) == 1:
        return table[names[0]]
    found = table[names[0]].astype(str)
    for name in names[1:]:
        found = found + " " + table[name].astype(str)
    return found


def _literal(value: str) -> Any:
    lowered = value.lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    return value


def _from_examples(frame: pd.DataFrame, source: str, digest: str) -> Imported:
    """One row per example: trials are the groups, their score the mean."""
    keys = [name for name in frame.columns if name not in ("example", "score")]
    frame["score"] = pd.to_numeric(frame["score"], errors="coerce")
    groups = frame.groupby(keys, dropna=False, sort=True)
    trials = groups.agg(score=("score", "mean"), n_test=("score", "size")).reset_index()
    done = complete(trials, source=source, digest=digest)
    number = groups.ngroup().to_numpy()
    values = frame["score"].to_numpy(dtype=float)
    examples = pd.DataFrame(
        {
            "trial_id": done["trial_id"].to_numpy()[number],
            "task": done["task"].to_numpy()[number],
            "metric": done["metric"].to_numpy()[number],
            "example": frame["example"].astype(str).to_numpy(),
            "cluster": None,
            "statistics": [[float(value), 1.0] for value in values],
        }
    )
    return Imported(done, examples, digest)
