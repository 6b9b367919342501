"""RELIEF: reinforcement chooses which nodes of a graph get which feature prompt (Zhu et al. 2024, arXiv 2408.03195).

An episode has as many steps as the graph has nodes. At each, a discrete actor picks a node from the states of all nodes, a continuous one
says what is added to that node's input embedding, and the reward is the decrease of the task's loss. Two actors and a critic are trained
by clipped policy updates, in turns with the head, which sees prompted graphs; the network stays frozen. Several pairs of actors, each on
its part of the rows, are held together by a penalty; at test nodes are drawn from their largest probabilities and their mean vector added.
Nearest neighbours: gpf (the same vector for all nodes, by gradient), gpf-plus, linear-probe (the head alone).

Taken from the released code where the paper leaves it open: network sizes, initial weights, clip 0.2, discount 0.99 and 0.95, the limits
on KL, standard deviations that shrink to exp(-5), rewards normalised by their running mean and spread, entropy 0.01 that decays.
Departs from both: the head's rate is 1e-2, as for the methods compared here (the code has 0.5e-3 to 1.5e-3 on 300 numbers); a short
minibatch is used, where the code skips updates with too few transitions; the draw of nodes at test is fixed by a graph's content, so
that an answer does not depend on what else is asked; the critic's width is set by the training rows.
A step of a budget is one of the head's; each pass over the rows has one policy update before it.
Controls: `policy: untrained` leaves actors as they start (the head is trained as ever).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from harness.methods.graph_pictures import PicturedNodes
from harness.methods.relief_policy import Actor, actor_parameters, joint_means, joint_probabilities
from harness.methods.relief_ppo import Prompting
from harness.methods.relief_training import PolicyTrainer
from torch import Tensor, nn
from torch.nn import functional

from harness.claims import Arm, Exact, Scores, Shape
from harness.gradient import dev_score, new_head
from harness.identity import digest
from harness.method import Method, Predictor
from harness.predictions import Predictions
from harness.registry import method
from harness.settings import choice, log_uniform, setting
from harness.task import Example, Row, Task, TaskData
from harness.training import Best

if TYPE_CHECKING:
    from harness.backbones.graph import GraphBackbone
    from harness.training import Run

HEAD_BATCH = 128
EVALUATED = 128  # graphs prompted together at test


@method("relief", paper="arXiv:2408.03195", needs=("node_prompts", "hidden_states"), tags=("graph", "soft-prompt", "reinforcement"))
class RELIEF(Method):
    """A trained policy of prompting, and a head."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)
    uses_template: ClassVar[bool] = False
    small: ClassVar[Mapping[str, Any]] = {"epochs": 2, "head_epochs": 1}

    epochs: int = setting(50, at_least=1, help="policy updates, where the trial sets no budget")
    head_epochs: int = setting(3, at_least=1, search=choice(1, 3, 10), help="passes of the head over the rows after each policy update")
    learning_rate: float = setting(5e-4, above=0, search=log_uniform(1e-4, 2e-3), help="of actors and critic")
    head_rate: float = setting(1e-2, above=0, search=log_uniform(1e-3, 3e-2))
    reach: float = setting(0.5, above=0, search=choice(0.1, 0.5, 1.0), help="largest number that the policy's mean adds at a step")
    log_std: float = setting(0.0, help="of the Gaussian at the start")
    pairs: int = setting(3, at_least=1, help="of actors")
    episodes: int = setting(8, at_least=1, help="played before an update")
    passes: int = setting(10, at_least=1, help="over the transitions of an update, at most")
    minibatch: int = setting(128, at_least=2, help="transitions")
    entropy: float = setting(0.01, at_least=0)
    node_penalty: float = setting(
        1.0, at_least=0, search=choice(1.0, 1e2, 1e5), help="weight of the KL to the pairs' joint choice of nodes"
    )
    vector_penalty: float = setting(0.1, at_least=0, help="weight of the KL to the pairs' joint Gaussian")
    policy: str = setting("trained", one_of=("trained", "untrained"))

    def adapt(self, backbone: GraphBackbone, data: TaskData, run: Run) -> Predictor:
        began, model = time.perf_counter(), self._assemble(backbone, data, run)
        trainer = PolicyTrainer(self, model, data, run) if self.policy == "trained" else None
        kept = Best([p for part in (model.actors, model.head) for p in part.parameters()])
        size = min(HEAD_BATCH, len(data.train))
        a_pass = math.ceil(len(data.train) / size) * self.head_epochs
        total = run.planned_steps(self.epochs * a_pass, len(data.train), size)
        group = {"params": list(model.head.parameters()), "lr": self.head_rate, "weight_decay": 0.0}
        seen: dict[str, Tensor] = {}  # pooled states by row: until the policy changes, a row is prompted the same way
        for step in run.steps([group], run.batches(data.train, size), steps=total, schedule="constant"):
            if trainer is not None and (step.number - 1) % a_pass == 0:
                trainer.epoch((step.number - 1) / total)
                seen.clear()
            new = [row for row in step.batch if row.id not in seen]
            if new:
                seen.update(zip([row.id for row in new], model.pooled(new)))
            step.update(model.losses(torch.stack([seen[row.id] for row in step.batch]), step.batch).mean())
            dev = None
            if data.dev and run.select == "best_dev" and (step.number % max(1, total // 5) == 0 or step.number == total):
                dev = dev_score(model, data)
                kept.offer(dev, step.number)
            run.curve.add(step.number, step.loss, dev[0] if dev else None, time.perf_counter() - began)
        if kept.step is not None:
            kept.restore()
            run.notes["selected_step"] = kept.step
        if trainer is not None:
            run.notes.update(trainer.notes)
        return model

    def _assemble(self, backbone: GraphBackbone, data: TaskData, run: Run) -> Relief:
        generator = run.generator("init")
        actors = nn.ModuleList(Actor(backbone.width, self.reach, generator) for _ in range(self.pairs)).to(backbone.device)
        head = new_head(backbone.width, len(data.task.labels), run.generator("head")).to(backbone.device)
        return Relief(backbone, data.task, actors, head, run.streams.integer("policy", "test") % 2**31)

    def restore(
        self, backbone: GraphBackbone, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
    ) -> Predictor:
        model = self._assemble(backbone, data, run)
        for name, part in (("actors", model.actors), ("head", model.head)):
            part.load_state_dict({key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")})
        model.seed = int(facts["seed"])
        return model

    def trainable_parameters(self, backbone: GraphBackbone, task: Task) -> int:
        """The actors, which are stored; the critic is left behind, its size is noted in the result."""
        return self.pairs * actor_parameters(backbone.width) if self.policy == "trained" else 0

    def head_parameters(self, backbone: GraphBackbone, task: Task) -> int:
        return (backbone.width + 1) * len(task.labels)


class Relief(PicturedNodes, Predictor):
    """Actors and a head on a frozen network."""

    def __init__(self, backbone: GraphBackbone, task: Task, actors: nn.ModuleList, head: nn.Linear, seed: int) -> None:
        self.backbone, self.task, self.actors, self.head, self.seed = backbone, task, actors, head, seed

    @property
    def pairs(self) -> list[Actor]:
        return [actor for actor in self.actors if isinstance(actor, Actor)]

    def world(self, examples: Sequence[Example | Row], most: int | None = None) -> Prompting:
        return Prompting(self.backbone, [self.backbone.read(example.inputs) for example in examples], most)

    @torch.no_grad()
    def prompted(self, examples: Sequence[Example | Row]) -> tuple[Prompting, Tensor]:
        """The graphs prompted by the pairs together, and their last states [B, T, width]."""
        world = self.world(examples)
        drawn = np.stack([self._numbers(example, world.steps) for example in examples])
        numbers = torch.from_numpy(drawn).to(self.backbone.device)

        def choose(states: Tensor, mask: Tensor, step: int) -> tuple[Tensor, Tensor]:
            chances = joint_probabilities(self.pairs, states, mask).double()
            nodes = (chances.cumsum(dim=1) < numbers[:, step, None]).sum(dim=1)
            nodes = torch.minimum(nodes, world.lengths - 1)  # where rounding leaves the sum of all below the number drawn
            return nodes, joint_means(self.pairs, states, nodes)

        return world, world.play(choose)

    def _numbers(self, example: Example | Row, steps: int) -> np.ndarray:
        """float64 [steps] uniform numbers that depend on the seed and the graph alone."""
        return np.random.default_rng([self.seed, int(digest(dict(example.inputs))[:12], 16)]).random(steps)

    def pooled(self, examples: Sequence[Example | Row]) -> Tensor:
        world, states = self.prompted(examples)
        return world.pooled(states)

    def losses(self, pooled: Tensor, rows: Sequence[Row]) -> Tensor:
        """[B] cross-entropy of the head on pooled states [B, width]."""
        targets = torch.tensor([int(row.target) for row in rows], device=pooled.device)
        return functional.cross_entropy(self.head(pooled), targets, reduction="none")

    def predict(self, examples: Sequence[Example]) -> Predictions:
        scores, shares, norms = [], [], []
        with torch.no_grad():
            for start in range(0, len(examples), EVALUATED):
                world, states = self.prompted(examples[start : start + EVALUATED])
                scores.append(self.head(world.pooled(states)).double().cpu().numpy())
                lengths = world.prompts.norm(dim=2).double()
                touched = (world.visits > 0).sum(dim=1)
                shares.append((touched / world.lengths).cpu().numpy())
                norms.append((lengths.sum(dim=1) / touched).cpu().numpy())
        measures = {"prompted_share": np.concatenate(shares), "prompt_norm": np.concatenate(norms)} if scores else {}
        found = np.concatenate(scores) if scores else np.zeros((0, len(self.task.labels)))
        shown = tuple(self.backbone.shown(example.inputs) for example in examples)
        return Predictions(tuple(example.id for example in examples), scores=found, prompts=shown, measures=measures)

    def added(self, examples: Sequence[Example]) -> list[Tensor]:
        world, _ = self.prompted(examples)
        return [prompt[:length] for prompt, length in zip(world.prompts, world.lengths.tolist())]

    def chosen(self, examples: Sequence[Example]) -> list[np.ndarray]:
        world, _ = self.prompted(examples)
        return [visits[:length].cpu().numpy() for visits, length in zip(world.visits, world.lengths.tolist())]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        parts = {"actors": self.actors, "head": self.head}
        tensors = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
        return tensors, {"seed": self.seed}


QUICK = {"epochs": 15, "head_epochs": 10, "episodes": 32, "minibatch": 256, "passes": 4, "learning_rate": 2e-3}
"""For minutes of one core: fewer updates of more episodes each, at a higher rate."""
SETTINGS = {"dev": 10, "test_rows": 200, "probes": ["motif-lift", "prompted-nodes"]}
STAND_IN = "tests/methods/test_relief.py::test_the_policy_learns_where_the_reward_is"
UNPAID = (
    "Investigated (docs/graphs.md): the place of a prompt matters on this task (ten seeds), but the reward, a decrease of the loss on the "
    "training graphs, seems not to pay for it (one seed of the policy)"
)

claims = [
    Exact(
        "rewards-telescope",
        "the rewards of an episode sum to the loss before it less the loss after it",
        measure="telescoping_error",
        arm=Arm("relief"),
        family="graph",
        at_most=1e-6,
    ),
    Exact(
        "padding-is-never-chosen",
        "places of the padded state where there is no node have probability 0",
        measure="padded_probability",
        arm=Arm("relief"),
        family="graph",
        equals=Fraction(0),
    ),
    Exact(
        "frozen",
        "the pretrained network stays as it is",
        measure="changed_weights",
        arm=Arm("relief"),
        family="graph",
        equals=Fraction(0),
    ),
    Exact(
        "policy-size",
        "a pair of actors on 300 numbers a node has layers of 150, 75 and 1, and of 150, 150 and 300 numbers",
        measure="trainable_parameters",
        arm=Arm("relief", {"pairs": 1}),
        at=Shape("five-layer molecule GIN", width=300, layers=5),
        equals=Fraction(45150 + 11325 + 76 + 45150 + 22650 + 45300),
    ),
    Scores(
        "fewer-nodes-than-gpf",
        "a part of the nodes is prompted, where GPF prompts every one",
        arm=Arm("relief", QUICK),
        against=Arm("gpf"),
        measure="probe:prompted-nodes",
        relation="less",
        margin=0.02,
        tasks=("graph-colour",),
        backbone="tiny-gin",
        shots=25,
        settings=SETTINGS,
        stand_in="tests/methods/test_relief.py::test_masked_probabilities",
    ),
    Scores(
        "chooses-what-matters",
        "the policy prompts the nodes that the label depends on more often than an untrained one does",
        arm=Arm("relief", QUICK),
        against=Arm("relief", {**QUICK, "policy": "untrained"}),
        measure="probe:motif-lift",
        relation="better",
        margin=0.02,
        tasks=("graph-colour",),
        backbone="tiny-gin",
        shots=25,
        settings=SETTINGS,
        stand_in=STAND_IN,
        investigated=UNPAID,
    ),
    Scores(
        "better-than-gpf",
        "50 graphs are enough to beat a prompt on every node",
        arm=Arm("relief", QUICK),
        against=Arm("gpf"),
        relation="better",
        margin=0.02,
        tasks=("graph-colour",),
        backbone="tiny-gin",
        shots=25,
        settings=SETTINGS,
        stand_in=STAND_IN,
        investigated=UNPAID,
    ),
    Scores(
        "better-than-fine-tuning",
        "50 graphs are enough to beat fine-tuning",
        arm=Arm("relief", QUICK),
        against=Arm("full-fine-tuning"),
        relation="better",
        margin=0.02,
        tasks=("graph-colour",),
        backbone="tiny-gin",
        shots=25,
        settings=SETTINGS,
        stand_in=STAND_IN,
        investigated=UNPAID,
    ),
]
