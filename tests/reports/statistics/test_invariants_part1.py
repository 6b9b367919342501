"""What must hold for any scores: signs, relabelling, shifts, orders of examples, and defined results where nothing is defined."""

import math
from typing import Any

import numpy as np
import pytest
from harness.reports import statistics as st
from hypothesis import given, settings
from hypothesis import strategies as some

# decimals as leaderboards print them, so that ties happen
score = some.integers(0, 1000).map(lambda n: n / 1000)
pairs = some.lists(some.tuples(score, score), min_size=2, max_size=12)
quick = settings(max_examples=60, deadline=None)


def flip(a: Any, b: Any, **options: Any) -> st.TestResult:
    return st.sign_flip_test(a, b, n_resamples=4095, rng=np.random.default_rng(0), **options)


TWO_SIDED = {
    "paired t": st.paired_t,
    "Welch t": st.welch_t,
    "Wilcoxon": st.wilcoxon_signed_rank,
    "sign flip": flip,
    "Mann-Whitney": st.mann_whitney,
}


@pytest.mark.parametrize("test", TWO_SIDED.values(), ids=TWO_SIDED)
@given(rows=pairs, shift=score)
@quick
def test_swap_shift_and_order(test: Any, rows: list[tuple[float, float]], shift: float) -> None:
    a, b = np.array(rows).T
    found, swapped, shifted, reordered = test(a, b), test(b, a), test(a + shift, b + shift), test(a[::-1], b[::-1])
    for other in (swapped, shifted, reordered):
        assert (found.pvalue is None) == (other.pvalue is None)
        if found.pvalue is not None:
            assert other.pvalue == pytest.approx(found.pvalue, rel=1e-6, abs=1e-12)
    if found.estimate is not None:
        assert swapped.estimate == pytest.approx(-found.estimate, abs=1e-12)
        assert shifted.estimate == pytest.approx(found.estimate, abs=1e-9)
    if found.ci_low is not None:
        assert swapped.ci_low == pytest.approx(-found.ci_high, abs=1e-9)
    assert found.pvalue is None or 0 <= found.pvalue <= 1


@given(seed=some.integers(0, 10_000), seeds_paired=some.booleans(), binary=some.booleans())
@quick
def test_crossed_difference(seed: int, seeds_paired: bool, binary: bool) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, 2, size=(2, 4, 9)) if binary else rng.normal(size=(2, 4, 9))).astype(float)
    found = st.paired_difference(a, b, seeds_paired=seeds_paired)
    swapped = st.paired_difference(b, a, seeds_paired=seeds_paired)
    examples, order = rng.permutation(9), rng.permutation(4)
    moved = st.paired_difference(a[order][:, examples] + 3, b[order][:, examples] + 3, seeds_paired=seeds_paired)
    alone = st.paired_difference(a, b, seeds_paired=seeds_paired, cluster=list("abcdefghi"))
    assert found.estimate == pytest.approx(a.mean() - b.mean(), abs=1e-12)
    assert swapped.estimate == pytest.approx(-found.estimate, abs=1e-12)
    for other in (swapped, moved, alone):
        assert (other.se, other.pvalue) == pytest.approx((found.se, found.pvalue), rel=1e-9)
    assert found.df is not None and found.df >= 3


def test_paired_seeds_are_cheaper_when_they_share_luck() -> None:
    rng = np.random.default_rng(0)
    luck, base = rng.normal(0, 1, (6, 1)), rng.normal(0, 1, (1, 300))
    a, b = (base + luck + rng.normal(0, 0.3, (6, 300)) for _ in range(2))
    paired, unpaired = st.paired_difference(a, b), st.paired_difference(a, b, seeds_paired=False)
    assert paired.estimate == pytest.approx(unpaired.estimate)
    assert paired.se < unpaired.se / 3


def test_clusters_widen_the_crossed_interval() -> None:
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(20), 10)
    a = rng.normal(size=(5, 200)) * 0.1 + rng.normal(size=20)[cluster]
    b = rng.normal(size=(5, 200)) * 0.1
    plain, clustered = st.paired_difference(a, b), st.paired_difference(a, b, cluster=cluster)
    assert clustered.se > 2.5 * plain.se
    assert clustered.df < plain.df


