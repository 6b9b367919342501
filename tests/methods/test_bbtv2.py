"""Black-box tuning: no gradient, a budget of calls that is kept, a search that finds something."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from harness.methods.bbtv2 import BBT, BBTv2, Prompted, Search, clipped_deviation

from harness.backbones.backbone import Backbone
from harness.errors import InputError
from harness.training import Budget

from .bench import ready
from .conftest import SmallTask

pytest.importorskip("cma")
Get = Callable[[str], Backbone]
SMALL = {"length": 3, "dimensions": 4, "population": 4}


def test_no_gradient_is_taken(backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    """The forward passes run without a graph, the weights and numpy's global generator stay as they were."""
    backbone, data, run = ready(backbone_of("masked_lm"), small_tasks["classification"])
    weights = {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}
    graphs: list[bool] = []
    hook = backbone.model.register_forward_pre_hook(lambda *_: graphs.append(torch.is_grad_enabled()))
    trunk = backbone.trunk.register_forward_pre_hook(lambda *_: graphs.append(torch.is_grad_enabled()))
    before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
    try:
        BBTv2(**SMALL, calls=24).adapt(backbone, data, run)
    finally:
        hook.remove()
        trunk.remove()
    assert graphs and not any(graphs)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in backbone.model.state_dict().items())
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[index]
    assert run.notes["searched_numbers"] == 4 * backbone.layers


@pytest.mark.parametrize("family", ["masked_lm", "encoder_decoder"])
@pytest.mark.parametrize("calls", [9, 30])
def test_the_budget_of_calls_is_kept(family: str, calls: int, backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    for method in (BBT(**SMALL), BBTv2(**SMALL)):
        backbone, data, run = ready(backbone_of(family), small_tasks["classification"], budget=Budget("forward_calls", calls))
        method.adapt(backbone, data, run)
        passes = 4 * (2 if family == "encoder_decoder" else 1)
        assert calls - passes - 2 < run.meter.forward_calls <= calls


def test_a_budget_in_steps_counts_candidates(backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    backbone, data, run = ready(backbone_of("masked_lm"), small_tasks["classification"], budget=Budget("steps", 10))
    BBT(**SMALL).adapt(backbone, data, run)
    assert run.notes["candidates"] == 8
    with pytest.raises(InputError, match="seconds"):
        BBT(**SMALL).adapt(*ready(backbone, small_tasks["classification"], budget=Budget("seconds", 1)))


def test_the_search_lowers_the_loss(backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    losses = {}
    for calls in (0, 400):
        backbone, data, run = ready(backbone_of("masked_lm"), small_tasks["classification"])
        method = BBTv2(length=3, dimensions=6, population=8, alpha=1.0, calls=max(calls, 1))
        with torch.no_grad():
            search = Search(method, backbone, data, run)
            search.go()
            losses[calls] = search._loss(search.predictor)
    assert losses[400] < losses[0] - 0.01


def test_at_zero_bbtv2_is_the_carriers_alone(backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    backbone, data, run = ready(backbone_of("causal_lm"), small_tasks["classification"])
    with torch.no_grad():
        search = Search(BBTv2(**SMALL), backbone, data, run)
        zero = search._with(1, np.zeros(4))
        plain = Prompted(backbone, data.task, None, search.carriers, None)
        assert torch.equal(zero.scores(data.test), plain.scores(data.test))
        moved = search._with(1, np.ones(4))
        assert not torch.equal(moved.scores(data.test), plain.scores(data.test))


def test_projections_have_the_stated_size(backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    backbone, data, run = ready(backbone_of("masked_lm"), small_tasks["classification"])
    method = BBT(length=40, dimensions=50)
    with torch.no_grad():
        search = Search(method, backbone, data, run)
    spread = clipped_deviation(backbone.core.get_input_embeddings().weight)
    assert float(search.projections[0].std()) == pytest.approx(0.2 * spread / (50**0.5 * 0.2), rel=0.02)


def test_outliers_are_clipped() -> None:
    values = torch.randn(10_000, generator=torch.Generator().manual_seed(0))
    values[0] = 1e4
    assert clipped_deviation(values) == pytest.approx(1.0, abs=0.5)


def test_without_cma_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    missing: Any = None
    monkeypatch.setitem(sys.modules, "cma", missing)
    with pytest.raises(InputError, match="cma"):
        BBT(**SMALL).adapt(*ready(backbone_of("masked_lm"), small_tasks["classification"]))
