"""Pages of examples on which two arms disagree, one per column, beside the report. The report is whole without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.results import Results

from ..analysis.grid import Grid, Table, build_grids, paired_seeds
from ..analysis.model import Analysis, Column, Family
from .view import HERE, raw, render, slug

MOST_EXAMPLES = 20
MOST_PAIRS = 40
MOST_TEXT = 600


@dataclass(frozen=True)
class Disagreement:
    """An example with both arms' mean value over common seeds, and what they answered on the first of these."""

    example: str
    a: float
    b: float
    gold: str
    prompt: str
    answer_a: str
    answer_b: str


def write_examples(results: Results, analysis: Analysis, folder: Path) -> dict[str, dict[str, str]]:
    """Writes examples/<column>.html and returns family -> column -> address relative to the report."""
    addresses: dict[str, dict[str, str]] = {}
    if not results.scores:
        return addresses
    css = raw((HERE / "static" / "page.css").read_text(encoding="utf-8"))
    grids = {grid.family: grid for grid in build_grids(results, [family.name for family in analysis.families])}
    for family in analysis.families:
        grid, found = grids[family.name], {}
        taken: set[str] = set()
        for column in family.columns:
            pairs = _pairs(results, grid, family, column, analysis.options.top)
            if not pairs:
                continue
            name = slug(f"{family.name} {column.label}" if len(analysis.families) > 1 else column.label)[:100]
            while name in taken:
                name += "-2"
            taken.add(name)
            text = render("examples.html.j2", css=css, title=analysis.title, family=family, column=column, pairs=pairs)
            (folder / "examples").mkdir(parents=True, exist_ok=True)
            (folder / "examples" / f"{name}.html").write_text(text, encoding="utf-8")
            found[column.key] = f"examples/{name}.html"
        addresses[family.name] = found
    return addresses


def _chosen(family: Family, top: int) -> list[tuple[int, int]]:
    """Pairs by position on the board: everything shown against the default baseline, and the first five among each other."""
    order = [row.arm for row in family.standings]
    base = order.index(family.default_baseline)
    against = [(min(i, base), max(i, base)) for i in range(min(len(order), top)) if i != base]
    best = [(i, j) for i in range(min(5, len(order))) for j in range(i + 1, min(5, len(order)))]
    return list(dict.fromkeys([*best, *against]))[:MOST_PAIRS]


def _pairs(results: Results, grid: Grid, family: Family, column: Column, top: int) -> list[dict[str, Any]]:
    order = [row.arm for row in family.standings]
    sections = []
    for i, j in _chosen(family, top):
        a, b = grid.tables.get((order[i], column.key)), grid.tables.get((order[j], column.key))
        if a is None or b is None or a.values is None or b.values is None:
            continue
        rows, n = _disagreements(results, grid, column, a, b)
        if n:
            sections.append({"id": f"pair-{i}-{j}", "a": order[i], "b": order[j], "rows": rows, "n": n})
    return sections


def _disagreements(results: Results, grid: Grid, column: Column, a: Table, b: Table) -> tuple[list[Disagreement], int]:
    """The examples with the largest difference of means, from both directions in turn, and how many differ at all."""
    seeds = paired_seeds(a, b) or [(0, 0)]
    assert a.values is not None and b.values is not None
    with np.errstate(invalid="ignore"):
        left, right = (values[[pair[k] for pair in seeds]].mean(axis=0) for k, values in enumerate((a.values, b.values)))
        difference = (left - right) * (1 if column.higher_is_better else -1)
    present = np.flatnonzero(np.isfinite(difference) & (difference != 0))
    by_size = present[np.argsort(-np.abs(difference[present]), kind="stable")]
    better, worse = by_size[difference[by_size] > 0], by_size[difference[by_size] < 0]
    half = MOST_EXAMPLES // 2
    chosen = [*better[: max(half, MOST_EXAMPLES - len(worse))], *worse[: max(half, MOST_EXAMPLES - len(better))]]
    texts = [_texts(results, grid, table, seeds[0][k]) for k, table in enumerate((a, b))]
    ids = grid.example_ids[column.key]
    rows = []
    for e in chosen:
        one, two = texts[0].get(ids[e], {}), texts[1].get(ids[e], {})
        shared = one or two
        rows.append(
            Disagreement(
                example=ids[e], a=float(left[e]), b=float(right[e]), gold=_short(shared.get("gold")), prompt=_short(shared.get("prompt")),
                answer_a=_answer(one), answer_b=_answer(two),
            )
        )  # fmt: skip
    return rows, len(present)


def _texts(results: Results, grid: Grid, table: Table, position: int) -> Mapping[str, Mapping[str, Any]]:
    """example -> its record in the first finished trial of this seed; empty where no records are kept."""
    if results.record_loader is None:
        return {}
    rows = grid.trials.iloc[table.index]
    rows = rows[(rows["seed"] == table.seeds[position]) & (rows["status"] == "ok")]
    if not len(rows):
        return {}
    records = results.records(str(rows["trial_id"].iloc[0]))
    return {str(record["example"]): {str(name): value for name, value in record.items()} for record in records.to_dict("records")}


def _answer(record: Mapping[str, Any]) -> str:
    prediction = record.get("prediction")
    return _short(prediction if prediction is not None and prediction == prediction else record.get("output"))


def _short(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"
