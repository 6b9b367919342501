"""Running a plan: what is stored is reused, what is damaged is asked again, and no way of being stopped loses more than what ran."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness import api
from harness.session import Session, Silent, default_workers
from harness.store import Store, load_results
from harness.store_care import check


class Told(Silent):
    """A display that remembers."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def begin(self, plan: Any, stored: int, to_run: int) -> None:
        self.said.append(("begin", stored, to_run))

    def started(self, job: Any) -> None:
        self.said.append("started")

    def done(self, job: Any, done: Any) -> None:
        self.said.append(done.status)

    def end(self, session: Session) -> None:
        self.said.append("end")


def test_the_display_is_told_everything(suite_file, run) -> None:
    told = Told()
    session = run(suite_file(methods=["raises"]), display=told)
    assert told.said == [("begin", 0, 2), "started", "ok", "started", "failed", "end"]
    assert session.summary() == {"reused": 0, "ok": 1, "failed": 1}


def test_answers_are_reused_and_failures_tried_again(suite_file, run) -> None:
    run(suite_file(methods=["raises", "majority"]))
    again = run(suite_file(methods=["raises", "majority", "zero-shot"]))
    assert again.reused == 3 and again.summary() == {"reused": 3, "failed": 1, "ok": 2}


def test_a_damaged_answer_is_set_aside_and_asked_again(suite_file, run, tmp_path: Path) -> None:
    first = run(suite_file(methods=["majority"]))
    store = Store(tmp_path / "store")
    cell = first.plan.cells[0]
    file = store.folder(cell.trial.trial_id, cell.run_key) / "records.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    again = run(suite_file(methods=["majority"]))
    assert again.reused == 1 and list(again.outcomes) == [cell.run_key] and check(store) == (2, [])
    assert len(list((store.root / "damaged").iterdir())) == 1


def test_fail_fast_stops_at_the_first_failure(suite_file, run, tmp_path: Path) -> None:
    session = run(suite_file(methods=["raises"], seeds=4), fail_fast=True)
    assert [done.status for done in session.outcomes.values()] == ["ok", "failed"]
    assert load_results(tmp_path / "store").trials["status"].tolist() == ["ok", "failed", "missing", "missing"]


def test_a_run_of_a_part_leaves_the_rest_in_the_plan(suite_file, run, tmp_path: Path) -> None:
    """Else a report after `--only` would show a part as if it were the whole, and gc would remove the rest."""
    run(suite_file(methods=["majority", "zero-shot"]))
    session = run(suite_file(methods=["majority", "zero-shot"], seeds=3), only="zero-shot/*")
    assert session.reused == 2 and len(session.outcomes) == 1
    trials = load_results(tmp_path / "store").trials
    assert trials.groupby("arm")["status"].apply(list).to_dict() == {"majority": ["ok", "ok", "missing"], "zero-shot": ["ok"] * 3}


def test_a_trial_that_two_cells_ask_for_runs_once(suite_file, run, tmp_path: Path) -> None:
    session = run(suite_file(methods=["majority", {"name": "spy", "tune": 2}], templates="all", dev=2, seeds=1))
    assert len(session.plan.cells) == 4 and len(session.outcomes) == len(session.plan.trials())
    assert len(load_results(tmp_path / "store").trials) == 4


def test_a_tuned_trial_whose_tries_all_fail_has_failed(suite_file, run, monkeypatch) -> None:
    from harness import catalog

    monkeypatch.setattr(catalog.load("method", "spy"), "adapt", lambda *args: 1 / 0)
    told = Told()
    session = run(suite_file(methods=[{"name": "spy", "tune": 2}], dev=2, seeds=1), display=told)
    parent = session.outcomes[session.plan.cells[0].run_key]
    assert (parent.status, parent.reason) == ("failed", "no try of the tuning succeeded") and told.said.count("failed") == len(
        session.outcomes
    )


def test_a_setting_that_the_suite_fixes_is_not_tuned(suite_file) -> None:
    plan = api.plan(suite_file(methods=[{"name": "spy", "tune": 8, "config": {"bias": -0.5}}], dev=2, seeds=1), device="cpu")
    configs = [trial.config for trial, _ in plan.cells[0].tries]
    assert {config["bias"] for config in configs} == {-0.5} and len({config["width"] for config in configs}) > 1


