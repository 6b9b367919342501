"""The artifacts that a plan needs: each once, with what it depends on, in an order that can be built; leaks are refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness import catalog
from harness.artifacts import Artifact, Recipe, artifact_of, kind_of, made_name, producer_class, reference, reference_key, references
from harness.backbones.capabilities import EXPECTED
from harness.backbones.describe import BackboneInfo
from harness.errors import InputError
from harness.identity import digest_package
from harness.registry import method_kind
from harness.task import Task

if TYPE_CHECKING:
    from harness.depends import Depends
    from harness.trial import Trial

LEAK = 0.1  # share of a target's test rows that a source may hold: independent procedural tasks share up to 0.03 by chance
PARTS = ("step", "dtype", "max_length")  # of a reference to a backbone, beside what identifies the artifact


@dataclass
class Planned:
    """One artifact of a plan.

    needs : run_keys of the artifacts it is made from.  trials : the trials whose adapted weights it is made from.
    steps : of which checkpoints are asked.  sources : tasks whose rows went in, also through what it is made from.
    """

    artifact: Artifact
    run_key: str
    depends_on: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    trials: Mapping[str, Trial] = field(default_factory=dict)
    sources: Mapping[str, Task] = field(default_factory=dict)
    steps: set[int] = field(default_factory=set)

    def value(self) -> dict[str, Any]:
        """JSON-able, for the store's manifest."""
        return {
            "artifact": self.artifact.value(),
            "artifact_id": self.artifact.artifact_id,
            "run_key": self.run_key,
            "needs": list(self.needs),
            "trials": [[trial.trial_id, key] for key, trial in self.trials.items()],
            "steps": sorted(self.steps),
        }


