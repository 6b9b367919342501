"""`harness list`: what there is."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from harness import catalog
from harness.cli.output import print_json, print_rows
from harness.errors import unknown_name
from harness.registry import KINDS


def list_entries(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help=f"One of {', '.join(map(catalog.plural, KINDS))}; all of them without it.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Only entries with this tag.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """What there is: methods, tasks, backbones, suites, metrics and the rest.

    In a pipe: one line an entry (kind, name, summary), separated by tabs.
    """
    found = [entry for one in _kinds(kind) for entry in catalog.entries(one)]
    if tag is not None:
        tags = {other for entry in found for other in entry.tags}
        if tag not in tags:
            raise unknown_name("tag", tag, tags)
        found = [entry for entry in found if tag in entry.tags]
    for problem in catalog.problems():
        print(f"harness: left out: {problem.one_line()}", file=sys.stderr)
    if as_json:
        print_json([{"kind": e.kind, "name": e.name, "summary": e.summary, "paper": e.paper, "tags": list(e.tags)} for e in found])
    else:
        print_rows(("kind", "name", "what it is"), [(entry.kind, entry.name, entry.summary) for entry in found])


def _kinds(word: str | None) -> list[str]:
    if word is None:
        return list(KINDS)
    by_word = {name: kind for kind in KINDS for name in (kind, catalog.plural(kind))}
    if word not in by_word:
        raise unknown_name("kind", word, [catalog.plural(kind) for kind in KINDS])
    return [by_word[word]]
