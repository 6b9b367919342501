"""How classes lie in the space that an adapted CLIP shares between images and texts (DAPT, arXiv 2309.03406, section 4.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from harness.method import Predictor
from harness.probe import Measured, Probe
from harness.registry import probe
from harness.settings import setting
from harness.task import TaskData

if TYPE_CHECKING:
    from harness.training import Run

NO_TEXTS = "it scores against no class texts"


@probe("text-distance", paper="arXiv:2309.03406", tags=("vision-language",))
class TextDistance(Probe):
    """Mean distance between the class texts' features, each of length 1."""

    def measure(self, predictor: Predictor, backbone: Any, data: TaskData, run: Run) -> Measured:
        if not hasattr(predictor, "features"):
            return Measured(None, NO_TEXTS)
        with torch.no_grad():
            _, texts = predictor.features([data.test[0].example])
        return Measured(float(torch.pdist(texts.float()).mean())) if len(texts) > 1 else Measured(None, "there is one class")


@probe("image-spread", paper="arXiv:2309.03406", tags=("vision-language",))
class ImageSpread(Probe):
    """Mean distance of test images' features, each of length 1, from the mean of their class."""

    examples: int = setting(200, at_least=2, help="test examples that are looked at, the first ones")

    def measure(self, predictor: Predictor, backbone: Any, data: TaskData, run: Run) -> Measured:
        if not hasattr(predictor, "features"):
            return Measured(None, NO_TEXTS)
        rows = data.test[: self.examples]
        with torch.no_grad():
            images = torch.cat([predictor.features([row.example for row in rows[i : i + 64]])[0] for i in range(0, len(rows), 64)]).float()
        gold = torch.tensor([row.target for row in rows], device=images.device)
        away = [(images[gold == label] - images[gold == label].mean(dim=0)).norm(dim=1) for label in gold.unique()]
        return Measured(float(torch.cat(away).mean()))
