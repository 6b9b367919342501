"""Test-time adaptation: what state does over a stream, and what each method adapts on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from harness import catalog
from harness import method as method_module
from harness.backbones.convnet import Norm
from harness.costs import Meter
from harness.errors import InputError
from harness.identity import digest_tensors
from harness.metrics import values
from harness.protocols import ask
from harness.seeds import Streams
from harness.task import Shots, draw
from harness.training import Run

from .convnet import SmallPictures, SmallStream, backbone

ADAPTING = [("tent", {}), ("tent", {"loss": "eta", "entropy_share": 2.0}), ("ostta", {}), ("ostta", {"filter": "none", "diversity": 0.5})]
IDS = ["tent", "eta", "ostta", "diverse"]


@pytest.fixture(scope="module")
def model():
    return backbone()


def started(model: Any, name: str, config: dict[str, Any], seed: int = 0) -> tuple[Any, Any, Any, Any]:
    """Method, predictor, data and run."""
    made = catalog.load("method", name)(**{"learning_rate": 0.01, **config} if name in ("tent", "ostta") else config)
    task = SmallStream()
    data = draw(task, np.random.default_rng(0), train=Shots(per_class=0), dev=Shots(per_class=0))
    run = Run(Streams({stream: seed for stream in ("data", "init", "order", "noise")}), meter=Meter())
    model.meter = run.meter
    return made, made.adapt(model, data, run), data, run


def batches(data: Any, size: int = 8) -> list[Any]:
    return [[row.example for row in data.test[start : start + size]] for start in range(0, len(data.test), size)]


@pytest.mark.parametrize(("name", "config"), ADAPTING, ids=IDS)
def test_reset_is_the_start_bit_for_bit(model, name, config):
    _, predictor, data, _ = started(model, name, config)
    state, first = digest_tensors(predictor.state()[0]), [predictor.predict(batch).scores for batch in batches(data)]
    assert digest_tensors(predictor.state()[0]) != state, "nothing was adapted"
    predictor.reset()
    assert digest_tensors(predictor.state()[0]) == state
    again = [predictor.predict(batch).scores for batch in batches(data)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again))


@pytest.mark.parametrize(("name", "config"), ADAPTING, ids=IDS)
def test_saved_in_mid_stream_it_goes_on_bit_for_bit(model, name, config, tmp_path):
    made, predictor, data, run = started(model, name, config)
    early, late = batches(data)[:2], batches(data)[2:]
    for batch in early:
        predictor.predict(batch)
    method_module.save(predictor, tmp_path / "kept")
    restored = made.restore(model, data, run, *method_module.load(tmp_path / "kept"))
    for batch in late * 2:
        ours, theirs = predictor.predict(batch), restored.predict(batch)
        assert np.array_equal(ours.scores, theirs.scores)
        assert all(np.array_equal(ours.measures[key], theirs.measures[key], equal_nan=True) for key in ours.measures)
    assert digest_tensors(restored.state()[0]) == digest_tensors(predictor.state()[0]) and restored.state()[1] == predictor.state()[1]


def test_the_first_batch_is_kept_whole(model):
    _, predictor, data, _ = started(model, "ostta", {})
    first = predictor.predict(batches(data)[0])
    assert first.measures["kept"].tolist() == [1] * 8 and first.measures["confidence_change"].tolist() == [0] * 8
    later = [predictor.predict(batch).measures["kept"] for batch in batches(data) * 3]
    assert 0 < np.concatenate(later).mean() < 1


def test_the_filter_is_the_sign_of_the_change_of_confidence(model):
    _, predictor, data, _ = started(model, "ostta", {})
    for batch in batches(data) * 2:
        measures = predictor.predict(batch).measures
        assert np.array_equal(measures["kept"] == 1, measures["confidence_change"] >= 0)


def test_without_its_filter_it_is_tent_bit_for_bit(model):
    _, plain, data, _ = started(model, "tent", {})
    _, ostta, _, _ = started(model, "ostta", {"filter": "none"})
    for batch in batches(data) * 2:
        assert np.array_equal(plain.predict(batch).scores, ostta.predict(batch).scores)


@pytest.mark.parametrize("diversity", [0.0, 0.5])
def test_nothing_kept_is_no_step(model, diversity):
    _, predictor, data, _ = started(model, "ostta", {"rise": 2.0, "diversity": diversity})
    before = digest_tensors(predictor.state()[0])
    answers = predictor.predict(batches(data)[0])
    assert digest_tensors(predictor.state()[0]) == before and predictor.state()[1] == {"batches": 1, "steps": 0}
    assert answers.measures["kept"].sum() == 0 and np.isfinite(answers.scores[:, :2]).all()


def test_nothing_kept_may_mean_all(model):
    _, predictor, data, _ = started(model, "ostta", {"rise": 2.0, "when_none": "all"})
    assert predictor.predict(batches(data)[0]).measures["kept"].tolist() == [1] * 8 and predictor.steps == 1


def test_answers_after_the_step_are_the_next_models(model):
    _, before, data, _ = started(model, "ostta", {})
    _, after, _, _ = started(model, "ostta", {"answer": "after"})
    batch = batches(data)[0]
    before.predict(batch)
    with torch.no_grad():
        expected = before.model.logits([example.inputs["image"] for example in batch]).double().log_softmax(1).numpy()
    assert np.array_equal(after.predict(batch).scores[:, :2], expected[:, :2])


@pytest.mark.parametrize("filtered", ["confidence", "entropy"])
def test_fixed_thresholds(model, filtered):
    _, predictor, data, _ = started(model, "ostta", {"filter": filtered, "threshold": 0.6})
    first = predictor.predict(batches(data)[0])
    probabilities = np.exp(
        started(model, "bn-statistics", {})[1].model.logits([e.inputs["image"] for e in batches(data)[0]]).log_softmax(1).detach().numpy()
    )
    of = probabilities.max(1) >= 0.6 if filtered == "confidence" else -(probabilities * np.log(probabilities)).sum(1) <= 0.6
    assert np.array_equal(first.measures["kept"] == 1, of)


def test_eta_leaves_out_the_unsure_and_the_redundant(model):
    _, predictor, _, _ = started(model, "tent", {"loss": "eta", "entropy_share": 0.4, "redundancy": 0.4})
    sure, unsure, other = [8.0, 0, 0], [0.0, 0, 0], [0.0, 8, 0]
    keep, weights = predictor._eta(torch.tensor([sure, unsure]), torch.tensor([0.01, 1.0986]), torch.tensor([True, True]))
    assert keep.tolist() == [True, False] and float(weights[0]) == pytest.approx(np.exp(0.4 * np.log(3) - 0.01))
    keep, _ = predictor._eta(torch.tensor([sure, other]), torch.tensor([0.01, 0.01]), torch.tensor([True, True]))
    assert keep.tolist() == [False, True]  # like the running mean, and unlike it


def test_the_source_model_stays_as_it_is(model):
    before = digest_tensors(model.model.state_dict())
    _, predictor, data, _ = started(model, "ostta", {})
    source = digest_tensors(predictor.source.model.state_dict())
    for batch in batches(data) * 2:
        predictor.predict(batch)
    assert digest_tensors(model.model.state_dict()) == before and digest_tensors(predictor.source.model.state_dict()) == source


def test_trained_are_scales_and_shifts_alone(model):
    made, predictor, data, _ = started(model, "tent", {})
    assert made.trainable_parameters(model, data.task) == sum(p.numel() for p in predictor.parameters.values())
    plain = dict(model.model.named_parameters())
    for batch in batches(data):
        predictor.predict(batch)
    changed = {name for name, p in predictor.model.model.named_parameters() if not torch.equal(p, plain[name])}
    assert changed and changed <= set(predictor.parameters) and all(".normalization." in name for name in changed)


def test_statistics_of_the_batch(model):
    """As BatchNorm2d in training mode; a prior mixes, and a very large one gives the source's answer."""
    _, data = started(model, "source", {})[1:3]
    items = [row.inputs["image"] for row in data.test]
    answers = {}
    for prior in (0.0, 8.0, 1e9):
        _, predictor, _, _ = started(model, "bn-statistics", {"prior": prior})
        answers[prior] = predictor.answer(items)[0]
    reference = backbone()
    for module in reference.model.modules():
        if isinstance(module, Norm):
            module.__class__ = nn.BatchNorm2d
            module.train()
    with torch.no_grad():
        assert torch.allclose(answers[0.0], reference.logits(items), atol=1e-5)
        source = model.logits(items)
    assert torch.allclose(answers[1e9], source, atol=1e-4) and not torch.allclose(answers[8.0], source, atol=1e-2)


