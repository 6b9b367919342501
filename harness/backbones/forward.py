"""One forward pass of any family: rows of ids in, hidden states out, with injected vectors and the right positions and masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from harness.backbones.branches import BranchedRow, branch_mask
from harness.backbones.injection import Injection, deepened, injected
from harness.errors import InputError

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone

Rows = Sequence[Sequence[int]]


class Padded(NamedTuple):
    """ids int64 [B, T], mask bool [B, T] (True at real tokens), lengths [B]."""

    ids: Tensor
    mask: Tensor
    lengths: list[int]


class States(NamedTuple):
    """Hidden states with injected prompt vectors in their places.

    last : [B, P + T, width].  layers : L + 1 tensors of that shape (embeddings first), or None.
    text : bool [B, P + T], True at tokens of the text: not at prompt vectors nor padding.
    seen : bool [B, P + T], True also at prompt vectors.  at : token t of the text stands at t + (prompt length if t >= at).
    past : keys and values, where asked for.
    """

    last: Tensor
    layers: tuple[Tensor, ...] | None
    text: Tensor
    seen: Tensor
    at: int
    prompt: int
    past: Cache | None

    def place(self, token: int) -> int:
        return token + self.prompt if token >= self.at else token


def padded(backbone: Backbone, rows: Rows, side: Literal["left", "right"] = "right") -> Padded:
    """Rows as one rectangle on the backbone's device: the one place where ids move there."""
    lengths = [len(row) for row in rows]
    width = max(lengths)
    pad = backbone.encoding.padding
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.bool)
    for number, row in enumerate(rows):
        span = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[number, span] = torch.tensor(row, dtype=torch.long)
        mask[number, span] = True
    return Padded(to_device(backbone, ids), to_device(backbone, mask), lengths)


def to_device(backbone: Backbone, tensor: Tensor) -> Tensor:
    if backbone.device.type == "cuda":
        return tensor.pin_memory().to(backbone.device, non_blocking=True)
    return tensor.to(backbone.device)


def with_prompt(embeddings: Tensor, mask: Tensor, injection: Injection, at: int) -> tuple[Tensor, Tensor, Tensor]:
    """Put the prompt into [B, T, width] at column `at`: embeddings, attention mask and text mask of [B, P + T]."""
    assert injection.prompt is not None
    batch, _, width = embeddings.shape
    prompt = injection.prompt
    if prompt.shape[-1] != width or (prompt.ndim == 3 and prompt.shape[0] != batch):
        raise InputError(f"a prompt of shape {list(prompt.shape)}", key="injection", expected=f"[P, {width}] or [{batch}, P, {width}]")
    prompt = prompt.to(embeddings).expand(batch, -1, -1)
    seen = torch.ones(prompt.shape[:2], dtype=torch.bool, device=mask.device)
    joined = torch.cat([embeddings[:, :at], prompt, embeddings[:, at:]], dim=1)
    attention = torch.cat([mask[:, :at], seen, mask[:, at:]], dim=1)
    text = torch.cat([mask[:, :at], ~seen, mask[:, at:]], dim=1)
    return joined, attention, text


def updated(embeddings: Tensor, order: Tensor, update: Tensor) -> Tensor:
    """[B, T, width] with row `order` [B, T] of the update [S, width] or [B, S, width] added; tokens of order -1 or >= S stay as they are."""
    batch, _, width = embeddings.shape
    if update.shape[-1] != width or (update.ndim == 3 and update.shape[0] != batch):
        expected = f"[S, {width}] or [{batch}, S, {width}]"
        raise InputError(f"an embedding update of shape {list(update.shape)}", key="injection", expected=expected)
    reached = (order >= 0) & (order < update.shape[-2])
    rows = order.clamp(0, update.shape[-2] - 1)
    added = update[rows] if update.ndim == 2 else update.gather(1, rows.unsqueeze(-1).expand(-1, -1, width))
    return embeddings + added.to(embeddings) * reached.unsqueeze(-1)


def positions_of(backbone: Backbone, seen: Tensor, before: int) -> Tensor:
    """int64 [B, T] position ids: real tokens are numbered in order, `before` tokens stand in front of them."""
    first = backbone.first_position + before
    return (seen.long().cumsum(dim=1) - 1).clamp(min=0) + first


