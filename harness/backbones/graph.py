"""The family `graph`: graph neural networks in plain PyTorch, batched by offset, with vectors added to the nodes' input embeddings.

An example's inputs are {"nodes": float32 [n, f], "edges": int64 [2, e]}, every edge in both directions. `model_type: gin` in config.json is
the Graph Isomorphism Network (Xu et al. 2019, arXiv 1810.00826) with three departures: a linear embedding of the features in front
(prompts are added behind it, as GPF's released code does), layer norms in place of batch norms, so that a graph's states never depend
on the graphs beside it, and only the last layer is read, by a mean over the nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from harness.backbones import files
from harness.backbones.pretrained import Pretrained
from harness.errors import InputError, UnsupportedError

if TYPE_CHECKING:
    from harness.backbones.describe import BackboneInfo

Pooling = Literal["mean", "sum", "max"]
POOLINGS: tuple[Pooling, ...] = ("mean", "sum", "max")
SIZES = ("features", "width", "layers")  # what config.json must give


class Graph(NamedTuple):
    """One graph as read: nodes float32 [n, features], edges int64 [2, e] (from, to)."""

    nodes: np.ndarray
    edges: np.ndarray


@dataclass(frozen=True)
class Graphs:
    """B graphs joined by offset, N nodes in all.

    nodes : float [N, features].  edges : int64 [2, e].  graph : int64 [N], which graph a node is in.  mask : bool [B, T], where in a
    padded [B, T] table the nodes stand, T being the most nodes of a graph; in this order they are the N nodes.
    """

    nodes: Tensor
    edges: Tensor
    graph: Tensor
    mask: Tensor

    def padded(self, vectors: Tensor) -> Tensor:
        """[B, T, d] of [N, d], zeros where a graph has no node."""
        table = vectors.new_zeros(*self.mask.shape, vectors.shape[-1])
        return table.masked_scatter(self.mask[..., None], vectors)

    def flat(self, table: Tensor) -> Tensor:
        """[N, d] of [B, T, d]."""
        return table[self.mask]


@dataclass(frozen=True)
class NodePrompt:
    """What is put into a frozen graph network: `vectors` [width] added to every node's input embedding, or [N, width], one a node."""

    vectors: Tensor


