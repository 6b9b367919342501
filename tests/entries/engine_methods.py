"""Methods that go wrong in every way a method can, and one that remembers what it was asked."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from harness.method import Method, Predictor
from harness.predictions import Predictions
from harness.registry import method
from harness.settings import choice, setting
from harness.task import Example, TaskData


class Constant(Predictor):
    """The same scores for every example."""

    def __init__(self, scores: Sequence[float], facts: dict[str, Any] | None = None) -> None:
        self.scores, self.facts = scores, facts or {}

    def predict(self, examples: Sequence[Example]) -> Predictions:
        return Predictions(
            tuple(example.id for example in examples), scores=np.tile(np.asarray(self.scores, dtype=float), (len(examples), 1))
        )

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        return {}, self.facts


class Plain(Method):
    """Answers the first class; subclasses do one thing wrong."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)
    random: ClassVar[tuple[str, ...]] = ()
    uses_template: ClassVar[bool] = False

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        return Constant([0.0, -1.0])

    def restore(self, backbone: Any, data: TaskData, run: Any, tensors: Any, facts: Any) -> Predictor:
        return self.adapt(backbone, data, run)


@method("spy", tags=("test",))
class Spy(Plain):
    """Remembers the ids of every predict call, and the sizes of what it was given."""

    asked: ClassVar[list[tuple[str, ...]]] = []
    bias: float = setting(0.5, search=choice(0.5, -0.5, 1.5))
    width: int = setting(3, at_least=1, search=choice(1, 2, 3))

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        asked = type(self).asked

        class Remembering(Constant):
            def predict(self, examples: Sequence[Example]) -> Predictions:
                asked.append(tuple(example.id for example in examples))
                return super().predict(examples)

        return Remembering([self.bias, 0.0], {"bias": self.bias})


@method("raises", tags=("test",))
class Raises(Plain):
    """Fails on the second of every two seeds."""

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        if run.streams.numbers["init"] % 2:
            raise RuntimeError("no luck\nwith this seed")
        return Constant([0.0, -1.0])


@method("exits", tags=("test",))
class Exits(Plain):
    """Calls sys.exit."""

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        sys.exit(7)


@method("diverges", tags=("test",))
class Diverges(Plain):
    """Its loss is not a number at the third step."""

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        weight = torch.nn.Parameter(torch.ones(1))
        losses = iter([1.0, 1.0, float("nan")])
        run.fit(lambda rows: weight.sum() * next(losses), [{"params": [weight], "lr": 0.1}], data.train, batch_size=2, steps=5)
        return Constant([0.0, -1.0])


@method("nan-scores", tags=("test",))
class NanScores(Plain):
    """Answers with scores that are no numbers."""

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        return Constant([float("nan"), 0.0])


@method("no-room", tags=("test",))
class NoRoom(Plain):
    """Asks for more memory than there is."""

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        torch.empty(2**55)
        return Constant([0.0, -1.0])


@method("odd-notes", tags=("test",))
class OddNotes(Plain):
    """Leaves something in its notes that is no JSON."""

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        run.notes["thing"] = object()
        return Constant([0.0, -1.0])


@method("wrong-order", tags=("test",))
class WrongOrder(Plain):
    """Answers other examples than it was asked about."""

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        class Reversed(Constant):
            def predict(self, examples: Sequence[Example]) -> Predictions:
                return super().predict(examples[::-1])

        return Reversed([0.0, -1.0])


@method("slow", tags=("test",))
class Slow(Plain):
    """Trains for as long as it is allowed to."""

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        while True:
            time.sleep(0.01)
            run.check_time()


@method("naps", tags=("test",))
class Naps(Plain):
    """Takes as many seconds for every trial as the environment's NAP says, so that a run can be stopped in its middle and resumed at once."""

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        time.sleep(float(os.environ.get("NAP", "0")))
        return Constant([0.0, -1.0])


@method("deaf", tags=("test",))
class Deaf(Plain):
    """Looks at no clock."""

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        time.sleep(600)
        return Constant([0.0, -1.0])


@method("dies", tags=("test",))
class Dies(Plain):
    """Takes its process with it."""

    code: int = setting(9)

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        if self.code < 0:
            os.kill(os.getpid(), -self.code)
        os._exit(self.code)


class Turns(Constant):
    """One class after the other."""

    def predict(self, examples: Sequence[Example]) -> Predictions:
        scores = np.eye(2)[np.arange(len(examples)) % 2]
        return Predictions(tuple(example.id for example in examples), scores=scores)


@method("turns", tags=("test",))
class TakesTurns(Plain):
    """Answers two classes in turn, so that every metric has a value."""

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        return Turns([])


@method("library-random", tags=("test",))
class LibraryRandom(Plain):
    """Leans on the global generators, as libraries do."""

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        import random

        return Constant([random.random(), float(np.random.rand()) + float(torch.rand(1))])
