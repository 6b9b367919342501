"""Recipe of the shipped graph network: a small GIN pretrained on unlabelled graphs of the procedural world.

Four self-supervised objectives, all free of motifs' names and of any task's labels: masked nodes' features are predicted from their
surroundings (attribute masking, Hu et al. 2020, arXiv 1905.12265); edges, some of them left out of the input, are told from pairs of
nodes without one (Kipf and Welling 2016, arXiv 1611.07308, with the pairs drawn within a graph); a node is told to belong to its own
graph and not to another (InfoGraph, Sun et al. 2020, arXiv 1908.01000, with its Jensen-Shannon bound); and a node's degree and closed
walks of three and four steps are predicted (properties of the structure, Jin et al. 2020, arXiv 2006.10141).

python -m harness.methods.tiny_gin --out DIR
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from harness.tasks.graphs import pretraining
from harness.tasks.graphs.world import FEATURES
from torch import Tensor, nn
from torch.nn import functional

from harness.backbones.graph import GIN
from harness.registry import recipe

from .pretraining import Schedule, command, say, train

SIZES = {"tiny": (32, 3), "small": (64, 4), "medium": (128, 5)}  # width, layers
GRAPHS = 64  # in a batch
MASKED, LEFT_OUT = 0.2, 0.15  # shares of the nodes and of the edges
HELD_OUT = 404  # seed of the graphs that the probe looks at


class Pretrainer(nn.Module):
    """The network with what pretraining needs beside it and nobody keeps: a vector for masked nodes and a head for each objective."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.network = GIN(FEATURES, width, layers)
        self.embed_mask = nn.Parameter(torch.zeros(width))
        self.attributes = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, FEATURES))
        self.around = nn.Linear(width, 3)
        self.pairs = nn.Linear(width, width)
        self.local, self.whole = (nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)) for _ in range(2))

    def forward(self, batch: pretraining.GraphBatch, masked: Tensor) -> Tensor:
        """[N, width] last states, with the features of `masked` nodes [N] hidden."""
        nodes = torch.from_numpy(batch.nodes).masked_fill(masked[:, None], 0.0)
        states = self.network(nodes, torch.from_numpy(batch.edges), masked[:, None] * self.embed_mask)
        return cast(Tensor, states[-1])


def losses(model: Pretrainer, seed: int, step: int) -> dict[str, Tensor]:
    """[] each objective's loss on the batch of a step."""
    whole = pretraining.batch_at(seed, step, GRAPHS)
    rng = np.random.default_rng([seed, step, 6])
    batch = pretraining.without(whole, rng, edges=LEFT_OUT)
    masked = torch.from_numpy(rng.random(len(whole.nodes)) < MASKED)
    states = model(batch, masked)
    attributes = functional.mse_loss(model.attributes(states[masked]), torch.from_numpy(whole.nodes)[masked])
    around = functional.mse_loss(model.around(states), torch.from_numpy(whole.around))
    return {
        "attributes": attributes,
        "around": around,
        "edges": edge_loss(model, states, whole, rng),
        "infograph": graph_loss(model, states, whole),
    }


def edge_loss(model: Pretrainer, states: Tensor, whole: pretraining.GraphBatch, rng: np.random.Generator) -> Tensor:
    """Every edge, left out or not, against a pair of nodes of the same graph; a drawn pair that is an edge after all is left out."""
    first = np.searchsorted(whole.graph, whole.graph[whole.edges[0]])
    sizes = np.bincount(whole.graph)[whole.graph[whole.edges[0]]]
    others = first + (rng.random(whole.edges.shape[1]) * sizes).astype(np.int64)
    size = len(whole.graph)
    known = np.isin(whole.edges[0] * size + others, whole.edges[0] * size + whole.edges[1]) | (others == whole.edges[0])
    left, right = model.pairs(states[whole.edges[0]]), states
    found = (left * right[whole.edges[1]]).sum(dim=1)
    absent = (left * right[others]).sum(dim=1)[torch.from_numpy(~known)]
    return functional.softplus(-found).mean() + functional.softplus(absent).mean()


def graph_loss(model: Pretrainer, states: Tensor, whole: pretraining.GraphBatch) -> Tensor:
    """Is this node of that graph? Over all pairs in the batch."""
    graph = torch.from_numpy(whole.graph)
    counts = torch.bincount(graph)[:, None]
    means = states.new_zeros(len(counts), states.shape[1]).index_add(0, graph, states) / counts
    scores = model.local(states) @ model.whole(means).T  # [N, B]
    own = functional.one_hot(graph, len(counts)).bool()
    return functional.softplus(-scores[own]).mean() + functional.softplus(scores[~own]).mean()


def loss_of(model: Pretrainer, seed: int, step: int) -> Tensor:
    return torch.stack(list(losses(model, seed, step).values())).sum()


@torch.no_grad()
def probe(model: Pretrainer) -> dict[str, float]:
    """The losses on batches of another seed."""
    found = [losses(model, HELD_OUT, step) for step in range(2)]
    return {name: float(torch.stack([part[name] for part in found]).mean()) for name in found[0]}


def save(model: Pretrainer, folder: Path) -> None:
    """The network alone: fp16 weights, to be loaded as fp32, and config.json."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().half().contiguous() for name, tensor in model.network.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    network = model.network
    config = {"model_type": "gin", "features": network.features, "width": network.width, "layers": len(network.layers), "pooling": "mean"}
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float32"}, indent=2) + "\n")


@recipe("tiny-gin", family="graph", reads=("harness.tasks",), tags=("graph", "pretraining"))
def pretrain(
    out: Path,
    *,
    seed: int = 0,
    steps: int = 1500,
    size: str = "tiny",
    checkpoints: Iterable[int] = (),
    log: Callable[[str], None] = say,
    stop_at: int | None = None,
) -> None:
    """Train into `out`; goes on from `out/state.pt` where there is one. Checkpoints are saved as `out/step-N`."""
    torch.manual_seed(seed)
    model = Pretrainer(*SIZES[size])
    train(
        model, partial(loss_of, model, seed), Schedule(steps), out, probe=partial(probe, model), checkpoints=checkpoints,
        save=partial(save, model), log=log, stop_at=stop_at,
    )  # fmt: skip


if __name__ == "__main__":
    command(pretrain)
