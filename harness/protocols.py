"""How the test part of a task is asked, by the task's protocol. Each gives the answers, the rows they answer, and where in the course they stood.

supervised : every example once, in any batches; the subject has no memory.
stream     : examples arrive in batches, `rounds` times over; a subject may change with every batch (test-time adaptation) and is not reset on the way.
per_item   : the subject is put back before every example (editing): an example is one edit and all questions about it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from harness.errors import DivergedError, InputError, unknown_name
from harness.method import Predictor, Stateful
from harness.predictions import Predictions, joined
from harness.task import Row, Task, TaskData
from harness.training import Run


@dataclass(frozen=True)
class Answers:
    """Predictions on `rows`; `places` are further columns of the records, N values each (round, step)."""

    predictions: Predictions
    rows: tuple[Row, ...]
    places: dict[str, Sequence[Any]] = field(default_factory=dict)


def ask(data: TaskData, predictor: Predictor, run: Run) -> Answers:
    """Ask about the test rows as the task's protocol says. DivergedError where answers are no numbers."""
    if data.task.protocol not in PROTOCOLS:
        raise unknown_name("protocol", data.task.protocol, PROTOCOLS).located(key=data.task.name)
    return PROTOCOLS[data.task.protocol](data, predictor, run)


def answers(task: Task, predictor: Predictor, rows: Sequence[Row], run: Run) -> Predictions:
    predictions = task.ask(predictor, rows, run)
    if predictions.scores is not None and np.isnan(predictions.scores).any():
        raise DivergedError("label scores are not numbers")  # the largest of them would be no answer
    return predictions


def _supervised(data: TaskData, predictor: Predictor, run: Run) -> Answers:
    with torch.no_grad():
        return Answers(answers(data.task, predictor, data.test, run), data.test)


def _stream(data: TaskData, predictor: Predictor, run: Run) -> Answers:
    """Each round in an order of its own from the `order` stream. An example's later rounds get ids of their own, and it is their cluster.

    A stateful subject is put back once, before the first batch (it may have been asked about dev), and never again. The round is also a
    measure of every answer, so that metrics of the last round can be had from what is stored.
    """
    if isinstance(predictor, Stateful):
        predictor.reset()
    parts: list[Predictions] = []
    rows: list[Row] = []
    rounds: list[int] = []
    steps: list[int] = []
    for number in range(data.task.rounds):
        for batch in data.task.arrivals(data.test, run.rng("order", "arrivals", number)):
            run.check_time()
            named = [_in_round(row, number) for row in batch]
            parts.append(answers(data.task, predictor, named, run))
            rows += named
            rounds += [number] * len(batch)
            steps += [steps[-1] + 1 if steps else 0] * len(batch)
            if run.notify is not None:
                run.notify(len(rows), len(data.test) * data.task.rounds, 0.0)
    together = joined(parts)
    together = replace(together, measures={**together.measures, "round": np.asarray(rounds, dtype=np.float64)})
    return Answers(together, tuple(rows), {"round": rounds, "step": steps})


def _in_round(row: Row, number: int) -> Row:
    return replace(row, id=f"{row.id}@{number}" if number else row.id, cluster=row.cluster or row.id)


def _per_item(data: TaskData, predictor: Predictor, run: Run) -> Answers:
    parts = []
    for number, row in enumerate(data.test):
        run.check_time()
        if isinstance(predictor, Stateful):
            predictor.reset()
        parts.append(answers(data.task, predictor, [row], run))
        if run.notify is not None:
            run.notify(number + 1, len(data.test), 0.0)
    return Answers(joined(parts), data.test)


PROTOCOLS: dict[str, Callable[[TaskData, Predictor, Run], Answers]] = {"supervised": _supervised, "stream": _stream, "per_item": _per_item}


def check(task: Task) -> None:
    """InputError for a task whose protocol is unknown or lacks what it needs."""
    if task.protocol not in PROTOCOLS:
        raise unknown_name("protocol", task.protocol, PROTOCOLS).located(key=task.name)
    if task.rounds < 1:
        raise InputError(f"{task.rounds} rounds", key=f"{task.name}.rounds", expected="a whole number from 1")
