"""What a side of a comparison may be: a store, a folder written by `harness store export`, or a blessed baseline."""

from __future__ import annotations

import difflib
import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd

from harness.errors import InputError
from harness.results import TRIAL_COLUMNS, Results, TaskScores

from .baselines import CHOSEN, blessed_commits, chosen_baseline, load_baseline
from .cells import as_text

EXPECTED = "give a store folder, a folder written by `harness store export`, a baseline's JSON file, or @NAME, @last or @best of baselines, or a git commit that a baseline was blessed with"


def load_side(text: str, *, store: str | Path = "store", suite: str | None = None) -> Results:
    """The results view behind a command-line argument; `@NAME` is looked up in STORE/baselines, `@last` and `@best` chosen there.

    What is no path may name a commit (`main`, `v1.2`, `HEAD~1`, a hash): the side is then the baseline that was blessed with this commit.
    """
    if text.startswith("@"):
        results = load_baseline(baseline_file(text[1:], store))[0]
    elif not Path(text).exists() and (file := baseline_of_commit(text, store)) is not None:
        results = load_baseline(file)[0]
    else:
        results = _from_path(Path(text), suite)
    if suite is not None and "suite" in results.trials:
        kept = results.trials[results.trials["suite"] == suite]
        if kept.empty:
            known = ", ".join(sorted({as_text(name) for name in results.trials["suite"]} - {""}))
            raise InputError(f"no results of suite {suite!r}", file=text, expected=f"it has {known or 'none'}")
        results.trials = kept
    return results


def baseline_file(name: str, store: str | Path) -> Path:
    folder = Path(store) / "baselines"
    if name in CHOSEN:
        return chosen_baseline(name, folder)
    file = folder / f"{name}.json"
    known = sorted(path.stem for path in folder.glob("*.json") if not path.name.startswith("."))
    if Path(name).name != name or not file.is_file():
        near = difflib.get_close_matches(name, known, n=1)
        hint = (
            f"did you mean @{near[0]}?"
            if near
            else f"known: {', '.join(known)}"
            if known
            else "none is blessed: `harness bless STORE --as NAME`"
        )
        raise InputError(f"no baseline @{name}", file=folder, expected=hint)
    return file


def baseline_of_commit(reference: str, store: str | Path) -> Path | None:
    """The newest baseline blessed with the commit that `reference` names in the repository around the working directory, or None.

    Where git is missing or does not know the name, it may still be the start of a commit's hash (7 characters or more).
    """
    commits = blessed_commits(Path(store) / "baselines")
    wanted = _resolved(reference) or (reference.lower() if re.fullmatch("[0-9a-fA-F]{7,64}", reference) else None)
    if wanted is None:
        return None
    found = [file for file, commit in commits if commit.startswith(wanted) or (len(commit) >= 7 and wanted.startswith(commit))]
    if not found and _resolved(reference) is not None:
        known = ", ".join(sorted({commit[:12] for _, commit in commits}))
        raise InputError(
            f"no baseline was blessed with commit {wanted[:12]} ({reference})", file=Path(store) / "baselines",
            expected=f"one of {known}" if known else "bless with `harness bless STORE --as NAME --commit SHA`",
        )  # fmt: skip
    return found[-1] if found else None


def _resolved(reference: str) -> str | None:
    """The hash of a commit by git's own rules; None where git or the name is unknown."""
    command = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip().lower() if found.returncode == 0 and found.stdout.strip() else None


def _from_path(path: Path, suite: str | None) -> Results:
    if path.is_file():
        return load_baseline(path)[0]
    if not path.is_dir():
        raise InputError("no such file or folder, and no commit that a baseline was blessed with", file=path, expected=EXPECTED)
    if (path / "trials.parquet").is_file() and not (path / "store.json").exists():
        return _from_export(path)
    from harness.store import load_results

    loaded = load_results(path, suite)
    assert isinstance(loaded, Results)
    return loaded


def _from_export(folder: Path) -> Results:
    """trials.parquet, and the examples of records.parquet: their values where the metric is a mean of them, their predictions."""
    try:
        trials = pd.read_parquet(folder / "trials.parquet")
        records = pd.read_parquet(folder / "records.parquet") if (folder / "records.parquet").exists() else None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {str(error).splitlines()[0]}", file=folder, expected=EXPECTED) from None
    trials = trials.reindex(columns=list(TRIAL_COLUMNS))
    if records is None or not {"trial_id", "example", "value"} <= set(records.columns):
        return Results(trials)
    by_trial = {str(trial): rows for trial, rows in records.groupby("trial_id", sort=False)}
    return Results(trials, _export_scores(trials, by_trial), record_loader=lambda trial: by_trial.get(trial, records.iloc[:0]))


def _export_scores(trials: pd.DataFrame, records: dict[str, pd.DataFrame]) -> dict[str, TaskScores]:
    scores = {}
    kept = trials[trials["trial_id"].isin(list(records))].drop_duplicates("trial_id")
    for task, rows in kept.groupby("task", sort=True):
        found = {str(trial): records[str(trial)] for trial in rows["trial_id"]}
        examples = list(dict.fromkeys(name for frame in found.values() for name in frame["example"]))
        values = np.stack(
            [frame.set_index("example")["value"].astype(float).reindex(examples).to_numpy()[:, None] for frame in found.values()]
        )
        clusters: dict[str, str] = {}
        for frame in found.values():
            if "cluster" in frame:
                clusters.update({e: str(c) for e, c in zip(frame["example"], frame["cluster"]) if as_text(c)})
        named = tuple(clusters.get(name, name) for name in examples) if clusters else None
        scores[str(task)] = TaskScores(str(task), str(rows["metric"].iloc[0]), tuple(examples), named, tuple(found), values)
    return scores
