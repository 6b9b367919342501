"""A tiny CLIP with random weights and the world's tokenizer, and a small task of random pictures, for the matrix."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import torch

from harness.backbones import image_text
from harness.backbones.describe import describe
from harness.registry import Entry
from harness.task import Task

from .convnet import SmallPictures


class ColouredPictures(SmallPictures):
    """The same pictures; labels that the world's tokenizer knows as words."""

    labels = ("blue", "white")
    entry = Entry("task", "coloured-pictures")


def write(folder: Path, *, positions: int = 40) -> Path:
    """A folder in hub format."""
    from harness.methods import tiny_clip
    from harness.tasks.world import tokenizer
    from transformers import CLIPConfig, CLIPModel

    tower = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "projection_dim": 12}
    text = {
        **tower,
        "vocab_size": tokenizer.SIZE,
        "max_position_embeddings": positions,
        "eos_token_id": tokenizer.EOS,
        "initializer_range": 0.2,
    }
    vision = {**tower, "image_size": 32, "patch_size": 8, "initializer_range": 0.2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tiny_clip.save(CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)), folder)
    return folder


@functools.cache
def backbone() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return image_text.load(describe({"folder": str(write(Path(folder) / "random-clip"))}), torch.device("cpu"))


def tasks() -> dict[str, Task]:
    return {"classification": ColouredPictures()}
