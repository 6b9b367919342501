"""Costs: counting changes nothing, is complete, and is multiplied by how often a shape ran."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from harness.costs import Meter, flop_counter, saved_bytes


def step(meter: Meter, model: nn.Linear, rows: int, *, training: bool = True) -> torch.Tensor:
    with torch.set_grad_enabled(training):
        meter.forward("model", rows, 1)
        loss = model(torch.ones(rows, 4)).square().mean()
        if training:
            model.zero_grad()
            loss.backward()
            meter.end_step()
    return loss


def test_flops_are_those_of_every_step_by_shape() -> None:
    model, meter = nn.Linear(4, 3), Meter()
    with meter.timed("train"):
        for rows in (2, 2, 5, 2):
            step(meter, model, rows)
    forward_and_weight_gradient = 2 * (2 * 4 * 3)  # a row: one product forward, one for the weights; inputs need none
    assert meter.flops == (2 + 2 + 5 + 2) * forward_and_weight_gradient
    assert (meter.forward_calls, meter.tokens) == (4, 11) and meter.seconds["train"] > 0


def test_passes_without_gradients_count_each() -> None:
    model, meter = nn.Linear(4, 3), Meter()
    with meter.timed("evaluate"):
        for _ in range(3):
            step(meter, model, 2, training=False)
    assert meter.flops == 3 * 2 * 2 * 4 * 3 and meter.activation_bytes == 0


def test_counting_changes_no_byte() -> None:
    torch.manual_seed(0)
    query = torch.randn(2, 2, 5, 8, requires_grad=True)
    plain = functional.scaled_dot_product_attention(query, query, query)
    with flop_counter() as counter, saved_bytes():
        counted = functional.scaled_dot_product_attention(query, query, query)
    assert torch.equal(plain, counted) and counter.get_total_flops() == 2 * (2 * 2 * 2 * 5 * 5 * 8)


def test_saved_bytes_count_each_storage_once_and_no_parameters() -> None:
    weight, rows = nn.Parameter(torch.ones(4, 4)), torch.ones(8, 4, requires_grad=True)
    with saved_bytes({weight.untyped_storage().data_ptr()}) as total:
        (rows @ weight) * (rows @ weight)
    products = 2 * 8 * 4 * 4
    assert total["bytes"] == products + rows.nbytes


def test_a_step_that_fails_leaves_no_counter_behind() -> None:
    meter = Meter()
    with pytest.raises(RuntimeError), meter.timed("train"):
        meter.forward("model", 1, 1)
        raise RuntimeError
    assert meter._counting is None and meter.phase == "setup"
    from torch.utils._python_dispatch import _get_current_dispatch_mode

    assert _get_current_dispatch_mode() is None


def test_a_grouped_convolution_costs_as_much_backward_for_each_of_input_and_weight_as_forward() -> None:
    """PyTorch's own formula counts a depthwise convolution's backward pass as that of a dense one."""
    for groups in (1, 8):
        layer = torch.nn.Conv1d(8, 8, 3, groups=groups, bias=False)
        x = torch.randn(2, 8, 12, requires_grad=True)
        with flop_counter() as forward:
            y = layer(x)
        with flop_counter() as backward:
            y.sum().backward()
        assert forward.get_total_flops() == 2 * 2 * 10 * 8 * (8 // groups) * 3
        assert backward.get_total_flops() == 2 * forward.get_total_flops()
