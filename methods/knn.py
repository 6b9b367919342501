"""k nearest neighbours by cosine similarity of the frozen backbone's pooled features; votes weighted by similarity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from harness.methods.linear_probe import features_of

from harness.method import Method, Predictor
from harness.predictions import Predictions
from harness.registry import method
from harness.settings import choice, setting
from harness.task import Example, TaskData

if TYPE_CHECKING:
    from torch import Tensor

    from harness.backbones.pretrained import Pretrained
    from harness.training import Run


@method("knn", needs=("features",), tags=("text", "vision", "graph", "baseline", "frozen"))
class NearestNeighbours(Method):
    """Class votes of the k most similar training rows."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)
    random: ClassVar[tuple[str, ...]] = ("data",)
    uses_template: ClassVar[bool] = False

    k: int = setting(5, at_least=1, search=choice(1, 3, 5, 9))

    def adapt(self, backbone: Pretrained, data: TaskData, run: Run) -> Predictor:
        targets = np.asarray([int(row.target) for row in data.train])
        return NeighbourPredictor(backbone, normalised(features_of(backbone, data.train)), targets, len(data.task.labels), self.k)

    def restore(self, backbone: Pretrained, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Predictor:
        return NeighbourPredictor(backbone, tensors["features"].numpy(), tensors["targets"].numpy(), len(data.task.labels), self.k)


def normalised(features: np.ndarray) -> np.ndarray:
    return np.asarray(features / (np.linalg.norm(features, axis=1, keepdims=True) + 1e-12))


class NeighbourPredictor(Predictor):
    """features [N, width] of unit length, targets [N]."""

    def __init__(self, backbone: Pretrained, features: np.ndarray, targets: np.ndarray, classes: int, k: int) -> None:
        self.backbone, self.features, self.targets, self.classes, self.k = backbone, features, targets, classes, k

    def predict(self, examples: Sequence[Example]) -> Predictions:
        similarity = normalised(features_of(self.backbone, examples)) @ self.features.T
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, : self.k]
        votes = np.full((len(examples), self.classes), 1e-6)
        for row, columns in enumerate(nearest):
            np.add.at(votes[row], self.targets[columns], 1.0 + similarity[row, columns])
        return Predictions(tuple(example.id for example in examples), scores=np.log(votes / votes.sum(axis=1, keepdims=True)))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"features": torch.from_numpy(self.features), "targets": torch.from_numpy(self.targets)}, {}
