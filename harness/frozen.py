"""Features of a frozen backbone, computed once a process for the same inputs: seeds and methods ask for the same test rows again.

A hit gives the same bytes and charges the same FLOPs, tokens and calls as computing them did, so costs do not depend on who came
first; seconds are what they are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.identity import digest
from harness.text import in_batches

if TYPE_CHECKING:
    from harness.backbones.backbone import Pooling
    from harness.backbones.pretrained import Pretrained

KEPT_BYTES = 256 << 20

_kept: OrderedDict[str, tuple[np.ndarray, tuple[Any, ...]]] = OrderedDict()
_COUNTED = ("forward_calls", "tokens", "truncated_examples", "truncated_tokens", "flops")


def frozen_features(backbone: Pretrained, items: Sequence[Any], pooling: Pooling | None = None) -> np.ndarray:
    """float64 [N, width] features, without gradients, of what `backbone.read` gave of examples; do not write into the array."""
    key = digest([backbone.identity, str(backbone.device), pooling, items])
    meter: Any = backbone.meter
    if backbone.identity and key in _kept:
        _kept.move_to_end(key)
        features, charged = _kept[key]
        for name, amount in zip(_COUNTED, charged):
            if hasattr(meter, name):
                setattr(meter, name, getattr(meter, name) + amount)
        return features
    _settle(meter)
    before = [getattr(meter, name, 0) for name in _COUNTED]
    features = in_batches(items, lambda batch: backbone.features(batch, pooling=pooling))
    _settle(meter)
    if backbone.identity:
        _keep(key, features, tuple(getattr(meter, name, 0) - old for name, old in zip(_COUNTED, before)))
    return features


def _settle(meter: Any) -> None:
    """Close the meter's running step, so that its FLOPs are in the totals."""
    if hasattr(meter, "end_step"):
        meter.end_step()


def _keep(key: str, features: np.ndarray, charged: tuple[Any, ...]) -> None:
    features.setflags(write=False)
    _kept[key] = (features, charged)
    while len(_kept) > 1 and sum(item.nbytes for item, _ in _kept.values()) > KEPT_BYTES:
        _kept.popitem(last=False)


def clear() -> None:
    """Forget all kept features."""
    _kept.clear()
