"""IA3 (Liu et al. 2022, arXiv 2205.05638): trained vectors that scale keys, values and the feed-forward's inner activations; by peft.

All vectors start at one, so training starts from the backbone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from harness.methods.layer_tuning import LayerMethod, insert_peft, module_names, shape_of
from torch import nn

from harness.registry import method
from harness.settings import log_uniform, setting
from harness.task import Task

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.training import Run


@method("ia3", paper="arXiv:2205.05638", needs=("layer_tuning",), tags=("text", "parameter-efficient"))
class IA3(LayerMethod):
    """Scales of keys, values and feed-forward activations."""

    identity_at_start: ClassVar[bool] = True
    small: ClassVar[Mapping[str, Any]] = {"steps": 4}

    learning_rate: float = setting(2e-2, above=0, search=log_uniform(1e-3, 5e-2))

    def insert(self, fork: Backbone, run: Run) -> dict[str, nn.Parameter]:
        from peft import IA3Config

        parts = fork.architecture
        own = sorted({parts.key, parts.value})
        cross = [f"{parts.cross_attention}.{path.rsplit('.', 1)[-1]}" for path in own] if parts.cross_attention else []
        inner = module_names(fork, [parts.feed_forward_out])
        if parts.decoder_feed_forward_out:
            inner += module_names(fork, [parts.decoder_feed_forward_out], "decoder")
        attention = module_names(fork, own) + module_names(fork, own + cross, "decoder")
        return insert_peft(fork, IA3Config(target_modules=[*attention, *inner], feedforward_modules=inner))

    def trainable_parameters(self, backbone: Backbone, task: Task) -> int:
        layer, parts = backbone.layer_modules()[0], backbone.architecture
        attention = sum(shape_of(layer.get_submodule(path))[1] for path in {parts.key, parts.value})
        inner = shape_of(layer.get_submodule(parts.feed_forward_out))[0]
        decoder = len(backbone.layer_modules("decoder"))
        return backbone.layers * (attention + inner) + decoder * (2 * attention + inner)
