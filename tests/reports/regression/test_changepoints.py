"""Steps, limits and drift: exactness of the search, measured false alarms and power, and what too short a history says."""

import itertools

import numpy as np
import pytest
from harness.reports.regression.changepoints import (
    Change,
    autoregressive,
    default_penalty,
    find_changes,
    find_regression,
    latest_stretch,
)
from harness.reports.regression.limits import cusum, prediction_limit
from harness.reports.regression.segmentation import (
    Loss,
    best_segmentation,
    cost_per_count,
    estimate_noise,
    levels,
    segment_costs,
)
from scipy import stats

LOSSES: list[Loss] = ["squared", "absolute"]


def upper(rate: float, n: int) -> float:
    """The largest share that n series at `rate` show in all but about 1 of 1000 cases."""
    return float(stats.binom.ppf(0.999, n, rate)) / n


# --- the search is exact ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", range(4))
def test_best_segmentation_by_enumeration(loss: Loss, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=9) + np.repeat([0.0, 2.0, 0.0], 3)
    weights = rng.uniform(0.5, 2, 9) if loss == "squared" else None
    costs = segment_costs(y, weights, loss)

    def total(boundaries: list[int]) -> float:
        return sum(costs[a, b] + 0.7 for a, b in itertools.pairwise(boundaries))

    inner = [list(cut) for size in range(4) for cut in itertools.combinations(range(1, 9), size)]
    allowed = [[0, *cut, 9] for cut in inner if all(b - a >= 2 for a, b in itertools.pairwise([0, *cut, 9]))]
    assert total(best_segmentation(costs, 0.7)) == pytest.approx(min(map(total, allowed)))
    for count, value in enumerate(cost_per_count(costs, 3), start=1):
        assert value == pytest.approx(min(total(b) - 0.7 * count for b in allowed if len(b) == count + 1))


def test_costs_by_definition() -> None:
    rng = np.random.default_rng(0)
    y, w = 0.9 + 1e-3 * rng.normal(size=12), rng.uniform(0.5, 2, 12)
    weighted, absolute = segment_costs(y, w), segment_costs(y, loss="absolute")
    for a, b in itertools.combinations(range(13), 2):
        mean = np.average(y[a:b], weights=w[a:b])
        assert weighted[a, b] == pytest.approx((w[a:b] * (y[a:b] - mean) ** 2).sum(), abs=1e-15)
        assert absolute[a, b] == pytest.approx(np.abs(y[a:b] - np.median(y[a:b])).sum(), abs=1e-12)
    with pytest.raises(ValueError, match="squared"):
        segment_costs(y, w, "absolute")


def test_direction_units_and_reversal() -> None:
    y = np.random.default_rng(1).normal(size=40) + np.repeat([0.0, 4.0], 20)
    found = find_changes(y)
    assert [c.index for c in found.changes] == [20] and not found.changes[0].worse
    assert find_changes(y, "lower").changes[0].worse
    assert [c.index for c in find_changes(1000 * y + 5).changes] == [20]
    assert [c.index for c in find_changes(y[::-1]).changes] == [20]
    assert [c.index for c in find_changes(y, standard_errors=np.full(40, 0.1)).changes] == [20]
    assert levels(y, [0, 20, 40]) == pytest.approx([y[:20].mean(), y[20:].mean()])


# --- error rates ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.5])
def test_false_alarms_on_series_of_fifty(loss: Loss, correlation: float) -> None:
    rng, n = np.random.default_rng(11), 400 if loss == "squared" else 250
    alarms = sum(bool(find_changes(autoregressive(50, correlation, rng), loss=loss).changes) for _ in range(n))
    assert alarms / n <= upper(0.05, n)


@pytest.mark.parametrize("length", [8, 12, 24, 100])
def test_false_alarms_at_other_lengths(length: int) -> None:
    rng, n = np.random.default_rng(length), 300
    alarms = sum(bool(find_changes(autoregressive(length, 0.5, rng)).changes) for _ in range(n))
    assert alarms / n <= upper(0.05, n)


def test_known_variance_penalty_would_not_hold() -> None:
    """Why the penalty is calibrated: 2 ln n at the known single-run variance is beyond 5 % as soon as runs are correlated."""
    rng, n = np.random.default_rng(0), 200
    rates = []
    for correlation in (0.0, 0.5):
        series = (autoregressive(50, correlation, rng) for _ in range(n))
        rates.append(np.mean([len(best_segmentation(segment_costs(y), 2 * np.log(50))) > 2 for y in series]))
    assert rates[1] > 0.3 > rates[0]


@pytest.mark.parametrize(("loss", "least"), [("squared", 0.8), ("absolute", 0.6)])
def test_power_for_a_step_of_two_standard_deviations(loss: Loss, least: float) -> None:
    rng, n = np.random.default_rng(5), 100
    step = np.repeat([0.0, -2.0], 25)
    found = [find_changes(autoregressive(50, 0.0, rng) + step, loss=loss).changes for _ in range(n)]
    hits = [changes for changes in found if changes]
    assert len(hits) / n >= least
    assert np.median([abs(changes[0].index - 25) for changes in hits]) <= 1


