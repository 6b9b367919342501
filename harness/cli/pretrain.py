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
    size: Annotated[str | None, typer.Option(help="tiny (as shipped), small or medium; for recipes that have sizes.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="K=V", help="A setting of the recipe, such as width=96.")] = None,
    checkpoints: Annotated[str, typer.Option(metavar="N,N", help="Steps at which a checkpoint is kept as OUT/step-N.")] = "",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
) -> None:
    """Make a recipe's backbone, such as a shipped tiny model: seeded, resumable, with named intermediate checkpoints."""
    from pathlib import Path

    import torch

    from harness.artifact_alone import make
    from harness.cli.options import parse_settings
    from harness.errors import InputError

    if size not in (None, "tiny", "small", "medium"):
        raise InputError(f"unknown size {size!r}", key="--size", expected="tiny, small or medium")
    numbers = [part.strip() for part in checkpoints.split(",") if part.strip()]
    if not all(number.isdigit() for number in numbers):
        raise InputError(
            f"{checkpoints!r} is no list of steps", key="--checkpoints", expected="whole numbers with commas between, such as 500,1000"
        )
    torch.set_num_threads(threads)
    folder = Path(out or name)
    given = {"steps": steps, "size": size}
    config = {**parse_settings(set_ or []), **{key: value for key, value in given.items() if value is not None}}
    make(name, config, folder, seed=seed, checkpoints=[int(number) for number in numbers], log=lambda line: typer.echo(line))
    typer.echo(str(folder))
