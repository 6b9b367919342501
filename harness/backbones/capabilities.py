"""What a backbone may offer, by family. A method's `needs` are names from here; nothing in this module needs torch.

What stands here is what a family is expected to offer, which is all that planning knows; `probe.py` confirms it on the real model (text families).
"""

from __future__ import annotations

from typing import Literal, get_args

TextFamily = Literal["masked_lm", "causal_lm", "encoder_decoder", "encoder"]
Family = Literal[
    "masked_lm", "causal_lm", "encoder_decoder", "encoder", "vision_transformer", "convnet", "image_text", "graph", "text_to_image"
]
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
WEIGHT_TUNING = "weight_tuning"  # the weights behind its features can be copied and trained
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
    WEIGHT_TUNING,
    LAYER_TUNING,
    BIASES,
)
IMAGES = "images"  # features of images
PATCH_PROMPTS = "patch_prompts"  # vectors among the patch tokens of an image, in front of the first layer or of each
BLOCK_PROMPTS = "block_prompts"  # prompts whose states can be changed between an image model's blocks, and tempered attention
CLASS_TEXTS = "class_texts"  # images are scored against texts
CLASS_LOGITS = "class_logits"  # logits of its own head, over the classes it was trained on
NORM_STATISTICS = "norm_statistics"  # batch normalisation, whose statistics can be taken from the batch
GRAPHS = "graphs"  # features of graphs and of their nodes
NODE_PROMPTS = "node_prompts"  # vectors added to the input embeddings of a graph's nodes
DENOISING = "denoising"  # images are drawn from a text by denoising, with cross-attention to its tokens

_TEXT = frozenset(CAPABILITIES)
_TUNED = frozenset({FEATURES, HIDDEN_STATES, WEIGHT_TUNING})
EXPECTED: dict[Family, frozenset[str]] = {
    "masked_lm": _TEXT - {GENERATION},
    "causal_lm": _TEXT,
    "encoder_decoder": _TEXT,
    "encoder": _TEXT - {GENERATION, LABEL_SCORES},
    "vision_transformer": _TUNED | {IMAGES, PATCH_PROMPTS, BLOCK_PROMPTS, LAYER_TUNING, BIASES},
    "convnet": frozenset({FEATURES, WEIGHT_TUNING, IMAGES, CLASS_LOGITS, NORM_STATISTICS}),
    "image_text": frozenset({FEATURES, WEIGHT_TUNING, IMAGES, PATCH_PROMPTS, CLASS_TEXTS}),
    "graph": _TUNED | {GRAPHS, NODE_PROMPTS},
    "text_to_image": frozenset({DENOISING}),
}
LOADERS: dict[str, str] = {  # family -> "module:function", called with (BackboneInfo, torch.device); the others are text models
    "vision_transformer": "harness.backbones.vision_transformer:load",
    "convnet": "harness.backbones.convnet:load",
    "image_text": "harness.backbones.image_text:load",
    "graph": "harness.backbones.graph:load",
    "text_to_image": "harness.backbones.text_to_image:load",
}
MODEL_TYPES: dict[str, Family] = {  # `model_type` of config.json, where it alone says the family
    "gpt2": "causal_lm",
    "llama": "causal_lm",
    "t5": "encoder_decoder",
    "vit": "vision_transformer",
    "vit_mae": "vision_transformer",
    "resnet": "convnet",
    "regnet": "convnet",
    "cifar_resnet": "convnet",  # see cifar_resnet.py
    "clip": "image_text",
    "diffusers-pipeline": "text_to_image",
    "gin": "graph",
}
NOT_TEXT = frozenset(LOADERS)
