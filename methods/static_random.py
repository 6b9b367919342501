"""Static random: one random subset, the same in every round. What a pruning method must beat, and what rs2 differs from in one thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.registry import selection
from harness.selection import Ranked
from harness.task import Row

if TYPE_CHECKING:
    import numpy as np

    from harness.selection import Learner
    from harness.training import Run


@selection("static-random", tags=("random", "baseline"))
class StaticRandom(Ranked):
    """A random subset of `ratio` of the rows, drawn once."""

    def importance(self, rows: Sequence[Row], learner: Learner, run: Run) -> np.ndarray:
        return run.rng("selection").random(len(rows))
