"""A pretrained text model with everything methods do with one, alike for masked, causal and encoder-decoder models and encoders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from harness.backbones import forward, generation, labels
from harness.backbones.architectures import Architecture
from harness.backbones.capabilities import Family
from harness.backbones.encoding import Encoded, Encoding
from harness.backbones.generation import Generated
from harness.backbones.injection import Injection
from harness.backbones.parts import parts_of
from harness.backbones.pretrained import Pretrained
from harness.templates import Rendered
from harness.text import plain_text

Pooling = Literal["mean", "first", "last"]
Texts = Sequence[str] | Sequence[tuple[str, str]]

COMMON_WORDS = 5000  # prompts start from words among the most common ones (Lester et al. 2021, section 3.2), the lowest ids
DEFAULT_POOLING: dict[Family, Pooling] = {"masked_lm": "mean", "encoder": "mean", "encoder_decoder": "mean", "causal_lm": "last"}


class Backbone(Pretrained):
    """One loaded text model: parameters frozen, in evaluation mode, and never modified in place by a method (see `fork`).

    width : of hidden states.  layers : number of (encoder) layers.  key_value_heads : heads of keys and values.
    max_length : the longest input in tokens, special ones and injected vectors included.
    identity : JSON-able facts that answers depend on: digests of weights, tokenizer and configuration, revision, dtype.
    meter : told of every forward pass and of everything that was cut.
    """

    def __init__(
        self,
        *,
        name: str,
        family: Family,
        model: nn.Module,
        tokenizer: Any,
        architecture: Architecture,
        max_length: int,
        capabilities: frozenset[str] = frozenset(),
        identity: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(name=name, family=family, model=model, capabilities=capabilities, identity=identity)
        self.tokenizer, self.architecture, self.max_length = tokenizer, architecture, max_length
        self.encoding = Encoding(tokenizer, family)
        self.prompt_place = len(self.encoding.front) if family in ("masked_lm", "encoder") else 0
        config: Any = model.config
        self.width: int = config.hidden_size
        self.heads: int = config.num_attention_heads
        self.key_value_heads: int = getattr(config, "num_key_value_heads", None) or self.heads
        self.head_width: int = getattr(config, "head_dim", None) or getattr(config, "d_kv", None) or self.width // self.heads
        self.layers = len(self.layer_modules())
        self.device = self.model.get_input_embeddings().weight.device
        self.segments = getattr(config, "type_vocab_size", 0) > 1 or (
            getattr(config, "type_vocab_size", 0) == 1 and architecture.name == "bert"
        )
        self.first_position = (config.pad_token_id or 0) + 1 if architecture.first_position == "after_padding_id" else 0
        self.seen: Tensor | None = None  # bool [B, T], True at real tokens and prompt vectors, of the pass that runs or ran last
        self.contiguous = "convolution" in parts_of(config)  # tokens are mixed with their neighbours in a row: rows must not branch
        self.decoder_start: int = getattr(config, "decoder_start_token_id", None) or 0

    # -- the model and its parts ------------------------------------------------------------------------------------------------

    @property
    def core(self) -> Any:
        """The transformers model, also where a method put a `peft` model around it."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    @property
    def base(self) -> Any:
        """The model without its head: where the paths of `architecture` start."""
        core = self.core
        try:
            return core.get_submodule(self.architecture.base)
        except AttributeError:  # loaded without a head
            return core

    @property
    def trunk(self) -> Any:
        """What turns texts into hidden states: the base model, or its encoder."""
        return self.base.get_submodule(self.architecture.encoder) if self.architecture.encoder else self.base

    def layer_modules(self, side: Literal["encoder", "decoder"] = "encoder") -> list[nn.Module]:
        """The layers in order; "decoder" gives those of an encoder-decoder's decoder (none for other models)."""
        path = self.architecture.layers if side == "encoder" else self.architecture.decoder_layers
        return list(self.base.get_submodule(path)) if path else []

    @property
    def end_tokens(self) -> frozenset[int]:
        """Ids at which the model ends a text."""
        generation_config = getattr(self.core, "generation_config", None)
        ends = getattr(generation_config, "eos_token_id", None)
        ends = ends if isinstance(ends, list) else [ends]
        return frozenset(int(end) for end in (*ends, self.tokenizer.eos_token_id) if end is not None)

    # -- texts and tokens -------------------------------------------------------------------------------------------------------

    def read(self, inputs: Mapping[str, Any]) -> str | tuple[str, str]:
        """The raw text fields of an example: one text, or a pair where there are exactly two; choices are left out."""
        return plain_text(inputs)

    def shown(self, inputs: Mapping[str, Any]) -> str:
        text = plain_text(inputs)
        return text if isinstance(text, str) else " ".join(text)

    def limit(self, injection: Injection | None = None) -> int:
        """How many tokens of text fit beside what is injected."""
        return self.max_length if injection is None else self.max_length - injection.prompt_length - injection.prefix_length

    @property
    def reach(self) -> int:
        """How many tokens one row may have: the model's length, or its attention window where that is shorter."""
        config = self.core.config
        window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
        return min(self.max_length, window) if window else self.max_length

    def count_cut(self, tokens: int) -> None:
        """Report that an example lost so many tokens."""
        if tokens:
            self.meter.truncated_examples += 1
            self.meter.truncated_tokens += tokens

    def chat(self, text: str) -> str:
        """`text` as a user's turn with the beginning of the answer, where the tokenizer has a chat template; else `text`."""
        if not getattr(self.tokenizer, "chat_template", None):
            return text
        turns = [{"role": "user", "content": text}]
        return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def batches(self, lengths: Sequence[int], *, tokens: int = 4096, rows: int = 64) -> list[list[int]]:
        """Indices sorted by length and cut into batches of at most `rows` rows and `tokens` padded tokens."""
        found: list[list[int]] = []
        for index in sorted(range(len(lengths)), key=lambda number: (lengths[number], number)):
            size = len(found[-1]) + 1 if found else 0
            if found and size <= rows and size * lengths[index] <= tokens:
                found[-1].append(index)
            else:
                found.append([index])
        return found

    def _encoded(self, texts: Texts, limit: int) -> list[Encoded]:
        keep: Literal["start", "end"] = "end" if self.family == "causal_lm" else "start"
        self.encoding.learn(part for text in texts for part in ((text,) if isinstance(text, str) else text))
        found = [self.encoding.text(t, limit, keep=keep) if isinstance(t, str) else self.encoding.pair(*t, limit) for t in texts]
        for encoded in found:
            self.count_cut(encoded.cut)
        return found

    # -- embeddings -------------------------------------------------------------------------------------------------------------

    def embed(self, ids: Tensor) -> Tensor:
        """[..., width] rows of the embedding table."""
        rows: Tensor = self.core.get_input_embeddings()(ids)
        return rows

    def sample_word_embeddings(self, n: int, rng: np.random.Generator) -> Tensor:
        """[n, width] copies of embeddings of words drawn from the 5,000 most common ones; with repetition where there are fewer."""
        words = self._common_words()
        chosen = rng.choice(words, size=n, replace=n > len(words))
        return self.embed(torch.tensor(chosen, device=self.device)).detach().clone()

    def _common_words(self) -> list[int]:
        """Ids of tokens that are words of letters, lowest first: no special tokens, marks, bytes or word pieces."""
        if not hasattr(self.encoding, "common_words"):
            special = set(self.tokenizer.all_special_ids)
            total = min(len(self.tokenizer), self.core.get_input_embeddings().weight.shape[0])
            tokens = self.tokenizer.convert_ids_to_tokens(list(range(total)))
            named = [(i, str(token).lstrip("Ġ▁")) for i, token in enumerate(tokens) if i not in special]
            words = [i for i, word in named if len(word) > 1 and word.isalpha() and word.isascii()]
            self.encoding.common_words = (words or [i for i, _ in named])[:COMMON_WORDS]  # type: ignore[attr-defined]
        return list(self.encoding.common_words)  # type: ignore[attr-defined]

    def word_embeddings(self, texts: Sequence[str]) -> list[Tensor]:
        """For every text a copy [k, width] of the embeddings of its k tokens."""
        self.encoding.learn(texts)
        return [self.embed(torch.tensor(self.encoding.pieces(t), dtype=torch.long, device=self.device)).detach().clone() for t in texts]

    # -- what models are asked --------------------------------------------------------------------------------------------------

    def hidden_states(self, texts: Texts, *, injection: Injection | None = None) -> tuple[Tensor, Tensor]:
        """[L + 1, B, P + T, width] states of every layer, embeddings first, and bool [B, P + T], True at tokens of the text.

        An injected prompt's P vectors have states but are not marked as text. Differentiable.
        """
        encoded = self._encoded(texts, self.limit(injection))
        states = self._run(encoded, injection, every_layer=True)
        assert states.layers is not None
        return torch.stack(states.layers), states.text

    def features(self, texts: Texts, *, pooling: Pooling | None = None, injection: Injection | None = None) -> Tensor:
        """[B, width] one vector a text, differentiable: the mean, first or last of its last states.

        None is the family's own: mean, but last for causal models. An injected prompt is attended to, not pooled.
        """
        states = self._run(self._encoded(texts, self.limit(injection)), injection)
        pooling = pooling or DEFAULT_POOLING[self.family]
        if pooling == "mean":
            weights = states.text.to(states.last.dtype)
            return torch.einsum("bt,btd->bd", weights, states.last) / weights.sum(dim=1, keepdim=True)
        order = torch.arange(states.text.shape[1], device=states.text.device)
        if pooling == "first":
            place = torch.where(states.text, order, states.text.shape[1]).amin(dim=1)
        else:
            place = torch.where(states.text, order, -1).amax(dim=1)
        return states.last[torch.arange(len(place), device=place.device), place]

    def _run(self, encoded: Iterable[Encoded], injection: Injection | None, *, every_layer: bool = False) -> forward.States:
        encoded = list(encoded)
        rows, types = [item.ids for item in encoded], [item.types for item in encoded]
        return forward.run(self, rows, types=types, injection=injection, every_layer=every_layer)

    def label_scores(
        self, rendered: Sequence[Rendered], *, reduction: labels.Reduction = "joint", injection: Injection | None = None
    ) -> Tensor:
        """float [B, C] log-probabilities of every item's answers, differentiable; -inf pads items with fewer answers.

        reduction : over an answer's tokens, "joint" sums, "mean" averages, "first" takes the first token alone.
        Masked models read all tokens of an answer independently in one pass with as many masks; others read each after the ones
        before it. What stands after the answer is seen by masked models only.
        """
        return labels.label_scores(self, rendered, reduction, injection)

    def answer_loss(self, rendered: Sequence[Rendered], targets: Sequence[str], *, injection: Injection | None = None) -> Tensor:
        """float [B] negative log-likelihood of each target at its item's answer, with the end of text after it; differentiable."""
        return labels.answer_loss(self, rendered, targets, injection)

    def generate(
        self,
        texts: Sequence[str],
        *,
        max_new_tokens: int,
        stops: Sequence[str] = (),
        injection: Injection | None = None,
        temperature: float = 0.0,
        rng: np.random.Generator | None = None,
    ) -> list[Generated]:
        """Text after each text, up to the first of `stops`, the model's end or `max_new_tokens`. Greedy unless temperature > 0."""
        return generation.generate(
            self, texts, max_new_tokens=max_new_tokens, stops=stops, injection=injection, temperature=temperature, rng=rng
        )
