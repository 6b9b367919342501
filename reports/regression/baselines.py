"""Blessed baselines: results under a name, self-contained, checked by digests.

    STORE/baselines/NAME.json                                   name, when, commit, counts, digests of the files beside it
    STORE/baselines/NAME.<digest>.trials.parquet                the trials frame
    STORE/baselines/NAME.<digest>.scores.parquet                per trial: task, metric, statistics of its examples
    STORE/baselines/NAME.<digest>.examples.parquet              per task: example ids and clusters
    STORE/baselines/NAME.<digest>.predictions.parquet           per trial: predictions as text, for exact comparisons

The manifest is written last and renamed into place: a name means the old files or the new ones, whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from harness.errors import InputError
from harness.identity import digest, digest_file
from harness.registry import SLUG
from harness.results import TRIAL_COLUMNS, Results, TaskScores

from .cells import by_cell, checked_trials
from .exact import answers

FORMAT = 1
CHOSEN = ("last", "best")  # @last, @best: found among the blessed ones, so no baseline may have these names
PARTS = ("trials", "scores", "examples", "predictions")


def bless_results(results: Results, name: str, store: str | Path, *, commit: str | None = None, source: str = "") -> dict[str, Any]:
    """Store `results` as baseline `name` under `store`; returns its manifest. An earlier baseline of that name is replaced."""
    if not SLUG.fullmatch(name):
        raise InputError(f"baseline name {name!r} is no slug", key="--as", expected="use a-z, 0-9 and single '-', '.' or '_' between them")
    if name in CHOSEN:
        raise InputError(f"@{name} is chosen among baselines", key="--as", expected="another name")
    trials = checked_trials(results, source or "results")
    if not any(row["status"] == "ok" for row in trials):
        raise InputError("no run succeeded: there is nothing to hold others to", key=source or None)
    folder = Path(store) / "baselines"
    old = _manifest(folder / f"{name}.json") if (folder / f"{name}.json").exists() else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = _write_parts(results, folder, name)
        manifest: dict[str, Any] = {
            "format": FORMAT, "name": name, "blessed": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit, "source": source,
            "trials": len(trials), "cells": len({row["cell"] for row in trials}), "digest": digest(files), "files": files,
            "replaces": old["digest"] if old else None,
        }  # fmt: skip
        manifest["files"] = {f"{name}.{manifest['digest'][:12]}.{part}.parquet": value for part, value in files.items()}
        for part in PARTS:
            os.replace(folder / f".{name}.{part}.{os.getpid()}", folder / f"{name}.{manifest['digest'][:12]}.{part}.parquet")
        beside = folder / f".{name}.json.{os.getpid()}"
        beside.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(beside, folder / f"{name}.json")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=folder, expected="name a store you may write to") from None
    for file in set(old["files"]) - set(manifest["files"]) if old else ():
        (folder / Path(file).name).unlink(missing_ok=True)
    return manifest


def _write_parts(results: Results, folder: Path, name: str) -> dict[str, str]:
    """Each part under a temporary name; part -> digest of its bytes."""
    frames = {"trials": _trials(results.trials), **_score_frames(results), "predictions": _predictions(results)}
    files = {}
    for part in PARTS:
        file = folder / f".{name}.{part}.{os.getpid()}"
        frames[part].to_parquet(file, index=False, compression="zstd")
        files[part] = digest_file(file)
    return files


def _trials(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with one type per column, as Parquet wants it."""
    frame = frame.reindex(columns=list(TRIAL_COLUMNS)).astype(object)
    frame["tags"] = [list(tags) if isinstance(tags, (tuple, list, np.ndarray)) else [] for tags in frame["tags"]]
    for column in frame.columns.drop("tags"):
        present = frame[column].notna()
        kinds = {type(value) for value in frame.loc[present, column]}
        if len(kinds) > 1 and not all(issubclass(kind, (int, float, np.number)) for kind in kinds):
            frame.loc[present, column] = frame.loc[present, column].map(str)
        frame[column] = frame[column].where(present, None)
    return frame


def _score_frames(results: Results) -> dict[str, pd.DataFrame]:
    scores: list[dict[str, Any]] = []
    examples = []
    for task, found in results.scores.items():
        examples.append(
            {"task": task, "examples": list(found.example_ids), "clusters": None if found.clusters is None else list(found.clusters)}
        )
        for trial, values in zip(found.trial_ids, found.values):
            flat = np.asarray(values, dtype=np.float64)
            scores.append({"task": task, "metric": found.metric, "trial_id": trial, "width": flat.shape[-1], "statistics": flat.ravel()})
    return {
        "scores": pd.DataFrame(scores, columns=["task", "metric", "trial_id", "width", "statistics"]),
        "examples": pd.DataFrame(examples, columns=["task", "examples", "clusters"]),
    }


def _predictions(results: Results) -> pd.DataFrame:
    ok = results.trials.loc[results.trials["status"] == "ok", "trial_id"]
    rows = []
    for trial in dict.fromkeys(ok):
        found = answers(results, trial)
        if found is not None:
            rows.append({"trial_id": trial, "examples": list(found), "predictions": list(found.values())})
    return pd.DataFrame(rows, columns=["trial_id", "examples", "predictions"])


