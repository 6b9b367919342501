"""An artifact is a value: something made once and used by many trials. A recipe makes a backbone; a preparation makes tensors and facts.

    backbones: [{recipe: primer, config: {steps: 300}, seed: 3, step: 200}]          in a suite
    start: {panda: {sources: [world-topic, world-stars]}}                            as a method's setting of type `Prepared`

What stands in a suite is a *reference*: producer, configuration and, where it does not follow the suite's seed, a seed. `Artifact` is what it
comes to: the effective configuration, all inputs, seeds and budget. Like a trial it has two identities: `artifact_id` hashes the
question, a run_key also all that the answer depends on (see `artifact_graph`).
"""

from __future__ import annotations

import functools
import inspect
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.backbones.capabilities import Family
from harness.errors import InputError, unknown_name
from harness.identity import canonical, digest
from harness.registry import Entry, method_kind
from harness.seeds import STREAMS
from harness.settings import Configurable
from harness.task import Shots
from harness.trial import Trial

if TYPE_CHECKING:
    import torch

    from harness.artifact_inputs import Given
    from harness.training import Run

Kind = Literal["recipe", "preparation"]
KINDS: tuple[Kind, ...] = ("recipe", "preparation")
Reference = Mapping[str, Any]
KEYS = ("config", "seed", "budget")  # of a reference beside its kind


@dataclass(frozen=True)
class TaskInput:
    """Rows of a task that an artifact is made from: drawn from its pool by the artifact's `data` stream; test rows are never given."""

    task: str
    task_config: Mapping[str, Any] = field(default_factory=dict)
    train: Any = "all"
    dev: Any = 0

    def value(self) -> dict[str, Any]:
        train, dev = Shots.parse(self.train, "train"), Shots.parse(self.dev, "dev")
        return {"task": self.task, "task_config": dict(self.task_config), "train": train.value(), "dev": dev.value()}


@dataclass(frozen=True)
class Inputs:
    """What an artifact is made from, each by value: tasks' rows, backbones, other artifacts, and trials' adapted weights."""

    tasks: tuple[TaskInput, ...] = ()
    backbones: tuple[Mapping[str, Any], ...] = ()
    trials: tuple[Trial, ...] = ()
    artifacts: tuple[Reference, ...] = ()

    def value(self) -> dict[str, Any]:
        return {
            "tasks": [item.value() for item in self.tasks],
            "backbones": [dict(item) for item in self.backbones],
            "trials": [item.value() for item in self.trials],
            "artifacts": [dict(item) for item in self.artifacts],
        }

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Inputs:
        return cls(
            tuple(TaskInput(**item) for item in value["tasks"]),
            tuple(value["backbones"]),
            tuple(Trial.from_value(item) for item in value["trials"]),
            tuple(value["artifacts"]),
        )


@dataclass(frozen=True)
class Artifact:
    """Producer x effective configuration x inputs x seeds x budget. All fields are JSON-able."""

    kind: Kind
    producer: str
    config: Mapping[str, Any]
    inputs: Inputs
    seeds: Mapping[str, int]
    budget: Mapping[str, Any] = field(default_factory=dict)

    def value(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in self.__dataclass_fields__}, "inputs": self.inputs.value()}

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Artifact:
        return cls(**{**value, "inputs": Inputs.from_value(value["inputs"])})

    @functools.cached_property
    def artifact_id(self) -> str:
        return digest({"artifact": self.value()})

    def run_key(self, depends_on: Mapping[str, Any]) -> str:
        return digest({"artifact": self.artifact_id, "depends_on": depends_on})

    def made(self) -> Producer:
        """The producer with this artifact's configuration."""
        return producer_class(self.kind, self.producer)(**self.config)

    def __str__(self) -> str:
        return f"{self.kind} {self.producer}, seed {self.seeds['init']}"


