"""harness pretrain: rebuild a shipped tiny model from its recipe."""

from __future__ import annotations

from typing import Annotated

import typer


def pretrain(
    name: Annotated[str, typer.Argument(help="A recipe's name (`harness list recipes`), such as tiny-causal-lm.")],
    out: Annotated[
        str | None, typer.Option("-o", "--out", help="Folder to write to; default: ./NAME. Running again goes on from where it stopped.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps; default: the recipe's.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of initial weights and batches.")] = 0,
    size: Annotated[str, typer.Option(help="tiny (as shipped), small or medium.")] = "tiny",
    checkpoints: Annotated[str, typer.Option(metavar="N,N", help="Steps at which a checkpoint is kept as OUT/step-N.")] = "",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
) -> None:
    """Rebuild a shipped tiny model from its recipe: seeded, resumable, with named intermediate checkpoints."""
    from pathlib import Path

    import torch

    from harness import catalog
    from harness.errors import InputError

    if size not in ("tiny", "small", "medium"):
        raise InputError(f"unknown size {size!r}", key="--size", expected="tiny, small or medium")
    numbers = [part.strip() for part in checkpoints.split(",") if part.strip()]
    if not all(number.isdigit() for number in numbers):
        raise InputError(
            f"{checkpoints!r} is no list of steps", key="--checkpoints", expected="whole numbers with commas between, such as 500,1000"
        )
    recipe = catalog.load("recipe", name)
    torch.set_num_threads(threads)
    folder = Path(out or name)
    options = {} if steps is None else {"steps": steps}
    recipe(folder, seed=seed, size=size, checkpoints=[int(number) for number in numbers], log=lambda line: typer.echo(line), **options)
    typer.echo(str(folder))
