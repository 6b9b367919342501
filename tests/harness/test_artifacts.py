"""The artifact graph: made once, resumed, shared, refused where it leaks, and no trial is reused when anything under it changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import api
from harness.artifact_store import folders, making, read
from harness.errors import InputError
from harness.store import Store, load_results
from harness.store_care import check, collect, merge

MADE = {"recipe": "counting-recipe", "config": {"steps": 2}}


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Counter[str]]:
    """What ran so far: name -> how often."""
    folder = tmp_path / "marks"
    folder.mkdir()
    monkeypatch.setenv("HARNESS_TEST_MARKS", str(folder))
    return lambda: Counter(file.name.split()[0] for file in folder.iterdir())


@pytest.fixture
def suite(suite_file: Callable[..., Path], marks: Any) -> Callable[..., Path]:
    return lambda **keys: suite_file(**{"backbones": [MADE], "methods": ["zero-shot"], "seeds": 2, **keys})


def artifacts(store: Path) -> list[Any]:
    return [read(folder) for folder in folders(Store(store))]


def test_made_once_for_all_its_trials_and_not_again(suite, run, marks, tmp_path: Path) -> None:
    fixed = [{**MADE, "seed": 5}]
    session = run(suite(backbones=fixed, methods=["zero-shot", "knn"]))
    assert session.summary() == {"reused": 0, "ok": 4} and [done.status for done in session.made.values()] == ["ok"]
    assert marks() == {"build": 1, "step": 2}
    again = run(suite(backbones=fixed, methods=["zero-shot", "knn", "majority"]))
    assert again.made == {} and again.reused == 4 and marks()["build"] == 1
    assert check(Store(tmp_path / "store")) == (6, [])
    (stored,) = artifacts(tmp_path / "store")
    assert stored.result["costs"]["steps"] == 2 and list(stored.curve()["step"]) == [1, 2]
    assert not making(stored.folder).exists()


def test_the_seed_follows_the_suites_by_a_stream_of_its_own(suite, run, marks) -> None:
    session = run(suite(seeds=3))
    assert len(session.made) == 3
    assert [cell.trial.backbone["seed"] for cell in session.plan.cells] == [0, 1, 2]
    held = run(suite(seeds={"count": 3, "hold": {"pretrain": 1}}))
    assert held.made == {} and {cell.trial.backbone["seed"] for cell in held.plan.cells} == {1}
    assert all("pretrain" not in cell.trial.seeds for cell in held.plan.cells)


def test_identities_change_with_configuration_seed_and_inputs_alone(suite) -> None:
    def keys(**keys: Any) -> tuple[set[str], set[str]]:
        plan = api.plan(suite(seeds=1, **keys), device="cpu")
        return set(plan.artifacts()), {cell.run_key for cell in plan.cells}

    first = keys(backbones=[{**MADE, "seed": 0}])
    assert keys() == first  # the suite's own seed is 0
    assert keys(backbones=[{"recipe": "counting-recipe", "config": {"steps": 2, "scale": 0.2}, "seed": 0}]) == first  # a default said aloud
    for other in ({**MADE, "seed": 1}, {**MADE, "config": {"steps": 3}}):
        changed = keys(backbones=[other])
        assert not changed[0] & first[0] and not changed[1] & first[1]
    step = keys(backbones=[{**MADE, "seed": 0, "step": 1}])
    assert step[0] == first[0] and not step[1] & first[1]  # the same artifact, another backbone
    source = [{"name": "starts-from", "config": {"start": {"word-counts": {"sources": ["mood"]}}}}]
    with pytest.raises(InputError, match="unknown task 'mood'"):
        keys(methods=source)


def test_an_artifact_follows_what_it_is_made_from(suite, monkeypatch) -> None:
    """The rows of a source and the backbone are part of a preparation's run_key, and so of the trial's."""
    from harness import depends

    def plan(start: Any, **keys: Any) -> Any:
        return api.plan(
            suite(seeds=1, tasks=["first-word-class"], methods=[{"name": "starts-from", "config": {"start": start}}], **keys), device="cpu"
        )

    first = plan({"word-counts": {}})
    (node,) = [node for node in first.artifacts().values() if node.artifact.kind == "preparation"]
    assert len(first.artifacts()) == 2 and list(node.sources) == ["word-parity"]
    other = plan({"word-counts": {}}, backbones=[{**MADE, "seed": 9}])
    assert not set(first.artifacts()) & set(other.artifacts())
    long = plan({"preparation": "word-counts", "config": {"rows": 4}, "seed": 0})
    assert set(long.artifacts()) == set(first.artifacts())
    monkeypatch.setattr(depends, "task_digest", lambda task: f"changed {task.name}")
    rows = plan({"word-counts": {}})
    assert node.artifact.artifact_id in {n.artifact.artifact_id for n in rows.artifacts().values()}
    assert (
        node.run_key not in rows.artifacts()
        and rows.cells[0].trial == first.cells[0].trial
        and rows.cells[0].run_key != first.cells[0].run_key
    )


def test_checkpoints_by_step(suite, run, marks, tmp_path: Path) -> None:
    base = {**MADE, "seed": 3}
    session = run(suite(backbones=[base, {**base, "step": 1, "label": "early"}], arms=["backbone"], methods=["zero-shot"]))
    assert len(session.made) == 1 and marks()["build"] == 1
    assert [cell.arm for cell in session.plan.cells[::2]] == ["counting-recipe steps=2", "early"]
    digests = [
        stored.result["facts"]["backbone"]["weights"] for stored in map(Store(tmp_path / "store").read, Store(tmp_path / "store").folders())
    ]
    assert len(set(digests)) == 2
    again = run(
        suite(name="more", backbones=[{"recipe": "counting-recipe", "config": {"steps": 2}, "seed": 3, "step": 2}], methods=["zero-shot"])
    )
    assert len(again.made) == 1 and marks()["build"] == 2  # a checkpoint that was not kept is made again, beside those that were
    (stored,) = artifacts(tmp_path / "store")
    assert sorted(place.name for place in stored.folder.glob("step-*")) == ["step-1", "step-2"]
    with pytest.raises(InputError, match="9 is no step of counting-recipe"):
        api.plan(suite(backbones=[{**MADE, "step": 9}]), device="cpu")


def test_a_failed_artifact_fails_what_needs_it_with_the_reason(suite, run, marks, tmp_path: Path) -> None:
    wrong = {"recipe": "counting-recipe", "config": {"fails": True}, "seed": 0}
    start = {"name": "starts-from", "config": {"start": {"word-counts": {}}}}
    session = run(suite(backbones=[wrong, {**MADE, "seed": 0}], methods=["zero-shot", start], tasks=["first-word-class"], seeds=1))
    assert sorted(done.status for done in session.outcomes.values()) == ["failed", "failed", "ok", "ok"]
    reasons = {done.reason for done in session.outcomes.values() if done.status == "failed"}
    assert any("no luck with this recipe" in str(reason) and "recipe counting-recipe" in str(reason) for reason in reasons)
    trials = load_results(tmp_path / "store").trials
    assert sorted(trials["status"]) == ["failed", "failed", "ok", "ok"]
    assert len(session.failed) == 4  # the recipe, the preparation over it, and two trials
    assert run(suite(backbones=[wrong], seeds=1)).made and marks()["build"] == 3  # failures are tried again


def test_a_target_among_the_sources_is_refused(suite, tmp_path: Path) -> None:
    start = {"name": "starts-from", "config": {"start": {"word-counts": {"sources": ["word-parity"]}}}}
    with pytest.raises(InputError, match="made from word-parity, which holds 100% of the test rows of word-parity"):
        api.plan(suite(methods=[start]), device="cpu")
    with pytest.raises(InputError, match="holds 100% of the test rows of word-parity-again"):  # the same rows under another name
        api.plan(suite(methods=[start], tasks=["word-parity-again"]), device="cpu")
    through = [{"recipe": "merging-recipe", "config": {"sources": ["word-parity"]}}]
    with pytest.raises(InputError, match="which holds 100%"):  # rows that went in through a trial's weights
        api.plan(suite(backbones=through), device="cpu")


def test_trials_weights_as_inputs(suite, run, marks, tmp_path: Path) -> None:
    merged = [{"recipe": "merging-recipe", "config": {"sources": ["word-parity", "first-word-class"], "others": True}, "seed": 0}]
    keys: dict[str, Any] = {"backbones": merged, "methods": ["zero-shot"], "seeds": 1}
    session = run(suite(tasks=["first-word-class"], **keys), keep="none")
    assert marks() == {"build": 1, "step": 2, "merge": 1} and all(done.status == "ok" for done in session.outcomes.values()), (
        session.outcomes
    )
    assert len(session.outcomes) == 2  # the source trial and the target's
    merge_node = [stored for stored in artifacts(tmp_path / "store") if stored.artifact.producer == "merging-recipe"]
    assert merge_node[0].result["facts"]["notes"]["tensors"] and merge_node[0].artifact.config["sources"] == ["word-parity"]
    frame = load_results(tmp_path / "store").artifacts.set_index("producer")
    assert (
        frame.loc["merging-recipe", "users"] == 1 and frame.loc["merging-recipe", "whole_seconds"] > frame.loc["merging-recipe", "seconds"]
    )
    assert len(collect(Store(tmp_path / "store"), dry=True)) == 0  # the source trial is no cell, but it is needed
    again = run(suite(tasks=["first-word-class", "word-parity"], **keys))
    assert len(again.made) == 1 and marks()["build"] == 1  # for the other target, from the other source


def test_damaged_artifacts_are_set_aside_and_made_again(suite, run, marks, tmp_path: Path) -> None:
    fixed = [{**MADE, "seed": 5}]
    run(suite(backbones=fixed))
    (stored,) = artifacts(tmp_path / "store")
    file = stored.folder / "model" / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    store = Store(tmp_path / "store")
    assert [reason for _, reason in check(store)[1]] == ["model/model.safetensors does not match its checksum"]
    assert run(suite(backbones=fixed)).made == {}  # nobody needs it: all its trials are stored
    session = run(suite(backbones=fixed, methods=["zero-shot", "knn"]))
    assert len(session.made) == 1 and session.summary() == {"reused": 2, "ok": 2}
    assert check(store) == (4, []) and len(list((store.root / "damaged").iterdir())) == 1


def test_gc_and_merge(suite, run, marks, tmp_path: Path) -> None:
    run(suite(seeds=2))
    run(suite(seeds=1))  # the newest plan of the suite
    store = Store(tmp_path / "store")
    other = Store(tmp_path / "other")
    assert merge(other, store) == 2 and len(artifacts(tmp_path / "other")) == 2 and check(other) == (2, [])
    assert len(collect(store)) == 2 and len(artifacts(tmp_path / "store")) == 1
    assert run(suite(seeds=2), store="other").made == {}


def test_kill_9_goes_on_where_it_was(suite, run, marks, tmp_path: Path) -> None:
    slow = [{"recipe": "counting-recipe", "config": {"steps": 6, "seconds": 0.4}, "seed": 0}]
    line = [
        sys.executable,
        "-m",
        "harness.cli",
        "run",
        str(suite(backbones=slow)),
        "--store",
        str(tmp_path / "store"),
        "--device",
        "cpu",
        "--workers",
        "0",
    ]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    limit = time.monotonic() + 120
    while marks()["step"] < 3:
        assert process.poll() is None and time.monotonic() < limit, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL and artifacts(tmp_path / "store") == []
    session = run(suite(backbones=slow))
    assert session.summary() == {"reused": 0, "ok": 2} and marks()["build"] == 2
    assert 6 <= marks()["step"] <= 7  # the step that was running is the only one made twice
    assert check(Store(tmp_path / "store")) == (2, [])
    (stored,) = artifacts(tmp_path / "store")
    fresh = run(suite(backbones=slow), store="fresh")
    assert len(fresh.made) == 1
    (unbroken,) = artifacts(tmp_path / "fresh")
    assert (stored.folder / "model" / "model.safetensors").read_bytes() == (unbroken.folder / "model" / "model.safetensors").read_bytes()


def test_workers_make_and_use_them(suite, run, marks, tmp_path: Path) -> None:
    start = {"name": "starts-from", "config": {"start": {"word-counts": {}}}}
    session = run(suite(methods=["zero-shot", start], tasks=["first-word-class"]), workers=1)
    assert session.summary() == {"reused": 0, "ok": 4} and marks() == {"build": 2, "step": 4, "prepare": 2}, session.outcomes
    with_state = api.find_trial(Store(tmp_path / "store"), session.plan.cells[-1].trial.trial_id)
    assert with_state.depends_on["artifacts"] and api.predict(
        tmp_path / "store", with_state.trial.trial_id, [{"text": "cat"}], device="cpu"
    )


def test_a_tuned_method_may_start_from_one(suite, run, marks) -> None:
    """Tries have the artifacts of the tuning seeds, the reported trial its own."""
    start = {"name": "starts-from", "config": {"start": {"word-counts": {}}}, "tune": 2}
    with pytest.raises(InputError, match="nothing to tune"):
        api.plan(suite(methods=[start], tasks=["first-word-class"], dev=2, seeds=1), device="cpu")
    tuned = {"name": "leans", "config": {"start": {"word-counts": {}}}, "tune": 2}
    session = run(suite(methods=[tuned], tasks=["first-word-class"], dev=2, seeds=1, tuning_seeds=[1000, 1001]))
    assert {done.status for done in session.outcomes.values()} == {"ok"}, session.outcomes
    seeds = sorted(node.artifact.seeds["init"] for node in session.plan.artifacts().values() if node.artifact.kind == "preparation")
    assert seeds == [0, 1000, 1001]


def test_the_plan_shows_them(suite, run, marks, tmp_path: Path) -> None:
    from harness.cli.plan_view import plan_lines

    file = suite(backbones=[{**MADE, "seed": 5}])
    before = list(plan_lines(api.plan(file, device="cpu"), None, trials=False))
    assert "  recipe counting-recipe, seed 5: to make; 2 trials use it" in before
    run(file)
    after = list(plan_lines(api.plan(file, device="cpu"), Store(tmp_path / "store"), trials=False))
    assert any("recipe counting-recipe, seed 5: stored, " in line and "s each" in line for line in after)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"recipe": "counting-recpie"}, "unknown recipe 'counting-recpie'; did you mean counting-recipe"),
        ({"recipe": "counting-recipe", "config": {"step": 3}}, "unknown setting 'step'"),
        ({"recipe": "counting-recipe", "stepp": 3}, "unknown key 'stepp'"),
        ({"recipe": "counting-recipe", "seed": -1}, "-1 is no seed"),
    ],
)
def test_bad_references_are_refused_when_planning(suite, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        api.plan(suite(backbones=[spec]), device="cpu")
    assert message in str(caught.value) and "small.yaml" in str(caught.value)
