"""Jobs as text, worker processes, and the choice among tries."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from harness import api
from harness.errors import InputError
from harness.executors.job import Job, Settings, choose, run_job
from harness.executors.local import LocalExecutor
from harness.outcome import Outcome
from harness.store import Store

from .test_store import trial


def jobs_of(suite: Path) -> list[Job]:
    plan = api.plan(suite, device="cpu")
    return [Job(key, trial, plan.depends[key]) for key, trial in plan.trials().items()]


def test_a_job_is_text(suite_file) -> None:
    job = jobs_of(suite_file())[0]
    again = Job.from_text(job.text())
    assert again.text() == job.text() and again.trial.trial_id == job.trial.trial_id and again.run_key == job.run_key


def test_a_job_stores_its_answer_and_says_how_it_ended(suite_file, tmp_path: Path) -> None:
    Store(tmp_path / "store")
    job = jobs_of(suite_file(methods=["majority"]))[0]
    done = run_job(job, Settings(str(tmp_path / "store")))
    stored = Store(tmp_path / "store").get(job.trial.trial_id, job.run_key, verify=True)
    assert done.status == "ok" and stored is not None and done.score == stored.result["scores"]["accuracy"]
    assert stored.depends_on["threads"] == 1 and stored.depends_on["versions"]["torch"]


def test_bad_input_found_late_is_a_failed_trial_with_the_same_line(suite_file, tmp_path: Path, backbone_folder: Any) -> None:
    import dataclasses

    Store(tmp_path / "store")
    job = jobs_of(suite_file(methods=["majority"]))[0]
    gone = dataclasses.replace(job, trial=dataclasses.replace(job.trial, backbone={"folder": str(tmp_path / "gone")}))
    done = run_job(gone, Settings(str(tmp_path / "store")))
    assert done.status == "failed" and done.reason is not None and "there is no such folder" in done.reason


def feed(jobs: list[Job]) -> Any:
    waiting = list(jobs)
    return lambda: waiting.pop(0) if waiting else None


def test_workers_report_steps_and_a_worker_killed_while_idle_is_replaced(suite_file, tmp_path: Path) -> None:
    Store(tmp_path / "store")
    jobs = jobs_of(suite_file(methods=["prompt-tuning"], seeds=2))
    executor = LocalExecutor(Settings(str(tmp_path / "store")), 1)
    steps: list[Any] = []
    ends = []
    for done in executor.run(feed(jobs), lambda job: None, lambda *step: steps.append(step)):
        ends.append(done.status)
        if len(ends) == 1:
            executor._workers[0].process.kill()
            executor._workers[0].process.join()
    assert ends == ["ok", "ok"] and executor._workers == []
    assert steps and steps[0][1:3] == (1, 2)


def test_a_store_that_cannot_be_written_ends_the_run(suite_file, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_text('{"format": 99}', encoding="utf-8")
    executor = LocalExecutor(Settings(str(tmp_path / "store")), 1)
    with pytest.raises(InputError, match="newer than this version"):
        list(executor.run(feed(jobs_of(suite_file(methods=["majority"], seeds=1))), lambda job: None, lambda *step: None))


@pytest.fixture
def tries(entries: None, tmp_path: Path) -> Any:
    """tries(*(name, dev score or None), ...) -> the arguments of `choose`."""
    import dataclasses

    store = Store(tmp_path / "tries")

    number = itertools.count()

    def make(*scores: tuple[str, float | None], task: str = "word-parity") -> Any:
        made = []
        for i, (name, value) in zip(number, scores):
            one = dataclasses.replace(trial(i), task=task, config={"name": name}, scored="dev")
            store.write(one, f"k{i}", {}, "now", Outcome("ok" if value is not None else "failed", dev_score=value))
            made.append((one, f"k{i}"))
        return made, store

    return make


def test_the_best_mean_dev_score_is_chosen_and_ties_go_to_the_first(tries: Any) -> None:
    chosen = choose(*tries(("a", 0.5), ("a", 0.7), ("b", 0.6), ("b", 0.8), ("c", 0.65), ("c", 0.65)))
    assert chosen["config"] == {"name": "b"} and [item["dev_scores"] for item in chosen["tries"]] == [[0.5, 0.7], [0.6, 0.8], [0.65, 0.65]]
    assert choose(*tries(("a", 0.5), ("b", 0.5)))["config"] == {"name": "a"}


def test_a_configuration_that_failed_on_one_seed_is_not_chosen(tries: Any) -> None:
    assert choose(*tries(("a", 0.9), ("a", None), ("b", 0.5), ("b", 0.5)))["config"] == {"name": "b"}
    assert choose(*tries(("a", None), ("b", None))) is None


def test_a_repeated_try_counts_once(tries: Any) -> None:
    made, store = tries(("a", 0.4), ("b", 0.6))
    assert choose([made[0], made[0], made[0], made[1]], store)["config"] == {"name": "b"}
