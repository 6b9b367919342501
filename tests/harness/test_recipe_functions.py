"""Recipes that are functions: their keyword arguments are settings, and a plan knows their family, steps and what they read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from harness import api, registry
from harness.artifacts import Recipe, producer_class
from harness.errors import InputError
from harness.recipe_functions import recipe_class
from harness.registry import Entry, recipe


def pretrain(
    out: Path, *, seed: int = 0, steps: int = 7, size: str = "tiny", checkpoints: Iterable[int] = (), log: Callable[[str], None] = print
) -> None:
    """Pretrain nothing."""


def test_settings_are_its_keyword_arguments() -> None:
    pretrain.entry = Entry("recipe", "nothing", family="encoder", reads=("harness.tasks",))  # type: ignore[attr-defined]
    made = recipe_class(pretrain)()
    assert made.config == {"steps": 7, "size": "tiny"} and made.last_step() == 7 and made.made_family() == "encoder"
    with pytest.raises(InputError, match="must be int"):
        recipe_class(pretrain)(steps="many")


def test_a_function_that_does_not_say_what_it_makes_cannot_be_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))

    def untold(out: Path, *, seed: int = 0) -> None: ...

    recipe("untold-recipe")(untold)
    with pytest.raises(InputError, match="'untold-recipe' cannot stand in a plan; its decorator says family="):
        producer_class("recipe", "untold-recipe")


def test_a_shipped_models_recipe_can_be_planned(suite_file: Callable[..., Path]) -> None:
    spec = {"recipe": "tiny-masked-lm", "config": {"steps": 50}, "step": 20, "seed": 1}
    plan = api.plan(suite_file(backbones=[spec]), device="cpu")
    (node,) = plan.artifacts().values()
    assert node.steps == {20} and node.artifact.config["size"] == "tiny" and issubclass(producer_class("recipe", "tiny-masked-lm"), Recipe)
    assert all(cell.unsupported is None for cell in plan.cells)
    assert set(node.depends_on["reads"]) == {"harness.tasks"}
