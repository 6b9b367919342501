"""Level, coverage and power of what a report prints, measured by simulation: `python -m harness.reports.statistics.calibration [--fast]`.

A rate is the share of simulations without a true difference in which a test rejects at .05, or an interval at .95 misses the truth.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from scipy import stats

from .calibration_budget import budget_misses, fresh_budget_misses
from .calibration_incomplete import incomplete_rejections
from .calibration_metrics import Found, aggregate_misses, metric_rejections, summary_rejections, template_rejections
from .calibration_models import conjunction_errors, dominance_errors, model_misses, sequence_misses, strength_misses
from .calibration_pairs import REGIMES, holm_over_tasks, rejections
from .calibration_tasks import MANY_METHODS, cell_misses, family_errors, proportion_misses
from .result import spawn_rng

NOMINAL = 0.05
TAIL = 0.001
PAIRS = "Two methods on one task"
COMPARISONS = ("percentile bootstrap of trials", "Durbin, T2")  # procedures that no report prints, measured beside those that it does


@dataclass(frozen=True)
class Row:
    """`simulations` is None where the rate was computed exactly."""

    part: str
    regime: str
    procedure: str
    generalise_over: str
    rate: float
    simulations: int | None
    power: float | None = None
    asks_another: bool = False

    @property
    def bounds(self) -> tuple[float, float]:
        """Rates that a procedure at the nominal level stays between but for 1 in 1000 simulations on either side."""
        if self.simulations is None:
            return NOMINAL, NOMINAL
        low, high = stats.binom.ppf([TAIL, 1 - TAIL], self.simulations, NOMINAL) / self.simulations
        return float(low), float(high)

    @property
    def other_question(self) -> bool:
        """Whether the procedure fixes the seeds or the examples that the simulation draws anew."""
        return self.asks_another or (self.part == PAIRS and self.generalise_over != "seeds+examples")

    @property
    def verdict(self) -> str:
        low, high = self.bounds
        return "**above nominal**" if self.rate > high else "conservative" if self.rate < low else "ok"


def calibrate(*, fast: bool = False, root: int = 0, simulations: int | None = None, only: Sequence[str] = ()) -> Iterator[Row]:
    """Rows of all parts (or of those of FURTHER in `only`), each regime with its own random stream, whatever else is run."""
    simulations = simulations or (400 if fast else 4000)
    if not only:
        yield from _first_parts(simulations, fast, root)
    for part, measure, share in FURTHER:
        if not only or part in only:
            n = max(simulations // share, 100)
            for name, procedure, over, wrong, runs, power, another in measure(n, spawn_rng(root, part), fast=fast):
                yield Row(part, name, procedure, over, wrong / runs, runs, power, another)


def _first_parts(simulations: int, fast: bool, root: int) -> Iterator[Row]:
    families = max(simulations // 4, 1)
    for regime in REGIMES:
        if fast and regime.name not in FAST_REGIMES:
            continue
        power = {}
        for procedure, found, n in rejections(regime, simulations // 2, spawn_rng(root, "power", regime.name), regime.shift):
            power[procedure.name] = found / n
        for procedure, found, n in rejections(regime, simulations, spawn_rng(root, "level", regime.name)):
            name = f"{regime.name} ({regime.seeds} seeds, {regime.examples} examples)"
            yield Row(PAIRS, name, procedure.name, procedure.generalise_over, found / n, n, power[procedure.name])
    found = holm_over_tasks(families, spawn_rng(root, "holm"))
    yield Row("Families", "10 tasks, no difference anywhere", "Holm over crossed tests", "seeds+examples", found / families, families)
    for name, procedure_name, over, missed, n in cell_misses(simulations, spawn_rng(root, "cells"), fast=fast):
        yield Row("One cell, interval of a mean", name, procedure_name, over, missed / n, n)
    for name, procedure_name, rate in proportion_misses(fast=fast):
        yield Row("One run, interval of a proportion (exact)", name, procedure_name, "examples", rate, None)
    for many in MANY_METHODS:
        if fast and many.name not in FAST_REGIMES:
            continue
        errors = family_errors(many, families, spawn_rng(root, "tasks", many.name))
        hits = family_errors(many, families // 2, spawn_rng(root, "tasks power", many.name), shift=many.shift)
        for procedure_name, wrong in errors.items():
            power_of = hits[procedure_name] / (families // 2)
            yield Row(
                "Many methods, many tasks (any false rejection)", many.name, procedure_name, "tasks", wrong / families, families, power_of
            )


# part, its simulation, and by how much fewer simulations it gets than the default test because each takes longer
FURTHER: tuple[tuple[str, Callable[..., Iterator[Found]], int], ...] = (
    ("Published summaries", summary_rejections, 1),
    ("Metrics that are no mean of examples", metric_rejections, 4),
    ("Templates", template_rejections, 2),
    ("Aggregates over tasks", aggregate_misses, 4),
    ("Tuning budgets", budget_misses, 2),
    ("Tuning budgets, other distributions", fresh_budget_misses, 4),
    ("Tables with gaps (does any method differ?)", incomplete_rejections, 2),
    ("Models of the difference over tasks", model_misses, 4),
    ("Dominance of runs (ASO)", dominance_errors, 4),
    ("Strengths from wins per example", strength_misses, 4),
    ("Looking many times (misses at any look)", sequence_misses, 4),
    ("On how many tasks", conjunction_errors, 1),
)


FAST_REGIMES = {
    "neither seeds nor examples differ",
    "seed noise",
    "method x example interaction",
    "seed noise and interaction, 8 seeds",
    "8 tasks, 5 methods",
}


def markdown(rows: list[Row]) -> str:
    """One table per part, then the lists of what is above nominal."""
    lines = []
    for part in dict.fromkeys(row.part for row in rows):
        lines += [f"## {part}", ""]
        lines += ["| regime | procedure | generalises over | rate | upper bound | verdict | power |", "|---|---|---|---|---|---|---|"]
        for row in (row for row in rows if row.part == part):
            power = "" if row.power is None else f"{row.power:.2f}"
            bound = f"{row.bounds[1]:.4f}" if row.simulations else "exact"
            cells = [row.regime, row.procedure, row.generalise_over, f"{row.rate:.4f}", bound, row.verdict, power]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    above = [row for row in rows if row.verdict == "**above nominal**"]
    asked = [row for row in above if not row.other_question]
    for title, chosen in (
        ("Above nominal for the question asked", [row for row in asked if row.procedure not in COMPARISONS]),
        ("Above nominal, measured for comparison and printed nowhere", [row for row in asked if row.procedure in COMPARISONS]),
        ("Above nominal because another question is asked", [row for row in above if row.other_question]),
    ):
        lines += [f"## {title}", "", *(f"- {row.procedure}: {row.rate:.3f} in *{row.regime}*" for row in chosen), ""]
    return "\n".join(lines)


INTRODUCTION = """# Calibration of the statistics

