"""The small world of vision transformers in which claims are judged: a random model and pictures of noise, one seed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch

from harness.backbones.attention import ATTENTION
from harness.backbones.capabilities import EXPECTED
from harness.backbones.pixels import Pixels
from harness.backbones.vision_transformer import VisionTransformer
from harness.claims import Sizes
from harness.registry import Entry
from harness.task import GeneratedTask, Row

PIXELS, PATCH = 8, 4


class RandomPictures(GeneratedTask):
    """Two classes that mean nothing, over pictures of noise."""

    pool_size, test_size = 60, 12
    labels = ("no", "yes")
    entry = Entry("task", "random-pictures")

    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        number = 0
        while True:
            number += 1
            yield Row(f"{split}-{number}", {"image": rng.integers(0, 256, (PIXELS, PIXELS, 3)).astype(np.uint8)}, number % 2)


@lru_cache(maxsize=4)
def random_backbone(sizes: Sizes) -> VisionTransformer:
    """A random ViT of this width and depth over four patches; large initial weights, so that what is injected shows in the answers."""
    from transformers import ViTConfig, ViTModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = ViTConfig(
            hidden_size=sizes.width, num_hidden_layers=sizes.layers, num_attention_heads=2, intermediate_size=4 * sizes.width,
            image_size=PIXELS, patch_size=PATCH, initializer_range=0.2,
        )  # fmt: skip
        model = ViTModel(config, add_pooling_layer=False)
    model.set_attn_implementation(ATTENTION)
    return VisionTransformer(name="random-vit", model=model, pixels=Pixels(), capabilities=EXPECTED["vision_transformer"])
