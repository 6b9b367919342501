"""DePT: decomposed prompt tuning (Shi and Lipani, arXiv 2309.05173).

Part of the numbers of a soft prompt are spent on a low-rank update of the text's own embeddings: `kept` prompt vectors, and A B added to
the embeddings by position, A [positions, rank], B [rank, width]. The rank is what the budget of a prompt of `length` vectors leaves:
kept width + rank (positions + width) <= length width, equal wherever positions + width divides. Prompt and update learn at rates of their own.
Nearest neighbours: prompt-tuning (what it starts as, with `kept` vectors, since B starts at 0), lopt (low rank in the prompt itself).
Departs from the paper: its texts are cut at `positions` tokens, ours are not and tokens behind have no update; the encoder's special
tokens count as positions; `scale` follows the released code, alpha / sqrt(rank), where the paper writes none (`scaled: false`). Rates are
ours: the paper searches 0.3 to 0.5 for the prompt and 1e-4 to 5e-3 for the update on T5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from harness.methods.soft_prompt import SoftPrompt
from torch import Tensor, nn

from harness.backbones.injection import Injection
from harness.claims import Arm, Cost, Exact, Scores, Shape, Sizes
from harness.errors import InputError
from harness.gradient import Attached
from harness.registry import method
from harness.settings import choice, log_uniform, setting
from harness.task import Example, Row, Task, TaskData

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.training import Run


class Decomposed(nn.Module):
    """prompt [kept, width], a [positions, rank], b [rank, width]; `update` is scale a b."""

    def __init__(self, prompt: Tensor, positions: int, rank: int, scale: float, generator: torch.Generator) -> None:
        super().__init__()
        self.prompt, self.scale = nn.Parameter(prompt), scale
        bound = 1 / math.sqrt(max(rank, 1))  # Kaiming uniform with a = sqrt(5): 1 / sqrt(fan in)
        self.a = nn.Parameter((torch.rand(positions, rank, generator=generator) * 2 - 1) * bound)
        self.b = nn.Parameter(torch.zeros(rank, prompt.shape[1]))

    def update(self) -> Tensor:
        return self.scale * (self.a @ self.b)


@method("dept", paper="arXiv:2309.05173", needs=("prompt_injection",), tags=("text", "soft-prompt"))
class DePT(SoftPrompt):
    """A shorter prompt and a low-rank update of the text's embeddings, in the numbers of a prompt of `length` vectors."""

    small: ClassVar[Mapping[str, Any]] = {"length": 10, "kept": 2, "positions": 16, "steps": 4}

    length: int = setting(20, at_least=2, help="vectors of the prompt whose numbers are spent")
    kept: int = setting(8, at_least=1, search=choice(4, 8, 12), help="prompt vectors that are left; below length")
    positions: int = setting(128, at_least=1, help="tokens of the text that have an update")
    learning_rate: float = setting(3e-2, above=0, search=log_uniform(1e-3, 0.5), help="of the prompt")
    update_rate: float = setting(1e-3, above=0, search=log_uniform(1e-4, 1e-2), help="of the update's two factors")
    alpha: float = setting(8.0, above=0, help="the update is multiplied by alpha / sqrt(rank)")
    scaled: bool = setting(True, help="false: no factor, as the paper writes it")

    def rank(self, width: int) -> int:
        """The largest rank that the budget leaves."""
        rank = (self.length - self.kept) * width // (self.positions + width)
        if rank < 1:
            expected = f"less than {self.length} - {(self.positions + width) / width:.3g}, which leaves a rank of 1"
            raise InputError(f"{self.kept} vectors leave nothing for an update", key="kept", expected=expected)
        return rank

    def attach(self, backbone: Backbone, data: TaskData, run: Run) -> Attached:
        prompt = backbone.sample_word_embeddings(self.kept, run.rng("init"))
        rank = self.rank(backbone.width)
        scale = self.alpha / math.sqrt(rank) if self.scaled else 1.0
        parts = Decomposed(prompt, self.positions, rank, scale, run.generator("update"))

        def injection(examples: Sequence[Example | Row]) -> Injection:
            return Injection(prompt=parts.prompt, embedding_update=parts.update())

        return Attached(backbone, parts, injection)

    def groups(self, attached: Attached) -> list[dict[str, Any]]:
        parts = attached.parts
        assert isinstance(parts, Decomposed)
        return [
            {"params": [parts.prompt], "lr": self.learning_rate, "weight_decay": self.weight_decay},
            {"params": [parts.a, parts.b], "lr": self.update_rate, "weight_decay": self.weight_decay},
        ]

    def trainable_parameters(self, backbone: Backbone, task: Task) -> int:
        return self.kept * backbone.width + self.rank(backbone.width) * (self.positions + backbone.width)


_T5 = Shape("t5-base", width=768, layers=12)
_PAPER = {"length": 100, "kept": 40, "positions": 256}

claims = [
    Exact(
        "equal-parameters",
        "40 vectors and an update of rank 45 over 256 positions train what 100 vectors train on T5-base: 76,800 numbers",
        measure="trainable_parameters",
        arm=Arm("dept", _PAPER),
        against=Arm("prompt-tuning", {"length": 100}),
        at=_T5,
        equals=Fraction(1),
        stand_in="tests/methods/test_dept.py::test_the_rank_spends_the_budget",
    ),
    Exact(
        "starts-as-the-shorter-prompt",
        "with B = 0 the model answers as prompt tuning with `kept` vectors does",
        measure="start_difference",
        arm=Arm("dept", {"length": 10, "kept": 4, "positions": 16}),
        against=Arm("prompt-tuning", {"length": 4}),
        equals=Fraction(0),
        stand_in="tests/methods/test_dept.py::test_an_update_of_zero_changes_nothing",
    ),
    Cost(
        "fewer-tokens",
        "a step reads (kept + text) / (length + text) of prompt tuning's tokens: 79/114 at 15 of 50 vectors and 64 tokens",
        measure="step_tokens",
        arm=Arm("dept", {"length": 50, "kept": 15, "positions": 64}),
        against=Arm("prompt-tuning", {"length": 50}),
        at=Sizes(width=64, tokens=64),
        equals=Fraction(79, 114),
        stand_in="tests/methods/test_dept.py::test_the_rank_spends_the_budget",
    ),
    Cost(
        "a-fifth-fewer-flops",
        "training costs at least 20% less than prompt tuning at equal numbers of parameters, here in FLOPs of a step",
        measure="step_flops",
        arm=Arm("dept", {"length": 50, "kept": 15, "positions": 64}),
        against=Arm("prompt-tuning", {"length": 50}),
        at=Sizes(width=64, tokens=64),
        at_most=Fraction(4, 5),
    ),
    Cost(
        "a-fifth-less-memory",
        "memory falls by at least 20% at equal numbers of parameters, here in bytes saved for the backward pass of a step",
        measure="step_saved_bytes",
        arm=Arm("dept", {"length": 50, "kept": 15, "positions": 64}),
        against=Arm("prompt-tuning", {"length": 50}),
        at=Sizes(width=64, tokens=64),
        at_most=Fraction(4, 5),
    ),
    Scores(
        "not-worse-than-prompt-tuning",
        "DePT is at least as accurate as prompt tuning with as many parameters",
        arm=Arm("dept"),
        against=Arm("prompt-tuning"),
        relation="not_worse",
        margin=0.02,
        tasks=("world-sentiment", "world-topic"),
        backbone="tiny-encoder-decoder",
        stand_in="tests/methods/test_dept.py::test_an_update_of_zero_changes_nothing",
    ),
]
