"""From a suite to cells: arms, blocks, identities, tries, and what is refused or unsupported before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import api, catalog, planning, preflight
from harness.depends import Memory, task_digest
from harness.errors import InputError
from harness.store import Store


def cells(suite: Path, **options: Any) -> list[planning.Cell]:
    return api.plan(suite, device="cpu", **options).cells


def test_the_grid_is_every_combination_once(suite_file) -> None:
    planned = cells(suite_file(methods=["knn", {"name": "lora", "grid": {"rank": [1, 2]}}], shots=[1, 2], templates="all", seeds=2))
    assert len(planned) == 3 * 2 * 2 * 2
    assert len({cell.trial.trial_id for cell in planned if cell.arm == "knn"}) == 2 * 2, "knn reads no template"
    assert len({cell.trial.trial_id for cell in planned if cell.arm == "lora rank=1"}) == 2 * 2 * 2
    assert {cell.arm for cell in planned} == {"knn", "lora rank=1", "lora rank=2"}


def test_two_arms_share_a_block_where_all_else_is_equal(suite_file) -> None:
    planned = cells(suite_file(methods=["knn", "zero-shot"], tasks=["word-parity"], shots=[1, 2], seeds=1))
    blocks = {arm: [cell.block for cell in planned if cell.arm == arm] for arm in ("knn", "zero-shot")}
    assert blocks["knn"] == blocks["zero-shot"] and len(set(blocks["knn"])) == 2


def test_arms_may_be_templates_or_backbones(suite_file, backbone_folder) -> None:
    both = [str(backbone_folder("masked_lm")), str(backbone_folder("causal_lm"))]
    planned = cells(suite_file(arms=["template"], templates="all", seeds=1))
    assert [cell.arm for cell in planned] == ["plain", "other"] and len({cell.block for cell in planned}) == 1
    planned = cells(suite_file(arms=["backbone"], backbones=both, seeds=1))
    assert [cell.arm for cell in planned] == ["random-masked_lm", "random-causal_lm"]
    assert {cell.family for cell in planned} == {"all backbones"}


def test_the_effective_configuration_is_what_is_identified(suite_file) -> None:
    one, other = (cells(suite_file(methods=[{"name": "knn", "config": config}], seeds=1))[0] for config in ({}, {"k": KNN}))
    assert one.trial.config["k"] == KNN and one.trial.trial_id == other.trial.trial_id and one.run_key == other.run_key


KNN = catalog.load("method", "knn")().config["k"]


def test_unsupported_cells_have_a_reason_and_no_run_key(suite_file, backbone_folder, run, tmp_path) -> None:
    suite = suite_file(methods=["knn", "majority"], tasks=["first-word"], backbones=str(backbone_folder("causal_lm")), seeds=1)
    planned = cells(suite)
    assert all(cell.unsupported and "generation" in cell.unsupported and not cell.run_key for cell in planned)
    session = run(suite)
    assert session.outcomes == {} and session.failed == []


def test_one_of_the_suites_templates_is_enough_for_a_task(suite_file) -> None:
    planned = cells(suite_file(tasks=["word-parity", "first-word"], templates=["other"], seeds=1))
    assert {(cell.trial.task, cell.trial.template) for cell in planned} == {("word-parity", "other"), ("first-word", "plain")}


def test_tries_start_at_the_default_and_are_the_same_every_time(suite_file) -> None:
    suite = suite_file(methods=[{"name": "prompt-tuning", "tune": 4}], dev=2, seeds=2, tuning_seeds=[7, 8])
    first, second = cells(suite)
    assert first.tries == second.tries == cells(suite)[0].tries and len(first.tries) == 4 * 2
    assert first.tries[0][0].config == first.trial.config
    assert {trial.seeds["data"] for trial, _ in first.tries} == {7, 8}
    assert all(trial.scored == "dev" and trial.tuning is None for trial, _ in first.tries)
    rates = [trial.config["learning_rate"] for trial, _ in first.tries[::2]]
    assert len(set(rates)) == 4 and {trial.config["length"] for trial, _ in first.tries} >= {first.trial.config["length"]}


def test_more_tries_keep_the_first_ones(suite_file) -> None:
    few, more = (cells(suite_file(methods=[{"name": "spy", "tune": tune}], dev=2, seeds=1))[0].tries for tune in (3, 6))
    assert more[:3] == few


def test_tuning_per_seed_tunes_on_the_trials_own_rows(suite_file) -> None:
    planned = cells(suite_file(methods=[{"name": "spy", "tune": 2, "tune_per": "seed"}], dev=2, seeds=[3, 4]))
    assert [{trial.seeds["data"] for trial, _ in cell.tries} for cell in planned] == [{3}, {4}]


@pytest.mark.parametrize(("pattern", "left"), [("knn", 2), ("*/word-parity", 4), ("zero-shot/*", 2), ("word-parity", 4)])
def test_only_a_part(suite_file, pattern: str, left: int) -> None:
    plan = api.plan(suite_file(methods=["knn", "zero-shot"]), device="cpu", only=pattern)
    assert len(plan.cells) == left and len(plan.manifest()["cells"]) == 4


def test_counts_before_and_after(suite_file, run, tmp_path) -> None:
    suite = suite_file(methods=["majority"])
    plan = api.plan(suite, device="cpu")
    assert plan.counts(None) == {"trials": 2, "stored": 0, "to_run": 2, "unsupported": 0}
    run(suite)
    assert plan.counts(Store(tmp_path / "store")) == {"trials": 2, "stored": 2, "to_run": 0, "unsupported": 0}


def test_a_hub_model_is_planned_without_being_fetched(suite_file, monkeypatch, tmp_path) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    [cell] = cells(suite_file(backbones=[{"hub": "somebody/model", "family": "masked_lm"}], seeds=1))
    assert cell.family == "somebody/model" and cell.run_key


def test_preflight_remembers_what_was_in_order(suite_file, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    plan = api.plan(suite_file(seeds=3, shots=[1, 2]), device="cpu")
    drawn = []
    real = preflight._check_rows
    monkeypatch.setattr(preflight, "_check_rows", lambda trial: drawn.append(trial) or real(trial))
    preflight.preflight(plan)
    assert [trial.train for trial in drawn] == [{"per_class": 2}, {"per_class": 1}]
    assert {trial.seeds["data"] for trial in drawn} == {0}
    preflight.preflight(plan)
    assert len(drawn) == 2
    with pytest.raises(InputError, match="asks for 77 rows"):
        preflight.preflight(api.plan(suite_file(shots=77), device="cpu"))


def test_digests_of_rows_are_remembered_by_what_makes_them(entries, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    task = catalog.load("task", "word-parity")
    first = task_digest(task())
    monkeypatch.setattr(task, "pool", lambda self: 1 / 0)
    assert task_digest(task()) == first, "rows were made again"
    (tmp_path / "cache" / "harness" / "rows.json").write_text("{broken", encoding="utf-8")
    monkeypatch.undo()
    assert task_digest(task()) == first


def test_a_memory_that_cannot_be_written_only_costs_time(monkeypatch, tmp_path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    memory = Memory("any")
    memory.put("a", "b")
    assert memory.get("a") is None


def test_the_cells_of_all_parts_stand_in_one_plan(suite_file) -> None:
    parts = [{"methods": ["knn", "zero-shot"]}, {"methods": ["knn"], "shots": 2}, {"methods": ["knn"], "family": "other"}]
    planned = cells(suite_file(methods=None, parts=parts, seeds=1))
    assert [(cell.arm, cell.trial.train["per_class"]) for cell in planned] == [("knn", 4), ("zero-shot", 4), ("knn", 2), ("knn", 4)]
    assert len({cell.run_key for cell in planned}) == 3, "an equal trial of two families is one trial"
    again = cells(suite_file(methods=None, parts=[{"methods": ["knn"]}, {"methods": ["knn", "zero-shot"]}], seeds=1))
    assert [cell.arm for cell in again] == ["knn", "zero-shot"], "what two parts ask alike is one cell"
    with pytest.raises(InputError, match="knn stands for other settings in an earlier part"):
        cells(suite_file(methods=None, parts=[{"methods": ["knn"]}, {"methods": [{"name": "knn", "config": {"k": 1}}]}], seeds=1))
