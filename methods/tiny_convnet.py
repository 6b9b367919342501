"""Recipe of the shipped BatchNorm CNN: a small ResNet that tells the shapes of single things apart, trained on clean pictures.

Three of the world's ten shapes are never shown: they are the unknown classes of the test-time streams. Nothing is corrupted here.

python -m harness.methods.tiny_convnet --out DIR
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from harness.tasks import scene_stream as stream
from transformers import ResNetConfig, ResNetForImageClassification

from harness.backbones.pixels import FILE
from harness.registry import recipe

from .pretraining import Schedule, command, say, train

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


@dataclass(frozen=True)
class Shape:
    """Width of the stem, widths and numbers of blocks of the stages."""

    stem: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]


SIZES = {
    "tiny": Shape(24, (24, 48, 96), (2, 2, 1)),
    "small": Shape(48, (48, 96, 192), (2, 2, 2)),
    "medium": Shape(64, (64, 128, 256, 512), (2, 2, 2, 2)),
}


def build(size: str = "tiny") -> ResNetForImageClassification:
    """transformers' ResNet with basic blocks; a picture of 32 pixels is 8 x 8 in the first stage and 2 x 2 in the third."""
    shape = SIZES[size]
    config = ResNetConfig(
        embedding_size=shape.stem, hidden_sizes=list(shape.widths), depths=list(shape.depths), layer_type="basic",
        id2label=dict(enumerate(stream.KNOWN)), label2id={name: i for i, name in enumerate(stream.KNOWN)},
    )  # fmt: skip
    return ResNetForImageClassification._from_config(config)  # type: ignore[no-any-return]


def loss_of(model: ResNetForImageClassification, seed: int, step: int) -> torch.Tensor:
    pictures, labels = stream.training_batch(seed, step, rows=64)
    model.train()
    return torch.nn.functional.cross_entropy(model(_scaled(pictures)).logits, torch.from_numpy(labels))


def _scaled(pictures: object) -> torch.Tensor:
    pixels = torch.as_tensor(pictures).permute(0, 3, 1, 2).float() / 255
    return (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


@torch.no_grad()
def probe(model: ResNetForImageClassification) -> dict[str, float]:
    """Accuracy on 512 clean pictures outside of the training stream."""
    model.eval()
    pictures, labels = stream.training_batch(2**31, 0, rows=512)
    return {"accuracy": float((model(_scaled(pictures)).logits.argmax(1) == torch.from_numpy(labels)).float().mean())}


def save(model: ResNetForImageClassification, folder: Path) -> None:
    """Write the model in hub format: weights as fp16, to be loaded as fp32, and how pictures are scaled."""
    copy.deepcopy(model).half().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = "float32"
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    scaling = {
        "do_resize": False,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": MEAN,
        "image_std": STD,
    }
    (folder / FILE).write_text(json.dumps(scaling, indent=2) + "\n")


@recipe("tiny-convnet", family="convnet", reads=("harness.tasks",), tags=("vision", "pretraining"))
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
    """Train into `out`; goes on from `out/state.pt` where there is one. Checkpoints are saved as `out/step-N`."""
    torch.manual_seed(seed)
    model = build(size)
    train(
        model, partial(loss_of, model, seed), Schedule(steps), out, probe_every=500, probe=partial(probe, model), checkpoints=checkpoints,
        save=partial(save, model), log=log, stop_at=stop_at,
    )  # fmt: skip


if __name__ == "__main__":
    command(pretrain)
