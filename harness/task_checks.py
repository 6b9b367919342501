"""Checks of a task's templates on its rows, before anything runs: what renders nothing, and what gives the label away."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING

from harness.errors import InputError
from harness.task import Row
from harness.templates import Rendered, Template

if TYPE_CHECKING:
    from harness.task import Task

CHECKED = 50  # rows of each split
FEWEST_FOR_LEAK = 8  # rows that must all give the label away before it is called a leak


def check_rendering(task: Task, splits: Mapping[str, Sequence[Row]], gold_columns: Set[str]) -> None:
    """Render every template on rows of every split; subjects' inputs hold no target, so a template that needs it fails here."""
    for name, template in task.templates.items():
        for rows in splits.values():
            step = max(1, len(rows) // CHECKED)
            checked = list(rows[::step][:CHECKED])
            rendered = [_rendered(task, name, template, row, gold_columns) for row in checked]
            if task.kind == "classification" and gives_away(rendered, checked):
                raise InputError(
                    "the text before the answer always holds the gold answer and no other: the template leaks the label",
                    key=f"templates.{name}",
                    expected="take it out of the text or the fields",
                )


def _rendered(task: Task, name: str, template: Template, row: Row, gold_columns: Set[str]) -> Rendered:
    key = f"templates.{name}"
    try:
        rendered = template.render(row.inputs, task.labels if task.kind == "classification" else ())
    except InputError as error:
        leaked = next((column for column in gold_columns if f"'{column}' is undefined" in error.message), None)
        if leaked is not None:
            raise InputError(f"refers to the target column {leaked!r}: it leaks the label", key=key) from None
        raise InputError(f"row {row.id}: {error.message}", key=key, expected=error.expected) from None
    if rendered.answers is not None and any(not answer.strip() for answer in rendered.answers):
        raise InputError(f"row {row.id}: an answer is empty", key=key)
    if task.kind in ("classification", "choice") and rendered.answers is not None and row.target >= len(rendered.answers):
        raise InputError(f"row {row.id}: {len(rendered.answers)} answers, but gold is number {row.target} from 0", key=key)
    return rendered


def gives_away(rendered: Sequence[Rendered], rows: Sequence[Row]) -> bool:
    """Whether in every row gold's words stand before the answer and no other label's do, for at least two classes."""
    if len(rows) < FEWEST_FOR_LEAK or len({row.target for row in rows}) < 2:
        return False
    return all(_only_gold(item, row.target) for item, row in zip(rendered, rows, strict=True))


def _only_gold(rendered: Rendered, gold: int) -> bool:
    held = [re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", rendered.before) is not None for answer in rendered.answers or ()]
    return held[gold] and sum(held) == 1
