"""The Python interface: the same calls as the command line, with frames for answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import harness
from harness import api, catalog
from harness.errors import InputError
from harness.identity import canonical
from harness.results import TRIAL_COLUMNS
from harness.store import Store


def test_a_suite_becomes_frames(suite_file, tmp_path: Path) -> None:
    results = harness.run(suite_file(methods=["prompt-tuning", "majority"]), store=tmp_path / "store", device="cpu")
    trials = results.trials
    assert list(trials) == list(TRIAL_COLUMNS) and trials["status"].tolist() == ["ok"] * 4
    assert trials.groupby("arm")["trainable_parameters"].first().to_dict()["majority"] == 0
    assert trials["shots"].unique().tolist() == ["4 per class"] and (trials["n_test"] == 12).all()
    scores = results.scores["word-parity"]
    assert scores.values.shape == (4, 12, scores.values.shape[2]) and scores.trial_ids == tuple(trials["trial_id"])
    np.testing.assert_allclose(scores.values[:, :, 0].mean(axis=1), trials["score"].astype(float))
    records = results.records(trials["trial_id"][0])
    assert len(records) == 12 and (records["value"] == (records["gold"] == records["prediction"])).all()
    assert set(results.curves["trial_id"]) == set(trials[trials["arm"] == "prompt-tuning"]["trial_id"])


def test_settings_override_keys(suite_file) -> None:
    suite = harness.load_suite(suite_file(), seeds=3, budget__steps=9)
    assert suite.seeds.numbers == [0, 1, 2] and suite.budget == {"steps": 9}


def test_one_suite_of_several_in_a_store(suite_file, run, tmp_path: Path) -> None:
    run(suite_file("one", methods=["majority"]))
    run(suite_file("two", methods=["majority", "zero-shot"]))
    assert len(api.load_results(tmp_path / "store").trials) == 6
    assert set(api.load_results(tmp_path / "store", "one").trials["suite"]) == {"one"}
    with pytest.raises(InputError, match="holds no results"):
        api.load_results(tmp_path / "store", "three")


@pytest.mark.parametrize("name", ["prompt-tuning", "full-fine-tuning", "linear-probe", "zero-shot"])
def test_a_stored_adaptation_answers_as_it_did(suite_file, run, tmp_path: Path, name: str) -> None:
    session = run(suite_file(methods=[name], seeds=1))
    cell = session.plan.cells[0]
    stored = Store(tmp_path / "store").get(cell.trial.trial_id, cell.run_key)
    assert stored is not None
    rows = [{"id": row.id, **row.inputs} for row in catalog.load("task", "word-parity")().test()]
    answers = api.predict(tmp_path / "store", cell.trial.trial_id[:8], rows, device="cpu")
    np.testing.assert_array_equal(answers.scores, np.stack(stored.records()["scores"].to_list()))


def test_a_tuned_adaptation_is_restored_with_what_was_chosen(suite_file, run, tmp_path: Path) -> None:
    """The trial's own configuration is the default that its tries started from: another prompt length, say."""
    session = run(suite_file(methods=[{"name": "prompt-tuning", "tune": 3}], dev=4, seeds=1, tuning_seeds=[5]))
    cell = session.plan.cells[0]
    store = Store(tmp_path / "store")
    stored = store.get(cell.trial.trial_id, cell.run_key)
    assert stored is not None
    other = next(
        item["config"] for item in stored.result["facts"]["tuning"]["tries"] if item["config"]["length"] != cell.trial.config["length"]
    )
    from harness.executors.job import Job, Settings, run_job

    tuned = {**stored.result["facts"]["tuning"], "config": other}
    run_job(Job(cell.run_key, cell.trial, cell.trial.config, tuned), Settings(str(tmp_path / "store")))
    stored = store.get(cell.trial.trial_id, cell.run_key)
    assert stored is not None
    rows = [{"id": row.id, **row.inputs} for row in catalog.load("task", "word-parity")().test()]
    answers = api.predict(tmp_path / "store", cell.trial.trial_id, rows, device="cpu")
    np.testing.assert_array_equal(answers.scores, np.stack(stored.records()["scores"].to_list()))
    assert api.load_results(tmp_path / "store").trials["config"][0] == canonical(other)


def test_finding_a_trial_by_its_beginning(suite_file, run, tmp_path: Path) -> None:
    session = run(suite_file(methods=["majority"]))
    store, ids = Store(tmp_path / "store"), [cell.trial.trial_id for cell in session.plan.cells]
    folder = store.folder(ids[0], session.plan.cells[0].run_key)
    (folder.parent / ".writing-x").mkdir()
    for name in ("trial.json", "result.json"):
        (folder.parent / ".writing-x" / name).write_bytes((folder / name).read_bytes())
    assert api.find_trial(store, ids[0][:10]).folder == folder
    for prefix in ("", "a", "../x", "zz", "*"):
        with pytest.raises(InputError, match="no stored trial starts with"):
            api.find_trial(store, prefix)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert api.resolved_device("cpu") == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [api.resolved_device(name) for name in ("auto", "cuda", "cuda:1")] == ["cuda", "cuda", "cuda:1"]
