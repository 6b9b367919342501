"""The suite `all-quick` names every registered entry, plans without bad input, and every trial of it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness import api, catalog
from harness.preflight import preflight
from harness.protocols import PROTOCOLS
from harness.suite import load_suite

ELSEWHERE = {"minilm-masked-lm": "reads corpora that are not shipped, and needs the extra `minilm`"}
HINT = "not in tasks/suites/all-quick.yaml: add a line to the part of its model and task, with a configuration that takes seconds"


def words(value: Any) -> Iterator[str]:
    """Every key and every text in a configuration: a name inside `over` or of a preparation is one of them."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from words(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from words(item)
    elif isinstance(value, str):
        yield value


def named(kind: str) -> set[str]:
    """Names of a kind that the suite asks for."""
    grids = load_suite("all-quick").grids
    if kind in ("method", "wrapper", "preparation"):
        inside = {word for grid in grids for spec in grid.methods for word in words(spec.config)}
        return {spec.name for grid in grids for spec in grid.methods} | (inside if kind == "preparation" else set())
    if kind in ("selection", "probe"):
        return {spec.name for grid in grids for spec in (grid.selections if kind == "selection" else grid.probes)}
    return {
        str(spec["recipe" if kind == "recipe" else "name"])
        for grid in grids
        for spec in grid.backbones
        if ("recipe" in spec) == (kind == "recipe")
    }


@pytest.mark.parametrize("kind", ["method", "wrapper", "selection", "preparation", "recipe", "probe"])
def test_every_registered_entry_is_named(kind: str) -> None:
    registered = {entry.name for entry in catalog.entries(kind) if (entry.module or "").startswith("harness.")}
    missing = sorted(registered - named(kind) - set(ELSEWHERE))
    assert not missing, f"{kind} {', '.join(missing)}: {HINT}"


def test_every_shipped_backbone_is_named() -> None:
    missing = sorted({entry.name for entry in catalog.entries("backbone") if "shipped" in entry.tags} - named("backbone"))
    assert not missing, f"backbone {', '.join(missing)}: {HINT}"


@pytest.fixture(scope="module")
def planned() -> Any:
    return api.plan("all-quick", device="cpu")


def test_it_plans_and_what_it_names_is_supported_somewhere(planned: Any) -> None:
    preflight(planned)
    runs = {cell.arm for cell in planned.runnable}
    assert sorted({cell.arm for cell in planned.cells} - runs) == [], "an arm that no part supports is not touched at all"
    tasks = {cell.trial.task: catalog.load("task", cell.trial.task) for cell in planned.runnable}
    assert {task.protocol for task in tasks.values()} == set(PROTOCOLS)


def test_no_trial_fails(tmp_path: Path) -> None:
    """103 trials and 13 artifacts: about a minute and a half of one CPU core, planning included."""
    session = api.run_session("all-quick", store=tmp_path / "store", device="cpu", workers=0)
    asked = {**session.plan.trials(), **{key: node.artifact for key, node in session.plan.artifacts().items()}}
    assert [f"{asked.get(done.run_key)}: {done.status}, {done.reason}" for done in session.failed] == []
    assert len(session.outcomes) >= len(session.plan.trials()) and not session.interrupted
