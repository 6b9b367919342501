"""Vision transformers: folders in hub format load, features are the library's own, and prompts do between blocks what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import ViTConfig, ViTForImageClassification, ViTMAEConfig, ViTMAEForPreTraining, ViTMAEModel, ViTModel

from harness.backbones.block_prompts import BlockPrompts
from harness.backbones.load import clear, load
from harness.backbones.vision_transformer import VisionTransformer, sine_positions, start_masked_autoencoder
from harness.errors import InputError

SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24, "image_size": 8, "patch_size": 4}
DECODER = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
PROCESSOR = {"do_resize": True, "size": {"height": 8, "width": 8}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}


def _made(kind: str) -> Any:
    torch.manual_seed(0)
    if kind == "vit":
        return ViTModel(ViTConfig(**SIZES, initializer_range=0.2), add_pooling_layer=False)
    if kind == "classifier":
        return ViTForImageClassification(ViTConfig(**SIZES, initializer_range=0.2, num_labels=5))
    mae = ViTMAEConfig(**SIZES, initializer_range=0.2, **{f"decoder_{name}": value for name, value in DECODER.items()})
    return ViTMAEModel(mae) if kind == "vit_mae" else ViTMAEForPreTraining(mae)


def _folder(kind: str, path: Path) -> Path:
    _made(kind).save_pretrained(path)
    (path / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return path


@pytest.fixture(scope="module", params=["vit", "classifier", "vit_mae", "mae with decoder"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[VisionTransformer, Any]:
    folder = _folder(request.param, tmp_path_factory.mktemp("vit") / "model")
    return load({"folder": str(folder)}), _made(request.param).eval()


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> VisionTransformer:
    found: VisionTransformer = load({"folder": str(_folder("vit", tmp_path_factory.mktemp("vit") / "model"))})
    return found


def _pictures(number: int = 3) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (number, 8, 8, 3)).astype(np.uint8))


def test_features_are_the_librarys(loaded: tuple[VisionTransformer, Any]) -> None:
    """Class token of a ViT as its own forward pass gives it; of an MAE, nothing hidden, the mean of the tokens before the last norm."""
    backbone, model = loaded
    items = _pictures()
    pixels = torch.from_numpy(np.stack(items)).permute(0, 3, 1, 2) / 255 * 2 - 1
    trunk = getattr(model, "vit", model)
    with torch.no_grad():
        if backbone.pooling == "cls":
            expected = trunk(pixels).last_hidden_state[:, 0]
        else:
            trunk.config.mask_ratio = 0.0
            tokens, _, _ = trunk.embeddings(pixels, noise=torch.arange(4.0).expand(3, -1))
            for layer in trunk.layers:
                tokens = layer(tokens)
            expected = trunk.layernorm(tokens[:, 1:].mean(dim=1))
        found = backbone.features(items)
    assert found.shape == (3, 16)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert not backbone.model.training and not any(parameter.requires_grad for parameter in backbone.model.parameters())


def test_mae_pictures_are_not_hidden_or_moved(tmp_path: Path) -> None:
    backbone = load({"folder": str(_folder("vit_mae", tmp_path / "m"))})
    states, patches = backbone.hidden_states(_pictures())
    assert states.shape == (4, 3, 5, 16) and patches.tolist() == [[False, True, True, True, True]] * 3
    assert torch.equal(backbone.features(_pictures()), backbone.features(_pictures()))


def test_sine_positions_by_their_formula() -> None:
    """Columns first, then rows: sines and cosines at the rates 1 and 1/100; nothing for the class token."""
    found = sine_positions(2, 3, 8)[0]
    assert found.shape == (7, 8) and not found[0].any()
    row, column = 1, 2
    angles = [column, column / 100], [row, row / 100]
    expected = [part for each in angles for part in (*np.sin(each), *np.cos(each))]
    np.testing.assert_allclose(found[1 + row * 3 + column], expected, rtol=1e-6)
    with pytest.raises(InputError, match="width 6"):
        sine_positions(2, 3, 6)


def test_a_new_masked_autoencoder_knows_where_its_patches_are(tmp_path: Path) -> None:
    """Features of random weights change when two patches change places, and hidden patches are not all drawn alike; trained positions stay."""
    folder = _folder("mae with decoder", tmp_path / "m")
    image = _pictures(1)[0]
    moved = image.copy()
    moved[:4, :4], moved[4:, 4:] = image[4:, 4:], image[:4, :4]
    new = load({"folder": str(folder), "untrained": 0})
    assert not torch.allclose(new.features([image]), new.features([moved]), atol=1e-3)
    model = _made("mae with decoder")
    start_masked_autoencoder(model)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    drawn = model(pixels, noise=torch.arange(4.0)[None]).logits[0].detach()
    assert float((drawn[2] - drawn[3]).abs().max()) > 1e-3, "both are hidden"
    model.save_pretrained(tmp_path / "kept")
    (tmp_path / "kept" / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    kept = load({"folder": str(tmp_path / "kept")})
    assert torch.equal(kept.model.embeddings.position_embeddings, sine_positions(2, 2, 16))


def test_gradients_reach_the_prompt_through_every_pooling(backbone: VisionTransformer) -> None:
    for pooling in ("cls", "mean", "patches"):
        prompt = torch.zeros(2, 16, requires_grad=True)
        features = backbone.features(_pictures(), pooling=pooling, injection=BlockPrompts(prompt))  # type: ignore[arg-type]
        (gradient,) = torch.autograd.grad(features.square().sum(), prompt)
        assert gradient.abs().sum() > 0
    with pytest.raises(InputError, match="max"):
        backbone.features(_pictures(), pooling="max")  # type: ignore[arg-type]


def test_poolings_with_and_without_prompts(backbone: VisionTransformer) -> None:
    injection = BlockPrompts(torch.randn(2, 16))
    states = backbone.hidden_states(_pictures(), injection=injection)[0][-1]
    norm = backbone.model.layernorm
    for pooling, expected in (("cls", states[:, 0]), ("mean", states[:, 1:].mean(1)), ("patches", states[:, 3:].mean(1))):
        torch.testing.assert_close(backbone.features(_pictures(), pooling=pooling, injection=injection), norm(expected))  # type: ignore[arg-type]


def test_open_gates_and_temperature_one_are_plain_prompts(backbone: VisionTransformer) -> None:
    prompt = torch.randn(2, 16)
    plain = backbone.features(_pictures(), pooling="mean", injection=BlockPrompts(prompt))
    gated = BlockPrompts(prompt, gates=torch.ones(2), temperatures=torch.ones(3))
    assert torch.equal(backbone.features(_pictures(), pooling="mean", injection=gated), plain)


def test_shut_gates_give_every_block_the_first_prompts(backbone: VisionTransformer) -> None:
    """Which is the same as deep prompts that all equal the first."""
    prompt = torch.randn(2, 16)
    shut = BlockPrompts(prompt, gates=torch.zeros(2))
    repeated = BlockPrompts(prompt, each=prompt.expand(2, -1, -1))
    torch.testing.assert_close(backbone.features(_pictures(), injection=shut), backbone.features(_pictures(), injection=repeated))


def test_patches_are_never_gated(backbone: VisionTransformer) -> None:
    states, _ = backbone.hidden_states(_pictures(), injection=BlockPrompts(torch.randn(2, 16), gates=torch.zeros(2)))
    assert not torch.equal(states[1][:, 3:], states[0][:, 3:])
    assert torch.equal(states[2][:, 1:3], states[1][:, 1:3]) and not torch.equal(states[3][:, 1:3], states[2][:, 1:3])


def test_temperature_divides_logits(backbone: VisionTransformer) -> None:
    """A temperature of two is the same as query weights and biases halved."""
    halved = backbone.fork(copy_weights=lambda name: "q_proj" in name)
    with torch.no_grad():
        for name, parameter in halved.model.named_parameters():
            if "q_proj" in name:
                parameter.mul_(0.5)
    warm = backbone.features(_pictures(), injection=BlockPrompts(temperatures=torch.full((3,), 2.0)))
    torch.testing.assert_close(warm, halved.features(_pictures()))
    assert not torch.allclose(warm, backbone.features(_pictures()))


def test_prompts_before_a_later_block(backbone: VisionTransformer) -> None:
    prompt = torch.randn(2, 16)
    late = backbone.features(_pictures(), injection=BlockPrompts(prompt, at=2))
    states, _ = backbone.hidden_states(_pictures())
    before = states[2]
    together = torch.cat([before[:, :1], prompt.expand(3, -1, -1), before[:, 1:]], dim=1)
    expected = backbone.model.layernorm(backbone.layer_modules()[2](together)[:, 0])
    torch.testing.assert_close(late, expected)


def test_one_prompt_a_picture(backbone: VisionTransformer) -> None:
    prompts = torch.randn(3, 2, 16)
    together = backbone.features(_pictures(), injection=BlockPrompts(prompts))
    for index, picture in enumerate(_pictures()):
        torch.testing.assert_close(together[index : index + 1], backbone.features([picture], injection=BlockPrompts(prompts[index])))


def test_class_attention_is_a_distribution(backbone: VisionTransformer) -> None:
    patches, prompts = backbone.class_attention(_pictures(), injection=BlockPrompts(torch.randn(2, 16), temperatures=torch.full((3,), 0.5)))
    assert patches.shape == (3, 2, 2) and bool((prompts > 0).all())
    itself = 1 - patches.sum(dim=(1, 2)) - prompts
    assert bool(((itself > 0) & (itself < 1)).all())
    eager = _made("vit").eval()
    eager.set_attn_implementation("eager")
    pixels = torch.from_numpy(np.stack(_pictures())).permute(0, 3, 1, 2) / 255 * 2 - 1
    expected = eager(pixels, output_attentions=True).attentions[-1].mean(dim=1)[:, 0, 1:]
    torch.testing.assert_close(backbone.class_attention(_pictures())[0].flatten(1), expected)


@pytest.mark.parametrize(
    "wrong",
    [
        BlockPrompts(torch.zeros(2, 8)),
        BlockPrompts(torch.zeros(2, 16), gates=torch.zeros(3)),
        BlockPrompts(torch.zeros(2, 16), each=torch.zeros(3, 2, 16)),
        BlockPrompts(gates=torch.zeros(2)),
        BlockPrompts(temperatures=torch.ones(2)),
        BlockPrompts(torch.zeros(2, 16), at=3),
        BlockPrompts(torch.zeros(2, 16), at=1, gates=torch.zeros(2)),
    ],
)
def test_what_does_not_fit_is_refused(backbone: VisionTransformer, wrong: BlockPrompts) -> None:
    with pytest.raises(InputError, match="injection"):
        backbone.features(_pictures(), injection=wrong)


def test_untrained_is_another_model_and_has_a_seed(tmp_path: Path) -> None:
    folder = str(_folder("vit", tmp_path / "m"))
    trained, one, two = (load({"folder": folder, **extra}) for extra in ({}, {"untrained": 1}, {"untrained": 2}))
    features = [found.features(_pictures()) for found in (trained, one, two)]
    assert not torch.allclose(features[0], features[1]) and not torch.allclose(features[1], features[2])
    clear()
    assert torch.equal(load({"folder": folder, "untrained": 1}).features(_pictures()), features[1])
    assert trained.identity != one.identity


def test_pictures_are_resized_or_refused(tmp_path: Path) -> None:
    folder = _folder("vit", tmp_path / "m")
    large = np.zeros((20, 30, 3), np.uint8)
    assert load({"folder": str(folder)}).features([large]).shape == (1, 16)
    (folder / "preprocessor_config.json").write_text(json.dumps({**PROCESSOR, "do_resize": False}))
    with pytest.raises(InputError, match="20 x 30"):
        load({"folder": str(folder)}).features([large])


def test_missing_weights_are_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = _folder("vit", tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "layernorm.weight" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"layernorm\.weight"):
        load({"folder": str(folder)})


@pytest.mark.parametrize(("name", "pooling"), [("tiny-vit", "cls"), ("tiny-vit-mae", "mean")])
def test_shipped_models_are_complete(name: str, pooling: str) -> None:
    backbone = load(name)
    assert (backbone.pooling, backbone.width, backbone.layers, backbone.patches) == (pooling, 96, 6, 64)
    assert np.isfinite(backbone.features([np.zeros((32, 32, 3), np.uint8)]).detach().numpy()).all()


def test_the_supervised_model_tells_colours_apart() -> None:
    """By the nearest mean of 20 pictures of each: far better than chance."""
    from harness.tasks.scenes.render import render
    from harness.tasks.scenes.scene import SceneSampler, held_out

    backbone = load("tiny-vit")
    sampler = SceneSampler(np.random.default_rng(0), "seen")
    colours = ("red", "blue", "green", "yellow")
    drawn = [
        [sampler.of(sampler.object(colours=[colour], sizes=["huge"], textures=["paper"], shapes=["box"])) for _ in range(30)]
        for colour in colours
        if not held_out("box", colour)
    ]
    features = torch.stack([backbone.features([render(scene) for scene in scenes]).detach() for scenes in drawn])
    means = features[:, :20].mean(dim=1)
    nearest = torch.cdist(features[:, 20:].flatten(0, 1), means).argmin(dim=1)
    expected = torch.arange(len(drawn)).repeat_interleave(10)
    assert float((nearest == expected).float().mean()) > 0.8


def test_the_meter_hears_of_prompts(backbone: VisionTransformer) -> None:
    from harness.backbones.meter import Tally

    backbone.meter = Tally()
    backbone.features(_pictures(), injection=BlockPrompts(torch.zeros(2, 16)))
    assert (backbone.meter.forward_calls, backbone.meter.tokens) == (1, 3 * 7)