@given(p=some.lists(some.floats(0, 1), min_size=1, max_size=12), seed=some.integers(0, 99))
@quick
def test_adjusted_pvalues(p: list[float], seed: int) -> None:
    values = np.array(p)
    order = np.random.default_rng(seed).permutation(len(values))
    strongest = st.adjust(values, "bonferroni").adjusted
    for method in ("bonferroni", "holm", "hochberg", "hommel", "benjamini-hochberg", "benjamini-yekutieli"):
        found = st.adjust(values, method).adjusted
        assert ((found >= values - 1e-12) & (found <= 1)).all()
        assert np.allclose(st.adjust(values[order], method).adjusted, found[order])
        assert (np.diff(found[np.argsort(values, kind="stable")]) >= -1e-12).all()
        if method in ("holm", "hochberg", "hommel"):
            assert (found <= strongest + 1e-12).all()
    with_missing = st.adjust([*p, None], "holm")
    assert with_missing.m == len(p) and with_missing.n_excluded == 1 and math.isnan(with_missing.adjusted[-1])
    conjunction = st.partial_conjunction(p)
    assert conjunction.pvalues[0] == pytest.approx(min(1.0, len(p) * min(p)))
    assert 0 <= conjunction.count <= len(p)


@given(rows=pairs)
@quick
def test_effects(rows: list[tuple[float, float]]) -> None:
    a, b = np.array(rows).T
    for effect in (st.cohen_d, st.hedges_g, st.cohen_dz, st.cohen_dav, st.cliffs_delta):
        forwards, backwards = effect(a, b), effect(b, a)
        assert (forwards is None) == (backwards is None)
        assert forwards is None or forwards == pytest.approx(-backwards, rel=1e-9, abs=1e-12)
    found, reverse = st.probability_of_superiority(a, b), st.probability_of_superiority(b, a)
    assert found.estimate + reverse.estimate == pytest.approx(1)
    if found.ci_low is not None:
        assert 0 <= found.ci_low <= found.estimate <= found.ci_high <= 1
    assert st.violation_ratio(a, b) + st.violation_ratio(b, a) == pytest.approx(1)


@given(k=some.integers(0, 60), extra=some.integers(0, 60))
@quick
def test_proportion_intervals(k: int, extra: int) -> None:
    n = k + extra
    for method in ("wilson", "clopper-pearson", "jeffreys"):
        found, mirrored = st.proportion_interval(k, n, method=method), st.proportion_interval(n - k, n, method=method)
        if n == 0:
            assert found.degenerate and found.ci_low is None
            continue
        assert 0 <= found.ci_low <= found.ci_high <= 1
        assert found.ci_low == pytest.approx(1 - mirrored.ci_high, abs=1e-12)
        if method != "jeffreys":
            assert found.ci_low <= found.estimate <= found.ci_high


VECTORS = {
    "empty": [],
    "one": [0.5],
    "two": [0.5, 0.7],
    "constant": [0.8] * 6,
    "ties": [0.5, 0.5, 0.7, 0.7, 0.5, 0.7],
    "missing": [0.5, math.nan, 0.7, 0.6],
    "all missing": [math.nan, math.nan],
    "infinite": [0.5, math.inf, 0.7, 0.9],
}
OTHER = {"same": lambda x: list(x), "shifted": lambda x: [v - 0.1 for v in x], "zero": lambda x: [0.0] * len(x)}


def assert_honest(found: st.TestResult) -> None:
    """Every number is finite or None, a p-value lies in [0, 1], and what is undefined says why."""
    numbers = [found.estimate, found.se, found.ci_low, found.ci_high, found.statistic, found.pvalue, found.effect, found.mc_error]
    assert all(number is None or math.isfinite(number) for number in numbers), found
    assert found.pvalue is None or 0 <= found.pvalue <= 1
    assert found.degenerate is None or isinstance(found.degenerate, str)
    found.to_dict()


@pytest.mark.parametrize("other", OTHER)
@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize("test", [*TWO_SIDED.values(), st.paired_standard_error], ids=[*TWO_SIDED, "paired SE"])
def test_degenerate_pairs(test: Any, name: str, other: str) -> None:
    a, b = VECTORS[name], OTHER[other](VECTORS[name])
    found = test(a, b)
    assert_honest(found)
    if found.pvalue is None:
        assert found.degenerate
    if found.pvalue is not None and found.degenerate == "identical scores":
        assert found.pvalue == 1 and not found.effect


