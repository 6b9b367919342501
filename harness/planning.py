"""From a suite to cells: every trial it asks for, what is unsupported, and what the store already answers. Nothing is run here."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from harness import catalog
from harness.backbones.describe import describe
from harness.backbones.files import check_weights
from harness.depends import Depends, Memory
from harness.errors import InputError, unknown_name
from harness.identity import canonical, digest, digest_source
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
        value = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("trial", "tries")}
        return {**value, "trial": self.trial.value(), "tries": [[trial.trial_id, key] for trial, key in self.tries]}


@dataclass
class Plan:
    """A suite's cells, with the facts that their answers depend on by run_key."""

    suite: Suite
    cells: list[Cell]
    depends: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: list[Cell] = field(default_factory=list)  # by `only`; they stay in the manifest, so that a report says what is missing

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
            "planned": datetime.now(UTC).isoformat(timespec="microseconds"),  # the newest one counts, of two in a second too
            "cells": [cell.value() for cell in (*self.cells, *self.left_out)],
        }


def plan(
    suite: Suite, *, device: str = "cpu", threads: int = 1, only: str | None = None, fetch: bool = True, deterministic: bool = True
) -> Plan:
    """Expand a suite. Raises InputError for anything wrong in it, before a single trial has run.

    fetch : whether a hub backbone that is not here yet may be downloaded; without it, its trials have no run_key of their own.
    """
    depends = Depends(device=device, threads=threads, fetch=fetch, deterministic=deterministic)
    Budget.parse({str(unit): amount for unit, amount in suite.budget.items()})
    _check_tuning(suite)
    variants = [(spec, label, config) for spec in suite.methods for label, config in spec.variants()]
    _check_labels([label for _, label, _ in variants])
    cells: list[Cell] = []
    _check_templates(suite)
    for backbone, task_spec, shots in itertools.product(suite.backbones, suite.tasks, suite.shots):
        task = _task(task_spec)
        for template in _templates(suite, task_spec, task):
            for spec, label, config in variants:
                point = _Point(suite, backbone, task_spec, task, template, shots, spec, label, config)
                cells += point.cells(depends)
    _check_baseline(suite, cells)
    chosen = [cell for cell in cells if only is None or _matches(cell, only)]
    if not chosen:
        raise InputError(
            f"nothing in this suite matches {only!r}", key="--only", expected="a GLOB on method, task, method/task or trial id"
        )
    return Plan(suite, chosen, depends.by_key, [cell for cell in cells if only is not None and not _matches(cell, only)])


def _check_tuning(suite: Suite) -> None:
    shared = sorted(set(suite.tuning_seeds) & set(suite.seeds.numbers))
    if shared and any(spec.tune and spec.tune_per == "task" for spec in suite.methods):
        raise InputError(
            f"seed {shared[0]} would be tuned and reported on", key="tuning_seeds", expected="name seeds that are not among `seeds`"
        )


def _check_templates(suite: Suite) -> None:
    """A name in the suite's own list of templates that none of its tasks has is a mistake."""
    if isinstance(suite.templates, list):
        known = {name for spec in suite.tasks for name in _task(spec).templates}
        for i, name in enumerate(suite.templates):
            if name not in known:
                raise suite.error(("templates", i), unknown_name("template", name, known))


def _check_baseline(suite: Suite, cells: Sequence[Cell]) -> None:
    arms = {cell.arm for cell in cells}
    if suite.baseline is not None and suite.baseline not in arms:
        raise suite.error(("baseline",), unknown_name("arm", suite.baseline, arms))


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
    cls = catalog.load("task", spec.name)
    try:
        task: Task = cls(**spec.config)
    except InputError as error:
        raise error.located(key=f"tasks.{spec.name}") from None
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
            raise suite.error(("tasks", suite.tasks.index(spec), "templates"), unknown_name("template", name, names))
    return list(wanted)


CHECKED_ROWS = 8  # of each split, rendered before anything runs
_CHECKED = Memory("preflight")  # draws that were found to be in order, by the digest of all they depend on


def preflight(plan: Plan, *, trust: Sequence[str] = ()) -> None:
    """What a run would stumble over, refused before anything is written: weights, code, rows, templates. Raises InputError.

    Rows are drawn once for each task, template and number of shots, with the first seed; a draw that was in order is remembered
    by the digest of the task's content and source.
    """
    trials = plan.trials()
    for spec in {canonical(trial.backbone): trial.backbone for trial in trials.values()}.values():
        _check_backbone(spec, trust)
    for key, trial in {canonical(_drawn_from(trial)): (key, trial) for key, trial in reversed(trials.items())}.values():
        mark = digest([_drawn_from(trial), trial.seeds["data"], plan.depends[key]["task"], digest_source(Streams), digest_source(Shots)])
        if _CHECKED.get(mark) is None:
            _check_rows(trial)
            _CHECKED.put(mark, trial.task)


def _drawn_from(trial: Trial) -> list[Any]:
    return [trial.task, trial.task_config, trial.template, trial.train, trial.dev, trial.test_rows]


def _check_backbone(spec: Mapping[str, Any], trust: Sequence[str]) -> None:
    info = describe(spec)
    if info.remote_code and f"{info.name}@{info.revision}" not in trust:
        wanted = f"trust it with --trust-remote-code {info.name}@{info.revision}"
        raise InputError(f"{info.name} needs code of its own to run", key="backbones", expected=wanted)
    if info.folder is not None:
        check_weights(info.folder)


def _check_rows(trial: Trial) -> None:
    from harness.execute import data_of, task_of
    from harness.text import render_all, template_of

    task = task_of(trial)
    try:
        data = data_of(trial, task, Streams(trial.seeds))
        if trial.template is not None:
            template = template_of(task, trial.template)
            for rows in (data.train, data.dev, data.test):
                render_all(task, template, rows[:CHECKED_ROWS])
    except InputError as error:
        place = task.name if trial.template is None else f"{task.name}.templates.{trial.template}"
        raise error.located(key=place) from None


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
            raise self.suite.error(("methods", self.suite.methods.index(self.spec), "config"), error) from None
        info = depends.backbone(self.backbone)
        reason = method.unsupported(self.task, info.family, info.capabilities)
        cells = []
        tries: tuple[tuple[Trial, str], ...] = ()
        for number in self.suite.seeds.numbers:
            trial = self.trial(method, number)
            cell = Cell(
                self._arm(), self._block(), self.suite.family or self._family(), number, trial, unsupported=reason, tags=self._tags()
            )
            if reason is None:
                if not tries or self.spec.tune_per == "seed":  # tuned per task, all seeds have the same tries
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
            budget={str(unit): amount for unit, amount in suite.budget.items()},
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
        free = [name for name in type(method).search_space() if name not in self.config]  # what the suite sets stays as it says
        if not free:
            raise InputError(f"{self.spec.name} has nothing to tune", key=f"methods.{self.label}.tune", expected="remove `tune`")
        numbers = [number] if self.spec.tune_per == "seed" else self.suite.tuning_seeds
        result = []
        for attempt in range(self.spec.tune):
            streams = Streams({"init": attempt})
            drawn = type(method).sample_config(lambda name, s=streams: s.rng("tuning", self.spec.name, name)) if attempt else {}  # type: ignore[misc]
            config = type(method)(**merged(method.config, {name: drawn[name] for name in free if name in drawn})).config
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
