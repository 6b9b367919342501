"""Forgetting events (Toneva et al. 2019, arXiv 1812.05159): keep the rows that training forgets most often.

A row is forgotten where it was answered rightly after one pass of a proxy's training and wrongly after the next. Rows that were never
right count as forgotten more often than any. The paper looks at a row whenever it stands in a batch; here all rows are asked after
every pass, which costs one more forward pass over them and is measured.
Nearest neighbours: el2n (one look, and how wrong rather than how often).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from harness.registry import selection
from harness.selection import Ranked
from harness.settings import setting
from harness.task import Row

if TYPE_CHECKING:
    from harness.selection import Learner
    from harness.training import Run


@selection("forgetting", paper="arXiv:1812.05159", tags=("pruning", "baseline"))
class Forgetting(Ranked):
    """Rows that a proxy's training forgets most often; ties in random order."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification", "choice")

    proxy_epochs: int = setting(5, at_least=2, help="passes over all rows that are looked at")

    def importance(self, rows: Sequence[Row], learner: Learner, run: Run) -> np.ndarray:
        targets = np.array([int(row.target) for row in rows])
        right = [proxy.scores(rows).argmax(axis=1) == targets for proxy in learner.proxies(self.proxy_epochs)]
        return forgotten(np.array(right)) + run.rng("selection").random(len(rows)) / 2  # counts are whole: this only breaks ties


def forgotten(right: np.ndarray) -> np.ndarray:
    """[N] how often each row went from right to wrong, of bool [epochs, N]; the number of epochs where it was never right.

    >>> forgotten(np.array([[True, False, True], [False, False, True], [True, False, True]])).tolist()
    [1.0, 3.0, 0.0]
    """
    counts: np.ndarray = (right[:-1] & ~right[1:]).sum(axis=0).astype(np.float64)
    counts[~right.any(axis=0)] = len(right)
    return counts
