"""The verbs of the command line: where each one's function is, so that it is imported only when it is called."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from harness.errors import InputError, unknown_name

GROUP = "harness.commands"  # entry points: verb = "package.module:function"


class Verb(NamedTuple):
    """Where a verb's function is, and its one line of help (None: the first line of the function's docstring)."""

    target: str
    help: str | None = None


VERBS = {
    "list": Verb("harness.cli.list:list_entries", "What there is: methods, tasks, backbones, suites, metrics and the rest."),
    "show": Verb("harness.cli.show:show", "One entry: what it is, paper, needs, settings with defaults and ranges."),
    "plan": Verb("harness.cli.plan:plan", "What a suite would run: trials, what is stored already, time and memory."),
    "run": Verb("harness.cli.run:run", "Run a suite; what is in the store already is not run again."),
    "inspect": Verb("harness.cli.inspect:inspect", "One trial: configuration, curve, costs, and its examples as prompted and answered."),
    "predict": Verb("harness.cli.predict:predict", "Use a stored adaptation on new rows."),
    "store": Verb("harness.cli.store:store", "Care for a store: merge, gc, invalidate, export, check."),
    "new": Verb("harness.cli.new:app", "A working skeleton of a method or task, with its test."),
    "pretrain": Verb("harness.cli.pretrain:pretrain", "Rebuild a shipped tiny model from its recipe."),
    "doctor": Verb("harness.cli.doctor:doctor", "Versions, devices, determinism, cache and store health, missing extras."),
}


def foreign() -> dict[str, Verb]:
    """Verbs that other packages, and our own reports, add by entry points; none may replace a verb above."""
    from importlib.metadata import entry_points

    return {point.name: Verb(point.value) for point in sorted(entry_points(group=GROUP)) if point.name not in VERBS}


def described() -> dict[str, str]:
    """Every verb's one line of help; the line of one that is an entry point is read from its file, not by importing it."""
    from harness import catalog

    return {name: verb.help or catalog.summary(verb.target) for name, verb in {**VERBS, **foreign()}.items()}


def resolve(name: str) -> Any:
    """The function (or `typer.Typer`) of a verb, imported now."""
    verb = VERBS.get(name) or foreign().get(name)
    if verb is None:
        raise unknown_name("verb", name, [*VERBS, *foreign()], listing="harness --help")
    module, _, attribute = verb.target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        missing = str(error.name)
        if module == missing or module.startswith(f"{missing}."):
            raise InputError(f"verb {name!r} is not in this installation ({module} is missing)") from error
        if missing.partition(".")[0] == "harness":
            raise
        raise InputError(f"verb {name!r} needs the package {missing!r}", expected="install it (see `harness doctor`)") from error
