"""The store: whole or not at all, checked, and never in the way of the next run."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.errors import InputError
from harness.method import Predictor
from harness.outcome import Media, Outcome
from harness.store import Store
from harness.trial import Trial


def trial(number: int = 0, method: str = "m") -> Trial:
    return Trial("t", {}, {"name": "b"}, method, {}, None, {"per_class": 4}, {"per_class": 0}, {"data": number})


def outcome(status: str = "ok", value: float = 0.5) -> Outcome:
    records = pd.DataFrame({"example": ["a", "b"], "scores": [np.array([0.1, -np.inf]), np.array([0.2, 0.3])]})
    curve = pd.DataFrame({"step": [1], "loss": [0.5], "dev_score": [None], "seconds": [0.1]})
    return Outcome(status, None, {"accuracy": value}, records=records, curve=curve, facts={"rows": {}}, log="said\n")


def put(store: Store, number: int = 0, status: str = "ok", value: float = 0.5, method: str = "m", key: str = "k1", **options: Any) -> Path:
    return store.write(trial(number, method), key, {"device": "cpu"}, "2026-01-01T00:00:00+00:00", outcome(status, value), **options)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_what_is_written_is_read(store: Store) -> None:
    folder = put(store)
    found = store.get(trial().trial_id, "k1", verify=True)
    assert found is not None and found.trial.trial_id == trial().trial_id and found.result["scores"] == {"accuracy": 0.5}
    assert found.records()["scores"][0].tolist() == [0.1, -np.inf] and found.curve()["loss"].tolist() == [0.5]
    assert {file.name for file in folder.iterdir()} == {
        "trial.json", "result.json", "records.parquet", "curve.parquet", "log.txt", "checksums.json"
    }  # fmt: skip
    assert store.has(trial().trial_id, "k1") and not store.has(trial().trial_id, "k2") and store.get(trial(1).trial_id, "k1") is None


def test_others_may_read_what_one_has_written(store: Store) -> None:
    assert stat.S_IMODE(put(store).stat().st_mode) & 0o055 == 0o055


def test_a_failure_is_tried_again_and_never_replaces_an_answer(store: Store) -> None:
    put(store, status="failed")
    assert not store.has(trial().trial_id, "k1") and store.get(trial().trial_id, "k1") is not None
    put(store, value=0.7)
    put(store, status="failed")  # an orphan of a killed run reports late
    found = store.get(trial().trial_id, "k1")
    assert found is not None and (found.result["status"], found.result["scores"]) == ("ok", {"accuracy": 0.7})


@pytest.mark.parametrize("name", ["records.parquet", "result.json", "trial.json", "curve.parquet", "log.txt", "checksums.json"])
@pytest.mark.parametrize("how", ["cut", "flipped", "gone"])
def test_damage_is_seen_and_set_aside(store: Store, name: str, how: str) -> None:
    file = put(store) / name
    data = file.read_bytes()
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(data[:-2] if how == "cut" else data[:1] + bytes([data[1] ^ 1]) + data[2:])
    assert store.damage(file.parent) is not None
    assert store.get(trial().trial_id, "k1", verify=True) is None
    put(store)
    assert store.get(trial().trial_id, "k1", verify=True) is not None


def test_a_damaged_table_is_bad_input_for_who_reads_it(store: Store) -> None:
    (put(store) / "records.parquet").write_bytes(b"PAR1 no more")
    found = store.get(trial().trial_id, "k1")
    assert found is not None
    with pytest.raises(InputError, match="harness store check --repair"):
        found.records()


def test_half_written_folders_are_no_trials(store: Store) -> None:
    folder = put(store)
    half = folder.parent / ".writing-x1"
    half.mkdir()
    for name in ("trial.json", "result.json"):
        (half / name).write_bytes((folder / name).read_bytes())
    assert list(store.folders()) == [folder]


def test_a_write_that_fails_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.store.canonical", stop)
    with pytest.raises(KeyboardInterrupt):
        put(store)
    assert not [path for path in store.root.rglob("*") if path.name.startswith(".writing") or path.name == "k1"]


def test_two_processes_may_store_one_trial_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    target, replace, raced = put(store), os.replace, []

    def late(source: Any, place: Any) -> None:
        if Path(place) == target and not raced:
            raced.append(True)
            target.mkdir()
            (target / "theirs").write_text("", encoding="utf-8")
        replace(source, place)

    monkeypatch.setattr(os, "replace", late)
    put(store, value=0.9)
    found = store.get(trial().trial_id, "k1", verify=True)
    assert raced and found is not None and found.result["scores"] == {"accuracy": 0.9}


class Big(Predictor):
    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        import torch

        return {"weight": torch.zeros(1_100_000)}, {}


@pytest.mark.parametrize(("keep", "kept"), [("none", False), ("small", False), ("all", True)])
def test_large_adaptations_are_measured_and_kept_on_demand(store: Store, keep: str, kept: bool) -> None:
    answer = outcome()
    answer.predictor = Big()
    folder = store.write(trial(), "k1", {}, "now", answer, keep=keep)
    assert (folder / "adapted").exists() == kept and store.damage(folder) is None
    assert json.loads((folder / "result.json").read_text())["costs"]["stored_bytes"] > 4_400_000


def test_the_newest_plan_of_a_suite_counts(store: Store) -> None:
    for number in range(3):
        store.write_manifest({"suite": "s", "planned": f"2026-01-01T00:00:00.00000{2 - number}", "cells": [{"run_key": str(number)}]})
    store.write_manifest({"suite": "r", "planned": "2025", "cells": []})
    assert [(plan["suite"], plan["cells"]) for plan in store.manifests()] == [("r", []), ("s", [{"run_key": "0"}])]
    next((store.root / "suites").glob("s.*")).write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match="is damaged; run the suite again"):
        store.manifests()


def test_identities_from_outside_reach_no_other_folder(store: Store) -> None:
    for bad in ("..", "a/b", ""):
        with pytest.raises(InputError, match="no identity"):
            store.folder(bad, "k")


def test_opening(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no results store"):
        Store(tmp_path / "nowhere", create=False)
    assert not (tmp_path / "nowhere").exists()
    Store.check_place(tmp_path / "new" / "store")
    assert not (tmp_path / "new").exists(), "checking a place makes nothing"
    Store(tmp_path / "new" / "store")
    Store.check_place(tmp_path / "new" / "store")
    assert Store(tmp_path / "new" / "store", create=False).root == tmp_path / "new" / "store"


def picture(name: str = "scene.svg") -> Media:
    return Media(name, b"<svg/>", "A scene before and after", "scene")


def test_pictures_are_stored_checked_and_read_back(store: Store) -> None:
    kept = outcome()
    kept.media = [picture(), picture("edit-1.png")]
    folder = store.write(trial(), "k1", {}, "2026-01-01T00:00:00+00:00", kept)
    found = store.get(trial().trial_id, "k1", verify=True)
    assert found is not None and found.media() == kept.media
    assert found.result["facts"]["media"][0] == {"file": "scene.svg", "caption": "A scene before and after", "kind": "scene"}
    assert {"media/scene.svg", "media/edit-1.png"} <= set(json.loads((folder / "checksums.json").read_text()))
    (folder / "media" / "scene.svg").write_bytes(b"<svg></svg>")
    assert store.damage(folder) == "media/scene.svg does not match its checksum"
    assert "media" not in outcome().result()["facts"]


def test_two_pictures_of_one_name_are_refused_whole(store: Store) -> None:
    kept = outcome()
    kept.media = [picture(), picture()]
    with pytest.raises(InputError, match=r"two pictures of one trial are named scene\.svg"):
        store.write(trial(), "k1", {}, "2026-01-01T00:00:00+00:00", kept)
    assert store.get(trial().trial_id, "k1") is None


@pytest.mark.parametrize("name", ["../scene.svg", "scene.gif", "a/b.png", "Scene.png", ".png", "scene.svg.exe"])
def test_a_picture_needs_a_plain_name(name: str) -> None:
    with pytest.raises(InputError, match="no name of a picture"):
        picture(name)


def test_plans_are_kept_in_the_order_they_were_made(store: Store) -> None:
    for when, seeds in (("2026-01-01", 1), ("2026-01-02", 2)):
        cells = [{"seed": seed} for seed in range(seeds)]
        store.write_manifest({"suite": "s", "planned": when, "cells": cells})
    assert [plan["planned"] for plan in store.plans()] == ["2026-01-01", "2026-01-02"]
    assert [len(plan["cells"]) for plan in store.manifests()] == [2]
