"""The attention function that every backbone runs with: the library's own, unless something attends in its own way for a while.

Injected prefixes and the shared text of in-context scoring are such things. What runs is found through a context variable, so a model
is never changed; which module is which layer's attention is `Architecture` data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone

ATTENTION = "harness"  # name of our function in transformers' registry


class Attends(Protocol):
    """Attention of one layer: query [B, H, T, D], key and value [B, H_kv, S, D] -> output [B, T, H, D]."""

    def attend(
        self, layer: int, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **kwargs: Any
    ) -> Tensor: ...


_active: ContextVar[tuple[Attends, dict[int, int]] | None] = ContextVar("attends", default=None)


def attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    active = _active.get()
    layer = None if active is None else active[1].get(id(module))
    if active is None or layer is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    return active[0].attend(layer, module, query, key, value, attention_mask, **kwargs), None


@contextmanager
def attending(backbone: Backbone, attends: Attends) -> Iterator[None]:
    """While within, `attends` does the self-attention of the backbone's (encoder) layers."""
    modules = [layer.get_submodule(backbone.architecture.attention) for layer in backbone.layer_modules()]
    token = _active.set((attends, {id(module): number for number, module in enumerate(modules)}))
    try:
        yield
    finally:
        _active.reset(token)


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
