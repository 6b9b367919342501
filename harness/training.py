"""The run that a method is given: random streams, budget, device, precision, meter, and the one training loop."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from harness.costs import Meter
from harness.errors import DivergedError, InputError
from harness.hooks import Hooks
from harness.seeds import Streams

if TYPE_CHECKING:
    from harness.artifacts import Product
    from harness.selection import Learner, Selection

Item = TypeVar("Item")
UNITS = ("steps", "epochs", "examples", "forward_calls", "seconds")


class OutOfTime(Exception):
    """The trial's own time limit has passed."""


@dataclass(frozen=True)
class Budget:
    """How much training a trial may do, in one of UNITS."""

    unit: str
    amount: float

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Budget | None:
        """None for an empty mapping: the method's own default holds."""
        if not value:
            return None
        (unit, amount), *more = value.items()
        known = unit in UNITS and isinstance(amount, (int, float)) and not isinstance(amount, bool)
        if more or not known or not 0 < amount < math.inf:
            raise InputError(f"{dict(value)!r} is no budget", key="budget", expected=f"one of {', '.join(UNITS)} with a number above 0")
        return cls(unit, amount)

    def steps(self, rows: int, batch_size: int) -> int | None:
        """Whole optimiser steps, where the unit fixes them."""
        if self.unit == "steps":
            return int(self.amount)
        if self.unit == "epochs":
            return math.ceil(self.amount * math.ceil(rows / batch_size))
        return math.ceil(self.amount / batch_size) if self.unit == "examples" else None


@dataclass
class Curve:
    """The learning curve: one row a logged step."""

    rows: list[dict[str, float | int | None]] = field(default_factory=list)

    def add(self, step: int, loss: float | None, dev_score: float | None, seconds: float, flops: float | None = None) -> None:
        """flops : so far, scoring by a selection included and evaluation on dev not."""
        self.rows.append({"step": step, "loss": loss, "dev_score": dev_score, "seconds": seconds, "flops": flops})


@dataclass
class Step:
    """One training step, made by `Run.steps`; `update` once with the loss."""

    number: int
    batch: Any
    _run: Run
    _optimiser: torch.optim.Optimizer
    _clip: float | None
    loss: float = math.nan

    def update(self, loss: torch.Tensor) -> None:
        """Backward, clip, one optimiser step. A loss that is not finite raises DivergedError."""
        self.loss = float(loss.detach())
        if not math.isfinite(self.loss):
            raise DivergedError(f"the loss is {self.loss} at step {self.number}")
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self._clip is not None:
            parameters = [p for group in self._optimiser.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self._clip)
        self._optimiser.step()
        self._run.meter.end_step()


