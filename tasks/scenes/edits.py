"""Edits of what a text-to-image model assumes: things without a named colour are drawn in the one that is usual for them.

Made in the manner of TIMED (Orgad et al. 2023, arXiv 2303.08084, section 5): an edit says what is under-specified ("a ball") and what it
shall mean ("a blue ball"). Efficacy asks with the source text, generality with other texts about the same thing, specificity with texts
about other things and with a named colour, which must stay as they were. The unit is the edit: every number is a share over its texts and
noise seeds. Colours are judged by a fixed rule on pixels (`colour_of`), whose accuracy on true pictures a test states.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.metrics.measures import MeasuredMean
from harness.predictions import Predictions
from harness.registry import metric, task
from harness.settings import setting
from harness.task import Row, Task

from .render import RGB
from .scene import COLOURS as ALL_COLOURS
from .scene import SHAPES

USUAL: dict[str, str] = {
    "ball": "red", "box": "brown", "ring": "yellow", "star": "yellow", "moon": "white",
    "heart": "red", "sun": "yellow", "stick": "brown", "hat": "black", "lamp": "blue",
}  # fmt: skip
"""The colour in which the shipped diffusion model sees things of a shape, where the caption names none."""
COLOURS: tuple[str, ...] = tuple(name for name in ALL_COLOURS if name != "grey")
"""Grey is what other colours blend to at the borders of a thing of 16 pixels: no rule on pixels tells it apart."""
MIDDLE = 0.3  # half the side of the square in which a thing is looked for, as a share of the picture


def colour_of(picture: NDArray[np.uint8]) -> str:
    """The colour word (but for grey) that most pixels of the thing are nearest to.

    A thing's pixels are the 15% of the middle that differ most from the border of the picture.
    """
    side = picture.shape[0]
    image = picture.astype(np.float64) / 255
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    low, high = round(side * (0.5 - MIDDLE)), round(side * (0.5 + MIDDLE))
    middle = image[low:high, low:high].reshape(-1, 3)
    away = np.linalg.norm(middle - np.median(border, axis=0), axis=1)
    thing = middle[away >= np.quantile(away, 0.85)]
    distance = np.linalg.norm(thing[:, None] - np.array([RGB[name] for name in COLOURS])[None], axis=2)
    return COLOURS[int(np.bincount(distance.argmin(axis=1), minlength=len(COLOURS)).argmax())]


@metric("efficacy")
class Efficacy(MeasuredMean):
    """Share of drawings of the source text that have the new colour."""


@metric("generality")
class Generality(MeasuredMean):
    """Share of drawings of other texts about the same thing that have the new colour."""


@metric("specificity")
class Specificity(MeasuredMean):
    """Share of drawings of texts that are not meant which have the colour that was theirs before."""


@task("scene-edits", paper="arXiv:2303.08084", tags=("diffusion", "editing"))
class SceneEdits(Task):
    """Each shape's usual colour is to become another: 10 shapes x `colours` of the 6 others."""

    kind: ClassVar[str] = "editing"
    protocol: ClassVar[str] = "per_item"
    metrics = ("efficacy", "generality", "specificity")
    floor = 0.0

    colours: int = setting(2, at_least=1, at_most=6, help="new colours of each shape")
    noise_seeds: int = setting(8, at_least=1, help="drawings of each text (24 in the paper)")
    steps: int = setting(12, at_least=1, help="of denoising (50 in the paper)")
    guidance: float = setting(3.0, at_least=1.0, help="classifier-free guidance (7.5 in the paper)")

    def pool(self) -> Sequence[Row]:
        return []

    @functools.cached_property
    def _rows(self) -> list[Row]:
        rng = np.random.default_rng([self.version, 31])
        rows = []
        for number, shape in enumerate(SHAPES):
            others = [colour for colour in COLOURS if colour != USUAL[shape]]
            for index in rng.permutation(len(others))[: self.colours]:
                colour = others[int(index)]
                rows.append(Row(f"{shape}-{colour}", self._request(shape, colour, number), colour, cluster=shape))
        return rows

    def test(self) -> Sequence[Row]:
        return self._rows

    @staticmethod
    def _request(shape: str, colour: str, number: int) -> dict[str, Any]:
        """What a method is told, `source` and `destination`, and the texts that are asked about afterwards with the colours expected."""
        rest = [SHAPES[(number + step) % len(SHAPES)] for step in range(1, len(SHAPES))]
        unlike = [other for other in rest if USUAL[other] != colour][:3]
        named = next(name for name in COLOURS if name not in (colour, USUAL[shape]))
        return {
            "source": f"a {shape}",
            "destination": f"a {colour} {shape}",
            "positives": [f"{words} {shape}" for words in ("the", "one", "a big", "a huge", "the big")],
            "negatives": [
                *([f"a {other}", USUAL[other]] for other in unlike),
                [f"a {named} {shape}", named],
                [f"a {named} {unlike[0]}", named],
            ],
        }

    def ask(self, subject: Any, rows: Sequence[Row], run: Any = None) -> Predictions:
        """Let `subject` edit, draw all texts of each row, and judge their colours. Drawings start from the `noise` stream; every text of a
        row from the same starts, whatever the method."""
        rng = np.random.default_rng(0) if run is None else run.rng("noise", "drawings")
        return judged(subject, rows, self, [int(number) for number in rng.integers(2**31, size=self.noise_seeds)])


def judged(subject: Any, rows: Sequence[Row], task: SceneEdits, starts: Sequence[int]) -> Predictions:
    """Efficacy, generality and specificity of each edit, NaN where an edit has no such text."""
    found: dict[str, list[float]] = {"efficacy": [], "generality": [], "specificity": []}
    for row in rows:
        inputs = row.inputs
        subject.edit(row.example)
        asked = [("efficacy", inputs["source"], row.target)]
        asked += [("generality", text, row.target) for text in inputs["positives"]]
        asked += [("specificity", text, colour) for text, colour in inputs["negatives"]]
        texts = [text for _, text, _ in asked for _ in starts]
        drawn = subject.draw(texts, list(starts) * len(asked), steps=task.steps, guidance=task.guidance)
        right = np.array([colour_of(picture) for picture in drawn]).reshape(len(asked), len(starts))
        for name, numbers in found.items():
            hits = [right[i] == colour for i, (kind, _, colour) in enumerate(asked) if kind == name]
            numbers.append(float(np.mean(hits)) if hits else float("nan"))
    return Predictions(tuple(row.id for row in rows), measures={name: np.array(numbers) for name, numbers in found.items()})