def test_a_configuration_drawn_twice_is_chosen_like_any_other(suite_file, run, tmp_path: Path) -> None:
    """Nine configurations, twelve tries, two tuning seeds: the mean is over what was asked, not over the number of draws."""
    session = run(suite_file(methods=[{"name": "spy", "tune": 12}], dev=4, seeds=1, tuning_seeds=[1000, 1001]))
    cell = session.plan.cells[0]
    found = Store(tmp_path / "store").get(cell.trial.trial_id, cell.run_key)
    assert found is not None
    tuning = found.result["facts"]["tuning"]
    assert len(tuning["tries"]) < 12 and all(len(item["dev_scores"]) == 2 for item in tuning["tries"])
    means = [sum(item["dev_scores"]) for item in tuning["tries"]]
    assert tuning["config"] == tuning["tries"][means.index(max(means))]["config"]
    tries = load_results(tmp_path / "store").tries
    assert set(tries["trial_id"]) == {cell.trial.trial_id} and tries["dev_score"].tolist() == [total / 2 for total in means]


def command(suite: Path, store: Path, *options: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "harness.cli", "run", str(suite), "--store", str(store), "--device", "cpu", *options]
    return subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=hear_ctrl_c,
        env={**os.environ, "OMP_NUM_THREADS": "1", "NAP": "2.5"},
    )  # fmt: skip


def hear_ctrl_c() -> None:
    """A shell starts what it sends to the background deaf to SIGINT, and whatever that starts inherits it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_a_result(process: subprocess.Popen[str], store: Path) -> None:
    limit = time.monotonic() + 120
    while not [file for file in store.glob("trials/??/*/*/result.json") if not file.parent.name.startswith(".")]:
        assert process.poll() is None and time.monotonic() < limit, process.communicate()
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [0, 1])
def test_kill_9_costs_no_more_than_the_running_trials(suite_file, run, tmp_path: Path, workers: int) -> None:
    suite = suite_file(methods=["naps"], seeds=4)
    process = command(suite, tmp_path / "store", "--workers", str(workers))
    wait_for_a_result(process, tmp_path / "store")
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL and "Traceback" not in said, said
    again = run(suite)
    assert again.reused >= 1 and again.reused + len(again.outcomes) == 4
    assert load_results(tmp_path / "store").trials["status"].tolist() == ["ok"] * 4
    assert check(Store(tmp_path / "store")) == (4, [])


def test_ctrl_c_stops_cleanly_and_running_again_resumes(suite_file, run, tmp_path: Path) -> None:
    suite = suite_file(methods=["naps"], seeds=4)
    process = command(suite, tmp_path / "store", "--workers", "1")
    wait_for_a_result(process, tmp_path / "store")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the worker too
    said, complained = process.communicate(timeout=60)
    assert (process.returncode, complained) == (130, ""), said
    assert "stopped; run again to resume" in said
    again = run(suite)
    assert again.reused >= 1 and again.reused + len(again.outcomes) == 4
    assert load_results(tmp_path / "store").trials["status"].tolist() == ["ok"] * 4


def test_ctrl_c_in_this_process_keeps_what_is_stored(suite_file, run, monkeypatch, tmp_path: Path) -> None:
    from harness import execute

    real, calls = execute.run_trial, []

    def stopped(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(execute, "run_trial", stopped)
    session = run(suite_file(methods=["majority"], seeds=3))
    assert session.interrupted and len(session.outcomes) == 1
    with pytest.raises(KeyboardInterrupt):
        calls.clear()
        api.run(suite_file(methods=["zero-shot"], seeds=3), store=tmp_path / "store", device="cpu")


def test_workers_by_cores_and_threads() -> None:
    from harness.executors.job import Settings

    cores = len(os.sched_getaffinity(0))
    assert default_workers(Settings("")) == cores and default_workers(Settings("", threads=10**6)) == 1
    assert default_workers(Settings("", device="cuda")) == 1
