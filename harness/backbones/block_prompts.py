"""Prompts among the tokens of a vision transformer, and what happens to them from block to block; made to a frozen model in one pass.

Tokens stand as [class, prompts, patches]. The blocks are the model's own modules; what is done here is done between two of them, and to
the logits of their attention through the attention function that every backbone runs with (`attention.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from harness.backbones.attention import attending
from harness.errors import InputError

if TYPE_CHECKING:
    from harness.backbones.vision_transformer import VisionTransformer


@dataclass(frozen=True)
class BlockPrompts:
    """What is put among the tokens of a vision transformer of L blocks.

    prompt : float [P, width] or [B, P, width], put behind the class token before block `at`; None where only `temperatures` are set.
    at : 0 for the input (Jia et al. 2022, VPT-shallow), k for before block k.
    each : float [L - 1, P, width] or [L - 1, B, P, width], what replaces the prompts' states before blocks 1 to L - 1 (VPT-deep).
    gates : float [L - 1], g_i in [0, 1]: of what block i makes of the prompts, the next block sees g_i, and 1 - g_i of what block i saw
        (Yoo et al. 2023). The last block has no gate: what it makes is read out.
    temperatures : float [L], positive: the attention logits of block i are divided by the i-th.
    """

    prompt: Tensor | None = None
    at: int = 0
    each: Tensor | None = None
    gates: Tensor | None = None
    temperatures: Tensor | None = None

    @property
    def length(self) -> int:
        return 0 if self.prompt is None else self.prompt.shape[-2]

    def check(self, layers: int, width: int) -> None:
        """InputError where a shape does not fit a model of so many blocks."""
        expected: dict[str, tuple[int, ...]] = {
            "prompt": (self.length, width),
            "each": (layers - 1, self.length, width),
            "gates": (layers - 1,),
            "temperatures": (layers,),
        }
        for name, shape in expected.items():
            given: Tensor | None = getattr(self, name)
            found = () if given is None else tuple(given.shape)
            if name in ("prompt", "each") and len(found) == len(shape) + 1:  # one for every picture of the batch
                found = (*found[:-3], *found[-2:])
            if given is not None and found != shape:
                raise InputError(f"{name} of shape {list(given.shape)}", key="injection", expected=f"{list(shape)} for this model")
        if self.prompt is None and (self.each is not None or self.gates is not None):
            raise InputError("gates or later prompts without a prompt", key="injection", expected="give the prompt too")
        if not 0 <= self.at < layers or (self.at and (self.each is not None or self.gates is not None)):
            raise InputError(
                f"prompts before block {self.at}", key="injection", expected=f"0 to {layers - 1}; 0 with gates or later prompts"
            )


class _Tempered:
    """Attention whose logits are divided by a learned number a layer; optionally keeps what the class token attends to.

    The queries are divided, which is the same thing and leaves the fused kernel in use.
    """

    def __init__(self, temperatures: Tensor | None) -> None:
        self.temperatures = temperatures

    def attend(
        self, layer: int, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **kwargs: Any
    ) -> Tensor:
        if self.temperatures is not None:
            query = query / self.temperatures[layer].to(query)
        self.seen(layer, query, key, float(kwargs["scaling"]))
        return sdpa_attention_forward(module, query, key, value, mask, **kwargs)[0]

    def seen(self, layer: int, query: Tensor, key: Tensor, scale: float) -> None:
        """Told of every layer's queries and keys [B, H, T, D]."""


class _Watching(_Tempered):
    """Keeps [B, T] the attention of the class token in the last layer that ran, its mean over heads."""

    weights: Tensor

    def seen(self, layer: int, query: Tensor, key: Tensor, scale: float) -> None:
        self.weights = torch.softmax((query[:, :, :1] @ key.transpose(-1, -2)).float() * scale, dim=-1).mean(dim=1)[:, 0]


def run_blocks(backbone: VisionTransformer, states: Tensor, injection: BlockPrompts | None) -> list[Tensor]:
    """States [B, T, width] of the tokens as embedded and after every block, under `injection`; T grows by P where the prompts enter."""
    if injection is None:
        injection = BlockPrompts()
    injection.check(backbone.layers, backbone.width)
    if injection.temperatures is None:
        return _through(backbone, states, injection)
    blocks: Any = backbone  # a text model and a vision model say alike where their attention is
    with attending(blocks, _Tempered(injection.temperatures)):
        return _through(backbone, states, injection)


def class_attention(backbone: VisionTransformer, states: Tensor, injection: BlockPrompts | None) -> Tensor:
    """[B, T] how much the class token attends to every token in the last block, mean over heads."""
    watching = _Watching(None if injection is None else injection.temperatures)
    blocks: Any = backbone
    with attending(blocks, watching):
        _through(backbone, states, injection or BlockPrompts())
    return watching.weights


def _through(backbone: VisionTransformer, states: Tensor, injection: BlockPrompts) -> list[Tensor]:
    found = [states]
    prompts = slice(1, 1 + injection.length)
    for number, block in enumerate(backbone.layer_modules()):
        if injection.prompt is not None and number == injection.at:
            states = _with(states, slice(1, 1), injection.prompt)
        elif injection.each is not None and number:
            states = _with(states, prompts, injection.each[number - 1])
        before = states[:, prompts]
        states = block(states)
        if injection.gates is not None and number < backbone.layers - 1:
            gate = injection.gates[number].to(states)
            states = _with(states, prompts, gate * states[:, prompts] + (1 - gate) * before)
        found.append(states)
    return found


def _with(states: Tensor, place: slice, new: Tensor) -> Tensor:
    """States with what stands at `place` replaced by `new`, [P, width] for all or [B, P, width]."""
    new = new.to(states).expand(len(states), -1, -1)
    return torch.cat([states[:, : place.start], new, states[:, place.stop :]], dim=1)
