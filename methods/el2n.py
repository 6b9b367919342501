"""EL2N (Paul et al. 2021, arXiv 2107.07075): keep the rows with the largest error early in training.

The score is || softmax(scores) - onehot(target) ||_2 of a proxy: the same method trained on all rows for a few passes, the mean over
`repeats` proxies. The paper averages over ten networks of different initial weights; each costs a training of its own, so one is the
default here, and further ones differ in the order of batches and the start alone.
Nearest neighbours: margin (the same proxy, another score), forgetting (the course of training rather than its end).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from harness.registry import selection
from harness.selection import Ranked, probabilities, trained
from harness.settings import setting
from harness.task import Row

if TYPE_CHECKING:
    from harness.selection import Learner
    from harness.training import Run


@selection("el2n", paper="arXiv:2107.07075", tags=("pruning", "baseline"))
class EL2N(Ranked):
    """Rows that a proxy is most wrong about."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification", "choice")

    proxy_epochs: int = setting(3, at_least=1, help="passes over all rows before scoring")
    repeats: int = setting(1, at_least=1, help="proxies to average over")

    def importance(self, rows: Sequence[Row], learner: Learner, run: Run) -> np.ndarray:
        total = np.zeros(len(rows))
        for repeat in range(self.repeats):
            total += errors(rows, trained(learner, self.proxy_epochs, repeat).scores(rows))
        return total / self.repeats


def errors(rows: Sequence[Row], scores: np.ndarray) -> np.ndarray:
    """[N] || p - onehot ||_2 of scores [N, C]."""
    wrong = probabilities(scores)
    wrong[np.arange(len(rows)), [int(row.target) for row in rows]] -= 1.0
    found: np.ndarray = np.linalg.norm(wrong, axis=1)
    return found
