"""`harness claims [NAME ...]`: judge what papers claim, and show each claim with its last verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def claims(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Systems or SYSTEM/CLAIM; all where none is named.")
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="Judge nothing: name the claims with their last verdicts.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
    train: Annotated[bool, typer.Option("--train", help="Also train for claims about scores, over their seeds.")] = False,
    store: Annotated[Path, typer.Option(help="Where trials and verdicts are kept.")] = Path("store"),
    page: Annotated[Path | None, typer.Option(help="Also write all claims with their verdicts as this Markdown page.")] = None,
) -> int:
    """Judge the papers' claims: holds, does not hold, or cannot show at this scale; 1 if one does not hold."""
    from harness.store import VERDICTS, Store

    from .judge import judge
    from .known import known_claims
    from .page import NOT_RUN, keep, kept, markdown
    from .page import as_json as record

    chosen, file = known_claims(names or ()), store / VERDICTS
    if not list_only:
        Store(store)  # verdicts are kept in a store, which a later call with --train must find as one
    verdicts = kept(file)
    for known in () if list_only else chosen:
        found = judge(known, store=store if train else None)
        before = verdicts.get(known.name)
        if found.result != "not run" or before is None or before.result == "not run":  # training outlives a call without it
            verdicts[known.name] = found
            keep(file, verdicts)  # at once: the next claim may train for an hour
        if not as_json:
            print(_line(known.name, verdicts[known.name].result, verdicts[known.name].measured, verdicts[known.name].reason))
    shown = [(known, verdicts.get(known.name, NOT_RUN)) for known in chosen]
    if as_json:
        print(json.dumps([record(known, verdict) for known, verdict in shown], indent=1))
    elif list_only:
        for known, verdict in shown:
            print(_line(known.name, verdict.result, verdict.measured, known.claim.text))
    if page is not None:
        page.write_text(markdown([(known, verdicts.get(known.name, NOT_RUN)) for known in known_claims()]), encoding="utf-8")
    return int(not list_only and any(verdict.result == "does not hold" for _, verdict in shown))


def _line(name: str, result: str, measured: str, about: str) -> str:
    return f"{name}: {result}" + (f" ({measured})" if measured else "") + (f": {about}" if about else "")
