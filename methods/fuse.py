"""Fuse: the mean of several fine-tuned models' weights is a better model to start from (Choshen et al. 2022, arXiv 2204.03044).

A recipe: one backbone is fully fine-tuned on each source task by ordinary trials; the product is theta = sum w_i theta_i over all of its
parameters, w_i = 1/n unless `weights` says otherwise. Heads of the sources are left behind. No source data is needed by who uses the product.
Intertraining is one source. With `others`, the target of the trial that asks is left out of the sources, as the paper's leave-one-out does;
without it a target among the sources is refused. `starts: apart` is the negative control: every source is trained from random weights of its own.
Departs from the paper: encoder or causal models as well as T5; sources have `shots` rows of each class and `steps` steps, not whole data sets.
The released code weighs only the models after the first; here every weight counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.artifacts import Inputs, Recipe, source_trial
from harness.backbones.capabilities import Family
from harness.backbones.describe import describe, from_text
from harness.claims import Arm, Scores
from harness.errors import InputError
from harness.registry import recipe
from harness.settings import setting

if TYPE_CHECKING:
    from harness.artifact_inputs import Given
    from harness.training import Run


@recipe("fuse", paper="arXiv:2204.03044", tags=("text", "fusion"))
class Fuse(Recipe):
    """The mean of models fine-tuned on the source tasks."""

    base: str = setting("tiny-masked-lm", help="what the sources are fine-tuned from: a registered backbone, a hub id or a folder")
    sources: list = setting([], help="names of the source tasks")  # type: ignore[type-arg]
    others: bool = setting(False, help="leave the trial's own task out of the sources")
    weights: list | None = setting(None, help="of the sources, in their order; None: equal ones")  # type: ignore[type-arg]
    starts: str = setting("common", one_of=("common", "apart"), help="apart: every source from random weights of its own")
    shots: int = setting(32, at_least=1, help="rows of each class of a source")
    steps: int = setting(60, at_least=1, help="of each source's fine-tuning")
    learning_rate: float = setting(3e-4, above=0)

    def facing(self, task: str) -> Fuse:
        if not self.others:
            return self
        kept = [place for place, name in enumerate(self.sources) if name != task]
        weights = None if self.weights is None else [self.weights[place] for place in kept]
        return Fuse(**{**self.config, "others": False, "sources": [self.sources[place] for place in kept], "weights": weights})

    def made_family(self) -> Family:
        return describe(from_text(self.base), fetch=False).family

    def shares(self) -> list[float]:
        """Of each source, summing to 1."""
        given = self.weights if self.weights is not None else [1.0] * len(self.sources)
        good = len(given) == len(self.sources) and all(isinstance(w, (int, float)) and w >= 0 for w in given) and sum(given) > 0
        if not self.sources or not good:
            raise InputError(
                f"{len(self.sources)} sources with weights {given}", key="sources", expected="sources, with a weight of 0 or more each"
            )
        return [float(weight) / sum(given) for weight in given]

    def inputs(self, backbone: Mapping[str, Any] | None, seed: int) -> Inputs:
        from harness import catalog

        self.shares()
        base = from_text(self.base)
        starts = [base if self.starts == "common" else {**base, "untrained": 1000 * (seed + 1) + n} for n in range(len(self.sources))]
        config = catalog.load("method", "full-fine-tuning")(steps=self.steps, learning_rate=self.learning_rate).config
        made = (
            source_trial(name, backbone=start, method="full-fine-tuning", config=config, train=self.shots, seed=seed)
            for name, start in zip(self.sources, starts)
        )
        return Inputs(backbones=(base,), trials=tuple(made))

    def build(self, given: Given, run: Run, out: Path, checkpoints: Sequence[int]) -> None:
        backbone = given.backbone()
        names = sorted(name for name, _ in backbone.model.named_parameters())  # the order in which a fine-tuning stores them
        fused = mean([given.adapted(number).tensors for number in range(len(self.sources))], self.shares(), names)
        fork = backbone.fork(copy_weights=True)
        with torch.no_grad():
            for name, parameter in fork.model.named_parameters():
                parameter.copy_(fused[name])
        fork.core.save_pretrained(out / "model")
        fork.tokenizer.save_pretrained(out / "model")


def mean(models: Sequence[Mapping[str, Tensor]], shares: Sequence[float], names: Sequence[str]) -> dict[str, Tensor]:
    """Weighted mean of stored fine-tunings, by parameter name; summed in float64, so that the order does not show in float32."""
    found: dict[str, Tensor] = {}
    for place, name in enumerate(names):
        parts = [model[f"parts.p{place}"] for model in models]
        total = torch.stack([share * part.double() for share, part in zip(shares, parts)]).sum(dim=0)
        found[name] = total.to(parts[0].dtype)
    return found


SOURCES = ["world-stars", "world-subjectivity", "world-acceptability", "world-intent"]
TARGETS = ("world-sentiment", "world-topic")
FUSED: dict[str, Any] = {"recipe": "fuse", "config": {"sources": SOURCES}, "label": "fused"}
claims = [
    Scores(
        "better-than-pretrained",
        "a fused model is a better start than the pretrained one, on average over targets",
        arm=Arm("linear-probe", backbone=FUSED),
        against=Arm("linear-probe"),
        relation="better",
        margin=0.02,
        tasks=TARGETS,
        backbone="tiny-masked-lm",
        stand_in="tests/methods/test_fuse.py::test_fusing_is_the_weighted_mean",
    ),
    Scores(
        "needs-a-common-start",
        "models that did not start from the same weights cannot be fused",
        arm=Arm("linear-probe", backbone=FUSED),
        against=Arm("linear-probe", backbone={"recipe": "fuse", "config": {"sources": SOURCES, "starts": "apart"}, "label": "apart"}),
        relation="better",
        margin=0.02,
        tasks=TARGETS,
        backbone="tiny-masked-lm",
        stand_in="tests/methods/test_fuse.py::test_the_control_starts_apart",
    ),
]
