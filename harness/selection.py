"""Selections: which examples a training run sees, with which weights, when, and how many steps in all.

    selections: [none, {name: rs2, ratio: 0.1}]

A selection gives rounds. A round is a set of rows, trained on once in random order; X rounds of k rows in batches of B are X ceil(k / B)
steps. X is the trial's budget in epochs (`budget: {epochs: X}`), and the learning rate's schedule ends with the last of these steps.
What a selection asks of the model (scores, features, a proxy trained beforehand) goes through the same meter as training.
"""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import torch

from harness.errors import InputError
from harness.registry import Entry
from harness.settings import Configurable, setting
from harness.task import Row, Task

if TYPE_CHECKING:
    from harness.method import Method
    from harness.training import Run


class Learner(Protocol):
    """The model in training, of whatever modality, as a selection may ask it. Every answer is paid for on the meter."""

    def scores(self, rows: Sequence[Row]) -> np.ndarray:
        """float64 [N, C] label scores (logits or log-probabilities) as the model stands; -inf pads."""

    def features(self, rows: Sequence[Row]) -> np.ndarray:
        """float64 [N, width] vectors as the model stands."""

    def proxies(self, epochs: int, repeat: int = 0) -> Iterator[Learner]:
        """A second model trained on every row, given after each of `epochs` passes; with the same start, where `repeat` is 0."""


@dataclass(frozen=True)
class Round:
    """Rows to train on once, and their weights [N] in the loss (None: equal)."""

    rows: Sequence[Row]
    weights: np.ndarray | None = None


class Selection(Configurable):
    """Base of all selections: `rounds` says what is trained on; `size` how much of it a round holds.

    task_kinds : kinds of task it can choose for.  small : settings for the generic tests.
    """

    entry: ClassVar[Entry]
    task_kinds: ClassVar[tuple[str, ...]] = ("classification", "choice", "generation", "regression")
    small: ClassVar[Mapping[str, Any]] = {"ratio": 0.5}

    ratio: float = setting(0.1, above=0, at_most=1, help="rows of a round as a share of all")
    schedule: str = setting("cosine", one_of=("cosine", "linear", "constant"), help="of the learning rate")
    lazy: bool = setting(False, help="keep the schedule of as many passes over all rows: the rate falls only as far as `ratio` of it")
    every: int = setting(1, at_least=1, help="rounds between two scores on dev")

    @abstractmethod
    def rounds(self, rows: Sequence[Row], learner: Learner, run: Run) -> Iterator[Round]:
        """Round after round. Where it ends, its last round is repeated. Draw from `run.rng("selection", ...)`."""
        raise NotImplementedError

    def size(self, rows: int) -> int:
        """k: rows of a round, of N in all: N ratio, rounded half up, at least 1."""
        return max(1, math.floor(self.ratio * rows + 0.5))

    def round_steps(self, rows: int, batch_size: int) -> int:
        """Steps between two scores on dev."""
        return math.ceil(self.size(rows) / batch_size) * self.every

    def schedule_options(self, rows: int) -> dict[str, Any]:
        return {"schedule": self.schedule, "stretch": self.size(rows) / rows if self.lazy else 1.0}

    def unsupported(self, task: Task, method: Method) -> str | None:
        """Why it cannot choose for this method on this task, or None."""
        if "epoch" not in method.emitted:
            return f"{self.entry.name} chooses the rows of every round, and {method.name} trains in no rounds"
        if task.kind not in self.task_kinds:
            return f"{self.entry.name} chooses for {', '.join(self.task_kinds)}, not {task.kind}"
        return None

    def batches(self, rows: Sequence[Row], size: int, learner: Learner, run: Run) -> Iterator[list[Row]]:
        """Endless batches, round after round; what choosing took, and how many rows it reached, go into the run's notes."""
        if not rows:
            raise InputError("there are no rows to train on", key="shots", expected="give this method at least one row a class")
        order, source = run.rng("order"), self.rounds(rows, learner, run)
        seen: set[str] = set()
        spent, chosen = 0.0, None
        for number in itertools.count():
            before = run.meter.flops
            chosen = next(source, chosen)
            run.meter.end_step()
            if chosen is None or not chosen.rows:
                raise InputError("chose no rows", key=self.entry.name)
            spent += run.meter.flops - before
            seen.update(row.id for row in chosen.rows)
            run.notes["selection"] = {
                "rows": len(chosen.rows),
                "of": len(rows),
                "rounds": number + 1,
                "distinct": len(seen),
                "flops": spent,
            }
            run.hooks.epoch(number)
            places = order.permutation(len(chosen.rows))
            for start in range(0, len(places), size):
                part = places[start : start + size]
                run.weights = None if chosen.weights is None else torch.as_tensor(chosen.weights[part], dtype=torch.float32)
                yield [chosen.rows[i] for i in part]


class Ranked(Selection):
    """Base of selections that score every row once and keep the k highest, in every class as many where `stratified`."""

    stratified: bool = setting(False, help="keep the classes' shares")

    @abstractmethod
    def importance(self, rows: Sequence[Row], learner: Learner, run: Run) -> np.ndarray:
        """float [N]; the highest are kept, the earlier row on ties."""
        raise NotImplementedError

    def rounds(self, rows: Sequence[Row], learner: Learner, run: Run) -> Iterator[Round]:
        yield Round(highest(rows, self.importance(rows, learner, run), self.size(len(rows)), stratified=self.stratified))


def trained(learner: Learner, epochs: int, repeat: int = 0) -> Learner:
    """The proxy after `epochs` passes; the learner itself, as it stands, for 0."""
    for proxy in learner.proxies(epochs, repeat) if epochs else ():
        learner = proxy
    return learner


def highest(rows: Sequence[Row], importance: np.ndarray, k: int, *, stratified: bool = False) -> list[Row]:
    """The k rows of highest importance, in the order of `rows`; of each class its share where `stratified`."""
    kept: list[int] = []
    for places, count in strata(rows, k) if stratified else [(list(range(len(rows))), k)]:
        kept += sorted(places, key=lambda i: (-importance[i], i))[:count]
    return [rows[i] for i in sorted(kept)]


def strata(rows: Sequence[Row], k: int) -> list[tuple[list[int], int]]:
    """(indices of a class's rows, how many of them make up its share of k); shares by largest remainder, k in all."""
    classes: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        classes.setdefault(str(row.target), []).append(i)
    shares = {name: k * len(places) / len(rows) for name, places in classes.items()}
    counts = {name: math.floor(share) for name, share in shares.items()}
    for name in sorted(shares, key=lambda name: (counts[name] - shares[name], name))[: k - sum(counts.values())]:
        counts[name] += 1
    return [(classes[name], counts[name]) for name in sorted(classes)]


def probabilities(scores: np.ndarray) -> np.ndarray:
    """[N, C] softmax of label scores; 0 where -inf pads."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    found: np.ndarray = shifted / shifted.sum(axis=1, keepdims=True)
    return found
