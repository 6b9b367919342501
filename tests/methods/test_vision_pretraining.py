"""Recipes of the vision transformers: batches without held-out pairs, resuming to the bit, and what is saved loads as a backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from harness.methods import tiny_vit, tiny_vit_mae, vision_pretraining
from harness.tasks.scenes.scene import held_out

from harness.backbones.load import load

RECIPES = {"tiny-vit": tiny_vit, "tiny-vit-mae": tiny_vit_mae}


def _quiet(line: str) -> None:
    pass


def test_batches_depend_on_seed_and_step_and_hold_no_held_out_pair() -> None:
    first, again, other = (vision_pretraining.scenes(seed, step, rows=40, most=3) for seed, step in ((0, 1), (0, 1), (0, 2)))
    assert first == again != other
    assert {len(scene.objects) for scene in first} == {1, 2, 3}
    assert not any(held_out(thing.shape, thing.colour) for scene in first + other for thing in scene.objects)


def test_targets_say_what_is_there() -> None:
    drawn = vision_pretraining.scenes(0, 0, rows=8, most=1)
    targets = tiny_vit.truth(drawn)
    for row, scene in enumerate(drawn):
        for name, words in tiny_vit.PROPERTIES.items():
            assert words[int(targets[name][row])] == getattr(scene.objects[0], name)


def test_the_autoencoder_draws_every_hidden_patch_for_its_place() -> None:
    """A decoder that does not know where a hidden patch is can only draw all of them alike."""
    torch.manual_seed(0)
    model = tiny_vit_mae.build()
    images = vision_pretraining.pixels(vision_pretraining.scenes(0, 0, rows=2, most=3))
    with torch.no_grad():
        out = model(images, noise=torch.arange(64.0).expand(2, -1))
    hidden = out.logits[:, out.mask[0].bool()]
    assert hidden.shape[1] == 48 and float(hidden.std(dim=1).mean()) > 0.01
    for positions in (model.vit.embeddings.position_embeddings, model.decoder.decoder_pos_embed):
        assert not positions.requires_grad and float(torch.pdist(positions[0]).min()) > 0.1, "no two places are alike"


@pytest.mark.parametrize("name", RECIPES)
def test_resuming_is_exact_and_the_product_loads(name: str, tmp_path: Path) -> None:
    """Three steps in one go, and two with one more after: the same bytes; and the saved encoder reads pictures as its processor says."""
    recipe = RECIPES[name].pretrain
    recipe(tmp_path / "whole", steps=3, log=_quiet)
    recipe(tmp_path / "parts", steps=3, stop_at=2, log=_quiet)
    recipe(tmp_path / "parts", steps=3, log=_quiet)
    weights = [(tmp_path / part / "model" / "model.safetensors").read_bytes() for part in ("whole", "parts")]
    assert weights[0] == weights[1] and len(weights[0]) < 1_500_000
    backbone = load({"folder": str(tmp_path / "whole" / "model")})
    assert (backbone.family, backbone.width, backbone.layers, backbone.patches) == ("vision_transformer", 96, 6, 64)
    assert backbone.pooling == ("mean" if name == "tiny-vit-mae" else "cls") and backbone.model.dtype == torch.float32
    drawn = vision_pretraining.scenes(1, 1, rows=2, most=1)
    images = [vision_pretraining.render(scene) for scene in drawn]
    torch.testing.assert_close(backbone.pixels(images, torch.device("cpu")), vision_pretraining.pixels(drawn))
    assert np.isfinite(backbone.features(images).detach().numpy()).all()
