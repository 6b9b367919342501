"""Same seeds, same rows, same hardware: then the expected number of changed predictions is exactly 0, and each one is news."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harness.results import Results

from .cells import Cell, CellSide, as_text
from .differences import pair_seeds
from .tables import Tables


@dataclass(frozen=True)
class Flips:
    """Changed answers over the paired seeds of a cell.

    source : "predictions" were compared, or only the "scores" of examples, which miss a wrong answer that became another wrong one
    """

    changed: int
    compared: int
    seeds_changed: int
    seeds: int
    source: Literal["predictions", "scores"]
    one_sided: int = 0  # examples that only one of the two runs answered; they count as changed

    @property
    def rate(self) -> float:
        return self.changed / self.compared if self.compared else math.nan


def count_flips(cell: Cell, old: tuple[Results, Tables], new: tuple[Results, Tables], *, predictions: bool) -> Flips | None:
    """Changed predictions of a cell's paired seeds; None where no seed is paired or nothing per example is kept."""
    assert cell.baseline is not None and cell.current is not None
    pairing = pair_seeds(cell.baseline, cell.current)
    if not pairing.paired:
        return None
    sides = [_ids(side, pairing.baseline) for side in (cell.baseline, cell.current)]
    if predictions and (found := _by_predictions(sides, old[0], new[0])) is not None:
        return found
    return _by_scores(cell, pairing.baseline, old[1], new[1])


def _ids(side: CellSide, seeds: tuple[Any, ...]) -> list[str]:
    return [str(row["trial_id"]) for row in side.with_seeds(seeds).ok]


def _by_predictions(sides: list[list[str]], old: Results, new: Results) -> Flips | None:
    changed = compared = one_sided = seeds_changed = 0
    for before_id, after_id in zip(*sides):
        before, after = answers(old, before_id), answers(new, after_id)
        if before is None or after is None:
            return None
        both = before.keys() & after.keys()
        alone = len(before) + len(after) - 2 * len(both)
        here = sum(before[example] != after[example] for example in both) + alone
        changed, compared, one_sided = changed + here, compared + len(both) + alone, one_sided + alone
        seeds_changed += here > 0
    return Flips(changed, compared, seeds_changed, len(sides[0]), "predictions", one_sided)


def answers(results: Results, trial_id: str) -> dict[str, str] | None:
    """Prediction per example as text, so that lists, numbers and texts compare alike; None where they are not kept or not told apart."""
    if results.record_loader is None:
        return None
    records = results.records(trial_id)
    if records.empty or not {"example", "prediction"} <= set(records.columns):
        return None
    texts = [as_text(value) if np.isscalar(value) or value is None else repr(value) for value in records["prediction"].tolist()]
    found = dict(zip(map(str, records["example"].tolist()), texts))
    return found if len(found) == len(texts) else None


def _by_scores(cell: Cell, seeds: tuple[Any, ...], old: Tables, new: Tables) -> Flips | None:
    assert cell.baseline is not None and cell.current is not None
    a, b = old.of(cell.baseline.with_seeds(seeds)), new.of(cell.current.with_seeds(seeds))
    if a is None or b is None:
        return None
    known = set(b.examples)
    shared = [name for name in a.examples if name in known]
    alone = len(a.examples) + len(b.examples) - 2 * len(shared)
    left, right = a.select(shared).statistics, b.select(shared).statistics
    differs = ((left != right) & ~(np.isnan(left) & np.isnan(right))).any(axis=2)
    per_seed = differs.sum(axis=1) + alone
    total = (len(shared) + alone) * len(seeds)
    return Flips(int(per_seed.sum()), total, int((per_seed > 0).sum()), len(seeds), "scores", alone * len(seeds))
