"""The same numbers as scipy and statsmodels on random inputs; brute force for the engine."""

import itertools
from typing import Any

import numpy as np
import pytest
from harness.reports import statistics as st
from scipy import stats

rng = np.random.default_rng(20)
SAMPLES = [(rng.normal(0.2, 1, n), rng.normal(0, 2, n)) for n in (3, 5, 8, 12, 20)]


@pytest.mark.parametrize(("a", "b"), SAMPLES)
def test_t_tests(a: Any, b: Any) -> None:
    for alternative in ("two-sided", "greater", "less"):
        ours, theirs = st.paired_t(a, b, alternative=alternative), stats.ttest_rel(a, b, alternative=alternative)
        assert (ours.statistic, ours.pvalue) == pytest.approx((theirs.statistic, theirs.pvalue), abs=1e-9)
        ours, theirs = st.welch_t(a, b[:-1], alternative=alternative), stats.ttest_ind(a, b[:-1], equal_var=False, alternative=alternative)
        assert (ours.statistic, ours.df, ours.pvalue) == pytest.approx((theirs.statistic, theirs.df, theirs.pvalue), abs=1e-9)
    interval = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert st.paired_t(a, b).interval == pytest.approx((interval.low, interval.high), abs=1e-9)


@pytest.mark.parametrize(("a", "b"), SAMPLES)
def test_rank_tests(a: Any, b: Any) -> None:
    theirs = stats.wilcoxon(a, b, method="exact")
    ours = st.wilcoxon_signed_rank(a, b)
    assert (ours.statistic, ours.pvalue) == pytest.approx((theirs.statistic, theirs.pvalue), abs=1e-12)
    theirs = stats.mannwhitneyu(a, b, method="exact" if len(a) <= 8 else "asymptotic")
    ours = st.mann_whitney(a, b)
    assert (ours.statistic, ours.pvalue) == pytest.approx((theirs.statistic, theirs.pvalue), abs=1e-12)


def test_sign_flip_is_scipys_permutation_test() -> None:
    for a, b in SAMPLES[:4]:
        theirs = stats.permutation_test((a, b), lambda x, y: np.mean(x) - np.mean(y), permutation_type="samples", n_resamples=np.inf)
        ours = st.sign_flip_test(a, b)
        assert ours.pvalue == pytest.approx(theirs.pvalue, abs=1e-12)
        assert ours.mc_error == 0 and ours.n_resamples == 2 ** len(a)


def test_bca_is_scipys() -> None:
    x = np.random.default_rng(5).exponential(size=120)
    ours = st.bootstrap_interval(x, rng=np.random.default_rng(0), n_resamples=20_000)
    theirs = stats.bootstrap((x,), np.mean, n_resamples=20_000, rng=np.random.default_rng(1)).confidence_interval
    assert ours.interval == pytest.approx((theirs.low, theirs.high), abs=0.02)
    assert ours.note is None


def test_families_are_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is of the test extra")
    ours = {"simes-hochberg": "hochberg", "fdr_bh": "benjamini-hochberg", "fdr_by": "benjamini-yekutieli"}
    draw = np.random.default_rng(6)
    for _ in range(60):
        p = draw.uniform(size=draw.integers(1, 12)) ** 2
        for method in ("bonferroni", "holm", "simes-hochberg", "hommel", "fdr_bh", "fdr_by"):
            assert st.adjust(p, ours.get(method, method)).adjusted == pytest.approx(multitest.multipletests(p, method=method)[1])


