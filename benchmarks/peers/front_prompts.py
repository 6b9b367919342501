"""Prompt methods as peft places them: in front of the whole input, where the harness puts them behind the first special token.

For benchmarks/training.py, so that the two sides compute the same losses.
"""

from __future__ import annotations

from harness.methods.p_tuning import PTuning
from harness.methods.prompt_tuning import PromptTuning

from harness.backbones.backbone import Backbone
from harness.backbones.injection import Injection
from harness.gradient import Attached
from harness.registry import method
from harness.task import TaskData
from harness.training import Run


@method("front-prompt-tuning", needs=("prompt_injection",), tags=("benchmark",))
class FrontPromptTuning(PromptTuning):
    """prompt-tuning with its vectors in front."""

    def attach(self, backbone: Backbone, data: TaskData, run: Run) -> Attached:
        prompt = self.prompt(backbone, data, run)
        return Attached(backbone, prompt, lambda examples: Injection(prompt=prompt(), position="front"))


@method("front-p-tuning", needs=("prompt_injection",), tags=("benchmark",))
class FrontPTuning(PTuning):
    """p-tuning with its vectors in front."""

    def attach(self, backbone: Backbone, data: TaskData, run: Run) -> Attached:
        prompt = self.prompt(backbone, data, run)
        return Attached(backbone, prompt, lambda examples: Injection(prompt=prompt(), position="front"))
