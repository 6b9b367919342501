"""Recipe of the shipped CLIP: images of scenes and their captions told apart from those of the other scenes in a batch (arXiv 2103.00020).

Pairs of shape and colour that `scene.held_out` names never stand in its images or captions, so zero-shot accuracy on them is a test of
putting known words together. Captions that are equal count as right for each other: a batch of simple scenes repeats them.

python -m harness.methods.tiny_clip --out DIR
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness.tasks.scenes import captions
from harness.tasks.scenes.scene import COLOURS, SHAPES, Scene, SceneSampler, held_out
from harness.tasks.world import tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel

from harness.registry import recipe

from .pretraining import Schedule, command, fast_tokenizer, say, train
from .vision_pretraining import PATCH, PIXELS, pixels
from .vision_pretraining import save as save_vision

WIDTH, LAYERS, HEADS, SPACE, TOKENS = 96, 4, 3, 64, 48
ROWS = 96
PROPERTIES = ((), ("colour",), ("texture",), ("colour", "texture"), ("size", "colour"), ("size", "colour", "texture"))


def build() -> CLIPModel:
    """Both towers alike: 4 layers of width 96; a shared space of 64 dimensions."""
    tower = {
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": 4 * WIDTH,
        "projection_dim": SPACE,
    }
    text = {**tower, "vocab_size": tokenizer.SIZE, "max_position_embeddings": TOKENS, "eos_token_id": tokenizer.EOS}
    text |= {"bos_token_id": tokenizer.BOS, "pad_token_id": tokenizer.PAD}
    vision = {**tower, "image_size": PIXELS, "patch_size": PATCH}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=SPACE)
    model: CLIPModel = CLIPModel._from_config(config, attn_implementation="eager")  # for its speed on a CPU
    return model


def pairs_at(seed: int, step: int) -> tuple[list[Scene], list[str]]:
    """Scenes of one or two things, half of them of one, each with a caption that names some of their properties."""
    rng = np.random.default_rng([seed, step, 77])
    sampler = SceneSampler(np.random.default_rng([seed, step]), "seen")
    scenes = [sampler.scene(1 + int(rng.random() < 0.5)) for _ in range(ROWS)]
    return scenes, [
        captions.caption(scene, PROPERTIES[int(rng.choice(len(PROPERTIES), p=(0.1, 0.3, 0.1, 0.25, 0.1, 0.15)))]) for scene in scenes
    ]


def contrast(images: Tensor, texts: Tensor, scale: Tensor, said: Sequence[str]) -> Tensor:
    """[] symmetric cross-entropy of cosines; captions that are equal share the target."""
    logits = scale.exp().clamp(max=100.0) * functional.normalize(images.float(), dim=-1) @ functional.normalize(texts.float(), dim=-1).T
    same = torch.tensor([[a == b for b in said] for a in said], dtype=torch.float32)
    target = same / same.sum(dim=1, keepdim=True)
    return 0.5 * (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target))


def loss_of(model: CLIPModel, tokens: Any, seed: int, step: int) -> Tensor:
    scenes, said = pairs_at(seed, step)
    words = tokens(said, padding=True, return_tensors="pt")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        images = model.get_image_features(pixel_values=pixels(scenes)).pooler_output
        texts = model.get_text_features(input_ids=words["input_ids"], attention_mask=words["attention_mask"]).pooler_output
    return contrast(images, texts, model.logit_scale, said)


@torch.no_grad()
def probe(model: CLIPModel, rows: int = 200) -> dict[str, float]:
    """Zero-shot accuracy over the 16 or so held-out pairs of shape and colour, and over all of the seen ones; one thing a scene."""
    result = {}
    for name in ("seen", "held_out"):
        classes = [(shape, colour) for shape in SHAPES for colour in COLOURS if held_out(shape, colour) == (name == "held_out")]
        sampler = SceneSampler(np.random.default_rng(404), name)
        scenes = [sampler.scene(1) for _ in range(rows)]
        said = [f"a {colour} {shape}" for shape, colour in classes]
        words = fast_tokenizer("masked")(said, padding=True, return_tensors="pt")
        texts = model.get_text_features(input_ids=words["input_ids"], attention_mask=words["attention_mask"]).pooler_output
        images = model.get_image_features(pixel_values=pixels(scenes)).pooler_output
        chosen = (functional.normalize(images, dim=-1) @ functional.normalize(texts, dim=-1).T).argmax(dim=1)
        gold = [classes.index((scene.objects[0].shape, scene.objects[0].colour)) for scene in scenes]
        result[name] = float(np.mean(chosen.numpy() == np.array(gold)))
    return result


def save(model: CLIPModel, folder: Path) -> None:
    """Hub format: fp16 weights, the world's tokenizer, and how images are prepared."""
    save_vision(copy.deepcopy(model), folder)
    words = fast_tokenizer("masked")
    words.model_max_length = TOKENS
    words.save_pretrained(folder)
    file = folder / "preprocessor_config.json"
    said = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**said, "image_processor_type": "CLIPImageProcessor"}, indent=2) + "\n", encoding="utf-8")


@recipe("tiny-clip", paper="arXiv:2103.00020", family="image_text", reads=("harness.tasks",), tags=("vision-language", "pretraining"))
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
    """Train into `out`; goes on from `out/state.pt` where there is one. Checkpoints are saved as `out/step-N`. There is one size."""
    torch.manual_seed(seed)
    model = build()
    train(
        model, partial(loss_of, model, fast_tokenizer("masked"), seed), Schedule(steps, rate=1e-3, matrix_rate=0.01, decay=0.5, weight_decay=0.01), out,
        probe=partial(probe, model), probe_every=250, checkpoints=checkpoints, save=partial(save, model), log=log, stop_at=stop_at,
    )  # fmt: skip


if __name__ == "__main__":
    command(pretrain)
