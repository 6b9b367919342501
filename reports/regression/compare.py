"""Has anything become worse? Per cell and over the family of all methods, from two results views."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.errors import InputError, unknown_name
from harness.results import Results

from ..statistics.adjust import adjust
from ..statistics.result import TestResult
from ..statistics.t_tests import t_pvalue
from .cells import Cell, CellSide, as_text, join
from .common_shift import Moved, changed_versions, common_shift
from .comparison import CellVerdict, Comparison
from .costs import CostRule, compare_costs
from .differences import Measured, detectable_loss, measure, more_seeds
from .exact import count_flips
from .gates import GATES, Gate
from .margins import Margins
from .tables import Tables
from .verdicts import GONE, LOST, Verdict, judge


@dataclass(frozen=True)
class _Draft:
    """A cell on its way: its verdict so far, and its difference where it has one."""

    cell: Cell
    verdict: CellVerdict
    measured: Measured | None = None


def compare(
    baseline: Results,
    current: Results,
    *,
    margins: Margins | Mapping[str, float] | None = None,
    gate: Gate = "regression",
    exact: bool = False,
    alpha: float = 0.05,
    gating: Sequence[str] = ("*",),
    cost_rule: CostRule | None = None,
    gate_costs: bool = False,
    predictions: bool = True,
    names: tuple[str, str] = ("baseline", "current"),
) -> Comparison:
    """Verdicts for every cell of the baseline, the common-shift test, and costs.

    margins : a `Margins`, or glob -> margin.  gating : globs over `task/metric` and `arm/task/metric` of the cells that may fail the build;
    they are the family of the Holm correction.  exact : changed predictions fail.  predictions : read stored predictions to count changes
    (otherwise from per-example scores).

    A difference is current - baseline over seeds and examples (`paired_difference`: crossed components, Satterthwaite), turned so that a
    loss is negative, with its two-sided interval at 1 - 2 alpha. Failed runs are no scores: more of them than before make a cell broken.

    Source: ../shared/statistics/SPEC.md, section 4; Holm 1979; Berger 1982 (no correction for non-inferiority of all cells).
    """
    if gate not in GATES:
        raise unknown_name("gate", str(gate), GATES)
    if not 0 < alpha < 0.5:
        raise InputError(f"alpha {alpha!r}", key="alpha", expected="a number between 0 and 0.5")
    margins = margins if isinstance(margins, Margins) else Margins(margins or {})
    cells, added = join(baseline, current)
    label = Labels([*cells, *added])
    old, new = Tables(baseline), Tables(current)
    drafts = []
    for cell in cells:
        draft = _draft(cell, label(cell), old, new, margins, alpha, gating)
        if draft.measured is not None or draft.verdict.verdict in ("fixed", "broken"):
            draft = _with_flips(draft, (baseline, old), (current, new), predictions)
        drafts.append(draft)
    verdicts, family = _judge_family(drafts, alpha)
    if verdicts and not any(verdict.gating for verdict in verdicts):
        raise InputError(
            f"no cell fits {', '.join(gating)}",
            key="gating",
            expected=f"globs over task/metric and arm/task/metric, such as {verdicts[0].task}/*",
        )
    listed = [(verdict.arm, verdict.task, verdict.metric) for verdict in verdicts]
    warnings = [f"margin {pattern!r} matches no cell" for pattern in margins.unused(listed)]
    warnings += [f"gating pattern {pattern!r} matches no cell" for pattern in gating if not any(_matches(v, [pattern]) for v in verdicts)]
    return Comparison(
        baseline=names[0], current=names[1], gate=gate, exact=exact, alpha=alpha, cells=tuple(verdicts),
        added=tuple(label(cell) for cell in added), shift=common_shift(_moved(drafts), alpha=alpha),
        costs=compare_costs([(draft.verdict.label, draft.cell) for draft in drafts], cost_rule), gate_costs=gate_costs,
        changed_versions=changed_versions(baseline, current), family_size=family, warnings=tuple(warnings),
    )  # fmt: skip


class Labels:
    """Names cells by arm and task, and by whatever else differs between cells that these two do not tell apart."""

    FURTHER = ("backbone", "template", "shots", "demonstrations", "selection", "block")

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._shown = [column for column in self.FURTHER if len({cell.name(column) for cell in cells}) > 1]
        if self._distinct(cells, self._shown[:-1]) and "block" in self._shown:
            self._shown.remove("block")  # it repeats what the others say

    def _distinct(self, cells: Sequence[Cell], columns: Sequence[str]) -> bool:
        return len({tuple(cell.name(column) for column in ("arm", "task", *columns)) for cell in cells}) == len(cells)

    def __call__(self, cell: Cell) -> str:
        parts = [cell.name(column) for column in self._shown]
        return " · ".join([cell.name("arm"), cell.name("task"), *(part for part in parts if part)])


def _matches(cell: CellVerdict, globs: Sequence[str]) -> bool:
    names = (f"{cell.task}/{cell.metric}", f"{cell.arm}/{cell.task}/{cell.metric}")
    return any(fnmatch.fnmatchcase(name, glob) for name in names for glob in globs)


def _draft(cell: Cell, label: str, old: Tables, new: Tables, margins: Margins, alpha: float, gating: Sequence[str]) -> _Draft:
    named: dict[str, Any] = {
        column: cell.name(column) for column in ("arm", "method", "task", "template", "backbone", "block", "metric", "task_version")
    }
    verdict = CellVerdict(**named, label=label, verdict="inconclusive", reason="")
    verdict = replace(verdict, gating=_matches(verdict, gating))
    before, after = cell.baseline, cell.current
    assert before is not None
    if after is None:
        return _Draft(cell, replace(verdict, verdict="missing", reason="not among the current results", seeds_absent=len(before.rows)))
    verdict = replace(verdict, **_counts(before, after))
    settled = _by_status(cell, before, after)
    if settled is not None:
        return _Draft(cell, replace(verdict, verdict=settled[0], reason=settled[1], mismatched=cell.mismatch is not None))
    measured = measure(cell, old, new, alpha=alpha)
    if isinstance(measured, str):
        return _Draft(cell, replace(verdict, verdict="incomparable", reason=measured, mismatched=True))
    scores, ceiling = before.scores, as_text(before.first("ceiling"))
    margin = margins.of(
        arm=verdict.arm, task=verdict.task, metric=verdict.metric, seed_sd=float(scores.std(ddof=1)) if len(scores) > 1 else None,
        ceiling=float(ceiling) if ceiling else None,
    )  # fmt: skip
    detectable = detectable_loss(measured.test, alpha=alpha) if measured.testable else None
    old_mean, new_mean = measured.means
    verdict = replace(verdict, baseline_mean=old_mean, current_mean=new_mean, test=measured.test, margin=margin, detectable=detectable)
    return _Draft(cell, replace(verdict, notes=measured.notes), measured)


def _counts(before: CellSide, after: CellSide) -> dict[str, Any]:
    means = [float(side.scores.mean()) if side.ok else None for side in (before, after)]
    old, new = set(before.seeds()), set(after.seeds())
    return {
        "baseline_mean": means[0], "current_mean": means[1], "n_baseline": len(before.ok), "n_current": len(after.ok),
        "failed_baseline": len(before.failed), "failed_current": len(after.failed),
        "newly_failed": len(set(before.seeds("ok")) & set(after.seeds("failed"))),
        "seeds_absent": len(old - new) if old & new else 0,
    }  # fmt: skip


def _by_status(cell: Cell, before: CellSide, after: CellSide) -> tuple[Verdict, str] | None:
    """The verdict where a side has nothing to compare, or asks something else."""
    if cell.mismatch is not None:
        return "incomparable", cell.mismatch
    if len(before.ok) and len(after.ok):
        return None
    if len(before.ok):
        return "broken", f"no run succeeds any more: {after.reasons() if after.supported else 'unsupported'}"
    if len(after.ok):
        return "fixed", f"before: {before.reasons() if before.supported else 'unsupported'}"
    return "incomparable", f"no successful run on either side: {after.reasons() or before.reasons()}"


def _with_flips(draft: _Draft, old: tuple[Results, Tables], new: tuple[Results, Tables], predictions: bool) -> _Draft:
    before, after = draft.cell.baseline, draft.cell.current
    if before is None or after is None or not len(before.ok) or not len(after.ok):
        return draft
    flips = count_flips(draft.cell, old, new, predictions=predictions)
    return replace(draft, verdict=replace(draft.verdict, flips=flips))


def _judge_family(drafts: Sequence[_Draft], alpha: float) -> tuple[list[CellVerdict], int]:
    """Holm over gating cells in either direction (BH beside it for display), then each cell's verdict."""
    counted = [draft.measured is not None and draft.measured.testable and draft.verdict.gating for draft in drafts]
    loss = [_p(draft, "less") if use else None for draft, use in zip(drafts, counted)]
    gain = [_p(draft, "greater") if use else None for draft, use in zip(drafts, counted)]
    held_loss, held_gain = adjust(_nan(loss), alpha=alpha), adjust(_nan(gain), alpha=alpha)
    either = [None if a is None or b is None else min(2 * min(a, b), 1.0) for a, b in zip(loss, gain)]
    moved = adjust(_nan(either), "benjamini-hochberg", alpha=alpha).adjusted
    verdicts = []
    for i, draft in enumerate(drafts):
        if draft.measured is None:
            verdicts.append(draft.verdict)
            continue
        own = draft.measured.testable and not draft.verdict.gating
        # a cell outside the family stands alone
        p_loss = _p(draft, "less") if own else _none(held_loss.adjusted[i])
        p_gain = _p(draft, "greater") if own else _none(held_gain.adjusted[i])
        verdicts.append(_verdict(draft, p_loss, p_gain, _none(moved[i]), alpha))
    return verdicts, held_loss.m


