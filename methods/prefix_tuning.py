"""Prefix tuning (Li and Liang 2021, arXiv 2101.00190): trained keys and values in front of every layer's attention.

As in the paper, the prefix is reparametrised: an embedding and a two-layer MLP (peft's PrefixEncoder) give it; `hidden` is the
MLP's width. Nearest neighbour: deep-prompts (P-tuning v2: the same without the MLP).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from harness.backbones.injection import Injection
from harness.gradient import Attached, GradientMethod
from harness.registry import method
from harness.settings import choice, log_uniform, setting
from harness.task import Task, TaskData

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.training import Run


class Prefix(nn.Module):
    """peft's prefix encoder; called, it gives [layers, 2, length, key_value_heads, head_width]."""

    def __init__(self, length: int, backbone: Backbone, hidden: int | None) -> None:
        super().__init__()
        from peft import PrefixEncoder, PrefixTuningConfig

        self.shape = (length, backbone.layers, 2, backbone.key_value_heads, backbone.head_width)
        config = PrefixTuningConfig(
            num_virtual_tokens=length,
            token_dim=backbone.key_value_heads * backbone.head_width,
            num_layers=backbone.layers,
            prefix_projection=hidden is not None,
            encoder_hidden_size=hidden or 0,
        )
        self.encoder = PrefixEncoder(config)
        self.register_buffer("places", torch.arange(length).unsqueeze(0), persistent=False)

    def forward(self) -> Tensor:
        flat: Tensor = self.encoder(self.places)[0]  # [length, layers * 2 * heads * head_width]
        return flat.view(self.shape).permute(1, 2, 0, 3, 4)


class PrefixMethod(GradientMethod):
    """Base of methods with a trained prefix in every layer."""

    length: int = setting(10, at_least=1, search=choice(5, 10, 20), help="prefix positions in every layer")

    def hidden_width(self) -> int | None:
        return None

    def attach(self, backbone: Backbone, data: TaskData, run: Run) -> Attached:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.streams.integer("init"))  # peft draws its initial weights from the global generator
            prefix = Prefix(self.length, backbone, self.hidden_width())
        return Attached(backbone, prefix, lambda examples: Injection(prefix=prefix()))


@method("prefix-tuning", paper="arXiv:2101.00190", needs=("prefix_injection",), tags=("text", "soft-prompt"))
class PrefixTuning(PrefixMethod):
    """A reparametrised prefix of keys and values."""

    small: ClassVar[Mapping[str, Any]] = {"length": 3, "hidden": 16, "steps": 4}

    learning_rate: float = setting(3e-3, above=0, search=log_uniform(3e-4, 3e-2))
    hidden: int = setting(64, at_least=1, search=choice(64, 128, 256), help="width of the reparametrising MLP")

    def hidden_width(self) -> int | None:
        return self.hidden

    def trainable_parameters(self, backbone: Backbone, task: Task) -> int:
        token = backbone.key_value_heads * backbone.head_width
        table = self.length * token
        return table + (token * self.hidden + self.hidden) + (self.hidden + 1) * backbone.layers * 2 * token
