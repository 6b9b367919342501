"""Looking after a store."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from harness.errors import InputError
from harness.store import VERDICTS, Store
from harness.store_care import check, collect, export, invalidate, merge

from .test_store import put, trial


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_check_counts_and_repairs(store: Store) -> None:
    folders = [put(store, number) for number in range(3)]
    (folders[0] / "log.txt").write_text("other", encoding="utf-8")
    (folders[1] / "result.json").unlink()
    good, damaged = check(store)
    assert good == 1 and {reason for _, reason in damaged} == {"log.txt does not match its checksum", "result.json is missing"}
    check(store, repair=True)
    assert check(store) == (1, []) and len(list((store.root / "damaged").iterdir())) == 2


def test_merge_takes_whole_trials_that_are_missing(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    put(store, 0, value=0.1)
    put(store, 1, status="failed")
    put(store, 3, status="failed")
    for number in range(5):
        put(other, number, value=0.9, status="failed" if number == 3 else "ok")
    (other.folder(trial(4).trial_id, "k1") / "log.txt").unlink()
    assert merge(store, other) == 2  # 1, which had failed here, and 2; 4 is damaged there
    values = {n: found.result for n in range(5) if (found := store.get(trial(n).trial_id, "k1", verify=True)) is not None}
    assert {n: result["status"] for n, result in values.items()} == {0: "ok", 1: "ok", 2: "ok", 3: "failed"}
    assert values[0]["scores"] == {"accuracy": 0.1} and values[1]["scores"] == {"accuracy": 0.9}
    assert merge(store, other) == 0
    with pytest.raises(InputError, match="would be merged into"):
        merge(store, Store(store.root))


def test_merge_takes_verdicts_that_are_missing_or_were_not_run(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    (store.root / VERDICTS).write_text(json.dumps({"a/x": {"result": "holds"}, "a/y": {"result": "not run"}}))
    (other.root / VERDICTS).write_text(json.dumps({name: {"result": "does not hold"} for name in ("a/x", "a/y", "b/z")}))
    merge(store, other)
    found = {name: verdict["result"] for name, verdict in json.loads((store.root / VERDICTS).read_text()).items()}
    assert found == {"a/x": "holds", "a/y": "does not hold", "b/z": "does not hold"}


def test_gc_keeps_what_a_newest_plan_asks_for(store: Store) -> None:
    put(store, 0, key="asked")
    put(store, 1, key="tried")
    put(store, 2, key="old")
    (store.folder(trial(0).trial_id, "asked").parent / ".writing-1").mkdir()
    cells = [{"run_key": "asked", "tries": [[trial(1).trial_id, "tried"]]}]
    store.write_manifest({"suite": "s", "planned": "2026-01-01", "cells": [{"run_key": "old", "tries": []}]})
    store.write_manifest({"suite": "s", "planned": "2026-01-02", "cells": cells})
    assert {folder.name for folder in collect(store, dry=True)} == {"old", ".writing-1"}
    assert len(list(store.folders())) == 3
    collect(store)
    assert {folder.name for folder in store.folders()} == {"asked", "tried"}
    assert not (store.root / "trials" / trial(2).trial_id[:2] / trial(2).trial_id).exists()


@pytest.mark.parametrize(("pattern", "left"), [("lora", 1), ("lo*", 1), ("t", 0), ("knn/t", 2), ("none", 3)])
def test_invalidate_by_pattern(store: Store, pattern: str, left: int) -> None:
    for number, method in enumerate(("lora", "lora", "knn")):
        put(store, number, method=method)
    assert invalidate(store, pattern) == 3 - left == 3 - len(list(store.folders()))


def test_export_writes_plain_tables(suite_file, run, tmp_path: Path) -> None:
    run(suite_file(methods=["majority", "raises"]))
    files = [file.name for file in export(Store(tmp_path / "store"), tmp_path / "out")]
    assert files == ["trials.parquet", "trials.csv", "records.parquet"]
    trials, records = pd.read_parquet(tmp_path / "out" / "trials.parquet"), pd.read_parquet(tmp_path / "out" / "records.parquet")
    assert len(trials) == 4 and set(records["trial_id"]) == set(trials[trials["status"] == "ok"]["trial_id"])
