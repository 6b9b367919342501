"""From a suite to cells: every trial it asks for, what is unsupported, and what the store already answers. Nothing is run here."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from harness import catalog
from harness.depends import Depends
from harness.errors import InputError
from harness.identity import canonical
from harness.method import Method
from harness.seeds import Streams
from harness.settings import merged
from harness.store import Store
from harness.suite import MethodSpec, Suite, TaskSpec
from harness.task import Shots, Task
from harness.training import Budget
from harness.trial import Trial, backbone_name


@dataclass(frozen=True)
class Cell:
    """One planned trial with its place in the comparison; `unsupported` says why it will not run.

    tries : the trials that a tuned cell chooses its configuration from; they score dev only.
    """

    arm: str
    block: str
    family: str
    seed: int
    trial: Trial
    run_key: str = ""
    unsupported: str | None = None
    tries: tuple[tuple[Trial, str], ...] = ()
    tags: tuple[str, ...] = ()

    def value(self) -> dict[str, Any]:
        """JSON-able, for the store's manifest of the suite."""
        value = {key: item for key, item in asdict(self).items() if key not in ("trial", "tries")}
        return {**value, "trial": self.trial.value(), "tries": [[trial.trial_id, key] for trial, key in self.tries]}


@dataclass
class Plan:
    """A suite's cells, with the facts that their answers depend on by run_key."""

    suite: Suite
    cells: list[Cell]
    depends: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def runnable(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.unsupported is None]

    def trials(self) -> dict[str, Trial]:
        """Every trial to run by run_key, each once: tries of tuned cells first."""
        tries = {key: trial for cell in self.runnable for trial, key in cell.tries}
        return {**tries, **{cell.run_key: cell.trial for cell in self.runnable}}

    def counts(self, store: Store | None) -> Counter[str]:
        trials = self.trials()
        stored = sum(store.has(trial.trial_id, key) for key, trial in trials.items()) if store is not None else 0
        return Counter(trials=len(trials), stored=stored, to_run=len(trials) - stored, unsupported=len(self.cells) - len(self.runnable))

    def manifest(self) -> dict[str, Any]:
        return {
            "suite": self.suite.suite,
            "question": self.suite.question,
            "baseline": self.suite.baseline,
            "arms": list(self.suite.arms),
            "spec": self.suite.model_dump(mode="json"),
            "planned": datetime.now(UTC).isoformat(timespec="seconds"),
            "cells": [cell.value() for cell in self.cells],
        }


def plan(suite: Suite, *, device: str = "cpu", threads: int = 1, only: str | None = None, fetch: bool = True) -> Plan:
    """Expand a suite. Raises InputError for anything wrong in it, before a single trial has run.

    fetch : whether a hub backbone that is not here yet may be downloaded; without it, its trials have no run_key of their own.
    """
    depends = Depends(device=device, threads=threads, fetch=fetch)
    Budget.parse(suite.budget)
    variants = [(spec, label, config) for spec in suite.methods for label, config in spec.variants()]
    _check_labels([label for _, label, _ in variants])
    cells: list[Cell] = []
    for backbone, task_spec, shots in itertools.product(suite.backbones, suite.tasks, suite.shots):
        task = _task(task_spec)
        for template in _templates(suite, task_spec, task):
            for spec, label, config in variants:
                point = _Point(suite, backbone, task_spec, task, template, shots, spec, label, config)
                cells += point.cells(depends)
    if only is not None:
        cells = [cell for cell in cells if _matches(cell, only)]
    return Plan(suite, cells, depends.by_key)


def _check_labels(labels: Sequence[str]) -> None:
    twice = [label for label, count in Counter(labels).items() if count > 1]
    if twice:
        raise InputError(f"two methods are called {twice[0]!r}", key="methods", expected="give each its own `label`")


def _matches(cell: Cell, pattern: str) -> bool:
    from fnmatch import fnmatch

    return any(
        fnmatch(text, pattern)
        for text in (cell.arm, cell.trial.task, cell.trial.method, f"{cell.arm}/{cell.trial.task}", cell.trial.trial_id)
    )


def _task(spec: TaskSpec) -> Task:
    task: Task = catalog.load("task", spec.name)(**spec.config)
    return task


