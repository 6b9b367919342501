"""What must not matter (names, order, units) and what must be said by name (too little data, ties, gaps), for many methods and tasks."""

import math

import numpy as np
import pytest
from harness.reports import statistics as st
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

NAN = float("nan")
# a grid of .01 makes ties, which is where conventions differ
SCORES = some.tuples(some.integers(2, 7), some.integers(2, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=some.integers(0, 100).map(lambda v: v / 100))
)
few = settings(max_examples=25, deadline=None)


def pvalue_forms(scores: np.ndarray) -> list[np.ndarray]:
    # six tasks and fewer are enumerated, so that no draw is compared with another
    return [st.nemenyi(scores).pvalues, st.conover(scores).pvalues, st.wilcoxon_holm(scores).pvalues, st.max_t(scores).pvalues]


@few
@given(SCORES, some.randoms(use_true_random=False))
def test_relabelling_methods_permutes_the_answer(scores: np.ndarray, random) -> None:  # type: ignore[no-untyped-def]
    order = list(range(scores.shape[1]))
    random.shuffle(order)
    for before, after in zip(pvalue_forms(scores), pvalue_forms(scores[:, order]), strict=True):
        np.testing.assert_allclose(after, before[np.ix_(order, order)], atol=1e-9)
    for board in (st.mean_rank, st.mean_win_rate, st.borda):
        np.testing.assert_allclose(board(scores[:, order]), board(scores)[order], atol=1e-12)


@few
@given(SCORES, some.randoms(use_true_random=False))
def test_order_of_tasks_does_not_matter(scores: np.ndarray, random) -> None:  # type: ignore[no-untyped-def]
    order = list(range(scores.shape[0]))
    random.shuffle(order)
    for before, after in zip(pvalue_forms(scores), pvalue_forms(scores[order]), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-9)


@few
@given(SCORES, some.integers(-50, 50))
def test_adding_a_constant_to_a_task_does_not_matter(scores: np.ndarray, shift: int) -> None:
    moved = scores.copy()
    moved[0] += shift / 100
    np.testing.assert_array_equal(st.task_ranks(moved), st.task_ranks(scores))
    for before, after in zip(pvalue_forms(scores), pvalue_forms(moved), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-9)


@few
@given(SCORES)
def test_lower_is_better_mirrors_higher(scores: np.ndarray) -> None:
    np.testing.assert_allclose(st.task_ranks(scores, "lower"), scores.shape[1] + 1 - st.task_ranks(scores))
    np.testing.assert_allclose(st.wilcoxon_holm(scores, "lower").pvalues, st.wilcoxon_holm(scores).pvalues)
    np.testing.assert_allclose(st.max_t(scores, "lower").estimate, -st.max_t(scores).estimate)


@few
@given(SCORES)
def test_pvalue_matrices_are_symmetric_with_a_unit_diagonal(scores: np.ndarray) -> None:
    for p in pvalue_forms(scores):
        np.testing.assert_array_equal(np.diag(p), 1.0)
        np.testing.assert_allclose(p, p.T)
        assert np.nanmin(p) >= 0 and np.nanmax(p) <= 1
    found = st.friedman_test(scores)
    assert found.kendall_w is not None and -1e-12 <= found.kendall_w <= 1 + 1e-9
    assert found.mean_ranks.sum() == pytest.approx(scores.shape[1] * (scores.shape[1] + 1) / 2)


@few
@given(SCORES)
def test_adjusted_is_never_below_raw(scores: np.ndarray) -> None:
    for found in (st.wilcoxon_holm(scores), st.max_t(scores), st.conover(scores)):
        assert np.all(~(found.pvalues < found.raw_pvalues - 1e-12))


@few
@given(some.integers(2, 7).flatmap(lambda k: arrays(np.bool_, (k, k))))
def test_letters_say_exactly_what_the_matrix_says(half: np.ndarray) -> None:
    different = np.triu(half, 1) | np.triu(half, 1).T
    ranks = np.arange(len(different))
    letters = st.compact_letters(ranks, different)
    for i in range(len(different)):
        for j in range(len(different)):
            if i != j:
                assert bool(set(letters[i]) & set(letters[j])) == (not different[i, j])
    found = st.cliques(ranks, different)
    for bar in found.bars:
        assert not different[np.ix_(bar, bar)].any() and len(bar) > 1
    assert found.complete == (not any(found.letters))


