"""Streams of damaged pictures for test-time adaptation: no training set, one kind of damage after another, some shapes never seen before.

Each picture shows one thing and the question is its shape. The same things arrive under every corruption, as in CIFAR-10-C; a thing is a
cluster. What the shipped `tiny-convnet` was trained on stands here too, so that both agree on what is known.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputError
from harness.registry import task
from harness.settings import setting
from harness.task import Row, Task

from .scenes.corruptions import CORRUPTIONS
from .scenes.render import render
from .scenes.scene import SHAPES, Scene, SceneSampler

KNOWN: tuple[str, ...] = ("ball", "box", "ring", "star", "moon", "heart", "sun")
NEVER_SEEN: tuple[str, ...] = tuple(shape for shape in SHAPES if shape not in KNOWN)
PIXELS = 32
WORLD = 62  # streams of random numbers of this task


def one_thing(sampler: SceneSampler, shapes: Sequence[str]) -> Scene:
    """A scene of one thing of any colour and texture, its shape one of `shapes`; small ones, a few pixels wide, are left out."""
    return sampler.scene([sampler.object(shapes=shapes, sizes=("big", "huge"))])


def training_batch(seed: int, step: int, rows: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """uint8 [rows, 32, 32, 3] clean pictures and int64 [rows] their index in `KNOWN`; the same for the same seed and step."""
    sampler = SceneSampler(np.random.default_rng([WORLD, seed, step]))
    scenes = [one_thing(sampler, KNOWN) for _ in range(rows)]
    labels = np.array([KNOWN.index(scene.objects[0].shape) for scene in scenes], dtype=np.int64)
    return np.stack([render(scene, size=PIXELS) for scene in scenes]), labels


class SceneStream(Task):
    """Base. Of `things` known things, and as many unknown ones where the set is open, a picture under every corruption."""

    protocol: ClassVar[str] = "stream"
    metrics: tuple[str, ...] = ("known_accuracy", "last_round_accuracy", "accuracy_drift")
    labels = KNOWN
    floor = 1 / len(KNOWN)
    clustered = True
    shapes_unknown: ClassVar[tuple[str, ...]] = ()

    things: int = setting(50, at_least=1, help="known things in the stream; an open one has as many unknown ones")
    severity: int = setting(5, at_least=1, at_most=5, help="of the corruptions, as in ImageNet-C")
    corruptions: tuple[str, ...] = setting(
        ("gaussian-noise", "motion-blur", "fog", "contrast", "pixelate", "jpeg"), help="in order of arrival"
    )
    batch: int = setting(50, at_least=2)
    rounds: int = setting(1, at_least=1)

    def pool(self) -> Sequence[Row]:
        return []

    def test(self) -> Sequence[Row]:
        return self._rows

    @functools.cached_property
    def _rows(self) -> list[Row]:
        for name in self.corruptions:
            if name not in CORRUPTIONS:
                raise InputError(f"no corruption {name!r}", key="corruptions", expected=f"some of {', '.join(CORRUPTIONS)}")
        sampler = SceneSampler(np.random.default_rng([WORLD, 10**6, self.version]))  # apart from every training batch
        things = [("known", i, one_thing(sampler, KNOWN)) for i in range(self.things)]
        things += [("unknown", i, one_thing(sampler, self.shapes_unknown)) for i in range(self.things if self.shapes_unknown else 0)]
        return [self._row(corruption, kind, i, scene) for corruption in self.corruptions for kind, i, scene in things]

    def _row(self, corruption: str, kind: str, number: int, scene: Scene) -> Row:
        picture = render(scene, corruption=corruption, severity=self.severity, size=PIXELS)
        shape = scene.objects[0].shape
        target = self.labels.index(shape if kind == "known" else "unknown")
        return Row(f"{corruption}/{kind}-{number}", {"image": picture}, target, f"{kind}-{number}")

    def arrivals(self, rows: Sequence[Row], rng: np.random.Generator) -> Iterator[list[Row]]:
        """One corruption after the other, each in random order; known and unknown things are spread evenly over its batches."""
        for corruption in self.corruptions:
            keyed: list[tuple[float, int, Row]] = []
            for kind in ("known", "unknown"):
                group = [row for row in rows if row.id.startswith(f"{corruption}/{kind}-")]
                keyed += [((place + 0.5) / len(group), len(keyed) + place, group[i]) for place, i in enumerate(rng.permutation(len(group)))]
            ordered = [row for _, _, row in sorted(keyed, key=lambda item: item[:2])]
            for start in range(0, len(ordered), self.batch):
                yield ordered[start : start + self.batch]


class OpenSceneStream(SceneStream):
    """Half of what arrives is of shapes that no source model was shown."""

    labels = (*KNOWN, "unknown")
    unknown: ClassVar[str] = "unknown"
    shapes_unknown = NEVER_SEEN
    metrics = (
        *SceneStream.metrics,
        *("auroc", "auroc_change", "auroc_right", "auroc_right_change", "oscr", "fpr95", "kept_precision", "kept_recall"),
    )


@task("scene-stream-closed", tags=("vision", "stream", "corruptions"))
class ClosedStream(SceneStream):
    """Damaged pictures of known shapes, once."""


@task("scene-stream-open", tags=("vision", "stream", "corruptions", "open-set"))
class OpenStream(OpenSceneStream):
    """Damaged pictures, half of them of unknown shapes, once."""


@task("scene-stream-long", tags=("vision", "stream", "corruptions", "open-set"))
class LongStream(OpenSceneStream):
    """An open stream twenty times over: what adaptation that is never reset does in the long run."""

    version: ClassVar[int] = 2  # a learning rate was chosen on the things of version 1, which are those of the other two streams
    rounds: int = setting(20, at_least=1)