class Graph:
    """Artifacts by run_key, found from the trials that refer to them. Belongs to a `Depends`, which knows all else."""

    def __init__(self, depends: Depends) -> None:
        self.depends = depends
        self.nodes: dict[str, Planned] = {}
        self._keys: dict[str, str] = {}  # artifact_id -> run_key
        self._contents: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
        self._tasks: dict[str, Task] = {}
        self._open: list[str] = []  # artifact_ids being added, to tell a circle

    def facts(self, trial: Trial, task: Task) -> dict[str, Any]:
        """What a trial's run_key holds of its artifacts: by reference, identity and run_key; {} where it has none."""
        found = [*references(trial.backbone), *references(trial.config)]
        for item in found:
            self._check(self.nodes[self.add(item, trial.backbone)], task)
        if kind_of(trial.backbone) == "recipe" and trial.backbone.get("step") is not None:
            self.nodes[self.add(found[0], None)].steps.add(checkpoint(trial.backbone))
        return self._named(found, trial.backbone)

    def _named(self, found: Iterable[Mapping[str, Any]], backbone: Mapping[str, Any] | None) -> dict[str, Any]:
        keys = {reference_key(item): self.add(item, backbone) for item in found}
        return {name: [self.nodes[key].artifact.artifact_id, key] for name, key in keys.items()}

    def add(self, found: Mapping[str, Any], backbone: Mapping[str, Any] | None) -> str:
        """The run_key of the artifact that a reference names, which is planned from now on."""
        artifact = artifact_of(found, backbone)
        known = self._keys.get(artifact.artifact_id)
        if known is not None:
            return known
        if artifact.artifact_id in self._open:
            raise InputError(f"{artifact} is made from itself", key="backbones")
        self._open.append(artifact.artifact_id)
        try:
            node = self._planned(artifact)
        finally:
            self._open.pop()
        self._keys[artifact.artifact_id] = node.run_key
        self.nodes[node.run_key] = node
        return node.run_key

    def _planned(self, artifact: Artifact) -> Planned:
        depends, inputs = self.depends, artifact.inputs
        cls = producer_class(artifact.kind, artifact.producer)
        tasks = [self._task(item.task, item.task_config) for item in inputs.tasks]
        trial_keys = [self._trial_key(trial) for trial in inputs.trials]
        trials = dict(zip(trial_keys, inputs.trials))
        below = [reference for item in (*inputs.backbones, *inputs.artifacts) for reference in references(item)]
        named = self._named(below, inputs.backbones[0] if inputs.backbones else None)
        for item in inputs.backbones:
            if kind_of(item) == "recipe" and item.get("step") is not None:
                self.nodes[named[reference_key(next(references(item)))][1]].steps.add(checkpoint(item))
        facts = {
            **depends.common,
            "producer_source": depends.source(cls),
            "reads": {name: digest_package(name) for name in cls.reads},
            "tasks": [depends.rows(task) for task in tasks],
            "backbones": [self.backbone_identity(item) for item in inputs.backbones],
            "trials": [[trial.trial_id, key] for trial, key in zip(inputs.trials, trial_keys)],
            "artifacts": named,
        }
        needs = [key for _, key in named.values()]
        needs += [key for run_key in trials for _, key in depends.by_key[run_key].get("artifacts", {}).values()]
        sources = {task.name: task for task in tasks} | {trial.task: self._task(trial.task, trial.task_config) for trial in trials.values()}
        for key in needs:
            sources |= self.nodes[key].sources
        return Planned(artifact, artifact.run_key(facts), facts, tuple(dict.fromkeys(needs)), trials, sources)

    def _trial_key(self, trial: Trial) -> str:
        method = catalog.load(method_kind(trial.config), trial.method)(**trial.config)
        task = self._task(trial.task, trial.task_config)
        info = self.depends.backbone(trial.backbone)
        reason = method.unsupported(task, info.family, info.capabilities)
        if reason:
            raise InputError(f"{trial}: {reason}", expected="name sources that the method can do")
        return self.depends.run_key(trial, task, method.sources())

    def _task(self, name: str, config: Mapping[str, Any]) -> Task:
        key = f"{name} {sorted(config.items())!r}"
        if key not in self._tasks:
            self._tasks[key] = catalog.load("task", name)(**config)
        return self._tasks[key]

    def backbone_identity(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Of an existing backbone its digests; of one that is still to be made its artifact's run_key and the step."""
        if kind_of(spec) != "recipe":
            return self.depends.backbone(spec).identity
        key = self.add(next(references(spec)), None)
        return {"artifact": key, **{part: spec[part] for part in PARTS if spec.get(part) is not None}}

    def _check(self, node: Planned, target: Task) -> None:
        """InputError where a source is the target itself, whatever its name: told by the rows' inputs."""
        for name, source in node.sources.items():
            shared = self.overlap(source, target)
            if shared > LEAK:
                raise InputError(
                    f"{node.artifact} is made from {name}, which holds {shared:.0%} of the test rows of {target.name}",
                    key="sources",
                    expected="leave the target out of its sources",
                )

    def overlap(self, source: Task, target: Task) -> float:
        """Share of the target's test rows whose inputs stand among the source's rows."""
        ours, theirs = self._content(target)[1], frozenset().union(*self._content(source))
        return len(ours & theirs) / len(ours)

    def _content(self, task: Task) -> tuple[frozenset[str], frozenset[str]]:
        key = self.depends.rows(task)
        if key not in self._contents:
            self._contents[key] = frozenset(row.content for row in task.pool()), frozenset(row.content for row in task.test())
        return self._contents[key]

    def ordered(self, wanted: Iterable[str]) -> dict[str, Planned]:
        """The artifacts of these run_keys and all that they are made from, those first that others need."""
        found: dict[str, Planned] = {}

        def visit(key: str) -> None:
            if key not in found:
                for need in self.nodes[key].needs:
                    visit(need)
                found[key] = self.nodes[key]

        for key in wanted:
            visit(key)
        return found


def needed(facts: Mapping[str, Any]) -> Iterator[str]:
    """Run_keys of the artifacts that the answer with these facts needs directly."""
    for _, key in facts.get("artifacts", {}).values():
        yield key


def checkpoint(spec: Mapping[str, Any]) -> int:
    """The step that a reference to a backbone asks for; InputError where the recipe has no such step."""
    step = spec["step"]
    recipe = producer_class("recipe", spec["recipe"])(**dict(spec.get("config") or {}))
    assert isinstance(recipe, Recipe)
    last = recipe.last_step()
    whole = isinstance(step, int) and not isinstance(step, bool) and step >= 1
    if not whole or last is None or step > last:
        expected = f"a whole number from 1 to {last}" if last is not None else f"{spec['recipe']} has no checkpoints"
        raise InputError(f"{step!r} is no step of {spec['recipe']}", key="step", expected=expected)
    return int(step)


def made_info(spec: Mapping[str, Any]) -> BackboneInfo:
    """What is known of a recipe's product before it is made. InputError for anything wrong in the reference."""
    for key in spec:
        if key not in ("recipe", "config", "seed", "budget", "label", *PARTS):
            raise InputError(f"unknown key {key!r}", key="backbones", expected=f"recipe, config, seed, budget, label, {', '.join(PARTS)}")
    found = reference({key: value for key, value in spec.items() if key in ("recipe", "config", "seed", "budget")}, "recipe")
    if spec.get("step") is not None:
        checkpoint(spec)
    made = producer_class("recipe", found["recipe"])(**found["config"])
    assert isinstance(made, Recipe)
    family = made.made_family()
    return BackboneInfo(made_name(spec), family, EXPECTED[family], {})
