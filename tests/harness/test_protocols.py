"""How the test part of a task is asked: once, as a stream, or one item at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from harness.errors import DivergedError, InputError
from harness.method import Predictor, Stateful
from harness.metrics import score
from harness.metrics.measures import MeasuredMean
from harness.outcome import predictions_of, records_of
from harness.predictions import Predictions, joined
from harness.protocols import ask, check
from harness.registry import Entry
from harness.seeds import Streams
from harness.task import Example, Row, Task, TaskData
from harness.training import Run


class Course(Task):
    entry = Entry("task", "course")
    labels = ("a", "b")
    rounds = 3
    batch = 4

    def pool(self) -> Sequence[Row]:
        return []

    def test(self) -> Sequence[Row]:
        return [Row(f"r{i}", {"number": i}, i % 2) for i in range(10)]


def data(protocol: str) -> TaskData:
    task = type("Asked", (Course,), {"protocol": protocol})()
    return TaskData(task, (), (), tuple(task.test()))


def run(seed: int = 0) -> Run:
    return Run(Streams({"order": seed}))


class Counting(Stateful):
    """Answers with the number of examples it has seen before this batch."""

    def __init__(self) -> None:
        self.seen, self.resets = 0, 0

    def predict(self, examples: Sequence[Example]) -> Predictions:
        scores = np.array([[self.seen, 0.0]] * len(examples))
        self.seen += len(examples)
        return Predictions(tuple(e.id for e in examples), scores=scores, measures={"seen": scores[:, 0]})

    def reset(self) -> None:
        self.seen, self.resets = 0, self.resets + 1


def test_supervised_asks_once_in_order() -> None:
    subject = Counting()
    asked = ask(data("supervised"), subject, run())
    assert asked.rows == data("supervised").test and subject.seen == 10 and asked.places == {}


def test_a_stream_keeps_its_subject_and_its_examples_come_in_rounds() -> None:
    subject = Counting()
    asked = ask(data("stream"), subject, run())
    assert subject.seen == 30 and subject.resets == 1, "put back before the first batch, never after"
    assert list(asked.places["round"]) == [0] * 10 + [1] * 10 + [2] * 10
    assert list(asked.places["step"]) == [s for s in range(9) for _ in range((4, 4, 2)[s % 3])]
    assert len(set(asked.predictions.ids)) == 30, "every answer has an id of its own"
    assert {row.cluster for row in asked.rows} == {f"r{i}" for i in range(10)}
    first, second = ([row.cluster for row in asked.rows[i : i + 10]] for i in (0, 10))
    assert sorted(map(str, first)) == sorted(map(str, second)) and first != second


def test_the_order_of_a_stream_is_the_seeds() -> None:
    ids = [ask(data("stream"), Counting(), run(seed)).predictions.ids for seed in (0, 0, 1)]
    assert ids[0] == ids[1] != ids[2]


def test_per_item_starts_every_example_afresh() -> None:
    subject = Counting()
    asked = ask(data("per_item"), subject, run())
    assert subject.resets == 10 and asked.predictions.scores is not None and not asked.predictions.scores.any()


def test_an_unknown_protocol_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="streem"):
        ask(data("streem"), Counting(), run())
    with pytest.raises(InputError, match="streem"):
        check(data("streem").task)


def test_rounds_are_at_least_one() -> None:
    with pytest.raises(InputError, match="0 rounds"):
        check(type("None_", (Course,), {"rounds": 0})())


class Broken(Predictor):
    def predict(self, examples: Sequence[Example]) -> Predictions:
        return Predictions(tuple(e.id for e in examples), scores=np.full((len(examples), 2), np.nan))


@pytest.mark.parametrize("protocol", ["supervised", "stream", "per_item"])
def test_answers_that_are_no_numbers_are_a_divergence(protocol: str) -> None:
    with pytest.raises(DivergedError):
        ask(data(protocol), Broken(), run())


class Seen(MeasuredMean):
    entry = Entry("metric", "seen")


def test_a_measure_is_averaged_where_it_is_defined_and_comes_back_from_records() -> None:
    task = Course()
    rows = tuple(task.test())
    numbers = np.array([1.0, np.nan, 3.0, *[np.nan] * 7])
    answers = Predictions(tuple(r.id for r in rows), scores=np.zeros((10, 2)), measures={"seen": numbers})
    assert score(Seen(), answers, rows, task) == 2.0
    back = predictions_of(records_of(answers, rows, task), task)
    np.testing.assert_array_equal(back.measures["seen"], numbers)
    none = Predictions(answers.ids, measures={"seen": np.full(10, np.nan)})
    assert score(Seen(), none, rows, task) is None
    with pytest.raises(InputError, match="no seen"):
        score(Seen(), Predictions(answers.ids), rows, task)


def test_batches_answered_in_different_ways_are_not_joined() -> None:
    with pytest.raises(InputError, match="different ways"):
        joined([Predictions(("a",), scores=np.zeros((1, 2))), Predictions(("b",), texts=("x",))])
    with pytest.raises(InputError, match="2 numbers of seen for 1"):
        Predictions(("a",), measures={"seen": np.zeros(2)})