def test_a_stream_is_asked_in_rounds_from_the_start(model):
    _, predictor, data, run = started(model, "ostta", {})
    predictor.predict(batches(data)[0])  # asked before: the protocol puts it back
    asked = ask(data, predictor, run)
    assert len(asked.rows) == 48 and asked.places["round"] == [0] * 24 + [1] * 24 and asked.places["step"][-1] == 5
    assert asked.predictions.measures["kept"][:8].tolist() == [1] * 8
    scores = values(data.task.metrics, asked.predictions, asked.rows, data.task)
    assert all(value is not None for value in scores.values()) and predictor.batches == 6


def test_costs_see_the_step_and_both_models(model):
    flops = {}
    for name in ("source", "bn-statistics", "tent", "ostta"):
        _, predictor, data, run = started(model, name, {})
        with run.meter.timed("evaluate"):
            predictor.predict(batches(data)[0])
        flops[name] = run.meter.flops
    assert flops["source"] == flops["bn-statistics"] > 0
    assert flops["tent"] > flops["source"] and flops["ostta"] == pytest.approx(flops["tent"] + flops["source"])


def test_unsupported_where_the_protocol_is_another():
    capabilities = frozenset({"features", "class_logits", "norm_statistics", "images"})
    tent, probe = catalog.load("method", "tent")(), catalog.load("method", "linear-probe")()
    assert tent.unsupported(SmallPictures(), "convnet", capabilities) == "tent has no supervised protocol"
    assert probe.unsupported(SmallStream(), "convnet", capabilities) == "linear-probe has no stream protocol"
    assert "norm_statistics" in str(tent.unsupported(SmallStream(), "vision_transformer", frozenset({"class_logits"})))