class Producer(Configurable):
    """Base of recipes and preparations.

    reads : packages whose source the product depends on beside the producer's own (a procedural corpus).
    """

    entry: ClassVar[Entry]
    reads: ClassVar[tuple[str, ...]] = ()

    def inputs(self, backbone: Mapping[str, Any] | None, seed: int) -> Inputs:
        """What is needed. `backbone` is that of the trial which asks (None for a recipe: it makes one)."""
        return Inputs()

    def facing(self, task: str) -> Producer:
        """The same producer for a trial on `task`: what leaves the target out of its sources does so here."""
        return self


class Recipe(Producer):
    """Makes a backbone: `build` writes it in hub format.

    family : of the backbone, which planning matches methods to.
    """

    family: ClassVar[Family]

    def made_family(self) -> Family:
        """The family of what is made; a recipe whose product is of its base's family says so here."""
        return self.family

    def parameters(self) -> int | None:
        """Formula for the numbers in the product, tied ones once; None for a recipe that states none."""
        return None

    def last_step(self) -> int | None:
        """The last step of which a checkpoint can be asked; None for a recipe that has none."""
        return None

    @abstractmethod
    def build(self, given: Given, run: Run, out: Path, checkpoints: Sequence[int]) -> None:
        """Write `out/model`, and `out/step-N` for N in `checkpoints`. Go on from what a killed run left in `out`.

        A checkpoint is the same whichever others are asked for. InputError, DivergedError or any exception is the artifact's failure.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Product:
    """What a preparation gives: named tensors and JSON-able facts."""

    tensors: Mapping[str, torch.Tensor]
    facts: Mapping[str, Any]


class Preparation(Producer):
    """Makes tensors and facts that a method starts from."""

    @abstractmethod
    def prepare(self, given: Given, run: Run) -> Product:
        raise NotImplementedError


def producer_class(kind: str, name: str) -> type[Producer]:
    """The registered class; InputError for a name that nothing has, and for a recipe that is a function."""
    from harness import catalog

    found = catalog.load(kind, name)
    if kind == "recipe" and inspect.isfunction(found):
        from harness.recipe_functions import recipe_class

        found = recipe_class(found)
    if not (isinstance(found, type) and issubclass(found, Producer)):
        raise InputError(
            f"{kind} {name!r} cannot stand in a plan", expected=f"a class that derives from harness.artifacts.{kind.capitalize()}"
        )
    return found


def kind_of(reference: Mapping[str, Any]) -> Kind | None:
    """Which kind of producer a mapping refers to, or None for any other mapping."""
    return next((kind for kind in KINDS if kind in reference), None)


def reference(value: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """`{panda: {...}}` or `{preparation: panda, config: {...}, seed: 3}` in the second form, its configuration effective."""
    if kind not in value:
        if len(value) != 1 or not isinstance(next(iter(value.values())) or {}, Mapping):
            raise InputError(f"{dict(value)!r} is no {kind}", expected=f"{{NAME: {{setting: value}}}} (`harness list {kind}s`)")
        ((name, config),) = value.items()
        value = {kind: name, "config": config or {}}
    for key in value:
        if key not in (kind, *KEYS):
            raise unknown_name("key", str(key), (kind, *KEYS)).located(key=kind)
    name, seed = str(value[kind]), value.get("seed")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or seed < 0):
        raise InputError(f"{seed!r} is no seed", key=f"{name}.seed", expected="a whole number from 0")
    try:
        config = producer_class(kind, name)(**dict(value.get("config") or {})).config
    except InputError as error:
        raise error.located(key=f"{name}.config") from None
    found: dict[str, Any] = {kind: name, "config": config}
    return found | {key: value[key] for key in ("seed", "budget") if value.get(key) is not None}


def prepared_reference(value: Any, name: str) -> Any:
    """What a setting of type `Prepared` holds: a reference to a preparation, or None."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InputError(f"{value!r} is a {type(value).__name__}", key=name, expected="{PREPARATION: {setting: value}}")
    return reference(value, "preparation")


