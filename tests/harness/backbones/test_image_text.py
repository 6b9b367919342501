"""CLIP through its towers: the same features as transformers' own, prompts in both towers, folders that are broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, CLIPModel

from harness.backbones.describe import describe
from harness.backbones.image_text import ImageText, TowerPrompts
from harness.backbones.load import load
from harness.errors import InputError
from tests.methods.image_text import write

TEXTS = ["a red ball", "a big blue box over a lamp", "a"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("hub") / "random-clip")


@pytest.fixture
def clip(folder: Path) -> ImageText:
    loaded = load({"folder": str(folder)})
    assert isinstance(loaded, ImageText)
    return loaded


def images(number: int = 3) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (number, 32, 32, 3)).astype(np.uint8))


def test_features_of_both_towers_are_transformers_own(clip: ImageText, folder: Path) -> None:
    theirs = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    words = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    pixels = clip.pixels(images(), torch.device("cpu"))
    with torch.no_grad():
        output = theirs(input_ids=words.input_ids, attention_mask=words.attention_mask, pixel_values=pixels)
        normalised = [torch.nn.functional.normalize(x, dim=-1) for x in (clip.features(images()), clip.text_features(TEXTS))]
        torch.testing.assert_close(normalised[0], output.image_embeds, atol=1e-5, rtol=0)
        torch.testing.assert_close(normalised[1], output.text_embeds, atol=1e-5, rtol=0)
        torch.testing.assert_close(clip.scores(*normalised), output.logits_per_image, atol=1e-4, rtol=0)


def test_prompts_change_their_own_tower_and_take_gradients(clip: ImageText) -> None:
    text = torch.randn(2, clip.text_width, requires_grad=True)
    image = torch.randn(3, clip.image_width, requires_grad=True)
    both = TowerPrompts(text, image)
    assert not torch.equal(clip.features(images(), injection=both), clip.features(images()))
    assert torch.equal(clip.features(images(), injection=TowerPrompts(text)), clip.features(images()))
    assert torch.equal(clip.text_features(TEXTS, injection=TowerPrompts(image=image)), clip.text_features(TEXTS))
    clip.scores(clip.features(images(), injection=both), clip.text_features(TEXTS, injection=both)).sum().backward()
    assert text.grad is not None and image.grad is not None and text.grad.abs().sum() > 0 and image.grad.abs().sum() > 0


def test_a_text_does_not_depend_on_those_beside_it(clip: ImageText) -> None:
    alone = torch.cat([clip.text_features([text]) for text in TEXTS])
    torch.testing.assert_close(alone, clip.text_features(TEXTS), atol=1e-5, rtol=0)


def test_its_family_and_capabilities_are_known_before_it_is_loaded(folder: Path) -> None:
    info = describe({"folder": str(folder)})
    assert info.family == "image_text" and {"class_texts", "patch_prompts", "features"} <= info.capabilities


def test_an_untrained_twin_has_other_weights_and_another_identity(folder: Path, clip: ImageText) -> None:
    twin = load({"folder": str(folder), "untrained": 1})
    assert twin.identity != clip.identity and not torch.equal(twin.features(images()), clip.features(images()))
    assert torch.equal(twin.features(images()), load({"folder": str(folder), "untrained": 1}).features(images()))


def test_too_long_a_text_is_refused_by_name(clip: ImageText) -> None:
    with pytest.raises(InputError, match="longer than 40 tokens"):
        clip.text_features(["ball " * 60])


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = write(tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    save_file(
        {name: value for name, value in weights.items() if "text_projection" not in name}, broken / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(InputError, match=r"lack 1 weights of a CLIP, first text_projection\.weight"):
        load({"folder": str(broken)})
