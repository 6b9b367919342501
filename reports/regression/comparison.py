"""What a comparison says, as frozen values that every output is written from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import Any

from ..statistics.result import TestResult
from .common_shift import CommonShift
from .costs import CostChange
from .differences import MoreSeeds
from .exact import Flips
from .gates import MEANING, PASS, Gate, cell_code, exit_code
from .verdicts import VERDICTS, Verdict


@dataclass(frozen=True, kw_only=True)
class CellVerdict:
    """One cell. `test.estimate` and its interval are current - baseline turned so that a loss is negative; the means are as stored.

    p_adjusted : Holm over the gating cells that could be tested, against "no loss"; the interval is unadjusted
    mismatched : incomparable because the question differs (and not because neither side has a successful run)
    """

    arm: str
    method: str
    task: str
    template: str
    backbone: str
    block: str
    metric: str
    task_version: str
    label: str
    verdict: Verdict
    reason: str
    gating: bool = True
    mismatched: bool = False
    baseline_mean: float | None = None
    current_mean: float | None = None
    test: TestResult | None = None
    p_adjusted: float | None = None
    p_gain_adjusted: float | None = None
    p_moved: float | None = None
    margin: float | None = None
    detectable: float | None = None
    needed: MoreSeeds | None = None
    flips: Flips | None = None
    n_baseline: int = 0
    n_current: int = 0
    failed_baseline: int = 0
    failed_current: int = 0
    newly_failed: int = 0
    seeds_absent: int = 0
    notes: tuple[str, ...] = ()

    @property
    def estimate(self) -> float | None:
        return None if self.test is None else self.test.estimate

    @property
    def interval(self) -> tuple[float | None, float | None]:
        return (None, None) if self.test is None else self.test.interval

    def to_dict(self) -> dict[str, Any]:
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain["test"] = None if self.test is None else self.test.to_dict()
        plain["needed"] = None if self.needed is None else vars(self.needed) | {"text": str(self.needed)}
        plain["flips"] = None if self.flips is None else vars(self.flips) | {"rate": self.flips.rate if self.flips.compared else None}
        plain["notes"] = list(self.notes)
        return plain


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All cells of a comparison with the settings that decided them.

    family_size : hypotheses in the Holm family.  added : labels of cells that only the current side has.
    changed_versions : name -> (before, now), from the environments of both sides.  warnings : about the request itself.
    """

    baseline: str
    current: str
    gate: Gate
    exact: bool
    alpha: float
    cells: tuple[CellVerdict, ...]
    added: tuple[str, ...]
    shift: CommonShift
    costs: tuple[CostChange, ...]
    gate_costs: bool
    changed_versions: dict[str, tuple[str, str]]
    family_size: int
    warnings: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[Verdict, int]:
        """Verdicts that occur, gravest first."""
        found = Counter(cell.verdict for cell in self.cells)
        return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}

    def code(self, cell: CellVerdict) -> int:
        return cell_code(cell, self.gate, exact=self.exact)

    @property
    def exit_code(self) -> int:
        costs = [1 for change in self.costs if change.verdict == "dearer"] if self.gate_costs else []
        return exit_code([*(self.code(cell) for cell in self.cells), *costs])

    @property
    def headline(self) -> str:
        """One line: the outcome, the counts, and loudly when nothing could be tested."""
        counts = ", ".join(f"{count} {verdict}" for verdict, count in self.counts.items()) or "no cell"
        outcome = "PASS" if self.exit_code == PASS else f"FAIL ({MEANING[self.exit_code]})"
        text = f"{outcome}: {counts}; gate {self.gate}"
        gating = [cell for cell in self.cells if cell.gating]
        if not self.family_size and any(cell.verdict == "inconclusive" for cell in gating):
            return f"{text}; NOTHING COULD BE TESTED: every cell has a single seed"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "format": 1,
            "baseline": self.baseline,
            "current": self.current,
            "gate": self.gate,
            "exact": self.exact,
            "alpha": self.alpha,
            "interval_level": 1 - 2 * self.alpha,
            "interval_adjusted": False,
            "family": {"size": self.family_size, "correction": "holm", "direction": "loss"},
            "exit_code": self.exit_code,
            "meaning": MEANING[self.exit_code],
            "headline": self.headline,
            "counts": dict(self.counts),
            "cells": [cell.to_dict() | {"exit_code": self.code(cell)} for cell in self.cells],
            "added": list(self.added),
            "common_shift": self.shift.to_dict(),
            "costs": [change.to_dict() for change in self.costs],
            "changed_versions": {name: list(pair) for name, pair in self.changed_versions.items()},
            "warnings": list(self.warnings),
        }
