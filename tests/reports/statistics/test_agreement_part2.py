"""Agreement with other implementations where they are right, exact enumeration where there is none, and measured error rates."""

import itertools

import numpy as np
import pytest
from harness.reports import statistics as st
from scipy import stats

RNG = np.random.default_rng(7)
CONTINUOUS = RNG.normal(size=(9, 5))
TIED = np.round(CONTINUOUS, 1)


@pytest.mark.parametrize("scores", [CONTINUOUS, TIED])
def test_friedman_against_scipy(scores: np.ndarray) -> None:
    theirs = stats.friedmanchisquare(*scores.T)
    found = st.friedman_test(scores)
    assert (found.chi2, found.pvalue_chi2) == pytest.approx((theirs.statistic, theirs.pvalue))


@pytest.mark.parametrize("scores", [CONTINUOUS, TIED])
def test_post_hocs_against_scikit_posthocs(scores: np.ndarray) -> None:
    posthocs = pytest.importorskip("scikit_posthocs", reason="test extra scikit-posthocs is not installed")
    np.testing.assert_allclose(st.nemenyi(scores).pvalues, posthocs.posthoc_nemenyi_friedman(scores).to_numpy(), atol=1e-6)
    np.testing.assert_allclose(st.conover(scores).pvalues, posthocs.posthoc_conover_friedman(scores, p_adjust="holm").to_numpy(), atol=1e-6)


@pytest.mark.parametrize("rope", [0.005, 0.02])
def test_signed_rank_against_baycomp(rope: float) -> None:
    baycomp = pytest.importorskip("baycomp", reason="baycomp is not installed")
    x, y = 0.8 + 0.03 * RNG.normal(size=12), 0.79 + 0.03 * RNG.normal(size=12)
    theirs = baycomp.SignedRankTest.probs(x, y, rope, nsamples=20_000)  # left: x is better
    found = st.bayesian_signed_rank(x, y, rope=rope, rng=np.random.default_rng(0), n_draws=20_000)
    np.testing.assert_allclose([found.p_better, found.p_equal, found.p_worse], theirs, atol=0.02)


def test_correlated_t_against_baycomp() -> None:
    baycomp = pytest.importorskip("baycomp", reason="baycomp is not installed")
    x, y = 0.8 + 0.03 * RNG.normal(size=10), 0.79 + 0.03 * RNG.normal(size=10)
    theirs = baycomp.CorrelatedTTest.probs(x, y, 0.01)
    found = st.bayesian_correlated_t(x, y, rope=0.01, correlation=0.1)
    np.testing.assert_allclose([found.p_better, found.p_equal, found.p_worse], theirs, atol=1e-9)


def test_power_against_statsmodels() -> None:
    power = pytest.importorskip("statsmodels.stats.power", reason="test extra statsmodels is not installed")
    for dz, n in ((0.3, 20), (1.5, 4)):
        assert st.power_paired_t(dz, n) == pytest.approx(power.TTestPower().power(dz, n, 0.05), abs=1e-9)


@pytest.mark.parametrize(("d", "se"), [([0.3, -0.1, 0.5, 0.2, 0.9], [0.1, 0.1, 0.2, 0.1, 0.1]), ([0.1, 0.11, 0.12], [0.1, 0.1, 0.1])])
def test_random_effects_against_statsmodels(d: list[float], se: list[float]) -> None:
    meta = pytest.importorskip("statsmodels.stats.meta_analysis", reason="test extra statsmodels is not installed")
    for ours, theirs in (("dersimonian-laird", "dl"), ("paule-mandel", "iterated")):
        line = meta.combine_effects(np.array(d), np.array(se) ** 2, method_re=theirs)
        found = st.random_effects(d, se, method=ours)
        assert found.details["Q"] == pytest.approx(line.q)
        # statsmodels does not truncate a negative tau2
        assert found.details["tau2"] == pytest.approx(max(float(line.tau2), 0.0), abs=1e-4)


def test_aggregates_against_scipy() -> None:
    x = RNG.normal(size=(7, 3))
    assert st.aggregate_tasks(x, "iqm").estimate == pytest.approx(stats.trim_mean(x, 0.25, axis=None))
    assert st.kendall_tau(x[:, 0], x[:, 1], variant="weighted").estimate == pytest.approx(stats.weightedtau(x[:, 0], x[:, 1]).statistic)


