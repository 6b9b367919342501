"""The recipe of the shipped graph network: resumable to the bit, its losses by hand, saved and loaded."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from harness.methods import tiny_gin
from harness.methods.tiny_gin import Pretrainer, edge_loss, graph_loss, losses, pretrain, save
from harness.tasks.graphs import pretraining
from torch.nn import functional

from harness.backbones.load import load


@pytest.fixture(autouse=True)
def few_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining, "corpus", partial(pretraining.corpus, graphs=80))


def trained(out: Path, *, stop_at: int | None = None) -> None:
    pretrain(out, steps=4, log=lambda line: None, stop_at=stop_at)


def test_an_interrupted_run_equals_an_uninterrupted_one_and_loads(tmp_path: Path) -> None:
    trained(tmp_path / "whole")
    trained(tmp_path / "parts", stop_at=2)
    trained(tmp_path / "parts")
    whole, parts = (load(str(tmp_path / name / "model")) for name in ("whole", "parts"))
    for a, b in zip(whole.model.parameters(), parts.model.parameters()):
        assert torch.equal(a, b)


def test_the_losses_by_hand() -> None:
    torch.manual_seed(0)
    model = Pretrainer(8, 2)
    whole = pretraining.batch_at(0, 0, 3)
    states = torch.randn(len(whole.nodes), 8)
    sums = []
    means = torch.stack([states[whole.graph == number].mean(dim=0) for number in range(3)])
    for own in (True, False):
        scores = [
            float(model.local(states[node]) @ model.whole(means[number]))
            for node in range(len(states))
            for number in range(3)
            if (whole.graph[node] == number) == own
        ]
        sums.append(float(functional.softplus(torch.tensor(scores) * (-1 if own else 1)).mean()))
    assert float(graph_loss(model, states, whole)) == pytest.approx(sum(sums), rel=1e-4)
    with torch.no_grad():
        model.pairs.weight.zero_()
        model.pairs.bias.zero_()
    assert float(edge_loss(model, states, whole, np.random.default_rng(0))) == pytest.approx(2 * np.log(2), rel=1e-5)


def test_what_is_predicted_is_hidden() -> None:
    torch.manual_seed(0)
    model = Pretrainer(8, 2)
    batch = pretraining.batch_at(0, 0, 2)
    masked = torch.zeros(len(batch.nodes), dtype=torch.bool)
    masked[3] = True
    before = model(batch, masked)
    batch.nodes[3] += 5
    assert torch.equal(model(batch, masked), before)
    assert set(losses(model, 0, 1)) == {"attributes", "around", "edges", "infograph"}


def test_saved_weights_are_half_and_small(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Pretrainer(*tiny_gin.SIZES["tiny"])
    save(model, tmp_path / "model")
    again = load(str(tmp_path / "model"))
    assert (tmp_path / "model" / "model.safetensors").stat().st_size < 40_000
    for a, b in zip(model.network.parameters(), again.model.parameters()):
        assert torch.equal(a.half().float(), b)
