"""RELIEF's reinforcement: episodes of prompting, rewards, advantages and the clipped update of an actor and the critic (Schulman et al. 2017,
arXiv 1707.06347; advantages as in Schulman et al. 2016, arXiv 1506.02438). See relief.py for the paper and what was taken from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from harness.methods.relief_policy import Actor, Critic, joint_means, joint_probabilities, linears
from torch import Tensor, nn

from harness.backbones.graph import Graph, GraphBackbone, NodePrompt

KEPT = 0.99 * 0.95  # discount x lambda of the advantages
DISCOUNT = 0.99
CLIP = 0.2  # of the probability ratios, both actors
CRITIC_WEIGHT, GRADIENT_NORM = 0.5, 0.5
NODE_KL, VECTOR_KL = 0.001, 0.1  # between the old and the new policy, beyond which an update ends
LOG_TWO_PI = math.log(2 * math.pi)

Choose = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
"""(states [B, T, width], mask [B, T], step) -> nodes [B] and what is added to them [B, width]."""


class Prompting:
    """Graphs that are being prompted, without gradients: `prompts` [B, T, width] so far, `visits` [B, T] how often each node was chosen."""

    def __init__(self, backbone: GraphBackbone, items: Sequence[Graph], most: int | None = None) -> None:
        self.backbone, self.graphs = backbone, backbone.join(items)
        self.mask = nn.functional.pad(self.graphs.mask, (0, (most or 0) - self.graphs.mask.shape[1])) if most else self.graphs.mask
        self.lengths = self.graphs.mask.sum(dim=1)  # an episode has as many steps as its graph has nodes
        self.steps = self.graphs.mask.shape[1]
        self.prompts = torch.zeros(*self.mask.shape, backbone.width, device=backbone.device)
        self.visits = torch.zeros(self.mask.shape, dtype=torch.int64, device=backbone.device)

    @torch.no_grad()
    def states(self) -> Tensor:
        """[B, T, width] of the prompted graphs: one forward pass."""
        flat = self.backbone.node_states(self.graphs, injection=NodePrompt(self.prompts[self.mask])).float()
        return flat.new_zeros(self.prompts.shape).masked_scatter(self.mask[..., None], flat)

    def pooled(self, states: Tensor) -> Tensor:
        """[B, width] mean node states."""
        return states.sum(dim=1) / self.lengths[:, None]

    def add(self, nodes: Tensor, vectors: Tensor, step: int) -> Tensor:
        """Add to the chosen nodes of the graphs whose episode still runs at `step`; which these are, bool [B]."""
        active = step < self.lengths
        rows = torch.arange(len(nodes), device=nodes.device)[active]
        self.prompts[rows, nodes[active]] += vectors[active]
        self.visits[rows, nodes[active]] += 1
        return active

    @torch.no_grad()
    def play(self, choose: Choose, seen: Callable[[Tensor, Tensor], None] | None = None) -> Tensor:
        """Whole episodes; the last states [B, T, width]. `seen` is told the states before the first step and after each, and which episodes ran."""
        states = self.states()
        if seen is not None:
            seen(states, torch.ones_like(self.lengths, dtype=torch.bool))
        for step in range(self.steps):
            nodes, vectors = choose(states, self.mask, step)
            active = self.add(nodes, vectors, step)
            states = self.states()
            if seen is not None:
                seen(states, active)
        return states


@dataclass
class Experience:
    """M transitions: states [M, most, width], mask [M, most], chosen nodes [M], added vectors [M, width], log-densities of both [M],
    advantages and returns [M]."""

    states: Tensor
    mask: Tensor
    nodes: Tensor
    vectors: Tensor
    log_node: Tensor
    log_vector: Tensor
    advantages: Tensor
    returns: Tensor

    def take(self, index: Tensor) -> Experience:
        return Experience(**{name: value[index] for name, value in vars(self).items()})


class Running:
    """Mean and standard deviation of everything seen so far."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def normalised(self, values: Tensor, valid: Tensor) -> Tensor:
        """`values` [B, T] by the statistics of those that are `valid`, these included; 0 elsewhere."""
        for value in values[valid].double():
            self.count += 1
            before = float(value) - self.mean
            self.mean += before / self.count
            self.squares += before * (float(value) - self.mean)
        spread = math.sqrt(self.squares / max(1, self.count)) + 1e-8
        return torch.where(valid, (values - self.mean) / spread, 0.0)


