"""k-center (Sener and Savarese 2018, arXiv 1708.00489): rows such that none is far from the nearest chosen one, greedily.

Starting from a random row, the row farthest (Euclidean) from all chosen ones is taken next, in feature space. Features are those of
the model before training, or of a proxy after `proxy_epochs` passes: a pretrained backbone has features from the start, so 0 is the
default, where the paper trains on what was labelled so far.
Nearest neighbours: herding (keeps the mean rather than the cover).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.registry import selection
from harness.selection import Round, Selection, strata, trained
from harness.settings import setting
from harness.task import Row

if TYPE_CHECKING:
    from harness.selection import Learner
    from harness.training import Run


@selection("k-center", paper="arXiv:1708.00489", tags=("pruning", "geometry", "baseline"))
class KCenter(Selection):
    """A greedy cover in feature space."""

    proxy_epochs: int = setting(0, at_least=0, help="passes over all rows before features are taken")
    stratified: bool = setting(False, help="a cover of each class, with its share")

    def rounds(self, rows: Sequence[Row], learner: Learner, run: Run) -> Iterator[Round]:
        features, rng, k = trained(learner, self.proxy_epochs).features(rows), run.rng("selection"), self.size(len(rows))
        chosen: list[int] = []
        for places, count in strata(rows, k) if self.stratified else [(list(range(len(rows))), k)]:
            chosen += [places[i] for i in cover(features[places], count, int(rng.integers(len(places))))]
        yield Round([rows[i] for i in sorted(chosen)])


def cover(features: np.ndarray, k: int, first: int) -> list[int]:
    """k indices of features [N, d], greedily: each the farthest from those before it, the earlier one on ties.

    >>> cover(np.array([[0.0], [1.0], [10.0], [5.0]]), 3, 0)
    [0, 2, 3]
    """
    chosen: list[int] = []
    distance = np.full(len(features), np.inf)
    for _ in range(k):
        chosen.append(int(distance.argmax()) if chosen else first)
        distance = np.minimum(distance, np.linalg.norm(features - features[chosen[-1]], axis=1))
        distance[chosen[-1]] = -1.0  # never twice, also where features coincide
    return chosen
