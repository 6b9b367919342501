"""A gradient-trained model as selections see it: its scores and features at any moment, and proxies trained before it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from harness.gradient import Adapted, GradientMethod
from harness.hooks import Hooks
from harness.seeds import Streams
from harness.task import Row, TaskData
from harness.text import in_batches
from harness.training import Curve, Run


@dataclass
class GradientLearner:
    """`model` in training on `data` by `method`, in `run`."""

    model: Adapted
    data: TaskData
    run: Run
    method: GradientMethod

    def scores(self, rows: Sequence[Row]) -> np.ndarray:
        """float64 [N, C], in evaluation mode; the training loop puts its own mode back."""
        self.model.attached.backbone.model.eval()
        return in_batches(rows, self.model.scores)

    def features(self, rows: Sequence[Row]) -> np.ndarray:
        """float64 [N, width], in evaluation mode."""
        self.model.attached.backbone.model.eval()
        return in_batches(rows, self.model.features)

    def proxies(self, epochs: int, repeat: int = 0) -> Iterator[GradientLearner]:
        """The same method on every row, without wrappers and dev; costs go to the trial's meter.

        repeat : 0 has the trial's own start and order; others their own.
        """
        streams = self.run.streams if not repeat else Streams(self._repeated(repeat))
        run = replace(self.run, streams=streams, selection=None, hooks=Hooks(), curve=Curve(), notes={}, budget=None, notify=None)
        rows, size = self.data.train, self.method.batch_size
        proxy = self.method._assemble(self.model.origin, self.data, run)
        learner = GradientLearner(proxy, self.data, run, self.method)
        each = math.ceil(len(rows) / size)
        backbone, mode = proxy.attached.backbone.model, proxy.attached.training_mode
        for step in run.steps(proxy.groups(self.method), run.batches(rows, size), steps=epochs * each, warmup=self.method.warmup):
            if backbone.training != mode:
                backbone.train(mode)
            step.update(self._loss(proxy, step.batch))
            if step.number % each == 0:
                yield learner
        backbone.eval()

    def _repeated(self, repeat: int) -> dict[str, int]:
        numbers = self.run.streams.numbers
        return {**numbers, **{name: self.run.streams.integer(name, "proxy", repeat) for name in ("init", "order")}}

    def _loss(self, proxy: Adapted, rows: Sequence[Row]) -> Tensor:
        extra = self.method.regulariser(proxy.attached, rows)
        plain = proxy.loss(rows)
        return plain if extra is None else torch.add(plain, extra)
