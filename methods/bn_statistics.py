"""BN statistics: normalisation layers use the statistics of the batch being answered; no weight is trained (Nado et al. 2020, arXiv 2006.10963).

`prior` N mixes them with the source's, N / (N + n) to n / (N + n) for a batch of n (Schneider et al. 2020, arXiv 2006.16971, eq. 3).
Nothing stays from one batch to the next. Nearest neighbours: source (source statistics), tent (which also trains scale and shift).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.methods.test_time import SourcePredictor, StreamMethod

from harness.registry import method
from harness.settings import choice, setting
from harness.task import Task

if TYPE_CHECKING:
    from harness.backbones.convnet import ConvNet


@method("bn-statistics", paper="arXiv:2006.10963", needs=("class_logits", "norm_statistics"), tags=("vision", "test-time", "baseline"))
class BatchStatistics(StreamMethod):
    """Statistics of the batch in place of the source's."""

    prior: float = setting(
        0.0, at_least=0, search=choice(0.0, 16.0, 64.0, 256.0), help="how many pictures the source's statistics count as"
    )

    def start(self, backbone: ConvNet, task: Task) -> SourcePredictor:
        fork: ConvNet = backbone.fork()
        fork.use_statistics(self.prior)
        return SourcePredictor(fork, task)
