"""OSTTA: TENT on the samples whose confidence has not fallen since adaptation began (Lee et al. 2023, arXiv 2308.06879).

Each batch is also answered by the frozen source model o. With c = argmax p_o(x), a sample is adapted on only if p_a(x)[c] >= p_o(x)[c]
(paper, Figure 6): the crowd of right samples raises the confidence of samples like them, and lowers that of wrong and unknown ones.
Entropy is minimised on what is kept; everything else is TENT's (or ETA's, `loss: eta`, whose filter applies as well).
At the first batch both models are equal, and everything is kept. Where nothing is kept there is no step (`when_none: skip`).
Nearest neighbours: tent (`filter: none` is TENT bit for bit), a fixed threshold of confidence or entropy (`filter: confidence, entropy`).
No code of the authors is public. From re-implementations come: Adam 1e-3; both models use batch statistics (`source_statistics: running` for
the other reading; then the first batch need not be kept whole); `diversity` .1 to 1 there, 0 here, as the paper adds the filter to TENT as
it is; in one of them for image-text models a confidence must rise by .05 (`rise`), all samples count when none is kept (`when_none: all`),
and answers come from a pass after the step (`answer: after`).
Left out: the filter over SWR+NSP, and CoTTA as a baseline, which the paper has beside TENT and EATA; the filter itself does not change there.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from harness.methods.test_time import AdaptedPredictor, EntropyMinimisation, SourcePredictor, entropy
from torch import Tensor

from harness.claims import Arm, Exact, ExactMeasure, Relation, Scores
from harness.registry import method
from harness.settings import choice, setting
from harness.task import Task

if TYPE_CHECKING:
    from harness.backbones.convnet import ConvNet, Picture


@method("ostta", paper="arXiv:2308.06879", needs=("class_logits", "norm_statistics"), tags=("vision", "test-time", "open-set"))
class Ostta(EntropyMinimisation):
    """Entropy minimisation on samples that the adapted model is no less sure of than the source model."""

    small: ClassVar[Mapping[str, Any]] = {"learning_rate": 1e-2}

    filter: str = setting(
        "change", one_of=("change", "confidence", "entropy", "none"), help="what decides on a sample; change is the paper's"
    )
    rise: float = setting(0.0, search=choice(0.0, 0.05), help="of change: by how much the confidence must have risen")
    threshold: float = setting(0.9, above=0, help="of the fixed filters: least confidence, or largest entropy in nats, that is kept")
    when_none: str = setting("skip", one_of=("skip", "all"), help="what is adapted on where nothing is kept")
    source_statistics: str = setting("batch", one_of=("batch", "running"), help="which the frozen model uses")
    answer: str = setting(
        "before", one_of=("before", "after"), help="whether answers come from the pass before the step or from one after it"
    )

    def start(self, backbone: ConvNet, task: Task) -> SourcePredictor:
        return FilteredPredictor(backbone, task, self)


class FilteredPredictor(AdaptedPredictor):
    """TENT's model and, beside it, the source model to compare with."""

    method: Ostta

    def __init__(self, backbone: ConvNet, task: Task, method: Ostta) -> None:
        self.source: ConvNet = backbone.fork()
        self.source.use_statistics(0 if method.source_statistics == "batch" else None)
        super().__init__(backbone, task, method)

    def reference(self, items: list[Picture]) -> Tensor:
        with torch.no_grad():
            return self.source.logits(items).softmax(dim=1)

    def filtered(self, logits: Tensor, reference: Tensor | None) -> tuple[Tensor, np.ndarray]:
        assert reference is not None
        adapted = logits.softmax(dim=1)
        confidence, answer = reference.max(dim=1)
        change = adapted.gather(1, answer[:, None])[:, 0] - confidence
        keep = {
            "change": change >= self.method.rise,
            "confidence": adapted.max(dim=1).values >= self.method.threshold,
            "entropy": entropy(logits) <= self.method.threshold,
            "none": torch.ones_like(change, dtype=torch.bool),
        }[self.method.filter]
        if self.method.when_none == "all" and not bool(keep.any()):
            keep = torch.ones_like(keep)
        return keep, change.double().cpu().numpy()

    def answer(self, items: list[Picture]) -> tuple[Tensor, dict[str, np.ndarray]]:
        logits, measures = super().answer(items)
        if self.method.answer == "after" and len(items):
            with torch.no_grad():
                logits = self.model.logits(items)
        return logits, measures