def _nan(values: Sequence[float | None]) -> list[float]:
    return [np.nan if value is None else value for value in values]


def _none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _p(draft: _Draft, direction: str) -> float | None:
    assert draft.measured is not None
    test = draft.measured.test
    if test.pvalue is None or direction == "less":
        return test.pvalue
    return gain_pvalue(test)


def gain_pvalue(test: TestResult) -> float:
    """p against "no gain" of a result whose p is against "no loss"."""
    if test.statistic is not None and test.df is not None:
        return t_pvalue(test.statistic, test.df, "greater")
    # without spread: identical scores, or one sign on every seed
    return 2.0**-test.n if (test.estimate or 0.0) > 0 else 1.0


def _verdict(draft: _Draft, p_loss: float | None, p_gain: float | None, p_moved: float | None, alpha: float) -> CellVerdict:
    measured, verdict = draft.measured, draft.verdict
    assert measured is not None and verdict.margin is not None
    test = measured.test
    found: Verdict
    if measured.identical:
        found, reason = "equivalent", "every score is the same"
    elif not measured.testable:
        found, reason = "inconclusive", test.note or test.degenerate or "seed variance unknown"
    else:
        low, high = test.interval
        found, reason = judge(test.estimate or 0.0, low, high, p_loss=p_loss, p_gain=p_gain, margin=verdict.margin, alpha=alpha), ""
    needed = more_seeds(measured, verdict.margin, alpha=alpha) if found == "inconclusive" else None
    done = replace(verdict, verdict=found, reason=reason, p_adjusted=p_loss, p_gain_adjusted=p_gain, p_moved=p_moved, needed=needed)
    return _with_failures(done, draft.cell)


