"""Text after a text: greedy or sampled decoding with declared stops, alike for causal models and encoder-decoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from harness.backbones import forward
from harness.backbones.injection import Injection, injected
from harness.errors import UnsupportedError

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone

Stop = Literal["stop", "length", "end"]


@dataclass(frozen=True)
class Generated:
    """A generated text without the stop it ended at, the tokens it took, and why it ended: a stop text, the length, the model's end."""

    text: str
    tokens: int
    stop: Stop


class _Writing:
    """One text while it grows."""

    def __init__(self, tokenizer: Any, stops: Sequence[str], ends: frozenset[int], limit: int) -> None:
        self.tokenizer, self.stops, self.ends, self.limit = tokenizer, stops, ends, limit
        self.ids: list[int] = []
        self.text = ""
        self.stop: Stop | None = None

    def add(self, token: int) -> None:
        if self.stop is not None:
            return
        self.ids.append(token)
        if token in self.ends:
            self.stop = "end"
            return
        self.text = self.tokenizer.decode(self.ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        places = [place for stop in self.stops if stop and (place := self.text.find(stop)) >= 0]
        if places:
            self.text, self.stop = self.text[: min(places)], "stop"
        elif len(self.ids) >= self.limit:
            self.stop = "length"

    def done(self) -> Generated:
        return Generated(self.text, len(self.ids), self.stop or "length")


def generate(
    backbone: Backbone,
    texts: Sequence[str],
    *,
    max_new_tokens: int,
    stops: Sequence[str] = (),
    injection: Injection | None = None,
    temperature: float = 0.0,
    rng: np.random.Generator | None = None,
) -> list[Generated]:
    """See `Backbone.generate`."""
    if backbone.family not in ("causal_lm", "encoder_decoder"):
        raise UnsupportedError(f"{backbone.name} cannot generate text (it is of family {backbone.family})")
    if temperature > 0 and rng is None:
        raise ValueError("sampling needs rng=")
    if not texts:
        return []
    ends = backbone.end_tokens
    writings = [_Writing(backbone.tokenizer, stops, ends, max_new_tokens) for _ in texts]
    draws = [np.random.default_rng(rng.integers(2**63)) for _ in texts] if temperature > 0 and rng is not None else None
    with torch.no_grad():
        start = _start_causal if backbone.family == "causal_lm" else _start_encoder_decoder
        logits, following = start(backbone, texts, max_new_tokens, injection)
        while True:
            tokens = _choose(logits, temperature, draws)
            for writing, token in zip(writings, tokens.tolist()):
                writing.add(token)
            if all(writing.stop is not None for writing in writings):
                return [writing.done() for writing in writings]
            logits = following(tokens)


def _choose(logits: Tensor, temperature: float, draws: list[np.random.Generator] | None) -> Tensor:
    """int64 [B]: the likeliest token, or a draw by the Gumbel-max trick with each text's own stream, whatever the batch."""
    if draws is None:
        return logits.argmax(dim=-1)
    noise = np.stack([draw.gumbel(size=logits.shape[-1]) for draw in draws])
    scaled = logits.double() / temperature + torch.from_numpy(noise).to(logits.device)
    return scaled.argmax(dim=-1)


Following = Callable[[Tensor], Tensor]


def _start_causal(backbone: Backbone, texts: Sequence[str], room: int, injection: Injection | None) -> tuple[Tensor, Following]:
    """Logits [B, V] after the texts, and a function from chosen tokens [B] to the next logits. Texts are padded on the left."""
    backbone.encoding.learn(texts)
    contexts = [backbone.encoding.text(text, max(1, backbone.limit(injection) - room), keep="end") for text in texts]
    for context in contexts:
        backbone.count_cut(context.cut)
    rows = [context.ids for context in contexts]
    if backbone.contiguous:
        return _start_whole(backbone, [list(row) for row in rows], injection)
    states = forward.run(backbone, rows, injection=injection, side="left", keep_past=True)
    before = 0 if injection is None else injection.prefix_length
    seen = states.seen
    uneven = not bool(seen.all())

    def following(tokens: Tensor) -> Tensor:
        nonlocal seen
        seen = torch.cat([seen, seen.new_ones(len(tokens), 1)], dim=1)
        positions: dict[str, Any] = {"position_ids": forward.positions_of(backbone, seen, before)[:, -1:]}
        if backbone.architecture.positions == "relative":
            positions = {}
        if uneven:
            positions["attention_mask"] = seen
        inputs: dict[str, Tensor] = {"input_ids": tokens[:, None]}
        if injection is not None and injection.embedding_update is not None:
            order = seen.long().sum(dim=1, keepdim=True) - 1 - injection.prompt_length
            inputs = {"inputs_embeds": forward.updated(backbone.embed(tokens[:, None]), order, injection.embedding_update)}
        backbone.meter.forward("step", len(tokens), 1)
        with injected(backbone, injection):
            result = backbone.trunk(**inputs, past_key_values=states.past, use_cache=True, **positions)
        return forward.project(backbone, result.last_hidden_state[:, -1])

    return forward.project(backbone, states.last[:, -1]), following


def _start_whole(backbone: Backbone, rows: list[list[int]], injection: Injection | None) -> tuple[Tensor, Following]:
    """As `_start_causal`, for models whose layers see neighbours that no cache holds: rows are run from their start at every token."""

    def logits() -> Tensor:
        states = forward.run(backbone, rows, injection=injection)
        last = torch.tensor([states.place(len(row) - 1) for row in rows], device=states.last.device)
        return forward.project(backbone, states.last[torch.arange(len(rows), device=last.device), last])

    def following(tokens: Tensor) -> Tensor:
        for row, token in zip(rows, tokens.tolist()):
            row.append(int(token))
        return logits()

    return logits(), following


def _start_encoder_decoder(backbone: Backbone, texts: Sequence[str], room: int, injection: Injection | None) -> tuple[Tensor, Following]:
    """As `_start_causal`, from the decoder over one encoder pass."""
    backbone.encoding.learn(texts)
    contexts = [backbone.encoding.text(text, backbone.limit(injection), keep="end") for text in texts]
    for context in contexts:
        backbone.count_cut(context.cut)
    encoded = forward.run(backbone, [context.ids for context in contexts], injection=injection)
    decoder = backbone.core.get_submodule(backbone.architecture.decoder or "")
    past: Any = None

    def following(tokens: Tensor) -> Tensor:
        nonlocal past
        backbone.meter.forward("step", len(tokens), 1)
        result = decoder(
            input_ids=tokens[:, None],
            encoder_hidden_states=encoded.last,
            encoder_attention_mask=encoded.seen,
            past_key_values=past,
            use_cache=True,
        )
        past = result.past_key_values
        return forward.project(backbone, result.last_hidden_state[:, -1])

    first = torch.full((len(texts),), backbone.decoder_start, dtype=torch.long, device=encoded.last.device)
    return following(first), following
