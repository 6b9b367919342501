"""The verbs around a run, in process: plan, run, inspect, predict, store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.store import Store

Say = Callable[..., tuple[int, str]]


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    """say(verb, ...) -> (exit code, what it printed), in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: Any) -> tuple[int, str]:
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert said.err == "", said.err
        return code, said.out

    return call


def only_trial() -> str:
    [folder] = Store("store").folders()
    return folder.parent.name


def test_plan_run_and_plan_again(suite_file, say: Say) -> None:
    suite = suite_file(methods=["majority", "zero-shot"])
    code, said = say("plan", suite, "--device", "cpu")
    assert code == 0 and "4 trials: 0 stored, 4 to run; 0 cells unsupported" in said and "no estimate for 4 trials" in said
    assert not Path("store").exists(), "planning wrote something"
    code, said = say("run", suite, "--workers", 0, "--device", "cpu")
    assert code == 0 and "small: 4 trials to run, 0 stored, 0 unsupported" in said and "4 ok, 0 reused" in said
    code, said = say("run", suite, "--workers", 0, "--device", "cpu", "--seeds", "0..2")
    assert code == 0 and "6 trials" not in said and "2 ok, 4 reused" in said
    code, said = say("plan", suite, "--device", "cpu", "--trials", "--set", "seeds=4")
    assert "8 trials: 6 stored, 2 to run" in said and said.count("to run  ") == 2 and "estimated" in said


def test_plan_as_json(suite_file, say: Say) -> None:
    plan = json.loads(say("plan", suite_file(methods=["knn"], tasks=["first-word", "word-parity"]), "--device", "cpu", "--json")[1])
    assert plan["counts"] == {"trials": 2, "stored": 0, "to_run": 2, "unsupported": 2}
    assert len(plan["cells"]) == 4 and plan["estimate"]["seconds"] is None


def test_failed_trials_are_exit_code_1_and_quiet_is_quiet(suite_file, say: Say) -> None:
    assert say("run", suite_file(methods=["raises"]), "-q", "--workers", 0, "--device", "cpu") == (1, "")
    code, said = say("run", suite_file(methods=["raises"]), "--workers", 0, "--device", "cpu")
    assert code == 1 and "failed" in said and "(RuntimeError: no luck with this seed)" in said and "1 failed, 1 reused" in said


def test_unsupported_is_no_failure(suite_file, say: Say) -> None:
    code, said = say("run", suite_file(methods=["knn"], tasks=["first-word"]), "--workers", 0, "--device", "cpu")
    assert code == 0 and "0 trials to run, 0 stored, 2 unsupported" in said


def test_inspect_shows_one_trial(suite_file, say: Say) -> None:
    say("run", suite_file(methods=["prompt-tuning"], seeds=1, dev=2), "--workers", 0, "--device", "cpu")
    trial = only_trial()
    code, said = say("inspect", trial[:8], "--examples", 2)
    assert code == 0 and said.startswith("prompt-tuning on word-parity with random-masked_lm, seed 0\n")
    for part in ("status ok", "accuracy 0.", "learning_rate=", "selected_step", "trainable_parameters", "it was", "gold '", "scores: "):
        assert part in said
    assert said.count("  gold '") == 2
    value = json.loads(say("inspect", trial, "--json", "--examples", 3)[1])
    assert value["result"]["status"] == "ok" and len(value["examples"]) == 3 and value["curve"][0]["step"] == 1
    wrong = json.loads(say("inspect", trial, "--json", "--wrong", "--examples", 99)[1])["examples"]
    assert wrong and all(row["gold"] != row["prediction"] for row in wrong)


def test_inspect_says_what_a_tuning_chose(suite_file, say: Say) -> None:
    say("run", suite_file(methods=[{"name": "spy", "tune": 3}], seeds=1, dev=2), "--workers", 0, "--device", "cpu")
    store = Store("store")
    parent = next(stored for folder in store.folders() if (stored := store.read(folder)) is not None and stored.trial.tuning)
    _, said = say("inspect", parent.trial.trial_id)
    chosen = parent.result["facts"]["tuning"]["config"]
    assert f"settings  bias={chosen['bias']}  width={chosen['width']}" in said and "tuned: " in said


