"""Bad input, each through the command line: one clear line, exit code 2, no traceback, nothing written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main

Refused = Callable[..., str]
Write = Callable[..., Path]


@pytest.fixture
def refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Refused:
    """refused(suite, *options) -> the line that `harness run` says; asserts that it is one line, exit 2, and nothing is written."""

    def check(suite: str | Path, *options: str, store: str | Path | None = None, verb: str = "run") -> str:
        place = tmp_path / "store" if store is None else Path(store)
        before = contents(place)
        where = [str(suite), "--store", str(place)]
        code = main([verb, *where, *(["--device", "cpu"] if "--device" not in options else []), *options])
        said = capfd.readouterr()
        assert code == 2, said
        assert said.out == "" and said.err.count("\n") == 1 and said.err.startswith("harness: ") and "Traceback" not in said.err, said
        assert contents(place) == before, "something was written"
        return said.err.removeprefix("harness: ").rstrip("\n")

    return check


def contents(place: Path) -> Any:
    if place.is_file():
        return place.read_bytes()
    return sorted((str(path), path.stat().st_mtime_ns) for path in place.rglob("*")) if place.exists() else None


# --- names ------------------------------------------------------------------------------------------------------------------


def test_unknown_suite(refused: Refused) -> None:
    assert "unknown suite 'quickstrat'; did you mean quickstart" in refused("quickstrat")
    assert "no such file" in refused("./nowhere.yaml")


@pytest.mark.parametrize(
    ("key", "value", "line", "said"),
    [
        ("methods", ["zero-shot", "promt-tuning"], 4, "methods[1]: unknown method 'promt-tuning'; did you mean prompt-tuning"),
        ("tasks", ["word-partiy"], 5, "tasks[0]: unknown task 'word-partiy'; did you mean word-parity"),
        ("backbones", "tiny-masked-ml", 3, "backbones[0]: unknown backbone 'tiny-masked-ml'; did you mean tiny-masked-lm"),
        ("baseline", "zeroshot", 9, "baseline: unknown arm 'zeroshot'; did you mean zero-shot"),
        ("templates", ["plian"], 9, "templates[0]: unknown template 'plian'; did you mean plain"),
        ("tasks", [{"name": "word-parity", "templates": ["plian"]}], 5, "tasks[0].templates: unknown template 'plian'; did you mean plain"),
        ("methods", [{"name": "knn", "config": {"kk": 3}}], 4, "unknown setting 'kk'"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_unknown_names_give_file_line_and_the_nearest(
    refused: Refused, suite_file: Write, key: str, value: Any, line: int, said: str
) -> None:
    file = suite_file(**{key: value})
    answer = refused(file)
    assert answer.startswith(f"{file}:{line}: ") and said in answer


def test_unknown_keys_give_file_line_and_the_nearest(refused: Refused, suite_file: Write) -> None:
    file = suite_file(sedes=3)
    assert refused(file) == f"{file}:9: sedes: unknown key 'sedes'; did you mean seeds?"
    nested = suite_file(methods=[{"name": "knn", "confg": {}}])
    answer = refused(nested)
    assert answer.startswith(f"{nested}:4: ") and "unknown key 'confg'; did you mean config?" in answer


# --- values -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "line", "said"),
    [
        ({"methods": [{"name": "knn", "config": {"k": "three"}}]}, 4, "'three' is a str; must be int"),
        ({"methods": [{"name": "knn", "tune": 0}]}, 4, "greater than or equal to 1"),
        ({"methods": [{"name": "knn", "tune": True}]}, 4, "valid integer"),
        ({"methods": []}, 4, "at least 1 item"),
        ({"seeds": "many"}, 7, "'many' does not fit"),
        ({"seeds": [0, 0]}, 7, "twice"),
        ({"seeds": [-1]}, 7, "greater than or equal to 0"),
        ({"seeds": 0}, 7, "at least 1 item"),
        ({"shots": "few"}, None, "'few' is no number of rows"),
        ({"budget": {"steps": -1}}, 8, "greater than 0"),
        ({"budget": {"steps": True}}, 8, "valid number"),
        ({"budget": {"stpes": 5}}, 8, "'steps'"),
        ({"budget": {"steps": 5, "epochs": 1}}, None, "is no budget"),
        ({"precision": "fp8"}, 9, "'fp8' does not fit"),
        ({"test_rows": 0}, 9, "greater than or equal to 1"),
        ({"methods": ["knn", "knn"]}, None, "two methods are called 'knn'"),
        ({"methods": [{"name": "spy", "tune": 2}]}, None, "tuning needs a dev set"),
        ({"methods": [{"name": "spy", "tune": 2}], "dev": 2, "tuning_seeds": [1]}, None, "seed 1 would be tuned and reported on"),
        ({"methods": [{"name": "majority", "tune": 2}], "dev": 2}, None, "majority has nothing to tune"),
        ({"question": None}, 1, "question: is missing"),
    ],
    ids=str,
)
def test_wrong_values_say_where_and_what_would_be_right(
    refused: Refused, suite_file: Write, keys: dict[str, Any], line: int | None, said: str
) -> None:
    file = suite_file(**keys)
    answer = refused(file)
    assert said in answer
    if line is not None:
        assert answer.startswith(f"{file}:{line}: ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", "buget.steps=3"), "unknown key 'buget'; did you mean budget?"),
        (("--set", "budget.steps=.inf"), "budget.steps"),
        (("--set", "budget.steps=many"), "budget.steps"),
        (("--set", "methods.7.name=knn"), "no index of a list of 1"),
        (("--set", "budget.steps.more=3"), "is a plain value"),
        (("--set", "budget"), "'budget' is no setting; write KEY=VALUE"),
        (("--seeds", "5..1"), "'5..1' names no seeds"),
        (("--seeds", "x"), "'x' names no seeds"),
        (("--seeds", "-1"), "names no seeds"),
        (("--seeds", "0"), "names no seeds"),
        (("--device", "tpu"), "unknown device 'tpu'"),
        (("--device", "cuda:x"), "unknown device 'cuda:x'"),
        (("--only", "nothing-here"), "nothing in this suite matches 'nothing-here'"),
        (("--keep", "some"), "'some' is not known; none, small or all"),
        (("--timeout", "0"), "timeout"),
        (("--wokers", "2"), "no such option --wokers; did you mean --workers?"),
    ],
    ids=str,
)
def test_wrong_options(refused: Refused, suite_file: Write, options: tuple[str, ...], said: str) -> None:
    assert said in refused(suite_file(), *options)


def test_no_gpu(refused: Refused, suite_file: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "no CUDA device is available; use --device cpu" in refused(suite_file(), "--device", "cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert "there is no cuda:4" in refused(suite_file(), "--device", "cuda:4")


# --- rows and templates: known before the first trial runs -------------------------------------------------------------------


def test_fewer_examples_than_shots(refused: Refused, suite_file: Write) -> None:
    assert "word-parity: train asks for 500 rows of class 0 but" in refused(suite_file(shots=500))
    assert "word-parity: dev asks for 500 rows of class 0 but" in refused(suite_file(dev=500))


def mood(folder: Path, old: str, new: str) -> None:
    text = (folder / "mood.yaml").read_text(encoding="utf-8")
    assert old in text
    (folder / "mood.yaml").write_text(text.replace(old, new), encoding="utf-8")


def test_an_empty_split(refused: Refused, suite_file: Write, mood_task: Path) -> None:
    (mood_task / "test.jsonl").write_text("", encoding="utf-8")
    assert "mood" in (said := refused(suite_file(tasks=["mood"]))) and ("empty" in said or "no rows" in said)


def test_a_missing_column(refused: Refused, suite_file: Write, mood_task: Path) -> None:
    mood(mood_task, "{line: text}", "{line: txet}")
    assert "unknown column 'txet'; did you mean text?" in refused(suite_file(tasks=["mood"]))


def test_a_label_that_is_not_in_the_verbalizer(refused: Refused, suite_file: Write, mood_task: Path) -> None:
    mood(mood_task, "{sad: bad, glad: good}", "{sad: bad}")
    assert "label 'glad' is not in the verbalizer; it has sad" in refused(suite_file(tasks=["mood"]))


def test_a_label_that_is_not_in_the_verbalizer_of_a_python_task(
    refused: Refused, suite_file: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness import catalog
    from harness.templates import Template

    task = catalog.load("task", "word-parity")
    monkeypatch.setattr(task, "templates", {"plain": Template("{{ text }} {{ answer }}", answers={"even": "bad"})})
    assert "label 'odd' is not in the verbalizer; it has even" in refused(suite_file())


def test_a_template_that_needs_a_field_that_is_not_there(refused: Refused, suite_file: Write, mood_task: Path) -> None:
    mood(mood_task, "{{ line }} it was", "{{ lien }} it was")
    assert "'lien' is undefined" in refused(suite_file(tasks=["mood"]))


def test_a_template_that_gives_the_label_away(refused: Refused, suite_file: Write, mood_task: Path) -> None:
    mood(mood_task, "{{ line }} it was", "{{ label }} {{ line }} it was")
    assert "leaks the label" in refused(suite_file(tasks=["mood"]))


# --- backbones --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path, backbone_folder: Callable[[str], Path], suite_file: Write) -> Callable[[Callable[[Path], Any]], Path]:
    """broken(damage) -> a suite over a copy of a backbone that `damage` was done to."""

    def make(damage: Callable[[Path], Any]) -> Path:
        folder = tmp_path / "backbone"
        shutil.copytree(backbone_folder("masked_lm"), folder)
        damage(folder)
        return suite_file(backbones=str(folder))

    return make


def test_corrupted_weights(refused: Refused, broken: Any) -> None:
    def cut(folder: Path) -> None:
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(data[: len(data) // 2])

    said = refused(broken(cut))
    assert "model.safetensors: is damaged" in said and "fetch or build it again" in said


def test_pickled_weights(refused: Refused, broken: Any) -> None:
    said = refused(broken(lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin")))
    assert "pytorch_model.bin: is not safetensors (a pickle can run code), so it is refused" in said


def test_missing_weights_configuration_and_folder(refused: Refused, broken: Any, suite_file: Write, tmp_path: Path) -> None:
    assert "model.safetensors: is missing" in refused(broken(lambda folder: (folder / "model.safetensors").unlink()))
    (tmp_path / "backbone" / "config.json").write_text("{", encoding="utf-8")
    assert "config.json: is damaged" in refused(suite_file(backbones=str(tmp_path / "backbone")))
    assert "there is no such folder" in refused(suite_file(backbones="./nowhere/at-all"))


def test_weights_that_do_not_fit_their_configuration(refused: Refused, broken: Any) -> None:
    def widen(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 2 * config["intermediate_size"]}), encoding="utf-8")

    assert "backbone: weights do not fit the configuration" in refused(broken(widen))


def test_a_broken_tokenizer(refused: Refused, broken: Any) -> None:
    assert "its tokenizer cannot be read" in refused(broken(lambda folder: (folder / "tokenizer.json").write_text("{", encoding="utf-8")))


def test_code_of_its_own_is_not_run_unasked(refused: Refused, broken: Any) -> None:
    def point_to_code(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config |= {"model_type": "their-own", "auto_map": {"AutoModelForMaskedLM": "theirs.Model"}}
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    assert "needs code of its own to run; trust it with --trust-remote-code" in refused(broken(point_to_code))


def test_the_hub_cannot_be_reached(refused: Refused, suite_file: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    said = refused(suite_file(backbones="somebody/some-model"))
    assert "the hub cannot be reached for config.json of somebody/some-model" in said and "offline:" in said


# --- stores -----------------------------------------------------------------------------------------------------------------


def test_a_store_that_is_a_file(refused: Refused, suite_file: Write, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    assert "cannot be written: Not a directory" in refused(suite_file(), store=tmp_path / "taken")


def test_a_store_that_is_a_folder_with_other_things(refused: Refused, suite_file: Write, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("...", encoding="utf-8")
    assert "is a folder with other things in it" in refused(suite_file(), store=tmp_path / "thesis")


def test_a_store_that_cannot_be_written(refused: Refused, suite_file: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *args, **kwargs: False)
    assert "cannot be made here; name a folder you may write to" in refused(suite_file(), store=tmp_path / "locked" / "store")
    monkeypatch.undo()


def test_a_store_of_a_newer_format(refused: Refused, suite_file: Write, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_text('{"format": 99}', encoding="utf-8")
    for verb in ("run", "plan"):
        assert "store format 99 is newer than this version reads (1); update the harness" in refused(suite_file(), verb=verb)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "x"}', '{"form": 1}'])
def test_a_store_whose_marker_is_damaged(refused: Refused, suite_file: Write, tmp_path: Path, text: str) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_text(text, encoding="utf-8")
    assert "store.json: is damaged" in refused(suite_file())


def test_no_space_left(suite_file: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The one thing here that is found while running: what was stored stays, nothing half-written does, and the exit code is 2."""
    import errno

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("harness.store.Store._fill", full)
    assert main(["run", str(suite_file()), "--store", str(tmp_path / "store"), "--workers", "0", "--device", "cpu", "-q"]) == 2
    said = capfd.readouterr().err
    assert said == f"harness: {tmp_path / 'store'}: cannot be written: No space left on device; make room\n"
    assert not list((tmp_path / "store" / "trials").rglob("*/*/*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["inspect", "abcdef", "--store", "nowhere"], "is no results store"),
        (["predict", "abcdef", "rows.jsonl", "--store", "nowhere"], "is no results store"),
        (["store", "check", "nowhere"], "is no results store"),
        (["rnu", "quickstart"], "unknown verb 'rnu'; did you mean run"),
        (["plan", "quickstrat"], "did you mean quickstart"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_other_verbs(arguments: list[str], said: str, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    err = capfd.readouterr().err
    assert said in err and err.count("\n") == 1 and not list(tmp_path.iterdir())
