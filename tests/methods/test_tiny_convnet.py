"""The recipe of the BatchNorm CNN: a few steps, resumed to the bit, saved in hub format."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from harness.methods import tiny_convnet
from harness.methods.pretraining import Schedule, train
from harness.tasks.scene_stream import KNOWN

from harness.backbones.load import load


def trained(out: Path, stops: tuple[int, ...] = ()) -> dict[str, torch.Tensor]:
    for stop in (*stops, None):
        torch.manual_seed(0)
        model = tiny_convnet.build()
        train(model, partial(tiny_convnet.loss_of, model, 0), Schedule(3, warmup=2), out, log=lambda line: None, stop_at=stop)
    return dict(model.state_dict())


def test_an_interrupted_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    """Running statistics included: they are part of what is kept."""
    whole, parts = trained(tmp_path / "whole"), trained(tmp_path / "parts", stops=(2,))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert any(name.endswith("running_mean") and bool(tensor.any()) for name, tensor in whole.items())


def test_what_it_saves_is_a_backbone(tmp_path: Path) -> None:
    tiny_convnet.pretrain(tmp_path, steps=2, log=lambda line: None)
    model, shipped = load(str(tmp_path / "model")), load("tiny-convnet")
    assert model.classes == shipped.classes == KNOWN and model.parameter_count() == shipped.parameter_count() == 228_991
    assert len(shipped.norms) == 13
    picture = np.zeros((32, 32, 3), np.uint8)
    with torch.no_grad():
        assert torch.isfinite(model.logits([picture])).all()
