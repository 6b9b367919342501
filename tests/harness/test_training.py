"""The one training loop: budgets, schedules, selection on dev, and how it ends."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DivergedError, InputError
from harness.seeds import STREAMS, Streams
from harness.training import Best, Budget, OutOfTime, Run


def new_run(**options: Any) -> Run:
    return Run(Streams(dict.fromkeys(STREAMS, 0)), **options)


def weight(value: float = 1.0) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.tensor([value]))


@pytest.mark.parametrize(
    ("budget", "steps"),
    [({"steps": 7}, 7), ({"epochs": 2}, 2 * 4), ({"epochs": 0.5}, 2), ({"examples": 20}, 7), ({"seconds": 3}, 99), ({}, 99)],
)
def test_a_budget_in_steps(budget: dict[str, float], steps: int) -> None:
    assert new_run(budget=Budget.parse(budget)).planned_steps(99, rows=10, batch_size=3) == steps


@pytest.mark.parametrize(
    "value", [{"steps": 0}, {"steps": math.nan}, {"steps": math.inf}, {"step": 1}, {"steps": 1, "epochs": 1}, {"steps": True}], ids=str
)
def test_what_is_no_budget(value: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="is no budget"):
        Budget.parse(value)


@given(rows=st.integers(1, 30), size=st.integers(1, 12), passes=st.integers(1, 3))
def test_every_pass_shows_every_row_once(rows: int, size: int, passes: int) -> None:
    batches = new_run().batches(list(range(rows)), size)
    orders = []
    for _ in range(passes):
        seen = [row for _ in range(math.ceil(rows / size)) for row in next(batches)]
        assert sorted(seen) == list(range(rows))
        orders.append(seen)
    assert rows < 8 or passes == 1 or orders[0] != orders[1]


def test_no_rows_is_said_and_does_not_hang() -> None:
    with pytest.raises(InputError, match="no rows to train on"):
        next(new_run().batches([], 4))


def rates(schedule: str, warmup: float, steps: int = 10) -> list[float]:
    parameter = weight()
    seen = []
    for step in new_run().steps(
        [{"params": [parameter], "lr": 1.0}], [[0]] * 99, steps=steps, optimiser="sgd", schedule=schedule, warmup=warmup
    ):
        seen.append(step._optimiser.param_groups[0]["lr"])
        step.update(parameter.sum())
    return seen


def test_schedules() -> None:
    assert rates("constant", 0.0) == [1.0] * 10
    assert rates("linear", 0.0) == pytest.approx([1 - i / 10 for i in range(10)])
    warmed = rates("linear", 0.2, steps=20)
    assert len(warmed) == 20 and warmed[0] > 0 and max(warmed[:5]) == pytest.approx(1.0) and warmed[-1] < 0.1
    cosine = rates("cosine", 0.0)
    assert cosine[0] == 1.0 and cosine[5] == pytest.approx(0.5) and cosine == sorted(cosine, reverse=True)


def test_groups_keep_their_own_rates() -> None:
    run, slow, fast = new_run(), weight(), weight()
    for step in run.steps([{"params": [slow], "lr": 0.1}, {"params": [fast], "lr": 1.0}], [[0, 1]] * 9, steps=3, optimiser="sgd"):
        step.update(slow.sum() + fast.sum())
    assert 1 - fast.item() == pytest.approx(10 * (1 - slow.item()))
    assert (run.steps_done, run.examples_seen) == (3, 6) and run.optimiser_bytes == 8


def test_a_loss_that_is_no_number_diverges_at_its_step() -> None:
    parameter = weight()
    with pytest.raises(DivergedError, match="the loss is nan at step 2"):
        for step in new_run().steps([{"params": [parameter], "lr": 0.1}], [[0]] * 9, steps=5):
            step.update(parameter.sum() * (math.nan if step.number == 2 else 1.0))


def test_gradients_are_clipped() -> None:
    parameter = weight()
    for step in new_run().steps([{"params": [parameter], "lr": 1.0}], [[0]], steps=1, optimiser="sgd", clip=0.5):
        step.update(100 * parameter.sum())
    assert parameter.item() == pytest.approx(0.5)


def fitted(scores: list[float], select: str) -> tuple[Run, float]:
    run, parameter, given_scores = new_run(select=select), weight(0.0), iter(scores)
    groups = [{"params": [parameter], "lr": 1.0}]
    run.fit(
        lambda rows: -parameter.sum(),
        groups,
        [0],
        batch_size=1,
        steps=5,
        optimiser="sgd",
        schedule="constant",
        clip=None,
        evaluate=lambda: (next(given_scores), 0.0),
    )
    return run, parameter.item()


def test_the_best_state_on_dev_is_the_one_that_stays() -> None:
    run, end = fitted([0.1, 0.7, 0.7, 0.3, 0.2], "best_dev")
    best = run.notes["selected_step"]
    assert best == 2 and end == pytest.approx(1 + 1.9)  # momentum 0.9
    assert [row["dev_score"] for row in run.curve.rows] == [0.1, 0.7, 0.7, 0.3, 0.2]


def test_an_undefined_dev_score_is_below_every_other_and_stands_in_no_curve() -> None:
    """The correlation of a constant answer: -inf chooses right, but a curve with it could not be drawn."""
    run, _ = fitted([-math.inf, -math.inf, -0.2, -math.inf, -0.3], "best_dev")
    assert run.notes["selected_step"] == 3
    assert [row["dev_score"] for row in run.curve.rows] == [None, None, -0.2, None, -0.3]


def test_selecting_the_last_state_asks_dev_nothing() -> None:
    run, end = fitted([], "last")
    assert run.notes == {} and end > 2.9


def test_ties_are_broken_by_the_second_number_then_by_the_earlier_step() -> None:
    parameter = weight(0.0)
    best = Best([parameter])
    for step, score in enumerate([(0.5, -1.0), (0.5, -0.5), (0.5, -0.5)], start=1):
        parameter.data.fill_(step)
        best.offer(score, step)
    best.restore()
    assert best.step == 2 and parameter.item() == 2


def test_time_limits_and_budgets_in_seconds_and_calls() -> None:
    late = new_run(deadline=time.monotonic() - 1)
    with pytest.raises(OutOfTime):
        next(late.steps([{"params": [weight()], "lr": 1.0}], [[0]], steps=1))
    run, parameter = new_run(budget=Budget("seconds", 0.05)), weight()
    start = time.perf_counter()
    for step in run.steps([{"params": [parameter], "lr": 1e-3}], iter(lambda: [0], None), steps=3):
        time.sleep(0.01)
        step.update(parameter.sum())
    assert run.steps_done >= 2 and time.perf_counter() - start >= 0.05
    run = new_run(budget=Budget("forward_calls", 4))
    for step in run.steps([{"params": [parameter], "lr": 1e-3}], iter(lambda: [0], None), steps=99):
        run.meter.forward("toy", 1, 1)
        step.update(parameter.sum())
    assert run.meter.forward_calls == 4


def test_progress_is_told_every_step() -> None:
    told: list[Any] = []
    run, parameter = new_run(notify=lambda *step: told.append(step)), weight()
    run.fit(lambda rows: parameter.sum() ** 2, [{"params": [parameter], "lr": 0.1}], [0], batch_size=1, steps=3)
    assert [step[:2] for step in told] == [(1, 3), (2, 3), (3, 3)] and told[0][2] == 1.0
