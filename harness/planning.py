"""From a suite to cells: every trial it asks for, what is unsupported, and what the store already answers. Nothing is run here."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from harness import catalog
from harness.artifact_graph import Graph, Planned, needed
from harness.artifacts import resolved
from harness.depends import Depends
from harness.errors import InputError, unknown_name
from harness.formats import Format, is_format, population, sample, text_field
from harness.identity import canonical
from harness.method import Method
from harness.protocols import check
from harness.registry import method_kind
from harness.seeds import Streams
from harness.selection import Selection
from harness.settings import merged, nested
from harness.store import Store
from harness.suite import FormatSample, MethodSpec, Named, Suite, TaskSpec
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
    graph: Graph | None = None

    @property
    def runnable(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.unsupported is None]

    def trials(self) -> dict[str, Trial]:
        """Every trial to run by run_key, each once: tries of tuned cells first."""
        tries = {key: trial for cell in self.runnable for trial, key in cell.tries}
        return {**tries, **{cell.run_key: cell.trial for cell in self.runnable}}

    def artifacts(self) -> dict[str, Planned]:
        """The artifacts that these trials need, by run_key, in an order in which they can be made."""
        wanted = [key for run_key in self.trials() for key in needed(self.depends[run_key])]
        return {} if self.graph is None else self.graph.ordered(wanted)

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
            "artifacts": [node.value() for node in (self.graph.nodes.values() if self.graph is not None else ())],
        }


def plan(
    suite: Suite, *, device: str = "cpu", threads: int = 1, only: str | None = None, fetch: bool = True, deterministic: bool = True
) -> Plan:
    """Expand a suite. Raises InputError for anything wrong in it, before a single trial has run.

    fetch : whether a hub backbone that is not here yet may be downloaded; without it, its trials have no run_key of their own.
    """
    depends = Depends(device=device, threads=threads, fetch=fetch, deterministic=deterministic)
    found = [_cells(grid, depends) for grid in suite.grids]
    cells = found[0] if len(found) == 1 else _joined(suite, found)
    _check_baseline(suite, cells)
    chosen = [cell for cell in cells if only is None or _matches(cell, only)]
    if not chosen:
        raise InputError(
            f"nothing in this suite matches {only!r}", key="--only", expected="a GLOB on method, task, method/task or trial id"
        )
    return Plan(suite, chosen, depends.by_key, [cell for cell in cells if only is not None and not _matches(cell, only)], depends.graph)


def _cells(suite: Suite, depends: Depends) -> list[Cell]:
    """The cells of one grid."""
    Budget.parse({str(unit): amount for unit, amount in suite.budget.items()})
    _check_tuning(suite)
    variants = [(spec, label, config) for spec in suite.methods for label, config in spec.variants()]
    _check_labels([label for _, label, _ in variants])
    _check_twice([backbone_name(spec) for spec in suite.backbones if "recipe" in spec or "label" in spec], "backbones")
    cells: list[Cell] = []
    _check_templates(suite)
    selections = _selections(suite)
    probes = _probes(suite)
    for backbone, task_spec, shots in itertools.product(suite.backbones, suite.tasks, suite.shots):
        task = _task(task_spec)
        for template in _templates(suite, task_spec, task):
            for spec, label, config in variants:
                for picked, selection in selections:
                    point = _Point(suite, backbone, task_spec, task, template, shots, spec, label, config, picked, selection, probes)
                    cells += point.cells(depends)
    return cells


def _joined(suite: Suite, found: Sequence[list[Cell]]) -> list[Cell]:
    """The cells of all parts, each once. InputError where one arm means two things on the same block and seed."""
    cells: dict[tuple[str, str, str, int], Cell] = {}
    for part, own in enumerate(found):
        for cell in own:
            same = cells.setdefault((cell.family, cell.arm, cell.block, cell.seed), cell)
            if same.trial != cell.trial:
                wrong = InputError(f"{cell.arm} stands for other settings in an earlier part", expected="give it a `label` of its own")
                raise suite.error(("parts", part), wrong)
    return list(cells.values())


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
            if name not in known and not is_format(name):
                raise suite.error(("templates", i), unknown_name("template", name, known))


def _check_baseline(suite: Suite, cells: Sequence[Cell]) -> None:
    arms = {cell.arm for cell in cells}
    if suite.baseline is not None and suite.baseline not in arms:
        raise suite.error(("baseline",), unknown_name("arm", suite.baseline, arms))


def _check_labels(labels: Sequence[str]) -> None:
    twice = [label for label, count in Counter(labels).items() if count > 1]
    if twice:
        raise InputError(f"two methods are called {twice[0]!r}", key="methods", expected="give each its own `label`")


def _selections(suite: Suite) -> list[tuple[str, Selection | None]]:
    """(label, selection) of every selection that the suite names; None trains on every row."""
    found: list[tuple[str, Selection | None]] = []
    for i, spec in enumerate(suite.selections):
        if spec.name == "none" and spec.config:
            raise suite.error(("selections", i), InputError("none has no settings", expected="name a selection: harness list selections"))
        found.append((spec.shown, None if spec.name == "none" else _configured(suite, ("selections", i), "selection", spec)))
    _check_twice([label for label, _ in found], "selections")
    return found


def _probes(suite: Suite) -> tuple[dict[str, Any], ...]:
    made = [(spec, _configured(suite, ("probes", i), "probe", spec)) for i, spec in enumerate(suite.probes)]
    _check_twice([spec.shown for spec, _ in made], "probes")
    return tuple({"label": spec.shown, "name": spec.name, "config": probe.config} for spec, probe in made)


def _configured(suite: Suite, place: tuple[str, int], kind: str, spec: Named) -> Any:
    try:
        return catalog.load(kind, spec.name)(**spec.config)
    except InputError as error:
        raise suite.error(place, error) from None


def _check_twice(labels: Sequence[str], key: str) -> None:
    twice = [label for label, count in Counter(labels).items() if count > 1]
    if twice:
        raise InputError(f"two of them are called {twice[0]!r}", key=key, expected="give each its own `label`")


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
    check(task)
    return task


def _templates(suite: Suite, spec: TaskSpec, task: Task) -> list[str | None]:
    if not task.templates:
        return [None]
    names = list(task.templates)
    asked = spec.templates or suite.templates
    if isinstance(asked, FormatSample):
        return _formats(suite, spec, task, asked)
    wanted = asked if isinstance(asked, list) else names[:1] if asked == "first" else names
    if not spec.templates and isinstance(suite.templates, list):
        wanted = [name for name in wanted if name in names or is_format(name)] or names[:1]  # others are templates of other tasks
    for name in wanted:
        if is_format(name):
            Format.parse(name).template(task)
        elif name not in names:
            raise suite.error(("tasks", suite.tasks.index(spec), "templates"), unknown_name("template", name, names))
    return list(wanted)


def _formats(suite: Suite, spec: TaskSpec, task: Task, asked: FormatSample) -> list[str | None]:
    try:
        text_field(task)
        chosen = sample(population(task, asked.phrases), asked.sample, np.random.default_rng(asked.seed))
    except InputError as error:
        raise suite.error(("tasks", suite.tasks.index(spec)), error) from None
    return [one.name for one in chosen]


def _unlabelled(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A suite's backbone without the word it has for it, which is no part of the question."""
    return {key: value for key, value in spec.items() if key != "label"}


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
    chosen: str  # the selection's label
    selection: Selection | None
    probes: tuple[dict[str, Any], ...]

    def cells(self, depends: Depends) -> list[Cell]:
        method_class = catalog.load(method_kind(self.config), self.spec.name)
        try:
            method: Method = method_class(**self.config)
        except InputError as error:
            raise self.suite.error(("methods", self.suite.methods.index(self.spec), "config"), error) from None
        try:
            info = depends.backbone(_unlabelled(self.backbone))
        except InputError as error:
            raise self.suite.error(("backbones", self.suite.backbones.index(dict(self.backbone))), error) from None
        reason = method.unsupported(self.task, info.family, info.capabilities)
        if reason is None and self.selection is not None:
            reason = self.selection.unsupported(self.task, method)
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
                cell = replace(cell, run_key=depends.run_key(trial, self.task, method.sources()), tries=tries)
            cells.append(cell)
        return cells

    def trial(self, method: Method, number: int) -> Trial:
        suite = self.suite
        tuning = {"trials": self.spec.tune, "per": self.spec.tune_per, "seeds": list(suite.tuning_seeds)} if self.spec.tune else None
        return Trial(
            task=self.task.name,
            task_config=self.task.config,
            backbone=self.resolved(_unlabelled(self.backbone), number),
            method=self.spec.name,
            config=self.resolved(method.config, number),
            template=self.template if method.uses_template else None,
            train=Shots.parse(self.shots, "shots").value(),
            dev=Shots.parse(suite.dev, "dev").value(),
            seeds=suite.seeds.streams(number),
            budget={str(unit): amount for unit, amount in suite.budget.items()},
            select=suite.select,
            test_rows=suite.test_rows,
            precision=suite.precision,
            tuning=tuning,
            selection={"name": self.selection.entry.name, "config": self.selection.config} if self.selection is not None else None,
            probes=self.probes,
        )

    def resolved(self, value: Mapping[str, Any], number: int) -> dict[str, Any]:
        """`value` with its references to artifacts made ready for this task and replicate."""
        found: dict[str, Any] = resolved(value, self.task.name, self.suite.seeds.pretraining(number))
        return found

    def tries(self, method: Method, number: int, depends: Depends) -> tuple[tuple[Trial, str], ...]:
        """N drawn configurations (the declared default is the first), each on the tuning seeds, or on the trial's own."""
        if not self.spec.tune:
            return ()
        if Shots.parse(self.suite.dev, "dev") == Shots(per_class=0):
            raise InputError("tuning needs a dev set", key="dev", expected="set `dev:` to a number of rows per class")
        free = method.open_space(self.config)  # what the suite sets stays as it says
        if not free:
            raise InputError(f"{self.spec.name} has nothing to tune", key=f"methods.{self.label}.tune", expected="remove `tune`")
        numbers = [number] if self.spec.tune_per == "seed" else self.suite.tuning_seeds
        result = []
        for attempt in range(self.spec.tune):
            streams = Streams({"init": attempt})
            drawn = {name: space.sample(streams.rng("tuning", self.spec.name, name)) for name, space in free.items()} if attempt else {}
            config = type(method)(**merged(method.config, nested(drawn))).config
            for seed in numbers:
                trial = replace(self.trial(method, seed), config=self.resolved(config, seed), tuning=None, scored="dev", probes=())
                result.append((trial, depends.run_key(trial, self.task, method.sources())))
        return tuple(result)

    def _arm(self) -> str:
        parts = {"method": self.label, "backbone": backbone_name(self.backbone), "template": self.template or "-", "selection": self.chosen}
        return " / ".join(parts[arm] for arm in self.suite.arms)

    def _block(self) -> str:
        every = {
            "task": self._task_label(),
            "backbone": backbone_name(self.backbone),
            "template": self.template or "-",
            "method": self.label,
        }
        if len(self.suite.selections) > 1 or self.selection is not None:
            every["selection"] = self.chosen
        shown = {key: value for key, value in every.items() if key not in self.suite.arms}
        return canonical({**shown, "shots": self.shots})

    def _task_label(self) -> str:
        return f"{self.task.name} {canonical(self.task_spec.config)}" if self.task_spec.config else self.task.name

    def _family(self) -> str:
        return "all backbones" if "backbone" in self.suite.arms else backbone_name(self.backbone)

    def _tags(self) -> tuple[str, ...]:
        method = catalog.find(method_kind(self.config), self.spec.name)
        return tuple(sorted({*method.tags, *catalog.find("task", self.task_spec.name).tags}))
