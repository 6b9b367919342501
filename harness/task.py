"""Tasks: rows, splits, templates, metrics and a protocol; and what a method is given of them.

A subject never sees gold: it receives `Example`s, a type without a target. The test split depends on the task's version
alone; the `data` stream draws train and dev from the pool, which shares no content with test.
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from harness.errors import InputError
from harness.identity import digest, digest_rows
from harness.predictions import Predictions
from harness.registry import Entry
from harness.settings import Configurable
from harness.templates import Template


@dataclass(frozen=True, slots=True)
class Example:
    """What a subject is given: the inputs, and an id to answer under. There is no gold in it."""

    id: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One example with its gold target: a class or choice index, a text, several accepted texts, or a number."""

    id: str
    inputs: Mapping[str, Any]
    target: Any
    cluster: str | None = None

    @property
    def example(self) -> Example:
        return Example(self.id, self.inputs)

    @property
    def content(self) -> str:
        """Digest of the inputs alone: equal inputs are the same item, whatever their ids."""
        return digest(self.inputs)


@dataclass(frozen=True)
class TaskData:
    """What one trial may see of a task, and the test examples it will be asked about (scored by the protocol alone)."""

    task: Task
    train: tuple[Row, ...]
    dev: tuple[Row, ...]
    test: tuple[Row, ...]
    template: str | None = None
    dropped: int = 0  # published train rows whose inputs also stand in test

    @functools.cached_property
    def digests(self) -> dict[str, str]:
        return {"train": digest_rows(self.train), "dev": digest_rows(self.dev), "test": digest_rows(self.test)}


class Task(Configurable):
    """Base of all tasks. Subclasses give `pool()` and `test()`; everything else is declared."""

    entry: ClassVar[Entry]
    version: ClassVar[int] = 1
    kind: ClassVar[str] = "classification"  # classification | choice | generation | regression | editing
    protocol: ClassVar[str] = "supervised"  # see harness/protocols.py
    labels: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("accuracy",)
    floor: float | None = None  # chance, or the score of a failed run, in the primary metric
    ceiling: float = 1.0
    templates: Mapping[str, Template] = {}
    stops: tuple[str, ...] = ("\n",)  # where a generated answer ends
    max_new_tokens: int = 32
    answer_filter: str | None = None  # regular expression whose first group (or match) is the answer
    clustered: bool = False  # rows name the cluster they were drawn in: intervals must respect it
    rounds: int = 1  # of a stream: how often all test rows arrive
    batch: int = 64  # of a stream: examples that arrive together

    @property
    def name(self) -> str:
        return self.entry.name

    @abstractmethod
    def pool(self) -> Sequence[Row]:
        """Rows that train and dev are drawn from."""
        raise NotImplementedError

    @abstractmethod
    def test(self) -> Sequence[Row]:
        """Test rows, in an order that depends on the version alone."""
        raise NotImplementedError

    def dev_rows(self) -> Sequence[Row] | None:
        """A published dev split, or None where dev is drawn from the pool."""
        return None

    def ask(self, subject: Any, rows: Sequence[Row], run: Any = None) -> Predictions:
        """The subject's answers about `rows`. A task whose questions are more than `predict` (drawings after an edit) asks them here.

        run : the `Run`, for what is drawn at random while asking.
        """
        answers: Predictions = subject.predict([row.example for row in rows])
        return answers

    def arrivals(self, rows: Sequence[Row], rng: np.random.Generator) -> Iterator[list[Row]]:
        """Batches in which `rows` arrive in one round of a stream: in random order, unless the task says otherwise."""
        order = rng.permutation(len(rows))
        for start in range(0, len(rows), self.batch):
            yield [rows[i] for i in order[start : start + self.batch]]

    @property
    def identity(self) -> dict[str, Any]:
        """What a run's answer depends on here beside the rows: templates, labels, metrics, stops."""
        templates = {
            name: [t.text, dict(t.answers) if isinstance(t.answers, Mapping) else t.answers, t.target] for name, t in self.templates.items()
        }
        protocol = {} if self.protocol == "supervised" else {"protocol": [self.protocol, self.rounds, self.batch]}
        return {
            **protocol,
            "name": self.name,
            "version": self.version,
            "kind": self.kind,
            "labels": list(self.labels),
            "metrics": list(self.metrics),
            "templates": templates,
            "stops": list(self.stops),
            "max_new_tokens": self.max_new_tokens,
            "answer_filter": self.answer_filter,
            "config": self.config,
        }


