"""Prompt tuning (Lester et al. 2021, arXiv 2104.08691): a matrix of prompt vectors in front of the input is all that is trained.

Nearest neighbours: p-tuning (the same prompt behind a reparametrising network), prefix-tuning (keys and values in every layer).
Starts: rows of the embedding table of common words (the paper's best but class labels), uniform in [-0.5, 0.5], or the words of
the class labels, then sampled words. The paper trains T5 with Adafactor at rate 0.3; small models want less, so the default is
ours and the paper's lies within the search space.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from harness.methods.soft_prompt import Prompt, SoftPrompt, uniform_start
from torch import nn

from harness.registry import method
from harness.settings import log_uniform, setting
from harness.task import TaskData
from harness.text import template_of

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.training import Run


@method("prompt-tuning", paper="arXiv:2104.08691", needs=("prompt_injection",), tags=("text", "soft-prompt"))
class PromptTuning(SoftPrompt):
    """[length, width] trained numbers."""

    small: ClassVar[Mapping[str, Any]] = {"length": 4, "steps": 4}

    learning_rate: float = setting(3e-2, above=0, search=log_uniform(1e-3, 0.3))
    start: str = setting("sampled", one_of=("sampled", "uniform", "labels"))

    def prompt(self, backbone: Backbone, data: TaskData, run: Run) -> nn.Module:
        if self.start == "uniform":
            return Prompt(uniform_start(self.length, backbone.width, run.generator("init")))
        start = backbone.sample_word_embeddings(self.length, run.rng("init"))
        if self.start == "labels":
            words = self._label_words(backbone, data, run)[: self.length]
            start[: len(words)] = words
        return Prompt(start)

    def _label_words(self, backbone: Backbone, data: TaskData, run: Run) -> torch.Tensor:
        """[C, width] mean embedding of each class's label words."""
        row = data.train[0] if data.train else data.test[0]
        answers = template_of(data.task, run.template).render(row.inputs, data.task.labels).answers or data.task.labels
        return torch.stack([vectors.mean(dim=0) for vectors in backbone.word_embeddings(list(answers))])
