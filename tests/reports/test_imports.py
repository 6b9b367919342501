"""Results from elsewhere: each format becomes rows of the results view, marked as imported, and gets the tests its detail allows."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from harness.reports.analysis import Options, analyse
from harness.reports.imports import Mapping, read_helm, read_lm_eval, read_long_table, read_peft
from harness.reports.imports.command import import_results

from harness.errors import InputError
from harness.results import TRIAL_COLUMNS, Results
from harness.store import load_results

FAST = Options(n_resamples=500)
SHARED = Path(os.environ.get("HARNESS_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "results"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def runs(path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [
        f"{model},{data},{seed},{0.6 + 0.1 * (model == 'b') + rng.normal(0, 0.01):.4f}"
        for model in ("a", "b", "None")
        for data in ("x", "y", "z")
        for seed in range(4)
    ]
    return write(path, "model,dataset,run,acc\n" + "\n".join(rows) + "\n")


MAPPING = Mapping({"arm": "model", "task": "dataset", "seed": "run", "score": "acc", "data_digest": "dataset+run"}, {"metric": "accuracy"})


def test_long_table(tmp_path: Path) -> None:
    found = read_long_table(runs(tmp_path / "r.csv"), MAPPING)
    assert list(found.trials.columns) == list(TRIAL_COLUMNS) and len(found.trials) == 36
    # "None" is a level, no gap
    assert set(found.trials["arm"]) == {"a", "b", "None"}
    assert found.trials["imported"].all() and (found.trials["source"] == "r").all()
    assert found.trials["trial_id"].is_unique
    family = analyse(Results(found.trials), FAST).families[0]
    assert family.imported and family.testing.ranking_over == "seeds"
    assert next(p for p in family.column_pairs).test.method == "paired t"


def test_reading_twice_gives_the_same_identities(tmp_path: Path) -> None:
    path = runs(tmp_path / "r.csv")
    one, two = read_long_table(path, MAPPING), read_long_table(path, MAPPING)
    assert one.digest == two.digest
    pd.testing.assert_frame_equal(one.trials, two.trials)


def test_summaries_are_not_paired_and_not_resampled(tmp_path: Path) -> None:
    path = write(
        tmp_path / "s.csv", "m,t,mean,sd\n" + "".join(f"{m},{t},{0.5 + 0.1 * i},0.02\n" for i, m in enumerate("abc") for t in "xy")
    )
    mapping = Mapping({"arm": "m", "task": "t", "score": "mean", "score_sd": "sd"}, {"score_n": "5", "score_spread_covers": "seeds"})
    family = analyse(Results(read_long_table(path, mapping).trials), FAST).families[0]
    assert {pair.test.method for pair in family.column_pairs} == {"Welch t from summaries"}
    assert not family.shares and not family.profiles and not family.next_samples
    assert any("published summaries" in note for note in family.notes)


def test_spread_without_n_gets_no_test(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "m,t,mean,sd\na,x,0.5,0.02\nb,x,0.6,0.02\n")
    found = read_long_table(path, Mapping({"arm": "m", "task": "t", "score": "mean", "score_sd": "sd"}))
    family = analyse(Results(found.trials), FAST).families[0]
    [pair] = family.column_pairs
    assert pair.test.pvalue is None and "not published" in str(pair.test.degenerate)


def test_standard_error_of_an_accuracy_gives_its_n(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", f"arm,task,score,se\na,x,0.573,{(0.573 * 0.427 / 1266) ** 0.5}\n")
    found = read_long_table(path, Mapping({"score_se": "se"}, {"score_spread_covers": "examples"}))
    assert found.trials["score_n"].iloc[0] == 1267
    with pytest.raises(InputError, match="standard error"):
        read_long_table(path, Mapping({"score_se": "se"}))


def test_per_example_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [f"{m},x,{s},{e},{int(rng.random() < 0.5 + 0.2 * (m == 'a'))}" for m in "ab" for s in range(3) for e in range(40)]
    path = write(tmp_path / "e.csv", "arm,task,seed,example,score\n" + "\n".join(lines) + "\n")
    found = read_long_table(path, Mapping({"data_digest": "seed"}))
    assert len(found.trials) == 6 and len(found.examples) == 240
    by_trial = found.examples.groupby("trial_id")["statistics"].apply(lambda s: np.mean([v[0] for v in s]))
    assert np.allclose(by_trial.loc[found.trials["trial_id"]].to_numpy(), found.trials["score"])


def test_gaps_are_missing_and_not_zero(tmp_path: Path) -> None:
    path = write(tmp_path / "g.csv", "arm,task,score\na,x,0.5\nb,x,0.6\na,y,0.4\nb,y,\n")
    family = analyse(Results(read_long_table(path).trials), FAST).families[0]
    row = next(row for row in family.standings if row.arm == "b")
    assert not row.ranked and row.coverage == (1, 2)


def lm_eval(folder: Path, model: str, right: list[int], samples: bool = True) -> None:
    p, n = float(np.mean(right)), len(right)
    record = {
        "results": {"boolq": {"alias": "boolq", "acc,none": p, "acc_stderr,none": float(np.std(right, ddof=1) / n**0.5)}},
        "groups": {}, "versions": {"boolq": 2.0}, "n-shot": {"boolq": 0}, "higher_is_better": {"boolq": {"acc": True}},
        "n-samples": {"boolq": {"original": n, "effective": n}}, "config": {"model": "hf", "model_args": f"pretrained={model},dtype=float32"},
    }  # fmt: skip
    write(folder / model / "results_2026-01-01.json", json.dumps(record))
    if samples:
        lines = [json.dumps({"doc_id": i, "acc": v, "filter": "none"}) for i, v in enumerate(right)]
        write(folder / model / "samples_boolq_2026-01-01.jsonl", "\n".join(lines))


def test_lm_evaluation_harness_with_samples(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for model, p in (("big", 0.8), ("small", 0.5)):
        lm_eval(tmp_path, model, [int(v) for v in rng.random(60) < p])
    found = read_lm_eval(tmp_path)
    assert set(found.trials["arm"]) == {"big", "small"} and len(found.examples) == 120
    assert found.trials["score_sd"].isna().all()


def test_lm_evaluation_harness_without_samples(tmp_path: Path) -> None:
    lm_eval(tmp_path, "m", [1, 0, 1, 1, 0, 1, 1, 1, 0, 1], samples=False)
    found = read_lm_eval(tmp_path)
    row = found.trials.iloc[0]
    assert found.examples is None and row["score_n"] == 10 and row["score_spread_covers"] == "examples"
    assert row["score_sd"] == pytest.approx(np.std([1, 0, 1, 1, 0, 1, 1, 1, 0, 1], ddof=1))


def test_a_published_standard_error_of_zero_is_no_spread(tmp_path: Path) -> None:
    lm_eval(tmp_path, "m", [1, 0, 1, 1], samples=False)
    path = tmp_path / "m" / "results_2026-01-01.json"
    record = json.loads(path.read_text())
    record["results"]["boolq"]["acc_stderr,none"] = 0.0
    path.write_text(json.dumps(record))
    assert read_lm_eval(path).trials["score_sd"].isna().all()


def test_our_own_lm_eval_files_come_back(tmp_path: Path) -> None:
    """What `harness store export` writes in that schema, this reads: the same score, example by example."""
    from harness.lm_eval_export import Scored
    from harness.lm_eval_export import write as write_theirs
    from harness.predictions import Predictions
    from harness.registry import Entry
    from harness.task import Row, Task
    from harness.templates import Template

    class Reviews(Task):
        entry = Entry("task", "reviews")
        labels = ("bad", "good")
        templates = {"plain": Template("{{ text }}: {{ answer }}")}

        def test(self) -> list[Row]:
            return [Row(f"r{i}", {"text": f"review {i}"}, i % 2) for i in range(8)]

    rows = Reviews().test()
    answers = Predictions(tuple(row.id for row in rows), scores=np.log([[0.7, 0.3]] * 4 + [[0.2, 0.8]] * 4))
    write_theirs(tmp_path, "own/model", [Scored(Reviews(), "plain", rows, answers)])
    found = read_lm_eval(tmp_path)
    assert found.trials["task"].to_list() == ["reviews"] and found.trials["score"].to_list() == [0.5]
    assert found.examples is not None and [float(v[0]) for v in found.examples["statistics"]] == [1, 0, 1, 0, 0, 1, 0, 1]


def test_peft_method_comparison(tmp_path: Path) -> None:
    def result(name: str, accuracy: float, created: str) -> None:
        metrics = [{"step": 250, "valid accuracy": 0.3}, {"step": 5000, "test accuracy": accuracy, "train total tokens": 10}]
        record = {
            "run_info": {"created_at": created, "experiment_name": name, "train_config": {"model_id": "llama", "seed": 0}, "peft_config": {"peft_type": "LORA"}, "error_msg": ""},
            "train_info": {"accelerator_memory_max": 1, "train_time": 2.0, "file_size": 3, "num_trainable_params": 4, "status": "success", "metrics": metrics},
        }  # fmt: skip
        write(tmp_path / f"{name.replace('/', '--')}-{created}.json", json.dumps(record))

    result("lora/r8", 492 / 1319, "2025-01-01")
    result("lora/r8", 493 / 1319, "2025-02-01")
    result("ia3/default", 400 / 1319, "2025-01-01")
    found = read_peft(tmp_path).trials.set_index("arm")
    # of one experiment the newest
    assert found.loc["lora/r8", "score"] == pytest.approx(493 / 1319) and found.loc["lora/r8", "trainable_parameters"] == 4
    assert found.loc["ia3/default", "score_spread_covers"] == "examples" and found.loc["ia3/default", "dev_score"] == 0.3


def test_helm(tmp_path: Path) -> None:
    for model, right in (("a/x", [1, 1, 0, 1]), ("b/y", [0, 1, 0, 1])):
        folder = tmp_path / model.replace("/", "_")
        spec = {"name": f"boolq:mode=mc,model={model}", "adapter_spec": {"model": model, "max_train_instances": 5}}
        name = {"name": "exact_match", "split": "test"}
        write(folder / "run_spec.json", json.dumps(spec))
        write(folder / "stats.json", json.dumps([{"name": name, "count": 1, "mean": float(np.mean(right)), "sum": float(np.mean(right))}]))
        instances = [
            {"instance_id": f"id{i}", "train_trial_index": 0, "stats": [{"name": name, "count": 1, "sum": v}]} for i, v in enumerate(right)
        ]
        instances.append(
            {
                "instance_id": "id0",
                "train_trial_index": 0,
                "perturbation": {"name": "typos"},
                "stats": [{"name": name, "count": 1, "sum": 0}],
            }
        )
        write(folder / "per_instance_stats.json", json.dumps(instances))
    found = read_helm(tmp_path)
    assert found.trials.set_index("arm")["score"].to_dict() == {"a/x": 0.75, "b/y": 0.5}
    assert set(found.trials["task"]) == {"boolq:mode=mc"} and len(found.examples) == 8


def test_into_a_store_and_out_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_results("long-table", runs(tmp_path / "r.csv"), tmp_path / "store", ["arm=model", "task=dataset", "seed=run", "score=acc"])
    assert "36 results: 3 arms on 3 tasks" in capsys.readouterr().out
    results = load_results(tmp_path / "store")
    assert results.trials["imported"].all() and len(results.trials) == 36
    # reading again replaces, it does not double
    import_results("long-table", tmp_path / "r.csv", tmp_path / "store", ["arm=model", "task=dataset", "seed=run", "score=acc"])
    assert len(load_results(tmp_path / "store").trials) == 36


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("long-tabel",), "did you mean long-table"),
        (("helm", ["arm=model"]), "are for long-table"),
        (("long-table", ["arm"]), "no `=`"),
        (("long-table", ["arm=modle"]), "did you mean model"),
        (("long-table", ["armm=model"]), "did you mean arm"),
        (("long-table", ["arm=model", "task=dataset"]), "what the score is"),
        (("long-table", ["arm=model", "task=dataset", "score=model"]), "is no number"),
        (("lm-evaluation-harness",), "has no `results`|is no JSON"),
        (("peft-method-comparison",), "lacks the columns"),
        (("helm",), "run_spec"),
    ],
)
def test_bad_input_gives_one_line(tmp_path: Path, arguments: tuple, message: str) -> None:
    path = runs(tmp_path / "r.csv")
    with pytest.raises(InputError, match=message) as caught:
        import_results(arguments[0], path, tmp_path / "store", *arguments[1:])
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared results are not here")
def test_shared_results_read() -> None:
    peft = read_peft(SHARED / "peft_metamath")
    assert len(peft.trials) == 63 and (peft.trials["status"] == "ok").all()
    # every published accuracy is a whole number of the 1319 test questions
    right = peft.trials["score"] * 1319
    assert np.allclose(right, right.round(), atol=1e-6)
    mapping = Mapping(
        {
            "arm": "prompt",
            "task": "dataset",
            "shots": "shot",
            "selection": "pretrain",
            "family": "task",
            "score": "acc",
            "score_sd": "acc_sd",
        }
    )
    graphs = read_long_table(SHARED / "prog_graph_prompts" / "summary.csv", mapping)
    assert "None" in set(graphs.trials["arm"]) and len(graphs.trials) == 714


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,x,0,0.5", "a,x,0,0.6", "b,x,0,0.7"], "2 rows stand for cells that have another row, the first: a on x, seed 0"),
        (["a,x,0,inf", "b,x,0,0.7"], "the score of a on x is not finite"),
        (["a,x,0.5,0.5", "b,x,0,0.7"], "seed 0.5 is no whole number"),
    ],
)
def test_what_would_be_a_guess_is_refused(tmp_path: Path, rows: list[str], message: str) -> None:
    table = tmp_path / "runs.csv"
    table.write_text("arm,task,seed,score\n" + "\n".join(rows) + "\n")
    with pytest.raises(InputError, match=message):
        import_results("long-table", table, tmp_path / "store")


def test_a_run_folder_that_helm_did_not_write_gives_one_line(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    (run / "run_spec.json").write_text("[]")
    (run / "stats.json").write_text("[]")
    with pytest.raises(InputError, match="is no JSON object"):
        import_results("helm", tmp_path / "runs", tmp_path / "store")
    (run / "run_spec.json").write_text("{}")
    (run / "stats.json").write_text('[{"name": 3}]')
    with pytest.raises(InputError, match="is not laid out as helm writes it"):
        import_results("helm", tmp_path / "runs", tmp_path / "store")