class GeneratedTask(Task):
    """A procedural task: `generate(rng, split)` is an endless stream of rows for "pool" and for each of `test_splits`.

    Pool rows whose inputs equal a test row's are skipped while drawing, so the two are disjoint by content.
    """

    pool_size: ClassVar[int] = 4000
    test_size: ClassVar[int] = 1000
    test_splits: ClassVar[tuple[str, ...]] = ("test",)
    stream: ClassVar[int] = 20240  # any fixed number; a new version of a task gets new rows by its version

    @abstractmethod
    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        raise NotImplementedError

    def _rng(self, split: str) -> np.random.Generator:
        return np.random.default_rng([self.stream, self.version, int(digest([self.name, split])[:8], 16)])

    def _take(self, split: str, size: int, seen: set[str]) -> list[Row]:
        rows: list[Row] = []
        patience = 200 * size  # a world too small for `size` different rows must say so instead of hanging
        for tried, row in enumerate(self.generate(self._rng(split), split)):
            content = row.content
            if content not in seen:
                seen.add(content)
                rows.append(row)
            if len(rows) == size:
                return rows
            if tried > patience:
                break
        raise InputError(f"{split} gave only {len(rows)} different rows", key=self.name, expected=f"{size} are declared")

    @functools.cached_property
    def _splits(self) -> tuple[list[Row], list[Row]]:
        seen: set[str] = set()
        test = [row for split in self.test_splits for row in self._take(split, self.test_size // len(self.test_splits), seen)]
        return self._take("pool", self.pool_size, seen), test

    def pool(self) -> Sequence[Row]:
        return self._splits[0]

    def test(self) -> Sequence[Row]:
        return self._splits[1]


@dataclass(frozen=True)
class Shots:
    """How many rows a split has: so many per class, so many in all (but at most a `share` of what is there), or every row."""

    per_class: int | None = None
    total: int | None = None
    share: float | None = None

    @classmethod
    def parse(cls, value: Any, key: str) -> Shots:
        if value == "all":
            return cls()
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return cls(per_class=value)
        if isinstance(value, Mapping) and len(value) == 1:
            (name, number), *_ = value.items()
            if name in ("per_class", "total") and isinstance(number, int) and not isinstance(number, bool) and number >= 0:
                return cls(**{name: number})
        if isinstance(value, Mapping) and set(value) == {"total", "share"}:
            total, share = value["total"], value["share"]
            if type(total) is int and total >= 0 and isinstance(share, float) and 0 < share < 1:
                return cls(total=total, share=share)
        expected = "a number per class, {per_class: N}, {total: N}, {total: N, share: at most this part of the rows} or all"
        raise InputError(f"{value!r} is no number of rows", key=key, expected=expected)

    def value(self) -> Any:
        if self.per_class is not None:
            return {"per_class": self.per_class}
        if self.share is not None:
            return {"total": self.total, "share": self.share}
        return {"total": self.total} if self.total is not None else "all"


@dataclass
class _Stock:
    """Rows in drawn order, handed out by class; what was handed out is gone."""

    rows: list[Row]
    by_class: dict[Any, list[Row]] = field(init=False)

    def __post_init__(self) -> None:
        self.by_class = defaultdict(list)
        for row in self.rows:
            self.by_class[row.target if isinstance(row.target, int) else None].append(row)

    def take(self, shots: Shots, classes: Sequence[Any], what: str, task: str) -> list[Row]:
        if shots.per_class is not None and classes:
            taken = [row for label in classes for row in self._first(label, shots.per_class, what, task)]
        else:
            wanted = shots.total if shots.total is not None else (shots.per_class if shots.per_class is not None else len(self.rows))
            if shots.share is not None:
                wanted = min(wanted, int(shots.share * len(self.rows)))
            if wanted > len(self.rows):
                raise InputError(f"{what} asks for {wanted} rows but {len(self.rows)} are left", key=task, expected="ask for fewer")
            taken = self.rows[:wanted]
        gone = {row.id for row in taken}
        self.rows = [row for row in self.rows if row.id not in gone]
        self.__post_init__()
        return taken

    def _first(self, label: Any, number: int, what: str, task: str) -> list[Row]:
        have = self.by_class.get(label, [])
        if len(have) < number:
            raise InputError(
                f"{what} asks for {number} rows of class {label} but {len(have)} are left", key=task, expected="ask for fewer shots"
            )
        return have[:number]


def draw(task: Task, rng: np.random.Generator, *, train: Shots, dev: Shots, test_rows: int | None = None) -> TaskData:
    """Draw train and dev without overlap from the pool, by the `data` stream; test is the same for every seed.

    Train is drawn first and does not depend on `dev`, unless it asks for every row. Published rows that also stand in test are dropped and counted.
    """
    test, in_test, pool, dropped = _apart(task)
    pool = [pool[i] for i in rng.permutation(len(pool))]
    classes = list(range(len(task.labels))) if task.kind == "classification" else []
    stock = _Stock(pool)
    published = task.dev_rows()
    first = published is None and train == Shots()  # "all" rows to train on are all that dev leaves
    held = stock.take(dev, classes, "dev", task.name) if first else []
    taken = stock.take(train, classes, "train", task.name)
    if published is not None:
        seen = in_test | {row.content for row in taken}
        rows = [row for row in published if row.content not in seen]
        stock = _Stock([rows[i] for i in rng.permutation(len(rows))])
    held = held if first else stock.take(dev, classes, "dev", task.name)
    if test_rows is not None and test_rows < len(test):
        order = np.random.default_rng([task.version, 7]).permutation(len(test))[:test_rows]
        test = [test[i] for i in sorted(order)]
    return TaskData(task, tuple(taken), tuple(held), tuple(test), dropped=dropped)


def _apart(task: Task) -> tuple[list[Row], set[str], list[Row], int]:
    """Test rows, their contents, the pool without them, and how many were dropped; digested once for each task object."""
    kept: tuple[list[Row], set[str], list[Row], int] | None = task.__dict__.get("_kept_apart")
    if kept is None:
        test = list(task.test())
        if not test:
            raise InputError("the test split is empty", key=task.name)
        in_test = {row.content for row in test}
        pool = [row for row in task.pool() if row.content not in in_test]
        dropped = len(task.pool()) - len(pool)
        if isinstance(task, GeneratedTask) and dropped:
            expected = "a generated task's splits must be disjoint by content"
            raise InputError(f"{dropped} pool rows also stand in test", key=task.name, expected=expected)
        kept = task.__dict__["_kept_apart"] = (test, in_test, pool, dropped)
    return kept
