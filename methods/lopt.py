"""LoPT: soft prompts of low rank (arXiv 2406.19486).

The prompt matrix X [length, width] is a product of rank r. `factors` (LoPT-1): X = U V, r (length + width) trained numbers.
`nonlinear` (LoPT-2): X = s(X0 U) V over a frozen matrix X0 of word embeddings, 2 r width trained numbers whatever the length.
Nearest neighbours: prompt-tuning (full rank; what LoPT-1 starts as when rank = length), dept (low rank in the text's embeddings).
Departs from the paper: the nonlinearity s is not named there, so ReLU here and `activation` for others; U and V share the square
roots of the singular values, where the paper does not say how they are split. The factors are kept after training, not X, so that
training can go on; inference needs X alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from harness.methods.soft_prompt import SoftPrompt
from torch import Tensor, nn

from harness.claims import Arm, Exact, Scores, Shape
from harness.errors import InputError
from harness.registry import method
from harness.settings import choice, log_uniform, setting
from harness.task import Task, TaskData

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.training import Run


class LowRank(nn.Module):
    """U V: [length, rank] times [rank, width]."""

    def __init__(self, u: Tensor, v: Tensor) -> None:
        super().__init__()
        self.u, self.v = nn.Parameter(u.contiguous()), nn.Parameter(v.contiguous())

    @classmethod
    def from_svd(cls, words: Tensor, rank: int) -> LowRank:
        """The nearest matrix of that rank to `words` [length, width]."""
        left, values, right = torch.linalg.svd(words.double(), full_matrices=False)
        roots = values[:rank].sqrt()
        return cls((left[:, :rank] * roots).to(words), (roots[:, None] * right[:rank]).to(words))

    def forward(self) -> Tensor:
        return self.u @ self.v


class Nonlinear(nn.Module):
    """s(X0 U) V: frozen [length, width], then [width, rank] and [rank, width] trained."""

    words: Tensor

    def __init__(self, words: Tensor, u: Tensor, v: Tensor, activation: str) -> None:
        super().__init__()
        self.register_buffer("words", words)
        self.u, self.v = nn.Parameter(u), nn.Parameter(v)
        self.activation = {"relu": torch.relu, "tanh": torch.tanh, "gelu": nn.functional.gelu}[activation]

    def forward(self) -> Tensor:
        return self.activation(self.words @ self.u) @ self.v


@method("lopt", paper="arXiv:2406.19486", needs=("prompt_injection",), tags=("text", "soft-prompt"))
class LoPT(SoftPrompt):
    """A soft prompt of at most the given rank."""

    small: ClassVar[Mapping[str, Any]] = {"length": 4, "rank": 2, "steps": 4}

    length: int = setting(20, at_least=1, search=choice(10, 20, 50), help="prompt vectors")
    rank: int = setting(4, at_least=1, search=choice(1, 2, 4, 8), help="at most the length and the width")
    variant: str = setting("factors", one_of=("factors", "nonlinear"), help="LoPT-1 or LoPT-2 of the paper")
    start: str = setting("svd", one_of=("svd", "gaussian"), help="of the factors; the nonlinear variant always starts Gaussian")
    activation: str = setting("relu", one_of=("relu", "tanh", "gelu"), help="of the nonlinear variant")
    learning_rate: float = setting(3e-2, above=0, search=log_uniform(1e-3, 1.0))

    def prompt(self, backbone: Backbone, data: TaskData, run: Run) -> nn.Module:
        if self.rank > min(self.length, backbone.width):
            raise InputError(f"a prompt of {self.length} vectors has no rank {self.rank}", key="rank", expected="at most length and width")
        words = backbone.sample_word_embeddings(self.length, run.rng("init")).cpu()
        if self.variant == "factors" and self.start == "svd":
            return LowRank.from_svd(words, self.rank)
        draws = run.generator("factors")
        rows = backbone.width if self.variant == "nonlinear" else self.length
        u = torch.randn(rows, self.rank, generator=draws) / rows**0.5
        # X starts as large as word embeddings are: s(X0 U) and U have entries of known size, and V makes up the rest.
        v = torch.randn(self.rank, backbone.width, generator=draws)
        made = Nonlinear(words, u, v, self.activation) if self.variant == "nonlinear" else LowRank(u, v)
        with torch.no_grad():
            made.v.mul_(words.norm() / made().norm().clamp(min=1e-6))
        return made

    def trainable_parameters(self, backbone: Backbone, task: Task) -> int:
        return self.rank * (backbone.width + (backbone.width if self.variant == "nonlinear" else self.length))


_LARGE = Shape("gpt2-large", width=1280, layers=36)
_T5 = Shape("t5-base", width=768, layers=12)

claims = [
    Exact(
        "fewer-parameters",
        "10 vectors of width 1280 at rank 2: 12,800 trained numbers of prompt tuning against 2,580, 4.96 times fewer",
        measure="trainable_parameters",
        arm=Arm("prompt-tuning", {"length": 10}),
        against=Arm("lopt", {"length": 10, "rank": 2}),
        at=_LARGE,
        equals=Fraction(12_800, 2_580),
        stand_in="tests/methods/test_lopt.py::test_parameters_at_the_papers_sizes",
    ),
    Exact(
        "five-times-fewer",
        "LoPT-2 at 20 vectors and rank 2 trains a fifth of what prompt tuning trains, whatever the width",
        measure="trainable_parameters",
        arm=Arm("prompt-tuning", {"length": 20}),
        against=Arm("lopt", {"length": 20, "rank": 2, "variant": "nonlinear"}),
        at=_T5,
        equals=Fraction(5),
        stand_in="tests/methods/test_lopt.py::test_parameters_at_the_papers_sizes",
    ),
    Exact(
        "full-rank-is-prompt-tuning",
        "at rank = length the factors start as prompt tuning's own start",
        measure="start_difference",
        arm=Arm("lopt", {"length": 6, "rank": 6}),
        against=Arm("prompt-tuning", {"length": 6}),
        at_most=1e-4,
        stand_in="tests/methods/test_lopt.py::test_full_rank_starts_as_prompt_tuning",
    ),
    Scores(
        "scores-like-prompt-tuning",
        "LoPT is as accurate as prompt tuning, to within 2 points",
        arm=Arm("lopt", {"rank": 4}),
        against=Arm("prompt-tuning"),
        relation="equivalent",
        margin=0.02,
        tasks=("world-sentiment",),
        backbone="tiny-causal-lm",
        stand_in="tests/methods/test_lopt.py::test_full_rank_starts_as_prompt_tuning",
    ),
]
