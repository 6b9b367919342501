"""Recipes that are one function: `pretrain(out, *, seed, steps, ..., checkpoints, log)` writes `out/model` and `out/step-N`, and resumes.

Its keyword arguments are its settings, with their defaults; `harness pretrain` calls it as it is.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.artifacts import Recipe
from harness.backbones.capabilities import FAMILIES
from harness.errors import InputError
from harness.registry import RECIPE_GIVEN, Entry
from harness.settings import setting

if TYPE_CHECKING:
    from harness.artifact_inputs import Given
    from harness.training import Run


class FunctionRecipe(Recipe):
    """A function as a recipe."""

    function: Callable[..., None]

    def last_step(self) -> int | None:
        steps = self.config.get("steps")
        return int(steps) if isinstance(steps, int) else None

    def build(self, given: Given, run: Run, out: Path, checkpoints: Sequence[int]) -> None:
        lines: list[str] = []
        type(self).function(out, seed=given.artifact.seeds["init"], checkpoints=checkpoints, log=lines.append, **self.config)
        run.notes["log"] = lines[-20:]
        run.steps_done = self.last_step() or 0


@functools.cache
def recipe_class(function: Any) -> type[Recipe]:
    """The recipe that a registered function is; InputError where it does not say what it makes."""
    entry: Entry = function.entry
    if entry.family not in FAMILIES:
        raise InputError(f"recipe {entry.name!r} cannot stand in a plan", expected="its decorator says family= what it makes")
    hints = typing.get_type_hints(function)
    named = {name: item for name, item in inspect.signature(function).parameters.items() if name not in RECIPE_GIVEN}
    body: dict[str, Any] = {name: setting(item.default) for name, item in named.items()}
    body |= {"__annotations__": {name: hints[name] for name in named}, "__module__": function.__module__, "__doc__": function.__doc__}
    body |= {"entry": entry, "family": entry.family, "reads": entry.reads, "function": staticmethod(function)}
    return type(function.__name__, (FunctionRecipe,), body)
