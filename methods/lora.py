"""LoRA (Hu et al. 2021, arXiv 2106.09685): a trained low-rank difference on the attention's query and value projections; by peft.

Scaled by alpha / rank; the second factor starts at zero, so training starts from the backbone. GPT-2's fused projection is adapted
as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from harness.methods.layer_tuning import LayerMethod, insert_peft, module_names, shape_of
from torch import nn

from harness.registry import method
from harness.settings import choice, log_uniform, setting
from harness.task import Task

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.training import Run


@method("lora", paper="arXiv:2106.09685", needs=("layer_tuning",), tags=("text", "parameter-efficient"))
class LoRA(LayerMethod):
    """rank * (inputs + outputs) trained numbers a projection."""

    identity_at_start: ClassVar[bool] = True
    small: ClassVar[Mapping[str, Any]] = {"rank": 2, "steps": 4}

    learning_rate: float = setting(2e-3, above=0, search=log_uniform(1e-4, 1e-2))
    rank: int = setting(8, at_least=1, search=choice(2, 4, 8, 16))
    alpha: float = setting(16.0, above=0)

    def insert(self, fork: Backbone, run: Run) -> dict[str, nn.Parameter]:
        from peft import LoraConfig

        parts = fork.architecture
        own = sorted({parts.query, parts.value})
        cross = [f"{parts.cross_attention}.{path.rsplit('.', 1)[-1]}" for path in own] if parts.cross_attention else []
        targets = module_names(fork, own) + module_names(fork, own + cross, "decoder")
        config = LoraConfig(r=self.rank, lora_alpha=self.alpha, lora_dropout=0.0, target_modules=targets)  # type: ignore[arg-type]
        return insert_peft(fork, config)

    def trainable_parameters(self, backbone: Backbone, task: Task) -> int:
        layer = backbone.layer_modules()[0]
        paths = {backbone.architecture.query, backbone.architecture.value}
        each = sum(self.rank * sum(shape_of(layer.get_submodule(path))) for path in paths)
        decoder = len(backbone.layer_modules("decoder"))
        return each * (backbone.layers + 2 * decoder)  # a decoder layer attends twice: to itself and to the encoder