@few
@given(SCORES)
def test_win_rate_rank_and_borda_agree(scores: np.ndarray) -> None:
    n_tasks, k = scores.shape
    np.testing.assert_allclose(st.mean_win_rate(scores), (k - st.mean_rank(scores)) / (k - 1))
    np.testing.assert_allclose(st.borda(scores), n_tasks * (k - st.mean_rank(scores)))
    assert st.mean_win_rate(scores).mean() == pytest.approx(0.5)


def test_decimals_tie_whatever_their_float_form() -> None:
    scores = [[0.81 - 0.78, 0.80 - 0.77, 0.83 - 0.80]]
    np.testing.assert_array_equal(st.task_ranks(scores), [[2.0, 2.0, 2.0]])
    posterior = st.bayesian_sign([0.79] * 30, [0.78] * 30, rope=0.01, rng=np.random.default_rng(0))
    assert posterior.decision() == "equal"  # .79 - .78 lies on the edge, not beyond it


# --- too little data -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (5, 1), (0, 0), (3, 0)])
def test_too_few_tasks_or_methods_are_named(shape: tuple[int, int]) -> None:
    scores = np.full(shape, 0.5)
    found = st.friedman_test(scores)
    assert found.degenerate and found.chi2 is None and found.pvalue_f is None
    for test in (st.nemenyi, st.conover, st.wilcoxon_holm, st.max_t, st.compare_across_tasks):
        result = test(scores)
        assert result.degenerate and not result.can_reject
        assert np.isnan(result.pvalues[~np.eye(shape[1], dtype=bool)]).all()
    assert st.any_difference(scores).pvalue is None
    assert st.permutation_friedman(scores).pvalue is None
    assert st.skillings_mack(scores).pvalue is None


@pytest.mark.parametrize("n_tasks", [2, 3, 5])
def test_few_tasks_cannot_reject_and_say_so(n_tasks: int) -> None:
    scores = np.arange(n_tasks)[:, None] / 10 + np.array([0.1, 0.5, 0.9])
    found = st.compare_across_tasks(scores)
    assert not found.can_reject and found.minimum_tasks == 6 and "no test can reject" in (found.why or "")
    assert not found.different.any()


def test_constant_scores_give_p_one() -> None:
    scores = np.full((6, 3), 0.7)
    for p in pvalue_forms(scores):
        np.testing.assert_array_equal(p, 1.0)
    assert st.any_difference(scores).pvalue == 1.0
    assert st.cliques([2, 2, 2], st.max_t(scores).different).bars == ((0, 1, 2),)
    assert st.skillings_mack(scores).pvalue == pytest.approx(1.0)


def test_perfect_agreement_has_a_permutation_p() -> None:
    scores = np.tile([0.9, 0.8, 0.7], (6, 1))
    found = st.friedman_test(scores)
    assert found.f is None and found.degenerate == "perfect agreement: F is infinite"
    test = st.any_difference(scores)
    assert test.pvalue == pytest.approx(6 / 6**6) and test.mc_error == 0.0
    assert np.isnan(st.conover(scores).pvalues[0, 1])


def test_a_missing_cell_is_dropped_and_counted_never_skipped() -> None:
    scores = np.array([[0.9, 0.8], [NAN, 0.99], [0.9, 0.8], [0.7, 0.6]])
    assert st.max_t(scores).n_dropped == 1 and st.friedman_test(scores).n_dropped == 1
    assert np.isnan(st.mean_rank(scores)[0])
    assert st.aggregate_tasks([[0.5, 0.6], [NAN, NAN]], "mean").degenerate == "1 of 2 tasks missing"
    assert st.performance_profile([[0.5, NAN]], [0.1]).degenerate == "missing cells"
    places = st.leave_one_task_out(scores)
    assert np.isnan(places.full[0]) and places.full[1] == 1
    drawn = st.bootstrap_ranks(scores[:, :, None], rng=np.random.default_rng(0), generalise_over="tasks", n_resamples=50)
    assert drawn.excluded == (0,) and np.isnan(drawn.p_best[0]) and drawn.p_best[1] == 1


def test_one_seed_and_no_seed() -> None:
    scores = np.array([[[0.9], [0.8]], [[0.7], [0.6]]])
    found = st.bootstrap_ranks(scores)
    assert found.degenerate == "one seed: seed variance unknown"
    assert st.aggregate_tasks([[0.9], [0.7]], "mean", rng=np.random.default_rng(0)).degenerate == "one seed: its variance is unknown"
    assert st.aggregate_tasks(np.empty((0, 0)), "mean").estimate is None
    assert st.aggregate_tasks([[1.0, 1.0], [0.5, 0.5]], "geometric_mean_error").degenerate == "a task has no error"
    assert st.aggregate_tasks([[0.5, 0.5]], "mean", rng=np.random.default_rng(0)).degenerate == "zero variance"


