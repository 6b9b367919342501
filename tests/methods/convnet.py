"""A tiny convolutional classifier with random weights, and small tasks of random pictures, for the matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from harness.backbones.convnet import ConvNet
from harness.backbones.pixels import Pixels
from harness.registry import Entry
from harness.task import GeneratedTask, Row, Task

CLASSES = ("dark", "bright", "red")


def picture(rng: np.random.Generator, label: int) -> np.ndarray:
    image = rng.integers(0, 256, (16, 16, 3)) // 3
    image[..., 0] += (0, 100, 160)[label]
    image[..., 1:] += (0, 100, 0)[label]
    return image.astype(np.uint8)


class SmallPictures(GeneratedTask):
    """Two classes of noise by brightness."""

    pool_size, test_size = 60, 12
    labels = CLASSES[:2]
    entry = Entry("task", "small-pictures")

    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        while True:
            number = int(rng.integers(10**9))
            yield Row(f"{split}-{number}", {"image": picture(rng, number % 2)}, number % 2)


class SmallStream(Task):
    """Noise by brightness, and red noise that no class of the task stands for; twice over, in batches of eight."""

    protocol: ClassVar[str] = "stream"
    labels = (*CLASSES[:2], "unknown")
    unknown: ClassVar[str] = "unknown"
    metrics = ("known_accuracy", "auroc", "auroc_change", "oscr", "fpr95", "last_round_accuracy", "accuracy_drift")
    entry = Entry("task", "small-stream")
    rounds, batch = 2, 8

    def pool(self) -> Sequence[Row]:
        return []

    def test(self) -> Sequence[Row]:
        rng = np.random.default_rng(0)
        return [Row(f"row-{i}", {"image": picture(rng, i % 3)}, i % 3) for i in range(24)]


def backbone(classes: Sequence[str] = CLASSES) -> ConvNet:
    from transformers import ResNetConfig, ResNetForImageClassification

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", id2label=dict(enumerate(classes)))
        model: Any = ResNetForImageClassification(config)
        for name, buffer in model.named_buffers():  # source statistics that are not those of any batch
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
        model.classifier[1].weight.data.mul_(8)  # answers that differ
    return ConvNet(name="random-convnet", model=model, pixels=Pixels(), classes=classes)


def tasks() -> dict[str, Task]:
    return {"classification": SmallPictures(), "stream": SmallStream()}
