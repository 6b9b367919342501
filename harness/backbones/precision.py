"""Numeric precision of a run: plain fp32, or bf16 autocast over fp32 weights. The same code for CPU and CUDA."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from harness.backbones.pretrained import Pretrained

Precision = Literal["fp32", "bf16"]


@contextmanager
def precision(backbone: Pretrained, kind: Precision = "fp32") -> Iterator[None]:
    """Run what is within in fp32, or in bf16 where autocast knows the operation safe; losses and log-softmax stay fp32."""
    if kind not in ("fp32", "bf16"):
        raise ValueError(f"precision {kind!r}: use 'fp32' or 'bf16'")
    # No cache: a run is one autocast region, and a cached bf16 copy of a trained weight would outlive every update of that weight.
    with torch.autocast(backbone.device.type, dtype=torch.bfloat16, enabled=kind == "bf16", cache_enabled=False):
        yield
