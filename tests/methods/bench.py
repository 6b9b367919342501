"""A backbone, drawn rows and a run of one seed, for tests of single methods."""

from __future__ import annotations

from harness.backbones.backbone import Backbone
from harness.costs import Meter
from harness.seeds import Streams
from harness.task import Shots, TaskData, draw
from harness.training import Budget, Run

from .conftest import SmallTask

STREAMS = ("data", "demos", "init", "order", "noise")


def ready(
    backbone: Backbone, task: SmallTask, *, seed: int = 0, per_class: int = 4, dev: int = 0, budget: Budget | None = None
) -> tuple[Backbone, TaskData, Run]:
    run = Run(Streams({name: seed for name in STREAMS}), meter=Meter(), budget=budget)
    backbone.meter = run.meter
    data = draw(task, run.rng("data", task.name), train=Shots(per_class=per_class), dev=Shots(per_class=dev))
    return backbone, data, run
