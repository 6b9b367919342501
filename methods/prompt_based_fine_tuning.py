"""Prompt-based fine-tuning (PET, arXiv 2001.07676; LM-BFF, arXiv 2012.15723): every weight is trained through a cloze template.

The verbalizer's words are scored by the pretrained head, so no new weight is added. LM-BFF's demonstrations and searched templates
are methods of their own. Nearest neighbour: full-fine-tuning (a new head on pooled features).
"""

from __future__ import annotations

from typing import ClassVar

from harness.methods.full_fine_tuning import FullFineTuning

from harness.registry import method


@method(
    "prompt-based-fine-tuning", paper="arXiv:2012.15723", needs=("layer_tuning", "label_scores"), tags=("text", "baseline", "fine-tuning")
)
class PromptBasedFineTuning(FullFineTuning):
    """All weights, read out by the verbalizer."""

    readouts: ClassVar[tuple[str, ...]] = ("verbalizer",)
    identity_at_start: ClassVar[bool] = True
