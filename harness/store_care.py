"""Looking after a store: checking, merging, collecting what nobody asks for, invalidating, exporting."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pandas as pd

from harness import artifact_store
from harness.errors import InputError
from harness.outcome import FINAL
from harness.store import VERDICTS, Store, write_text


def check(store: Store, *, repair: bool = False) -> tuple[int, list[tuple[Path, str]]]:
    """(number of whole trials, damaged folders of trials and artifacts with the reason). With `repair`, damaged ones are set aside."""
    good, damaged = 0, []
    for folder in list(store.folders()):
        reason = store.damage(folder)
        if reason is None and store.read(folder) is None:
            reason = "trial.json or result.json cannot be read"
        if reason is None:
            good += 1
        else:
            damaged.append((folder, reason))
    for folder in artifact_store.folders(store):
        reason = artifact_store.why_damaged(folder)
        damaged += [(folder, reason)] if reason is not None else []
    for folder, _ in damaged if repair else ():
        store.set_aside(folder)
    return good, damaged


def merge(target: Store, source: Store) -> int:
    """Copy whole trials, artifacts and plans that `target` has no final answer for; returns how many trials were copied."""
    if source.root.resolve() == target.root.resolve():
        raise InputError("is the store it would be merged into", file=source.root)
    copied = 0
    for folder in source.folders():
        stored = source.read(folder)
        if stored is None or source.damage(folder) is not None or target.has(stored.trial.trial_id, stored.run_key):
            continue
        if stored.result["status"] not in FINAL and target.get(stored.trial.trial_id, stored.run_key) is not None:
            continue
        with target.placing(target.folder(stored.trial.trial_id, stored.run_key)) as work:
            shutil.copytree(folder, work, dirs_exist_ok=True)
        copied += 1
    artifact_store.merge(target, source)
    for name in ("suites", "imported"):
        if (source.root / name).exists():
            shutil.copytree(source.root / name, target.root / name, dirs_exist_ok=True)
    _merge_verdicts(target.root / VERDICTS, source.root / VERDICTS)
    return copied


def _merge_verdicts(target: Path, source: Path) -> None:
    """Verdicts of claims that `target` has none of, or none that was run for."""
    if not source.is_file():
        return
    mine = json.loads(target.read_text(encoding="utf-8")) if target.is_file() else {}
    theirs = json.loads(source.read_text(encoding="utf-8"))
    mine |= {name: verdict for name, verdict in theirs.items() if mine.get(name, {}).get("result", "not run") == "not run"}
    write_text(target, json.dumps(mine, indent=1, sort_keys=True))


def collect(store: Store, *, dry: bool = False) -> list[Path]:
    """Folders that no suite's newest plan asks for, half-written ones and set-aside ones; removed unless `dry`."""
    wanted = {cell["run_key"] for plan in store.manifests() for cell in plan["cells"]}
    wanted |= {key for plan in store.manifests() for cell in plan["cells"] for _, key in cell["tries"]}
    made = [node for plan in store.manifests() for node in plan.get("artifacts", ())]
    wanted |= {key for node in made for _, key in node["trials"]}
    gone = [folder for folder in store.folders() if folder.name not in wanted]
    kept = {node["run_key"] for node in made}
    gone += [folder for folder in artifact_store.folders(store) if folder.name not in kept]
    gone += [folder for folder in artifact_store.unfinished(store) if folder.name.removeprefix(".making-") not in kept]
    gone += [*store.root.glob("trials/??/*/.writing-*"), *store.root.glob("damaged/*")]
    for folder in [] if dry else gone:
        shutil.rmtree(folder)
        _drop_empty(folder.parent, store.root)
    return gone


def invalidate(store: Store, pattern: str) -> int:
    """Remove every stored answer whose method, task, method/task or trial id matches."""
    removed = 0
    for folder in list(store.folders()):
        stored = store.read(folder)
        names = (
            (stored.trial.method, stored.trial.task, f"{stored.trial.method}/{stored.trial.task}", stored.trial.trial_id) if stored else ()
        )
        if any(fnmatch(name, pattern) for name in names):
            shutil.rmtree(folder)
            _drop_empty(folder.parent, store.root)
            removed += 1
    return removed


def _drop_empty(folder: Path, root: Path) -> None:
    while folder != root and folder.exists() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def export(store: Store, out: Path, *, lm_eval: bool = False) -> Iterator[Path]:
    """trials.parquet, trials.csv and records.parquet (every example of every trial); with `lm_eval`, its files too."""
    from harness.store_view import load_results

    results = load_results(store.root)
    out.mkdir(parents=True, exist_ok=True)
    trials = results.trials.assign(tags=[", ".join(tags) for tags in results.trials["tags"]])
    trials.to_parquet(out / "trials.parquet", index=False)
    yield out / "trials.parquet"
    trials.to_csv(out / "trials.csv", index=False)
    yield out / "trials.csv"
    ok = trials.loc[trials["status"] == "ok", "trial_id"].unique()
    records = [results.records(trial_id).assign(trial_id=trial_id) for trial_id in ok]
    if records:
        pd.concat(records, ignore_index=True).to_parquet(out / "records.parquet", index=False)
        yield out / "records.parquet"
    if lm_eval:
        from harness.lm_eval_export import export_store

        yield from export_store(store, out)