def test_permutation_friedman_by_enumeration() -> None:
    scores = TIED[:3, :3]
    observed = st.friedman_test(scores).chi2_uncorrected
    assert observed is not None
    orders = list(itertools.permutations(range(3)))
    larger = [
        (st.friedman_test([row[list(o)] for row, o in zip(scores, choice, strict=True)]).chi2_uncorrected or 0) >= observed - 1e-9
        for choice in itertools.product(orders, repeat=3)
    ]
    assert st.permutation_friedman(scores).pvalue == pytest.approx(np.mean(larger))
    drawn = st.permutation_friedman(scores, rng=np.random.default_rng(0), n_resamples=30)
    assert drawn.n_resamples == 30 and drawn.mc_error is not None and drawn.mc_error > 0


def test_max_t_by_enumeration() -> None:
    scores = TIED[:6, :4]
    first, second = np.triu_indices(4, 1)
    d = scores[:, first] - scores[:, second]

    def size(sample: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.abs(sample.mean(axis=0)) / sample.std(axis=0, ddof=1)

    flips = [size(d * np.array(signs)[:, None]) for signs in itertools.product([1, -1], repeat=6)]
    found = st.max_t(scores)
    each = np.mean([f >= size(d) * (1 - 1e-9) for f in flips], axis=0)
    joint = np.mean([f.max() >= size(d) * (1 - 1e-9) for f in flips], axis=0)
    np.testing.assert_allclose(found.raw_pvalues[first, second], each)
    np.testing.assert_allclose(found.pvalues[first, second], joint)
    better = scores + np.array([3.0, 0.0, 0.0, 0.0])
    drawn = st.max_t(better, rng=np.random.default_rng(0), n_resamples=31)
    assert drawn.n_resamples is not None and drawn.n_resamples > 31  # p = 1/32 is near alpha: the draws were doubled
    np.testing.assert_allclose(drawn.pvalues, st.max_t(better).pvalues, atol=0.05)


def test_max_t_against_a_baseline_tests_fewer_pairs() -> None:
    scores = CONTINUOUS[:8]
    found = st.max_t(scores, baseline=2)
    assert found.n_comparisons == 4 and np.isnan(found.pvalues[0, 1])
    assert (found.pvalues[2] <= st.max_t(scores).pvalues[2] + 1e-12).all()
    assert st.wilcoxon_holm(scores, baseline=2).minimum_tasks == 8


def test_the_default_follows_what_can_reject() -> None:
    scores = RNG.normal(size=(12, 5))
    assert st.compare_across_tasks(scores).procedure == "wilcoxon-holm"
    assert st.compare_across_tasks(scores[:8]).procedure == "max-t"
    # at 9 tasks only untied differences could reach Holm's threshold, and scores of two decimals tie
    nine = st.compare_across_tasks(scores[:9])
    assert nine.procedure == "max-t" and st.smallest_number_of_tasks(5) == 9 and "needs 11" in (nine.why or "")
    shifted = np.array([1, 1, 2, 3, 4, 5, 6, 7, 8])[:, None] * np.arange(5) / 10  # every pair is ordered alike on all tasks, with one tie
    assert not st.wilcoxon_holm(shifted).different.any() and st.max_t(shifted).different[0, 1:].all()
    assert st.compare_across_tasks(scores[:8], baseline=0).procedure == "wilcoxon-holm"
    assert st.smallest_number_of_tasks(10, procedure="nemenyi") == 3


def test_power_of_mcnemar_by_enumeration() -> None:
    n, p01, p10 = 9, 0.5, 0.1
    total = 0.0
    for b in range(n + 1):
        for c in range(n + 1 - b):
            if b + c and min(2 * stats.binom.cdf(min(b, c), b + c, 0.5), 1) <= 0.05:
                total += stats.multinomial.pmf([b, c, n - b - c], n, [p01, p10, 1 - p01 - p10])
    assert st.power_mcnemar(n, p01, p10) == pytest.approx(total)


@pytest.mark.parametrize("df", [None, 4.0])
def test_design_risk_by_simulation(df: float | None) -> None:
    rng = np.random.default_rng(0)
    draws = 0.8 + (rng.standard_normal(400_000) if df is None else rng.standard_t(df, 400_000))
    critical = stats.norm.ppf(0.975) if df is None else stats.t.ppf(0.975, df)
    significant = draws[np.abs(draws) > critical]
    found = st.design_risk(0.8, 1.0, df=df)
    assert found.power == pytest.approx(len(significant) / len(draws), abs=0.005)
    assert found.type_s == pytest.approx((significant < 0).mean(), abs=0.01)
    assert found.exaggeration == pytest.approx(np.abs(significant).mean() / 0.8, rel=0.03)


def test_hierarchical_by_sampling() -> None:
    d, se = np.array([0.30, -0.10, 0.50, 0.20]), np.array([0.1, 0.2, 0.1, 0.3])
    found = st.task_effects(d, se, rope=0.05, tau_max=3.0)
    tau = np.linspace(0, 3, 3001)
    total = se**2 + tau[:, None] ** 2
    mu = np.linspace(-6, 6, 4001)
    log = -0.5 * np.log(total).sum(1)[:, None] - 0.5 * sum((d[t] - mu) ** 2 / total[:, [t]] for t in range(4))
    density = np.exp(log - log.max())
    density /= density.sum()
    assert found.mu == pytest.approx((density.sum(0) * mu).sum(), abs=1e-3)
    assert found.p_better == pytest.approx(density.sum(0)[mu > 0.05].sum(), abs=2e-3)
    assert found.mu_low is not None and density.sum(0)[mu < found.mu_low].sum() == pytest.approx(0.025, abs=2e-3)


def test_rank_bootstrap_draws_match_the_enumeration() -> None:
    scores = np.array([[[0.80, 0.82, 0.9], [0.81, 0.79, 0.8]]])
    exact = st.bootstrap_ranks(scores)
    assert exact.exhaustive
    drawn = st.bootstrap_ranks(scores, rng=np.random.default_rng(0), n_resamples=700)
    assert not drawn.exhaustive
    np.testing.assert_allclose(drawn.probabilities, exact.probabilities, atol=0.06)
    wider = st.bootstrap_ranks(scores, scale_correction=False)
    assert exact.p_best[1] >= wider.p_best[1]


# --- error rates ------------------------------------------------------------------------------------------------------------------------


def upper(rate: float, n: int) -> float:
    """The largest share that n trials at `rate` show in all but about 1 of 1000 cases."""
    return float(stats.binom.ppf(0.999, n, rate)) / n


@pytest.mark.parametrize("n_tasks", [6, 8])
def test_family_wise_error_of_the_default(n_tasks: int) -> None:
    rng, n = np.random.default_rng(n_tasks), 400
    wrong = sum(st.compare_across_tasks(rng.normal(size=(n_tasks, 6))).different[np.triu_indices(6, 1)].any() for _ in range(n))
    assert wrong / n <= upper(0.05, n)


@pytest.mark.parametrize("n_tasks", [3, 5, 12])
def test_simultaneous_intervals_cover(n_tasks: int) -> None:
    rng, n, truth = np.random.default_rng(n_tasks), 300, np.array([0.3, 0.2, 0.1, 0.0, 0.0])
    missed = ranks_missed = 0
    true_low = np.array([1, 2, 3, 4, 4])
    for _ in range(n):
        found = st.simultaneous_pairwise_intervals(truth + rng.normal(size=(n_tasks, 5)))
        gap = truth[:, None] - truth[None, :]
        missed += bool(((found.lower > gap + 1e-12) | (found.upper < gap - 1e-12)).any())
        first, last = st.simultaneous_rank_intervals(found.lower, found.upper)
        ranks_missed += bool(((first > true_low) | (last < true_low)).any())
    assert missed / n <= upper(0.05, n)
    assert ranks_missed <= missed


def test_stratified_interval_covers_with_the_scale_correction() -> None:
    rng, n = np.random.default_rng(0), 300
    missed = {True: 0, False: 0}
    for _ in range(n):
        x = rng.normal(size=(10, 5))
        for corrected in missed:
            found = st.aggregate_tasks(x, "mean", rng=rng, n_resamples=400, scale_correction=corrected)
            missed[corrected] += not (found.ci_low <= 0 <= found.ci_high)  # type: ignore[operator]
    assert missed[True] / n <= upper(0.06, n)
    assert missed[True] < missed[False]


def test_confidence_sequence_holds_at_every_look() -> None:
    rng, n = np.random.default_rng(0), 300
    missed = sum(st.empirical_bernstein_sequence(rng.random(200) < 0.7).excludes(0.7) is not None for _ in range(n))
    assert missed / n <= 0.05
    assert st.empirical_bernstein_sequence(np.ones(100)).excludes(0.7) is not None


def test_split_half_rises_with_signal() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(6, 100))
    weak = st.split_half(noise, rng=rng, n_splits=40).estimate
    strong = st.split_half(noise + np.arange(6)[:, None], rng=rng, n_splits=40).estimate
    assert weak is not None and strong is not None and strong > 0.9 > weak