def resolved(value: Any, task: str, seed: int) -> Any:
    """`value` with every reference in it made ready for a trial on `task`: its seed said, the target left out of its sources."""
    if isinstance(value, list):
        return [resolved(item, task, seed) for item in value]
    if not isinstance(value, Mapping):
        return value
    kind = kind_of(value)
    if kind is None:
        return {key: resolved(item, task, seed) for key, item in value.items()}
    extra = {key: item for key, item in value.items() if key not in (kind, *KEYS, "label")}  # step, dtype and others of a backbone
    found = reference({key: item for key, item in value.items() if key in (kind, *KEYS)}, kind)
    made = producer_class(kind, found[kind])(**found["config"]).facing(task)
    return {**found, "config": resolved(made.config, task, seed), "seed": found.get("seed", seed), **extra}


def references(value: Any) -> Iterator[dict[str, Any]]:
    """The references within a trial's backbone or configuration, without what picks a part of the product (`step`)."""
    if isinstance(value, Mapping):
        kind = kind_of(value)
        if kind is None:
            for item in value.values():
                yield from references(item)
        else:
            yield {key: item for key, item in value.items() if key in (kind, *KEYS)}
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def unseeded(value: Any) -> Any:
    """`value` without the seeds of its references: the configuration as it is chosen by a tuning, whatever seeds it was tried with."""
    if isinstance(value, list):
        return [unseeded(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {key: unseeded(item) for key, item in value.items() if key != "seed" or kind_of(value) is None}


def with_references_of(config: Any, own: Any) -> Any:
    """`config` with the references of `own`, the configuration of the trial that takes it over."""
    if not isinstance(config, Mapping) or not isinstance(own, Mapping):
        return config
    if kind_of(config) is not None:
        return own if kind_of(own) is not None else config
    return {key: with_references_of(item, own.get(key)) for key, item in config.items()}


def reference_key(found: Reference) -> str:
    """By what a trial and its job know an artifact."""
    kind = kind_of(found)
    return digest({key: item for key, item in found.items() if key in (kind, *KEYS)})


def artifact_of(found: Reference, backbone: Mapping[str, Any] | None) -> Artifact:
    """The artifact that a resolved reference names, asked for by a trial (or an artifact) with this backbone."""
    kind = kind_of(found)
    assert kind is not None
    seed = int(found.get("seed", 0))
    producer = producer_class(kind, found[kind])(**found["config"])
    inputs = producer.inputs(None if kind == "recipe" else backbone, seed)
    return Artifact(kind, found[kind], producer.config, inputs, {name: seed for name in STREAMS}, dict(found.get("budget") or {}))


def source_trial(
    task: str, *, backbone: Mapping[str, Any], method: str, config: Mapping[str, Any], train: Any, seed: int, dev: Any = 0
) -> Trial:
    """The trial of one method on a source task, as a suite would plan it with the task's first template: an equal one is shared with it."""
    from harness import catalog

    made = catalog.load(method_kind(config), method)(**config)
    templates = list(catalog.load("task", task)().templates)
    return Trial(
        task=task,
        task_config=catalog.load("task", task)().config,
        backbone=backbone,
        method=method,
        config=made.config,
        template=templates[0] if templates and made.uses_template else None,
        train=Shots.parse(train, "train").value(),
        dev=Shots.parse(dev, "dev").value(),
        seeds=dict.fromkeys(STREAMS, seed),
    )


def made_name(spec: Mapping[str, Any]) -> str:
    """What people call a recipe's product: the recipe, the settings that are not its own defaults, and the step."""
    from harness import catalog

    try:
        declared = catalog.find("recipe", str(spec["recipe"])).settings
    except InputError:  # a store's recipe that is no longer registered
        declared = {}
    defaults = {name: item.setting.default for name, item in declared.items()}
    own = {key: value for key, value in (spec.get("config") or {}).items() if canonical(value) != canonical(defaults.get(key))}
    shown = (f"{key}={value if isinstance(value, (str, int, float)) else canonical(value)}" for key, value in own.items())
    text = " ".join([str(spec["recipe"]), *shown])
    return f"{text} @{spec['step']}" if spec.get("step") is not None else text
