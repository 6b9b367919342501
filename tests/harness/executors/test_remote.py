"""Ray and SLURM carry text: a job's JSON out, how it ended back. Fakes stand in for both libraries; submitit's own local executor is real."""

from __future__ import annotations

import importlib.util
import json
import os
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import api
from harness.errors import InputError
from harness.executors import by_name, ray, remote, slurm
from harness.executors.job import Done, Job, Settings
from harness.session import Session
from harness.store import Store
from harness.trial import Trial

SuiteFile = Callable[..., Path]


class FakeRay:
    """The few names of Ray that the executor uses; a task runs when it is waited for."""

    def __init__(self) -> None:
        self.started: dict[str, Any] = {}
        self.options: dict[str, Any] = {}
        self.sent: list[tuple[str, ...]] = []
        self.cancelled: list[Any] = []
        self.break_job = -1  # number of the task whose node dies

    def is_initialized(self) -> bool:
        return bool(self.started)

    def init(self, **options: Any) -> None:
        self.started = options

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 3.0}

    def remote(self, **options: Any) -> Callable[[Any], Any]:
        self.options = options

        def submit(function: Any, *arguments: str) -> Any:
            self.sent.append(arguments)
            return types.SimpleNamespace(call=lambda: function(*arguments), number=len(self.sent) - 1)

        return lambda function: types.SimpleNamespace(remote=lambda *arguments: submit(function, *arguments))

    def wait(self, handles: list[Any], num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        return handles[-1:], handles[:-1]  # the last one first: answers may come in any order

    def get(self, handle: Any) -> str:
        if handle.number == self.break_job:
            raise type("OutOfMemoryError", (Exception,), {})("the node's memory was full")
        return str(handle.call())

    def cancel(self, handle: Any, force: bool) -> None:
        self.cancelled.append(handle)


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setattr(ray, "library", lambda: fake)
    return fake


def ended(session: Session) -> list[tuple[str, float | None]]:
    return sorted((done.status, done.score) for done in session.outcomes.values())


def run(suite: Path, store: Path, executor: str, **options: Any) -> Session:
    return api.run_session(suite, store=store, device="cpu", executor=executor, **options)


def test_ray_gives_what_the_local_executor_gives(suite_file: SuiteFile, tmp_path: Path, fake_ray: FakeRay) -> None:
    suite = suite_file(methods=["zero-shot", "spy"])
    here, there = run(suite, tmp_path / "a", "local", workers=0), run(suite, tmp_path / "b", "ray")
    assert ended(here) == ended(there) and len(there.outcomes) == 4
    assert {done.run_key for done in here.outcomes.values()} == {done.run_key for done in there.outcomes.values()}
    assert run(suite, tmp_path / "b", "ray").reused == 4


def test_ray_is_given_text_and_nothing_else(suite_file: SuiteFile, tmp_path: Path, fake_ray: FakeRay) -> None:
    run(suite_file(methods=["spy"]), tmp_path / "store", "ray")
    assert len(fake_ray.sent) == 2
    for job, settings in fake_ray.sent:
        assert Job.from_text(job).text() == job
        assert json.loads(settings)["entries"] == [os.environ["HARNESS_ENTRIES"]]
    assert fake_ray.options == {"num_cpus": 1, "num_gpus": 0, "max_retries": 0}


def test_a_node_that_dies_costs_its_own_trial(suite_file: SuiteFile, tmp_path: Path, fake_ray: FakeRay) -> None:
    fake_ray.break_job = 1
    session = run(suite_file(methods=["spy"]), tmp_path / "store", "ray")
    assert sorted(done.status for done in session.outcomes.values()) == ["ok", "out_of_memory"]
    stored = [Store(tmp_path / "store").read(folder) for folder in Store(tmp_path / "store").folders()]
    assert {item.result["reason"] for item in stored if item is not None} == {None, "OutOfMemoryError: the node's memory was full"}


def test_what_is_still_out_is_cancelled(suite_file: SuiteFile, tmp_path: Path, fake_ray: FakeRay) -> None:
    session = run(suite_file(methods=["raises"]), tmp_path / "store", "ray", fail_fast=True)
    assert len(session.outcomes) == 1 and len(fake_ray.cancelled) == 1


def test_a_node_with_other_libraries_does_not_answer(suite_file: SuiteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = api.plan(suite_file(methods=["spy"], seeds=1), device="cpu")
    cell = plan.cells[0]
    store = Store(tmp_path / "store")
    facts = {**plan.depends[cell.run_key], "versions": {"torch": "0.1"}}
    text = remote.run_text(Job(cell.run_key, cell.trial, facts).text(), remote.settings_text(Settings(str(store.root))))
    done = Done(**json.loads(text))
    assert done.status == "failed" and "planned with 0.1" in str(done.reason)


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_package_is_one_line_and_nothing_is_written(
    suite_file: SuiteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    def missing(wanted: str, *more: Any) -> Any:
        raise ImportError(wanted)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(InputError, match=rf"{package} is not installed.*adaptation-harness\[{name}\]"):
        by_name.check(name)
    with pytest.raises(InputError):
        by_name.make(name, Settings(str(tmp_path / "store")), None, 1)
    assert not (tmp_path / "store").exists()


def test_an_unknown_executor_is_named() -> None:
    with pytest.raises(InputError, match="slurm"):
        by_name.check("slrum")


def test_without_sbatch_slurm_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(slurm.OPTIONS, raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(InputError, match="no sbatch"):
        slurm.options()
    monkeypatch.setenv(slurm.OPTIONS, "[1, 2]")
    with pytest.raises(InputError, match="no mapping"):
        slurm.options()


class FakeJob:
    def __init__(self, call: Callable[[], str]) -> None:
        self.call, self.cancelled = call, False

    def done(self) -> bool:
        return True

    def result(self) -> str:
        return self.call()

    def cancel(self) -> None:
        self.cancelled = True


class FakeAuto:
    made: FakeAuto

    def __init__(self, folder: Path, cluster: str) -> None:
        self.folder, self.cluster, self.sent, FakeAuto.made = folder, cluster, [], self

    def update_parameters(self, **parameters: Any) -> None:
        if "partition" in parameters:
            raise NameError("unknown parameter partition")
        self.parameters = parameters

    def submit(self, function: Any, *arguments: str) -> FakeJob:
        self.sent.append(arguments)
        return FakeJob(lambda: function(*arguments))


def test_slurm_gives_text_and_says_what_it_needs(suite_file: SuiteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "library", lambda: types.SimpleNamespace(AutoExecutor=FakeAuto))
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/sbatch")
    monkeypatch.setenv(slurm.OPTIONS, "{slurm_partition: gpu}")
    session = run(suite_file(methods=["spy"]), tmp_path / "store", "slurm", timeout=100)
    assert [status for status, _ in ended(session)] == ["ok", "ok"]
    made = FakeAuto.made
    wanted = {"name": "harness", "cpus_per_task": 1, "gpus_per_node": 0, "timeout_min": 4, "slurm_partition": "gpu"}
    assert made.cluster == "slurm" and made.parameters == wanted
    assert all(Job.from_text(job).text() == job for job, _ in made.sent)
    monkeypatch.setenv(slurm.OPTIONS, "{partition: gpu}")
    with pytest.raises(InputError, match="unknown parameter partition"):
        by_name.make("slurm", Settings(str(tmp_path / "store")), None, 1)


@pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="submitit (extra `slurm`) is not installed")
def test_submitits_own_local_executor(suite_file: SuiteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same path in a process that submitit starts; SLURM itself is not here."""
    monkeypatch.setenv(slurm.OPTIONS, "{cluster: local, timeout_min: 3}")
    session = run(suite_file(methods=["spy"], seeds=1), tmp_path / "store", "slurm")
    assert [done.status for done in session.outcomes.values()] == ["ok"], [done.reason for done in session.outcomes.values()]


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray (extra `ray`) is not installed")
def test_ray_itself(suite_file: SuiteFile, tmp_path: Path) -> None:
    import ray as library

    try:
        session = run(suite_file(methods=["spy"], seeds=2), tmp_path / "store", "ray", workers=1)
    finally:
        library.shutdown()
    assert [done.status for done in session.outcomes.values()] == ["ok", "ok"]


def test_a_trial_travels_as_text() -> None:
    trial = Trial("t", {}, {"name": "b"}, "m", {"rate": 1e-3}, None, {"per_class": 4}, 0, {"data": 1})
    job = Job("key", trial, {"versions": {"torch": "1"}}, {"config": {"rate": 0.1}})
    assert Job.from_text(job.text()) == job