def test_a_model_of_other_classes_is_refused():
    with pytest.raises(InputError, match="knows none of the labels"):
        started(backbone(("ship", "frog", "horse")), "source", {})


class ToySegmenter(nn.Module):
    """One normalised convolution and a head: [B, 3, H, W] -> logits [B * H * W, 3], a pixel being a sample."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.linear = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(functional.relu(self.norm(self.conv(x))).permute(0, 2, 3, 1).flatten(0, 2))


def test_pixels_of_a_segmentation_are_filtered_like_pictures():
    """Three classes in stripes, and a patch of a colour that is none of them: over a noisy stream the filter drops the patch more often."""
    from harness.backbones.convnet import ConvNet
    from harness.backbones.pixels import Pixels

    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    net = ToySegmenter()
    colours = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9], [0.55, 0.5, 0.1]])

    def drawn(noise: float, patch: bool) -> tuple[torch.Tensor, np.ndarray]:
        gold = np.tile(np.repeat(np.arange(3), 4)[None, :, None], (8, 1, 12))
        if patch:
            gold[:, 3:7, 4:10] = 3
        images = colours[gold] * (0.8 if patch else 1.0) + rng.normal(0, noise, (*gold.shape, 3))
        return torch.from_numpy(images).permute(0, 3, 1, 2).float(), gold.reshape(-1)

    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(60):
        images, gold = drawn(0.1, False)
        loss = functional.cross_entropy(net(images), torch.from_numpy(gold))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    model = ConvNet(name="toy", model=net, pixels=Pixels(), classes=("red", "green", "blue"))
    model._seen = lambda kind, items: items  # type: ignore[method-assign, assignment, return-value]  # pictures are tensors here
    made = catalog.load("method", "ostta")(learning_rate=0.01)
    predictor = made.start(model, SimpleNamespace(labels=("red", "green", "blue"), name="toy"))  # type: ignore[arg-type]
    kept, unknown = [], []
    for _ in range(40):
        images, gold = drawn(0.25, True)
        _, measures = predictor.answer(images)
        kept.append(measures["kept"])
        unknown.append(gold == 3)
    assert kept[0].all()
    late, patch = np.concatenate(kept[10:]), np.concatenate(unknown[10:])
    assert late[~patch].mean() > late[patch].mean() + 0.1
