"""Visual prompts and their gates: starts, dropout, what is trained, and the pictures they leave."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from harness.methods.gated_prompt_tuning import GatedPromptTuning
from harness.methods.visual_prompt_tuning import VPTDeep, VPTShallow

from harness import catalog
from harness.costs import Meter
from harness.outcome import Media
from harness.seeds import Streams
from harness.task import Shots, TaskData, draw
from harness.training import Run

from .vision_transformer import SmallPictures, backbone

NAMES = ("vpt-shallow", "vpt-deep", "gated-prompt-tuning")
MODEL = backbone()


def _data() -> TaskData:
    task = SmallPictures()
    return draw(task, Streams({"data": 0}).rng("data", task.name), train=Shots(per_class=8), dev=Shots(per_class=2))


def _run(seed: int = 0) -> Run:
    return Run(Streams(dict.fromkeys(("data", "demos", "init", "order", "noise"), seed)), meter=Meter())


def _adapted(name: str, **config: Any) -> Any:
    return catalog.load("method", name)(**config).adapt(MODEL, _data(), _run())


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_learned(name: str) -> None:
    """Dark or bright, from eight pictures of each."""
    found = _adapted(name, steps=40, length=4)
    rows = _data().test
    predictions = found.predict([row.example for row in rows])
    assert sum(int(p) == row.target for p, row in zip(predictions.classes, rows, strict=True)) >= 10


def test_start_is_within_the_patch_embeddings_bound() -> None:
    prompts = VPTDeep(length=50).attach(MODEL, _data(), _run()).parts.prompts
    bound = math.sqrt(6 / (3 * 4 * 4 + 16))
    assert prompts.shape == (3, 50, 16)
    assert 0.95 * bound < float(prompts.detach().abs().max()) <= bound and abs(float(prompts.detach().mean())) < 0.02


def test_dropout_is_on_in_training_alone() -> None:
    attached = VPTShallow(length=20, dropout=0.5).attach(MODEL, _data(), _run())
    examples = [row.example for row in _data().train]
    dropped = attached.injection(examples).prompt
    assert dropped.shape == (16, 20, 16) and 0.4 < float((dropped == 0).float().mean()) < 0.6
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], (2 * attached.parts.prompts[0]).expand_as(dropped)[kept])
    with torch.no_grad():
        assert torch.equal(attached.injection(examples).prompt, attached.parts.prompts[0])
    repeated = VPTShallow(length=20, dropout=0.5).attach(MODEL, _data(), _run())
    assert torch.equal(repeated.injection(examples).prompt, dropped)


def test_gates_start_nearly_shut_and_are_trained() -> None:
    method = GatedPromptTuning(steps=20, gate_rate=0.1)
    before = method.attach(MODEL, _data(), _run()).injection([])
    assert torch.allclose(before.gates, torch.full((2,), 1 / (1 + math.exp(5)))) and torch.equal(before.temperatures, torch.ones(3))
    run = _run()
    after = method.adapt(MODEL, _data(), run).attached.injection([])
    assert run.notes["gates"] == pytest.approx(after.gates.tolist(), abs=1e-4) and len(run.notes["temperatures"]) == 3
    assert not torch.allclose(after.gates, before.gates) and not torch.allclose(after.temperatures, before.temperatures)


def test_temperatures_stay_in_bounds() -> None:
    parts = GatedPromptTuning().attach(MODEL, _data(), _run()).parts
    with torch.no_grad():
        parts.temperatures.copy_(torch.tensor([-3.0, 0.5, 99.0]))
    assert parts(1).temperatures.tolist() == pytest.approx([0.01, 0.5, 10.0])


def test_groups_have_their_own_rates() -> None:
    method = GatedPromptTuning(learning_rate=0.3, gate_rate=0.2)
    prompts, scalars = method.groups(method.attach(MODEL, _data(), _run()))
    assert (prompts["lr"], scalars["lr"]) == (0.3, 0.2)
    assert [len(group["params"]) for group in (prompts, scalars)] == [1, 2]


def test_prompts_may_enter_later() -> None:
    early, late = (VPTShallow(block=block).attach(MODEL, _data(), _run()).injection([]) for block in (0, 2))
    assert torch.equal(early.prompt, late.prompt) and (early.at, late.at) == (0, 2)


def test_attention_is_shown() -> None:
    found = _adapted("gated-prompt-tuning", steps=2)
    (picture,) = found.pictures([row.example for row in _data().test])
    assert isinstance(picture, Media) and picture.data.startswith(b"\x89PNG") and len(picture.data) < 40_000
    assert "small-pictures" in picture.caption and "%" in picture.caption
