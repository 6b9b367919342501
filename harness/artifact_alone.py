"""A recipe's product outside of any store: what `harness pretrain` makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.artifacts import Recipe, artifact_of, reference
from harness.errors import InputError


def make(name: str, config: Mapping[str, Any], out: Path, *, seed: int, checkpoints: Sequence[int], log: Callable[[str], None]) -> None:
    """Write `out/model` and `out/step-N`, going on from what stands there. InputError for a recipe that needs trials or other artifacts."""
    from harness import catalog
    from harness.artifact_inputs import Given
    from harness.seeds import Streams
    from harness.training import Run

    found = catalog.load("recipe", name)
    if not isinstance(found, type):  # a function, which tells how it goes
        found(out, seed=seed, checkpoints=checkpoints, log=log, **config)
        return
    artifact = artifact_of({**reference({"recipe": name, "config": dict(config)}, "recipe"), "seed": seed}, None)
    if artifact.inputs.trials or artifact.inputs.artifacts:
        raise InputError(f"{name} is made from trials or other artifacts", expected="name it in a suite (docs/add-a-recipe.md)")
    recipe = artifact.made()
    assert isinstance(recipe, Recipe)
    last = recipe.last_step()
    wrong = [step for step in checkpoints if last is None or not 1 <= step <= last]
    if wrong:
        raise InputError(
            f"{wrong[0]} is no step of {name}", key="--checkpoints", expected=f"1 to {last}" if last else "it has no checkpoints"
        )
    out.mkdir(parents=True, exist_ok=True)
    run = Run(Streams(artifact.seeds), notify=lambda step, of, loss: log(f"step {step} of {of}") if step % 25 == 0 else None)
    with run.meter.timed("train"):
        recipe.build(Given(artifact, run, {}), run, out, checkpoints)
