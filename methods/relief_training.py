"""RELIEF's alternating training, the actors' side: every pair plays its part of the rows and is updated. See relief.py for the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from harness.methods.relief_policy import Critic
from harness.methods.relief_ppo import Rules, Running, collect, update, update_flops

from harness.task import Row, TaskData

if TYPE_CHECKING:
    from harness.methods.relief import RELIEF, Relief

    from harness.training import Run

OVERLAP = 0.2  # share of every other part's rows that an actor pair also sees
LAST_LOG_STD = -5.0


class PolicyTrainer:
    """The actors' side of the training: an epoch plays every pair's rows and updates after `episodes` of them."""

    def __init__(self, method: RELIEF, model: Relief, data: TaskData, run: Run) -> None:
        self.method, self.model, self.run = method, model, run
        self.most = max(len(row.inputs["nodes"]) for row in data.train)
        self.generator = run.generator("policy")
        self.critic = Critic(self.most, model.backbone.width, self.generator).to(model.backbone.device)
        self.optimisers = [
            torch.optim.Adam([*actor.parameters(), *self.critic.parameters()], lr=method.learning_rate, eps=1e-5) for actor in model.pairs
        ]
        self.parts = parts_of(data.train, method.pairs, run.rng("policy", "parts"))
        self.notes: dict[str, Any] = {
            "critic_parameters": sum(parameter.numel() for parameter in self.critic.parameters()),
            "telescoping_error": 0.0,
            "padded_probability": 0.0,
            "episode_rewards": [],
        }

    def epoch(self, done: float) -> None:
        """One update of every pair, when the share `done` of the training is over."""
        log_std = self.method.log_std + (LAST_LOG_STD - self.method.log_std) * done
        rules = Rules(
            self.method.passes, self.method.minibatch, self.method.entropy * (1 - done), self.method.node_penalty, self.method.vector_penalty, log_std
        )  # fmt: skip
        scale, order, gained = Running(), self.run.rng("order", "policy", self.run.steps_done), []
        for number, part in enumerate(self.parts):
            rows = [part[i] for i in order.permutation(len(part))]
            for start in range(0, len(rows), self.method.episodes):
                self.run.check_time()
                gained.append(self._learn(number, rows[start : start + self.method.episodes], log_std, scale, rules))
        self.notes["episode_rewards"].append(round(float(np.mean(gained)), 5))

    def _learn(self, number: int, rows: Sequence[Row], log_std: float, scale: Running, rules: Rules) -> float:
        """Play these rows and update one pair; the mean sum of rewards of an episode."""
        actor = self.model.pairs[number]
        world = self.model.world(rows, self.most)
        played = collect(world, lambda pooled: self.model.losses(pooled, rows), actor, self.critic, log_std, scale, self.generator)
        total = played.rewards.double().sum(dim=1)
        error = (total - (played.losses[:, 0] - played.losses[:, -1]).double()).abs().max()
        self.notes["telescoping_error"] = max(self.notes["telescoping_error"], float(error))
        with torch.no_grad():
            chances = actor.log_probabilities(played.experience.states, played.experience.mask).exp()
            outside = chances.masked_fill(played.experience.mask, 0.0).max()
        self.notes["padded_probability"] = max(self.notes["padded_probability"], float(outside))
        self.run.meter.end_step()
        transitions = update(number, self.model.pairs, self.critic, self.optimisers[number], played.experience, rules, self.generator)
        self.run.meter.flops += update_flops(actor, self.critic, transitions, self.most)
        return float(total.mean())


def parts_of(rows: Sequence[Row], parts: int, rng: np.random.Generator) -> list[list[Row]]:
    """The rows cut into `parts`, each with the last fifth of every other part as well; with one part, or fewer rows than parts, all rows."""
    order = [rows[i] for i in rng.permutation(len(rows))]
    size = len(order) // parts
    if size < 1 or parts == 1:
        return [order for _ in range(parts)]
    own = [order[i * size : (i + 1) * size if i < parts - 1 else len(order)] for i in range(parts)]
    shared = int(size * OVERLAP)
    return [[*part, *(row for j, other in enumerate(own) if j != i for row in other[len(other) - shared :])] for i, part in enumerate(own)]
