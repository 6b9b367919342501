"""DEFT: its penalty on numbers made by hand, its gradient, its hooks, and the density probe that judges it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from harness.methods.deft import Deft, Penalty
from harness.tasks.activation_density import ActivationDensity

from harness.backbones.activations import feed_forwards, per_example, watched
from harness.backbones.backbone import Backbone
from harness.probe import adapted_backbone

from .bench import ready
from .conftest import SmallTask

STRONG = {"alpha": 20.0, "epsilon": 0.1, "over": {"lora": {"rank": 4, "steps": 60, "learning_rate": 0.02}}}


def adapted(config: dict[str, Any], backbone: Backbone, task: SmallTask) -> tuple[Any, Any, Any]:
    _, data, run = ready(backbone, task)
    return Deft(**config).adapt(backbone, data, run), data, run


def test_the_penalty_is_the_mean_smooth_count() -> None:
    values = torch.tensor([[[0.0, 1.0], [3.0, 0.0]], [[1.0, 1.0], [5.0, 5.0]]])  # [B 2, T 2, d_ff 2]
    squares = values**2 / (values**2 + 1.0)
    expected = torch.tensor([(0.5 + 0.9) / 4, (0.5 + 0.5 + 2 * 25 / 26) / 4])
    assert torch.allclose(per_example(squares, None, padding=True), expected)
    seen = torch.tensor([[True, True], [True, False]])
    assert torch.allclose(per_example(squares, seen, padding=False), torch.tensor([(0.5 + 0.9) / 4, 0.5]))
    assert torch.allclose(per_example(squares.reshape(4, 2), seen, padding=False), torch.tensor([(0.5 + 0.9) / 4, 0.5]))


@pytest.mark.parametrize(("family", "layers"), [("masked_lm", 2), ("causal_lm", 2), ("encoder_decoder", 4)])
def test_activations_are_watched_in_every_layer(
    backbone_of: Callable[[str], Backbone], small_tasks: dict[str, SmallTask], family: str, layers: int
) -> None:
    backbone, task = backbone_of(family), small_tasks["classification"]
    assert len(feed_forwards(backbone)) == layers
    seen: list[tuple[Any, int, int]] = []
    rendered = [task.templates["plain"].render(row.inputs, task.labels) for row in task.test()[:3]]
    with watched(backbone, lambda side, layer, values: seen.append((side, layer, values.shape[-1]))):
        backbone.label_scores(rendered)
    assert {(side, layer) for side, layer, _ in seen} == {(side, layer) for side, layer, _ in feed_forwards(backbone)}
    assert {width for *_, width in seen} == {64 if family == "causal_lm" else 24}, "d_ff of the models in tests/conftest.py"
    before = len(seen)
    backbone.label_scores(rendered)
    assert len(seen) == before, "a hook was left behind"


def test_a_relu_model_counts_its_zeros(backbone_of: Callable[[str], Backbone], small_tasks: dict[str, SmallTask]) -> None:
    """T5's activation is ReLU: the probe must find the share of positive inputs of its second projection."""
    backbone = backbone_of("encoder_decoder")
    _, data, run = ready(backbone, small_tasks["classification"])
    predictor = Deft(alpha=0, over={"lora": {"steps": 1}}).adapt(backbone, data, run)
    measured = ActivationDensity().measure(predictor, backbone, data, run)
    assert measured.value is not None and 0.2 < measured.value < 0.8 and measured.parts is not None and len(measured.parts) == 4
    assert measured.value == pytest.approx(sum(measured.parts.values()) / 4)
    none = ActivationDensity(threshold=1e9).measure(predictor, backbone, data, run)
    assert none.value == 0.0


def test_gelu_is_never_exactly_zero_so_a_threshold_is_needed(
    backbone_of: Callable[[str], Backbone], small_tasks: dict[str, SmallTask]
) -> None:
    backbone = backbone_of("masked_lm")
    _, data, run = ready(backbone, small_tasks["classification"])
    predictor = Deft(alpha=0, over={"lora": {"steps": 1}}).adapt(backbone, data, run)
    plain, thresholded = (ActivationDensity(threshold=t).measure(predictor, backbone, data, run).value for t in (0.0, 0.1))
    assert plain is not None and thresholded is not None and plain > 0.95 > thresholded


def test_the_penalty_alone_lowers_the_density(backbone_of: Callable[[str], Backbone], small_tasks: dict[str, SmallTask]) -> None:
    """What stands in for the claim where training is too short to show it: a strong penalty must act on what it measures."""
    backbone, task = backbone_of("encoder_decoder"), small_tasks["classification"]
    densities = {}
    for name, config in {"penalised": STRONG, "plain": {**STRONG, "alpha": 0.0}}.items():
        predictor, data, run = adapted(config, backbone, task)
        densities[name] = ActivationDensity().measure(predictor, backbone, data, run).value
    assert densities["penalised"] < 0.9 * densities["plain"]


def test_no_hook_outlives_training_even_a_failed_one(
    backbone_of: Callable[[str], Backbone], small_tasks: dict[str, SmallTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone, task = backbone_of("masked_lm"), small_tasks["classification"]
    adapted({"over": {"prompt-tuning": {"steps": 2}}}, backbone, task)
    hooks = [len(module._forward_pre_hooks) for _, _, module in feed_forwards(backbone)]
    monkeypatch.setattr(Penalty, "loss", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        adapted({"over": {"prompt-tuning": {"steps": 2}}}, backbone, task)
    assert hooks == [len(module._forward_pre_hooks) for _, _, module in feed_forwards(backbone)] == [0, 0]


def test_the_adapted_backbone_is_found_behind_wrappers(backbone_of: Callable[[str], Backbone], small_tasks: dict[str, SmallTask]) -> None:
    backbone = backbone_of("masked_lm")
    predictor, _, _ = adapted({"over": {"lora": {"steps": 1}}}, backbone, small_tasks["classification"])
    assert adapted_backbone(predictor, backbone) is predictor.attached.backbone is not backbone
    assert adapted_backbone(object(), backbone) is backbone  # type: ignore[arg-type]
