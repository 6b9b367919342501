"""Activation density: the share of feed-forward activations above a threshold in magnitude, on test examples.

With threshold 0 it counts what is not exactly zero, as DEFT's evaluation does (arXiv 2402.01911): the mean over places, units,
examples and layers; of an encoder-decoder over all layers of both sides. GELU is exactly zero only below about -5.5, so a GELU model
needs a threshold to say anything. Departs from the released code: padding does not count (`padding: true` counts it), so that
the value does not depend on how examples are batched. `parts` are the layers.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.backbones.activations import Side, per_example, watched
from harness.method import Predictor
from harness.probe import Measured, Probe, adapted_backbone
from harness.registry import probe
from harness.settings import setting
from harness.task import TaskData

if TYPE_CHECKING:
    from harness.training import Run


@probe("activation-density", paper="arXiv:2402.01911", tags=("text", "sparsity"))
class ActivationDensity(Probe):
    """Share of feed-forward activations o with |o| > threshold."""

    threshold: float = setting(0.0, at_least=0, help="magnitudes up to it count as zero")
    examples: int = setting(64, at_least=1, help="test examples that are looked at, the first ones")
    padding: bool = setting(False, help="whether padding counts")

    def measure(self, predictor: Predictor, backbone: Any, data: TaskData, run: Run) -> Measured:
        adapted = adapted_backbone(predictor, backbone)
        found: dict[tuple[Side, int], list[Tensor]] = defaultdict(list)

        def watch(side: Side, layer: int, activations: Tensor) -> None:
            dense = (activations.abs() > self.threshold).float()
            found[side, layer].append(per_example(dense, getattr(adapted, "seen", None), padding=self.padding))

        with torch.no_grad(), watched(adapted, watch):
            predictor.predict([row.example for row in data.test[: self.examples]])
        if not found:
            return Measured(None, "no feed-forward layer ran while it answered")
        layers = {f"{side} {layer}": float(torch.cat(values).mean()) for (side, layer), values in found.items()}
        return Measured(sum(layers.values()) / len(layers), parts=layers)
