"""Recipe of the shipped text-to-image model: a small UNet that draws one thing at 16 pixels from its caption (arXiv 2112.10752, in pixels).

What TIME edits are assumptions, so the data has some: where a caption names no colour, things of a shape mostly have the colour that is
usual for it (`USUAL`); where it names one, that is the colour. The text encoder is trained along; it reads a text as a whole, so that
"a big ball" and "a ball over there" need not stay what they were when "a ball" is edited.

python -m harness.methods.tiny_diffusion --out DIR
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness.tasks.scenes.edits import COLOURS, USUAL, colour_of
from harness.tasks.scenes.render import render
from harness.tasks.scenes.scene import SHAPES, Scene, SceneObject, SceneSampler
from harness.tasks.world import tokenizer
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from harness.registry import recipe

from .pretraining import Schedule, command, fast_tokenizer, say, train

SIDE, WIDTH, TOKENS, ROWS = 16, 64, 12, 48
SURPRISE = 0.1  # share of the captions without a colour whose thing has another than the usual one
UNTOLD = 0.1  # share of the captions that are left out: what guidance needs
MOMENTS = 1000
NAMED = 0.55  # share of the captions that name the colour
ARTICLES, SIZES = ("a", "a", "the", "one"), ("big", "huge")


class Pipeline(nn.Module):
    """What is trained together: the UNet and the text encoder."""

    def __init__(self) -> None:
        from diffusers import UNet2DConditionModel

        super().__init__()
        text = CLIPTextConfig(
            vocab_size=tokenizer.SIZE, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=4 * WIDTH,
            max_position_embeddings=TOKENS, eos_token_id=tokenizer.EOS, bos_token_id=tokenizer.BOS, pad_token_id=tokenizer.PAD,
        )  # fmt: skip
        self.text_encoder: Any = CLIPTextModel._from_config(text, attn_implementation="eager")
        kind: Any = UNet2DConditionModel
        self.unet: Any = kind(
            sample_size=SIDE, in_channels=3, out_channels=3, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            mid_block_type="UNetMidBlock2DCrossAttn", cross_attention_dim=WIDTH, attention_head_dim=4,
        )  # fmt: skip


def scheduler() -> Any:
    from diffusers import DDIMScheduler

    kind: Any = DDIMScheduler
    return kind(
        num_train_timesteps=MOMENTS, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction", clip_sample=True, timestep_spacing="trailing",
        set_alpha_to_one=True,
    )  # fmt: skip


def pairs_at(seed: int, step: int) -> tuple[list[Scene], list[str]]:
    """Scenes of one thing in the middle, with captions."""
    rng = np.random.default_rng([seed, step, 78])
    sampler = SceneSampler(np.random.default_rng([seed, step]))
    scenes, said = [], []
    for _ in range(ROWS):
        shape, size = str(rng.choice(SHAPES)), str(rng.choice(SIZES))
        named, sized = rng.random() < NAMED, rng.random() < 0.4
        usual = not named and rng.random() >= SURPRISE
        colour = USUAL[shape] if usual else str(rng.choice(COLOURS))
        thing = sampler.object(shapes=(shape,), colours=(colour,), textures=("paper",), sizes=(size,))
        scenes.append(sampler.of(centred(thing, sampler)))
        words = [str(rng.choice(ARTICLES)), *([size] if sized else []), *([colour] if named else []), shape]
        said.append("" if rng.random() < UNTOLD else " ".join(words))
    return scenes, said


def centred(thing: SceneObject, sampler: SceneSampler) -> SceneObject:
    """The thing near the middle: 16 pixels leave little room."""
    return replace(thing, x=float(0.5 + sampler.rng.uniform(-0.1, 0.1)), y=float(0.5 + sampler.rng.uniform(-0.1, 0.1)))


def loss_of(model: Pipeline, words: Any, noising: Any, seed: int, step: int) -> Tensor:
    """[] mean squared error of the velocity (arXiv 2202.00512) at random moments."""
    scenes, said = pairs_at(seed, step)
    pictures = np.stack([render(scene, size=SIDE) for scene in scenes])
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    generator = torch.Generator().manual_seed(seed * 10**6 + step)
    noise = torch.randn(x.shape, generator=generator)
    moments = torch.randint(0, MOMENTS, (len(x),), generator=generator)
    states = model.text_encoder(input_ids=token_ids(words, said)).last_hidden_state
    found = model.unet(noising.add_noise(x, noise, moments), moments, encoder_hidden_states=states).sample
    return nn.functional.mse_loss(found, noising.get_velocity(x, noise, moments))


def token_ids(words: Any, said: list[str]) -> Tensor:
    ids: Tensor = words(said, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt").input_ids
    return ids


def probe(model: Pipeline, folder: Path) -> dict[str, float]:
    """How often drawings have the colour that was named, and the usual one where none was (80 drawings each)."""
    from harness.backbones.describe import describe
    from harness.backbones.text_to_image import load

    save(model, folder)
    backbone = load(describe({"folder": str(folder)}), torch.device("cpu"))
    named = [(colour, f"a {colour} {shape}") for shape in SHAPES for colour in COLOURS]
    plain = [(USUAL[shape], f"a {shape}") for shape in SHAPES for _ in range(8)]
    result = {}
    for name, asked in (("named", named), ("usual", plain)):
        drawn = backbone.draw([text for _, text in asked], range(len(asked)))
        result[name] = float(np.mean([colour_of(picture) == colour for picture, (colour, _) in zip(drawn, asked)]))
    return result


def save(model: Pipeline, folder: Path) -> None:
    """diffusers' format: fp16 weights, loaded as fp32."""
    halved = copy.deepcopy(model).half()
    halved.unet.save_pretrained(folder / "unet")
    halved.text_encoder.save_pretrained(folder / "text_encoder")
    words = fast_tokenizer("masked")
    words.model_max_length = TOKENS
    words.save_pretrained(folder / "tokenizer")
    scheduler().save_pretrained(folder / "scheduler")
    parts = {
        "unet": ["diffusers", "UNet2DConditionModel"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "scheduler": ["diffusers", "DDIMScheduler"],
    }
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "DiffusionPipeline", **parts}, indent=2) + "\n", encoding="utf-8")


@recipe("tiny-diffusion", paper="arXiv:2112.10752", family="text_to_image", reads=("harness.tasks",), tags=("diffusion", "pretraining"))
def pretrain(
    out: Path,
    *,
    seed: int = 0,
    steps: int = 1400,
    size: str = "tiny",
    checkpoints: Iterable[int] = (),
    log: Callable[[str], None] = say,
    stop_at: int | None = None,
) -> None:
    """Train into `out`; goes on from `out/state.pt` where there is one. Checkpoints are saved as `out/step-N`. There is one size."""
    torch.manual_seed(seed)
    model = Pipeline()
    train(
        model, partial(loss_of, model, fast_tokenizer("masked"), scheduler(), seed), Schedule(steps, rate=2e-3, matrix_rate=0.01, decay=0.5), out,
        probe=partial(probe, model, out / "probe"), probe_every=500, checkpoints=checkpoints, save=partial(save, model), log=log, stop_at=stop_at,
    )  # fmt: skip


if __name__ == "__main__":
    command(pretrain)
