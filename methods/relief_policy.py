"""RELIEF's networks: an actor that chooses a node and what is added to it, a critic, and the ensemble of several actors.

States are padded node states [B, T, width] with a mask [B, T] of real nodes. See relief.py for the paper and what was taken from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn


def mlp(sizes: Sequence[int], activation: type[nn.Module]) -> nn.Sequential:
    """Linear layers of these sizes with `activation` between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


def linears(network: nn.Sequential) -> list[nn.Linear]:
    return [layer for layer in network if isinstance(layer, nn.Linear)]


class Actor(nn.Module):
    """`node`: width -> width/2 -> width/4 -> 1, a score of every node. `vector`: width -> width/2 -> width/2 -> width, a Gaussian's mean."""

    def __init__(self, width: int, reach: float, generator: torch.Generator) -> None:
        super().__init__()
        self.reach = reach
        half, quarter = max(1, width // 2), max(1, width // 4)
        self.node, self.vector = mlp((width, half, quarter, 1), nn.Tanh), mlp((width, half, half, width), nn.Tanh)
        for network in (self.node, self.vector):
            *inner, last = linears(network)
            for layer in (*inner, last):
                nn.init.orthogonal_(layer.weight, gain=0.01 if layer is last else 2**0.5, generator=generator)
                nn.init.zeros_(layer.bias)

    def log_probabilities(self, states: Tensor, mask: Tensor) -> Tensor:
        """[B, T] of choosing each node; -inf, which is probability 0, where there is none."""
        scores = self.node(states).squeeze(-1)
        return torch.log_softmax(scores.masked_fill(~mask, -torch.inf), dim=1)

    def means(self, states: Tensor, nodes: Tensor) -> Tensor:
        """[B, width]: the mean of what is added to the chosen `nodes` [B], each number within +-reach."""
        return torch.tanh(self.vector(at(states, nodes))) * self.reach


class Critic(nn.Module):
    """The value of a whole state, from its node states side by side: most x width -> 5% -> 2.5% -> 1."""

    def __init__(self, most: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        inputs = most * width
        self.layers = mlp((inputs, max(1, inputs // 20), max(1, inputs // 40), 1), nn.ReLU)
        for layer in linears(self.layers):
            nn.init.xavier_normal_(layer.weight, gain=nn.init.calculate_gain("relu"), generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, states: Tensor) -> Tensor:
        """[B] of [B, most, width]."""
        return cast(Tensor, self.layers(states.flatten(1)).squeeze(1))


def at(states: Tensor, nodes: Tensor) -> Tensor:
    """[B, width]: the state of one node of each graph."""
    return states[torch.arange(len(nodes), device=nodes.device), nodes]


def joint_probabilities(actors: Sequence[Actor], states: Tensor, mask: Tensor) -> Tensor:
    """[B, T]: the largest of the actors' probabilities of each node, made to sum to 1."""
    largest = torch.stack([actor.log_probabilities(states, mask).exp() for actor in actors]).amax(dim=0)
    return largest / largest.sum(dim=1, keepdim=True)


def joint_means(actors: Sequence[Actor], states: Tensor, nodes: Tensor) -> Tensor:
    """[B, width]: the mean of the actors' means."""
    return torch.stack([actor.means(states, nodes) for actor in actors]).mean(dim=0)


def actor_parameters(width: int) -> int:
    """Numbers in one actor."""
    half, quarter = max(1, width // 2), max(1, width // 4)
    node = (width + 1) * half + (half + 1) * quarter + quarter + 1
    return node + (width + 1) * half + (half + 1) * half + (half + 1) * width
