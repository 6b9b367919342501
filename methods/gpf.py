"""GPF and GPF-plus: feature prompts for graph networks (Fang et al. 2023, arXiv 2209.15240).

GPF adds one trained vector to the input embedding of every node. GPF-plus has k basis vectors and mixes them for each node, by a softmax
over linear scores of its embedding. A linear head on the pooled node states is trained with either; the network stays frozen.
Nearest neighbours: linear-probe (the head alone), relief (chooses which nodes get a vector, by reinforcement).
Departs from the paper: the vector is added behind the network's linear embedding, not to the raw features, as the released code does for
molecules; the scores have no bias, as in the paper (equation 11; the code's have one, which counts k numbers more). Start as in the
code: Glorot's uniform.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from harness.methods.graph_pictures import PicturedNodes
from torch import Tensor, nn

from harness.backbones.graph import NodePrompt
from harness.claims import Arm, Exact, Shape
from harness.gradient import Adapted, Attached, GradientMethod
from harness.registry import method
from harness.settings import choice, log_uniform, setting
from harness.task import Example, Row, Task, TaskData

if TYPE_CHECKING:
    from harness.backbones.graph import Graph, GraphBackbone
    from harness.training import Run


class FeaturePrompt(GradientMethod):
    """Base: `prompt` gives the trained part, a module from input embeddings [N, width] to what is added to them, [width] or [N, width]."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)
    readouts: ClassVar[tuple[str, ...]] = ("head",)
    uses_template: ClassVar[bool] = False
    small: ClassVar[Mapping[str, Any]] = {"steps": 4}

    learning_rate: float = setting(1e-2, above=0, search=log_uniform(1e-3, 1e-1))

    def prompt(self, width: int, generator: torch.Generator) -> nn.Module:
        raise NotImplementedError

    def attach(self, backbone: GraphBackbone, data: TaskData, run: Run) -> Attached:
        parts = self.prompt(backbone.width, run.generator("init"))

        def injection(examples: Sequence[Example | Row]) -> NodePrompt:
            return NodePrompt(parts(backbone.embeddings([backbone.read(example.inputs) for example in examples])))

        return Attached(backbone, parts, cast("Callable[..., Any]", injection))

    def _assemble(self, backbone: GraphBackbone, data: TaskData, run: Run) -> Adapted:
        plain = super()._assemble(backbone, data, run)
        return PromptedGraphs(plain.attached, plain.task, run.template, plain.head, origin=plain.origin)


class PromptedGraphs(PicturedNodes, Adapted):
    """An adaptation whose pictures show how much is added to every node."""

    def added(self, examples: Sequence[Example]) -> list[Tensor]:
        backbone: GraphBackbone = self.attached.backbone
        graphs: list[Graph] = [backbone.read(example.inputs) for example in examples]
        vectors = cast(NodePrompt, self.attached.injection(examples)).vectors
        every = vectors.expand(sum(len(graph.nodes) for graph in graphs), -1)
        return list(torch.split(every, [len(graph.nodes) for graph in graphs]))


def glorot(rows: int, width: int, generator: torch.Generator) -> nn.Parameter:
    """[rows, width], uniform within Glorot's bound."""
    bound = (6 / (rows + width)) ** 0.5
    return nn.Parameter((2 * torch.rand(rows, width, generator=generator) - 1) * bound)


class OneVector(nn.Module):
    """The same vector for every node."""

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.vector = nn.Parameter(glorot(1, width, generator).detach()[0])

    def forward(self, embeddings: Tensor) -> Tensor:
        return self.vector


class Mixture(nn.Module):
    """softmax(x scores^T) basis for the embeddings x [N, width]; scores and basis are [k, width]."""

    def __init__(self, width: int, basis: int, generator: torch.Generator) -> None:
        super().__init__()
        self.basis, self.scores = glorot(basis, width, generator), glorot(basis, width, generator)

    def forward(self, embeddings: Tensor) -> Tensor:
        return torch.softmax(embeddings @ self.scores.T, dim=1) @ self.basis


@method("gpf", paper="arXiv:2209.15240", needs=("node_prompts", "features"), tags=("graph", "soft-prompt"))
class GPF(FeaturePrompt):
    """One vector for all nodes."""

    def prompt(self, width: int, generator: torch.Generator) -> nn.Module:
        return OneVector(width, generator)

    def trainable_parameters(self, backbone: GraphBackbone, task: Task) -> int:
        return backbone.width


@method("gpf-plus", paper="arXiv:2209.15240", needs=("node_prompts", "features"), tags=("graph", "soft-prompt"))
class GPFPlus(FeaturePrompt):
    """A mixture of basis vectors for each node."""

    basis: int = setting(10, at_least=1, search=choice(5, 10, 20))

    def prompt(self, width: int, generator: torch.Generator) -> nn.Module:
        return Mixture(width, self.basis, generator)

    def trainable_parameters(self, backbone: GraphBackbone, task: Task) -> int:
        return 2 * self.basis * backbone.width


claims = [
    Exact(
        "parameters",
        "GPF trains one vector of the embeddings' width, 300 numbers on the molecules' networks",
        measure="trainable_parameters",
        arm=Arm("gpf"),
        at=Shape("five-layer molecule GIN", width=300, layers=5),
        equals=Fraction(300),
    ),
    Exact(
        "plus-parameters",
        "GPF-plus trains k basis vectors and k score vectors: 2k times GPF's numbers",
        measure="trainable_parameters",
        arm=Arm("gpf-plus", {"basis": 10}),
        against=Arm("gpf"),
        at=Shape("five-layer molecule GIN", width=300, layers=5),
        equals=Fraction(20),
    ),
]
