"""Text-to-image models in diffusers' format: drawing, noise seeds, what is read of a folder, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.backbones.describe import describe
from harness.backbones.load import load
from harness.backbones.text_to_image import TextToImage
from harness.errors import InputError
from tests.methods.text_to_image import write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("hub") / "random-diffusion")


@pytest.fixture
def model(folder: Path) -> TextToImage:
    loaded = load({"folder": str(folder)})
    assert isinstance(loaded, TextToImage)
    return loaded


def test_a_drawing_depends_on_its_text_and_its_noise_alone(model: TextToImage) -> None:
    texts, numbers = ["a ball", "a box", "a ball"], [0, 0, 1]
    together = model.draw(texts, numbers, steps=3)
    assert together.shape == (3, 8, 8, 3) and together.dtype == np.uint8
    alone = np.concatenate([model.draw([text], [number], steps=3) for text, number in zip(texts, numbers)])
    assert np.abs(together.astype(int) - alone).max() <= 1, "a level of rounding, no more"
    assert np.array_equal(together, model.draw(texts, numbers, steps=3))
    assert not np.array_equal(together[0], together[1]) and not np.array_equal(together[0], together[2])


def test_guidance_of_one_is_the_conditional_model_alone(model: TextToImage) -> None:
    assert not np.array_equal(model.draw(["a ball"], [0], steps=3, guidance=1.0), model.draw(["a ball"], [0], steps=3, guidance=5.0))


def test_every_cross_attention_is_found(model: TextToImage) -> None:
    found = model.cross_attention()
    assert found and len(found) % 2 == 0 and all(module.in_features == model.width for module in found.values())


def test_texts_are_padded_to_one_length_and_longer_ones_refused(model: TextToImage) -> None:
    assert model.text_states(["a ball", ""]).shape == (2, model.length, model.width)
    with pytest.raises(InputError, match="longer than 12 tokens"):
        model.text_states(["ball " * 30])


def test_what_a_drawing_costs_is_counted(model: TextToImage) -> None:
    from harness.costs import Meter

    model.meter = meter = Meter()
    with meter.timed("evaluate"):
        model.draw(["a ball", "a box"], [0, 1], steps=3)
    assert meter.forward_calls == 2 + 3 and meter.flops > 0  # texts, the empty text, three denoising steps


def test_identity_covers_every_part(folder: Path, tmp_path: Path) -> None:
    import shutil

    before = describe({"folder": str(folder)}).identity
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    file = other / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "beta_end": 0.5}))
    after = describe({"folder": str(other)}).identity
    assert before["config"] != after["config"] and before["weights"] == after["weights"]
    assert describe({"folder": str(folder)}).family == "text_to_image"


def test_a_pickled_part_is_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    other = tmp_path / "pickled"
    shutil.copytree(folder, other)
    (other / "unet" / "diffusion_pytorch_model.safetensors").rename(other / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(InputError, match="is not safetensors"):
        load({"folder": str(other)})


def test_an_untrained_twin_draws_something_else(folder: Path, model: TextToImage) -> None:
    twin = load({"folder": str(folder), "untrained": 3})
    assert not torch.equal(next(iter(twin.cross_attention().values())).weight, next(iter(model.cross_attention().values())).weight)
    assert not np.array_equal(twin.draw(["a ball"], [0], steps=2), model.draw(["a ball"], [0], steps=2))
