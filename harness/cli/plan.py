"""harness plan: what a suite would run, what is stored already, and roughly what the rest costs. Nothing is run."""

from __future__ import annotations

from typing import Annotated

import typer


def plan(
    suite: Annotated[str, typer.Argument(help="A suite's name (`harness list suites`) or a YAML file.")],
    store: Annotated[str, typer.Option(help="Folder of results to compare with.")] = "store",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="Override a key of the suite, such as budget.steps=50.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="A count (5), a range with both ends (0..9) or a list (0,3,7).")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    only: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Only cells whose method, task, method/task or trial id matches.")
    ] = None,
    trials: Annotated[bool, typer.Option("--trials", help="List every trial.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The whole plan as JSON.")] = False,
) -> None:
    """Show what a suite would run: trials, what the store already answers, estimated time and memory. Nothing is run."""
    import json
    from pathlib import Path

    from harness import api
    from harness.cli.options import parse_seeds, parse_settings
    from harness.cli.plan_view import plan_lines, plan_value
    from harness.store import Store
    from harness.suite import load_suite

    settings = parse_settings(set_ or [])
    if seeds is not None:
        settings["seeds"] = parse_seeds(seeds)
    planned = api.plan(load_suite(suite, settings), device=device, only=only)
    opened = Store(store, create=False) if (Path(store) / "store.json").exists() else None
    if as_json:
        typer.echo(json.dumps(plan_value(planned, opened), ensure_ascii=False, indent=1))
        return
    for line in plan_lines(planned, opened, trials=trials):
        typer.echo(line)
