"""Gated prompt tuning (Yoo et al. 2023, arXiv 2306.05067): one set of visual prompts, and a learned gate a block that says how much the
block may change them; attention of every block has a learned temperature.

With Q what block i makes of its prompts P, the next block is given g Q + (1 - g) P, g = sigmoid(gamma_i): a shut gate carries the prompts
past the block unchanged, though its patches have attended to them. The last block has no gate. Attention logits of block i are divided
by tau_i, kept within 0.01 and 10 before every forward pass. Trained: prompts, L - 1 gammas, L taus and a linear head.
Nearest neighbours: vpt-shallow (all gates open and all temperatures 1: exactly that), vpt-deep.
Departs from the paper: AdamW, and 10 prompts rather than up to 100. From the authors' code, where the paper is silent: gammas start at
-5 (the README's run), prompts are dropped out at the input only, a masked autoencoder is read by the mean over prompts and patches.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from harness.methods.visual_prompt_tuning import VisualPromptMethod, VisualPrompts
from torch import Tensor, nn

from harness.backbones.block_prompts import BlockPrompts
from harness.claims import Arm, Exact, Scores, Shape
from harness.gradient import Adapted, Attached
from harness.method import Predictor
from harness.registry import method
from harness.settings import setting
from harness.task import Task, TaskData

if TYPE_CHECKING:
    from harness.backbones.vision_transformer import VisionTransformer
    from harness.training import Run

LOWEST, HIGHEST = 0.01, 10.0  # of a temperature


class GatedPrompts(VisualPrompts):
    """Prompts with gammas [L - 1] and temperatures [L]."""

    def __init__(self, start: Tensor, dropout: float, noise: torch.Generator, layers: int, gate_start: float) -> None:
        super().__init__(start, dropout, noise)
        self.gammas = nn.Parameter(torch.full((layers - 1,), gate_start))
        self.temperatures = nn.Parameter(torch.ones(layers))

    def forward(self, examples: int) -> BlockPrompts:
        with torch.no_grad():
            self.temperatures.clamp_(LOWEST, HIGHEST)
        return BlockPrompts(self.dropped(examples)[0], gates=self.gammas.sigmoid(), temperatures=self.temperatures)


@method("gated-prompt-tuning", paper="arXiv:2306.05067", needs=("block_prompts",), tags=("vision", "soft-prompt"))
class GatedPromptTuning(VisualPromptMethod):
    """length x width + (layers - 1) + layers trained numbers."""

    small: ClassVar[Mapping[str, Any]] = {"length": 3, "steps": 4, "gate_start": 0.0}

    gate_start: float = setting(-5.0, help="gammas before training; 5 lets nearly all through")
    gate_rate: float = setting(1e-2, above=0, help="learning rate of gammas and temperatures")

    def parts(self, backbone: VisionTransformer, start: Tensor, noise: torch.Generator) -> VisualPrompts:
        return GatedPrompts(start, self.dropout, noise, backbone.layers, self.gate_start)

    def adapt(self, backbone: VisionTransformer, data: TaskData, run: Run) -> Predictor:
        model = super().adapt(backbone, data, run)
        assert isinstance(model, Adapted)
        with torch.no_grad():
            found: Any = model.attached.injection([])
        for name in ("gates", "temperatures"):
            run.notes[name] = [round(value, 4) for value in getattr(found, name).tolist()]
        return model

    def groups(self, attached: Attached) -> list[dict[str, Any]]:
        named = dict(attached.parts.named_parameters())
        prompts = named.pop("prompts")
        return [
            {"params": [prompts], "lr": self.learning_rate, "weight_decay": self.weight_decay},
            {"params": list(named.values()), "lr": self.gate_rate, "weight_decay": 0.0},
        ]

    def trainable_parameters(self, backbone: VisionTransformer, task: Task) -> int:
        return super().trainable_parameters(backbone, task) + 2 * backbone.layers - 1


_OPEN = {"gate_start": 1000.0}  # a gate of exactly 1 in single precision

claims = [
    Exact(
        "open-gates-are-vpt-shallow",
        "with all gates open and all temperatures 1, gated prompt tuning is VPT-shallow: before training its label scores are bitwise those",
        measure="start_difference",
        arm=Arm("gated-prompt-tuning", _OPEN),
        against=Arm("vpt-shallow"),
        family="vision_transformer",
        equals=Fraction(0),
    ),
    Exact(
        "extra-parameters",
        "beside VPT-shallow's 100 prompts of a ViT-B it trains 11 gates and 12 temperatures",
        measure="trainable_parameters",
        arm=Arm("gated-prompt-tuning", {"length": 100}),
        against=Arm("vpt-shallow", {"length": 100}),
        at=Shape("ViT-B/16", width=768, layers=12),
        equals=Fraction(100 * 768 + 11 + 12, 100 * 768),
    ),
    Exact(
        "frozen",
        "no weight of the backbone changes",
        measure="changed_weights",
        arm=Arm("gated-prompt-tuning"),
        family="vision_transformer",
        equals=Fraction(0),
    ),
    Scores(
        "better-than-vpt-shallow",
        "on a masked autoencoder gated prompt tuning scores higher than VPT-shallow",
        arm=Arm("gated-prompt-tuning"),
        against=Arm("vpt-shallow"),
        relation="better",
        margin=0.02,
        tasks=("scene-shape", "digits"),
        backbone="tiny-vit-mae",
        settings={"test_rows": 200},
        stand_in="tests/harness/backbones/test_vision_transformer.py::test_shut_gates_give_every_block_the_first_prompts",
    ),
]
