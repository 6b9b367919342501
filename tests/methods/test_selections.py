"""Selections: what each chooses, on numbers made by hand; rounds, steps and schedules of a run; and that choosing is paid for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from harness.methods.el2n import errors
from harness.methods.forgetting import forgotten
from harness.methods.herding import herd
from harness.methods.k_center import cover
from harness.methods.margin import margins
from harness.methods.rs2 import RS2, Walk

from harness import catalog
from harness.backbones.backbone import Backbone
from harness.seeds import Streams
from harness.selection import Round, Selection, highest, strata
from harness.task import Row
from harness.training import Budget, Run

from .bench import ready
from .conftest import SmallTask

NAMES = [found.name for found in catalog.entries("selection")]


def rows_of(*classes: int) -> list[Row]:
    return [Row(str(i), {"text": str(i)}, target) for i, target in enumerate(classes)]


def run_of(seed: int = 0, **options: Any) -> Run:
    return Run(Streams({name: seed for name in ("data", "init", "order")}), **options)


class Fixed:
    """A learner whose answers are given: scores [N, C], features [N, d], and the scores of its proxies after every pass."""

    def __init__(self, rows: Sequence[Row], scores: Any = None, features: Any = None, passes: Sequence[Any] = ()) -> None:
        self.places = {row.id: i for i, row in enumerate(rows)}
        self._scores, self._features, self.passes = scores, features, passes

    def scores(self, rows: Sequence[Row]) -> np.ndarray:
        return np.asarray(self._scores, dtype=float)[[self.places[row.id] for row in rows]]

    def features(self, rows: Sequence[Row]) -> np.ndarray:
        return np.asarray(self._features, dtype=float)[[self.places[row.id] for row in rows]]

    def proxies(self, epochs: int, repeat: int = 0) -> Iterator[Fixed]:
        assert len(self.passes) == epochs
        for scores in self.passes:
            made = Fixed([], scores, self._features)
            made.places = self.places
            yield made


def chosen(selection: Selection, rows: Sequence[Row], learner: Any = None, rounds: int = 1, seed: int = 0) -> list[list[str]]:
    found = selection.rounds(rows, learner, run_of(seed))
    return [[row.id for row in next(found).rows] for _ in range(rounds)]


# -- RS2 ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "ratio"), [(20, 0.1), (12, 0.25), (7, 1.0)])
def test_without_replacement_every_row_comes_once_in_one_over_r_rounds(n: int, ratio: float) -> None:
    rounds = chosen(RS2(ratio=ratio), rows_of(*[0] * n), rounds=round(1 / ratio) * 2)
    half = round(1 / ratio)
    for part in (rounds[:half], rounds[half:]):
        assert sorted(int(i) for ids in part for i in ids) == list(range(n))


def test_where_k_does_not_divide_n_permutations_are_still_walked_whole() -> None:
    walk, n = Walk(list(range(10)), np.random.default_rng(0)), 10
    rounds = [walk.take(3) for _ in range(20)]
    assert all(len(set(taken)) == 3 for taken in rounds), "no row twice in a round"
    flat = [place for taken in rounds for place in taken]
    assert all(sorted(flat[i : i + n]) == list(range(n)) for i in range(0, 60, n))


def test_with_replacement_coverage_is_one_minus_the_power() -> None:
    n, ratio, number = 200, 0.1, 8
    covered = []
    for seed in range(40):
        rounds = chosen(RS2(ratio=ratio, replacement=True), rows_of(*[0] * n), rounds=number, seed=seed)
        assert all(len(set(ids)) == 20 for ids in rounds), "distinct within a round"
        covered.append(len({i for ids in rounds for i in ids}) / n)
    expected = 1 - (1 - ratio) ** number
    standard_error = np.std(covered, ddof=1) / math.sqrt(len(covered))
    assert abs(np.mean(covered) - expected) < 4 * standard_error and standard_error < 0.01


def test_stratified_rounds_keep_the_classes_shares() -> None:
    rows = rows_of(*[0] * 30, *[1] * 10)
    for replacement in (False, True):
        for ids in chosen(RS2(ratio=0.2, stratified=True, replacement=replacement), rows, rounds=6):
            assert sum(int(i) < 30 for i in ids) == 6 and len(ids) == 8


def test_shares_are_by_largest_remainder_and_add_up() -> None:
    found = {len(places): count for places, count in strata(rows_of(*[0] * 5, *[1] * 3, *[2] * 2), 7)}
    assert found == {5: 4, 3: 2, 2: 1}  # 3.5, 2.1 and 1.4: the rest goes to the largest remainder
    assert all(sum(count for _, count in strata(rows_of(*[0] * 5, *[1] * 3, *[2] * 2), k)) == k for k in range(1, 11))


def test_two_seeds_draw_different_rounds_and_one_the_same() -> None:
    rows = rows_of(*[0] * 50)
    assert chosen(RS2(), rows, rounds=3) == chosen(RS2(), rows, rounds=3) != chosen(RS2(), rows, rounds=3, seed=1)


# -- baselines ------------------------------------------------------------------------------------------------------------------


def made(name: str, **config: Any) -> Any:
    return catalog.load("selection", name)(**config)


def test_static_random_repeats_one_subset() -> None:
    rows = rows_of(*[0, 1] * 20)
    ((only,),) = [chosen(made("static-random", ratio=0.25), rows)]
    assert len(set(only)) == 10
    (even,) = chosen(made("static-random", ratio=0.25, stratified=True), rows)
    assert sum(int(i) % 2 for i in even) == 5


def test_el2n_keeps_the_largest_errors() -> None:
    rows = rows_of(0, 0, 1, 1)
    logits = np.log([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.1, 0.9]])
    expected = [math.sqrt(2) * 0.1, math.sqrt(2) * 0.8, math.sqrt(2) * 0.5, math.sqrt(2) * 0.1]
    assert errors(rows, logits) == pytest.approx(expected)
    learner = Fixed(rows, passes=[logits * 0, logits * 0, logits])
    assert chosen(made("el2n", ratio=0.5), rows, learner) == [["1", "2"]]
    assert chosen(made("el2n", ratio=0.5, stratified=True), rows, learner) == [["1", "2"]]


def test_forgetting_counts_falls_and_never_learnt_rows_most() -> None:
    right = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [1, 1, 0, 0], [0, 1, 0, 1]], dtype=bool)
    assert forgotten(right).tolist() == [2, 0, 4, 1]
    rows = rows_of(0, 0, 0, 0)
    passes = [[[1.0, 0.0] if r else [0.0, 1.0] for r in line] for line in right]
    assert chosen(made("forgetting", ratio=0.5, proxy_epochs=4), rows, Fixed(rows, passes=passes)) == [["0", "2"]]


def test_margin_keeps_what_a_proxy_is_least_sure_of_and_round_margin_asks_again() -> None:
    rows = rows_of(0, 0, 0, 0)
    logits = np.log([[0.9, 0.1], [0.55, 0.45], [0.2, 0.8], [0.5, 0.5]])
    assert margins(logits) == pytest.approx([0.8, 0.1, 0.6, 0.0])
    assert chosen(made("margin", ratio=0.5, proxy_epochs=1), rows, Fixed(rows, passes=[logits])) == [["1", "3"]]
    learner = Fixed(rows, scores=logits)
    rounds = made("round-margin", ratio=0.25).rounds(rows, learner, run_of())
    assert [row.id for row in next(rounds).rows] == ["3"]
    learner._scores = logits[::-1]
    assert [row.id for row in next(rounds).rows] == ["0"], "the model in training is asked again"


def test_k_center_and_herding_against_a_search_over_all_subsets() -> None:
    features = np.random.default_rng(3).normal(size=(30, 2))
    places = cover(features, 6, 4)
    assert places[0] == 4 and len(set(places)) == 6
    radius = np.linalg.norm(features[:, None] - features[places], axis=2).min(axis=1).max()
    from itertools import combinations

    best = min(np.linalg.norm(features[:12, None] - features[list(c)], axis=2).min(axis=1).max() for c in combinations(range(12), 3))
    greedy = np.linalg.norm(features[:12, None] - features[cover(features[:12], 3, 0)], axis=2).min(axis=1).max()
    assert greedy <= 2 * best, "greedy is within a factor of two of the best cover (Gonzalez 1985)"
    assert radius < np.linalg.norm(features - features[4], axis=1).max()
    rng = np.random.default_rng(0)
    for k in (3, 8, 15):
        off = [np.linalg.norm(features[places].mean(axis=0) - features.mean(axis=0)) for places in [herd(features, k)]]
        off += [np.linalg.norm(features[rng.permutation(30)[:k]].mean(axis=0) - features.mean(axis=0)) for _ in range(200)]
        assert off[0] < np.quantile(off[1:], 0.1), "the mean is kept better than by nine random subsets of ten"
    assert cover(np.zeros((4, 2)), 4, 2) == [2, 0, 1, 3] and sorted(herd(np.zeros((3, 2)), 3)) == [0, 1, 2]


def test_highest_breaks_ties_by_order_and_keeps_it() -> None:
    rows = rows_of(0, 1, 0, 1)
    assert [row.id for row in highest(rows, np.array([1.0, 1.0, 2.0, 1.0]), 2)] == ["0", "2"]


# -- rounds within a run ----------------------------------------------------------------------------------------------------------


def train(
    backbone: Backbone, task: SmallTask, selection: Selection | None, *, dev: int = 0, epochs: int = 3, **config: Any
) -> tuple[Any, Run]:
    _, data, run = ready(backbone, task, per_class=8, dev=dev)
    run = replace(run, budget=Budget("epochs", epochs), selection=selection)
    backbone.meter = run.meter
    with torch.random.fork_rng(), run.meter.timed("train"):
        torch.manual_seed(0)
        method = catalog.load("method", "bitfit")(batch_size=3, warmup=0.0, **config)
        return method.adapt(backbone, data, run), run


@pytest.fixture
def small(backbone_of: Callable[[str], Backbone], small_tasks: dict[str, SmallTask]) -> tuple[Backbone, SmallTask]:
    return backbone_of("masked_lm"), small_tasks["classification"]


@pytest.mark.parametrize(("ratio", "steps"), [(0.5, 3 * 3), (0.25, 3 * 2), (1.0, 3 * 6), (0.05, 3)])
def test_steps_are_rounds_times_batches(small: tuple[Backbone, SmallTask], ratio: float, steps: int) -> None:
    """X ceil(r N / B) with X = 3, N = 16 and B = 3."""
    _, run = train(*small, RS2(ratio=ratio))
    assert run.steps_done == steps == 3 * math.ceil(max(1, math.floor(ratio * 16 + 0.5)) / 3)
    assert run.notes["selection"]["rounds"] == 3 and run.examples_seen == 3 * run.notes["selection"]["rows"]


def test_all_rows_in_every_round_is_training_without_a_selection(small: tuple[Backbone, SmallTask]) -> None:
    """Bit for bit: the same batches in the same order under the same schedule."""

    class Every(Selection):
        entry = RS2.entry

        def rounds(self, rows: Sequence[Row], learner: Any, run: Run) -> Iterator[Round]:
            yield Round(rows)

    plain, _ = train(*small, None)
    every, _ = train(*small, Every(ratio=1.0, schedule="linear"))
    states = [predictor.state()[0] for predictor in (plain, every)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_schedule_is_compressed_to_the_real_steps_unless_lazy(
    small: tuple[Backbone, SmallTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, *args: (rates.append(self.param_groups[0]["lr"]), step(self, *args))[1])
    train(*small, RS2(ratio=0.5), epochs=4, learning_rate=0.1)
    compressed, total = list(rates), 4 * 3
    assert compressed == pytest.approx([0.1 * 0.5 * (1 + math.cos(math.pi * i / total)) for i in range(total)])
    rates.clear()
    train(*small, RS2(ratio=0.5, lazy=True), epochs=4, learning_rate=0.1)
    assert rates == pytest.approx([0.1 * 0.5 * (1 + math.cos(math.pi * 0.5 * i / total)) for i in range(total)])


@pytest.mark.parametrize("name", NAMES)
def test_every_selection_trains_and_repeats(small: tuple[Backbone, SmallTask], name: str) -> None:
    selection = catalog.load("selection", name)
    one, run = train(*small, selection(**selection.small))
    two, _ = train(*small, selection(**selection.small))
    assert run.notes["selection"]["of"] == 16 and 0 < run.notes["selection"]["distinct"] <= 16
    assert all(torch.equal(a, b) for a, b in zip(one.state()[0].values(), two.state()[0].values()))


def test_scoring_is_paid_for(small: tuple[Backbone, SmallTask]) -> None:
    """A proxy's training and every look at the model stand in the meter and in the notes; random choice is free."""
    spent = {name: train(*small, made(name, ratio=0.5))[1] for name in NAMES}
    flops = {name: run.notes["selection"]["flops"] for name, run in spent.items()}
    assert flops["rs2"] == flops["static-random"] == 0
    assert 0 < flops["k-center"] < flops["margin"] < flops["forgetting"], "one look < three passes < five passes"
    assert flops["round-margin"] > flops["k-center"]
    for name, run in spent.items():
        assert run.meter.flops > flops[name], f"{name}: training comes on top of choosing"


