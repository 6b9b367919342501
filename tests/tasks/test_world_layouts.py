"""Layouts of prompts in pretraining: many a task, of words the tokenizer knows, and never with the cue of a held-out template."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pytest
from harness.tasks.world import layouts, prompted, tokenizer
from harness.tasks.world.meaning import Sampler

TASKS = {task.name: task for task in prompted.world_tasks() if task.pretrained}
each_task = pytest.mark.parametrize("name", sorted(TASKS))


@each_task
def test_a_task_has_many_and_the_same_ones_every_time(name: str):
    found = layouts.layouts(TASKS[name])
    assert 12 <= len({layout.text for layout in found}) == len(found)
    assert found == layouts.layouts(type(TASKS[name])())


@each_task
def test_none_has_the_cue_of_a_held_out_template(name: str):
    task = TASKS[name]
    kept_out = {layouts.cue_of(template.text) for template in task.templates.values() if template.held_out}
    assert kept_out and not kept_out & {layouts.cue_of(layout.text) for layout in layouts.layouts(task)}


@each_task
def test_they_render_every_field_and_known_words_alone(name: str):
    task, vocabulary = TASKS[name], tokenizer.build("causal").get_vocab()
    shown = [template.answers for template in task.templates.values() if not template.held_out]
    row = task.test()[0]
    for layout in layouts.layouts(task):
        rendered = layout.render(row.inputs, task.labels)
        fields = set(re.findall(r"\{\{ (\w+) \}\}", layout.text)) - {"answer"}
        assert all(str(row.inputs[field]) in rendered.before + rendered.after for field in fields) and fields
        assert layout.answers in shown if isinstance(layout.answers, Mapping) else layout.answers is None
        words = re.findall(r"[a-z]+", re.sub(r"\{\{.*?\}\}", "", layout.text))
        assert all("▁" + word in vocabulary for word in words)


def test_renamed_documents_keep_to_few_labels_of_many():
    sampler = Sampler(np.random.default_rng(0))
    kept = [prompted.Prompted.some_labels(TASKS["world-topic"], sampler) for _ in range(200)]
    assert {len(labels) for labels in kept if labels} == {2, 3, 4} and 0.2 < kept.count(None) / 200 < 0.6
    assert prompted.Prompted.some_labels(TASKS["world-sentiment"], sampler) is None


def test_a_document_of_one_label_word_a_class():
    """In a renamed document a class has one word throughout, and no answer can be told before its word has been seen."""
    drawn, sampler = prompted.Prompted([TASKS["world-sentiment"]]), Sampler(np.random.default_rng(3))
    document = drawn.document(sampler, renamed=1.0, free=1.0)
    answers = [segment for segment in document if segment.answer]
    assert len(answers) > 4 and len({segment.text for segment in answers}) <= 2
    assert not any(segment.known for segment in answers)


def test_the_tasks_of_pretraining_are_these():
    """Another one would change what the shipped models' recipes draw, and so their bytes: new tasks say `pretrained = False`."""
    names = "acceptability arithmetic crosslingual-sentiment crosslingual-topic data-to-text entailment facts intent multi-hop odd-one-out paraphrase reading"
    assert set(TASKS) == {f"world-{name}" for name in f"{names} relation sentiment sentiment-shift stars topic word-in-context".split()}
