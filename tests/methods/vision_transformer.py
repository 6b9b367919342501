"""A tiny random vision transformer and a small task of pictures, for the matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from transformers import ViTConfig, ViTModel

from harness.backbones.attention import ATTENTION
from harness.backbones.capabilities import EXPECTED
from harness.backbones.pixels import Pixels
from harness.backbones.vision_transformer import VisionTransformer
from harness.registry import Entry
from harness.task import GeneratedTask, Row


class SmallPictures(GeneratedTask):
    """Noise, dark or bright."""

    entry = Entry("task", "small-pictures")
    pool_size, test_size = 60, 12
    labels = ("dark", "bright")

    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        while True:
            bright = int(rng.integers(2))
            image = rng.integers(0, 128, (8, 8, 3)) + 128 * bright
            yield Row(f"{split}-{int(rng.integers(10**9))}", {"image": image.astype(np.uint8)}, bright)


def config(**changed: Any) -> dict[str, Any]:
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24, "image_size": 8, "patch_size": 4}
    return {**sizes, "initializer_range": 0.2, **changed}


def backbone() -> VisionTransformer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ViTModel(ViTConfig(**config()), add_pooling_layer=False)
    model.set_attn_implementation(ATTENTION)
    return VisionTransformer(name="random-vit", model=model, pixels=Pixels(), capabilities=EXPECTED["vision_transformer"])


def tasks() -> dict[str, Any]:
    return {"classification": SmallPictures()}
