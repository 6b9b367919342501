"""Contextual calibration (Zhao et al. 2021, arXiv 2102.09690): divide out what the prompt says about a question without content.

p_cf is the mean of the label probabilities for content-free inputs ("N/A", "[MASK]", ""); scores become log softmax(p) - log p_cf,
the paper's W = diag(p_cf)^-1, b = 0. Neighbours: in-context (the same prompt, uncalibrated).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from harness.methods.in_context import InContext, InContextPredictor
from scipy.special import log_softmax, logsumexp

from harness.predictions import Predictions
from harness.registry import method
from harness.settings import setting
from harness.task import Example, TaskData
from harness.text import render_all

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.method import Predictor
    from harness.training import Run


@method("contextual-calibration", paper="arXiv:2102.09690", needs=("label_scores",), tags=("text", "baseline", "in-context"))
class ContextualCalibration(InContext):
    """In-context learning with the prompt's own label bias divided out."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)

    strategy: str = setting("balanced", one_of=("random", "balanced"))
    content_free: str = setting("N/A|[MASK]|", help="content-free inputs, separated by |")

    def adapt(self, backbone: Backbone, data: TaskData, run: Run) -> Predictor:
        return CalibratedPredictor(self, backbone, data, run)


class CalibratedPredictor(InContextPredictor):
    """In-context scores minus the log mean probabilities [C] of content-free inputs."""

    method: ContextualCalibration

    def __init__(self, method: ContextualCalibration, backbone: Backbone, data: TaskData, run: Run) -> None:
        super().__init__(method, backbone, data, run)
        like = data.train[0] if data.train else data.test[0]
        empty = [Example(f"content-free-{i}", blanked(like.inputs, text)) for i, text in enumerate(method.content_free.split("|"))]
        logs = log_softmax(self.scores(render_all(self.task, self.template, empty)), axis=1)
        self.bias = logsumexp(logs, axis=0) - np.log(len(empty))

    def predict(self, examples: Sequence[Example]) -> Predictions:
        plain = super().predict(examples)
        assert plain.scores is not None
        return Predictions(
            plain.ids, scores=log_softmax(plain.scores, axis=1) - self.bias, prompts=plain.prompts, shared_prompt=plain.shared_prompt
        )


def blanked(inputs: Mapping[str, Any], text: str) -> dict[str, Any]:
    return {key: text if isinstance(value, str) else value for key, value in inputs.items()}
