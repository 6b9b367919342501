"""A tiny diffusion model with random weights, and an editing task of three edits, for the matrix."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.backbones import text_to_image
from harness.backbones.describe import describe
from harness.task import Row, Task


def write(folder: Path) -> Path:
    """A folder in diffusers' format: the recipe's own shape, narrower."""
    from harness.methods import tiny_diffusion
    from transformers import CLIPTextConfig, CLIPTextModel

    diffusers = pytest.importorskip("diffusers", reason="diffusers (extra `diffusion`) is not installed")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = tiny_diffusion.Pipeline()
        config = {**model.text_encoder.config.to_dict(), "hidden_size": 16, "intermediate_size": 24, "initializer_range": 0.5}
        model.text_encoder = CLIPTextModel(CLIPTextConfig(**config))
        model.unet = diffusers.UNet2DConditionModel(
            sample_size=8, in_channels=3, out_channels=3, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            mid_block_type="UNetMidBlock2DCrossAttn", cross_attention_dim=16, attention_head_dim=4,
        )  # fmt: skip
        tiny_diffusion.save(model, folder)
    return folder


@functools.cache
def backbone() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return text_to_image.load(describe({"folder": str(write(Path(folder) / "random-diffusion"))}), torch.device("cpu"))


def tasks() -> dict[str, Task]:
    from harness.tasks.scenes.edits import SceneEdits

    class FewEdits(SceneEdits):
        def test(self) -> Sequence[Row]:
            return super().test()[:3]

    return {"editing": FewEdits(noise_seeds=1, steps=2)}
