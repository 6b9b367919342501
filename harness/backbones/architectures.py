"""Where the parts of a model are: written once per architecture, as data. Methods and the injection layer read it; nobody forks a model.

Paths of `embeddings`, `layers`, `final_norm` and the decoder's parts start at the base model (`base` within a model that has a head);
paths of a layer's parts start at that layer; `head` is applied to the last hidden states, module after module.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.errors import UnsupportedError


@dataclass(frozen=True)
class Architecture:
    """Module paths and conventions of one architecture.

    query, key, value : the same path three times where one projection gives all three (`fused`).
    norms : of one layer, in order: around attention, around feed-forward.
    positions : "learned" and "rotary" models take position ids, "relative" ones bias their attention by distance.
    first_position : id of the first token's position, or "after_padding_id" (RoBERTa counts from padding_idx + 1).
    """

    name: str
    base: str
    embeddings: str
    layers: str
    attention: str
    query: str
    key: str
    value: str
    output: str
    feed_forward_in: tuple[str, ...]
    feed_forward_out: str
    norms: tuple[str, ...]
    head: tuple[str, ...]
    final_norm: str | None = None
    encoder: str = ""
    decoder: str | None = None
    decoder_layers: str | None = None
    cross_attention: str | None = None
    decoder_feed_forward_in: tuple[str, ...] = ()
    decoder_feed_forward_out: str | None = None
    decoder_norms: tuple[str, ...] = ()
    positions: Literal["learned", "rotary", "relative"] = "learned"
    first_position: Literal[0] | Literal["after_padding_id"] = 0

    @property
    def fused(self) -> bool:
        return self.query == self.key


_BERT = Architecture(
    name="bert",
    base="bert",
    embeddings="embeddings.word_embeddings",
    layers="encoder.layer",
    attention="attention.self",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    output="attention.output.dense",
    feed_forward_in=("intermediate.dense",),
    feed_forward_out="output.dense",
    norms=("attention.output.LayerNorm", "output.LayerNorm"),
    head=("cls",),
)

_ROBERTA = replace(_BERT, name="roberta", base="roberta", head=("lm_head",), first_position="after_padding_id")

_DISTILBERT = Architecture(
    name="distilbert",
    base="distilbert",
    embeddings="embeddings.word_embeddings",
    layers="transformer.layer",
    attention="attention",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    output="attention.out_lin",
    feed_forward_in=("ffn.lin1",),
    feed_forward_out="ffn.lin2",
    norms=("sa_layer_norm", "output_layer_norm"),
    head=("vocab_transform", "activation", "vocab_layer_norm", "vocab_projector"),
)

_GPT2 = Architecture(
    name="gpt2",
    base="transformer",
    embeddings="wte",
    layers="h",
    attention="attn",
    query="attn.c_attn",
    key="attn.c_attn",
    value="attn.c_attn",
    output="attn.c_proj",
    feed_forward_in=("mlp.c_fc",),
    feed_forward_out="mlp.c_proj",
    norms=("ln_1", "ln_2"),
    final_norm="ln_f",
    head=("lm_head",),
)

_GPT_NEOX = Architecture(
    name="gpt_neox",
    base="gpt_neox",
    embeddings="embed_in",
    layers="layers",
    attention="attention",
    query="attention.query_key_value",
    key="attention.query_key_value",
    value="attention.query_key_value",
    output="attention.dense",
    feed_forward_in=("mlp.dense_h_to_4h",),
    feed_forward_out="mlp.dense_4h_to_h",
    norms=("input_layernorm", "post_attention_layernorm"),
    final_norm="final_layer_norm",
    head=("lm_head",),
    positions="rotary",
)

_OPT = Architecture(
    name="opt",
    base="model.decoder",
    embeddings="embed_tokens",
    layers="layers",
    attention="self_attn",
    query="self_attn.q_proj",
    key="self_attn.k_proj",
    value="self_attn.v_proj",
    output="self_attn.out_proj",
    feed_forward_in=("fc1",),
    feed_forward_out="fc2",
    norms=("self_attn_layer_norm", "final_layer_norm"),
    final_norm="final_layer_norm",
    head=("lm_head",),
)

_LLAMA = Architecture(
    name="llama",
    base="model",
    embeddings="embed_tokens",
    layers="layers",
    attention="self_attn",
    query="self_attn.q_proj",
    key="self_attn.k_proj",
    value="self_attn.v_proj",
    output="self_attn.o_proj",
    feed_forward_in=("mlp.gate_proj", "mlp.up_proj"),
    feed_forward_out="mlp.down_proj",
    norms=("input_layernorm", "post_attention_layernorm"),
    final_norm="norm",
    head=("lm_head",),
    positions="rotary",
)

_T5 = Architecture(
    name="t5",
    base="",
    embeddings="shared",
    encoder="encoder",
    decoder="decoder",
    layers="encoder.block",
    attention="layer.0.SelfAttention",
    query="layer.0.SelfAttention.q",
    key="layer.0.SelfAttention.k",
    value="layer.0.SelfAttention.v",
    output="layer.0.SelfAttention.o",
    feed_forward_in=("layer.1.DenseReluDense.wi",),
    feed_forward_out="layer.1.DenseReluDense.wo",
    norms=("layer.0.layer_norm", "layer.1.layer_norm"),
    final_norm="encoder.final_layer_norm",
    decoder_layers="decoder.block",
    cross_attention="layer.1.EncDecAttention",
    decoder_feed_forward_in=("layer.2.DenseReluDense.wi",),
    decoder_feed_forward_out="layer.2.DenseReluDense.wo",
    decoder_norms=("layer.0.layer_norm", "layer.1.layer_norm", "layer.2.layer_norm"),
    head=("lm_head",),
    positions="relative",
)

_GATED_T5 = replace(
    _T5,
    name="t5-gated",
    feed_forward_in=("layer.1.DenseReluDense.wi_0", "layer.1.DenseReluDense.wi_1"),
    decoder_feed_forward_in=("layer.2.DenseReluDense.wi_0", "layer.2.DenseReluDense.wi_1"),
)

_VIT = Architecture(
    name="vit",
    base="",
    embeddings="embeddings",
    layers="layers",
    attention="attention",
    query="attention.q_proj",
    key="attention.k_proj",
    value="attention.v_proj",
    output="attention.o_proj",
    feed_forward_in=("mlp.fc1",),
    feed_forward_out="mlp.fc2",
    norms=("layernorm_before", "layernorm_after"),
    final_norm="layernorm",
    head=(),
)

_BY_MODEL_TYPE: dict[str, Architecture] = {
    "bert": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "distilbert": _DISTILBERT,
    "gpt2": _GPT2,
    "gpt_neox": _GPT_NEOX,
    "opt": _OPT,
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "t5": _T5,
    "vit": _VIT,
    "vit_mae": _VIT,
}


def architecture_of(model_config: Any) -> Architecture:
    """The architecture of a transformers config. UnsupportedError naming the model type where its parts are not written down."""
    model_type = str(getattr(model_config, "model_type", type(model_config).__name__))
    found = _BY_MODEL_TYPE.get(model_type)
    if found is None:
        raise UnsupportedError(f"backbones of type {model_type!r} are not supported (supported: {', '.join(_BY_MODEL_TYPE)})")
    if found is _OPT and model_config.word_embed_proj_dim != model_config.hidden_size:
        raise UnsupportedError("OPT models whose embeddings are narrower than their layers (opt-350m) are not supported")
    if found is _T5 and getattr(model_config, "is_gated_act", False):
        return _GATED_T5
    return found
