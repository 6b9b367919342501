"""Rows in which an item's answers branch off its text: the text stands once, each answer's tokens see it and themselves only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Ids = Sequence[int]


def bodies(answers: Sequence[Ids]) -> tuple[list[tuple[int, ...]], list[int]]:
    """What must stand behind a text so that its answers can be read: each without its last token, once; and which one serves each.

    One that another begins with is read there: where all answers are of one token, one empty body serves all.
    """
    wanted = sorted({tuple(ids[:-1]) for ids in answers}, key=len, reverse=True)
    kept: list[tuple[int, ...]] = []
    for body in wanted:
        if not any(other[: len(body)] == body for other in kept):
            kept.append(body)
    return kept, [next(row for row, other in enumerate(kept) if other[: len(ids) - 1] == tuple(ids[:-1])) for ids in answers]


@dataclass(frozen=True)
class BranchedRow:
    """`ids`: `own` tokens of the text, then branches of the given lengths; answer a is read along the branch that begins at starts[a]."""

    ids: list[int]
    own: int
    branches: list[int]
    starts: list[int]

    @classmethod
    def of(cls, own: Ids, answers: Sequence[Ids]) -> BranchedRow:
        behind, serving = bodies(answers)
        offsets = [len(own) + sum(map(len, behind[:number])) for number in range(len(behind))]
        ids = [*own, *(token for body in behind for token in body)]
        return cls(ids, len(own), [len(body) for body in behind], [offsets[number] for number in serving])

    @property
    def straight(self) -> bool:
        """Whether it is a plain causal row."""
        return len(self.branches) == 1

    def places(self, answer: int, length: int) -> list[int]:
        """Where the `length` tokens of an answer are read: at the text's last token, then along its branch."""
        start = self.starts[answer]
        return [self.own - 1, *range(start, start + length - 1)]

    def positions(self, first: int, width: int) -> list[int]:
        """`width` position ids from `first` on: every branch goes on from the text; padding has any."""
        branches = [first + self.own + step for length in self.branches for step in range(length)]
        return [*range(first, first + self.own), *branches, *[first] * (width - len(self.ids))]

    def behind(self, tokens: int) -> BranchedRow:
        """The same row with so many vectors in front of its text."""
        return BranchedRow([0] * tokens + self.ids, self.own + tokens, self.branches, [start + tokens for start in self.starts])


def branch_mask(rows: Sequence[BranchedRow], width: int) -> Tensor:
    """bool [B, 1, T, T]: causal, but tokens of a branch see their row's text and their branch only."""
    mask = torch.ones(width, width, dtype=torch.bool).tril().repeat(len(rows), 1, 1)
    for number, row in enumerate(rows):
        start = row.own
        for length in row.branches:
            mask[number, start : start + length, row.own : start] = False
            start += length
    return mask[:, None]
