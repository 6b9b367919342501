"""Visual prompt tuning (Jia et al. 2022, arXiv 2203.12119): vectors among the patches of a frozen vision transformer, and a linear head.

VPT-shallow has prompts at the input alone, which travel through all blocks; VPT-deep has prompts of its own for every block, which replace
what the block before made of its prompts. Start, dropout and place (behind the class token) are those of the authors' code: uniform
within +-sqrt(6 / (3 patch^2 + width)), which is Xavier's bound of the patch embedding.
Nearest neighbours: prompt-tuning and deep-prompts (for text), gated-prompt-tuning (prompts at the input, gated between blocks).
Departs from the paper: AdamW where it has SGD with momentum, 10 prompts where it tries 1 to 200. A supervised ViT is read by its class
token as there; a masked autoencoder by the mean over all other tokens, the prompts among them, as the code of gated-prompt-tuning does
for every prompt method it compares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from harness.backbones.block_prompts import BlockPrompts
from harness.claims import Arm, Exact, Shape
from harness.gradient import Adapted, Attached, GradientMethod
from harness.registry import method
from harness.settings import choice, log_uniform, setting
from harness.task import Task, TaskData

if TYPE_CHECKING:
    from harness.backbones.vision_transformer import VisionTransformer
    from harness.outcome import Media
    from harness.task import Example, Row
    from harness.training import Run


class VisualPrompts(nn.Module):
    """prompts [places, P, width]: the input's, and those of later blocks where there are any. Called, it gives what is injected."""

    def __init__(self, start: Tensor, dropout: float, noise: torch.Generator, at: int = 0) -> None:
        super().__init__()
        self.prompts = nn.Parameter(start)
        self.dropout, self.noise, self.at = dropout, noise, at

    def dropped(self, examples: int) -> Tensor:
        """[places, P, width], or [places, B, P, width] with every number dropped by itself while gradients are wanted."""
        if not self.dropout or not torch.is_grad_enabled():
            return self.prompts
        places, length, width = self.prompts.shape
        drawn = torch.rand(places, examples, length, width, generator=self.noise).to(self.prompts.device)
        return self.prompts[:, None] * (drawn >= self.dropout) / (1 - self.dropout)

    def forward(self, examples: int) -> BlockPrompts:
        first, *later = self.dropped(examples)
        return BlockPrompts(first, at=self.at, each=torch.stack(later) if later else None)


class VisualPrompted(Adapted):
    """A prompted vision transformer, which can show what its class token looks at."""

    def pictures(self, examples: Sequence[Example]) -> list[Media]:
        from harness.methods.attention_pictures import attention_pictures

        return attention_pictures(self, examples)


class VisualPromptMethod(GradientMethod):
    """Base of prompt methods on vision transformers. places : at how many inputs prompts stand."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)
    readouts: ClassVar[tuple[str, ...]] = ("head",)
    random: ClassVar[tuple[str, ...]] = ("data", "init", "order", "noise")
    uses_template: ClassVar[bool] = False
    small: ClassVar[Mapping[str, Any]] = {"length": 3, "steps": 4}
    module: ClassVar[type[VisualPrompts]] = VisualPrompts

    learning_rate: float = setting(1e-2, above=0, search=log_uniform(1e-3, 1e-1))
    length: int = setting(10, at_least=1, search=choice(1, 5, 10, 20), help="prompt vectors at every place")
    dropout: float = setting(0.1, at_least=0, below=1, help="share of the prompts' numbers that are 0 in a training step")

    def places(self, backbone: VisionTransformer) -> int:
        return 1

    def parts(self, backbone: VisionTransformer, start: Tensor, noise: torch.Generator) -> VisualPrompts:
        return VisualPrompts(start, self.dropout, noise)

    def attach(self, backbone: VisionTransformer, data: TaskData, run: Run) -> Attached:
        bound = math.sqrt(6 / (3 * backbone.patch[0] * backbone.patch[1] + backbone.width))
        shape = (self.places(backbone), self.length, backbone.width)
        start = (torch.rand(shape, generator=run.generator()) * 2 - 1) * bound
        parts = self.parts(backbone, start, run.generator("noise"))

        def injection(examples: Sequence[Example | Row]) -> Any:
            return parts(len(examples))

        return Attached(backbone, parts, injection)

    def _assemble(self, backbone: VisionTransformer, data: TaskData, run: Run) -> Adapted:
        made = super()._assemble(backbone, data, run)
        return VisualPrompted(made.attached, made.task, run.template, made.head, origin=made.origin)

    def trainable_parameters(self, backbone: VisionTransformer, task: Task) -> int:
        return self.places(backbone) * self.length * backbone.width


@method("vpt-shallow", paper="arXiv:2203.12119", needs=("block_prompts",), tags=("vision", "soft-prompt"))
class VPTShallow(VisualPromptMethod):
    """length x width trained numbers at the input, or before a later block."""

    block: int = setting(0, at_least=0, help="the block before which the prompts enter; 0 is the input")

    def parts(self, backbone: VisionTransformer, start: Tensor, noise: torch.Generator) -> VisualPrompts:
        return VisualPrompts(start, self.dropout, noise, at=self.block)


@method("vpt-deep", paper="arXiv:2203.12119", needs=("block_prompts",), tags=("vision", "soft-prompt"))
class VPTDeep(VisualPromptMethod):
    """layers x length x width trained numbers."""

    def places(self, backbone: VisionTransformer) -> int:
        return backbone.layers


claims = [
    Exact(
        "parameters-of-deep",
        "VPT-deep trains prompts for every block: 12 times VPT-shallow's on a ViT-B",
        measure="trainable_parameters",
        arm=Arm("vpt-deep"),
        against=Arm("vpt-shallow"),
        at=Shape("ViT-B/16", width=768, layers=12),
        equals=Fraction(12),
    ),
    Exact(
        "parameters-of-shallow",
        "50 prompts of a ViT-B are 0.04% of its 86 million weights: 38,400 numbers",
        measure="trainable_parameters",
        arm=Arm("vpt-shallow", {"length": 50}),
        at=Shape("ViT-B/16", width=768, layers=12),
        equals=Fraction(38400),
    ),
    Exact(
        "frozen",
        "no weight of the backbone changes",
        measure="changed_weights",
        arm=Arm("vpt-deep"),
        family="vision_transformer",
        equals=Fraction(0),
    ),
]
