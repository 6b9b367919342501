"""The small world of image-text models in which claims are judged: a random CLIP over pictures of noise, one seed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from harness.backbones.image_text import ImageText
from harness.backbones.pixels import Pixels
from harness.claims import Sizes

from .pictures import PATCH, PIXELS

END, ROOM = 3, 64


@lru_cache(maxsize=4)
def random_backbone(sizes: Sizes) -> ImageText:
    """A random CLIP with towers of this width and depth; large initial weights, so that what is injected shows in the answers."""
    from transformers import CLIPConfig, CLIPModel

    from .bench import SPECIAL, WORDS, tokenizer_of

    tower: dict[str, Any] = {
        "hidden_size": sizes.width, "num_hidden_layers": sizes.layers, "num_attention_heads": 2, "intermediate_size": 4 * sizes.width,
        "projection_dim": sizes.width, "initializer_range": 0.2,
    }  # fmt: skip
    text = {
        **tower,
        "vocab_size": len(SPECIAL) + len(WORDS),
        "max_position_embeddings": ROOM,
        "eos_token_id": END,
        "bos_token_id": 2,
        "pad_token_id": 0,
    }
    vision = {**tower, "image_size": PIXELS, "patch_size": PATCH}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=sizes.width))
    return ImageText(name="random-clip", model=model, tokenizer=tokenizer_of("masked_lm"), pixels=Pixels())