class GINLayer(nn.Module):
    """MLP((1 + eps) x + the sum of the neighbours' x), states [N, width]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.eps = nn.Parameter(torch.zeros(()))
        self.inner, self.norm, self.outer = nn.Linear(width, 2 * width), nn.LayerNorm(2 * width), nn.Linear(2 * width, width)

    def forward(self, states: Tensor, edges: Tensor) -> Tensor:
        neighbours = torch.zeros_like(states).index_add(0, edges[1], states[edges[0]])
        return cast(Tensor, self.outer(torch.relu(self.norm(self.inner((1 + self.eps) * states + neighbours)))))


class GIN(nn.Module):
    """A linear embedding and `layers` GIN layers, with a ReLU between them."""

    def __init__(self, features: int, width: int, layers: int) -> None:
        super().__init__()
        self.features, self.width = features, width
        self.embed = nn.Linear(features, width)
        self.layers = nn.ModuleList(GINLayer(width) for _ in range(layers))

    def forward(self, nodes: Tensor, edges: Tensor, prompt: Tensor | None = None) -> list[Tensor]:
        """The states [N, width] of the (prompted) embeddings and after every layer."""
        states = self.embed(nodes)
        found = [states if prompt is None else states + prompt]
        for number, layer in enumerate(self.layers):
            found.append(layer(torch.relu(found[-1]) if number else found[-1], edges))
        return found


class GraphBackbone(Pretrained):
    """A loaded graph network. `width` is that of its input embeddings, node states and features alike."""

    model: GIN

    def __init__(self, *, pooling: Pooling = "mean", **named: Any) -> None:
        super().__init__(**named)
        self.width, self.layers, self.pooling = self.model.width, len(self.model.layers), pooling

    def read(self, inputs: Mapping[str, Any]) -> Graph:
        """The graph of an example. Nodes with fewer features than the network takes are filled up with zeros."""
        try:
            nodes, edges = np.asarray(inputs["nodes"], dtype=np.float32), np.asarray(inputs["edges"], dtype=np.int64)
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(f"an example is no graph: {error}", expected="nodes, numbers [n, f], and edges, node numbers [2, e]") from None
        if nodes.ndim != 2 or not len(nodes) or edges.ndim != 2 or edges.shape[0] != 2:
            shown = f"nodes {list(nodes.shape)} and edges {list(edges.shape)}"
            raise InputError(f"an example is no graph: {shown}", expected="nodes [n, f] with n from 1, and edges [2, e]")
        if edges.size and not (edges.min() >= 0 and edges.max() < len(nodes)):
            raise InputError(f"an edge leads to a node that is not there (there are {len(nodes)})", key="edges")
        wanted = self.model.features
        if nodes.shape[1] > wanted:
            raise InputError(f"nodes have {nodes.shape[1]} features", key="nodes", expected=f"{self.name} reads up to {wanted}")
        return Graph(np.pad(nodes, ((0, 0), (0, wanted - nodes.shape[1]))), edges)

    def shown(self, inputs: Mapping[str, Any]) -> str:
        return f"a graph of {len(inputs['nodes'])} nodes and {np.shape(inputs['edges'])[1] // 2} edges"

    def join(self, items: Sequence[Graph]) -> Graphs:
        """The graphs as one, on the backbone's device."""
        counts = np.array([len(item.nodes) for item in items])
        offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
        edges = np.concatenate([item.edges + offset for item, offset in zip(items, offsets)], axis=1)
        return Graphs(
            torch.from_numpy(np.concatenate([item.nodes for item in items])).to(self.device, self.model.embed.weight.dtype),
            torch.from_numpy(edges).to(self.device),
            torch.from_numpy(np.repeat(np.arange(len(items)), counts)).to(self.device),
            torch.from_numpy(np.arange(counts.max()) < counts[:, None]).to(self.device),
        )

    def embeddings(self, items: Sequence[Graph] | Graphs) -> Tensor:
        """[N, width] input embeddings of all nodes, where prompts are added; no forward pass."""
        return cast(Tensor, self.model.embed(self._joined(items).nodes))

    def all_states(self, items: Sequence[Graph] | Graphs, *, injection: NodePrompt | None = None) -> list[Tensor]:
        """The states [N, width] of the embeddings and after every layer: one forward pass."""
        graphs = self._joined(items)
        self.meter.forward("nodes", 1, len(graphs.nodes))
        prompt = None if injection is None else injection.vectors.to(graphs.nodes.dtype)
        if prompt is not None and prompt.shape not in ((self.width,), (len(graphs.nodes), self.width)):
            expected = f"[{self.width}] or [{len(graphs.nodes)}, {self.width}]"
            raise InputError(f"a node prompt of shape {list(prompt.shape)}", key="injection", expected=expected)
        return cast(list[Tensor], self.model(graphs.nodes, graphs.edges, prompt))

    def node_states(self, items: Sequence[Graph] | Graphs, *, injection: NodePrompt | None = None) -> Tensor:
        """[N, width] states of all nodes after the last layer."""
        return self.all_states(items, injection=injection)[-1]

    def hidden_states(self, items: Sequence[Graph], *, injection: NodePrompt | None = None) -> tuple[Tensor, Tensor]:
        """[layers + 1, B, T, width] states of every node after every layer, zeros for padding, and the mask [B, T] of real nodes."""
        graphs = self._joined(items)
        return torch.stack([graphs.padded(states) for states in self.all_states(graphs, injection=injection)]), graphs.mask.long()

    def features(self, items: Sequence[Graph] | Graphs, *, pooling: Pooling | None = None, injection: NodePrompt | None = None) -> Tensor:
        graphs = self._joined(items)
        return pooled(self.node_states(graphs, injection=injection), graphs, pooling or self.pooling)

    def _joined(self, items: Sequence[Graph] | Graphs) -> Graphs:
        return items if isinstance(items, Graphs) else self.join(items)


def pooled(states: Tensor, graphs: Graphs, pooling: Pooling = "mean") -> Tensor:
    """[B, width]: the mean, sum or largest of each graph's node states [N, width]."""
    if pooling == "max":
        return graphs.padded(states).masked_fill(~graphs.mask[..., None], -torch.inf).amax(dim=1)
    if pooling not in POOLINGS:
        raise InputError(f"{pooling!r} is no pooling of nodes", key="pooling", expected=", ".join(POOLINGS))
    total = states.new_zeros(len(graphs.mask), states.shape[1]).index_add(0, graphs.graph, states)
    return total / graphs.mask.sum(dim=1, keepdim=True) if pooling == "mean" else total


def load(info: BackboneInfo, device: torch.device) -> GraphBackbone:
    """The network in `info.folder`: config.json with features, width and layers, weights in safetensors, or random ones where asked."""
    from safetensors.torch import load_file

    assert info.folder is not None
    config = files.config_of(info.folder)
    if config.get("model_type") != "gin":
        raise UnsupportedError(f"{info.name}: {config.get('model_type')!r} is no graph network that is known (gin is)")
    files.check_weights(info.folder)
    sizes: dict[str, int] = {}
    for key in SIZES:
        size = config.get(key)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise InputError(f"{size!r} is no size", file=info.folder / "config.json", key=key, expected="a whole number from 1")
        sizes[key] = size
    pooling = config.get("pooling", "mean")
    if pooling not in POOLINGS:
        raise InputError(f"{pooling!r} is no pooling", file=info.folder / "config.json", key="pooling", expected=", ".join(POOLINGS))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(info.untrained or 0)
        model = GIN(**sizes)
    if info.untrained is None:
        try:
            model.load_state_dict({name: tensor.float() for name, tensor in load_file(info.folder / files.WEIGHTS).items()})
        except RuntimeError as error:
            raise InputError(f"weights do not fit the configuration: {' '.join(str(error).split())[:200]}", file=info.folder) from None
    return GraphBackbone(
        name=info.name,
        family="graph",
        model=model.to(device, getattr(torch, info.dtype)),
        capabilities=info.capabilities,
        identity=info.identity,
        pooling=pooling,
    )
