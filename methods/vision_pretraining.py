"""What the recipes of the tiny vision models share: batches of scenes, sizes, and saving in hub format with a processor."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness.tasks.scenes.render import render
from harness.tasks.scenes.scene import Scene, SceneSampler
from torch import Tensor
from transformers import PreTrainedModel

PIXELS, PATCH = 32, 4
MEAN = STD = 0.5
SHAPES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 96, "num_hidden_layers": 6, "num_attention_heads": 3},
    "small": {"hidden_size": 192, "num_hidden_layers": 8, "num_attention_heads": 6},
    "medium": {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6},
}


def configuration(size: str) -> dict[str, Any]:
    """Arguments of a ViT's (or ViT-MAE's) configuration: pre-norm layers, four times as wide inside, no dropout."""
    shape = SHAPES[size]
    return {**shape, "intermediate_size": 4 * shape["hidden_size"], "image_size": PIXELS, "patch_size": PATCH}


def scenes(seed: int, step: int, rows: int, most: int) -> list[Scene]:
    """Scenes of one to `most` things; pairs of shape and colour that are held out never stand in them."""
    sampler = SceneSampler(np.random.default_rng([seed, step]), "seen")
    return [sampler.scene(1 + sampler.below(most)) for _ in range(rows)]


def pixels(drawn: Sequence[Scene]) -> Tensor:
    """float32 [B, 3, 32, 32] within -1 and 1."""
    images = np.stack([render(scene, size=PIXELS) for scene in drawn])
    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD


def save(model: PreTrainedModel, folder: Path) -> None:
    """Write the model in hub format, weights as fp16 to be loaded as fp32, with how its images are prepared."""
    copy.deepcopy(model).half().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = "float32"
    for unused in ("id2label", "label2id"):  # of outputs that are not saved
        config.pop(unused, None)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    processor = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": PIXELS, "width": PIXELS},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [MEAN] * 3,
        "image_std": [STD] * 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