TESTS = "tests/methods/test_test_time.py::"
# A round here is 12 steps, twenty are 240; the paper's fifty are tens of thousands. At its rate of 1e-3 nothing that happens late can be
# seen, so claims about the long run are asked at 3e-2: of 1e-3, 5e-3, 1e-2 and 3e-2 the first at which TENT's accuracy fell in a pilot on
# seed 100. OSTTA had not been run at it when this was written. The pilot met the things of version 1 of the stream, for seeds differ in the
# order of arrival alone; the claims are asked on those of version 2.
FAST: Mapping[str, Any] = {"learning_rate": 3e-2}


def _exact(name: str, text: str, measure: ExactMeasure, arm: Arm, test: str, against: Arm | None = None) -> Exact:
    return Exact(name, text, measure=measure, arm=arm, against=against, equals=Fraction(0), stand_in=TESTS + test)


def _long(
    name: str, text: str, arm: Arm, against: Arm, metric: str, relation: Relation, test: str, against_metric: str | None = None
) -> Scores:
    """A claim about twenty rounds of the stream, half of it unknown."""
    return Scores(
        name, text, arm=arm, against=against, measure=f"metric:{metric}", against_measure=against_metric and f"metric:{against_metric}",
        relation=relation, margin=0.02, tasks=("scene-stream-long",), backbone="tiny-convnet", shots=0, stand_in=TESTS + test,
    )  # fmt: skip


claims = [
    _exact(
        "keeps-the-first-batch-whole",
        "before the first step the adapted model is the source model, so that no confidence has fallen and nothing is dropped",
        "dropped_at_start", Arm("ostta"), "test_the_first_batch_is_kept_whole",
    ),
    _exact(
        "reset-is-the-start",
        "after a reset a stream is answered as it was from the start, bit for bit",
        "changed_by_reset", Arm("ostta"), "test_reset_is_the_start_bit_for_bit",
    ),
    _exact(
        "tent-and-a-filter",
        "without its filter OSTTA is TENT",
        "stream_difference", Arm("ostta", {"filter": "none"}), "test_without_its_filter_it_is_tent_bit_for_bit", Arm("tent"),
    ),
    _long(
        "tent-drifts",
        "half of the stream being unknown, TENT loses accuracy on known classes in the long run (a source model's stays as it is)",
        Arm("tent", FAST), Arm("source"), "accuracy_drift", "less", "test_trained_are_scales_and_shifts_alone",
    ),
    _long(
        "less-error-than-tent",
        "half of the stream being unknown, TENT with the filter ends with less error on known classes than TENT",
        Arm("ostta", FAST), Arm("tent", FAST), "last_round_accuracy", "better", "test_the_filter_is_the_sign_of_the_change_of_confidence",
    ),
    _long(
        "stays-flat",
        "with the filter accuracy on known classes does not fall in the long run",
        Arm("ostta", FAST), Arm("source"), "accuracy_drift", "not_worse", "test_nothing_kept_is_no_step",
    ),
    _long(
        "change-tells-right-answers-better",
        "the change of confidence tells right answers from all others better than confidence itself does",
        Arm("ostta"), Arm("ostta"), "auroc_right_change", "better", "test_pixels_of_a_segmentation_are_filtered_like_pictures", "auroc_right",
    ),
    _long(
        "less-error-than-tent-at-the-papers-rate",
        "the same at the paper's learning rate, for as long as this stream is",
        Arm("ostta"), Arm("tent"), "last_round_accuracy", "better", "test_the_filter_is_the_sign_of_the_change_of_confidence",
    ),
    _long(
        "keeps-more-precisely-than-a-threshold",
        "of what is kept a larger share is right than of what a fixed threshold of confidence keeps",
        Arm("ostta"), Arm("ostta", {"filter": "confidence"}), "kept_precision", "better", "test_fixed_thresholds",
    ),
]  # fmt: skip
