"""RELIEF: rewards telescope, padding is never chosen, the update's parts by their formulas, and a policy that finds where the reward is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from harness.methods.relief import RELIEF, Relief
from harness.methods.relief_policy import Actor, Critic, actor_parameters, joint_means, joint_probabilities
from harness.methods.relief_ppo import (
    DISCOUNT,
    Experience,
    Prompting,
    Rules,
    Running,
    advantages_of,
    collect,
    log_density,
    penalties,
    update,
)
from harness.methods.relief_training import parts_of
from torch.distributions import Categorical, Normal, kl_divergence

from harness.seeds import Streams
from harness.task import Shots, TaskData, draw
from harness.training import Run

from . import graph

SMALL = {"epochs": 2, "episodes": 4, "minibatch": 16, "passes": 2}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def actors(number: int = 2, width: int = 8) -> list[Actor]:
    made = [Actor(width, 0.5, generator(i)) for i in range(number)]
    for actor in made:  # away from the start, where all nodes are nearly alike
        for parameter in actor.parameters():
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator(7))
    return made


def table() -> tuple[torch.Tensor, torch.Tensor]:
    """Padded states of graphs of 3, 5 and 1 nodes."""
    mask = torch.arange(5) < torch.tensor([3, 5, 1])[:, None]
    return torch.randn(3, 5, 8, generator=generator()) * mask[..., None], mask


def adapted(seed: int = 0, **config: Any) -> tuple[Relief, TaskData, Run]:
    backbone, task = graph.backbone(), graph.SmallGraphs()
    run = Run(Streams({name: seed for name in ("data", "init", "order")}))
    data = draw(task, run.rng("data"), train=Shots(per_class=6), dev=Shots(per_class=2))
    model = RELIEF(**{**SMALL, **config}).adapt(backbone, data, run)
    assert isinstance(model, Relief)
    return model, data, run


def test_rewards_sum_to_the_loss_saved_and_padding_is_never_chosen() -> None:
    model, data, run = adapted()
    rows = data.train
    world = model.world(rows, 9)
    played = collect(
        world, lambda pooled: model.losses(pooled, rows), model.pairs[0], Critic(9, 8, generator()), 0.0, Running(), generator()
    )
    before = model.losses(model.backbone.features([model.backbone.read(row.inputs) for row in rows]), rows)
    after = model.losses(world.pooled(world.states()), rows)
    torch.testing.assert_close(played.rewards.sum(dim=1), before - after, atol=1e-5, rtol=0)
    assert len(played.experience.nodes) == int(world.lengths.sum()), "as many steps as nodes"
    assert (world.visits.sum(dim=1) == world.lengths).all() and not world.visits[~world.mask].any() and not world.prompts[~world.mask].any()
    assert run.notes["telescoping_error"] < 1e-6 and run.notes["padded_probability"] == 0.0 and len(run.notes["episode_rewards"]) == 2


def test_masked_probabilities() -> None:
    states, mask = table()
    for actor in actors():
        chances = actor.log_probabilities(states, mask).exp()
        assert (chances[~mask] == 0).all()
        torch.testing.assert_close(chances.sum(dim=1), torch.ones(3))
        assert bool((actor.means(states, torch.tensor([0, 4, 0])).abs() <= 0.5).all())
    joint = joint_probabilities(actors(), states, mask)
    largest = torch.stack([actor.log_probabilities(states, mask).exp() for actor in actors()]).max(dim=0).values
    torch.testing.assert_close(joint, largest / largest.sum(dim=1, keepdim=True))


def test_parameters_are_as_the_formula_says() -> None:
    for width in (8, 32, 5):
        assert actor_parameters(width) == sum(p.numel() for p in Actor(width, 0.5, generator()).parameters())
    model, data, _ = adapted(pairs=2)
    stored = sum(tensor.numel() for name, tensor in model.state()[0].items() if name.startswith("actors"))
    assert stored == RELIEF(pairs=2).trainable_parameters(model.backbone, data.task)


def test_advantages_against_their_definition() -> None:
    rewards, values, lengths = torch.randn(2, 4, generator=generator()), torch.randn(2, 4, generator=generator(1)), torch.tensor([4, 2])
    found = advantages_of(rewards, values, lengths)
    for episode, length in enumerate(lengths.tolist()):
        following = [*values[episode, 1:length].tolist(), 0.0]
        deltas = [float(rewards[episode, t]) + DISCOUNT * following[t] - float(values[episode, t]) for t in range(length)]
        for step in range(4):
            wanted = sum((0.99 * 0.95) ** (later - step) * deltas[later] for later in range(step, length))
            assert float(found[episode, step]) == pytest.approx(wanted, abs=1e-5)


def test_running_statistics_are_those_of_all_values_seen() -> None:
    scale, valid = Running(), torch.tensor([[True, True], [True, False]])
    first, second = torch.tensor([[1.0, 2.0], [5.0, 99.0]]), torch.tensor([[0.0, -3.0], [4.0, 99.0]])
    scale.normalised(first, valid)
    found = scale.normalised(second, valid)
    seen = np.array([1.0, 2.0, 5.0, 0.0, -3.0, 4.0])
    np.testing.assert_allclose(found[valid], (second[valid].numpy() - seen.mean()) / seen.std(), rtol=1e-5)
    assert found[1, 1] == 0


def test_densities_and_penalties_against_torch() -> None:
    states, mask = table()
    two = actors()
    means, vectors = torch.randn(3, 8), torch.randn(3, 8)
    torch.testing.assert_close(log_density(vectors, means, -0.5), Normal(means, float(np.exp(-0.5))).log_prob(vectors).sum(dim=1))
    zeros = torch.zeros(3)
    part = Experience(states, mask, torch.zeros(3, dtype=torch.int64), vectors, zeros, zeros, zeros, zeros)
    chances = two[0].log_probabilities(states, mask)
    node, vector = penalties(0, two, part, chances, -0.5)
    joint = joint_probabilities(two, states, mask)
    wanted = [kl_divergence(Categorical(joint[i, :n]), Categorical(chances.exp()[i, :n])) for i, n in enumerate((3, 5, 1))]
    torch.testing.assert_close(node, torch.stack(wanted).mean())
    at = joint.argmax(dim=1)
    own, together = two[0].means(states, at), joint_means(two, states, at)
    scale = float(np.exp(-0.5))
    torch.testing.assert_close(vector, kl_divergence(Normal(own, scale), Normal(together, scale)).sum(dim=1).mean())
    alone = penalties(0, [two[0], two[0]], part, chances, -0.5)
    assert all(float(value.detach().abs()) < 1e-6 for value in alone), "nothing to be held to"


def test_the_policy_learns_where_the_reward_is() -> None:
    """A node of each graph is marked in its features; visiting it lowers the loss by one."""
    backbone, rng = graph.backbone(), np.random.default_rng(0)
    items, marks = [], []
    for _ in range(24):
        size = int(rng.integers(4, 7))
        nodes, mark = rng.standard_normal((size, 4)).astype(np.float32) * 0.3, int(rng.integers(size))
        nodes[mark, 1] += 3.0
        items.append(backbone.read({"nodes": nodes, "edges": np.zeros((2, 0), dtype=np.int64)}))
        marks.append(mark)
    mark = torch.tensor(marks)
    actor, critic, draws = Actor(8, 0.1, generator(1)), Critic(6, 8, generator(2)), generator(3)
    optimiser = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=5e-3, eps=1e-5)

    def chance() -> float:
        world = Prompting(backbone, items, 6)
        with torch.no_grad():
            return float(actor.log_probabilities(world.states(), world.mask).exp().gather(1, mark[:, None]).mean())

    start = chance()
    for _ in range(25):
        world = Prompting(backbone, items, 6)
        saved = lambda pooled, world=world: -world.visits.gather(1, mark[:, None])[:, 0].float()  # noqa: E731
        played = collect(world, saved, actor, critic, -2.0, Running(), draws)
        update(0, [actor], critic, optimiser, played.experience, Rules(4, 64, 0.0, 0.0, 0.0, -2.0), draws)
    assert start < 0.35 and chance() > start + 0.3


def test_an_answer_depends_on_the_graph_alone() -> None:
    model, data, _ = adapted()
    examples = [row.example for row in data.test]
    whole, turned = model.predict(examples), model.predict(examples[::-1])
    np.testing.assert_allclose(whole.scores, turned.scores[::-1], atol=1e-5)  # type: ignore[index, arg-type]
    for one, other in zip(model.chosen(examples), model.chosen(examples[::-1])[::-1]):
        assert one.tolist() == other.tolist()
    assert all(counts.sum() == len(counts) for counts in model.chosen(examples))
    assert set(whole.measures) == {"prompted_share", "prompt_norm"} and (whole.measures["prompted_share"] <= 1).all()


def test_an_untrained_policy_trains_the_head_alone() -> None:
    model, _, run = adapted(policy="untrained")
    fresh = RELIEF(**SMALL)._assemble(model.backbone, TaskData(model.task, (), (), ()), Run(Streams({"init": 0})))
    assert all(torch.equal(a, b) for a, b in zip(model.actors.parameters(), fresh.actors.parameters()))
    assert not torch.equal(model.head.weight, fresh.head.weight) and "critic_parameters" not in run.notes
    assert run.steps_done == 2 * 3


def test_parts_overlap_and_cover_all_rows() -> None:
    rows: Any = list(range(30))
    parts = parts_of(rows, 3, np.random.default_rng(0))
    assert [len(part) for part in parts] == [14, 14, 14] and set().union(*parts) == set(rows)
    assert all(len(set(part)) == 14 for part in parts) and len(set(parts[0]) & set(parts[1])) == 6, "two of each of the three"
    assert parts_of(rows[:2], 3, np.random.default_rng(0)) == [parts_of(rows[:2], 1, np.random.default_rng(0))[0]] * 3
