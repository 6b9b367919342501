"""Drawing rows: seeds, disjointness by content, shots, published duplicates, and a test split that no seed moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import InputError
from harness.registry import Entry
from harness.task import Example, GeneratedTask, Row, Shots, Task, draw

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine


def row(number: int, target: Any = None, prefix: str = "r") -> Row:
    return Row(f"{prefix}{number}", {"text": f"text {number}"}, number % 3 if target is None else target)


class Listed(Task):
    """Rows given as lists."""

    entry: ClassVar[Entry] = Entry("task", "listed")
    labels = ("a", "b", "c")

    def __init__(self, pool: Sequence[Row], test: Sequence[Row], dev: Sequence[Row] | None = None) -> None:
        super().__init__()
        self._pool, self._test, self._dev = pool, test, dev

    def pool(self) -> Sequence[Row]:
        return self._pool

    def test(self) -> Sequence[Row]:
        return self._test

    def dev_rows(self) -> Sequence[Row] | None:
        return self._dev


POOL, TEST = [row(i) for i in range(60)], [row(i, prefix="t") for i in range(100, 130)]


def drawn(seed: int = 0, task: Task | None = None, **options: Any) -> Any:
    return draw(task or Listed(POOL, TEST), np.random.default_rng(seed), **{"train": Shots(4), "dev": Shots(2), **options})


@patient
@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(0, 8))
def test_any_draw_is_disjoint_balanced_and_repeats(seed: int, train: int, dev: int) -> None:
    data = drawn(seed, train=Shots(train), dev=Shots(dev))
    contents = [{item.content for item in rows} for rows in (data.train, data.dev, data.test)]
    assert sum(map(len, contents)) == len(set.union(*contents)) == 3 * (train + dev) + len(TEST)
    assert Counter(item.target for item in data.train) == Counter({target: train for target in range(3) if train})
    assert Counter(item.target for item in data.dev) == Counter({target: dev for target in range(3) if dev})
    assert drawn(seed, train=Shots(train), dev=Shots(dev)).digests == data.digests


def test_two_seeds_differ_in_train_and_not_in_test() -> None:
    seen = [drawn(seed).digests for seed in range(5)]
    assert len({digests["train"] for digests in seen}) == 5, "seed 0 is a seed"
    assert len({digests["test"] for digests in seen}) == 1


def test_train_does_not_depend_on_how_much_dev_is_asked_for() -> None:
    assert drawn(3, dev=Shots(0)).train == drawn(3, dev=Shots(10)).train


def test_test_rows_are_the_same_for_every_seed_and_a_part_of_test_in_its_order() -> None:
    capped = [drawn(seed, test_rows=10).test for seed in range(3)]
    assert capped[0] == capped[1] == capped[2]
    assert [item for item in TEST if item in capped[0]] == list(capped[0]) and len(capped[0]) == 10
    assert drawn(test_rows=1000).test == tuple(TEST)


@pytest.mark.parametrize(
    ("shots", "number"),
    [
        (Shots(total=7), 7),
        (Shots(), 60),
        (Shots(per_class=5), 15),
        (Shots(total=0), 0),
        (Shots(total=50, share=0.2), 12),
        (Shots(total=5, share=0.2), 5),
    ],
)
def test_shots(shots: Shots, number: int) -> None:
    assert len(drawn(train=shots, dev=Shots(0)).train) == number


@pytest.mark.parametrize(
    ("value", "shots"),
    [
        (16, Shots(16)),
        (0, Shots(0)),
        ({"per_class": 4}, Shots(4)),
        ({"total": 9}, Shots(total=9)),
        ("all", Shots()),
        ({"total": 9, "share": 0.2}, Shots(total=9, share=0.2)),
    ],
)
def test_shots_are_read_and_written(value: Any, shots: Shots) -> None:
    assert Shots.parse(value, "train") == shots
    assert Shots.parse(shots.value(), "train") == shots


@pytest.mark.parametrize(
    "value",
    [
        -1,
        1.5,
        True,
        "many",
        {"per_class": -1},
        {"per_clas": 4},
        {},
        {"per_class": 1, "total": 2},
        {"total": 5, "share": 1.5},
        {"share": 0.2},
        None,
    ],
)
def test_what_is_no_number_of_shots_is_bad_input(value: Any) -> None:
    with pytest.raises(InputError, match="train"):
        Shots.parse(value, "train")


def test_fewer_rows_than_shots_say_which_class_and_how_many_are_left() -> None:
    with pytest.raises(InputError, match="train asks for 21 rows of class 0 but 20 are left"):
        drawn(train=Shots(21))
    with pytest.raises(InputError, match="dev asks for 5 rows of class 0 but 4 are left"):
        drawn(train=Shots(16), dev=Shots(5))
    with pytest.raises(InputError, match="train asks for 61 rows but 60 are left"):
        drawn(train=Shots(total=61))


def test_an_empty_test_split_is_an_error() -> None:
    with pytest.raises(InputError, match="the test split is empty"):
        drawn(task=Listed(POOL, []))


def test_published_rows_that_also_stand_in_test_are_dropped_and_counted() -> None:
    twins = [Row(f"twin{i}", TEST[i].inputs, TEST[i].target) for i in range(5)]
    data = drawn(task=Listed([*POOL, *twins], TEST), train=Shots(), dev=Shots(0))
    assert data.dropped == 5 and len(data.train) == 60


def test_a_published_dev_split_is_dev_without_what_train_or_test_hold() -> None:
    published = [row(i, prefix="d") for i in range(200, 230)] + [Row("twin", POOL[0].inputs, 0), Row("other", TEST[0].inputs, 0)]
    data = drawn(task=Listed(POOL, TEST, published), train=Shots(), dev=Shots())
    assert {item.id for item in data.dev} == {f"d{i}" for i in range(200, 230)}
    assert len(data.train) == 60


def test_what_a_subject_is_given_holds_no_gold() -> None:
    example = row(4).example
    assert isinstance(example, Example) and not hasattr(example, "target")


class Numbers(GeneratedTask):
    """Odd or even."""

    entry: ClassVar[Entry] = Entry("task", "numbers")
    labels = ("even", "odd")
    pool_size = 60
    test_size = 30
    largest: ClassVar[int] = 1000

    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        for i in range(10**6):
            number = int(rng.integers(self.largest))
            yield Row(f"{split}{i}", {"text": str(number)}, number % 2)


def test_a_generated_task_is_disjoint_by_content_and_always_the_same() -> None:
    pool, test = Numbers().pool(), Numbers().test()
    assert (len(pool), len(test)) == (60, 30)
    assert len({item.content for item in [*pool, *test]}) == 90
    assert Numbers().pool() == pool


def test_a_new_version_of_a_generated_task_gets_new_rows() -> None:
    class Newer(Numbers):
        version = 2

    assert Newer().test() != Numbers().test()


def test_several_test_splits_share_its_size() -> None:
    class Shifted(Numbers):
        test_splits = ("near", "far")

    assert Counter(item.id.rstrip("0123456789") for item in Shifted().test()) == {"near": 15, "far": 15}


def test_a_world_too_small_says_so_instead_of_hanging() -> None:
    class Small(Numbers):
        largest = 50

    with pytest.raises(InputError, match="different rows; 60 are declared"):
        Small().pool()


def test_generated_splits_that_overlap_are_an_error() -> None:
    class Leaky(Numbers):
        def pool(self) -> Sequence[Row]:
            return [*super().pool(), self.test()[0]]

    with pytest.raises(InputError, match="1 pool rows also stand in test"):
        drawn(task=Leaky())


def test_the_identity_of_a_task_holds_what_an_answer_depends_on() -> None:
    identity = Numbers().identity
    assert {"name", "version", "labels", "metrics", "templates", "stops", "max_new_tokens", "answer_filter", "config"} <= set(identity)
