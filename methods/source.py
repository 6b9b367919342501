"""Source: the pretrained classifier as it is, with the statistics it was trained with. What every test-time adaptation must beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.methods.test_time import SourcePredictor, StreamMethod

from harness.registry import method
from harness.task import Task

if TYPE_CHECKING:
    from harness.backbones.convnet import ConvNet


@method("source", needs=("class_logits",), tags=("vision", "test-time", "baseline"))
class Source(StreamMethod):
    """The model's own head, unadapted."""

    def start(self, backbone: ConvNet, task: Task) -> SourcePredictor:
        return SourcePredictor(backbone, task)
