"""Capabilities are confirmed, not believed: every verb runs once per architecture on a tiny random model with the real tokenizer."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch

from harness.backbones import capabilities as names
from harness.backbones.attention import ATTENTION
from harness.backbones.backbone import Backbone
from harness.backbones.injection import Injection
from harness.backbones.parts import parts_of
from harness.errors import InputError
from harness.identity import canonical
from harness.templates import Rendered

_known: dict[tuple[str, str, str], frozenset[str]] = {}

SHRUNK = {
    "num_hidden_layers": 2, "num_layers": 2, "num_decoder_layers": 2, "n_layer": 2, "n_layers": 2, "hidden_size": 16, "n_embd": 16,
    "d_model": 16, "dim": 16, "num_attention_heads": 2, "n_head": 2, "n_heads": 2, "num_heads": 2, "num_key_value_heads": 1,
    "intermediate_size": 24, "n_inner": 24, "d_ff": 24, "hidden_dim": 24, "ffn_dim": 24, "d_kv": 8, "head_dim": 8,
    "word_embed_proj_dim": 16, "embedding_size": 16,
}  # fmt: skip


def confirmed_capabilities(backbone: Backbone) -> frozenset[str]:
    """The capabilities of the backbone's family that work on a tiny model of its architecture."""
    core = f"{type(backbone.core).__name__} {canonical(parts_of(backbone.core.config))}"
    key = (backbone.family, core, backbone.identity.get("tokenizer", backbone.name))
    if key not in _known:
        with torch.random.fork_rng(), torch.enable_grad():
            torch.manual_seed(0)
            tiny = tiny_like(backbone)
            _known[key] = frozenset(name for name in names.EXPECTED[backbone.family] if _works(_PROBES[name], tiny))
    return _known[key]


def tiny_like(backbone: Backbone) -> Backbone:
    """A random model of the same class and vocabulary, 2 layers of width 16."""
    config = copy.deepcopy(backbone.core.config)
    for key, value in SHRUNK.items():
        if getattr(config, key, None) is not None:
            setattr(config, key, value)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:2]
    model = type(backbone.core)(config)
    model.set_attn_implementation(ATTENTION)
    return Backbone(
        name=backbone.name,
        family=backbone.family,
        model=model,
        tokenizer=backbone.tokenizer,
        architecture=backbone.architecture,
        max_length=min(backbone.max_length, 64),
    )


def _works(probe: Callable[[Backbone], bool], tiny: Backbone) -> bool:
    try:
        return probe(tiny)
    except (KeyboardInterrupt, MemoryError):
        raise
    except Exception:  # whatever fails here is what the capability would fail with
        return False


def _tokens(tiny: Backbone) -> bool:
    return len(tiny.encoding.pieces("a b")) > 0


def _embeddings(tiny: Backbone) -> bool:
    import numpy as np

    return tuple(tiny.sample_word_embeddings(2, np.random.default_rng(0)).shape) == (2, tiny.width)


def _hidden_states(tiny: Backbone) -> bool:
    states, mask = tiny.hidden_states(["a b", "a"])
    return states.shape[0] == tiny.layers + 1 and states.shape[1:3] == mask.shape and bool(states.isfinite().all())


def _features(tiny: Backbone) -> bool:
    return tuple(tiny.features(["a b", "a"]).shape) == (2, tiny.width)


def _label_scores(tiny: Backbone) -> bool:
    scores = tiny.label_scores([Rendered("a", " ", ".", ("b", "c"))])
    return tuple(scores.shape) == (1, 2) and bool(scores.isfinite().all())


def _generation(tiny: Backbone) -> bool:
    return len(tiny.generate(["a b", "a"], max_new_tokens=2)) == 2


@contextlib.contextmanager
def _changes(tiny: Backbone, variable: torch.Tensor) -> Iterator[list[torch.Tensor]]:
    """Collects features; afterwards they must differ from the plain ones and depend on `variable`."""
    found: list[torch.Tensor] = []
    yield found
    weights = torch.linspace(-1, 1, found[0].numel()).reshape(found[0].shape)  # a plain sum of a layer norm's output has no gradient
    (gradient,) = torch.autograd.grad((found[0] * weights.to(found[0])).sum(), variable)
    plain = tiny.features(["a b"])
    if torch.equal(found[0], plain) or not bool(gradient.abs().sum() > 0):
        raise InputError("the injection has no effect")


def _prompt(tiny: Backbone) -> bool:
    prompt = torch.randn(2, tiny.width, device=tiny.device).requires_grad_()
    with _changes(tiny, prompt) as found:
        found.append(tiny.features(["a b"], injection=Injection(prompt=prompt)))
    return True


def _prefix(tiny: Backbone) -> bool:
    shape = (tiny.layers, 2, 2, tiny.key_value_heads, tiny.head_width)
    prefix = torch.randn(shape, device=tiny.device).requires_grad_()
    with _changes(tiny, prefix) as found:
        found.append(tiny.features(["a b"], injection=Injection(prefix=prefix)))
    return True


def _layer_tuning(tiny: Backbone) -> bool:
    """Every path of the architecture exists, and a change in a fork changes the fork alone."""
    parts = tiny.architecture
    if "shared_query_key" in parts_of(tiny.core.config):
        return False  # queries have no projection of their own that a method could change
    fork = tiny.fork(copy_weights=True)
    for layer in fork.layer_modules():
        for path in (
            parts.attention,
            parts.query,
            parts.key,
            parts.value,
            parts.output,
            *parts.feed_forward_in,
            parts.feed_forward_out,
            *parts.norms,
        ):
            layer.get_submodule(path)
    for layer in fork.layer_modules("decoder"):
        for inside in (parts.cross_attention, *parts.decoder_feed_forward_in, parts.decoder_feed_forward_out, *parts.decoder_norms):
            layer.get_submodule(inside or "")
    fork.base.get_submodule(parts.embeddings)
    before = tiny.features(["a b"])
    weight: Any = fork.layer_modules()[0].get_submodule(parts.feed_forward_out).weight
    with torch.no_grad():
        weight.add_(torch.randn_like(weight))
    return not torch.equal(fork.features(["a b"]), before) and torch.equal(tiny.features(["a b"]), before)


def _weight_tuning(tiny: Backbone) -> bool:
    """The weights of a copying fork are its own and take gradients."""
    fork = tiny.fork(copy_weights=True)
    weight = next(iter(fork.trunk.parameters())).requires_grad_(True)
    fork.features(["a b"]).square().sum().backward()
    return weight.grad is not None and weight is not next(iter(tiny.trunk.parameters()))


def _biases(tiny: Backbone) -> bool:
    return any(name.endswith(".bias") for layer in tiny.layer_modules() for name, _ in layer.named_parameters())


_PROBES: dict[str, Callable[[Backbone], bool]] = {
    names.TOKENS: _tokens,
    names.EMBEDDINGS: _embeddings,
    names.HIDDEN_STATES: _hidden_states,
    names.FEATURES: _features,
    names.LABEL_SCORES: _label_scores,
    names.GENERATION: _generation,
    names.PROMPT_INJECTION: _prompt,
    names.PREFIX_INJECTION: _prefix,
    names.BIASES: _biases,
    names.WEIGHT_TUNING: _weight_tuning,
    names.LAYER_TUNING: _layer_tuning,
}
