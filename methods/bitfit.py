"""BitFit (Ben Zaken et al. 2022, arXiv 2106.10199): only bias terms are trained.

A model without biases (T5, Llama) has nothing to train: it is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from harness.methods.layer_tuning import LayerMethod, trained
from torch import nn

from harness.errors import UnsupportedError
from harness.registry import method
from harness.settings import log_uniform, setting
from harness.task import Task

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.training import Run


@method("bitfit", paper="arXiv:2106.10199", needs=("layer_tuning", "biases"), tags=("text", "parameter-efficient"))
class BitFit(LayerMethod):
    """The backbone's own biases, in place."""

    identity_at_start: ClassVar[bool] = True
    small: ClassVar[Mapping[str, Any]] = {"steps": 4}

    learning_rate: float = setting(5e-3, above=0, search=log_uniform(1e-4, 2e-2))

    @staticmethod
    def copied(name: str) -> bool:
        return name.rsplit(".", 1)[-1] == "bias"

    def insert(self, fork: Backbone, run: Run) -> dict[str, nn.Parameter]:
        biases = trained(fork, self.copied)
        if not biases:
            raise UnsupportedError(f"{fork.name} has no bias terms")
        return biases

    def trainable_parameters(self, backbone: Backbone, task: Task) -> int:
        return sum(parameter.numel() for name, parameter in backbone.model.named_parameters() if self.copied(name))
