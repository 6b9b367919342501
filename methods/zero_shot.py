"""Zero-shot: the backbone answers the template as it is; nothing is trained and no training row is read.

Label scores are the log-probabilities of the verbalizer's words at the answer; a text is generated where the task asks for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from harness.method import Method, Predictor
from harness.predictions import Predictions
from harness.registry import method
from harness.settings import setting
from harness.task import Example, TaskData
from harness.text import generate_answers, in_batches, in_chat, label_predictions, reduction_of, render_all, template_of

if TYPE_CHECKING:
    from torch import Tensor

    from harness.backbones.backbone import Backbone
    from harness.training import Run


@method("zero-shot", needs=("label_scores",), tags=("text", "baseline", "in-context"))
class ZeroShot(Method):
    """A template, a verbalizer, and the pretrained model."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification", "choice", "generation")
    random: ClassVar[tuple[str, ...]] = ()

    answer_score: str = setting(
        "task", one_of=("task", "joint", "mean", "first"), help="how an answer of several tokens is scored; task: as it says, else joint"
    )

    def adapt(self, backbone: Backbone, data: TaskData, run: Run) -> Predictor:
        return TemplatePredictor(backbone, data, run.template, self.answer_score)

    def restore(self, backbone: Backbone, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Predictor:
        return self.adapt(backbone, data, run)


class TemplatePredictor(Predictor):
    """Scores answers to a rendered template, with nothing added."""

    def __init__(self, backbone: Backbone, data: TaskData, template: str | None, answer_score: str) -> None:
        self.backbone, self.task, self.reduction = backbone, data.task, reduction_of(answer_score, data.task)
        self.template = template_of(data.task, template)

    def predict(self, examples: Sequence[Example]) -> Predictions:
        if self.task.kind == "generation":
            return generate_answers(self.backbone, self.task, self.template, examples)
        rendered = in_chat(self.backbone, render_all(self.task, self.template, examples))
        scores = in_batches(rendered, lambda batch: self.backbone.label_scores(batch, reduction=self.reduction))
        return label_predictions(examples, scores, rendered)
