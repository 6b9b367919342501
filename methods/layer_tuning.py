"""Layer tuning: the base of methods that change modules or weights inside a fork of the backbone.

A fork has its own module structure and shares the frozen weights with the original, which stays bitwise unchanged.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import nn

from harness.gradient import Attached, GradientMethod, Parts
from harness.task import TaskData

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.training import Run


class LayerMethod(GradientMethod):
    """Base: `insert(fork, run)` changes the fork and returns its trained parameters by name."""

    training_mode: ClassVar[bool] = False  # dropout on while training

    @staticmethod
    def copied(name: str) -> bool:
        """Whether the fork gets its own copy of the weight called `name`, to be trained; the others are shared and frozen."""
        return False

    @abstractmethod
    def insert(self, fork: Backbone, run: Run) -> dict[str, nn.Parameter]:
        raise NotImplementedError

    def attach(self, backbone: Backbone, data: TaskData, run: Run) -> Attached:
        fork = backbone.fork(copy_weights=self.copied)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.streams.integer("init"))  # libraries draw initial weights from the global generator
            parameters = self.insert(fork, run)
        return Attached(fork, Parts(parameters), training_mode=self.training_mode)


def trained(fork: Backbone, wanted: Callable[[str], bool]) -> dict[str, nn.Parameter]:
    """The fork's parameters whose names are `wanted`, switched on; they must be copies of its own."""
    chosen = {name: parameter for name, parameter in fork.model.named_parameters() if wanted(name)}
    for parameter in chosen.values():
        parameter.requires_grad_(True)
    return chosen


def insert_peft(fork: Backbone, config: Any) -> dict[str, nn.Parameter]:
    """Let peft put its layers into the fork; returns the parameters it added."""
    from peft import inject_adapter_in_model

    before = {id(parameter) for parameter in fork.model.parameters()}
    inject_adapter_in_model(config, fork.model)
    added = {name: parameter for name, parameter in fork.model.named_parameters() if id(parameter) not in before}
    for parameter in fork.model.parameters():
        parameter.requires_grad_(id(parameter) not in before)
    return added


def module_names(fork: Backbone, paths: Iterable[str], side: Literal["encoder", "decoder"] = "encoder") -> list[str]:
    """Full names in the model of the modules at `paths` of every layer: exact, where peft's suffix matching would catch others too."""
    names = {id(module): name for name, module in fork.model.named_modules()}
    return [names[id(layer.get_submodule(path))] for layer in fork.layer_modules(side) for path in paths]


def shape_of(module: nn.Module) -> tuple[int, int]:
    """(inputs, outputs) of a linear layer, or of GPT-2's transposed one."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    weight = module.get_parameter("weight")
    return int(weight.shape[0]), int(weight.shape[1])
