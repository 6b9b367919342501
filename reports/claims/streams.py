"""Exact claims about test-time adaptation: a random convolutional classifier, random pictures, some batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch

from harness import catalog
from harness.backbones.convnet import ConvNet
from harness.backbones.pixels import Pixels
from harness.claims import Arm, Sizes
from harness.identity import digest_tensors
from harness.method import Stateful
from harness.predictions import Predictions
from harness.registry import Entry
from harness.seeds import Streams
from harness.task import Example, Row, Shots, Task, draw
from harness.training import Run

BATCH, BATCHES = 16, 4
CLASSES = ("one", "two", "three")


class RandomPictures(Task):
    """Noise, with a class at random."""

    protocol: ClassVar[str] = "stream"
    labels = CLASSES
    batch = BATCH
    entry = Entry("task", "random-pictures")

    def pool(self) -> Sequence[Row]:
        return []

    def test(self) -> Sequence[Row]:
        rng = np.random.default_rng(0)
        pictures = rng.integers(0, 256, (BATCH * BATCHES, 16, 16, 3), dtype=np.uint8)
        return [Row(f"row-{i}", {"image": picture}, i % 3) for i, picture in enumerate(pictures)]


@lru_cache(maxsize=2)
def random_convnet(width: int) -> ConvNet:
    """A ResNet of two stages with random weights, drawn from one seed; a large head, so that answers differ."""
    from transformers import ResNetConfig, ResNetForImageClassification

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        shape: dict[str, Any] = {"embedding_size": width, "hidden_sizes": [width, 2 * width], "depths": [1, 1], "layer_type": "basic"}
        model: Any = ResNetForImageClassification(ResNetConfig(id2label=dict(enumerate(CLASSES)), **shape))
        model.classifier[1].weight.data.mul_(8)
    return ConvNet(name="random-convnet", model=model, pixels=Pixels(), classes=CLASSES)


def _started(arm: Arm, sizes: Sizes) -> tuple[Stateful, list[list[Example]]]:
    cls = catalog.load("method", arm.method)
    method = cls(**{**cls.small, **arm.config})
    data = draw(RandomPictures(), np.random.default_rng(0), train=Shots(per_class=0), dev=Shots(per_class=0))
    run = Run(Streams({name: 0 for name in ("data", "demos", "init", "order", "noise")}))
    predictor = method.adapt(random_convnet(sizes.width), data, run)
    assert isinstance(predictor, Stateful)
    examples = [row.example for row in data.test]
    return predictor, [examples[start : start + BATCH] for start in range(0, len(examples), BATCH)]


def dropped_at_start(arm: Arm, sizes: Sizes) -> Fraction:
    """Samples of the first batch that are not adapted on."""
    predictor, batches = _started(arm, sizes)
    return Fraction(int((predictor.predict(batches[0]).measures["kept"] == 0).sum()))


def changed_by_reset(arm: Arm, sizes: Sizes) -> Fraction:
    """Answers (and stored tensors) of a stream that differ when it is asked again after `reset`."""
    predictor, batches = _started(arm, sizes)
    before = digest_tensors(predictor.state()[0])
    first = [predictor.predict(batch) for batch in batches]
    predictor.reset()
    stored = digest_tensors(predictor.state()[0]) != before
    again = [predictor.predict(batch) for batch in batches]
    return Fraction(int(stored) + sum(_differing(a, b) for a, b in zip(first, again)))


def _differing(first: Predictions, second: Predictions) -> int:
    assert first.scores is not None and second.scores is not None
    return int((first.scores != second.scores).any(axis=1).sum())


def stream_answers(arm: Arm, sizes: Sizes) -> np.ndarray:
    """float [N, C] label scores over the whole stream."""
    predictor, batches = _started(arm, sizes)
    return np.concatenate([answers.scores for answers in map(predictor.predict, batches) if answers.scores is not None])
