"""Recipe of the shipped supervised ViT: the shape, colour, material and size of the one thing in a scene, told from the class token.

python -m harness.methods.tiny_vit --out DIR
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import torch
from harness.tasks.scenes.scene import COLOURS, SHAPES, SIZES, TEXTURES, Scene
from torch import Tensor
from torch.nn import functional
from transformers import ViTConfig, ViTForImageClassification

from harness.registry import recipe

from .pretraining import Schedule, command, say, train
from .vision_pretraining import configuration, pixels, save, scenes

PROPERTIES: dict[str, tuple[str, ...]] = {"shape": SHAPES, "colour": COLOURS, "texture": TEXTURES, "size": tuple(SIZES)}


def build(size: str = "tiny") -> ViTForImageClassification:
    """Stock ViT with an output for every word of every property; spelled-out attention, which is the fastest in bf16 at this width."""
    config = ViTConfig(**configuration(size))
    config.num_labels = sum(map(len, PROPERTIES.values()))
    return ViTForImageClassification._from_config(config, attn_implementation="eager")  # type: ignore[no-any-return]


def truth(drawn: Sequence[Scene]) -> dict[str, Tensor]:
    """int64 [B] of every property: which of its words the scene's thing has."""
    return {name: torch.tensor([words.index(getattr(scene.objects[0], name)) for scene in drawn]) for name, words in PROPERTIES.items()}


def by_property(logits: Tensor) -> dict[str, Tensor]:
    """The outputs [B, words] of every property."""
    return dict(zip(PROPERTIES, logits.split([len(words) for words in PROPERTIES.values()], dim=1)))


def loss_of(model: ViTForImageClassification, seed: int, step: int) -> Tensor:
    """Cross-entropy of each property of scenes with one thing, summed over the properties."""
    drawn = scenes(seed, step, rows=64, most=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = by_property(model(pixels(drawn)).logits)
    targets = truth(drawn)
    return torch.stack([functional.cross_entropy(logits[name].float(), targets[name]) for name in PROPERTIES]).sum()


@torch.no_grad()
def probe(model: ViTForImageClassification) -> dict[str, float]:
    """Accuracy of every property on 300 scenes outside of the batches."""
    drawn = scenes(404, 0, rows=300, most=1)
    logits, targets = by_property(model(pixels(drawn)).logits), truth(drawn)
    return {name: float((logits[name].argmax(1) == targets[name]).float().mean()) for name in PROPERTIES}


@recipe("tiny-vit", family="vision_transformer", reads=("harness.tasks",), tags=("vision", "pretraining"))
def pretrain(
    out: Path,
    *,
    seed: int = 0,
    steps: int = 800,
    size: str = "tiny",
    checkpoints: Iterable[int] = (),
    log: Callable[[str], None] = say,
    stop_at: int | None = None,
) -> None:
    """Train into `out`; goes on from `out/state.pt` where there is one. What is saved is the model without its outputs."""
    torch.manual_seed(seed)
    model = build(size)
    train(
        model, partial(loss_of, model, seed), Schedule(steps, rate=1e-3, matrix_rate=0.01, decay=0.5), out, probe_every=200,
        probe=partial(probe, model), checkpoints=checkpoints, save=partial(save, model.vit), log=log, stop_at=stop_at,
    )  # fmt: skip


if __name__ == "__main__":
    command(pretrain)