def _templates(suite: Suite, spec: TaskSpec, task: Task) -> list[str | None]:
    if not task.templates:
        return [None]
    names = list(task.templates)
    wanted = spec.templates or (
        suite.templates if isinstance(suite.templates, list) else names[:1] if suite.templates == "first" else names
    )
    if not spec.templates and isinstance(suite.templates, list):
        wanted = [name for name in wanted if name in names] or names[:1]  # a suite's list names templates that some of its tasks have
    for name in wanted:
        if name not in names:
            raise InputError(f"unknown template {name!r}", key=f"tasks.{spec.name}.templates", expected=f"it has {', '.join(names)}")
    return list(wanted)


@dataclass(frozen=True)
class _Point:
    """One point of the grid without its seeds."""

    suite: Suite
    backbone: Mapping[str, Any]
    task_spec: TaskSpec
    task: Task
    template: str | None
    shots: Any
    spec: MethodSpec
    label: str
    config: Mapping[str, Any]

    def cells(self, depends: Depends) -> list[Cell]:
        method_class = catalog.load("wrapper" if "over" in self.config else "method", self.spec.name)
        try:
            method: Method = method_class(**self.config)
        except InputError as error:
            raise error.located(key=f"methods.{self.label}") from None
        info = depends.backbone(self.backbone)
        reason = method.unsupported(self.task, info.family, info.capabilities)
        cells = []
        for number in self.suite.seeds.numbers:
            trial = self.trial(method, number)
            cell = Cell(
                self._arm(), self._block(), self.suite.family or self._family(), number, trial, unsupported=reason, tags=self._tags()
            )
            if reason is None:
                tries = self.tries(method, number, depends)
                cell = replace(cell, run_key=depends.run_key(trial, self.task, method_class), tries=tries)
            cells.append(cell)
        return cells

    def trial(self, method: Method, number: int) -> Trial:
        suite = self.suite
        tuning = {"trials": self.spec.tune, "per": self.spec.tune_per, "seeds": list(suite.tuning_seeds)} if self.spec.tune else None
        return Trial(
            task=self.task.name,
            task_config=self.task.config,
            backbone=self.backbone,
            method=self.spec.name,
            config=method.config,
            template=self.template if method.uses_template else None,
            train=Shots.parse(self.shots, "shots").value(),
            dev=Shots.parse(suite.dev, "dev").value(),
            seeds=suite.seeds.streams(number),
            budget=suite.budget,
            select=suite.select,
            test_rows=suite.test_rows,
            precision=suite.precision,
            tuning=tuning,
        )

    def tries(self, method: Method, number: int, depends: Depends) -> tuple[tuple[Trial, str], ...]:
        """N drawn configurations (the declared default is the first), each on the tuning seeds, or on the trial's own."""
        if not self.spec.tune:
            return ()
        if Shots.parse(self.suite.dev, "dev") == Shots(per_class=0):
            raise InputError("tuning needs a dev set", key="dev", expected="set `dev:` to a number of rows per class")
        if not type(method).search_space():
            raise InputError(f"{self.spec.name} declares no search space", key=f"methods.{self.label}.tune", expected="remove `tune`")
        numbers = [number] if self.spec.tune_per == "seed" else self.suite.tuning_seeds
        result = []
        for attempt in range(self.spec.tune):
            streams = Streams({"init": attempt})
            drawn = type(method).sample_config(lambda name, s=streams: s.rng("tuning", self.spec.name, name)) if attempt else {}  # type: ignore[misc]
            config = type(method)(**merged(method.config, drawn)).config
            for seed in numbers:
                trial = replace(self.trial(method, seed), config=config, tuning=None, scored="dev")
                result.append((trial, depends.run_key(trial, self.task, type(method))))
        return tuple(result)

    def _arm(self) -> str:
        parts = {"method": self.label, "backbone": backbone_name(self.backbone), "template": self.template or "-", "selection": "-"}
        return " / ".join(parts[arm] for arm in self.suite.arms)

    def _block(self) -> str:
        every = {
            "task": self._task_label(),
            "backbone": backbone_name(self.backbone),
            "template": self.template or "-",
            "method": self.label,
        }
        shown = {key: value for key, value in every.items() if key not in self.suite.arms}
        return canonical({**shown, "shots": self.shots})

    def _task_label(self) -> str:
        return f"{self.task.name} {canonical(self.task_spec.config)}" if self.task_spec.config else self.task.name

    def _family(self) -> str:
        return "all backbones" if "backbone" in self.suite.arms else backbone_name(self.backbone)

    def _tags(self) -> tuple[str, ...]:
        method = catalog.find("wrapper" if "over" in self.config else "method", self.spec.name)
        return tuple(sorted({*method.tags, *catalog.find("task", self.task_spec.name).tags}))