def test_proportions_and_mcnemar_are_statsmodels() -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion", reason="statsmodels is of the test extra")
    tables = pytest.importorskip("statsmodels.stats.contingency_tables", reason="statsmodels is of the test extra")
    for k, n in [(1, 9), (5, 11), (40, 80), (79, 80)]:
        for ours, theirs in (("wilson", "wilson"), ("clopper-pearson", "beta"), ("jeffreys", "jeffreys")):
            assert st.proportion_interval(k, n, method=ours).interval == pytest.approx(
                proportion.proportion_confint(k, n, method=theirs), abs=1e-9
            )
    for n10, n01 in [(5, 1), (7, 7), (30, 12), (0, 4)]:
        table = [[10, n10], [n01, 10]]
        details = st.mcnemar(n10, n01).details
        assert details["p exact"] == pytest.approx(tables.mcnemar(table, exact=True).pvalue)
        assert details["p chi2"] == pytest.approx(tables.mcnemar(table, exact=False, correction=False).pvalue)


def test_clustered_se_is_statsmodels() -> None:
    regression = pytest.importorskip("statsmodels.api", reason="statsmodels is of the test extra")
    draw = np.random.default_rng(7)
    y, cluster = draw.normal(size=60), draw.integers(0, 9, size=60)
    fit = regression.OLS(y, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": False})
    assert st.clustered_mean(y, cluster, correction="CR0").se == pytest.approx(fit.bse[0])


def exact_pvalues(table: Any) -> Any:
    """Every sign pattern by hand: [pairs] raw and max-T p-values."""
    i, j = np.triu_indices(len(table), 1)
    d = table[i] - table[j]
    signs = np.array(list(itertools.product((1, -1), repeat=table.shape[1])))
    moved = np.abs(d @ signs.T)
    target = np.abs(d.sum(axis=1))
    norm = np.sqrt((d**2).sum(axis=1))
    largest = (moved / norm[:, None]).max(axis=0)
    return (moved >= target[:, None] - 1e-9).mean(axis=1), (largest >= (target / norm)[:, None] - 1e-9).mean(axis=1)


@pytest.mark.parametrize("binary", [True, False])
def test_engine_by_brute_force(binary: bool) -> None:
    draw = np.random.default_rng(8)
    table = draw.integers(0, 2, size=(4, 11)).astype(float) if binary else draw.normal(size=(4, 11))
    found = st.sign_flip_pairs(table, rng=draw)
    raw, adjusted = exact_pvalues(table)
    assert found.exhaustive and found.n_resamples == 2**11
    assert found.pvalue == pytest.approx(raw)
    assert found.adjusted == pytest.approx(adjusted)


def test_random_signs_come_close_to_all_signs() -> None:
    draw = np.random.default_rng(9)
    table = draw.normal(size=(3, 12)) + np.array([[0.0], [0.4], [0.8]])
    exact, drawn = st.sign_flip_pairs(table, rng=draw), st.sign_flip_pairs(table, rng=draw, n_resamples=3000, alpha=None)
    assert not drawn.exhaustive and drawn.n_resamples == 3000
    assert (np.abs(drawn.pvalue - exact.pvalue) <= 4 * drawn.mc_error + 1e-3).all()
    assert (drawn.adjusted >= drawn.pvalue - 0.02).all()


def test_resamples_double_while_the_verdict_hangs() -> None:
    draw = np.random.default_rng(10)
    noise = draw.normal(size=400)
    shift = (1.96 * noise.std() / 20 - noise.mean()) + noise
    found = st.sign_flip_pairs(np.stack([shift, np.zeros(400)]), rng=draw, n_resamples=1000, max_resamples=8000)
    assert 1000 < found.n_resamples <= 8000
    assert st.sign_flip_pairs(np.stack([shift + 1, np.zeros(400)]), rng=draw, n_resamples=1000).n_resamples == 1000


def test_draws_do_not_depend_on_the_order_of_methods() -> None:
    scores, order = np.random.default_rng(11).integers(0, 2, size=(3, 4, 60)).astype(float), [2, 0, 1]
    names = ["lora", "bitfit", "prompt"]
    here = st.hierarchical_bootstrap(scores, rng=np.random.default_rng(0), methods=names, n_resamples=500)
    there = st.hierarchical_bootstrap(scores[order], rng=np.random.default_rng(0), methods=[names[i] for i in order], n_resamples=500)
    assert np.array_equal(here.draws[order], there.draws)
    flips = [
        st.sign_flip_pairs(table, rng=np.random.default_rng(0), pairs=[pair]).pvalue
        for table, pair in ((scores, (0, 1)), (scores[order], (1, 2)))
    ]
    assert flips[0] == flips[1]


def test_bootstrap_matches_the_formula() -> None:
    scores = np.random.default_rng(12).integers(0, 2, size=(3, 5, 400)).astype(float)
    mean = scores.mean(axis=1)
    found = st.bootstrap_pairs(scores, rng=np.random.default_rng(0), n_resamples=4000)
    for k, (i, j) in enumerate(zip(found.first, found.second)):
        assert found.se[k] == pytest.approx((mean[i] - mean[j]).std() / 20, rel=0.06)
        assert found.ci_low[k] < found.difference[k] < found.ci_high[k]
    assert np.allclose(found.draws.mean(axis=1), mean.mean(axis=1), atol=0.005)
    clustered = st.bootstrap_pairs(scores, rng=np.random.default_rng(0), cluster=np.arange(400), n_resamples=4000)
    assert np.allclose(clustered.ci_low, found.ci_low, atol=1e-6)


def test_hierarchical_bootstrap_has_the_seeds_variance() -> None:
    draw = np.random.default_rng(13)
    scores = draw.normal(0, 1, (2, 5, 1)) + draw.normal(0, 0.1, (2, 5, 300))
    found = st.hierarchical_bootstrap(scores, rng=draw, methods=["a", "b"], n_resamples=4000)
    seeds = scores.mean(axis=2).var(axis=1, ddof=1)
    # without the correction it would be sqrt(4/5) of this
    assert found.se[0] == pytest.approx(np.sqrt(seeds.sum() / 5), rel=0.05)
    one = st.hierarchical_bootstrap(scores[:, :1], rng=draw, methods=["a", "b"], n_resamples=500)
    assert one.generalise_over == "examples"


def test_metric_engine_equals_the_mean_engine() -> None:
    scores = np.random.default_rng(14).integers(0, 2, size=(3, 2, 10)).astype(float)
    sums = np.stack([scores, np.ones_like(scores)], axis=-1)

    def accuracy(total: Any) -> Any:
        return total[..., 0] / total[..., 1]

    plain, metric = st.sign_flip_pairs(scores, rng=rng), st.permute_metric_pairs(sums, accuracy, rng=rng)
    assert metric.pvalue == pytest.approx(plain.pvalue)
    assert metric.difference == pytest.approx(plain.difference)
    observed, draws = st.bootstrap_metric(sums, accuracy, rng=np.random.default_rng(0), n_resamples=300)
    assert observed == pytest.approx(scores.mean(axis=(1, 2)))
    assert draws == pytest.approx(st.bootstrap_pairs(scores, rng=np.random.default_rng(0), n_resamples=300).draws, abs=1e-6)


def test_f1_is_recomputed_and_not_averaged() -> None:
    draw = np.random.default_rng(15)
    gold, guess = draw.integers(0, 2, 60), draw.integers(0, 2, (2, 1, 60))
    counts = np.stack([(guess == 1) & (gold == 1), (guess == 1) & (gold == 0), (guess == 0) & (gold == 1)], axis=-1).astype(float)

    def f1(total: Any) -> Any:
        return 2 * total[..., 0] / (2 * total[..., 0] + total[..., 1] + total[..., 2])

    found = st.permute_metric_pairs(counts, f1, rng=draw, n_resamples=300)
    by_hand = [2 * c[0, :, 0].sum() / (2 * c[0, :, 0].sum() + c[0, :, 1:].sum()) for c in counts]
    assert found.difference[0] == pytest.approx(by_hand[0] - by_hand[1])
    assert 0 < found.pvalue[0] <= 1
