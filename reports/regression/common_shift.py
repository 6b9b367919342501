"""Did everything move together? Then the evaluation stack is the first suspect, and not every method at once.

Arms are the units: a change in one method's code moves one arm, a change in scorer, data, tokenizer or numerics moves them all.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.results import Results

from ..statistics.adjust import adjust
from ..statistics.intervals import mean_interval
from ..statistics.t_tests import paired_t
from .cells import as_text

LEAST_ARMS = 3
SAME_DIRECTION = 0.8
LARGEST_Z = 4.0  # one cell with a tiny standard error must not speak for all


@dataclass(frozen=True)
class Moved:
    """A cell's part in the test: z = difference / SE, losses negative; `flipped` whether a prediction changed."""

    arm: str
    task: str
    backbone: str
    z: float
    estimate: float
    flipped: bool


@dataclass(frozen=True)
class ShiftTest:
    """One group of cells. z : mean over arms of their mean z; share : of the cells that moved at all, those in the common direction."""

    group: str
    arms: int
    cells: int
    z: float | None
    estimate: float | None
    share: float | None
    pvalue: float | None
    p_adjusted: float | None
    suspected: bool
    reason: str | None = None


@dataclass(frozen=True)
class CommonShift:
    """All groups tested, and the arms whose predictions changed."""

    tests: tuple[ShiftTest, ...]
    arms_flipped: int
    arms: int

    @property
    def suspected(self) -> tuple[ShiftTest, ...]:
        return tuple(test for test in self.tests if test.suspected)

    def sentences(self, changed_versions: dict[str, tuple[str, str]]) -> list[str]:
        """What to tell a reader; empty where nothing is suspected."""
        lines = []
        for test in self.suspected:
            assert test.estimate is not None and test.share is not None and test.p_adjusted is not None
            direction = "down" if (test.z or 0) < 0 else "up"
            lines.append(
                f"{test.group}: {test.arms} arms moved {direction} together ({test.share:.0%} of moved cells, mean {test.estimate:+.4f}, "
                f"p = {test.p_adjusted:.2g}). Suspect the evaluation stack (scorer, data, tokenizer, numerics) before the methods."
            )
        if lines:
            named = ", ".join(f"{name} {old} to {new}" for name, (old, new) in changed_versions.items())
            lines.append(f"Versions that changed: {named}." if named else "No recorded version changed: look at what is not recorded.")
        return lines

    def to_dict(self) -> dict[str, Any]:
        tests = [vars(test) for test in self.tests]
        return {"suspected": bool(self.suspected), "arms_with_changed_predictions": self.arms_flipped, "arms": self.arms, "tests": tests}


def common_shift(cells: Sequence[Moved], *, alpha: float = 0.05) -> CommonShift:
    """One-sample t over arms of their mean z, for all cells and for each task and each backbone; Holm over the groups.

    Suspected where the adjusted p is at most alpha and 80 % of the cells that moved went the same way. Fewer than 3 arms tell nothing.
    Differences are in units of their standard error (held within +-4), so that metrics of any scale count alike.
    """
    groups: list[tuple[str, list[Moved]]] = [("all cells", list(cells))]
    for kind in ("task", "backbone"):
        parts: dict[str, list[Moved]] = defaultdict(list)
        for cell in cells:
            parts[getattr(cell, kind)].append(cell)
        if len(parts) > 1:
            groups += [(f"{kind} {name}", part) for name, part in sorted(parts.items())]
    found = [_test(name, part) for name, part in groups]
    adjusted: Sequence[float] = adjust([test.pvalue if test.pvalue is not None else np.nan for test in found]).adjusted.tolist()
    tests = []
    for test, p in zip(found, adjusted):
        p_adjusted = None if np.isnan(p) else float(p)
        suspected = p_adjusted is not None and p_adjusted <= alpha and (test.share or 0.0) >= SAME_DIRECTION
        tests.append(ShiftTest(**{**vars(test), "p_adjusted": p_adjusted, "suspected": suspected}))
    flipped = {cell.arm for cell in cells if cell.flipped}
    return CommonShift(tuple(tests), len(flipped), len({cell.arm for cell in cells}))


def _test(name: str, cells: Sequence[Moved]) -> ShiftTest:
    by_arm: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        by_arm[cell.arm].append(float(np.clip(cell.z, -LARGEST_Z, LARGEST_Z)))
    means = [float(np.mean(values)) for values in by_arm.values()]
    about: dict[str, Any] = {"group": name, "arms": len(means), "cells": len(cells), "p_adjusted": None, "suspected": False}
    if len(means) < LEAST_ARMS:
        return ShiftTest(z=None, estimate=None, share=None, pvalue=None, reason=f"fewer than {LEAST_ARMS} arms", **about)
    test = paired_t(means, np.zeros(len(means)))
    centre = mean_interval(means).estimate or 0.0
    moved = [cell.z for cell in cells if cell.z != 0]
    share = sum(bool(np.sign(z) == np.sign(centre)) for z in moved) / len(moved) if moved else None
    # arms that all sit at the bound have no spread left, and are the clearest case of all
    p = 2.0 ** (1 - len(means)) if test.pvalue is None else test.pvalue
    return ShiftTest(z=centre, estimate=float(np.mean([cell.estimate for cell in cells])), share=share, pvalue=p, **about)


def changed_versions(baseline: Results, current: Results) -> dict[str, tuple[str, str]]:
    """Parts of the recorded environments (and the device) that differ: name -> (before, now); several values are joined by '/'."""
    old, new = (_versions(results.trials) for results in (baseline, current))
    return {name: (old.get(name, "none"), new.get(name, "none")) for name in sorted({*old, *new}) if old.get(name) != new.get(name)}


def _versions(trials: pd.DataFrame) -> dict[str, str]:
    values: dict[str, set[str]] = defaultdict(set)
    for text in {as_text(value) for value in trials.get("environment", ())} - {""}:
        for name, value in _flat(_parsed(text)):
            values[name].add(value)
    values["device"] |= {as_text(value) for value in trials.get("device", ())} - {""}
    return {name: "/".join(sorted(found)) for name, found in values.items() if found}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _flat(value: Any, prefix: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix or "environment", value if isinstance(value, str) else json.dumps(value)
