"""harness run: run a suite, or what is left of it."""

from __future__ import annotations

from typing import Annotated

import typer


def run(
    suite: Annotated[str, typer.Argument(help="A suite's name (`harness list suites`) or a YAML file.")],
    store: Annotated[str, typer.Option(help="Folder of results; made if it is not there.")] = "store",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="Override a key of the suite, such as budget.steps=50.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    workers: Annotated[int | None, typer.Option(min=0, help="Worker processes; 0 runs in this one. Default: one a core.")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="On a GPU, allow kernels that do not repeat bit for bit.")] = False,
    executor: Annotated[str, typer.Option(help="Where trials run: local, ray or slurm.")] = "local",
    seeds: Annotated[str | None, typer.Option(help="A count (5), a range with both ends (0..9) or a list (0,3,7).")] = None,
    only: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Only cells whose method, task, method/task or trial id matches.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(min=0.001, help="Seconds that one trial may take.")] = None,
    keep: Annotated[str, typer.Option(help="Which adaptations to keep: none, small or all.")] = "small",
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first trial that is not ok.")] = False,
    trust_remote_code: Annotated[
        list[str] | None, typer.Option(metavar="MODEL@COMMIT", help="Let this one model run its own code.")
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing while running.")] = False,
    report: Annotated[str | None, typer.Option("--report", metavar="DIR", help="Write the report there when done.")] = None,
) -> None:
    """Run a suite. What the store already answers is not run again; Ctrl-C stops cleanly, and running again resumes."""
    from rich.console import Console

    from harness import api
    from harness.cli.options import parse_seeds, parse_settings
    from harness.errors import InputError
    from harness.progress import display_for
    from harness.suite import load_suite

    if keep not in ("none", "small", "all"):
        raise InputError(f"{keep!r} is not known", key="--keep", expected="none, small or all")
    settings = parse_settings(set_ or [])
    if seeds is not None:
        settings["seeds"] = parse_seeds(seeds)
    console = Console(stderr=False)
    session = api.run_session(
        load_suite(suite, settings),
        store=store,
        device=device,
        workers=workers,
        executor=executor,
        deterministic=not fast,
        only=only,
        timeout=timeout,
        keep=keep,
        fail_fast=fail_fast,
        trust=tuple(trust_remote_code or ()),
        display=display_for(console, quiet=quiet),
    )
    if session.interrupted:
        raise typer.Exit(130)
    if report is not None:
        from harness.cli.verbs import resolve

        resolve("report")(store, report)
    if session.failed:
        raise typer.Exit(1)
