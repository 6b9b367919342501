"""Majority: always the most frequent class of the training rows; the floor that every method must pass.

For multiple choice it is the most frequent position. Ties go to the first class. It reads no text and needs no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from harness.method import Method, Predictor
from harness.predictions import Predictions
from harness.registry import method
from harness.task import Example, TaskData

if TYPE_CHECKING:
    from torch import Tensor

    from harness.backbones.backbone import Backbone
    from harness.training import Run


@method("majority", tags=("baseline", "sanity"))
class Majority(Method):
    """Predict the classes' frequencies in the training rows, whatever the input."""

    random: ClassVar[tuple[str, ...]] = ("data",)
    uses_template: ClassVar[bool] = False

    def adapt(self, backbone: Backbone, data: TaskData, run: Run) -> Predictor:
        counts = np.bincount([int(row.target) for row in data.train], minlength=len(data.task.labels) or 1)
        return Frequencies(counts)

    def restore(self, backbone: Backbone, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Predictor:
        return Frequencies(np.asarray(facts["counts"]))


class Frequencies(Predictor):
    """Log relative frequencies [C] with add-one smoothing, the same for every example."""

    def __init__(self, counts: np.ndarray) -> None:
        self.counts = counts

    def predict(self, examples: Sequence[Example]) -> Predictions:
        widest = max([len(self.counts), *(len(example.inputs.get("choices", ())) for example in examples)])
        counts = np.pad(self.counts, (0, widest - len(self.counts)))
        scores = np.tile(np.log((counts + 1.0) / (counts + 1.0).sum()), (len(examples), 1))
        for row, example in zip(scores, examples):
            if "choices" in example.inputs:
                row[len(example.inputs["choices"]) :] = -np.inf
        return Predictions(tuple(example.id for example in examples), scores=scores)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, {"counts": self.counts.tolist()}