@pytest.mark.parametrize("name", VECTORS)
def test_degenerate_single_vectors(name: str) -> None:
    x = VECTORS[name]
    for found in (
        st.mean_interval(x),
        st.cell_mean(x).interval,
        st.cell_mean(x, floor=0.0).interval,
        st.bootstrap_interval(x, rng=np.random.default_rng(0), n_resamples=200),
        st.corrected_resampled_t(x, test_train_ratio=0.1),
        st.clustered_mean(x, list(range(len(x)))),
        st.robust_line(x, chance=0.5).failure_rate,
    ):
        assert_honest(found)
        if found.ci_low is None:
            assert found.degenerate


@pytest.mark.parametrize("over", ["seeds", "examples", "seeds+examples"])
@pytest.mark.parametrize("seeds_paired", [True, False])
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (1, 1), (1, 5), (5, 1), (2, 2), (3, 4)])
@pytest.mark.parametrize("kind", ["same", "constant", "noise", "failed seed", "all missing"])
def test_degenerate_tables(over: Any, seeds_paired: bool, shape: tuple[int, int], kind: str) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=shape)
    b = {"same": a, "constant": a - 0.25, "noise": rng.normal(size=shape)}.get(kind, rng.normal(size=shape)).copy()
    if kind == "failed seed":
        b[:1] = np.nan
    if kind == "all missing":
        b[:] = np.nan
    found = st.paired_difference(a, b, generalise_over=over, seeds_paired=seeds_paired)
    assert_honest(found)
    if found.pvalue is None:
        assert found.degenerate
    if kind == "same" and over == "examples" and min(shape) >= 1 and shape[1] >= 2:
        assert found.pvalue == 1
    if kind == "same" and seeds_paired and min(shape) >= 2:
        assert found.pvalue == 1


def test_intention_to_treat() -> None:
    scores = [0.8, math.nan, 0.9]
    primary, secondary = st.cell_mean(scores, floor=0.5), st.cell_mean(scores)
    assert (primary.mean, secondary.mean) == pytest.approx((2.2 / 3, 0.85))
    assert primary.n_failed == secondary.n_failed == 1 and primary.n_ok == 2
    assert primary.failure_rate.estimate == pytest.approx(1 / 3)


def test_one_seed_speaks_of_examples() -> None:
    cell = st.cell_mean([0.75], examples=[1, 1, 0, 1])
    assert cell.sd is None and cell.interval.generalise_over == "examples" and "seed" in (cell.interval.note or "")


def test_variance_components_of_three_axes() -> None:
    rng = np.random.default_rng(3)
    shape = (40, 30, 20)
    seed, template = rng.normal(0, 2, (40, 1, 1)), rng.normal(0, 1, (1, 30, 1))
    both, rest = rng.normal(0, 0.7, (40, 30, 1)), rng.normal(0, 0.5, shape)
    found = st.variance_components(seed + template + both + rest, axes=("seed", "template", "example"))
    assert found.variances["seed"] == pytest.approx(4, rel=0.5)
    assert found.variances["template"] == pytest.approx(1, rel=0.6)
    assert found.variances["seed:template"] == pytest.approx(0.49, rel=0.1)
    assert found.variances["remainder"] == pytest.approx(0.25, rel=0.05)
    assert found.variances["example"] == pytest.approx(0, abs=0.01)
    assert sum(found.shares.values()) == pytest.approx(1)
    assert sum(found.degrees.values()) == 40 * 30 * 20 - 1
    planned = st.planned_precision(found, {})
    assert planned == pytest.approx((found.se, found.df), rel=0.05)


def test_next_best_sample() -> None:
    rng = np.random.default_rng(4)
    table = rng.normal(0, 1, (4, 1)) + rng.normal(0, 0.1, (4, 200))
    found = st.variance_components(table)
    best, other = st.next_best_sample(found, {"seed": 100.0, "example": 0.1}, difference=0.5)
    assert best.axis == "seed" and best.n_needed > 4 and best.seconds_needed == (best.n_needed - 4) * 100.0
    assert other.n_needed is None and "seed" in other.reason
    se, _ = st.planned_precision(found, {"seed": best.n_needed})
    assert st.planned_precision(found, {"seed": best.n_needed * 2})[0] < se


def test_results_are_frozen_and_plain() -> None:
    found = st.paired_t([1, 2, 4], [0, 0, 0])
    with pytest.raises(AttributeError):
        found.pvalue = 0.5  # type: ignore[misc]
    record = st.as_dict(st.cell_mean([0.5, 0.6]))
    assert record["interval"]["method"].startswith("t interval")
