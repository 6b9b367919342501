"""Against lm-evaluation-harness on a tiny random GPT-2: its prompts string by string, its scores to 1e-4, its accuracy exactly."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.demonstrations import choose, demonstration_text
from harness.lm_eval_export import Scored, samples, sanitised, write
from harness.metrics import score
from harness.predictions import Predictions
from harness.task import Row, Task
from harness.task_files import load_task

os.environ.setdefault("HF_HUB_OFFLINE", "1")
LABELS = {"short": ["no", "yes"], "long": ["a very bad film", "a good and great one"]}
YAML = """
task: films_{name}
dataset_path: json
dataset_kwargs:
  data_files: {{train: {folder}/train.jsonl, test: {folder}/test.jsonl}}
output_type: multiple_choice
training_split: train
test_split: test
doc_to_text: "Review: {{{{text}}}}\\nIs it good?"
doc_to_target: label
doc_to_choice: {choices}
description: "Say what a review thinks.\\n\\n"
fewshot_config: {{sampler: first_n}}
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}, {{metric: acc_norm, aggregation: mean, higher_is_better: true}}]
metadata: {{version: 1.0}}
"""
TEXT = [
    "the film was good",
    "the film was bad and dull",
    "a great story, well told",
    "no plot at all!",
    "it's fine",
    "yes: see it",
    "naïve – but 3.5 stars",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, two task files and a tiny GPT-2 with large random weights, so that scores differ."""
    pytest.importorskip("lm_eval", reason="lm_eval (extra `bench`) is not installed: nothing to compare with")
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    place = tmp_path_factory.mktemp("lm_eval")
    for split, shift in (("train", 0), ("test", 3)):
        rows = [{"text": f"{TEXT[(i + shift) % len(TEXT)]} ({split} {i})", "label": i % 2} for i in range(12)]
        (place / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = place / "tasks"
    tasks.mkdir()
    for name, choices in LABELS.items():
        (tasks / f"{name}.yaml").write_text(YAML.format(name=name, folder=place, choices=json.dumps(choices)))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([*TEXT, "Review: Is it good? yes no"] * 4, trainer)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>")
    config = transformers.GPT2Config(
        vocab_size=len(fast), n_embd=32, n_layer=2, n_head=2, n_positions=512, initializer_range=0.3, bos_token_id=0, eos_token_id=0
    )
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config)
    model.save_pretrained(place / "model")
    fast.save_pretrained(place / "model")
    return place