def log_density(vectors: Tensor, means: Tensor, log_std: float) -> Tensor:
    """[B] of independent Gaussians with one standard deviation."""
    scaled = (vectors - means) / math.exp(log_std)
    return (-0.5 * scaled**2 - log_std - 0.5 * LOG_TWO_PI).sum(dim=1)


def advantages_of(rewards: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
    """[B, T] generalised advantages of episodes [B, T] of the given lengths [B]; what follows an episode's end counts nothing."""
    found, running = torch.zeros_like(rewards), torch.zeros_like(rewards[:, 0])
    for step in reversed(range(rewards.shape[1])):
        goes_on = (step + 1 < lengths).to(rewards)
        following = values[:, step + 1] if step + 1 < values.shape[1] else torch.zeros_like(running)
        running = rewards[:, step] + DISCOUNT * goes_on * following - values[:, step] + KEPT * goes_on * running
        running = torch.where(step < lengths, running, 0.0)
        found[:, step] = running
    return found


@dataclass
class Episodes:
    """What `collect` gives: experience, and of every episode the rewards as they were [B, T] and the losses [B, T + 1] they come from."""

    experience: Experience
    rewards: Tensor
    losses: Tensor
    lengths: Tensor


@torch.no_grad()
def collect(
    world: Prompting,
    losses_of: Callable[[Tensor], Tensor],
    actor: Actor,
    critic: Critic,
    log_std: float,
    scale: Running,
    generator: torch.Generator,
) -> Episodes:
    """Episodes of one actor. losses_of : pooled states [B, width] -> the task's loss [B]; its decrease at a step is the step's reward."""
    kept: dict[str, list[Tensor]] = {name: [] for name in ("states", "nodes", "vectors", "log_node", "log_vector", "losses")}

    def choose(states: Tensor, mask: Tensor, step: int) -> tuple[Tensor, Tensor]:
        chances = actor.log_probabilities(states, mask)
        nodes = torch.multinomial(chances.exp().cpu(), 1, generator=generator)[:, 0].to(states.device)
        means = actor.means(states, nodes)
        vectors = means + math.exp(log_std) * torch.randn(means.shape, generator=generator).to(means.device)
        log_node = chances.gather(1, nodes[:, None])[:, 0]
        for name, value in zip(
            ("nodes", "vectors", "log_node", "log_vector"), (nodes, vectors, log_node, log_density(vectors, means, log_std))
        ):
            kept[name].append(value)
        return nodes, vectors

    def seen(states: Tensor, active: Tensor) -> None:
        kept["states"].append(states)
        now = losses_of(world.pooled(states))
        kept["losses"].append(torch.where(active, now, kept["losses"][-1]) if kept["losses"] else now)

    world.play(choose, seen)
    losses, states = torch.stack(kept["losses"], dim=1), torch.stack(kept["states"][:-1], dim=1)  # [B, T + 1], [B, T, most, width]
    rewards = losses[:, :-1] - losses[:, 1:]
    valid = torch.arange(world.steps, device=rewards.device) < world.lengths[:, None]
    values = critic(states.flatten(0, 1)).reshape(rewards.shape)
    advantages = advantages_of(scale.normalised(rewards, valid), values, world.lengths)
    columns = {name: torch.stack(kept[name], dim=1)[valid] for name in ("nodes", "vectors", "log_node", "log_vector")}
    mask = world.mask[:, None].expand(-1, world.steps, -1)[valid]
    experience = Experience(states=states[valid], mask=mask, **columns, advantages=advantages[valid], returns=(advantages + values)[valid])
    return Episodes(experience, rewards, losses, world.lengths)


@dataclass(frozen=True)
class Rules:
    """How an update goes: passes over the transitions at most, transitions in a minibatch, weights of entropy and of the two penalties."""

    passes: int
    minibatch: int
    entropy: float
    node_penalty: float
    vector_penalty: float
    log_std: float


def update(
    number: int,
    actors: Sequence[Actor],
    critic: Critic,
    optimiser: torch.optim.Optimizer,
    got: Experience,
    rules: Rules,
    generator: torch.Generator,
) -> int:
    """Clipped updates of the actor of this number and of the critic; how many transitions were gone through."""
    actor, size = actors[number], min(rules.minibatch, len(got.nodes))
    spread = got.advantages.std() if len(got.advantages) > 1 else got.advantages.new_zeros(())
    got.advantages = (got.advantages - got.advantages.mean()) / (spread + 1e-8)
    trained = [*actor.parameters(), *critic.parameters()]
    done = 0
    for _ in range(rules.passes):
        order = torch.randperm(len(got.nodes), generator=generator).to(got.nodes.device)
        moved = []
        for start in range(0, len(order) - size + 1, size):
            part = got.take(order[start : start + size])
            loss, node_kl, vector_kl = losses(number, actors, critic, part, rules)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(trained, GRADIENT_NORM)
            optimiser.step()
            moved.append((node_kl, vector_kl))
            done += size
        if sum(node for node, _ in moved) / len(moved) > NODE_KL or sum(vector for _, vector in moved) / len(moved) > VECTOR_KL:
            break
    return done


def losses(number: int, actors: Sequence[Actor], critic: Critic, part: Experience, rules: Rules) -> tuple[Tensor, float, float]:
    """The loss of a minibatch, and how far the two policies have moved since it was played (approximate KL)."""
    actor = actors[number]
    chances = actor.log_probabilities(part.states, part.mask)
    node_gain, node_kl = clipped(chances.gather(1, part.nodes[:, None])[:, 0] - part.log_node, part.advantages)
    means = actor.means(part.states, part.nodes)
    vector_gain, vector_kl = clipped(log_density(part.vectors, means, rules.log_std) - part.log_vector, part.advantages)
    entropy = -(chances.exp() * chances.masked_fill(~part.mask, 0.0)).sum(dim=1).mean()
    value = nn.functional.mse_loss(critic(part.states), part.returns)
    loss = -node_gain - vector_gain - rules.entropy * entropy + CRITIC_WEIGHT * value
    if len(actors) > 1:
        node, vector = penalties(number, actors, part, chances, rules.log_std)
        loss = loss + rules.node_penalty * node + rules.vector_penalty * vector
    return loss, node_kl, vector_kl


def clipped(log_ratio: Tensor, advantages: Tensor) -> tuple[Tensor, float]:
    """[] the clipped surrogate gain, and the approximate KL mean(ratio - 1 - log ratio)."""
    ratio = log_ratio.exp()
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - CLIP, 1 + CLIP) * advantages)
    return gain.mean(), float((ratio.detach() - 1 - log_ratio.detach()).mean())


def penalties(number: int, actors: Sequence[Actor], part: Experience, chances: Tensor, log_std: float) -> tuple[Tensor, Tensor]:
    """[] KL from the ensemble's node probabilities to the actor's, and from the actor's Gaussian to the ensemble's at its likeliest node."""
    with torch.no_grad():
        joint = joint_probabilities(actors, part.states, part.mask)
        likeliest = joint.argmax(dim=1)
        together = joint_means(actors, part.states, likeliest)
    real = part.mask & (joint > 0)
    node = (joint * (joint.clamp_min(1e-10).log() - chances.masked_fill(~real, 0.0))).masked_fill(~real, 0.0).sum(dim=1)
    apart = actors[number].means(part.states, likeliest) - together
    return node.mean(), (0.5 * apart**2 * math.exp(-2 * log_std)).sum(dim=1).mean()


def update_flops(actor: Actor, critic: Critic, transitions: int, most: int) -> float:
    """Of going through so many transitions forward and back: six for every weight, for each node that a network sees."""
    weights = [sum(layer.weight.numel() for layer in linears(network)) for network in (actor.node, actor.vector, critic.layers)]
    return 6.0 * transitions * (weights[0] * most + weights[1] + weights[2])
