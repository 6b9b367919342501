"""Graph networks: the layer by its formula, batching by offset, node prompts, pooling, reading of examples, loading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from harness.backbones.capabilities import EXPECTED
from harness.backbones.graph import GIN, GINLayer, GraphBackbone, NodePrompt, pooled
from harness.backbones.load import load
from harness.errors import InputError, UnsupportedError

PATH = np.array([[0, 1, 1, 2], [1, 0, 2, 1]])  # 0 - 1 - 2


def example(nodes: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    pairs = np.array([(int(rng.integers(new)), new) for new in range(1, nodes)]).reshape(-1, 2).T
    return {"nodes": rng.standard_normal((nodes, 4)).astype(np.float32), "edges": np.concatenate([pairs, pairs[::-1]], axis=1)}


@pytest.fixture
def backbone() -> GraphBackbone:
    torch.manual_seed(0)
    return GraphBackbone(name="random", family="graph", model=GIN(4, 8, 3), capabilities=EXPECTED["graph"])


def test_the_layer_is_its_formula_with_a_dense_matrix() -> None:
    torch.manual_seed(0)
    layer, states = GINLayer(8), torch.randn(3, 8)
    with torch.no_grad():
        layer.eps.fill_(0.3)
    adjacent = torch.tensor([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]])
    wanted = layer.outer(torch.relu(layer.norm(layer.inner(1.3 * states + adjacent @ states))))
    torch.testing.assert_close(layer(states, torch.from_numpy(PATH)), wanted)


def test_a_graphs_features_do_not_depend_on_the_graphs_beside_it_or_on_the_order_of_its_nodes(backbone: GraphBackbone) -> None:
    items = [backbone.read(example(size, size)) for size in (5, 1, 7)]
    together = backbone.features(items)
    for item, wanted in zip(items, together):
        torch.testing.assert_close(backbone.features([item])[0], wanted)
    order = np.array([3, 0, 4, 1, 2])
    moved = {"nodes": items[0].nodes[order], "edges": np.argsort(order)[items[0].edges]}
    torch.testing.assert_close(backbone.features([backbone.read(moved)])[0], together[0])


def test_prompts_are_added_to_the_input_embeddings(backbone: GraphBackbone) -> None:
    items = [backbone.read(example(4)), backbone.read(example(3, 1))]
    one, each = torch.randn(8), torch.randn(7, 8)
    plain = backbone.all_states(items)
    torch.testing.assert_close(plain[0], backbone.embeddings(items))
    torch.testing.assert_close(backbone.all_states(items, injection=NodePrompt(one))[0], plain[0] + one)
    prompted = backbone.all_states(items, injection=NodePrompt(each))
    torch.testing.assert_close(prompted[0], plain[0] + each)
    assert not torch.allclose(prompted[-1], plain[-1])
    assert torch.equal(
        backbone.features(items, injection=NodePrompt(one.expand(7, 8))), backbone.features(items, injection=NodePrompt(one))
    )
    with pytest.raises(InputError, match="node prompt"):
        backbone.features(items, injection=NodePrompt(torch.zeros(5, 8)))


def test_pooling_and_padding(backbone: GraphBackbone) -> None:
    items = [backbone.read(example(4)), backbone.read(example(2, 1))]
    graphs = backbone.join(items)
    states = backbone.node_states(graphs)
    first, second = states[:4], states[4:]
    for pooling, wanted in (("mean", first.mean(0)), ("sum", first.sum(0)), ("max", first.amax(0))):
        torch.testing.assert_close(pooled(states, graphs, pooling)[0], wanted)  # type: ignore[arg-type]
    torch.testing.assert_close(pooled(states, graphs, "max")[1], second.amax(0))
    assert torch.equal(graphs.flat(graphs.padded(states)), states)
    hidden, mask = backbone.hidden_states(items)
    assert hidden.shape == (4, 2, 4, 8) and mask.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert torch.equal(hidden[-1][mask.bool()], states) and not hidden[:, 1, 2:].any()


def test_passes_are_told_to_the_meter(backbone: GraphBackbone) -> None:
    items = [backbone.read(example(4)), backbone.read(example(2, 1))]
    backbone.embeddings(items)
    backbone.features(items)
    assert (backbone.meter.forward_calls, backbone.meter.tokens) == (1, 6)  # type: ignore[attr-defined]


def test_reading_fills_up_features_and_refuses_what_is_no_graph(backbone: GraphBackbone) -> None:
    few = backbone.read({"nodes": np.ones((3, 2)), "edges": PATH})
    assert few.nodes.tolist() == [[1, 1, 0, 0]] * 3 and few.nodes.dtype == np.float32
    for inputs, told in (
        ({"text": "a"}, "is no graph"),
        ({"nodes": np.ones((3, 2)), "edges": np.zeros((3, 2))}, "is no graph"),
        ({"nodes": np.ones((2, 2)), "edges": PATH}, "not there"),
        ({"nodes": np.ones((3, 5)), "edges": PATH}, "5 features"),
        ({"nodes": np.ones((0, 2)), "edges": np.zeros((2, 0))}, "is no graph"),
    ):
        with pytest.raises(InputError, match=told):
            backbone.read(inputs)
    assert backbone.shown({"nodes": np.ones((3, 2)), "edges": PATH}) == "a graph of 3 nodes and 2 edges"


def saved(folder: Path, **changed: Any) -> Path:
    torch.manual_seed(0)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "gin", "features": 4, "width": 8, "layers": 2, **changed}))
    save_file(GIN(4, 8, 2).half().state_dict(), folder / "model.safetensors")
    return folder


def test_loading(tmp_path: Path) -> None:
    folder = saved(tmp_path / "gin")
    model = load(str(folder))
    assert isinstance(model, GraphBackbone) and {"node_prompts", "weight_tuning"} <= model.capabilities
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in model.model.parameters())
    control, other = (load({"folder": str(folder), "untrained": seed}) for seed in (1, 2))
    weights = [m.model.embed.weight for m in (model, control, other)]
    assert not torch.equal(weights[0], weights[1]) and not torch.equal(weights[1], weights[2])
    assert model.identity["weights"] and control.identity["untrained"] == 1


@pytest.mark.parametrize(
    ("changed", "told"), [({"width": 16}, "do not fit"), ({"layers": 0}, "no size"), ({"pooling": "best"}, "no pooling")]
)
def test_a_damaged_configuration_is_one_line(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        load(str(saved(tmp_path / "gin", **changed)))


def test_another_architecture_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="no graph network that is known"):
        load({"folder": str(saved(tmp_path / "gat", model_type="gat")), "family": "graph"})


def test_the_shipped_model_loads_and_is_small() -> None:
    model = load("tiny-gin")
    assert (model.width, model.layers, model.model.features) == (32, 3, 16)
    folder = Path(__file__).parents[3] / "harness" / "backbones" / "shipped" / "tiny-gin"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 60_000