def run(
    backbone: Backbone,
    rows: Rows,
    *,
    types: Rows | None = None,
    branched: Sequence[BranchedRow] = (),
    injection: Injection | None = None,
    side: Literal["left", "right"] = "right",
    every_layer: bool = False,
    keep_past: bool = False,
) -> States:
    """Run rows of ids through the base model (the encoder, for encoder-decoders).

    types : segment ids.  branched : how the rows of a causal model branch.  side : of padding.
    """
    ids, mask, lengths = padded(backbone, rows, side)
    inputs: dict[str, Any] = {"input_ids": ids}
    text, at, prompt = mask, 0, 0
    if injection is not None and injection.embedding_update is not None:
        order = torch.where(mask, mask.long().cumsum(dim=1) - 1, -1)
        inputs = {"inputs_embeds": updated(backbone.embed(ids), order, injection.embedding_update)}
    if injection is not None and injection.prompt is not None:
        prompt = injection.prompt_length
        at = backbone.prompt_place if injection.position == "start" else 0
        embeddings, mask, text = with_prompt(inputs.get("inputs_embeds", backbone.embed(ids)), mask, injection, at)
        inputs = {"inputs_embeds": embeddings}
    before = 0 if injection is None else injection.prefix_length
    if all(row.straight for row in branched):
        inputs |= _positions_and_mask(backbone, mask, before, side, lengths)
    else:
        inputs |= _branches(backbone, [row.behind(prompt) for row in branched], mask.shape[1], before)
    if backbone.segments:
        inputs["token_type_ids"] = _segments(backbone, ids, types, at, prompt)
    if backbone.family == "causal_lm":
        inputs["use_cache"] = keep_past
    backbone.seen = mask
    backbone.meter.forward(backbone.family, ids.shape[0], before + ids.shape[1] + prompt, sum(lengths) + len(rows) * prompt)
    with injected(backbone, injection), deepened(backbone, injection, at):
        result = backbone.trunk(**inputs, output_hidden_states=every_layer)
    layers = tuple(result.hidden_states) if every_layer else None
    return States(result.last_hidden_state, layers, text, mask, at, prompt, getattr(result, "past_key_values", None))


def _positions_and_mask(
    backbone: Backbone, seen: Tensor, before: int, side: Literal["left", "right"], lengths: list[int]
) -> dict[str, Any]:
    """Padding on the right needs no mask in a causal model: no real token looks there. That keeps its attention fast."""
    inputs: dict[str, Any] = {}
    uneven = min(lengths) != max(lengths)
    if uneven and not (backbone.family == "causal_lm" and side == "right"):
        inputs["attention_mask"] = seen
    if backbone.architecture.positions != "relative" and (before or backbone.first_position or (uneven and side == "left")):
        inputs["position_ids"] = positions_of(backbone, seen, before)
    return inputs


def _branches(backbone: Backbone, rows: Sequence[BranchedRow], width: int, before: int) -> dict[str, Any]:
    positions = [row.positions(backbone.first_position + before, width) for row in rows]
    return {"position_ids": to_device(backbone, torch.tensor(positions)), "attention_mask": to_device(backbone, branch_mask(rows, width))}


def _segments(backbone: Backbone, ids: Tensor, types: Rows | None, at: int, prompt: int) -> Tensor:
    """int64 [B, P + T] segment ids; prompt vectors belong to the first segment."""
    segments = torch.zeros((ids.shape[0], ids.shape[1] + prompt), dtype=torch.long)
    for number, row in enumerate(types or ()):
        if any(row):
            values = torch.tensor([*row[:at], *[0] * prompt, *row[at:]], dtype=torch.long)
            segments[number, : len(values)] = values
    return to_device(backbone, segments)


def project(backbone: Backbone, states: Tensor) -> Tensor:
    """[N, width] last hidden states -> [N, V] logits through the model's own head."""
    model = backbone.core
    if getattr(model.config, "scale_decoder_outputs", False):  # T5 with tied embeddings
        states = states * model.config.d_model**-0.5
    for path in backbone.architecture.head:
        states = model.get_submodule(path)(states)
    return states


def decode(backbone: Backbone, rows: Rows, owner: Sequence[int], encoded: States) -> Tensor:
    """[R, T, width] decoder states of rows of ids, each over the encoder states of the item it belongs to."""
    ids, backbone.seen, lengths = padded(backbone, rows)
    items = torch.tensor(list(owner), device=ids.device)
    backbone.meter.forward("decoder", ids.shape[0], ids.shape[1], sum(lengths))
    result = backbone.core.get_submodule(backbone.architecture.decoder or "")(
        input_ids=ids,
        encoder_hidden_states=encoded.last.index_select(0, items),
        encoder_attention_mask=encoded.seen.index_select(0, items),
        use_cache=False,
    )
    states: Tensor = result.last_hidden_state
    return states
