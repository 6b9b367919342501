"""Deep prompts (P-tuning v2, Liu et al. 2022, arXiv 2110.07602): trained keys and values in every layer, without reparametrisation.

The paper reads classes by a head on the first token; here `readout` offers both, head first. Nearest neighbour: prefix-tuning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from harness.methods.prefix_tuning import PrefixMethod

from harness.registry import method
from harness.settings import log_uniform, setting
from harness.task import Task

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone


@method("deep-prompts", paper="arXiv:2110.07602", needs=("prefix_injection",), tags=("text", "soft-prompt"))
class DeepPrompts(PrefixMethod):
    """[layers, 2, length, heads, head width] trained numbers."""

    readouts: ClassVar[tuple[str, ...]] = ("head", "verbalizer")
    small: ClassVar[Mapping[str, Any]] = {"length": 3, "steps": 4}

    learning_rate: float = setting(1e-2, above=0, search=log_uniform(1e-3, 0.1))

    def trainable_parameters(self, backbone: Backbone, task: Task) -> int:
        return self.length * backbone.layers * 2 * backbone.key_value_heads * backbone.head_width
