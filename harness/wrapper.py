"""Wrappers: methods that run `over:` another one and change its loss, data, start or answers. They know its events, not its code.

    methods: [{name: deft, config: {alpha: 1, over: {lora: {rank: 8}}}}]      # or `over: lora`

A wrapper is a method: it has settings, a search space (its own times the inner method's), a parameter formula (inner plus own),
and a state. It may be wrapped again. What it needs of the inner method are events (`events=` in its decorator, see hooks.py).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from harness import catalog
from harness.errors import InputError
from harness.hooks import Events
from harness.method import Method, Predictor
from harness.predictions import Predictions
from harness.registry import method_kind
from harness.settings import Search, setting
from harness.task import Example, Task, TaskData

if TYPE_CHECKING:
    import torch

    from harness.training import Run


class Wrapper(Method):
    """Base of all wrappers: `events(backbone, data, run)` gives what answers the events of one run.

    neutral : settings under which it must equal the inner method bit for bit, which is tested; empty where there are none.
    The rest of what a method declares (streams, template, frozen backbone, kinds of task) is the inner method's.
    """

    task_kinds: ClassVar[tuple[str, ...]] = ("classification", "choice", "generation", "regression")
    neutral: ClassVar[Mapping[str, Any]] = {}

    over: Any = setting(None, help="the method it runs: NAME or {NAME: {SETTING: VALUE}}")

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.inner = inner_method(self.over)
        self.over = {self.inner.name: self.inner.config}
        same = ("random", "frozen_backbone", "identity_at_start", "uses_template")
        vars(self).update({name: getattr(self.inner, name) for name in same})  # an instance's own shadow the class's
        vars(self)["emits"] = tuple(sorted(self.inner.emitted))

    @abstractmethod
    def events(self, backbone: Any, data: TaskData, run: Run) -> Events:
        """What this wrapper does in one run; a plain `Events()` for nothing."""
        raise NotImplementedError

    def unsupported(self, task: Task, family: str, capabilities: frozenset[str]) -> str | None:
        missing = [event for event in self.entry.events if event not in self.inner.emitted]
        if missing:
            return f"{self.name} needs to be told of {', '.join(missing)}, which {self.inner.name} does not emit"
        return self.inner.unsupported(task, family, capabilities) or super().unsupported(task, family, capabilities)

    def adapt(self, backbone: Any, data: TaskData, run: Run) -> Predictor:
        events = self.events(backbone, data, run)
        run.hooks.add(events)
        try:
            predictor = self.inner.adapt(backbone, data, run)
        finally:
            run.hooks.remove(events)
            events.end()
        return Wrapped(predictor, events) if "predict" in self.entry.events else predictor

    def restore(self, backbone: Any, data: TaskData, run: Run, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> Predictor:
        events = self.events(backbone, data, run)
        run.hooks.add(events)
        try:
            if "predict" not in self.entry.events:
                return self.inner.restore(backbone, data, run, tensors, facts)
            predictor = self.inner.restore(backbone, data, run, _named(tensors, INNER), facts["inner"])
            events.load(_named(tensors, OWN), facts["own"])
            return Wrapped(predictor, events)
        finally:
            run.hooks.remove(events)
            events.end()

    def own_parameters(self, backbone: Any, task: Task) -> int:
        """Formula for the numbers that the wrapper itself adds and trains."""
        return 0

    def trainable_parameters(self, backbone: Any, task: Task) -> int:
        return self.inner.trainable_parameters(backbone, task) + self.own_parameters(backbone, task)

    def head_parameters(self, backbone: Any, task: Task) -> int:
        return self.inner.head_parameters(backbone, task)

    def open_space(self, given: Mapping[str, Any]) -> dict[str, Search]:
        over = given.get("over")
        inside = over.get(self.inner.name) if isinstance(over, Mapping) else None
        inner = self.inner.open_space(inside or {})
        return {**super().open_space(given), **{f"over.{self.inner.name}.{name}": search for name, search in inner.items()}}

    def sources(self) -> tuple[type, ...]:
        return (type(self), *self.inner.sources())


def inner_method(over: Any) -> Method:
    """The method that `over` names, with its settings. InputError where that is no method."""
    expected = "NAME or {NAME: {SETTING: VALUE}}"
    if over is None:
        raise InputError("a wrapper runs over another method", key="over", expected=expected)
    named = {over: {}} if isinstance(over, str) else over
    if not isinstance(named, Mapping) or len(named) != 1:
        raise InputError(f"{over!r} is no method", key="over", expected=expected)
    ((name, config),) = named.items()
    config = {} if config is None else config
    if not isinstance(config, Mapping):
        raise InputError(f"{config!r} are no settings", key=f"over.{name}", expected="{SETTING: VALUE}")
    try:
        method: Method = catalog.load(method_kind(config), str(name))(**config)
    except InputError as error:
        key = f"over.{name}.{error.key}" if error.key else f"over.{name}"
        raise InputError(error.message, key=key, expected=error.expected) from None
    return method


class Wrapped(Predictor):
    """The inner predictor, its answers changed by a wrapper that declares `predict`."""

    def __init__(self, inner: Predictor, events: Events) -> None:
        self.inner, self.events = inner, events

    def predict(self, examples: Sequence[Example]) -> Predictions:
        return self.events.predict(self.inner.predict(examples), examples)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        tensors, facts = self.inner.state()
        own, own_facts = self.events.state()
        named = {INNER + name: tensor for name, tensor in tensors.items()} | {OWN + name: tensor for name, tensor in own.items()}
        return named, {"inner": facts, "own": own_facts}


INNER, OWN = "inner.", "own."  # in front of the names of stored tensors


def _named(tensors: Mapping[str, torch.Tensor], start: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
