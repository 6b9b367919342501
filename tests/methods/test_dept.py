"""DePT spends a prompt's numbers: the budget, what an update of zero does, two learning rates."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from harness.methods.dept import Decomposed, DePT
from harness.methods.prompt_tuning import PromptTuning
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.backbones.backbone import Backbone
from harness.errors import InputError

from .bench import ready
from .conftest import TEXT_FAMILIES, SmallTask

Get = Callable[[str], Backbone]


@given(st.integers(2, 100), st.data(), st.integers(1, 512), st.integers(1, 1024))
@settings(deadline=None, max_examples=50)
def test_the_rank_spends_the_budget(length: int, data: st.DataObject, positions: int, width: int) -> None:
    """Never more numbers than the prompt's, and less by fewer than one more rank would take."""
    method = DePT(length=length, kept=data.draw(st.integers(1, length - 1)), positions=positions)
    try:
        rank = method.rank(width)
    except InputError:
        assert (length - method.kept) * width < positions + width
        return
    model: Any = SimpleNamespace(width=width)
    ours = method.trainable_parameters(model, None)  # type: ignore[arg-type]
    assert ours == method.kept * width + rank * (positions + width)
    assert 0 <= length * width - ours < positions + width


@pytest.mark.parametrize(("kept", "rank"), [(40, 45), (60, 30)])
def test_the_papers_sizes(kept: int, rank: int) -> None:
    method = DePT(length=100, kept=kept, positions=256)
    assert method.rank(768) == rank
    assert method.trainable_parameters(SimpleNamespace(width=768), None) == 76_800  # type: ignore[arg-type]


@pytest.mark.parametrize("family", TEXT_FAMILIES)
def test_an_update_of_zero_changes_nothing(family: str, backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    backbone, data, run = ready(backbone_of(family), small_tasks["classification"])
    ours = DePT(length=10, kept=4, positions=16)._assemble(backbone, data, run)
    theirs = PromptTuning(length=4)._assemble(backbone, data, run)
    with torch.no_grad():
        torch.testing.assert_close(ours.scores(data.test), theirs.scores(data.test), rtol=0, atol=0)
        parts = ours.attached.parts
        assert isinstance(parts, Decomposed) and not parts.b.any()
        parts.b.normal_()
        assert not torch.equal(ours.scores(data.test), theirs.scores(data.test))


def test_both_parts_learn_at_their_own_rates(backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    method = DePT(length=10, kept=4, positions=16, learning_rate=0.5, update_rate=0.001, steps=3, weight_decay=0.0)
    backbone, data, run = ready(backbone_of("encoder_decoder"), small_tasks["classification"])
    start = method._assemble(backbone, data, run).attached.parts
    groups = method.groups(method._assemble(backbone, data, run).attached)
    assert [(group["lr"], len(group["params"])) for group in groups] == [(0.5, 1), (0.001, 2)]
    end = method.adapt(backbone, data, run).attached.parts  # type: ignore[attr-defined]
    moved = {name: float((new - old).abs().max()) for (name, new), old in zip(end.named_parameters(), start.parameters(), strict=True)}
    assert moved["prompt"] > 0.1 and 0 < moved["b"] < 0.01, "Adam moves by about the rate at each step"


def test_kept_vectors_that_leave_no_rank_are_refused() -> None:
    with pytest.raises(InputError, match="leave nothing"):
        DePT(length=20, kept=19, positions=256).rank(64)
