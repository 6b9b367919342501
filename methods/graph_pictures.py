"""Pictures of graphs with their prompted nodes, as small SVG files: a darker node has more added to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from harness.outcome import Media
from harness.task import Example

if TYPE_CHECKING:
    from harness.task import Task

SHOWN = 3  # graphs of a trial
SIDE, EDGE, RADIUS = 240, 24, 9  # pixels
LIGHT, DARK = np.array([250.0, 250.0, 250.0]), np.array([194.0, 65.0, 12.0])
ROUNDS = 120


class PicturedNodes:
    """For predictors that add vectors to nodes: `added` gives them, `pictures` draws the first few graphs."""

    task: Task

    def added(self, examples: Sequence[Example]) -> list[Tensor]:
        """[n, width] of every graph: what is added to its nodes' embeddings."""
        raise NotImplementedError

    def chosen(self, examples: Sequence[Example]) -> list[np.ndarray]:
        """int64 [n] of every graph: how often each node was chosen; once, where something is added to it."""
        with torch.no_grad():
            return [(vectors != 0).any(dim=1).long().cpu().numpy() for vectors in self.added(examples)]

    def pictures(self, examples: Sequence[Example]) -> list[Media]:
        """The first graphs, nodes by the length of what is added; where the task knows which nodes its question is about, these are ringed."""
        few = list(examples)[:SHOWN]
        with torch.no_grad():
            lengths = [vectors.norm(dim=1).double().cpu().numpy() for vectors in self.added(few)]
        return [self._picture(number, example, length) for number, (example, length) in enumerate(zip(few, lengths), 1)]

    def _picture(self, number: int, example: Example, lengths: np.ndarray) -> Media:
        asked: Any = getattr(self.task, "oracle_nodes", None)
        ringed = asked(example.id) if asked is not None else None
        told = "; ringed: the planted motif" if ringed is not None else ""
        caption = (
            f"{example.id}: {int((lengths > 0).sum())} of {len(lengths)} nodes are prompted (darker: more, up to {lengths.max():.2g}){told}"
        )
        return Media(f"graph-{number}.svg", drawn(example.inputs["edges"], lengths, ringed).encode(), caption, "graph")


def places(edges: np.ndarray, nodes: int) -> np.ndarray:
    """float64 [n, 2] in the unit square: springs along edges, repulsion between all nodes (Fruchterman and Reingold 1991), from a fixed start."""
    angles = 2 * np.pi * np.arange(nodes) / nodes
    at = np.stack([np.cos(angles), np.sin(angles)], axis=1) * (1 + 0.1 * (np.arange(nodes) % 3))[:, None]
    near = np.zeros((nodes, nodes))
    near[edges[0], edges[1]] = 1.0
    rest = 1.6 / np.sqrt(nodes)
    for step in range(ROUNDS):
        apart = at[:, None] - at[None]
        distance = np.sqrt((apart**2).sum(axis=2)) + 1e-6
        force = (apart * (rest**2 / distance**2 - near * distance / rest)[..., None]).sum(axis=1)
        size = np.linalg.norm(force, axis=1, keepdims=True) + 1e-9
        at = at + force / size * np.minimum(size, 0.15 * (1 - step / ROUNDS))
    at = at - at.min(axis=0)
    placed: np.ndarray = at / max(float(at.max()), 1e-9)
    return placed


def drawn(edges: np.ndarray, lengths: np.ndarray, ringed: np.ndarray | None = None) -> str:
    """The graph as SVG text: nodes shaded by `lengths` [n], those in `ringed` [n] with a thick outline."""
    at = EDGE + places(np.asarray(edges), len(lengths)) * (SIDE - 2 * EDGE)
    most = float(lengths.max()) or 1.0
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}" width="{SIDE}" height="{SIDE}">']
    for a, b in np.asarray(edges).T:
        if a < b:
            lines.append(f'<line x1="{at[a, 0]:.1f}" y1="{at[a, 1]:.1f}" x2="{at[b, 0]:.1f}" y2="{at[b, 1]:.1f}" stroke="#9aa1ab"/>')
    for node, (x, y) in enumerate(at):
        share = float(lengths[node]) / most
        red, green, blue = (int(v) for v in LIGHT + share * (DARK - LIGHT))
        thick = ringed is not None and bool(ringed[node])
        outline = 'stroke="#111827" stroke-width="3"' if thick else 'stroke="#6b7280" stroke-width="1"'
        lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}" fill="rgb({red},{green},{blue})" {outline}/>')
    return "\n".join([*lines, "</svg>"]) + "\n"
