"""lm-evaluation-harness task YAML: what it becomes, and what is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.task_files import load_task
from harness.text import filtered

CHOICE = """
task: little_topics
dataset_path: json
dataset_kwargs: {data_files: {train: train.jsonl, test: test.jsonl}}
output_type: multiple_choice
training_split: train
test_split: test
doc_to_text: "Text: {{text}}\\nTopic:"
doc_to_target: label
doc_to_choice: [sports, science]
description: "Name the topic.\\n\\n"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}, {metric: acc_norm}]
metadata: {version: 2.0}
should_decontaminate: true
doc_to_decontamination_query: text
tag: [topics]
"""


def write(folder: Path, text: str, rows: list[dict[str, object]] | None = None, name: str = "t.yaml") -> Path:
    rows = rows or [
        {"text": f"words {i}", "label": i % 2, "answer": f"Because.\n#### {i}", "choices": {"text": ["a", "b"]}} for i in range(6)
    ]
    for split in ("train", "test"):
        rows = [{**row, "text": f"{split} {row.get('text')}"} for row in rows]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / name).write_text(text)
    return folder / name


def test_multiple_choice_with_fixed_choices_is_classification(tmp_path):
    task = load_task(write(tmp_path, CHOICE))()
    assert (task.name, task.kind, task.labels, task.version) == ("little_topics", "classification", ("sports", "science"), 2)
    assert task.metrics == ("accuracy", "accuracy_norm") and task.prefix == "Name the topic.\n\n" and task.entry.tags == ("topics",)
    rendered = task.templates["lm-eval"].render(task.test()[1].inputs, task.labels)
    assert (rendered.before, rendered.gap, rendered.answers) == ("Text: test train words 1\nTopic:", " ", ("sports", "science"))
    assert task.test()[1].target == 1


def test_choices_of_the_row(tmp_path):
    per_row = CHOICE.replace("[sports, science]", '"{{choices.text}}"').replace("{{text}}", "{{text}} of {{choices.text|length}}")
    task = load_task(write(tmp_path, per_row))()
    rendered = task.templates["lm-eval"].render(task.test()[0].inputs)
    assert task.kind == "choice" and rendered.answers == ("a", "b") and "of 2" in rendered.before
    listed = load_task(write(tmp_path, CHOICE.replace("[sports, science]", '"{{[text, answer]}}"')))()
    assert listed.test()[0].inputs["choices"][1].startswith("Because.")
    computed = load_task(write(tmp_path, CHOICE.replace("[sports, science]", "\"{{['x', text.upper()]}}\"")))()
    assert computed.test()[0].inputs["choices"] == ["x", "TEST TRAIN WORDS 0"]


GENERATION = """
task: little_sums
dataset_path: json
dataset_kwargs: {data_files: {train: train.jsonl, test: test.jsonl}}
output_type: generate_until
training_split: train
test_split: test
doc_to_text: "Q: {{text}}\\nA:"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["Q:", "</s>"], do_sample: false, temperature: 0.0, max_gen_toks: 40}
filter_list: [{name: strict, filter: [{function: regex, regex_pattern: "#### (\\\\-?[0-9]+)"}, {function: take_first}]}]
metric_list: [{metric: exact_match}]
"""


def test_generation(tmp_path):
    task = load_task(write(tmp_path, GENERATION))()
    assert (task.kind, task.stops, task.max_new_tokens) == ("generation", ("Q:", "</s>"), 40)
    assert task.test()[3].target == "Because.\n#### 3"
    assert filtered("so #### 12\nand #### 13", task.answer_filter) == "12"  # the first match, as there


def test_include_is_followed_and_the_including_file_wins(tmp_path):
    (tmp_path / "_base").write_text(CHOICE)
    task = load_task(write(tmp_path, "include: _base\ntask: other\ntarget_delimiter: ': '\n"))()
    assert task.name == "other" and task.templates["lm-eval"].text.endswith("Topic:: {{ answer }}")
    (tmp_path / "loop.yaml").write_text("include: loop.yaml\ntask: x\n")
    with pytest.raises(InputError, match="includes itself"):
        load_task(tmp_path / "loop.yaml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("doc_to_target: label", "doc_to_target: !function utils.target", "tag !function is refused"),
        ("tag: [topics]", "process_docs: x", "process_docs of lm-evaluation-harness is not supported"),
        ("multiple_choice", "loglikelihood_rolling", "output_type: loglikelihood_rolling"),
        ("{metric: acc_norm}", "{metric: perplexity}", "metric perplexity .* is not supported; one of acc"),
        ("tag: [topics]", "fewshot_config: {samples: [a]}", "fewshot_config: samples"),
        ("tag: [topics]", "repeats: 3", "repeats"),
        ("task: little_topics", "task: [a, b]", "a group of tasks"),
        ("test_split: test", "", "neither test_split nor validation_split"),
        ("{data_files: {train: train.jsonl, test: test.jsonl}}", "{trust_remote_code: true}", "dataset_kwargs"),
        ("dataset_path: json", "", "key 'dataset_path' is missing"),
        ("[sports, science]", "\"['{{text}}', 'no']\"", "doc_to_choice"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(tmp_path, old, new, message):
    path = write(tmp_path, CHOICE)
    path.write_text(CHOICE.replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        load_task(path)
    assert "t.yaml" in caught.value.one_line()


def test_sampling_and_several_filters_are_refused(tmp_path):
    for old, new in (("do_sample: false", "do_sample: true"), ("temperature: 0.0", "temperature: 0.7"), ("max_gen_toks", "num_beams")):
        with pytest.raises(InputError, match="generation_kwargs"):
            load_task(write(tmp_path, GENERATION.replace(old, new)))
    with pytest.raises(InputError, match="2 pipelines"):
        load_task(write(tmp_path, GENERATION.replace("[{name: strict", "[{name: a, filter: []}, {name: strict")))


def test_published_files_can_be_read():
    lm_eval = pytest.importorskip("lm_eval", reason="lm_eval (extra `bench`) is not installed")
    tasks = Path(lm_eval.__file__).parent / "tasks"
    if not tasks.is_dir():
        pytest.skip("this lm_eval has no task files")
    for name, hub, kind in (
        ("arc/arc_easy.yaml", "allenai/ai2_arc", "choice"),
        ("piqa/piqa.yaml", "baber/piqa", "choice"),
        ("glue/rte/default.yaml", "nyu-mll/glue", "classification"),
        ("super_glue/boolq/default.yaml", "aps/super_glue", "classification"),
    ):
        task = load_task(tasks / name)
        assert (task.spec.source.hub, task.kind) == (hub, kind)