def test_posteriors_without_evidence() -> None:
    rng = np.random.default_rng(0)
    tied = st.bayesian_signed_rank([0.5] * 5, [0.5] * 5, rope=0.0, rng=rng)
    assert (tied.p_worse, tied.p_equal, tied.p_better) == pytest.approx((0.5, 0.0, 0.5))
    assert tied.degenerate == "all pairs tied"
    assert st.bayesian_signed_rank([], [], rng=rng).p_better is None
    assert st.bayesian_sign([NAN], [0.5], rng=rng).n_dropped == 1
    assert st.bayesian_correlated_t([0.5], [0.4], correlation=0.1).p_better is None
    assert st.bayesian_correlated_t([0.5, 0.5], [0.4, 0.4], correlation=0.1, rope=0.01).p_better == 1.0
    assert st.bayesian_correlated_t([0.5, 0.5], [0.5, 0.5], correlation=0.1, rope=0.0).p_better == 0.5


def test_few_tasks_in_the_hierarchical_model() -> None:
    assert st.task_effects([0.1], [0.05]).degenerate == "fewer than two tasks"
    two = st.task_effects([0.1, 0.2], [0.05, 0.05])
    assert two.mu is not None and two.tau_median is None and two.new_p_better is None and two.degenerate
    exact = st.task_effects([0.1, 0.2, 0.3], [0.0, 0.01, 0.01])
    assert exact.note and exact.mu is not None and math.isfinite(exact.mu)
    assert st.random_effects([0.1], [0.05]).pvalue is None
    assert st.random_effects([0.1, 0.9], [0.01, 0.01]).details["tau2"] == pytest.approx(0.32, abs=1e-3)


def test_bradley_terry_refuses_and_regularises() -> None:
    apart = np.zeros((4, 4))
    apart[0, 1] = apart[1, 0] = apart[2, 3] = apart[3, 2] = 3
    assert "never compared" in (st.fit_bradley_terry(apart).degenerate or "")
    separated = st.fit_bradley_terry([[0, 5], [0, 0]])
    assert "pseudo-win" in (separated.note or "") and np.isfinite(separated.theta).all()
    assert separated.probability(0, 1) == pytest.approx(5.5 / 6)
    even = st.fit_bradley_terry([[0, 4], [4, 0]])
    np.testing.assert_allclose(even.theta, 0.0, atol=1e-12)
    assert st.fit_bradley_terry([[0.0]]).degenerate


@few
@given(arrays(np.float64, (4, 4), elements=some.integers(1, 20).map(float)))
def test_bradley_terry_meets_its_likelihood_equations(wins: np.ndarray) -> None:
    np.fill_diagonal(wins, 0)
    found = st.fit_bradley_terry(wins)
    chance = 1 / (1 + np.exp(found.theta[None, :] - found.theta[:, None]))
    np.testing.assert_allclose(((wins + wins.T) * chance).sum(axis=1) - 0.5 * np.diag(wins + wins.T), wins.sum(axis=1), atol=1e-8)


def test_planning_without_data() -> None:
    assert st.power_paired_t(1.0, 1) is None and st.paired_t_sample_size(0.0) is None and st.paired_t_detectable(1) is None
    assert st.seeds_needed(0.01, 1, 0.01).degenerate and st.seeds_needed(0.0, 5, 0.01).degenerate == "zero variance"
    assert st.seeds_needed(0.01, 5, 0.0).planned is None and "more than" in (st.seeds_needed(1.0, 5, 1e-5).degenerate or "")
    assert st.detectable_difference(0.1, 0.1, 0.1, 1, 100) is None
    assert st.power_mcnemar(100, 0.0, 0.0) is None
    assert st.design_risk(0.0, 1.0).degenerate and st.design_risk(1.0, 0.0).power is None


def test_more_seeds_do_not_pass_the_floor_of_examples() -> None:
    grid = st.detectable_grid(1e-4, 0.2, 0.1, [3, 10, 100, 10_000], [200, 1000])
    assert (np.diff(grid.values, axis=0) < 0).all() and (grid.values > 0.999 * grid.floor).all()
    np.testing.assert_allclose(grid.values[-1], grid.floor, rtol=0.01)


@few
@given(some.lists(some.integers(0, 50).map(lambda v: v / 50), min_size=1, max_size=12))
def test_expected_best_is_bounded_and_grows(values: list[float]) -> None:
    for with_replacement in (False, True):
        curve = st.expected_best(values, with_replacement=with_replacement)
        assert curve.expected[0] == pytest.approx(np.mean(values))
        assert (np.diff(curve.expected) >= -1e-12).all() and curve.expected[-1] <= max(values) + 1e-12
    assert st.expected_best(values).expected[-1] == pytest.approx(max(values))
    lower = st.expected_best(values, "lower")
    np.testing.assert_allclose(lower.expected, -st.expected_best([-v for v in values]).expected)


