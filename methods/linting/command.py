"""`harness lint PATH ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.errors import InputError, unknown_name

LEVELS = ("error", "warning", "info", "never")


def lint(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="PATH...", help="Files or folders: Python source and task YAML.")] = None,
    output: Annotated[str, typer.Option("--format", help="text, json, sarif or github.")] = "text",
    select: Annotated[str, typer.Option(help="Only these rules: codes, their beginnings, or names, with commas.")] = "",
    ignore: Annotated[str, typer.Option(help="Not these rules.")] = "",
    fail_on: Annotated[str, typer.Option(help="Exit with 1 at a finding this bad: error, warning, info, or never.")] = "warning",
    rules: Annotated[bool, typer.Option("--rules", help="List the rules and lint nothing.")] = False,
) -> int:
    """Find prompts in Python source and task files and lint them; exit code 1 at findings, 2 at bad input."""
    from .lint import chosen_rules, lint_paths
    from .output import FORMATS, summary
    from .prompts import SEVERITIES

    chosen = chosen_rules(_words(select), _words(ignore))
    if output not in FORMATS:
        raise unknown_name("format", output, FORMATS)
    if fail_on not in LEVELS:
        raise unknown_name("level", fail_on, LEVELS)
    if rules:
        for rule in chosen:
            print(f"{rule.code}\t{rule.name}\t{rule.severity}\t{rule.summary}")
        return 0
    if not paths:
        raise InputError("lint needs a path", expected="name files or folders, such as `harness lint tasks`")
    linted = lint_paths(paths, chosen)
    text = FORMATS[output](linted)
    if text:
        print(text)
    if output == "github":
        print(summary(linted))
    if fail_on == "never":
        return 0
    return int(any(SEVERITIES.index(finding.severity) >= SEVERITIES.index(fail_on) for finding in linted.findings))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
