"""What happens at the events of a training run. Wrappers answer them; their answers travel on the `Run`, not by subclassing.

start    parts were attached to a backbone: before training, and again before a stored state is loaded into them
batch    the rows of the next step are known, their loss is not
loss     the loss of those rows is known, and not yet followed backwards
epoch    a pass over the rows, or a selection's round, begins
predict  examples were answered
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from harness.gradient import Attached
    from harness.predictions import Predictions
    from harness.task import Example, Row, TaskData


class Events:
    """One wrapper's answers in one run, and what it must remember between them. This one leaves everything as it is."""

    def start(self, attached: Attached, data: TaskData) -> None:
        """Look at what was attached. A module added to `attached.parts` is trained, saved and loaded with the rest."""

    def batch(self, rows: list[Row]) -> list[Row]:
        """The rows to compute the loss of."""
        return rows

    def loss(self, loss: Tensor, rows: Sequence[Row]) -> Tensor:
        """[] the loss to follow backwards."""
        return loss

    def epoch(self, number: int) -> None:
        """Pass `number`, from 0, begins."""

    def predict(self, predictions: Predictions, examples: Sequence[Example]) -> Predictions:
        return predictions

    def end(self) -> None:
        """Training has ended or failed: leave no hook on a module. The backbone may be another trial's next."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What `predict` needs again after loading: tensors, and JSON-able facts. Asked only of wrappers that declare `predict`."""
        return {}, {}

    def load(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""


class Hooks:
    """The events of one run, given on to all who answer: batches from the outermost wrapper inwards, all else outwards."""

    def __init__(self) -> None:
        self._answering: list[Events] = []  # outermost first

    def add(self, events: Events) -> None:
        self._answering.append(events)

    def remove(self, events: Events) -> None:
        self._answering.remove(events)

    def start(self, attached: Attached, data: TaskData) -> None:
        for events in reversed(self._answering):
            events.start(attached, data)

    def batch(self, rows: list[Row]) -> list[Row]:
        for events in self._answering:
            rows = events.batch(rows)
        return rows

    def loss(self, loss: Tensor, rows: Sequence[Row]) -> Tensor:
        for events in reversed(self._answering):
            loss = events.loss(loss, rows)
        return loss

    def epoch(self, number: int) -> None:
        for events in reversed(self._answering):
            events.epoch(number)