Written by `python -m harness.reports.statistics.calibration{flags}`; simulated, no trained models. *Rate*: share of {n} simulations (fewer
where one takes long; the upper bound knows how many) in which a test at .05 rejects although no difference is true, or an interval at .95 misses
the truth; a crossed interval misses 0 exactly when its test rejects. *Upper bound*: a procedure at .05 stays under it but for 1 simulation in 1,000.
*conservative* is under the matching lower bound and no failure; *power* (share of simulations with a true difference, the same for all procedures
of a regime, that reject) says what it costs. The null is that of new seeds *and* new examples: a test that generalises over examples or seeds
alone answers another question, and its rows show how far the answers are apart. Among many methods the rate is that of any false rejection in the
family, and power that of any rejection about the one method that differs.
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="a tenth of the simulations in a few regimes")
    parser.add_argument("--simulations", type=int, help="of the default test; other procedures get this many or a fixed share of it")
    parser.add_argument(
        "--part", action="append", default=[], choices=[part for part, _, _ in FURTHER], help="only this part (may be repeated)"
    )
    options = parser.parse_args(arguments)
    rows = list(calibrate(fast=options.fast, simulations=options.simulations, only=options.part))
    if not options.part:
        n = options.simulations or (400 if options.fast else 4000)
        print(INTRODUCTION.format(flags=" --fast" if options.fast else "", n=f"{n:,}"))
    print(markdown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
