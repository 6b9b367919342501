"""In-context learning (GPT-3, arXiv 2005.14165): k demonstrations stand before the question; nothing is trained.

Demonstrations are drawn once from the training rows by the `demos` stream, so they depend on (task, seed) alone and every test
item sees the same ones, or, with `strategy: nearest`, on the item alone: the k training rows whose frozen features are nearest
to it (KATE, arXiv 2101.06804), the nearest one last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from harness.methods.linear_probe import features_of

from harness.backbones.scoring import shared_prefix_scores
from harness.demonstrations import choose, demonstration_text, nearest
from harness.method import Method, Predictor
from harness.predictions import Predictions
from harness.registry import method
from harness.settings import choice, setting
from harness.task import Example, Row, TaskData
from harness.templates import Rendered
from harness.text import generate_answers, in_batches, in_chat, label_predictions, reduction_of, render_all, template_of

if TYPE_CHECKING:
    from torch import Tensor

    from harness.backbones.backbone import Backbone
    from harness.training import Run


@method("in-context", paper="arXiv:2005.14165", needs=("label_scores",), tags=("text", "baseline", "in-context"))
class InContext(Method):
    """k-shot in-context learning with random, class-balanced or nearest-neighbour demonstrations."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification", "choice", "generation")
    random: ClassVar[tuple[str, ...]] = ("data", "demos")
    small: ClassVar[Mapping[str, Any]] = {"demonstrations": 2}

    demonstrations: int = setting(8, at_least=0, search=choice(0, 2, 4, 8), help="rows shown before the question")
    strategy: str = setting("balanced", one_of=("random", "balanced", "nearest"))
    separator: str | None = setting(None, help="stands between demonstrations; none takes the task's own, an empty line")
    answer_score: str = setting(
        "task", one_of=("task", "joint", "mean", "first"), help="how an answer of several tokens is scored; task: as it says, else joint"
    )

    def adapt(self, backbone: Backbone, data: TaskData, run: Run) -> Predictor:
        return InContextPredictor(self, backbone, data, run)

    def restore(self, backbone: Backbone, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Predictor:
        return self.adapt(backbone, data, run)


class InContextPredictor(Predictor):
    """Holds the demonstrations (or, for `nearest`, the pool's features [N, width]) and scores answers after them."""

    def __init__(self, method: InContext, backbone: Backbone, data: TaskData, run: Run) -> None:
        self.method, self.backbone, self.task, self.pool = method, backbone, data.task, data.train
        self.reduction = reduction_of(method.answer_score, data.task)
        self.template = template_of(data.task, run.template)
        self.prefix = ""
        self.vectors: np.ndarray | None = None
        number = min(method.demonstrations, len(data.train))
        if method.strategy == "nearest":
            self.vectors = self._features(data.train)
        else:
            self.prefix = self.text(choose(data.train, number, run.rng("demos", data.task.name), strategy=method.strategy))
        run.notes["demonstrations"] = number

    def text(self, rows: Sequence[Row]) -> str:
        return demonstration_text(self.task, self.template, rows, separator=self.method.separator)

    def _features(self, items: Sequence[Row | Example]) -> np.ndarray:
        return features_of(self.backbone, items)

    def predict(self, examples: Sequence[Example]) -> Predictions:
        if self.vectors is not None:
            return self._predict_nearest(examples)
        if self.task.kind == "generation":
            return generate_answers(self.backbone, self.task, self.template, examples, prefix=self.prefix)
        rendered = render_all(self.task, self.template, examples)
        return label_predictions(examples, self.scores(rendered), rendered, shared=self.prefix)

    def scores(self, rendered: Sequence[Rendered]) -> np.ndarray:
        """float64 [N, C] log-probabilities of the answers after the shared demonstrations."""
        chat = bool(getattr(self.backbone.tokenizer, "chat_template", None))
        if self.prefix and self.backbone.family == "causal_lm" and not chat:
            with torch.no_grad():
                scores = shared_prefix_scores(self.backbone, self.prefix, rendered, reduction=self.reduction)
            return scores.double().cpu().numpy()
        return self._plain_scores([with_prefix(self.prefix, item) for item in rendered])

    def _plain_scores(self, rendered: Sequence[Rendered]) -> np.ndarray:
        return in_batches(
            in_chat(self.backbone, rendered), lambda batch: self.backbone.label_scores(batch, reduction=self.reduction), size=8
        )

    def _predict_nearest(self, examples: Sequence[Example]) -> Predictions:
        assert self.vectors is not None
        number = min(self.method.demonstrations, len(self.pool))
        chosen = nearest(self.pool, self._features(examples), self.vectors, number)
        prefixes = [self.text(rows) for rows in chosen]
        if self.task.kind == "generation":
            parts = [
                generate_answers(self.backbone, self.task, self.template, [example], prefix=prefix)
                for example, prefix in zip(examples, prefixes)
            ]
            return _concatenated(parts)
        rendered = [with_prefix(prefix, item) for prefix, item in zip(prefixes, render_all(self.task, self.template, examples))]
        return label_predictions(examples, self._plain_scores(rendered), rendered)


def with_prefix(prefix: str, item: Rendered) -> Rendered:
    return replace(item, before=prefix + item.before) if prefix else item


def _concatenated(parts: Sequence[Predictions]) -> Predictions:
    def joined(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        return None if any(value is None for value in values) else tuple(item for value in values for item in value)

    names = ("ids", "texts", "raw_texts", "tokens", "stops", "prompts")
    return Predictions(**{name: joined(name) for name in names})
