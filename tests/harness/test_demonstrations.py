"""Demonstrations depend on the pool and the seed alone, a retrieved set on the pool and the item alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from harness.demonstrations import choose, demonstration_text, nearest
from harness.errors import InputError
from harness.registry import Entry
from harness.seeds import Streams
from harness.task import Row, Task
from harness.templates import Template

ROWS = [Row(str(i), {"text": f"line {i}"}, i % 3) for i in range(30)]
TEMPLATE = Template("{{ text }} is {{ answer }}.", {"a": "A", "b": "B", "c": "C"})


class Small(Task):
    entry = Entry("task", "small")
    labels = ("a", "b", "c")


def rng(seed: int = 0) -> np.random.Generator:
    return Streams({"demos": seed}).rng("demos", "small")


@pytest.mark.parametrize("strategy", ["random", "balanced", "first"])
def test_one_seed_repeats_and_two_differ(strategy):
    once, again, other = (choose(ROWS, 6, rng(seed), strategy) for seed in (0, 0, 1))
    assert once == again and len({row.id for row in once}) == 6
    assert (once != other) == (strategy != "first")


def test_balanced_sets_are_as_equal_as_can_be():
    for number in (3, 7, 8, 30):
        counts = Counter(row.target for row in choose(ROWS, number, rng(), "balanced"))
        assert max(counts.values()) - min(counts.values()) <= 1
    few = [*ROWS[::3], ROWS[1]]
    assert Counter(row.target for row in choose(few, 6, rng(), "balanced")) == {0: 5, 1: 1}
    texts = [Row(str(i), {}, f"answer {i}") for i in range(5)]
    assert len(choose(texts, 3, rng(), "balanced")) == 3


def test_refusals():
    with pytest.raises(InputError, match="31 demonstrations are asked for but the pool has 30"):
        choose(ROWS, 31, rng())
    with pytest.raises(InputError, match="did you mean random"):
        choose(ROWS, 1, rng(), "randon")
    with pytest.raises(InputError, match="2 vectors for 30 rows"):
        nearest(ROWS, np.zeros((1, 2)), np.zeros((2, 2)), 1)


def test_nearest_ones_stand_next_to_the_question_and_depend_on_the_item_alone():
    generator = np.random.default_rng(1)
    pool, queries = generator.normal(size=(30, 8)), generator.normal(size=(5, 8))
    whole = nearest(ROWS, queries, pool, 4)
    similarity = (queries @ pool.T) / np.linalg.norm(pool, axis=1)
    assert [row.id for row in whole[2]][::-1] == [str(i) for i in np.argsort(-similarity[2])[:4]]
    assert [nearest(ROWS, queries[i : i + 1], pool, 4)[0] for i in range(5)] == whole
    assert nearest(ROWS, np.ones((1, 8)), np.ones((30, 8)), 2)[0] == [ROWS[1], ROWS[0]]  # ties by the pool's order


def test_the_shared_text_has_answers_filled_in():
    task = Small()
    assert demonstration_text(task, TEMPLATE, ROWS[:2]) == "line 0 is A.\n\nline 1 is B.\n\n"
    assert demonstration_text(task, TEMPLATE, ROWS[:2], separator="\n") == "line 0 is A.\nline 1 is B.\n"
    task.prefix, task.separator = "Answer.\n", "##"
    assert (
        demonstration_text(task, TEMPLATE, ROWS[:1]) == "Answer.\nline 0 is A.##" and demonstration_text(task, TEMPLATE, []) == "Answer.\n"
    )


def test_fewer_items_change_no_prompt():
    task, shown = Small(), demonstration_text(Small(), TEMPLATE, choose(ROWS, 4, rng(), "balanced"))
    prompts = [shown + TEMPLATE.render(row.inputs, task.labels).before for row in ROWS]
    alone = demonstration_text(Small(), TEMPLATE, choose(ROWS, 4, rng(), "balanced")) + TEMPLATE.render(ROWS[7].inputs, task.labels).before
    assert alone == prompts[7]
