"""What every format becomes: a frame with all columns of the results view, and per-example statistics where the source has them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import InputError
from harness.results import TRIAL_COLUMNS

EXAMPLE_COLUMNS = ("trial_id", "task", "metric", "example", "cluster", "statistics")
WHOLE = (
    "demonstrations",
    "n_test",
    "score_n",
    "tuning_trials",
    "trainable_parameters",
    "stored_parameters",
    "stored_bytes",
    "peak_bytes",
    "truncated",
)


@dataclass(frozen=True)
class Imported:
    """trials : all columns of the results view; examples : EXAMPLE_COLUMNS, or None; digest : of the bytes that were read."""

    trials: pd.DataFrame
    examples: pd.DataFrame | None
    digest: str


def digest_of(paths: Sequence[Path]) -> str:
    """Digest of the files' names and bytes, in order of name: the same source gives the same place in the store."""
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:32]


def trial_id(source: str, *parts: Any) -> str:
    """An identity for a result that has none: where it comes from and which cell it is."""
    text = "\x1f".join([source, *("" if part is None else str(part) for part in parts)])
    return "imported-" + hashlib.sha256(text.encode()).hexdigest()[:24]


def complete(rows: Sequence[dict[str, Any]] | pd.DataFrame, *, source: str, digest: str) -> pd.DataFrame:
    """A frame with every column: what a source does not say stays empty, and identities are made from the source's digest and the cell.

    `source` is a name, not a path: reports may travel.
    """
    given = pd.DataFrame(rows)
    if not len(given):
        raise InputError(f"{source} holds no results")
    for name in ("arm", "task", "score"):
        if name not in given:
            raise InputError(f"{source}: nothing says what the {name} is", expected=f"map a column to it: --map {name}=COLUMN")
    defaults: dict[str, Any] = {
        "suite": f"imported from {source}", "family": source, "metric": "score", "higher_is_better": True, "seed": 0, "status": "ok",
        "tuning_trials": None, "shared_cost": False, "imported": True, "source": source, "config": "{}", "seeds": "{}", "scores": "{}",
    }  # fmt: skip
    for name, value in defaults.items():
        given[name] = given[name].where(given[name].notna(), value) if name in given else value
    given["method"] = given["method"] if "method" in given else given["arm"]
    given["tags"] = given["tags"] if "tags" in given else [()] * len(given)
    if "block" not in given:
        given["block"] = _blocks(given)
    given = given.reindex(columns=list(TRIAL_COLUMNS))
    for name in ("score", "score_sd", "dev_score", "floor", "ceiling", *WHOLE):
        given[name] = pd.to_numeric(given[name], errors="coerce")
    unscored = (given["status"] == "ok") & given["score"].isna()
    given.loc[unscored, "status"] = "missing"
    given["reason"] = given["reason"].astype(object)
    given.loc[unscored, "reason"] = "the source has no number here"
    identity = ["family", "arm", "block", "template", "seed"]
    _once(given, identity, source)
    if "trial_id" not in rows or given["trial_id"].isna().any():
        given["trial_id"] = [trial_id(digest, *values) for values in given[identity].itertuples(index=False)]
    given["run_key"] = given["trial_id"]
    for name in ("task", "arm", "family", "backbone", "template", "shots"):
        given[name] = given[name].map(lambda value: None if _empty(value) else str(value)).astype(object)
    return given


def _once(given: pd.DataFrame, identity: Sequence[str], source: str) -> None:
    """Two rows for one cell are refused: keeping either would be a guess."""
    infinite = given[pd.to_numeric(given["score"], errors="coerce").abs() == math.inf]
    if len(infinite):
        raise InputError(
            f"{source}: the score of {infinite.iloc[0]['arm']} on {infinite.iloc[0]['task']} is not finite", expected="a number"
        )
    seeds = pd.to_numeric(given["seed"], errors="coerce")
    if (seeds % 1 != 0).any():
        raise InputError(
            f"{source}: seed {given['seed'][seeds % 1 != 0].iloc[0]} is no whole number", expected="a replicate number: 0, 1, 2, ..."
        )
    twice = given[given.astype({name: str for name in identity}).duplicated(list(identity), keep=False)]
    if len(twice):
        first = twice.iloc[0]
        raise InputError(
            f"{source}: {len(twice)} rows stand for cells that have another row, the first: {first['arm']} on {first['task']}, seed {first['seed']}",
            expected="one row a cell: map what tells them apart (seed, template, backbone, shots), or drop one with --where",
        )


def _blocks(frame: pd.DataFrame) -> list[str]:
    names = [name for name in ("task", "backbone", "shots", "selection", "template") if name in frame]
    # what is compared may be the backbone itself: then it is no block
    names = [name for name in names if name != "backbone" or not (frame["backbone"] == frame["arm"]).all()]
    return [
        json.dumps({name: str(value) for name, value in zip(names, values)}, sort_keys=True)
        for values in frame[names].itertuples(index=False)
    ]


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA


def binomial_sd(share: float, n: int) -> float:
    """Standard deviation (ddof 1) of the 0/1 scores behind an accuracy."""
    return math.sqrt(max(share * (1 - share), 0.0) * n / (n - 1)) if n > 1 else 0.0
