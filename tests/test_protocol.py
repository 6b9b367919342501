"""The protocol, executed: each test names the kind of bug, found in published benchmarks, that it keeps out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import api, catalog, depends, identity, planning
from harness.execute import data_of, task_of
from harness.metrics import score
from harness.outcome import predictions_of
from harness.seeds import STREAMS, Streams
from harness.session import Session
from harness.store import Store, load_results
from harness.suite import load_suite
from harness.task import Shots, draw
from harness.trial import Trial

Run = Callable[..., Session]
Write = Callable[..., Path]


@pytest.fixture
def spy(entries: None) -> Iterator[Any]:
    """The method that remembers what it was asked, with an empty memory."""
    method = catalog.load("method", "spy")
    method.asked.clear()
    yield method
    method.asked.clear()


def stored(tmp_path: Path, session: Session, store: str = "store") -> dict[str, Any]:
    opened = Store(tmp_path / store)
    return {key: opened.get(trial.trial_id, key) for key, trial in session.plan.trials().items()}


# --- splits -----------------------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**40), train=st.integers(1, 8), dev=st.integers(0, 8))
def test_train_dev_and_test_share_no_content(entries: None, seed: int, train: int, dev: int) -> None:
    """Test sentences that also stood in the training file, under another id, inflated published few-shot scores."""
    task = _word_parity()
    data = draw(task, Streams({"data": seed}).rng("data", task.name), train=Shots(per_class=train), dev=Shots(per_class=dev))
    parts = [{row.content for row in rows} for rows in (data.train, data.dev, data.test)]
    assert [len(part) for part in parts] == [2 * train, 2 * dev, len(data.test)]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])


_made: list[Any] = []


def _word_parity() -> Any:
    if not _made:
        _made.append(catalog.load("task", "word-parity")())
    return _made[0]


def test_dev_is_never_test_for_a_published_dev_split(mood_task: Path) -> None:
    """GLUE's test labels are hidden, so released code reports the validation set that it also selected on."""
    lines = [json.loads(line) for line in (mood_task / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    tested = [json.loads(line) for line in (mood_task / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    (mood_task / "dev.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines[:12] + tested[:6]), encoding="utf-8")
    (mood_task / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines[12:] + tested[:2]), encoding="utf-8")
    text = (mood_task / "mood.yaml").read_text(encoding="utf-8").replace("train: train.jsonl,", "train: train.jsonl, dev: dev.jsonl,")
    (mood_task / "mood.yaml").write_text(text.replace("fields:", "splits: {pool: train, dev: dev, test: test}\nfields:"), encoding="utf-8")
    task = catalog.load("task", "mood")()
    data = draw(task, np.random.default_rng(0), train=Shots(), dev=Shots())
    assert len(data.dev) == 12 and data.dropped == 2
    contents = [{row.content for row in rows} for rows in (data.train, data.dev, data.test)]
    assert not (contents[0] & contents[1] or contents[0] & contents[2] or contents[1] & contents[2])


def test_the_test_split_is_the_same_for_every_seed_and_number_of_rows(entries: None) -> None:
    """A test subset drawn anew for each seed mixes the spread of test items into the spread of seeds."""
    task = _word_parity()
    drawn = [draw(task, np.random.default_rng(seed), train=Shots(per_class=2), dev=Shots(per_class=0), test_rows=5) for seed in range(3)]
    assert len({tuple(row.id for row in data.test) for data in drawn}) == 1
    whole = {row.id for row in task.test()}
    assert {row.id for row in drawn[0].test} < whole


def test_asking_for_a_dev_set_changes_no_training_row(entries: None) -> None:
    """Splitting dev off the drawn shots gives methods that select on dev fewer rows to learn from than those that do not."""
    task = _word_parity()
    drawn = [draw(task, np.random.default_rng(0), train=Shots(per_class=4), dev=Shots(per_class=dev)) for dev in (0, 8)]
    assert drawn[0].train == drawn[1].train


# --- seeds ------------------------------------------------------------------------------------------------------------------


def test_two_seeds_differ_and_one_seed_repeats_bit_for_bit(suite_file: Write, run: Run, tmp_path: Path) -> None:
    """`set_seed` called before the data were shuffled, or not at all, made five runs one run, or one run irreproducible."""
    suite = suite_file(methods=["prompt-tuning"], seeds=2, dev=2)
    first, again = run(suite, "first"), run(suite, "again")
    assert [cell.run_key for cell in first.plan.cells] == [cell.run_key for cell in again.plan.cells]
    one, other = [stored(tmp_path, first, "first")[cell.run_key] for cell in first.plan.cells]
    assert answer_bytes(one) != answer_bytes(other)
    assert one.result["facts"]["rows"]["train"] != other.result["facts"]["rows"]["train"]
    assert one.result["facts"]["rows"]["test"] == other.result["facts"]["rows"]["test"]
    for key, before in stored(tmp_path, first, "first").items():
        assert answer_bytes(before) == answer_bytes(stored(tmp_path, again, "again")[key])


def test_a_worker_process_gives_the_same_bytes_as_this_one(suite_file: Write, run: Run, tmp_path: Path) -> None:
    """Results that depended on which worker ran a trial, by its thread count or what it had drawn before, cannot be repeated."""
    suite = suite_file(methods=["prompt-tuning", "full-fine-tuning"], seeds=1, dev=2)
    here, there = run(suite, "here"), run(suite, "there", workers=1)
    assert [done.status for done in there.outcomes.values()] == ["ok", "ok"]
    for key, before in stored(tmp_path, here, "here").items():
        assert answer_bytes(before) == answer_bytes(stored(tmp_path, there, "there")[key])


def test_what_ran_before_changes_nothing(suite_file: Write, run: Run, tmp_path: Path) -> None:
    """One global generator through a whole sweep makes a method's score depend on its place in the sweep."""
    alone = run(suite_file("alone", methods=["library-random"]), "alone")
    after = run(suite_file("after", methods=["prompt-tuning", "library-random"]), "after")
    scores = {key: answer_bytes(found) for key, found in stored(tmp_path, alone, "alone").items()}
    assert scores == {key: answer_bytes(found) for key, found in stored(tmp_path, after, "after").items() if key in scores}
    assert len(set(scores.values())) == 2  # and the seed reaches libraries' own generators


def answer_bytes(found: Any) -> tuple[Any, ...]:
    """Everything a trial answered, without its times."""
    adapted = sorted((found.folder / "adapted").glob("*")) if (found.folder / "adapted").exists() else []
    curve = found.curve()
    losses = () if not len(curve) else tuple(map(tuple, curve[["step", "loss"]].to_numpy().tolist()))
    return (
        (found.folder / "records.parquet").read_bytes(),
        tuple(file.read_bytes() for file in adapted),
        losses,
        found.result["dev_score"],
    )


def test_seed_0_is_a_seed(suite_file: Write) -> None:
    """`if args.seed:` left seed 0 unseeded."""
    numbers = dict.fromkeys(STREAMS, 0)
    assert Streams(numbers).rng("init").random() == Streams(numbers).rng("init").random()
    assert Streams(numbers).rng("init").random() != Streams({**numbers, "init": 1}).rng("init").random()
    plan = api.plan(suite_file(seeds=[0]), device="cpu")
    assert [cell.trial.seeds for cell in plan.cells] == [numbers]


def test_demonstrations_depend_on_task_and_seed_alone(suite_file: Write, run: Run, tmp_path: Path, backbone_folder: Any) -> None:
    """Demonstrations drawn from one generator while items were evaluated changed with the number of items, and of devices."""
    shared = {"backbones": str(backbone_folder("causal_lm")), "methods": [{"name": "in-context", "config": {"demonstrations": 2}}]}
    everything = stored(tmp_path, run(suite_file("whole", **shared)))
    fewer = stored(tmp_path, run(suite_file("fewer", **shared, test_rows=4)))
    for one, other in zip(everything.values(), fewer.values(), strict=True):
        assert one.result["shared_prompt"] == other.result["shared_prompt"] != ""
        prompts = dict(zip(one.records()["example"], one.records()["prompt"]))
        assert len(other.records()) == 4
        assert all(prompts[name] == prompt for name, prompt in zip(other.records()["example"], other.records()["prompt"]))
        np.testing.assert_allclose(
            np.stack(other.records()["scores"].to_list()),
            np.stack([dict(zip(one.records()["example"], one.records()["scores"]))[name] for name in other.records()["example"]]),
            atol=1e-5,
        )
    prompts_by_seed = [found.result["shared_prompt"] for found in everything.values()]
    assert prompts_by_seed[0] != prompts_by_seed[1]


# --- selection and test -----------------------------------------------------------------------------------------------------


def test_test_is_scored_once_per_trial(spy: Any, suite_file: Write, run: Run) -> None:
    """Reporting the best test score over epochs is selection on test."""
    session = run(suite_file(methods=["spy"], seeds=3, dev=2))
    for cell in session.plan.cells:
        test = {row.id for row in data_of(cell.trial, task_of(cell.trial), Streams(cell.trial.seeds)).test}
    assert sum(bool(test & set(asked)) for asked in spy.asked) == 3
    assert sum(len(asked) for asked in spy.asked if test & set(asked)) == 3 * len(test)


def test_tries_of_a_tuning_never_see_test(spy: Any, suite_file: Write, run: Run, tmp_path: Path) -> None:
    """Hyperparameters of published tables were chosen on the scores that the tables show, on the very seeds they show."""
    session = run(suite_file(methods=[{"name": "spy", "tune": 3}], seeds=2, dev=3))
    test = {row.id for row in _word_parity().test()}
    assert sum(bool(test & set(asked)) for asked in spy.asked) == 2  # the two parents, once each
    found = stored(tmp_path, session)
    tries = [found[key] for key, trial in session.plan.trials().items() if trial.scored == "dev"]
    assert tries and all(item.result["scores"] == {} and not len(item.records()) for item in tries)
    assert {item.trial.seeds["data"] for item in tries} == {1000}
    for cell in session.plan.cells:
        chosen = found[cell.run_key].result["facts"]["tuning"]
        means = [np.mean(item["dev_scores"]) for item in chosen["tries"]]
        assert chosen["config"] == chosen["tries"][int(np.argmax(means))]["config"]


def test_the_results_show_how_many_configurations_each_method_tried(suite_file: Write, run: Run, tmp_path: Path) -> None:
    """A tuned new method against untuned baselines is a comparison of effort; the table must at least show it."""
    run(suite_file(methods=[{"name": "spy", "tune": 3}, {"name": "spy", "label": "as it is"}], dev=3))
    trials = load_results(tmp_path / "store").trials
    assert trials.groupby("arm")["tuning_trials"].unique().map(list).to_dict() == {"spy": [3], "as it is": [0]}


def test_equal_tries_give_every_method_the_same_number_of_trials(suite_file: Write) -> None:
    """Grids of different sizes give the method with the larger grid more chances."""
    methods = [{"name": name, "tune": 4} for name in ("spy", "prompt-tuning", "linear-probe")]
    plan = api.plan(suite_file(methods=methods, dev=2), device="cpu")
    assert {len(cell.tries) for cell in plan.cells} == {4}


# --- accounting -------------------------------------------------------------------------------------------------------------


def test_failures_are_counted_and_never_dropped(suite_file: Write, run: Run, tmp_path: Path) -> None:
    """Means over the seeds that did not crash, without saying how many those were."""
    names = ["raises", "diverges", "nan-scores", "slow", "no-room", "exits", "odd-notes", "wrong-order", "majority"]
    run(suite_file("warm", methods=["majority"], seeds=1), "warm")  # imports are not the first trial's time
    session = run(suite_file(methods=names, seeds=2, budget={}), timeout=1.0)
    trials = load_results(tmp_path / "store").trials
    statuses = trials.groupby("arm")["status"].agg(list).to_dict()
    assert statuses == {
        "raises": ["ok", "failed"],
        "diverges": ["diverged"] * 2,
        "nan-scores": ["diverged"] * 2,
        "slow": ["timed_out"] * 2,
        "no-room": ["out_of_memory"] * 2,
        "exits": ["failed"] * 2,
        "odd-notes": ["failed"] * 2,
        "wrong-order": ["failed"] * 2,
        "majority": ["ok"] * 2,
    }
    reasons = trials.set_index("arm")["reason"]
    assert reasons["raises"].iloc[1] == "RuntimeError: no luck with this seed"
    assert "step 3" in reasons["diverges"].iloc[0] and "1 s" in reasons["slow"].iloc[0]
    assert trials[trials["status"] != "ok"]["score"].isna().all() and len(session.failed) == 15


def test_a_worker_that_dies_or_hangs_costs_its_own_trial(
    suite_file: Write, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crashed sweep whose missing runs are taken for runs never planned."""
    monkeypatch.setattr("harness.executors.local.GRACE", 0.5)
    methods = [{"name": "dies", "label": "dies", "config": {"code": 3}}, {"name": "dies", "label": "killed", "config": {"code": -9}}]
    session = run(suite_file(methods=[*methods, "deaf", "majority"], seeds=1), workers=1, timeout=5.0)
    trials = load_results(tmp_path / "store").trials.set_index("arm")
    assert trials["status"].to_dict() == {"dies": "failed", "killed": "out_of_memory", "deaf": "timed_out", "majority": "ok"}
    assert trials["reason"]["dies"] == "the worker ended with exit code 3" and len(session.outcomes) == 4


def test_every_stored_score_is_recomputable_from_the_stored_predictions(
    suite_file: Write, run: Run, tmp_path: Path, backbone_folder: Any
) -> None:
    """Scores without predictions cannot be checked, nor compared item by item."""
    run(suite_file("classes", methods=["zero-shot", "linear-probe", "lora"], seeds=1))
    run(suite_file("texts", methods=["zero-shot"], tasks=["first-word"], backbones=str(backbone_folder("causal_lm")), seeds=1))
    results = load_results(tmp_path / "store")
    assert len(results.trials) == 4
    for row in results.trials.to_dict("records"):
        found = Store(tmp_path / "store").get(row["trial_id"], row["run_key"])
        assert found is not None
        task = task_of(found.trial)
        assert found.result["scores"]
        for metric, value in found.result["scores"].items():
            again = score(metric, predictions_of(found.records(), task), task.test(), task)
            assert again == value, metric
            sums = np.stack(found.records()[f"stat:{metric}"].to_list()).sum(axis=0)
            from harness.metrics import get

            assert get(metric).value(sums) == pytest.approx(value, abs=1e-12)


# --- what a stored score depends on -----------------------------------------------------------------------------------------


@pytest.fixture
def asked_twice(suite_file: Write, mood_task: Path, run: Run, tmp_path: Path, backbone_folder: Any) -> Callable[..., None]:
    """asked_twice(change) runs a suite, changes one thing, and asserts that nothing stored is taken for the answer."""
    folder = tmp_path / "backbone"
    shutil.copytree(backbone_folder("masked_lm"), folder)

    def check(change: Callable[[Path, Path], Any], **keys: Any) -> None:
        def suite() -> Path:
            return suite_file(backbones=str(folder), tasks=["mood"], methods=["linear-probe"], seeds=1)

        first = run(suite())
        assert [done.status for done in first.outcomes.values()] == ["ok"]
        same = run(suite())
        assert (same.reused, same.outcomes) == (1, {}), "an unchanged question was asked again"
        change(folder, mood_task)
        second = run(suite_file(backbones=str(folder), tasks=["mood"], methods=["linear-probe"], seeds=1, **keys))
        assert second.reused == 0 and [done.status for done in second.outcomes.values()] == ["ok"]
        assert second.plan.cells[0].run_key != first.plan.cells[0].run_key

    return check


def _new_weights(backbone: Path, task: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(backbone / "model.safetensors")
    name = sorted(tensors)[0]
    tensors[name] = tensors[name] + 1e-3
    save_file(tensors, backbone / "model.safetensors", metadata={"format": "pt"})


def _rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_new_weights_are_another_question(asked_twice: Any) -> None:
    """A cache keyed by the model's name kept the scores of weights that had been replaced under that name."""
    asked_twice(_new_weights)


def test_a_new_tokenizer_is_another_question(asked_twice: Any) -> None:
    """A fixed tokenizer file with the scores of the broken one."""
    asked_twice(lambda backbone, task: _rewrite(backbone / "tokenizer_config.json", "{", '{"clean_up_tokenization_spaces": false, '))


def test_a_new_template_is_another_question(asked_twice: Any) -> None:
    """A prompt edited under its old name, and a cache keyed by the name."""
    asked_twice(lambda backbone, task: _rewrite(task / "mood.yaml", "it was", "all was"))


def test_a_new_label_word_is_another_question(asked_twice: Any) -> None:
    """The same for the verbalizer."""
    asked_twice(lambda backbone, task: _rewrite(task / "mood.yaml", "glad: good", "glad: big"))


def test_new_rows_are_another_question(asked_twice: Any) -> None:
    """A data set corrected upstream, and scores of both versions in one table."""
    asked_twice(lambda backbone, task: _rewrite(task / "test.jsonl", "bread", "breads"))


def test_new_gold_labels_are_another_question(asked_twice: Any) -> None:
    """Labels fixed, inputs unchanged: a cache keyed by the inputs does not notice."""

    def relabel(backbone: Path, task: Path) -> None:
        lines = (task / "test.jsonl").read_text(encoding="utf-8").splitlines()
        lines[0] = lines[0].replace('"sad"', '"glad"') if '"sad"' in lines[0] else lines[0].replace('"glad"', '"sad"')
        (task / "test.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    asked_twice(relabel)


def test_another_precision_is_another_question(asked_twice: Any) -> None:
    """bf16 and fp32 scores shared a cache entry."""
    asked_twice(lambda backbone, task: None, precision="bf16")


def test_bf16_trains_as_fp32_does(suite_file: Write, mood_task: Path, run: Run, tmp_path: Path, backbone_folder: Any) -> None:
    """Autocast kept the first bf16 copy of every trained weight for the whole run: the losses stood still and every score was chance."""
    last: dict[str, tuple[float, float]] = {}
    for precision in ("fp32", "bf16"):
        session = run(
            suite_file(
                backbones=str(backbone_folder("masked_lm")),
                tasks=["mood"],
                methods=[{"name": "full-fine-tuning", "config": {"learning_rate": 3e-3, "head_rate": 0.05}}],
                budget={"steps": 40},
                seeds=1,
                precision=precision,
            )
        )
        (found,) = stored(tmp_path, session).values()
        losses = found.curve()["loss"].dropna().to_numpy()
        last[precision] = (losses[0], losses[-5:].mean())
    (start, end), (rough_start, rough_end) = last["fp32"], last["bf16"]
    assert abs(rough_start - start) < 0.05 and end < start - 0.1
    assert rough_end < rough_start - 0.5 * (start - end)


@pytest.mark.parametrize("what", ["NUMERICS", "SCORER"])
def test_a_new_engine_or_scorer_version_is_another_question(asked_twice: Any, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """A metric was corrected; its old values stayed in the leaderboard."""
    asked_twice(lambda backbone, task: monkeypatch.setattr(depends, what, 10**6))


def test_new_library_versions_are_another_question(asked_twice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An update of the libraries changed scores by a point, and half of a table was from before it."""
    asked_twice(lambda backbone, task: monkeypatch.setattr(depends, "versions", lambda: {"torch": "0.0"}))


def test_another_kind_of_device_is_another_question_and_another_gpu_is_not(suite_file: Write) -> None:
    """CPU and GPU runs of one seed differ; a cache that takes one for the other hides it."""
    suite = load_suite(suite_file(seeds=1))
    keys = [planning.plan(suite, device=device).cells[0].run_key for device in ("cpu", "cuda:0", "cuda:1")]
    assert keys[0] != keys[1] == keys[2]
    assert planning.plan(suite, threads=2).cells[0].run_key != keys[0]


METHOD = '''"""A method of a user's own."""

from harness.methods.majority import Majority
from harness.registry import method

from .{helper} import RATE


@method("{name}")
class Mine(Majority):
    """Majority, again."""

    rate = RATE
'''


def test_new_source_of_a_method_or_of_what_it_imports_is_another_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suite_file: Write, run: Run
) -> None:
    """The method was edited, its old scores came back from the cache."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "mine.py").write_text(METHOD.format(helper="rates", name="mine-of-protocol-test"), encoding="utf-8")
    (folder / "rates.py").write_text("RATE = 1\n", encoding="utf-8")
    monkeypatch.setenv("HARNESS_ENTRIES", f"{folder}:{Path(__file__).parent / 'entries'}")
    catalog.refresh()
    file = suite_file(methods=["mine-of-protocol-test"], seeds=1)
    keys = []
    for change in (
        None,
        ("rates.py", "RATE = 2\n"),
        ("mine.py", METHOD.format(helper="rates", name="mine-of-protocol-test") + "# edited\n"),
    ):
        if change is not None:
            (folder / change[0]).write_text(change[1], encoding="utf-8")
        identity._digest_files.cache_clear()  # a new process reads the files again
        identity._with_neighbours.cache_clear()
        session = run(file)
        assert session.reused == 0 and [done.status for done in session.outcomes.values()] == ["ok"]
        keys.append(session.plan.cells[0].run_key)
    assert len(set(keys)) == 3


@settings(max_examples=30, deadline=None)
@given(
    field=st.sampled_from(["config", "template", "train", "dev", "seeds", "budget", "select", "test_rows", "precision", "task", "backbone"])
)
def test_every_part_of_the_question_is_in_its_identity(field: str) -> None:
    """Two configurations under one file name: the second run overwrote or reused the first."""
    values: dict[str, Any] = {
        "task": "t", "task_config": {}, "backbone": {"name": "b"}, "method": "m", "config": {"rank": 8}, "template": "a",
        "train": {"per_class": 4}, "dev": {"per_class": 0}, "seeds": {"data": 0}, "budget": {}, "select": "best_dev",
    }  # fmt: skip
    other = {
        "config": {"rank": 9}, "template": "b", "train": {"total": 4}, "dev": {"per_class": 1}, "seeds": {"data": 1}, "budget": {"steps": 1},
        "select": "last", "test_rows": 5, "precision": "bf16", "task": "u", "backbone": {"name": "b", "untrained": 0},
    }  # fmt: skip
    assert Trial(**values).trial_id != Trial(**{**values, field: other[field]}).trial_id