def test_absolute_loss_withstands_odd_runs() -> None:
    rng, n = np.random.default_rng(6), 60
    alarms = {loss: 0 for loss in LOSSES}
    for _ in range(n):
        y = rng.standard_t(2, size=50)
        for loss in LOSSES:
            alarms[loss] += bool(find_changes(y, loss=loss).changes)
    assert alarms["absolute"] <= alarms["squared"]


def test_interval_for_the_place_holds_the_place() -> None:
    rng, held, found = np.random.default_rng(8), 0, 0
    for _ in range(80):
        changes = find_changes(rng.normal(size=40) + np.repeat([0.0, 2.5], 20), rng=rng, n_resamples=200).changes
        if len(changes) == 1:
            found += 1
            low, high = changes[0].low, changes[0].high
            assert low is not None and high is not None and low <= changes[0].index <= high
            held += low <= 20 <= high
    assert found > 50 and held / found >= 0.85


def test_noise_is_not_fooled_by_steps() -> None:
    rng = np.random.default_rng(0)
    plain = rng.normal(size=400)
    stepped = plain + np.repeat([0.0, 8.0, -8.0, 0.0], 100)
    assert estimate_noise(stepped).sd == pytest.approx(estimate_noise(plain).sd, rel=0.05)
    assert estimate_noise(autoregressive(2000, 0.5, rng)).correlation == pytest.approx(0.5, abs=0.06)


# --- histories -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_short_histories_are_named(n: int) -> None:
    history = find_changes(np.linspace(0, 1, n))
    assert history.changes == () and history.degenerate == "fewer than 8 runs" and len(history.segments) == (n > 0)
    assert find_regression(history) is None


def test_constant_history_and_one_exact_step() -> None:
    assert find_changes([0.8] * 20).degenerate == "zero variance"
    exact = find_changes([0.8] * 12 + [0.79] * 8)  # the same seeds on the same machine repeat to the bit
    assert [c.index for c in exact.changes] == [12]
    single = find_changes([0.8] * 12 + [0.79] + [0.8] * 8)
    assert single.changes == ()


def test_missing_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="missing"):
        find_changes([0.8, float("nan")] * 6)
    with pytest.raises(ValueError, match="positive"):
        find_changes([0.8, 0.9] * 6, standard_errors=[0.0] * 12)


def test_small_losses_add_up() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0.80, 0.78, 0.76], 12) + 0.003 * rng.normal(size=36)
    history = find_changes(y)
    found = find_regression(history, threshold=0.04)
    assert found is not None and [step.index for step in found.steps] == [12, 24]
    assert find_regression(history, threshold=0.06) is None
    recovered = find_changes(np.r_[y, 0.80 + 0.003 * rng.normal(size=12)])
    assert find_regression(recovered, threshold=0.01) is None
    assert all(isinstance(step, Change) for step in found.steps)


def test_penalty_between_and_beyond_the_table() -> None:
    assert default_penalty(8) < default_penalty(40) < default_penalty(50)
    assert default_penalty(10_000) == default_penalty(300)


def test_environments() -> None:
    assert latest_stretch([]) == slice(0, 0)
    assert latest_stretch(["a", "b", "a", "a"]) == slice(2, 4)


# --- limits -----------------------------------------------------------------------------------------------------------------------------


def test_prediction_limit_holds_its_tail() -> None:
    rng, n = np.random.default_rng(0), 4000
    below = sum(y[-1] < (prediction_limit(y[:-1], tail=0.05).ci_low or 0) for y in rng.normal(size=(n, 9)))
    assert abs(below / n - 0.05) < 0.012


def test_prediction_limit_for_another_number_of_seeds() -> None:
    history = [0.80, 0.82, 0.79, 0.81, 0.80, 0.83]
    same = prediction_limit(history)
    fewer = prediction_limit(history, history_se=[0.01] * 6, next_se=0.02)
    more = prediction_limit(history, history_se=[0.01] * 6, next_se=0.002)
    assert fewer.ci_low is not None and same.ci_low is not None and more.ci_low is not None
    assert fewer.ci_low < same.ci_low < more.ci_low
    mirrored = prediction_limit([-v for v in history], side="upper")
    assert mirrored.ci_high == pytest.approx(-same.ci_low)


def test_prediction_limit_says_what_it_lacks() -> None:
    assert prediction_limit([0.8] * 5).degenerate == "fewer than 6 runs"
    constant = prediction_limit([0.8] * 6)
    assert constant.degenerate == "zero variance" and constant.ci_low == pytest.approx(0.8)


def test_cusum_finds_drift_and_seldom_noise() -> None:
    rng, n = np.random.default_rng(0), 400
    alarms = sum(cusum(rng.normal(size=50), target=0.0, sd=1.0).alarm is not None for _ in range(n))
    assert alarms / n <= upper(0.06, n)
    drift = cusum(np.r_[np.zeros(20), np.full(20, -1.0)], target=0.0, sd=1.0)
    assert drift.alarm == 30 and drift.onset == 20
    assert cusum([1.0, 2.0], target=0.0, sd=1.0, direction="lower").path[-1] == pytest.approx(2.0)
    assert cusum([1.0], target=0.0, sd=0.0).degenerate == "zero variance"
    assert cusum([float("nan"), -9.0], target=0.0, sd=1.0).alarm == 1
