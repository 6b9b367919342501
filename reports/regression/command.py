"""`harness compare`, `harness bless`, `harness history` and `harness bisect`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import InputError, unknown_name


def compare(
    baseline: Annotated[str, typer.Argument(help="A store, an exported folder, @NAME of a blessed baseline, @last or @best of them.")],
    current: Annotated[str, typer.Argument(help="The same for the results to judge.")],
    store: Annotated[Path, typer.Option(help="Where @NAME is looked up (STORE/baselines).")] = Path("store"),
    suite: Annotated[str | None, typer.Option(help="Compare only this suite's results.")] = None,
    gate: Annotated[
        str | None, typer.Option(help="regression (a proven loss fails), noninferiority (fails unless proven harmless), strict.")
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB=NUMBER", help="Largest harmless loss; GLOB is a metric, task/metric or arm/task/metric."),
    ] = None,
    gating: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Cells that may fail the gate (task/metric or arm/task/metric).")
    ] = None,
    exact: Annotated[bool | None, typer.Option("--exact/--no-exact", help="Any changed prediction under the same seed fails.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Family-wise error of the verdict `regressed`.")] = None,
    gate_costs: Annotated[bool | None, typer.Option("--gate-costs/--no-gate-costs", help="A dearer cost fails.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with a [compare] table.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write Markdown for a pull-request comment.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML, one test case per cell.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write everything as JSON.")] = None,
    github: Annotated[bool, typer.Option("--github", help="Print GitHub annotations.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Show every cell in the terminal.")] = False,
) -> None:
    """Has anything become worse than a baseline, cell by cell and over all of them?

    Exit codes: 0 pass, 1 regression, 2 usage, 3 inconclusive (noninferiority and strict gates), 4 broken or missing, 5 incomparable.
    """
    from rich.console import Console

    from .compare import compare as compare_results
    from .costs import CostRule
    from .gates import GATES
    from .machine import to_annotations, to_json, to_junit
    from .margins import parse_margin
    from .markdown import to_markdown
    from .settings import read_settings
    from .sides import load_side
    from .terminal import print_comparison

    if gate is not None and gate not in GATES:
        raise unknown_name("gate", gate, GATES)
    settings = read_settings(config)
    margins = replace(settings.margins, by_glob={**settings.margins.by_glob, **dict(map(parse_margin, margin or ()))})
    comparison = compare_results(
        load_side(baseline, store=store, suite=suite),
        load_side(current, store=store, suite=suite),
        margins=margins,
        gate=gate or settings.gate,
        exact=settings.exact if exact is None else exact,
        alpha=settings.alpha if alpha is None else alpha,
        gating=tuple(gating) if gating else settings.gating,
        cost_rule=CostRule(factor=settings.cost_factor),
        gate_costs=settings.gate_costs if gate_costs is None else gate_costs,
        names=(baseline, current),
    )
    # a log has no width of its own, and 80 columns would fold the table
    print_comparison(comparison, Console(width=None if sys.stdout.isatty() else 160), everything=all_)
    for file, text in ((markdown, to_markdown), (junit, to_junit), (json_, to_json)):
        if file is not None:
            write(file, text(comparison))
    if github:
        typer.echo(to_annotations(comparison), nl=False)
    raise typer.Exit(comparison.exit_code)


def bless(
    run: Annotated[str, typer.Argument(help="A store or an exported folder whose results become the baseline.")],
    as_: Annotated[str, typer.Option("--as", metavar="NAME", help="Name of the baseline; `harness compare @NAME ...` uses it.")],
    store: Annotated[Path | None, typer.Option(help="Keep it in STORE/baselines; default: RUN itself where RUN is a store.")] = None,
    suite: Annotated[str | None, typer.Option(help="Only this suite's results.")] = None,
    commit: Annotated[str | None, typer.Option(help="Commit that was run, for the record.")] = None,
) -> None:
    """Keep results as a named baseline: a digest-checked copy of all that later comparisons need."""
    from .baselines import bless_results
    from .sides import load_side

    where = store or (Path(run) if (Path(run) / "store.json").is_file() else Path("store"))
    manifest = bless_results(load_side(run, store=where, suite=suite), as_, where, commit=commit, source=run)
    was = f", was {manifest['replaces'][:12]}" if manifest["replaces"] else ""
    typer.echo(
        f"@{as_}: {manifest['cells']} cells, {manifest['trials']} trials, digest {manifest['digest'][:12]}{was}, in {where / 'baselines'}"
    )


def history(
    run: Annotated[str | None, typer.Argument(help="A store or an exported folder to append; without it the table is only read.")] = None,
    table: Annotated[Path, typer.Option(help="The history table (JSON lines).")] = Path("history.jsonl"),
    commit: Annotated[str | None, typer.Option(help="Commit that was run; needed to append.")] = None,
    date: Annotated[str | None, typer.Option(help="ISO date of the run; default: now.")] = None,
    suite: Annotated[str | None, typer.Option(help="Append only this suite's results.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the trend page (HTML) here.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write all trends as JSON.")] = None,
    tail: Annotated[float, typer.Option(help="Chance that noise puts any newest run beyond its limit.")] = 0.01,
    config: Annotated[Path | None, typer.Option(help="TOML file with a [compare] table, for its margins.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if a newest run is beyond its limit.")] = False,
) -> None:
    """Append a run to the history table, and show trends: lasting steps, and whether the newest runs are within their limits."""
    import json

    from .history import append, read, rows_of, series_of
    from .settings import read_settings
    from .sides import load_side
    from .trend_page import describe, trend_page
    from .trends import find_trends

    if not 0 < tail < 0.5:
        raise InputError(f"{tail!r} does not fit", key="--tail", expected="a number between 0 and 0.5")
    if run is not None:
        if commit is None:
            raise InputError("is missing", key="--commit", expected="name the commit that was run, such as $(git rev-parse HEAD)")
        added = append(table, rows_of(load_side(run, suite=suite), commit=commit, date=date))
        typer.echo(f"{table}: {added} rows appended")
    trends = find_trends(series_of(read(table)), tail=tail, margins=read_settings(config).margins)
    if not trends:
        raise InputError("holds no run", file=table, expected="append one: harness history STORE --commit SHA")
    for trend in trends:
        if trend.crossed or trend.changes:
            typer.echo(f"{'!' if trend.crossed else ' '} {trend.series.label}: {describe(trend)}")
    crossed = sum(trend.crossed for trend in trends)
    typer.echo(f"{len(trends)} series, {crossed} newest runs beyond their limit")
    if out is not None:
        write(out, trend_page(trends))
    if json_ is not None:
        write(json_, json.dumps([trend.to_dict() for trend in trends], indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    raise typer.Exit(1 if check and crossed else 0)


def bisect(
    cell: Annotated[str, typer.Option(metavar="GLOB", help="Arm, task, arm/task or arm/task/metric.")],
    table: Annotated[Path, typer.Option(help="The history table (JSON lines).")] = Path("history.jsonl"),
    tail: Annotated[float, typer.Option(help="Chance that noise puts any newest run beyond its limit.")] = 0.01,
) -> None:
    """Between which commits did a cell become worse? Exit 0 where a loss was found, 3 where the history shows none."""
    from .bisect import find_suspects, matching
    from .history import read, series_of
    from .trends import find_trends

    known = series_of(read(table))
    wanted = matching(known, cell)
    if not wanted:
        named = ", ".join(sorted({f"{one.name['arm']}/{one.name['task']}" for one in known})[:6])
        raise InputError(
            f"no series fits {cell!r}", file=table, key="--cell", expected=f"one of {named}" if named else "append a run first"
        )
    found = [suspects for trend in find_trends(wanted, tail=tail) if (suspects := find_suspects(trend)) is not None]
    for item in found:
        within = f", within {item.n_runs} runs of it" if item.n_runs else ""
        what = "a lasting step" if item.sure else "the newest run alone is beyond its limit: run it again first"
        typer.echo(f"{item.trend.series.label}: {item.before:.4g} -> {item.after:.4g} between {item.good} and {item.bad}{within} ({what})")
        typer.echo(f"  git bisect start {item.bad} {item.good}")
    if not found:
        typer.echo(f"{len(wanted)} series, no loss")
    raise typer.Exit(0 if found else 3)


def write(file: Path, text: str) -> None:
    """Write a file whole, making its folder; what stands in the way is said in one line."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=file) from None
