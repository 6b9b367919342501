"""Linear probe: L2-regularised logistic regression on the frozen backbone's pooled features.

The regularisation is chosen on dev where there is one, else `c` holds. Features are standardised by the training rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from scipy.special import log_softmax

from harness.frozen import frozen_features
from harness.method import Method, Predictor
from harness.predictions import Predictions
from harness.registry import method
from harness.settings import log_uniform, setting
from harness.task import Example, Row, Task, TaskData

if TYPE_CHECKING:
    from torch import Tensor

    from harness.backbones.pretrained import Pretrained
    from harness.training import Run


def features_of(backbone: Pretrained, items: Sequence[Row | Example]) -> np.ndarray:
    """float64 [N, width] pooled features of what the backbone reads of rows or examples: raw text, images, graphs."""
    return frozen_features(backbone, [backbone.read(item.inputs) for item in items])


@method("linear-probe", needs=("features",), tags=("text", "vision", "graph", "baseline", "frozen"))
class LinearProbe(Method):
    """Logistic regression on frozen features."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)
    random: ClassVar[tuple[str, ...]] = ("data",)
    uses_template: ClassVar[bool] = False

    c: float = setting(1.0, above=0, search=log_uniform(1e-3, 1e2), help="inverse strength of the L2 penalty")

    def adapt(self, backbone: Pretrained, data: TaskData, run: Run) -> Predictor:
        from sklearn.linear_model import LogisticRegression

        features = features_of(backbone, data.train)
        mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-8
        fitted = LogisticRegression(C=self.c, max_iter=2000).fit((features - mean) / scale, [int(row.target) for row in data.train])
        weight, bias = np.zeros((len(data.task.labels), features.shape[1])), np.full(len(data.task.labels), -30.0)
        two = len(fitted.classes_) == 2  # scikit-learn keeps one row of weights for two classes
        weight[fitted.classes_] = np.concatenate([-fitted.coef_ / 2, fitted.coef_ / 2]) if two else fitted.coef_
        bias[fitted.classes_] = np.concatenate([-fitted.intercept_ / 2, fitted.intercept_ / 2]) if two else fitted.intercept_
        return LinearPredictor(backbone, weight / scale, bias - (weight / scale) @ mean)

    def restore(self, backbone: Pretrained, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Predictor:
        return LinearPredictor(backbone, tensors["weight"].numpy(), tensors["bias"].numpy())

    def head_parameters(self, backbone: Pretrained, task: Task) -> int:
        return (backbone.width + 1) * len(task.labels)


class LinearPredictor(Predictor):
    """weight [C, width] and bias [C] on raw features."""

    def __init__(self, backbone: Pretrained, weight: np.ndarray, bias: np.ndarray) -> None:
        self.backbone, self.weight, self.bias = backbone, weight, bias

    def predict(self, examples: Sequence[Example]) -> Predictions:
        scores = features_of(self.backbone, examples) @ self.weight.T + self.bias
        return Predictions(tuple(example.id for example in examples), scores=log_softmax(scores, axis=1))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"weight": torch.from_numpy(self.weight), "bias": torch.from_numpy(self.bias)}, {}
