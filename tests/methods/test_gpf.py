"""GPF and GPF-plus: what is added to which node, and their pictures."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import torch
from harness.methods.gpf import GPF, GPFPlus, Mixture, PromptedGraphs
from harness.methods.graph_pictures import drawn, places

from harness.seeds import Streams
from harness.task import Shots, draw
from harness.training import Run

from . import graph


def ready() -> tuple[graph.GraphBackbone, graph.SmallGraphs, Run]:
    return graph.backbone(), graph.SmallGraphs(), Run(Streams({"data": 0}))


def test_the_mixture_is_a_softmax_over_scores_of_each_node() -> None:
    mixture, embeddings = Mixture(8, 3, torch.Generator().manual_seed(0)), torch.randn(5, 8)
    for node, got in zip(embeddings, mixture(embeddings)):
        weights = torch.exp(mixture.scores @ node)
        torch.testing.assert_close(got, (weights / weights.sum()) @ mixture.basis)


def test_what_is_added() -> None:
    backbone, task, run = ready()
    data = draw(task, run.rng("data"), train=Shots(per_class=2), dev=Shots(0))
    examples = [row.example for row in data.test[:3]]
    one = GPF()._assemble(backbone, data, run)
    assert isinstance(one, PromptedGraphs)
    for vectors, example in zip(one.added(examples), examples):
        assert vectors.shape == (len(example.inputs["nodes"]), 8) and bool((vectors == one.attached.parts.vector).all())
    several = GPFPlus(basis=3)._assemble(backbone, data, run)
    assert isinstance(several, PromptedGraphs)
    assert any(not torch.allclose(vectors[0], vectors[1]) for vectors in several.added(examples))
    items = [backbone.read(example.inputs) for example in examples]
    states = backbone.all_states(items, injection=several.attached.injection(examples))  # type: ignore[arg-type]
    torch.testing.assert_close(states[0] - backbone.embeddings(items), torch.cat(several.added(examples)))


def test_pictures_are_small_svg_files() -> None:
    backbone, task, run = ready()
    data = draw(task, run.rng("data"), train=Shots(per_class=2), dev=Shots(0))
    pictures = GPF()._assemble(backbone, data, run).pictures([row.example for row in data.test])  # type: ignore[attr-defined]
    assert [item.name for item in pictures] == ["graph-1.svg", "graph-2.svg", "graph-3.svg"]
    for item, row in zip(pictures, data.test):
        nodes = len(row.inputs["nodes"])
        assert len(item.data) < 40_000 and item.kind == "graph" and f"{nodes} of {nodes} nodes" in item.caption
        found = ElementTree.fromstring(item.data)
        assert len(found.findall("{*}circle")) == nodes and len(found.findall("{*}line")) == nodes - 1


def test_a_drawing_shades_by_length_and_rings_what_matters() -> None:
    import numpy as np

    edges = np.array([[0, 1, 1, 2], [1, 0, 2, 1]])
    text = drawn(edges, np.array([0.0, 1.0, 0.5]), np.array([True, False, False]))
    assert text.count('stroke-width="3"') == 1 and "rgb(250,250,250)" in text and "rgb(194,65,12)" in text
    at = places(edges, 3)
    assert at.min() >= 0 and at.max() <= 1 and np.linalg.norm(at[0] - at[2]) > np.linalg.norm(at[0] - at[1])


def test_a_trial_keeps_its_pictures_for_the_report(tmp_path: Path) -> None:
    from harness import api
    from harness.suite import Suite

    asked = {
        "suite": "pictures",
        "question": "Are they kept?",
        "backbones": "tiny-gin",
        "methods": [{"name": "gpf", "config": {"steps": 2}}],
    }
    suite = Suite.model_validate({**asked, "tasks": ["graph-colour"], "shots": 2, "seeds": 1, "test_rows": 5, "probes": ["prompted-nodes"]})
    results = api.run(suite, store=tmp_path, device="cpu", workers=0)
    (trial,) = results.trials.to_dict("records")
    assert trial["status"] == "ok" and trial["probe:prompted-nodes"] == 1.0
    kept = results.media(trial["trial_id"])
    assert [item.kind for item in kept] == ["graph"] * 3 and all("ringed: the planted motif" in item.caption for item in kept)
