"""harness inspect: one trial, looked at closely."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def inspect(
    trial: Annotated[str, typer.Argument(help="A trial's id, or its beginning.")],
    store: Annotated[str, typer.Option(help="Folder of results.")] = "store",
    examples: Annotated[int, typer.Option(min=0, help="How many examples to show.")] = 5,
    wrong: Annotated[bool, typer.Option("--wrong", help="Only examples that were answered wrongly.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """Show one trial: configuration, curve, costs, and its examples with the prompt as rendered, gold, output and scores."""
    import json

    from harness.api import find_trial
    from harness.store import Store

    found = find_trial(Store(store, create=False), trial)
    records = found.records()
    if wrong and len(records):
        records = records[records["gold"] != records["prediction"]]
    shown = records.head(examples)
    if as_json:
        value = {"trial": found.trial.value(), "run_key": found.run_key, "depends_on": found.depends_on, "result": found.result}
        rows = json.loads(shown.to_json(orient="records"))
        typer.echo(
            json.dumps(
                {**value, "curve": json.loads(found.curve().to_json(orient="records")), "examples": rows}, ensure_ascii=False, indent=1
            )
        )
        return
    _head(found)
    _curve(found)
    _costs(found.result["costs"])
    if found.result["shared_prompt"]:
        typer.echo(f"\nshared prompt (before every question)\n{_indented(found.result['shared_prompt'])}")
    for row in shown.to_dict("records"):
        _example(row)


def _head(found: Any) -> None:
    from harness.execute import answered

    result = found.result
    typer.echo(f"{found.trial}\ntrial {found.trial.trial_id}  run {found.run_key}  started {found.started}")
    typer.echo(f"status {result['status']}" + (f": {result['reason']}" if result["reason"] else ""))
    scores = {name: ("undefined" if value is None else f"{value:.4f}") for name, value in result["scores"].items()}
    typer.echo("test  " + ("  ".join(f"{name} {value}" for name, value in scores.items()) or "not scored"))
    if result["dev_score"] is not None:
        typer.echo(f"dev   {result['dev_score']:.4f}")
    typer.echo("settings  " + "  ".join(f"{name}={value}" for name, value in answered(found).config.items()))
    for key, value in result["facts"].get("notes", {}).items():
        typer.echo(f"{key}  {value}")
    tuning = result["facts"].get("tuning")
    if tuning:
        typer.echo(f"tuned: {len(tuning['tries'])} configurations, chosen on dev: {tuning['config']}")


def _curve(found: Any) -> None:
    curve = found.curve()
    if len(curve):
        typer.echo("\n  step      loss   dev")
        step = max(1, len(curve) // 12)
        for row in curve.iloc[::step].to_dict("records"):
            dev = "" if row["dev_score"] is None or row["dev_score"] != row["dev_score"] else f"{row['dev_score']:.3f}"
            typer.echo(f"{int(row['step']):6d}  {row['loss']:8.4f}   {dev}")


def _costs(costs: dict[str, Any]) -> None:
    typer.echo("\ncosts")
    for name, value in costs.items():
        if value not in (None, 0, 0.0, False):
            typer.echo(
                f"  {name:22} {value:,.3f}"
                if isinstance(value, float)
                else f"  {name:22} {value:,}"
                if isinstance(value, int)
                else f"  {name:22} {value}"
            )


def _example(row: dict[str, Any]) -> None:
    mark = "right" if row["gold"] == row["prediction"] else "WRONG"
    typer.echo(f"\n{row['example']}  {mark}  gold {row['gold']!r}  answered {row['prediction']!r}")
    if row.get("prompt"):
        typer.echo(_indented(row["prompt"]))
    if row.get("output") is not None:
        typer.echo(f"  output: {row['output']!r} ({row['stop']})")
    if row.get("scores") is not None:
        typer.echo("  scores: " + " ".join(f"{score:.3f}" for score in row["scores"]))


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