@dataclass
class Run:
    """What a method may use beside the backbone and the data."""

    streams: Streams
    budget: Budget | None = None
    select: str = "best_dev"
    precision: str = "fp32"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    template: str | None = None
    meter: Meter = field(default_factory=Meter)
    curve: Curve = field(default_factory=Curve)
    notify: Callable[[int, int | None, float], None] | None = None  # (step, of, loss) for the progress display
    deadline: float | None = None  # time.monotonic() after which the trial is timed out
    steps_done: int = 0
    examples_seen: int = 0
    optimiser_bytes: int = 0
    notes: dict[str, Any] = field(default_factory=dict)  # what a method wants kept in the result, JSON-able
    artifacts: Mapping[str, Path] = field(default_factory=dict)  # folders of those that its settings refer to; see `prepared`
    hooks: Hooks = field(default_factory=Hooks)  # of the wrappers around the method
    selection: Selection | None = None  # which rows `fit` trains on, round by round; None: every row in every pass
    weights: torch.Tensor | None = None  # [B] of the current batch's rows, where the selection weighs them
    dev_flops: float = 0.0  # spent on dev scores during training

    def rng(self, name: str, *within: object) -> np.random.Generator:
        return self.streams.rng(name, *within)

    def prepared(self, reference: Mapping[str, Any]) -> Product:
        """What the preparation gave that a setting of type `Prepared` refers to; InputError outside of a plan that made it."""
        from harness.artifact_inputs import prepared

        return prepared(reference, self.artifacts)

    def generator(self, name: str = "init") -> torch.Generator:
        """A CPU torch.Generator of the named stream: draw there and move, so that devices agree."""
        return torch.Generator().manual_seed(self.streams.integer(name))

    def batches(
        self, items: Sequence[Item], size: int, stream: str = "order", *, on_pass: Callable[[int], None] | None = None
    ) -> Iterator[list[Item]]:
        """Endless batches; every pass over `items` in a new order; the last batch of a pass may be short. `on_pass` is told its number."""
        if not items:
            raise InputError("there are no rows to train on", key="shots", expected="give this method at least one row a class")
        rng = self.rng(stream)
        for number in itertools.count():
            if on_pass is not None:
                on_pass(number)
            order = rng.permutation(len(items))
            for start in range(0, len(items), size):
                yield [items[i] for i in order[start : start + size]]

    def check_time(self) -> None:
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise OutOfTime

    def steps(
        self,
        groups: Sequence[Mapping[str, Any]],
        batches: Iterable[Any],
        *,
        steps: int,
        optimiser: str = "adamw",
        schedule: str = "linear",
        warmup: float = 0.0,
        clip: float | None = 1.0,
        stretch: float = 1.0,
    ) -> Iterator[Step]:
        """Training steps over `batches` until the budget is used up (`steps`, where the budget counts steps).

        groups : optimiser groups with `params`, `lr` and anything else the optimiser knows. schedule : constant | linear | cosine,
        over the real budget, after a linear warm-up of the given share. stretch : below 1, the budget covers that share of the schedule.
        """
        engine = _optimiser(optimiser, groups)
        rates = [group["lr"] for group in engine.param_groups]
        start = time.perf_counter()
        calls = self.meter.forward_calls
        coming = iter(batches)
        for number in itertools.count(1):
            done = self._progress(number - 1, steps, time.perf_counter() - start, self.meter.forward_calls - calls)
            if done >= 1.0:
                break
            self.check_time()
            try:
                batch = next(coming)  # only now: making a batch may cost something, as a selection's first one of a round does
            except StopIteration:
                break
            done *= stretch
            for group, rate in zip(engine.param_groups, rates):
                group["lr"] = rate * _factor(
                    schedule, done + (1 / steps if schedule != "constant" and warmup and done < warmup else 0.0), warmup
                )
            step = Step(number, batch, self, engine, clip)
            yield step
            self.steps_done += 1
            self.examples_seen += len(batch) if hasattr(batch, "__len__") else 0
            if self.notify is not None:
                self.notify(number, steps, step.loss)
        self.optimiser_bytes = max(self.optimiser_bytes, _state_bytes(engine))

    def _progress(self, taken: int, steps: int, seconds: float, calls: int) -> float:
        if self.budget is not None and self.budget.unit == "seconds":
            return seconds / self.budget.amount
        if self.budget is not None and self.budget.unit == "forward_calls":
            return calls / self.budget.amount
        return taken / steps

    def planned_steps(self, default: int, rows: int, batch_size: int) -> int:
        """Optimiser steps under the trial's budget, or the method's `default` where none is set."""
        steps = self.budget.steps(rows, batch_size) if self.budget is not None else None
        return default if steps is None else max(1, steps)

    def fit(
        self,
        loss: Callable[[list[Any]], torch.Tensor],
        groups: Sequence[Mapping[str, Any]],
        rows: Sequence[Any],
        *,
        batch_size: int,
        steps: int,
        evaluate: Callable[[], tuple[float, float]] | None = None,
        evaluations: int = 5,
        learner: Learner | None = None,
        **options: Any,
    ) -> None:
        """Train `groups` on `rows`; where `evaluate` is given and the trial selects on dev, end in the best state seen.

        evaluate : () -> (score, tie breaker), higher is better; called `evaluations` times over the run. `options` go to `steps`.
        learner : what the trial's selection may ask of the model; without one, the trial may have no selection.
        """
        if self.selection is None:
            total = self.planned_steps(steps, len(rows), batch_size)
            batches = self.batches(rows, batch_size, on_pass=self.hooks.epoch)
            every = max(1, total // evaluations)
        else:
            if learner is None:
                raise InputError("this method trains in no rounds", key="selections", expected="remove the selection")
            total = self.planned_steps(steps, self.selection.size(len(rows)), batch_size)
            batches = self.selection.batches(rows, batch_size, learner, self)
            every = self.selection.round_steps(len(rows), batch_size)
            options |= self.selection.schedule_options(len(rows))
        keep = Best([p for group in groups for p in group["params"]]) if evaluate is not None and self.select == "best_dev" else None
        judged = keep is not None or self.selection is not None  # a selection's curve is wanted whichever state is tested
        start = time.perf_counter()
        for step in self.steps(groups, batches, steps=total, **options):
            step.update(loss(step.batch))
            dev = None
            if judged and evaluate is not None and (step.number % every == 0 or step.number == total):
                dev = self._aside(evaluate)
                if keep is not None:
                    keep.offer(dev, step.number)
            if dev is not None or step.number % max(1, total // 50) == 0 or step.number == 1:
                spent = self.meter.flops - self.dev_flops
                known = dev[0] if dev and math.isfinite(dev[0]) else None  # where the metric is undefined, it is below every other
                self.curve.add(step.number, step.loss, known, time.perf_counter() - start, spent)
        if keep is not None and keep.step is not None:
            keep.restore()
            self.notes["selected_step"] = keep.step

    def _aside(self, evaluate: Callable[[], tuple[float, float]]) -> tuple[float, float]:
        """A dev score whose FLOPs are kept apart from those of training."""
        before = self.meter.flops
        found = evaluate()
        self.meter.end_step()
        self.dev_flops += self.meter.flops - before
        return found


class Best:
    """The best state of some parameters by dev score, ties broken by the second number, then by the earlier step."""

    def __init__(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._state: list[torch.Tensor] = []
        self._score: tuple[float, float] | None = None
        self.step: int | None = None

    def offer(self, score: tuple[float, float], step: int) -> None:
        if self._score is None or score > self._score:
            self._score, self.step = score, step
            self._state = [parameter.detach().clone() for parameter in self._parameters]

    def restore(self) -> None:
        with torch.no_grad():
            for parameter, state in zip(self._parameters, self._state):
                parameter.copy_(state)


def _optimiser(name: str, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
    plain = [dict(group) for group in groups]
    if name == "adamw":
        return torch.optim.AdamW(plain)
    if name == "adafactor":
        return torch.optim.Adafactor(plain)
    if name == "sgd":
        return torch.optim.SGD(plain, momentum=0.9)
    raise InputError(f"unknown optimiser {name!r}", key="optimiser", expected="adamw, adafactor or sgd")


def _factor(schedule: str, done: float, warmup: float) -> float:
    """Share of the peak rate when the share `done` of the budget is used."""
    if warmup and done < warmup:
        return done / warmup
    rest = (done - warmup) / max(1e-12, 1.0 - warmup)
    if schedule == "linear":
        return max(0.0, 1.0 - rest)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, rest))) if schedule == "cosine" else 1.0


def _state_bytes(optimiser: torch.optim.Optimizer) -> int:
    return sum(value.nbytes for state in optimiser.state.values() for value in state.values() if isinstance(value, torch.Tensor))
