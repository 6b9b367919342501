"""Wrappers, selections and probes that only tests know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from harness.errors import UnsupportedError
from harness.hooks import Events
from harness.predictions import Predictions
from harness.probe import Measured, Probe
from harness.registry import probe, selection, wrapper
from harness.selection import Round, Selection
from harness.settings import setting
from harness.task import Row, TaskData
from harness.wrapper import Wrapper


@wrapper("shifted", events=("predict",), tags=("test",))
class Shifted(Wrapper):
    """Favours the last class, by an amount that is part of its state."""

    by: float = setting(100.0)

    def events(self, backbone: Any, data: TaskData, run: Any) -> Events:
        return Shift(self.by)


class Shift(Events):
    def __init__(self, by: float) -> None:
        self.by = by

    def predict(self, predictions: Predictions, examples: Sequence[Any]) -> Predictions:
        assert predictions.scores is not None
        scores = predictions.scores.copy()
        scores[:, -1] += self.by
        return replace(predictions, scores=scores)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        return {"by": torch.tensor([self.by], dtype=torch.float64)}, {}

    def load(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
        self.by = float(tensors["by"])


@wrapper("told", events=("start", "batch", "loss", "epoch"), tags=("test",))
class Told(Wrapper):
    """Notes what it is told of."""

    def events(self, backbone: Any, data: TaskData, run: Any) -> Events:
        return Notes(run.notes.setdefault("told", []))


class Notes(Events):
    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    def start(self, attached: Any, data: TaskData) -> None:
        self.notes.append("start")

    def batch(self, rows: list[Row]) -> list[Row]:
        self.notes.append(f"batch {len(rows)}")
        return rows

    def loss(self, loss: Any, rows: Sequence[Row]) -> Any:
        self.notes.append("loss")
        return loss

    def epoch(self, number: int) -> None:
        self.notes.append(f"epoch {number}")

    def end(self) -> None:
        self.notes.append("end")


@selection("one-class", tags=("test",))
class OneClass(Selection):
    """Every round holds the rows of class 0, those of class 1 with weight 0."""

    def rounds(self, rows: Sequence[Row], learner: Any, run: Any) -> Iterator[Round]:
        yield Round(rows, np.array([1.0 - float(row.target) for row in rows]))


@probe("answer-count", tags=("test",))
class AnswerCount(Probe):
    """How many test examples there are; undefined, or broken, on demand."""

    mood: str = setting("fine", one_of=("fine", "none", "unsupported", "infinite", "broken"))

    def measure(self, predictor: Any, backbone: Any, data: TaskData, run: Any) -> Measured:
        if self.mood == "unsupported":
            raise UnsupportedError("not on this backbone")
        if self.mood == "broken":
            raise RuntimeError("no luck")
        if self.mood == "none":
            return Measured(None, "nothing to count")
        return Measured(float("inf") if self.mood == "infinite" else float(len(data.test)), parts={"all": float(len(data.test))})