@pytest.fixture(scope="module")
def theirs(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """lm-evaluation-harness's own results by (labels, shots)."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder / "tasks"), include_defaults=False)
    model = HFLM(pretrained=str(folder / "model"), device="cpu", dtype="float32", batch_size=1)
    found = {}
    for shots in (0, 2):
        result = lm_eval.simple_evaluate(
            model, tasks=[f"films_{name}" for name in LABELS], num_fewshot=shots, task_manager=manager, bootstrap_iters=2, log_samples=True
        )
        for name in LABELS:
            rows = sorted(result["samples"][f"films_{name}"], key=lambda sample: sample["doc_id"])
            found[name, shots] = {"samples": rows, **result["results"][f"films_{name}"]}
    return found


def ours(folder: Path, name: str, shots: int) -> Scored:
    from harness.backbones.load import load

    backbone = load({"folder": str(folder / "model")})
    task = load_task(folder / "tasks" / f"{name}.yaml")()
    template, rows = task.templates["lm-eval"], list(task.test())
    shared = demonstration_text(task, template, choose(task.pool(), shots, np.random.default_rng(0), "first"))
    rendered = [template.render(row.inputs, task.labels) for row in rows]
    from dataclasses import replace

    scores = backbone.label_scores([replace(item, before=shared + item.before) for item in rendered])
    predictions = Predictions(tuple(row.id for row in rows), scores=scores.detach().double().numpy(), shared_prompt=shared)
    return Scored(task, "lm-eval", rows, predictions, demonstrations=shots)


@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize("name", list(LABELS))
def test_prompts_scores_and_accuracy_are_theirs(folder, theirs, name, shots):
    mine, other = ours(folder, name, shots), theirs[name, shots]
    for sample, reference in zip(samples(mine), other["samples"], strict=True):
        pairs = [(part["arg_0"], part["arg_1"]) for part in sample["arguments"].values()]
        assert pairs == [tuple(pair) for pair in reference["arguments"]]
        wanted = [float(response[0][0]) for response in reference["resps"]]
        assert [float(response[0][0]) for response in sample["resps"]] == pytest.approx(wanted, abs=1e-4)
        assert sample["acc"] == reference["acc"] and sample["acc_norm"] == reference["acc_norm"]
        assert sample["prompt_hash"] == reference["prompt_hash"] and sample["target"] == str(reference["target"])
    spread = np.ptp(mine.predictions.scores, axis=1)
    assert spread.max() > 0.1, "scores that hardly differ would compare nothing"
    for metric, key in (("accuracy", "acc,none"), ("accuracy_norm", "acc_norm,none")):
        assert score(metric, mine.predictions, mine.rows, mine.task) == pytest.approx(other[key], abs=1e-12)


def test_files_have_their_schema(folder, theirs, tmp_path):
    mine = ours(folder, "short", 2)
    results, sample_file = write(tmp_path, "org/tiny gpt2", [mine], batch_size=1)
    assert results.parent.name == sample_file.parent.name == sanitised("org/tiny gpt2") == "org__tiny_gpt2"
    content = json.loads(results.read_text())
    reference = theirs["short", 2]
    assert {key for key in reference if key.startswith("acc")} <= set(content["results"]["films_short"])
    assert content["results"]["films_short"]["acc_stderr,none"] == pytest.approx(reference["acc_stderr,none"], abs=1e-12)
    assert content["n-shot"] == {"films_short": 2} and content["n-samples"]["films_short"] == {"original": 12, "effective": 12}
    assert set(content) >= {"results", "configs", "versions", "n-shot", "higher_is_better", "n-samples", "config", "date", "task_hashes"}
    rows = [json.loads(line) for line in sample_file.read_text().splitlines()]
    assert set(reference["samples"][0]) <= set(rows[0]) and [row["doc_id"] for row in rows] == list(range(12))


class Sums(Task):
    """A made task with generated answers: writing files needs no lm_eval."""

    kind, labels, metrics = "generation", (), ("exact_match",)

    def test(self) -> list[Row]:
        return [Row("a", {"question": "1 + 1?"}, "2"), Row("b", {"question": "2 + 2?"}, "4")]


def test_generated_answers_without_lm_eval(tmp_path):
    from harness.registry import Entry
    from harness.templates import Template

    Sums.entry, Sums.templates = Entry("task", "sums"), {"q": Template("Q: {{ question }}\nA: {{ answer }}")}
    predictions = Predictions(("a", "b"), texts=("2", "5"), raw_texts=("2.", "5."))
    scored = Scored(Sums(), "q", Sums().test(), predictions)
    first = samples(scored)[0]
    assert first["arguments"]["gen_args_0"]["arg_0"] == "Q: 1 + 1?\nA:" and first["resps"] == [["2."]] and first["filtered_resps"] == ["2"]
    assert first["exact_match"] == 1.0
    content = json.loads(write(tmp_path, "m", [scored])[0].read_text())
    assert content["results"]["sums"]["exact_match,none"] == 0.5


def test_a_store_is_exported(tmp_path, monkeypatch):
    from harness import catalog
    from harness.lm_eval_export import export_store
    from harness.outcome import Outcome, records_of
    from harness.store import Store
    from harness.text import label_predictions
    from harness.trial import Trial

    entries = tmp_path / "entries"
    entries.mkdir()
    for split in ("train", "test"):
        rows = [{"text": f"{split} {i}", "label": i % 2} for i in range(6)]
        (entries / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    body = "source: {files: {train: train.jsonl, test: test.jsonl}}\nfields: {text: text}\ntarget: label\nlabels: [low, high]\n"
    (entries / "t.yaml").write_text(f'task: exported\n{body}templates: {{ask: "{{{{ text }}}}: {{{{ answer }}}}"}}\n')
    monkeypatch.setenv("HARNESS_ENTRIES", str(entries))
    catalog.refresh()
    task = catalog.load("task", "exported")()
    rows = tuple(task.test())
    rendered = [task.templates["ask"].render(row.inputs, task.labels) for row in rows]
    predictions = label_predictions([row.example for row in rows], np.eye(2)[[0, 1, 1, 1, 0, 0]], rendered, shared="shown: low\n\n")
    trial = Trial("exported", {}, {"name": "tiny"}, "in-context", {}, None, {"total": 2}, {"total": 0}, {"data": 0})
    store = Store(tmp_path / "store")
    outcome = Outcome("ok", records=records_of(predictions, rows, task), shared_prompt=predictions.shared_prompt)
    outcome.facts = {"notes": {"demonstrations": 1}}
    store.write(trial, "0" * 32, {}, "2024-01-01T00:00:00", outcome)
    results, sample_file = export_store(store, tmp_path / "out")
    content = json.loads(results.read_text())
    assert content["results"]["exported"]["acc,none"] == pytest.approx(4 / 6) and content["n-shot"] == {"exported": 1}
    first = json.loads(sample_file.read_text().splitlines()[0])
    assert first["arguments"]["gen_args_1"] == {"arg_0": "shown: low\n\ntest 0:", "arg_1": " high"} and first["resps"][0][0][0] == "1.0"
    catalog.refresh()