def test_the_curve_has_a_dev_score_and_flops_for_every_round(small: tuple[Backbone, SmallTask]) -> None:
    _, run = train(*small, RS2(ratio=0.5), dev=3)
    judged = [row for row in run.curve.rows if row["dev_score"] is not None]
    assert [row["step"] for row in judged] == [3, 6, 9]
    flops = [row["flops"] for row in judged]
    assert flops == sorted(flops) and flops[0] > 0
    assert flops[-1] == pytest.approx(run.meter.flops - run.dev_flops) and run.dev_flops > 0
    _, plain = train(*small, RS2(ratio=0.5))
    assert plain.curve.rows[-1]["flops"] == pytest.approx(flops[-1]), "dev scores cost nothing on this clock"


def test_weights_of_a_round_weigh_the_loss(small: tuple[Backbone, SmallTask]) -> None:
    class Weighted(Selection):
        entry = RS2.entry

        def rounds(self, rows: Sequence[Row], learner: Any, run: Run) -> Iterator[Round]:
            first = np.array([float(row.target == 0) for row in rows])
            yield Round(rows, first + 1e-9)

    class Alone(Selection):
        entry = RS2.entry

        def rounds(self, rows: Sequence[Row], learner: Any, run: Run) -> Iterator[Round]:
            yield Round([row for row in rows if row.target == 0])

    def first_class(predictor: Any) -> float:
        scores = predictor.predict([row.example for row in small[1].test()]).scores
        return float((scores[:, 0] - scores[:, 1]).mean())

    start, weighted, alone = (first_class(train(*small, s, epochs=4, learning_rate=0.01)[0]) for s in (RS2(), Weighted(ratio=1.0), Alone()))
    assert weighted > start and alone > start


def test_a_method_without_rounds_is_refused(small_tasks: dict[str, SmallTask]) -> None:
    for name in ("knn", "setfit", "bbtv2"):
        reason = RS2().unsupported(small_tasks["classification"], catalog.load("method", name)())
        assert reason == f"rs2 chooses the rows of every round, and {name} trains in no rounds"
    assert RS2().unsupported(small_tasks["generation"], catalog.load("method", "lora")()) is None
    assert "not generation" in str(made("el2n").unsupported(small_tasks["generation"], catalog.load("method", "lora")()))
