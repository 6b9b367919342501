"""Registering is one decorator with literal arguments; finding reads those literals without importing (see catalog.py).

    @method("lora", paper="arXiv:2106.09685", needs=("hidden_states",), tags=("text",))
    class LoRA(Method): ...

The decorator tags the class with its `entry`. A second class under a registered name is an error, never a silent overwrite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from harness.errors import InputError

KINDS = ("method", "wrapper", "selection", "preparation", "recipe", "task", "corpus", "probe", "metric", "tool", "backbone", "suite")
EVENTS = ("start", "batch", "loss", "epoch", "predict")  # of a method's training, that a wrapper may answer: see hooks.py
RECIPE_GIVEN = ("out", "seed", "checkpoints", "log", "stop_at")  # arguments of a recipe that is a function, which are no settings
SLUG = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")

Registered = TypeVar("Registered", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry:
    """What a registered class declares about itself, all of it literal."""

    kind: str
    name: str
    paper: str | None = None
    needs: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    emits: tuple[str, ...] = ()  # of a method: events beyond those of its base
    events: tuple[str, ...] = ()  # of a wrapper: those the method under it must emit
    command: str | None = None  # of a tool: how it is called
    family: str | None = None  # of a recipe that is a function: what it makes
    reads: tuple[str, ...] = ()  # and the packages whose source its product depends on


_registered: dict[tuple[str, str], Any] = {}


def registered(kind: str, name: str) -> Any | None:
    """The class registered so far in this process, or None; `catalog.load` imports it first."""
    return _registered.get((kind, name))


def _register(kind: str, name: str, **declared: Any) -> Callable[[Registered], Registered]:
    if not SLUG.fullmatch(name):
        raise InputError(f"{kind} name {name!r} is no slug", expected="use a-z, 0-9 and single '-', '.' or '_' between them")
    for event in (*declared.get("emits", ()), *declared.get("events", ())):
        if event not in EVENTS:
            raise InputError(f"{kind} {name!r}: {event!r} is no event", expected=f"events are {', '.join(EVENTS)}")

    def tag(target: Registered) -> Registered:
        old = _registered.get((kind, name))
        if old is not None and (old.__module__, old.__qualname__) != (target.__module__, target.__qualname__):
            raise InputError(
                f"{kind} {name!r} is registered twice: {old.__module__}.{old.__qualname__} and {target.__module__}.{target.__qualname__}"
            )
        target.entry = Entry(kind, name, **declared)  # type: ignore[attr-defined]
        _registered[kind, name] = target
        return target

    return tag


def method(
    name: str, *, paper: str | None = None, needs: tuple[str, ...] = (), tags: tuple[str, ...] = (), emits: tuple[str, ...] = ()
) -> Callable[[Registered], Registered]:
    """Register a `Method`. `needs` are capabilities of the backbone; `emits` the events a wrapper may attach to."""
    return _register("method", name, paper=paper, needs=needs, tags=tags, emits=emits)


def wrapper(
    name: str, *, paper: str | None = None, needs: tuple[str, ...] = (), events: tuple[str, ...] = (), tags: tuple[str, ...] = ()
) -> Callable[[Registered], Registered]:
    """Register a `Wrapper`, a method that runs `over:` another. `events` are those that the inner method must emit."""
    return _register("wrapper", name, paper=paper, needs=needs, events=events, tags=tags)


def method_kind(config: Mapping[str, Any]) -> str:
    """Under which kind a method of this configuration is registered: a wrapper's names what it runs `over`."""
    return "wrapper" if "over" in config else "method"


def selection(name: str, *, paper: str | None = None, tags: tuple[str, ...] = ()) -> Callable[[Registered], Registered]:
    return _register("selection", name, paper=paper, tags=tags)


def recipe(
    name: str, *, paper: str | None = None, family: str | None = None, reads: tuple[str, ...] = (), tags: tuple[str, ...] = ()
) -> Callable[[Registered], Registered]:
    """Register a `Recipe`, or a function that pretrains into a folder (`harness.recipe_functions`).

    A function says by `family` what it makes, and by `reads` the packages its training text comes from; a class has attributes of these names.
    """
    return _register("recipe", name, paper=paper, family=family, reads=reads, tags=tags)


def preparation(name: str, *, paper: str | None = None, tags: tuple[str, ...] = ()) -> Callable[[Registered], Registered]:
    return _register("preparation", name, paper=paper, tags=tags)


def task(name: str, *, paper: str | None = None, tags: tuple[str, ...] = ()) -> Callable[[Registered], Registered]:
    return _register("task", name, paper=paper, tags=tags)


def corpus(name: str, *, tags: tuple[str, ...] = ()) -> Callable[[Registered], Registered]:
    return _register("corpus", name, tags=tags)


def probe(name: str, *, paper: str | None = None, tags: tuple[str, ...] = ()) -> Callable[[Registered], Registered]:
    return _register("probe", name, paper=paper, tags=tags)


def metric(name: str, *, tags: tuple[str, ...] = ()) -> Callable[[Registered], Registered]:
    return _register("metric", name, tags=tags)


def tool(name: str, *, paper: str | None = None, command: str, tags: tuple[str, ...] = ()) -> Callable[[Registered], Registered]:
    """Register a tool: something run beside trials by a verb of its own. `command` is how it is called: "harness lint PATH"."""
    return _register("tool", name, paper=paper, command=command, tags=tags)
