"""Bottleneck adapters (Houlsby et al. 2019, arXiv 1902.00751; placement of Pfeiffer et al. 2021, arXiv 2005.00247).

After a layer's feed-forward output (and, with `placement: both`, after its attention output too) a two-layer network with a
bottleneck is added to what it is given. The second layer starts at zero, so training starts from the backbone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from harness.methods.layer_tuning import LayerMethod
from torch import Tensor, nn

from harness.registry import method
from harness.settings import choice, log_uniform, setting
from harness.task import Task

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.training import Run


class Bottleneck(nn.Module):
    """h + up(relu(down(h))); h [..., width]."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, size), nn.Linear(size, width)
        nn.init.normal_(self.down.weight, std=0.02)
        for tensor in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(tensor)

    def forward(self, hidden: Tensor) -> Tensor:
        out: Tensor = hidden + self.up(torch.relu(self.down(hidden)))
        return out


@method("bottleneck-adapter", paper="arXiv:1902.00751", needs=("layer_tuning",), tags=("text", "parameter-efficient"))
class BottleneckAdapter(LayerMethod):
    """(2 * width + 1) * size + width trained numbers an adapter."""

    identity_at_start: ClassVar[bool] = True
    small: ClassVar[Mapping[str, Any]] = {"size": 4, "steps": 4}

    learning_rate: float = setting(3e-3, above=0, search=log_uniform(1e-4, 1e-2))
    size: int = setting(16, at_least=1, search=choice(8, 16, 32, 64), help="width of the bottleneck")
    placement: str = setting("feed_forward", one_of=("feed_forward", "both"))

    def insert(self, fork: Backbone, run: Run) -> dict[str, nn.Parameter]:
        parts = fork.architecture
        places = [(layer, parts.feed_forward_out, parts.output) for layer in fork.layer_modules()]
        places += [(layer, str(parts.decoder_feed_forward_out), parts.output) for layer in fork.layer_modules("decoder")]
        trained: dict[str, nn.Parameter] = {}
        for number, (layer, feed_forward, attention) in enumerate(places):
            for path in (feed_forward,) if self.placement == "feed_forward" else (attention, feed_forward):
                adapter = Bottleneck(fork.width, self.size).to(fork.device)
                layer.get_submodule(path).register_forward_hook(lambda module, given, out, adapter=adapter: adapter(out))
                trained |= {f"{number}.{path}.{name}": parameter for name, parameter in adapter.named_parameters()}
        return trained

    def trainable_parameters(self, backbone: Backbone, task: Task) -> int:
        each = 2 * backbone.width * self.size + self.size + backbone.width
        return each * len(backbone.layer_modules() + backbone.layer_modules("decoder")) * (1 if self.placement == "feed_forward" else 2)
