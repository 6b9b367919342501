"""`harness import FORMAT PATH --store DIR`: results from elsewhere, beside our own and never mistaken for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import InputError, unknown_name

from . import Imported, Mapping, read_helm, read_lm_eval, read_long_table, read_peft

FORMATS = ("long-table", "lm-evaluation-harness", "peft-method-comparison", "helm")


def import_results(
    format: Annotated[str, typer.Argument(help=f"One of {', '.join(FORMATS)}.")],
    path: Annotated[Path, typer.Argument(help="File or folder to read.")],
    store: Annotated[Path, typer.Option(help="Store to keep the results in.")] = Path("store"),
    map: Annotated[list[str] | None, typer.Option("--map", help="FIELD=COLUMN (or COLUMN+COLUMN): what a column of the table is.")] = None,
    set: Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE for all rows, e.g. metric=accuracy, floor=0.5.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="COLUMN=VALUE[,VALUE]: rows to keep.")] = None,
    metric: Annotated[str | None, typer.Option(help="Primary metric, where the source has several.")] = None,
) -> int:
    """Read results that were made elsewhere into a store, marked as imported."""
    from harness.store_view import write_imported

    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    if not path.exists():
        raise InputError("does not exist", file=path)
    if format != "long-table" and (map or set or where):
        raise InputError("--map, --set and --where are for long-table")
    try:
        found = _read(format, path, metric, map or (), set or (), where or ())
    except (KeyError, TypeError, AttributeError, IndexError) as error:  # a field that the format always has is missing or of another kind
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise InputError(f"is not laid out as {format} writes it ({what})", file=path) from None
    folder = write_imported(store, found.digest, found.trials, found.examples)
    arms, tasks = found.trials["arm"].nunique(), found.trials["task"].nunique()
    examples = "" if found.examples is None else f", {found.examples['example'].nunique()} examples"
    print(f"{len(found.trials)} results: {arms} arms on {tasks} tasks{examples}")
    print(folder)
    return 0


def _read(format: str, path: Path, metric: str | None, columns: Sequence[str], values: Sequence[str], where: Sequence[str]) -> Imported:
    if format == "lm-evaluation-harness":
        return read_lm_eval(path, metric=metric)
    if format == "peft-method-comparison":
        return read_peft(path)
    if format == "helm":
        return read_helm(path, metric=metric)
    kept = {name: tuple(value.split(",")) for name, value in _pairs("--where", where).items()}
    fixed = _pairs("--set", values) | ({"metric": metric} if metric else {})
    return read_long_table(path, Mapping(_pairs("--map", columns), fixed, kept))


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    found = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise InputError(f"{option} {item}: no `=`", expected=f"{option} NAME=VALUE")
        found[name] = value
    return found
