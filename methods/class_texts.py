"""Answers by class texts: images are scored against a text of each class, as CLIP does (Radford et al. 2021, arXiv 2103.00020).

`zero-shot-clip` does just that. The base of the prompted methods trains vectors among the towers' tokens (`parts`), both towers frozen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.backbones.image_text import TowerPrompts
from harness.errors import InputError
from harness.gradient import dev_score
from harness.method import Method, Predictor
from harness.predictions import Predictions
from harness.registry import method
from harness.settings import log_uniform, setting
from harness.task import Example, Row, Task, TaskData
from harness.text import in_batches

if TYPE_CHECKING:
    from harness.backbones.image_text import ImageText
    from harness.training import Run


def class_texts(task: Task, pattern: str) -> list[str]:
    """One text a class: its label as words in the place of `{}`."""
    if "{}" not in pattern:
        raise InputError(f"{pattern!r} has no place for the class", key="class_text", expected="a text with {}, such as 'a photo of a {}'")
    return [pattern.replace("{}", label.replace("_", " ").replace("-", " ")) for label in task.labels]


class ClassTexts(Method):
    """Base: how class texts are written, and the predictor that scores against them."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)
    uses_template: ClassVar[bool] = False

    class_text: str = setting("a {}", help="text of a class; {} is its label")

    def predictor(self, backbone: ImageText, task: Task, parts: Mapping[str, Tensor]) -> Scored:
        return Scored(backbone, class_texts(task, self.class_text), parts)


class Scored(Predictor):
    """Log-probabilities over the class texts, with prompts `text` and `image` where `parts` has them."""

    def __init__(self, backbone: ImageText, texts: Sequence[str], parts: Mapping[str, Tensor]) -> None:
        self.backbone, self.texts, self.parts = backbone, list(texts), dict(parts)
        self.centres: Tensor | None = None  # what images are pulled to while training, [C, width]

    @property
    def prompts(self) -> TowerPrompts:
        return TowerPrompts(self.parts.get("text"), self.parts.get("image"))

    def features(self, rows: Sequence[Row | Example]) -> tuple[Tensor, Tensor]:
        """[B, width] of images and [C, width] of class texts, each of length 1; differentiable in the prompts."""
        images = self.backbone.features([self.backbone.read(row.inputs) for row in rows], injection=self.prompts)
        texts = self.backbone.text_features(self.texts, injection=self.prompts)
        return functional.normalize(images, dim=-1), functional.normalize(texts, dim=-1)

    def predict(self, examples: Sequence[Example]) -> Predictions:
        with torch.no_grad():
            texts = self.backbone.text_features(self.texts, injection=self.prompts)

        def score(batch: list[Example]) -> Tensor:
            images = self.backbone.features([self.backbone.read(example.inputs) for example in batch], injection=self.prompts)
            return torch.log_softmax(self.backbone.scores(images, texts).double(), dim=1)

        return Predictions(tuple(example.id for example in examples), scores=in_batches(examples, score))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {name: part.detach() for name, part in self.parts.items()}, {}


@method("zero-shot-clip", paper="arXiv:2103.00020", needs=("class_texts",), tags=("vision-language", "baseline", "zero-shot"))
class ZeroShotCLIP(ClassTexts):
    """The class whose text is nearest to the image; nothing is trained."""

    random: ClassVar[tuple[str, ...]] = ()

    def adapt(self, backbone: ImageText, data: TaskData, run: Run) -> Predictor:
        return self.predictor(backbone, data.task, {})

    def restore(self, backbone: ImageText, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Predictor:
        return self.predictor(backbone, data.task, {})


class TowerPrompting(ClassTexts):
    """Base of methods that train prompts of the towers: where they start, the loss, and the loop."""

    random: ClassVar[tuple[str, ...]] = ("data", "init", "order")
    small: ClassVar[Mapping[str, Any]] = {"steps": 3}

    learning_rate: float = setting(0.1, above=0, search=log_uniform(2e-3, 20.0))
    steps: int = setting(200, at_least=1, help="optimiser steps, where the trial sets no budget")
    batch_size: int = setting(32, at_least=1)
    warmup: float = setting(0.05, at_least=0, below=1, help="share of the steps with a rising learning rate")

    def sizes(self, backbone: ImageText) -> dict[str, tuple[int, int]]:
        """part -> (vectors, width) of those that are trained."""
        raise NotImplementedError

    def loss(self, model: Scored, rows: Sequence[Row]) -> Tensor:
        """[] cross-entropy over the class texts."""
        images, texts = model.features(rows)
        return self.cross_entropy(model, images, texts, rows)

    def cross_entropy(self, model: Scored, images: Tensor, texts: Tensor, rows: Sequence[Row]) -> Tensor:
        gold = torch.tensor([row.target for row in rows], device=model.backbone.device)
        return functional.cross_entropy(model.backbone.scores(images, texts).float(), gold)

    def prepare(self, model: Scored, data: TaskData) -> None:
        """What a loss needs of the backbone before anything is trained."""

    def adapt(self, backbone: ImageText, data: TaskData, run: Run) -> Predictor:
        parts = {name: nn.Parameter(start.to(backbone.device)) for name, start in self.start(backbone, run.generator("prompts")).items()}
        model = self.predictor(backbone, data.task, parts)
        if parts:
            self.prepare(model, data)
            group = {"params": list(parts.values()), "lr": self.learning_rate, "weight_decay": 0.0}
            run.fit(
                lambda rows: self.loss(model, rows),
                [group],
                data.train,
                batch_size=self.batch_size,
                steps=self.steps,
                warmup=self.warmup,
                optimiser="sgd",
                schedule="cosine",
                evaluate=(lambda: dev_score(model, data)) if data.dev else None,
            )
        return model

    def start(self, backbone: ImageText, generator: torch.Generator) -> dict[str, Tensor]:
        """Initial vectors: text N(0, 0.02^2); image U(-a, a) with a^2 = 6 / (3 p^2 + d) of patches of p pixels (VPT's Xavier bound)."""
        found = {}
        for name, (number, width) in self.sizes(backbone).items():
            if number and name == "text":
                found[name] = torch.randn(number, width, generator=generator) * 0.02
            elif number:
                bound = math.sqrt(6.0 / (3 * backbone.patch**2 + width))
                found[name] = (torch.rand(number, width, generator=generator) * 2 - 1) * bound
        return found

    def restore(self, backbone: ImageText, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Predictor:
        return self.predictor(backbone, data.task, {name: tensor.to(backbone.device) for name, tensor in tensors.items()})

    def trainable_parameters(self, backbone: ImageText, task: Task) -> int:
        return sum(number * width for number, width in self.sizes(backbone).values())
