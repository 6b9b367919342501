"""Full fine-tuning: every weight of the backbone is trained, with a new head on pooled features (BERT, arXiv 1810.04805).

Text answers are trained through the language-model head. Dropout is on while training. Nearest neighbour:
prompt-based-fine-tuning (every weight too, but read out through a template and a verbalizer).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from harness.methods.layer_tuning import LayerMethod, trained
from torch import nn

from harness.registry import method
from harness.settings import log_uniform, setting
from harness.task import Task

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.training import Run


@method("full-fine-tuning", paper="arXiv:1810.04805", needs=("weight_tuning",), tags=("text", "vision", "graph", "baseline", "fine-tuning"))
class FullFineTuning(LayerMethod):
    """All weights and a head."""

    readouts: ClassVar[tuple[str, ...]] = ("head", "verbalizer")
    training_mode: ClassVar[bool] = True
    random: ClassVar[tuple[str, ...]] = ("data", "init", "order", "noise")
    small: ClassVar[Mapping[str, Any]] = {"steps": 4}

    learning_rate: float = setting(3e-4, above=0, search=log_uniform(1e-5, 2e-3))
    head_rate: float = setting(1e-3, above=0)
    weight_decay: float = setting(0.01, at_least=0)

    @staticmethod
    def copied(name: str) -> bool:
        return True

    def insert(self, fork: Backbone, run: Run) -> dict[str, nn.Parameter]:
        return trained(fork, self.copied)

    def trainable_parameters(self, backbone: Backbone, task: Task) -> int:
        return backbone.parameter_count()
