"""Recipe of the shipped masked autoencoder (He et al. 2022, arXiv 2111.06377): a ViT that draws the hidden three quarters of a scene.

No label is seen. As in the paper the encoder reads the visible patches alone, the loss is the squared error of hidden patches, positions are
fixed sines, and the decoder is thrown away. The paper's best variant normalises every patch by its own mean and deviation; plain pixels
here: most patches of a scene are plain ground, where normalising makes rounding as important as shapes.
Each of these learned alike in 400 steps of trials: plain pixels, targets over (variance + 0.02)^0.5, and half of the patches hidden.
Without positions (see `start_masked_autoencoder`) the loss stays at 0.063, that of one patch drawn everywhere, and nothing is learned;
with them it ends at 0.034. What the features then tell stands in the model's card.

python -m harness.methods.tiny_vit_mae --out DIR
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from harness.backbones.vision_transformer import start_masked_autoencoder
from harness.registry import recipe

from .pretraining import Schedule, command, say, train
from .vision_pretraining import configuration, pixels, save, scenes

PATCHES = 64


def build(size: str = "tiny") -> ViTMAEForPreTraining:
    """Stock ViT-MAE with a decoder of two layers, two thirds as wide as the encoder."""
    encoder = configuration(size)
    width = encoder["hidden_size"] * 2 // 3
    decoder = {"hidden_size": width, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 4 * width}
    config = ViTMAEConfig(**encoder, **{f"decoder_{name}": value for name, value in decoder.items()})
    model = ViTMAEForPreTraining._from_config(config, attn_implementation="eager")
    start_masked_autoencoder(model)
    return model  # type: ignore[no-any-return]


def loss_of(model: ViTMAEForPreTraining, seed: int, step: int) -> Tensor:
    """Squared error of the hidden patches of scenes with one to three things."""
    images = pixels(scenes(seed, step, rows=64, most=3))
    noise = torch.rand(len(images), PATCHES, generator=torch.Generator().manual_seed(1_000_003 * seed + step))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return model(images, noise=noise).loss.float()  # type: ignore[no-any-return]


@torch.no_grad()
def probe(model: ViTMAEForPreTraining) -> dict[str, float]:
    """The loss on 200 scenes outside of the batches."""
    images = pixels(scenes(404, 0, rows=200, most=3))
    noise = torch.rand(len(images), PATCHES, generator=torch.Generator().manual_seed(404))
    return {"hidden patches": float(model(images, noise=noise).loss)}


@recipe("tiny-vit-mae", paper="arXiv:2111.06377", family="vision_transformer", reads=("harness.tasks",), tags=("vision", "pretraining"))
def pretrain(
    out: Path,
    *,
    seed: int = 0,
    steps: int = 2000,
    size: str = "tiny",
    checkpoints: Iterable[int] = (),
    log: Callable[[str], None] = say,
    stop_at: int | None = None,
) -> None:
    """Train into `out`; goes on from `out/state.pt` where there is one. What is saved is the encoder."""
    torch.manual_seed(seed)
    model = build(size)
    train(
        model, partial(loss_of, model, seed), Schedule(steps, rate=1e-3, matrix_rate=0.01, decay=0.5), out, probe_every=250,
        probe=partial(probe, model), checkpoints=checkpoints, save=partial(save, model.vit), log=log, stop_at=stop_at,
    )  # fmt: skip


if __name__ == "__main__":
    command(pretrain)
