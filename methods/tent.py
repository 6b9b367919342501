"""TENT: the entropy of the model's own answers is lowered, one step a batch (Wang et al. 2021, arXiv 2006.10726).

Trained are scale and shift of the normalisation layers, which use the batch's statistics; Adam at 1e-3, answers from the pass the step is
made of, the state never reset. `loss: eta` is ETA, the name that EATA's paper (arXiv 2204.02610) gives to its choice and weights of samples
alone; EATA itself adds a Fisher penalty, whose weights it takes from samples of the source's training data, which a stream does not bring.
Nearest neighbours: bn-statistics (no step), ostta (steps on fewer samples).
Departs from the paper: nothing; `diversity` is 0 there (SHOT, arXiv 2002.08546, has such a term).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.methods.test_time import AdaptedPredictor, EntropyMinimisation, SourcePredictor

from harness.registry import method
from harness.task import Task

if TYPE_CHECKING:
    from harness.backbones.convnet import ConvNet


@method("tent", paper="arXiv:2006.10726", needs=("class_logits", "norm_statistics"), tags=("vision", "test-time"))
class Tent(EntropyMinimisation):
    """Entropy minimisation on every sample of every batch."""

    def start(self, backbone: ConvNet, task: Task) -> SourcePredictor:
        return AdaptedPredictor(backbone, task, self)