def _with_failures(verdict: CellVerdict, cell: Cell) -> CellVerdict:
    """More failed runs than before: broken, whatever the others score. Fewer: fixed, unless the others got worse."""
    before, after = cell.baseline, cell.current
    assert before is not None and after is not None
    shares = [len(side.failed) / (len(side.ok) + len(side.failed)) for side in (before, after)]
    counts = [f"{len(side.failed)} of {len(side.ok) + len(side.failed)}" for side in (before, after)]
    if shares[1] > shares[0]:
        reason = f"{counts[1]} runs fail ({counts[0]} before): {after.reasons()}"
        return replace(verdict, verdict="broken", reason=reason, notes=(*verdict.notes, f"the runs that succeed: {verdict.verdict}"))
    if shares[1] < shares[0] and verdict.verdict not in LOST | GONE:
        return replace(
            verdict,
            verdict="fixed",
            reason=f"{counts[1]} runs fail ({counts[0]} before)",
            notes=(*verdict.notes, f"the runs that succeed: {verdict.verdict}"),
        )
    if shares[1]:
        return replace(verdict, notes=(*verdict.notes, f"{counts[1]} runs fail, as before; compared without them"))
    return verdict


def _moved(drafts: Sequence[_Draft]) -> list[Moved]:
    """Cells with a standard error, or with no difference at all, in units of the former."""
    found = []
    for draft in drafts:
        measured = draft.measured
        if measured is None or measured.test.estimate is None or not (measured.testable or measured.identical):
            continue
        estimate, se = measured.test.estimate, measured.test.se
        z = estimate / se if se else float(np.sign(estimate)) * 4.0
        flipped = draft.verdict.flips is not None and draft.verdict.flips.changed > 0
        found.append(Moved(as_text(draft.verdict.arm), draft.verdict.task, draft.verdict.backbone, z, estimate, flipped))
    return found
