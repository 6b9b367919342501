"""What a backbone may offer, by family. A method's `needs` are names from here; nothing in this module needs torch.

What stands here is what a family is expected to offer, which is all that planning knows; `probe.py` confirms it on the real model.
"""

from __future__ import annotations

from typing import Literal, get_args

Family = Literal["masked_lm", "causal_lm", "encoder_decoder", "encoder"]
FAMILIES: tuple[Family, ...] = get_args(Family)

TOKENS = "tokens"  # texts become ids of a vocabulary
EMBEDDINGS = "embeddings"  # a table of word embeddings that prompts may start from
HIDDEN_STATES = "hidden_states"  # vectors of every token after every layer
FEATURES = "features"  # one vector a text
LABEL_SCORES = "label_scores"  # log-probabilities of given answers
GENERATION = "generation"  # free text after a text
PROMPT_INJECTION = "prompt_injection"  # vectors in front of the token embeddings
PREFIX_INJECTION = "prefix_injection"  # keys and values in front of every layer's own
BIASES = "biases"  # bias terms in attention and feed-forward layers; known by the model's type
LAYER_TUNING = "layer_tuning"  # layers, attention, feed-forward and norms can be found and changed in a fork

CAPABILITIES = (
    TOKENS,
    EMBEDDINGS,
    HIDDEN_STATES,
    FEATURES,
    LABEL_SCORES,
    GENERATION,
    PROMPT_INJECTION,
    PREFIX_INJECTION,
    LAYER_TUNING,
    BIASES,
)

_EVERY = frozenset(CAPABILITIES)
EXPECTED: dict[Family, frozenset[str]] = {
    "masked_lm": _EVERY - {GENERATION},
    "causal_lm": _EVERY,
    "encoder_decoder": _EVERY,
    "encoder": _EVERY - {GENERATION, LABEL_SCORES},
}
