"""Every task of the world: splits, balance, templates, label words, and what pretraining may see of it."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from itertools import islice

import numpy as np
import pytest
from harness.tasks.world import prompted, tokenizer
from harness.tasks.world.meaning import Sampler
from harness.tasks.world.pretraining import everything, masked_batch, pair_batch, sentence_batch
from harness.tasks.world.task import WorldTask


@cache
def tasks() -> dict[str, WorldTask]:
    return {task.name: task for task in prompted.world_tasks()}


SPELLED = {"often", "times"}  # the words of the tasks that the tokenizer spells by letters
NAMES = sorted(tasks())
each_task = pytest.mark.parametrize("name", NAMES)
classifying = pytest.mark.parametrize("name", [name for name in NAMES if tasks()[name].kind == "classification"])


def test_there_are_enough_kinds_of_task():
    assert len(NAMES) >= 16
    assert {task.kind for task in tasks().values()} == {"classification", "choice", "generation"}
    assert sum(not task.pretrained for task in tasks().values()) >= 2


@each_task
def test_rows_depend_on_the_version_alone(name: str):
    again = type(tasks()[name])()
    assert [row.inputs for row in again.test()[:50]] == [row.inputs for row in tasks()[name].test()[:50]]
    assert [row.target for row in again.pool()[:50]] == [row.target for row in tasks()[name].pool()[:50]]


@each_task
def test_pool_and_test_share_no_content(name: str):
    task = tasks()[name]
    pool, test = ({row.content for row in rows} for rows in (task.pool(), task.test()))
    assert not pool & test
    assert len(pool) == task.pool_size and len(test) == task.test_size
    assert len({row.id for row in [*task.pool(), *task.test()]}) == task.pool_size + task.test_size


@each_task
def test_pretraining_never_shows_a_row_of_pool_or_test(name: str):
    task = tasks()[name]
    if not task.pretrained:
        pytest.skip("kept out of pretraining altogether")
    drawn, sampler = prompted.Prompted([task]), Sampler(np.random.default_rng(1))
    kept = {row.content for row in [*task.pool(), *task.test()]}
    assert not kept & {drawn.row(task, sampler).content for _ in range(400)}


@classifying
def test_labels_are_balanced(name: str):
    task = tasks()[name]
    counts = Counter(row.target for row in task.test())
    share = len(task.test()) / len(task.labels)
    assert set(counts) == set(range(len(task.labels)))
    assert all(abs(number - share) < 5 * share**0.5 for number in counts.values())


@each_task
def test_choices_are_different_and_the_target_is_one_of_them(name: str):
    task = tasks()[name]
    if task.kind != "choice":
        pytest.skip("has no choices")
    for row in islice(task.test(), 200):
        assert len(set(row.inputs["choices"])) == len(row.inputs["choices"]) and 0 <= row.target < len(row.inputs["choices"])


@each_task
def test_templates_render_and_do_not_depend_on_the_target(name: str):
    task = tasks()[name]
    assert any(template.held_out for template in task.templates.values())
    assert any(not template.held_out for template in task.templates.values()) == task.pretrained
    for template in task.templates.values():
        for row in islice(task.test(), 30):
            rendered = template.render(row.inputs, task.labels)
            assert rendered.before
            assert "answer" not in row.inputs and "target" not in row.inputs
            if task.kind == "classification":
                assert rendered.answers is not None and len(set(rendered.answers)) == len(task.labels)


@each_task
def test_label_words_are_single_tokens_and_prompts_have_no_unknown_words(name: str):
    task, built = tasks()[name], tokenizer.build("causal")
    vocabulary = built.get_vocab()
    for template in task.templates.values():
        for row in islice(task.test(), 20):
            rendered = template.render(row.inputs, task.labels)
            if task.kind != "generation":
                assert all(len(tokenizer.encoder()(answer)) == 1 for answer in rendered.answers or ())
            words = re.findall(r"[a-z]+|\d+", rendered.filled("yes"))
            assert {word for word in words if "▁" + word not in vocabulary} <= SPELLED


@classifying
def test_inputs_alone_decide_the_label(name: str):
    """No row of pool and test has the same inputs as another with a different label."""
    seen: dict[str, int] = {}
    for row in [*tasks()[name].pool(), *tasks()[name].test()]:
        assert seen.setdefault(row.content, row.target) == row.target


def test_crosslingual_test_rows_name_their_language():
    for name in NAMES:
        task = tasks()[name]
        if "cross-lingual" in task.entry.tags:
            assert Counter(row.cluster for row in task.test()) == {"test": 400, "test-lang1": 400, "test-lang2": 400}


def test_batches_are_functions_of_seed_and_step():
    drawn = prompted.Prompted([tasks()["world-sentiment"], tasks()["world-reading"]])
    source = everything(drawn)
    one, two = (masked_batch(source, 0, 3, rows=4, length=64) for _ in range(2))
    assert np.array_equal(one.ids, two.ids) and np.array_equal(one.targets, two.targets)
    first, second = (pair_batch(drawn, 0, 3, rows=8) for _ in range(2))
    assert np.array_equal(first.inputs, second.inputs) and np.array_equal(first.targets, second.targets)
    assert np.array_equal(sentence_batch(0, 3, rows=4).targets, sentence_batch(0, 3, rows=4).targets)


def test_a_masked_batch_hides_answers():
    drawn = prompted.Prompted([tasks()["world-sentiment"]])
    batch = masked_batch(everything(drawn, prompted_share=1.0, labelled_share=0.0, most=1), 0, 0, rows=8, length=64)
    answers = batch.weights == 1.0
    assert answers.any() and (batch.ids.reshape(-1)[batch.positions[answers]] == tokenizer.MASK).all()


def test_renamed_labels_are_never_the_usual_ones_twice():
    """A document with other label words uses one word per class."""
    drawn, sampler = prompted.Prompted([tasks()["world-sentiment"]]), Sampler(np.random.default_rng(0))
    for _ in range(30):
        document = drawn.document(sampler, renamed=1.0)
        assert len({segment.text for segment in document if segment.answer}) <= 2