def test_budget_without_trials() -> None:
    assert st.expected_best([]).degenerate == "no finished trial"
    assert st.expected_best([0.5, NAN]).n_dropped == 1
    curve = st.expected_best([0.1, 0.2, 0.3, 0.4, 0.6, 0.9], costs=[1, 1, 1, 1, 1, 1])
    assert np.isfinite(curve.low[:2]).all() and np.isnan(curve.low[2:]).all() and curve.cost[1] == 2
    # the best of one is a mean
    assert (curve.low[0], curve.high[0]) == pytest.approx(st.mean_interval([0.1, 0.2, 0.3, 0.4, 0.6, 0.9]).interval)
    assert st.selection_gap([NAN], [0.5]).degenerate and st.selection_gap([0.5], [NAN]).estimate is None


def test_templates_without_replicates() -> None:
    one_seed = st.template_sensitivity(np.array([[[0.5], [0.6]], [[0.7], [0.9]]]))
    assert "one seed" in (one_seed.degenerate or "") and one_seed.f["interaction"] is None and one_seed.f_random is not None
    assert st.template_sensitivity(np.array([[[0.5, NAN]]])).degenerate == "missing cells"
    assert st.template_sensitivity(np.full((2, 1, 3), 0.5)).degenerate == "one template"
    assert st.template_sensitivity(np.full((1, 2, 3), 0.5)).spread == pytest.approx([0.0])
    assert st.template_sensitivity(np.full((2, 3, 2), 0.7)).f_random is None


def test_sequences_and_looks() -> None:
    assert st.empirical_bernstein_sequence([]).degenerate == "no values"
    with pytest.raises(ValueError, match="outside"):
        st.empirical_bernstein_sequence([2.0])
    shifted = st.empirical_bernstein_sequence([1.0, -1.0, 1.0], low=-1.0, high=1.0)
    plain = st.empirical_bernstein_sequence([1.0, 0.0, 1.0])
    np.testing.assert_allclose(shifted.centre, 2 * plain.centre - 1)
    np.testing.assert_allclose(shifted.radius, 2 * plain.radius)
    assert sum(st.planned_looks(4)) == pytest.approx(0.05)


def test_imputation_bounds_and_floors() -> None:
    low, high = st.bounded_imputation([[0.9, 0.8], [NAN, 0.6]], 0.0, 1.0)
    assert (low <= high).all() and low[1] == high[1]
    with pytest.raises(ValueError, match="floor"):
        st.intention_to_treat([[NAN]], [[True]], [NAN])
    planned = st.coverage([[0.9, NAN], [0.8, NAN]], unsupported=[[False, True], [False, False]])
    assert planned.labels == ("2/2", "0/1")


@few
@given(SCORES)
def test_skillings_mack_is_friedman_without_gaps(scores: np.ndarray) -> None:
    np.testing.assert_allclose(st.skillings_mack(scores).statistic, st.friedman_test(scores).chi2_uncorrected, atol=1e-9)


def test_skillings_mack_published_example() -> None:
    # assembly times of four methods in nine blocks, three of them incomplete; R's Skillings.Mack prints 15.493049, p .00144
    times = [
        [3.2, 4.1, 3.8, 4.2], [3.1, 3.9, 3.4, 4.0], [4.3, 3.5, 4.6, 4.8], [3.5, 3.6, 3.9, 4.0], [3.6, 4.2, 3.7, 3.9],
        [4.5, 4.7, 3.7, NAN], [NAN, 4.2, 3.4, NAN], [4.3, 4.6, 4.4, 4.9], [3.5, NAN, 3.7, 3.9],
    ]  # fmt: skip
    found = st.skillings_mack(times, "lower")
    assert found.statistic == pytest.approx(15.493049, abs=1e-6) and found.pvalue == pytest.approx(0.00144, abs=1e-5)
    drawn = st.skillings_mack(times, reference="permutation", rng=np.random.default_rng(0), n_resamples=2000)
    assert drawn.pvalue is not None and drawn.pvalue < 0.01
    apart = [[1.0, 2.0, NAN, NAN], [NAN, NAN, 1.0, 2.0], [2.0, 1.0, NAN, NAN]]
    assert "share no task" in (st.skillings_mack(apart).degenerate or "")