def test_inspect_of_a_failure_gives_its_reason(suite_file, say: Say) -> None:
    say("run", suite_file(methods=["raises"], seeds=[1]), "--workers", 0, "--device", "cpu")
    _, said = say("inspect", only_trial())
    assert "status failed: RuntimeError: no luck with this seed" in said and "test  not scored" in said


def test_predict_new_rows(suite_file, say: Say) -> None:
    say("run", suite_file(methods=["prompt-tuning"], seeds=1), "--workers", 0, "--device", "cpu")
    Path("new.jsonl").write_text('{"id": "mine", "text": "red cat"}\n{"text": "big blue house", "other": 1}\n', encoding="utf-8")
    code, said = say("predict", only_trial(), "new.jsonl", "--device", "cpu")
    lines = [json.loads(line) for line in said.splitlines()]
    assert code == 0 and [line["id"] for line in lines] == ["mine", "1"]
    assert all(line["prediction"] in ("even", "odd") and len(line["scores"]) == 2 for line in lines)
    assert say("predict", only_trial(), "new.jsonl", "--device", "cpu", "-o", "out.jsonl")[1] == "2 predictions in out.jsonl\n"
    assert [json.loads(line) for line in Path("out.jsonl").read_text(encoding="utf-8").splitlines()] == lines


@pytest.mark.parametrize(
    ("text", "wrong"), [('{"txt": "a"}\n', "column 'text' is missing; word-parity needs text"), ("", "holds no row"), ("{\n", "new.jsonl")]
)
def test_rows_that_do_not_fit(suite_file, say: Say, capsys: pytest.CaptureFixture[str], text: str, wrong: str) -> None:
    say("run", suite_file(methods=["majority"], seeds=1), "--workers", 0, "--device", "cpu")
    Path("new.jsonl").write_text(text, encoding="utf-8")
    assert main(["predict", only_trial(), "new.jsonl", "--device", "cpu"]) == 2
    said = capsys.readouterr().err
    assert wrong in said and said.count("\n") == 1


def test_predict_without_a_kept_adaptation(suite_file, say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    say("run", suite_file(methods=["prompt-tuning"], seeds=1), "--workers", 0, "--device", "cpu", "--keep", "none")
    Path("new.jsonl").write_text('{"text": "red cat"}\n', encoding="utf-8")
    assert main(["predict", only_trial(), "new.jsonl", "--device", "cpu"]) == 2
    assert "no adaptation is stored here; run again with --keep small or all" in capsys.readouterr().err


def test_care_for_a_store(suite_file, say: Say) -> None:
    suite = suite_file(methods=["majority", "zero-shot"])
    say("run", suite, "--workers", 0, "--device", "cpu")
    assert say("store", "check", "store") == (0, "4 trials whole, 0 damaged\n")
    folder = next(Store("store").folders())
    (folder / "log.txt").write_text("changed", encoding="utf-8")
    code, said = say("store", "check", "store")
    assert code == 1 and "damaged: trials/" in said and "log.txt does not match its checksum" in said
    assert say("store", "check", "store", "--repair") == (0, said.replace("checksum\n", "checksum (set aside)\n"))
    assert say("store", "merge", "copy", "store") == (0, "3 trials taken over from store\n")
    assert say("store", "gc", "store", "--dry") == (0, "1 folders would be removed\n")
    assert say("store", "gc", "store") == (0, "1 folders removed\n")
    assert say("store", "invalidate", "store", "majority/*")[0] == 0
    assert "to run" in say("run", suite, "--workers", 0, "--device", "cpu")[1]
    code, said = say("store", "export", "store", "-o", "out")
    assert code == 0 and said.split() == ["out/trials.parquet", "out/trials.csv", "out/records.parquet"]
