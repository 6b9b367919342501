"""XPrompt: importance is the gradient of a mask, what is pruned stays out, what is counted is what survives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from harness.methods.xprompt import Pieces, XPrompt, importance

from harness.backbones.backbone import Backbone
from harness.backbones.injection import Injection
from harness.errors import InputError
from harness.gradient import Adapted
from harness.training import Budget

from .bench import ready
from .conftest import SmallTask

Get = Callable[[str], Backbone]
CONFIG = {"length": 6, "pieces": 4, "token_share": 0.5, "piece_share": 0.25, "steps": 4}


def test_importance_is_the_gradient_of_a_mask(backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    """Against masks that really multiply tokens and pieces, an example at a time."""
    backbone, data, run = ready(backbone_of("encoder_decoder"), small_tasks["classification"])
    model = XPrompt(**CONFIG)._assemble(backbone, data, run)
    prompt = model.attached.parts().detach()
    tokens, pieces = importance(model, data, run, 4), importance(model, data, run, 1)
    wanted_tokens, wanted_pieces = torch.zeros(6), torch.zeros(6, 4)
    for row in data.train:
        mask = torch.ones(6, 4, requires_grad=True)
        model.attached.injection = lambda examples, mask=mask: Injection(prompt * mask.repeat_interleave(4, dim=1))  # type: ignore[misc]
        (gradient,) = torch.autograd.grad(model.loss([row]), mask)
        wanted_tokens += gradient.sum(dim=1).abs() / len(data.train)
        wanted_pieces += gradient.abs() / len(data.train)
    torch.testing.assert_close(tokens, wanted_tokens)
    torch.testing.assert_close(pieces, wanted_pieces.flatten())


@pytest.mark.parametrize("pruned_tokens", ["drop", "zero"])
def test_what_is_pruned_never_comes_back(pruned_tokens: str, backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    backbone, data, run = ready(backbone_of("masked_lm"), small_tasks["classification"], dev=2)
    model = XPrompt(**CONFIG, pruned_tokens=pruned_tokens).adapt(backbone, data, run)
    assert isinstance(model, Adapted)
    prompt = model.attached.parts()
    assert prompt.shape[0] == (3 if pruned_tokens == "drop" else 6)
    assert int((prompt.reshape(-1, 4) != 0).any(dim=1).sum()) == 9, "3 tokens of 4 pieces, a quarter of them gone"
    assert XPrompt(**CONFIG).trainable_parameters(backbone, data.task) == 9 * backbone.width // 4
    assert run.steps_done == 4, "both stages share the steps"


def test_the_least_important_go() -> None:
    scores = torch.tensor([3.0, 1.0, 2.0, 1.0])
    run = None
    kept = {name: XPrompt(prune=name)._kept(scores, 2, run, "tokens").tolist() for name in ("lowest", "highest")}  # type: ignore[arg-type]
    assert kept == {"lowest": [0, 2], "highest": [1, 3]}


def test_pruning_keeps_the_survivors_values() -> None:
    start = torch.arange(24.0).reshape(3, 8) + 1
    for leave in (True, False):
        parts = Pieces(start, pieces=2)
        assert torch.equal(parts(), start)
        parts.drop_tokens(torch.tensor([0, 2]), leave=leave)
        assert torch.equal(parts()[parts().any(dim=1)], start[[0, 2]])
        parts.drop_pieces(torch.tensor([1, 2]))
        left = parts()[parts().any(dim=1)]
        assert torch.equal(
            left, torch.cat([torch.cat([torch.zeros(4), start[0, 4:]])[None], torch.cat([start[2, :4], torch.zeros(4)])[None]])
        )
        assert sum(parameter.numel() for parameter in parts.parameters()) == 8


def test_a_trials_budget_is_shared_by_the_stages(backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    backbone, data, run = ready(backbone_of("masked_lm"), small_tasks["classification"], budget=Budget("steps", 10))
    XPrompt(**CONFIG).adapt(backbone, data, run)
    assert run.steps_done == 10 and run.budget == Budget("steps", 10)


def test_pieces_must_divide_the_width(backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    backbone, data, run = ready(backbone_of("masked_lm"), small_tasks["classification"])
    with pytest.raises(InputError, match="do not divide"):
        XPrompt(pieces=7).adapt(backbone, data, run)
