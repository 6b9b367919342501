"""Printing for people on a terminal (Rich tables) and for programs in a pipe (plain lines), from the same rows."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any


def print_json(value: Any) -> None:
    """`value` as indented JSON; sets and tuples become lists, anything else unknown its text."""
    print(
        json.dumps(
            value, indent=2, ensure_ascii=False, default=lambda item: sorted(item) if isinstance(item, (set, frozenset)) else str(item)
        )
    )


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on a terminal; in a pipe one line a row, cells separated by tabs, no header."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            print("\t".join(" ".join(cell.split()) for cell in row))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, no_wrap=i == 0, overflow="fold")
    for row in cells:
        table.add_row(*map(escape, row))
    Console().print(table)


def print_aligned(rows: Sequence[Sequence[Any]], indent: int = 2) -> None:
    """Columns aligned by spaces, the last one as long as it is: for `show`, where a person reads in a pipe too."""
    cells = [["" if cell is None else " ".join(str(cell).split()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    for row in cells:
        print((" " * indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths))).rstrip())


def heading(text: str) -> None:
    """A heading: bold on a terminal."""
    print(f"\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() else text)
