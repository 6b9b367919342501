"""Margin selection (least difference between the two likeliest labels; Coleman et al. 2020, arXiv 1906.11829): keep what a model is least sure of.

`margin` asks a proxy once, after a few passes over all rows. `round-margin` asks the model in training at the beginning of every round:
no proxy, but a forward pass over all rows for each round. Both costs are measured.
Nearest neighbours: el2n (uses the gold label; margin does not).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from harness.registry import selection
from harness.selection import Ranked, Round, highest, probabilities, trained
from harness.settings import setting
from harness.task import Row

if TYPE_CHECKING:
    from harness.selection import Learner
    from harness.training import Run


@selection("margin", paper="arXiv:1906.11829", tags=("pruning", "uncertainty", "baseline"))
class Margin(Ranked):
    """Rows with the smallest margin of a proxy."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification", "choice")

    proxy_epochs: int = setting(3, at_least=1, help="passes over all rows before scoring")

    def importance(self, rows: Sequence[Row], learner: Learner, run: Run) -> np.ndarray:
        return -margins(trained(learner, self.proxy_epochs).scores(rows))


@selection("round-margin", tags=("uncertainty", "baseline"))
class RoundMargin(Ranked):
    """Rows with the smallest margin of the model in training, chosen anew in every round."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification", "choice")

    def importance(self, rows: Sequence[Row], learner: Learner, run: Run) -> np.ndarray:
        return -margins(learner.scores(rows))

    def rounds(self, rows: Sequence[Row], learner: Learner, run: Run) -> Iterator[Round]:
        while True:
            yield Round(highest(rows, self.importance(rows, learner, run), self.size(len(rows)), stratified=self.stratified))


def margins(scores: np.ndarray) -> np.ndarray:
    """[N] difference of the two largest probabilities of scores [N, C].

    >>> margins(np.log([[0.5, 0.3, 0.2], [0.9, 0.05, 0.05]])).round(2).tolist()
    [0.2, 0.85]
    """
    ordered = np.sort(probabilities(scores), axis=1)
    found: np.ndarray = ordered[:, -1] - ordered[:, -2]
    return found
