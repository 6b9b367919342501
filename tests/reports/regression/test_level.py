"""False alarms and power of the verdict "regressed", by simulation of whole comparisons.

Both runs of each pair come from the same process: nothing regressed. Margins are made negligible, so that what is counted is the test alone.
A regime may not exceed 5 % by more than the 99.9 % binomial bound of its number of runs.
"""

from __future__ import annotations

import math

import pytest
from harness.reports.regression import compare as compare_module
from harness.reports.regression.compare import compare
from harness.reports.regression.differences import MoreSeeds
from harness.reports.regression.margins import Margins

NEGLIGIBLE = Margins(points=1e-9, share_of_sd=0.0)
REGIMES = {
    "little seed noise": {"seed_sd": 0.05},
    "strong seed noise": {"seed_sd": 0.6},
    "changes per example": {"seed_sd": 0.05, "interaction": 1.0},
    "both": {"seed_sd": 0.4, "interaction": 0.7},
    "2 seeds": {"seed_sd": 0.3, "seeds": (0, 1)},
    "3 seeds": {"seed_sd": 0.3, "seeds": (0, 1, 2)},
    "10 seeds": {"seed_sd": 0.3, "seeds": tuple(range(10))},
    "near the ceiling": {"seed_sd": 0.3, "level": 5.0},
}


def bound(rate: float, n: int) -> float:
    """The 99.9 % binomial bound on a count of n."""
    from scipy import stats

    return float(stats.binom.ppf(0.999, n, rate))


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(compare_module, "more_seeds", lambda *args, **named: MoreSeeds(None, None, "not asked for"))
    monkeypatch.setattr(compare_module, "compare_costs", lambda *args, **named: ())


def alarms(run_suite, n: int, *, shift: float = 0.0, margins: Margins = NEGLIGIBLE, lost: int = 6, examples: int = 150, **regime) -> int:
    """In how many of n comparisons of 6 cells any cell regressed; `lost` of the cells are shifted."""
    arms, tasks = ("a", "b", "c"), ("x", "y")
    moved = [(arm, task) for task in tasks for arm in arms][:lost]
    count = 0
    for i in range(n):
        baseline = run_suite(1000 + 2 * i, arms=arms, tasks=tasks, examples=examples, **regime)
        current = run_suite(1001 + 2 * i, arms=arms, tasks=tasks, examples=examples, shift=dict.fromkeys(moved, shift), **regime)
        count += compare(baseline, current, margins=margins, predictions=False).exit_code == 1
    return count


@pytest.mark.parametrize("regime", ["strong seed noise", "both", "3 seeds"], ids=lambda name: name.replace(" ", "-"))
def test_family_wise_false_alarms(run_suite, regime):
    n = 40
    assert alarms(run_suite, n, **REGIMES[regime]) <= bound(0.05, n)


@pytest.mark.slow
@pytest.mark.parametrize("regime", REGIMES, ids=lambda name: name.replace(" ", "-"))
def test_family_wise_false_alarms_at_length(run_suite, regime):
    n = 1000
    assert alarms(run_suite, n, **REGIMES[regime]) <= bound(0.05, n)


def test_power_against_a_loss_in_one_cell(run_suite):
    """A loss of about 11 points in one of 6 cells, 5 seeds, 400 examples."""
    n = 15
    assert alarms(run_suite, n, shift=-0.75, lost=1, examples=400, seed_sd=0.1) >= 0.8 * n


def test_default_margins_do_not_raise_the_level(run_suite):
    n = 40
    assert alarms(run_suite, n, margins=Margins(), seed_sd=0.3) <= bound(0.05, n)


def test_bound():
    assert bound(0.05, 1000) == pytest.approx(50 + 3.09 * math.sqrt(47.5), abs=2)
