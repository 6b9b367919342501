"""Herding (Welling 2009; for data selection Chen et al. 2010, arXiv 1203.3472): rows whose mean feature stays closest to that of all rows.

Greedily: row t + 1 is the one that brings the mean of the t + 1 chosen ones nearest (Euclidean) to the mean of all. By class, as in
iCaRL, unless `stratified: false`. Features as in k-center, its nearest neighbour.
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


@selection("herding", paper="arXiv:1203.3472", tags=("pruning", "geometry", "baseline"))
class Herding(Selection):
    """Rows that keep the mean of the features."""

    proxy_epochs: int = setting(0, at_least=0, help="passes over all rows before features are taken")
    stratified: bool = setting(True, help="the mean of each class, with its share")

    def rounds(self, rows: Sequence[Row], learner: Learner, run: Run) -> Iterator[Round]:
        features, k = trained(learner, self.proxy_epochs).features(rows), self.size(len(rows))
        chosen: list[int] = []
        for places, count in strata(rows, k) if self.stratified else [(list(range(len(rows))), k)]:
            chosen += [places[i] for i in herd(features[places], count)]
        yield Round([rows[i] for i in sorted(chosen)])


def herd(features: np.ndarray, k: int) -> list[int]:
    """k indices of features [N, d] whose running mean follows the mean of all, the earlier one on ties.

    >>> herd(np.array([[0.0], [4.0], [5.0], [11.0]]), 2)
    [2, 1]
    """
    chosen: list[int] = []
    mean, total = features.mean(axis=0), np.zeros(features.shape[1])
    free = np.ones(len(features), dtype=bool)
    for number in range(1, k + 1):
        distance = np.linalg.norm((total + features) / number - mean, axis=1)
        best = int(np.where(free, distance, np.inf).argmin())
        chosen.append(best)
        free[best] = False
        total += features[best]
    return chosen
