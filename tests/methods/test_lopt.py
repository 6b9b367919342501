"""LoPT's arithmetic: parameters at the paper's sizes, the rank of what is trained, where full rank starts."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from harness.methods.lopt import LoPT, LowRank
from harness.methods.prompt_tuning import PromptTuning

from harness.backbones.backbone import Backbone
from harness.errors import InputError

from .bench import ready
from .conftest import SmallTask

Get = Callable[[str], Backbone]


@pytest.mark.parametrize(
    ("config", "width", "trained"),
    [
        ({"length": 10, "rank": 2}, 1280, 2580),
        ({"length": 20, "rank": 2}, 1280, 2600),
        ({"length": 20, "rank": 2, "variant": "nonlinear"}, 1280, 5120),
        ({"length": 50, "rank": 2, "variant": "nonlinear"}, 768, 3072),
    ],
)
def test_parameters_at_the_papers_sizes(config: dict[str, Any], width: int, trained: int, small_tasks: dict[str, SmallTask]) -> None:
    model: Any = SimpleNamespace(width=width)
    assert LoPT(**config).trainable_parameters(model, small_tasks["classification"]) == trained
    full = PromptTuning(length=config["length"]).trainable_parameters(model, small_tasks["classification"])
    if config["length"] == 10:
        assert Fraction(full, trained) == Fraction(12_800, 2_580)


@pytest.mark.parametrize("variant", ["factors", "nonlinear"])
@pytest.mark.parametrize("start", ["svd", "gaussian"])
def test_the_prompt_keeps_its_rank_while_factors_alone_are_trained(
    variant: str, start: str, backbone_of: Get, small_tasks: dict[str, SmallTask]
) -> None:
    method = LoPT(length=8, rank=3, variant=variant, start=start, steps=6, learning_rate=0.1)
    backbone, data, run = ready(backbone_of("masked_lm"), small_tasks["classification"])
    before = method._assemble(backbone, data, run).attached.parts
    after = method.adapt(backbone, data, run).attached.parts  # type: ignore[attr-defined]
    assert int(torch.linalg.matrix_rank(after().double(), rtol=1e-5)) <= 3
    assert {name for name, _ in after.named_parameters()} == {"u", "v"}
    assert all(not torch.equal(old, new) for old, new in zip(before.parameters(), after.parameters()))
    if variant == "nonlinear":
        assert torch.equal(before.words, after.words)


def test_the_start_is_the_truncated_svd() -> None:
    words = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(words)
    for rank in (1, 3, 6):
        left = float((words - LowRank.from_svd(words, rank)()).detach().norm())
        assert left == pytest.approx(float(values[rank:].norm()), abs=1e-5)


def test_full_rank_starts_as_prompt_tuning(backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    backbone, data, run = ready(backbone_of("causal_lm"), small_tasks["classification"])
    ours = LoPT(length=6, rank=6)._assemble(backbone, data, run).attached.parts()
    theirs = PromptTuning(length=6)._assemble(backbone, data, run).attached.parts()
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), atol=1e-5)


def test_a_rank_above_the_length_is_refused(backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    backbone, data, run = ready(backbone_of("masked_lm"), small_tasks["classification"])
    with pytest.raises(InputError, match="no rank 8"):
        LoPT(length=5, rank=8).adapt(backbone, data, run)
