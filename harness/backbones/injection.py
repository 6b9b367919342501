"""The one injection layer: prompt vectors in front of the embeddings, keys and values in front of every layer's own, and sums.

A prompt is put among the token embeddings by `forward.py`, which also adds an update to the embeddings of the text. A prefix works
inside attention (`attention.py`): it puts the layer's keys and values in front and widens the mask. What is added to the prompt's states
before later layers is added by hooks that stay for one pass. No model code is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from harness.backbones.attention import attending
from harness.errors import InputError

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone


@dataclass(frozen=True)
class Injection:
    """What is put into a frozen backbone.

    prompt : float [P, width] for all texts, or [B, P, width], one per text; takes part in position numbering like tokens.
    prefix : float [L, 2, P, H, head_width] keys (0) and values (1), or [B, L, 2, P, H, head_width]; H counts key-value heads. Rotary
        models take keys as already rotated. Tokens behind a prefix are numbered from P on, as if P tokens stood before them.
    position : "start" puts the prompt behind the first special token of models that have one ([CLS]), else in front;
        "front" always in front, as `peft` does.
    embedding_update : float [S, width] added to the embeddings of a text's first S tokens (special ones count, the prompt does not,
        generated ones go on counting), or [B, S, width]. Tokens from the S-th on stay as they are.
    deep : float [L, P, width] added to the states of the prompt's P vectors before each (encoder) layer; needs a prompt.
    """

    prompt: Tensor | None = None
    prefix: Tensor | None = None
    position: Literal["start", "front"] = "start"
    embedding_update: Tensor | None = None
    deep: Tensor | None = None

    def __post_init__(self) -> None:
        if self.prompt is not None and self.prompt.ndim not in (2, 3):
            raise InputError(f"a prompt of shape {list(self.prompt.shape)}", key="injection", expected="[P, width] or [B, P, width]")
        if self.prefix is not None and (self.prefix.ndim not in (5, 6) or self.prefix.shape[-4] != 2):
            expected = "[L, 2, P, H, head_width] or [B, L, 2, P, H, head_width]"
            raise InputError(f"a prefix of shape {list(self.prefix.shape)}", key="injection", expected=expected)
        if self.embedding_update is not None and self.embedding_update.ndim not in (2, 3):
            shape = list(self.embedding_update.shape)
            raise InputError(f"an embedding update of shape {shape}", key="injection", expected="[S, width] or [B, S, width]")
        if self.deep is not None and (self.prompt is None or self.deep.ndim != 3 or self.deep.shape[1:] != self.prompt.shape[-2:]):
            raise InputError(
                f"deep of shape {list(self.deep.shape)}", key="injection", expected="[L, P, width], beside a prompt of P vectors"
            )

    @property
    def prompt_length(self) -> int:
        return 0 if self.prompt is None else self.prompt.shape[-2]

    @property
    def prefix_length(self) -> int:
        return 0 if self.prefix is None else self.prefix.shape[-3]

    def take(self, items: Sequence[int]) -> Injection:
        """The injection for rows that belong to these items: vectors that differ by item are repeated, shared ones stay."""
        index = list(items)
        prompt = self.prompt[index] if self.prompt is not None and self.prompt.ndim == 3 else self.prompt
        prefix = self.prefix[index] if self.prefix is not None and self.prefix.ndim == 6 else self.prefix
        update = self.embedding_update
        update = update[index] if update is not None and update.ndim == 3 else update
        return Injection(prompt, prefix, self.position, update, self.deep)


class _Prefix:
    """Attention with the prefix's keys and values in front of a layer's own, which every token sees."""

    def __init__(self, prefix: Tensor) -> None:
        self.length = prefix.shape[-3]
        heads_first = prefix.movedim(-2, -3)  # [..., L, 2, H, P, D]
        self.prefix = heads_first if prefix.ndim == 6 else heads_first.unsqueeze(0)
        self.bias: Tensor | None = None

    def attend(
        self, layer: int, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **kwargs: Any
    ) -> Tensor:
        causal = kwargs.get("is_causal")
        causal = bool(getattr(module, "is_causal", True)) if causal is None else bool(causal)
        mask = _wider_mask(mask, query, key, self.length, causal)
        both = self.prefix[:, layer].to(key).expand(key.shape[0], -1, -1, -1, -1)  # [B, 2, H, P, D]
        key, value = torch.cat([both[:, 0], key], dim=2), torch.cat([both[:, 1], value], dim=2)
        if kwargs.get("position_bias") is not None:
            kwargs["position_bias"] = self._wider_bias(module, query.shape[2], key.shape[2])
        return sdpa_attention_forward(module, query, key, value, mask, **kwargs)[0]

    def _wider_bias(self, module: Any, query_length: int, key_length: int) -> Tensor:
        """[1, H, T, P + T] of a model with relative positions: the prefix stands at distances before the first token."""
        if module.has_relative_attention_bias:  # the first layer computes it for all
            self.bias = module.compute_bias(query_length, key_length, past_seen_tokens=key_length - query_length)
        assert self.bias is not None
        return self.bias


def _wider_mask(mask: Tensor | None, query: Tensor, key: Tensor, extra: int, causal: bool) -> Tensor | None:
    """The mask [B, 1, T, P + S] under which every token also sees the prefix; None where nothing is masked."""
    if mask is not None:
        seen = True if mask.dtype == torch.bool else 0.0
        return torch.cat([mask.new_full((*mask.shape[:-1], extra), seen), mask], dim=-1)
    length, others = query.shape[2], key.shape[2]
    if not causal or length == 1:
        return None
    return torch.ones(length, extra + others, dtype=torch.bool, device=query.device).tril(extra + others - length)[None, None]


@contextmanager
def injected(backbone: Backbone, injection: Injection | None) -> Iterator[None]:
    """While within, attention of `backbone`'s layers sees the injection's prefix."""
    if injection is None or injection.prefix is None:
        yield
        return
    prefix = injection.prefix
    expected = (backbone.layers, 2, injection.prefix_length, backbone.key_value_heads, backbone.head_width)
    if tuple(prefix.shape[-5:]) != expected:
        raise InputError(f"a prefix of shape {list(prefix.shape)}", key="injection", expected=f"{backbone.name} takes {list(expected)}")
    with attending(backbone, _Prefix(prefix)):
        yield


@contextmanager
def deepened(backbone: Backbone, injection: Injection | None, at: int) -> Iterator[None]:
    """While within, the injection's `deep` is added to the prompt's states, which stand from column `at` on, before every layer."""
    if injection is None or injection.deep is None:
        yield
        return
    if injection.deep.shape[0] != backbone.layers:
        raise InputError(
            f"deep of shape {list(injection.deep.shape)}", key="injection", expected=f"{backbone.name} has {backbone.layers} layers"
        )
    with ExitStack() as hooks:
        for layer, added in zip(backbone.layer_modules(), injection.deep):
            hooks.callback(layer.register_forward_pre_hook(_adding(added, at), with_kwargs=True).remove)
        yield


def _adding(added: Tensor, at: int) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]:
    """A hook that adds [P, width] to the states that a layer is given, wherever among its arguments they are."""

    def hook(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        states: Tensor = arguments[0] if arguments else named["hidden_states"]
        behind = states.shape[1] - at - len(added)
        changed = states + functional.pad(added.to(states), (0, 0, at, behind))
        return ((changed, *arguments[1:]), named) if arguments else (arguments, {**named, "hidden_states": changed})

    return hook
