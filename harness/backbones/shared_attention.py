"""Attention of many rows to one shared text and to themselves: softmax over both, computed apart and joined by the normalisers.

softmax over [shared, own] = w * softmax over shared + (1 - w) * softmax over own, with w = sigmoid(log Z_shared - log Z_own). The
shared part is one query of all rows' tokens over keys that exist once, without a mask; the own part is causal in each short row.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers.integrations.sdpa_attention import repeat_kv


class SharedAttention:
    """`past` holds the shared text's keys and values of every layer; `mask` bool [B, 1, T, T] within the rows, None where causal."""

    def __init__(self, past: Any, mask: Tensor | None) -> None:
        self.past, self.mask = past, mask
        self._bias: Tensor | None = None

    def attend(
        self, layer: int, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **kwargs: Any
    ) -> Tensor:
        if self.mask is not None and (self._bias is None or self._bias.dtype != value.dtype):
            self._bias = additive(self.mask, value.dtype)  # once for all layers: kernels would convert a bool mask at every call
        return self.joined(layer, query, key, value, float(kwargs["scaling"]), self._bias)

    def joined(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float, bias: Tensor | None) -> Tensor:
        """[B, T, H, D] from query [B, H, T, D] and the rows' own key and value [B, H_kv, S, D]; causal where there is no bias."""
        query, key = query.to(value.dtype), key.to(value.dtype)  # rotary ones are float32 under bf16 autocast
        shared_key, shared_value = self.past.layers[layer].keys, self.past.layers[layer].values  # [1, H_kv, P, D]
        groups = query.shape[1] // key.shape[1]
        ours, our_normaliser = attend_with_normaliser(
            query, repeat_kv(key, groups), repeat_kv(value, groups), scale, mask=bias, causal=bias is None
        )
        theirs, their_normaliser = _to_shared(query, shared_key.to(key), shared_value.to(value), groups, scale)
        weight = torch.sigmoid(their_normaliser - our_normaliser.transpose(1, 2))[..., None].to(ours.dtype)  # [B, T, H, 1]
        return torch.lerp(ours.transpose(1, 2), theirs, weight)


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A bool mask as 0 and -inf."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, -torch.inf)


def _to_shared(query: Tensor, key: Tensor, value: Tensor, groups: int, scale: float) -> tuple[Tensor, Tensor]:
    """[B, T, H, D] and normaliser [B, T, H] of all rows' queries over keys and values [1, H_kv, P, D] that exist once.

    Rows, tokens and the heads of a group become one long query of each key-value head, so nothing is copied per row.
    """
    batch, heads, length, width = query.shape
    kept = heads // groups
    long = query.transpose(1, 2).reshape(1, batch * length, kept, groups, width).permute(0, 2, 1, 3, 4)
    if groups == 1:
        output, normaliser = attend_with_normaliser(long.squeeze(3), key, value, scale)
        return output.transpose(1, 2).reshape(batch, length, heads, width), normaliser.transpose(1, 2).reshape(batch, length, heads)
    output, normaliser = attend_with_normaliser(long.reshape(1, kept, -1, width), key, value, scale)
    output = output.reshape(kept, batch, length, groups, width).permute(1, 2, 0, 3, 4).reshape(batch, length, heads, width)
    return output, normaliser.reshape(kept, batch, length, groups).permute(1, 2, 0, 3).reshape(batch, length, heads)


def attend_with_normaliser(
    query: Tensor, key: Tensor, value: Tensor, scale: float, *, mask: Tensor | None = None, causal: bool = False
) -> tuple[Tensor, Tensor]:
    """Attention [B, H, T, D] and the log of its softmax's normaliser, float32 [B, H, T]."""
    if query.device.type == "cpu":
        output, normaliser = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, causal, attn_mask=mask, scale=scale
        )
        return output, normaliser
    scores = torch.matmul(query, key.transpose(-1, -2)).float() * scale
    if mask is not None:
        scores = scores + mask
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    normaliser = torch.logsumexp(scores, dim=-1)
    return torch.matmul(torch.exp(scores - normaliser[..., None]).to(value.dtype), value), normaliser
