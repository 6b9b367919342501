"""Linear head: a linear layer on the frozen backbone's pooled features, trained by gradient; nothing else is.

Nearest neighbours: linear-probe (the same model fitted to its optimum, on standardised features), full-fine-tuning. This one is
trained step by step, so that selections, wrappers and learning curves apply to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from harness.gradient import Attached, GradientMethod
from harness.registry import method
from harness.settings import log_uniform, setting
from harness.task import TaskData

if TYPE_CHECKING:
    from harness.training import Run


@method("linear-head", needs=("features",), tags=("text", "vision", "graph", "baseline", "frozen"))
class LinearHead(GradientMethod):
    """(width + 1) * classes trained numbers, all of them the head's."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification", "choice")
    readouts: ClassVar[tuple[str, ...]] = ("head",)
    uses_template: ClassVar[bool] = False
    small: ClassVar[Mapping[str, Any]] = {"steps": 4}

    head_rate: float = setting(1e-2, above=0, search=log_uniform(1e-3, 1e-1), help="learning rate of the head")

    def attach(self, backbone: Any, data: TaskData, run: Run) -> Attached:
        return Attached(backbone, nn.Module())
