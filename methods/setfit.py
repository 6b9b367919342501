"""SetFit: few-shot classification without prompts (Tunstall et al. 2022, arXiv 2209.11055).

A few labelled texts become many pairs: for each text `partners` of its own class and as many of the others, 2 x partners x texts in all.
All weights of the encoder are tuned so that the cosine of a pair's pooled features is 1 or 0 (mean squared error, one epoch); then a
logistic regression is fitted on the tuned features of the texts themselves. No template and no verbalizer.
Nearest neighbours: linear-probe (the same head on frozen features: what `partners: 0` is), full-fine-tuning (a head trained with the encoder).
Departs from the paper: the head standardises features, as linear-probe does; no text is its own partner, except in a class of one; texts are
cut at the model's length, not at 256 tokens; any backbone with features, where the paper takes sentence encoders. Rates in use range from
2e-5 (the library's) to 1e-3 (the paper's script): the search space. As in the paper nothing is selected on dev.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from harness.methods.linear_probe import LinearPredictor, LinearProbe
from torch import Tensor, nn
from torch.nn import functional

from harness.claims import Arm, Exact, Scores
from harness.errors import InputError
from harness.method import Method, Predictor
from harness.registry import method
from harness.settings import choice, log_uniform, setting
from harness.task import Row, Task, TaskData
from harness.text import plain_text

if TYPE_CHECKING:
    import numpy as np

    from harness.backbones.backbone import Backbone
    from harness.training import Run


class Pair(NamedTuple):
    """Two rows, and 1 where they are of one class, else 0."""

    first: Row
    second: Row
    same: float


def pairs_of(rows: Sequence[Row], partners: int, rng: np.random.Generator) -> list[Pair]:
    """2 x partners x len(rows) pairs, half of them of one class. Partners repeat only where a class has too few."""
    found = []
    for number, row in enumerate(rows):
        alike = [other for i, other in enumerate(rows) if i != number and other.target == row.target] or [row]
        unlike = [other for other in rows if other.target != row.target]
        if not unlike and partners:
            raise InputError("all rows are of one class, which leaves nothing to contrast", key="shots", expected="rows of two classes")
        for others, same in ((alike, 1.0), (unlike, 0.0)):
            chosen = rng.choice(len(others), size=partners, replace=partners > len(others)) if partners else ()
            found += [Pair(row, others[i], same) for i in chosen]
    return found


@method("setfit", paper="arXiv:2209.11055", needs=("tokens", "features", "layer_tuning"), tags=("text", "fine-tuning", "contrastive"))
class SetFit(Method):
    """Contrastive tuning of all encoder weights, then logistic regression."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)
    random: ClassVar[tuple[str, ...]] = ("data", "init", "order", "noise")
    uses_template: ClassVar[bool] = False
    small: ClassVar[Mapping[str, Any]] = {"partners": 1}

    partners: int = setting(20, at_least=0, search=choice(5, 10, 20), help="of a text's own class, and again of the others")
    epochs: int = setting(1, at_least=1, help="passes over the pairs, where the trial sets no budget")
    batch_size: int = setting(16, at_least=1, help="pairs")
    learning_rate: float = setting(3e-4, above=0, search=log_uniform(2e-5, 1e-3))
    weight_decay: float = setting(0.01, at_least=0)
    warmup: float = setting(0.1, at_least=0, below=1)
    c: float = setting(1.0, above=0, help="inverse strength of the head's L2 penalty")

    def adapt(self, backbone: Backbone, data: TaskData, run: Run) -> Predictor:
        fork, weights = _own_encoder(backbone)
        pairs = pairs_of(data.train, self.partners, run.rng("pairs"))
        run.notes["training_pairs"] = len(pairs)
        if pairs:
            self._tune(fork, weights, pairs, run)
        head = LinearProbe(c=self.c).adapt(fork, data, run)
        assert isinstance(head, LinearPredictor)
        return Tuned(fork, weights, head)

    def _tune(self, fork: Backbone, weights: Mapping[str, nn.Parameter], pairs: Sequence[Pair], run: Run) -> None:
        def loss(batch: Sequence[Pair]) -> Tensor:
            texts = [plain_text(row.inputs) for pair in batch for row in (pair.first, pair.second)]
            features = fork.features(texts)  # type: ignore[arg-type]
            cosines = functional.cosine_similarity(features[0::2], features[1::2])
            return functional.mse_loss(cosines, torch.tensor([pair.same for pair in batch], device=cosines.device).to(cosines))

        for weight in weights.values():
            weight.requires_grad_(True)
        fork.model.train()
        group = {"params": list(weights.values()), "lr": self.learning_rate, "weight_decay": self.weight_decay}
        steps = self.epochs * math.ceil(len(pairs) / self.batch_size)
        run.fit(loss, [group], pairs, batch_size=self.batch_size, steps=steps, warmup=self.warmup)
        fork.model.eval()
        for weight in weights.values():
            weight.requires_grad_(False)

    def restore(self, backbone: Backbone, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Predictor:
        fork, weights = _own_encoder(backbone)
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(tensors[f"encoder.{name}"])
        return Tuned(fork, weights, LinearPredictor(fork, tensors["weight"].numpy(), tensors["bias"].numpy()))

    def trainable_parameters(self, backbone: Backbone, task: Task) -> int:
        return sum(weight.numel() for weight in backbone.trunk.parameters())

    def head_parameters(self, backbone: Backbone, task: Task) -> int:
        return (backbone.width + 1) * len(task.labels)


def _own_encoder(backbone: Backbone) -> tuple[Backbone, dict[str, nn.Parameter]]:
    """A fork with its own copy of what turns texts into states, and those weights by name; heads and decoders stay shared."""
    encoder = {id(weight) for weight in backbone.trunk.parameters()}
    names = {name for name, weight in backbone.model.named_parameters() if id(weight) in encoder}
    fork = backbone.fork(copy_weights=names.__contains__)
    fork.identity = {}  # its features are not the original's: none may be remembered under that name
    return fork, {name: weight for name, weight in fork.model.named_parameters() if name in names}


class Tuned(LinearPredictor):
    """The head on the features of its own encoder."""

    def __init__(self, fork: Backbone, weights: Mapping[str, nn.Parameter], head: LinearPredictor) -> None:
        super().__init__(fork, head.weight, head.bias)
        self.weights = weights

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, facts = super().state()
        return {**tensors, **{f"encoder.{name}": weight for name, weight in self.weights.items()}}, facts


claims = [
    Exact(
        "pairs",
        "R partners of the same class and R of others make 2 R N pairs of N texts: 80 of 8 texts at R = 5",
        measure="training_pairs",
        arm=Arm("setfit", {"partners": 5}),
        equals=Fraction(80),
        stand_in="tests/methods/test_setfit.py::test_pairs_are_counted_and_balanced",
    ),
    Exact(
        "no-pairs-is-a-linear-probe",
        "without pairs what is left is the head on frozen features",
        measure="answer_difference",
        arm=Arm("setfit", {"partners": 0}),
        against=Arm("linear-probe"),
        equals=Fraction(0),
        stand_in="tests/methods/test_setfit.py::test_without_pairs_it_is_the_linear_probe",
    ),
    Scores(
        "better-than-fine-tuning-at-8-shots",
        "with 8 labelled texts a class SetFit is better than standard fine-tuning",
        arm=Arm("setfit"),
        against=Arm("full-fine-tuning"),
        relation="better",
        margin=0.02,
        tasks=("world-intent", "world-topic", "world-sentiment"),
        backbone="tiny-masked-lm",
        shots=8,
        stand_in="tests/methods/test_setfit.py::test_tuning_brings_a_class_together",
    ),
]
