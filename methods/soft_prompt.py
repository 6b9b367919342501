"""Soft prompts: the base of every method whose trained part is a prompt matrix in front of the embedded text.

A subclass says where the prompt comes from (`prompt`); injection, training, read-out, saving and counting are shared.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from harness.backbones.injection import Injection
from harness.gradient import Attached, GradientMethod
from harness.settings import choice, setting
from harness.task import Task, TaskData

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.training import Run


class Prompt(nn.Module):
    """A trainable prompt matrix; called, it gives [length, width]."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.matrix = nn.Parameter(start.clone())

    def forward(self) -> Tensor:
        return self.matrix


class SoftPrompt(GradientMethod):
    """Base of prompt methods: `prompt(backbone, run)` returns a module that, called, gives the prompt [length, width]."""

    length: int = setting(20, at_least=1, search=choice(5, 10, 20, 50), help="prompt vectors")

    @abstractmethod
    def prompt(self, backbone: Backbone, data: TaskData, run: Run) -> nn.Module:
        raise NotImplementedError

    def attach(self, backbone: Backbone, data: TaskData, run: Run) -> Attached:
        prompt = self.prompt(backbone, data, run)
        return Attached(backbone, prompt, lambda examples: Injection(prompt=prompt()))

    def trainable_parameters(self, backbone: Backbone, task: Task) -> int:
        return self.length * backbone.width


def uniform_start(length: int, width: int, generator: torch.Generator, bound: float = 0.5) -> Tensor:
    """[length, width] uniform in [-bound, bound]: the random start of Lester et al. (2021)."""
    return (torch.rand(length, width, generator=generator) * 2 - 1) * bound