def load_baseline(file: str | Path) -> tuple[Results, Mapping[str, Any]]:
    """A blessed baseline as a results view, and its manifest. Changed or missing files are refused."""
    file = Path(file)
    manifest = _manifest(file)
    parts = {}
    for name, wanted in manifest["files"].items():
        part = file.parent / Path(name).name
        if not part.is_file():
            raise InputError(f"its file {part.name} is missing", file=file, expected="bless the baseline again")
        if digest_file(part) != wanted:
            raise InputError(f"its file {part.name} was changed after it was blessed", file=file, expected="bless the baseline again")
        parts[part.name.split(".")[-2]] = part
    if set(parts) != set(PARTS):
        raise InputError("is damaged", file=file, expected=f"it should name {', '.join(PARTS)}")
    trials = pd.read_parquet(parts["trials"])
    trials["tags"] = [tuple(tags) for tags in trials["tags"]]
    provenance = {"baseline": {key: manifest[key] for key in ("name", "blessed", "commit", "digest")}}
    return Results(trials, _scores(parts), provenance=provenance, record_loader=_Records(parts["predictions"])), manifest


def _manifest(file: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        number = manifest["format"]
        lacking = {"name", "digest", "files", "blessed", "commit"} - set(manifest)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
        raise InputError("is no blessed baseline", file=file, expected="one is made by `harness bless STORE --as NAME`") from None
    if number > FORMAT:
        raise InputError(f"baseline format {number} is newer than this version reads ({FORMAT})", file=file, expected="update the harness")
    if lacking:
        raise InputError(f"is damaged: no {', '.join(sorted(lacking))}", file=file, expected="bless the baseline again")
    return manifest


def _scores(parts: Mapping[str, Path]) -> dict[str, TaskScores]:
    tasks: Any = pd.read_parquet(parts["examples"]).itertuples()
    examples = {row.task: row for row in tasks}
    scores = {}
    for task, rows in pd.read_parquet(parts["scores"]).groupby("task", sort=False):
        names = examples[task]
        values = np.stack([np.asarray(flat).reshape(len(names.examples), width) for flat, width in zip(rows["statistics"], rows["width"])])
        clusters = None if names.clusters is None else tuple(names.clusters)
        scores[str(task)] = TaskScores(str(task), rows["metric"].iloc[0], tuple(names.examples), clusters, tuple(rows["trial_id"]), values)
    return scores


def chosen_baseline(which: str, folder: Path) -> Path:
    """@last : the baseline blessed last. @best : the one with the best mean rank over the cells that all baselines have."""
    files = sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))
    if not files:
        raise InputError(f"no baseline to take @{which} of", file=folder, expected="bless one: `harness bless STORE --as NAME`")
    if which == "last":
        return max(files, key=lambda file: (str(_manifest(file)["blessed"]), file.name))
    means = [_cell_means(load_baseline(file)[0], file) for file in files]
    shared = sorted(set.intersection(*(set(found) for found in means)))
    if not shared:
        raise InputError("the baselines have no cell in common, so none is the best", file=folder, expected="name one: @NAME")
    table = np.array([[found[cell] for cell in shared] for found in means])
    # the newest of equals: the others were replaced for a reason
    ranks = rankdata(-np.round(table, 12), axis=0).mean(axis=1)
    newest = [str(_manifest(file)["blessed"]) for file in files]
    return min(zip(ranks, [_later_first(when) for when in newest], files), key=lambda item: (item[0], item[1], item[2].name))[2]


def blessed_commits(folder: Path) -> list[tuple[Path, str]]:
    """Baselines that know their commit, with it, the one blessed last at the end."""
    files = [path for path in sorted(folder.glob("*.json")) if not path.name.startswith(".")]
    manifests = sorted(((_manifest(file), file) for file in files), key=lambda pair: (str(pair[0]["blessed"]), pair[1].name))
    return [(file, str(manifest["commit"]).lower()) for manifest, file in manifests if manifest["commit"]]


def _later_first(moment: str) -> float:
    return -datetime.fromisoformat(moment).timestamp()


def _cell_means(results: Results, file: Path) -> dict[tuple[str, ...], float]:
    """Mean score of every cell without a failure, higher is better."""
    found = {}
    for key, side in by_cell(checked_trials(results, str(file))).items():
        if side.ok and not side.failed:
            lower = str(side.first("higher_is_better")) in ("False", "0")
            found[key] = float(side.scores.mean()) * (-1 if lower else 1)
    return found


class _Records:
    """Loads predictions on first use."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rows: dict[str, Any] | None = None

    def __call__(self, trial_id: str) -> pd.DataFrame:
        if self._rows is None:
            rows: Any = pd.read_parquet(self._file).itertuples()
            self._rows = {row.trial_id: row for row in rows}
        row = self._rows.get(trial_id)
        if row is None:
            return pd.DataFrame(columns=["example", "prediction"])
        return pd.DataFrame({"example": list(row.examples), "prediction": list(row.predictions)})
