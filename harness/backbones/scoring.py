"""In-context scoring of many items behind one shared text (causal models). See `shared_prefix_scores`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from harness.backbones.backbone import Backbone
from harness.backbones.labels import Reduction
from harness.templates import Rendered

ROW_TOKENS = 256


def shared_prefix_scores(
    backbone: Backbone, prefix: str, rendered: Sequence[Rendered], *, reduction: Reduction = "joint", rows_tokens: int = ROW_TOKENS
) -> Tensor:
    """float [N, C] log-probabilities of the items' answers behind `prefix`, as `label_scores` of prefix + text gives them (no gradient)."""
    with torch.no_grad():
        parts = [
            backbone.label_scores([replace(item, before=prefix + item.before)], reduction=reduction) for item in rendered
        ]
    width = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, width - part.shape[1]), value=-torch.inf) for part in parts])
