"""XPrompt: prune a trained prompt to its useful tokens and pieces, and train those again (Ma et al. 2022, arXiv 2210.04457).

(1) A soft prompt is trained. (2) Its least important tokens are pruned, importance being the mean over training examples of
|dL/dmask| = |<gradient of the row, row>|. (3) Every token left is cut into `pieces`, and the least important pieces are set to zero.
(4) What survives starts again from its values after (1), and is trained once more. Trained at the end: surviving pieces x piece width.
Nearest neighbour: prompt-tuning (stage 1 alone).
Departs from the paper: pruned tokens leave the sequence (`pruned_tokens: zero` keeps them as zero vectors, which are still attended to); the
shares are settings to be tuned on dev, where the paper tries 10% to 90% within; both stages together have the trial's budget, half each;
AdamW. Controls: `prune: highest` (reversed) and `prune: random`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from harness.methods.soft_prompt import SoftPrompt
from torch import Tensor, nn

from harness.claims import Arm, Exact, Scores
from harness.errors import InputError
from harness.gradient import Adapted
from harness.method import Predictor
from harness.registry import method
from harness.settings import choice, log_uniform, setting
from harness.task import Task, TaskData
from harness.training import Budget

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.training import Run


class Pieces(nn.Module):
    """values [survivors, piece width] at `places` of the prompt's grid [rows x pieces]; everywhere else it is 0."""

    places: Tensor
    rows: Tensor

    def __init__(self, start: Tensor, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.register_buffer("places", torch.empty(0))
        self.register_buffer("rows", torch.empty(0))
        values = start.reshape(len(start) * pieces, -1)
        self.hold(values, torch.arange(len(values)), len(start))

    def hold(self, values: Tensor, places: Tensor, rows: int) -> None:
        """From now on these pieces alone are there, trained and stored."""
        self.values = nn.Parameter(values.detach().clone())
        self.places, self.rows = places.to(values.device), torch.tensor(rows, device=values.device)

    def forward(self) -> Tensor:
        grid = self.values.new_zeros(int(self.rows) * self.pieces, self.values.shape[1])
        return grid.index_put((self.places,), self.values).reshape(int(self.rows), -1)

    def drop_tokens(self, kept: Tensor, *, leave: bool) -> None:
        """Keep the rows `kept` (ascending); the others leave the sequence, or stay as zeros. All pieces must still be there."""
        grid = self.values.detach().reshape(int(self.rows), self.pieces, -1)[kept]
        rows = torch.arange(len(kept), device=kept.device) if leave else kept
        places = (rows[:, None] * self.pieces + torch.arange(self.pieces, device=kept.device)).flatten()
        self.hold(grid.flatten(0, 1), places, len(kept) if leave else int(self.rows))

    def drop_pieces(self, kept: Tensor) -> None:
        self.hold(self.values[kept], self.places[kept], int(self.rows))


@method("xprompt", paper="arXiv:2210.04457", needs=("prompt_injection",), tags=("text", "soft-prompt", "pruning"))
class XPrompt(SoftPrompt):
    """A soft prompt pruned at two granularities and trained again."""

    small: ClassVar[Mapping[str, Any]] = {"length": 6, "pieces": 4, "token_share": 0.5, "piece_share": 0.25, "steps": 4}

    learning_rate: float = setting(3e-2, above=0, search=log_uniform(1e-3, 0.3))
    pieces: int = setting(16, at_least=1, help="of one token; must divide the backbone's width")
    token_share: float = setting(0.3, at_least=0, below=1, search=choice(0.1, 0.3, 0.5, 0.7, 0.9), help="share of the tokens that go")
    piece_share: float = setting(0.3, at_least=0, below=1, search=choice(0.1, 0.3, 0.5, 0.7, 0.9), help="share of their pieces that go")
    pruned_tokens: str = setting("drop", one_of=("drop", "zero"))
    prune: str = setting("lowest", one_of=("lowest", "highest", "random"), help="which go, by importance")

    def prompt(self, backbone: Backbone, data: TaskData, run: Run) -> nn.Module:
        if backbone.width % self.pieces:
            raise InputError(f"{self.pieces} pieces do not divide a width of {backbone.width}", key="pieces")
        return Pieces(backbone.sample_word_embeddings(self.length, run.rng("init")), self.pieces)

    def adapt(self, backbone: Backbone, data: TaskData, run: Run) -> Predictor:
        model = self._assemble(backbone, data, run)
        parts = model.attached.parts
        assert isinstance(parts, Pieces)
        with self._half_budget(run):
            model.train_on(data, run, self)
            tokens = importance(model, data, run, parts.pieces)
            parts.drop_tokens(self._kept(tokens, self._tokens(), run, "tokens"), leave=self.pruned_tokens == "drop")
            pieces = importance(model, data, run, 1)
            parts.drop_pieces(self._kept(pieces, self._survivors(), run, "pieces"))
            model.train_on(data, run, self)
        run.notes["surviving_tokens"], run.notes["surviving_pieces"] = self._tokens(), self._survivors()
        return model

    def restore(self, backbone: Backbone, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Predictor:
        model = self._assemble(backbone, data, run)
        assert isinstance(model.attached.parts, Pieces)
        model.attached.parts.hold(
            tensors["parts.values"].to(backbone.device), tensors["parts.places"].to(backbone.device), int(tensors["parts.rows"])
        )
        model.load(tensors)
        return model

    @contextmanager
    def _half_budget(self, run: Run) -> Iterator[None]:
        """While within, a training stage has half of what the trial, or the method's own `steps`, allows."""
        whole = run.budget
        given = whole or Budget("steps", self.steps)
        run.budget = replace(given, amount=max(1, given.amount / 2))
        try:
            yield
        finally:
            run.budget = whole

    def _kept(self, scores: Tensor, count: int, run: Run, stream: str) -> Tensor:
        """int64 [count] indices that survive, ascending."""
        if self.prune == "random":
            order = torch.from_numpy(run.rng("prune", stream).permutation(len(scores))).to(scores.device)
        else:
            order = scores.argsort(descending=self.prune == "lowest", stable=True)
        return order[:count].sort().values

    def _tokens(self) -> int:
        return self.length - int(self.token_share * self.length)

    def _survivors(self) -> int:
        pieces = self._tokens() * self.pieces
        return pieces - int(self.piece_share * pieces)

    def trainable_parameters(self, backbone: Backbone, task: Task) -> int:
        """At the end; stage 1 trains length x width."""
        return self._survivors() * (backbone.width // self.pieces)


def importance(model: Adapted, data: TaskData, run: Run, together: int) -> Tensor:
    """[survivors / together] mean over training rows of |<gradient, value>|, summed over `together` pieces before the absolute value.

    That is |dL/dmask| of a mask that multiplies those pieces, at 1. Dropout is off.
    """
    parts = model.attached.parts
    assert isinstance(parts, Pieces)
    total = parts.values.new_zeros(len(parts.values) // together)
    for row in data.train:
        (gradient,) = torch.autograd.grad(model.loss([row]), parts.values)
        run.meter.end_step()
        total += (gradient * parts.values.detach()).sum(dim=1).reshape(-1, together).sum(dim=1).abs()
    return total / len(data.train)


claims = [
    Exact(
        "parameters-after-pruning",
        "what is trained at the end is the surviving pieces: of 20 tokens half go, of their 160 pieces half, which leaves 80 of width 1",
        measure="trained_numbers",
        arm=Arm("xprompt", {"length": 20, "pieces": 16, "token_share": 0.5, "piece_share": 0.5, "steps": 2}),
        equals=Fraction(80),
        stand_in="tests/methods/test_xprompt.py::test_importance_is_the_gradient_of_a_mask",
    ),
    Scores(
        "better-than-prompt-tuning",
        "XPrompt scores higher than prompt tuning",
        arm=Arm("xprompt"),
        against=Arm("prompt-tuning"),
        relation="better",
        margin=0.02,
        tasks=("world-sentiment", "world-topic"),
        backbone="tiny-encoder-decoder",
        stand_in="tests/methods/test_xprompt.py::test_importance_is_the_gradient_of_a_mask",
    ),
    Scores(
        "better-than-reversed",
        "pruning the least important is better than pruning the most important",
        arm=Arm("xprompt"),
        against=Arm("xprompt", {"prune": "highest"}),
        relation="better",
        margin=0.02,
        tasks=("world-sentiment", "world-topic"),
        backbone="tiny-encoder-decoder",
        stand_in="tests/methods/test_xprompt.py::test_the_least_important_go",
    ),
]
