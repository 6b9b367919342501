"""harness store: look after a results store."""

from __future__ import annotations

from typing import Annotated

import typer

store = typer.Typer(help="Look after a results store: check, merge, gc, invalidate, export.", no_args_is_help=True)

Folder = Annotated[str, typer.Argument(help="Folder of results.")]


@store.command()
def check(
    folder: Folder, repair: Annotated[bool, typer.Option("--repair", help="Set damaged trials aside, so that they are run again.")] = False
) -> None:
    """Compare every trial with its checksums. Exit 1 if one is damaged."""
    from harness.store import Store
    from harness.store_care import check as check_all

    opened = Store(folder, create=False)
    good, damaged = check_all(opened, repair=repair)
    for place, reason in damaged:
        typer.echo(f"damaged: {place.relative_to(opened.root)}: {reason}{' (set aside)' if repair else ''}")
    typer.echo(f"{good} trials whole, {len(damaged)} damaged")
    if damaged and not repair:
        raise typer.Exit(1)


@store.command()
def merge(folder: Folder, others: Annotated[list[str], typer.Argument(help="Stores whose trials are taken over.")]) -> None:
    """Copy the trials of other stores into this one; what is there already stays."""
    from harness.store import Store
    from harness.store_care import merge as merge_into

    target = Store(folder)
    for other in others:
        typer.echo(f"{merge_into(target, Store(other, create=False))} trials taken over from {other}")


@store.command()
def gc(folder: Folder, dry: Annotated[bool, typer.Option("--dry", help="Only say what would go.")] = False) -> None:
    """Remove what no suite's newest plan asks for any more, half-written folders, and what was set aside."""
    from harness.store import Store
    from harness.store_care import collect

    removed = collect(Store(folder, create=False), dry=dry)
    typer.echo(f"{len(removed)} folders {'would be removed' if dry else 'removed'}")


@store.command()
def invalidate(folder: Folder, pattern: Annotated[str, typer.Argument(help="GLOB on method, task, method/task or trial id.")]) -> None:
    """Remove the answers of matching trials, so that they are run again."""
    from harness.store import Store
    from harness.store_care import invalidate as remove

    typer.echo(f"{remove(Store(folder, create=False), pattern)} trials removed")


@store.command()
def export(
    folder: Folder,
    out: Annotated[str, typer.Option("-o", "--out", help="Folder to write to.")] = "export",
    lm_eval: Annotated[bool, typer.Option("--lm-eval", help="Also lm-evaluation-harness result and sample files.")] = False,
) -> None:
    """Write trials and per-example records as plain Parquet and CSV."""
    from pathlib import Path

    from harness.store import Store
    from harness.store_care import export as write

    for file in write(Store(folder, create=False), Path(out), lm_eval=lm_eval):
        typer.echo(str(file))
