"""Durbin's test for balanced gaps, expected best scores of tasks that are tuned apart, and halves of several tasks."""

from __future__ import annotations

import harness.reports.statistics as st
import numpy as np
import pytest

NAN = float("nan")
# every two of seven methods meet in one of seven tasks
PLANE = [(0, 1, 3), (1, 2, 4), (2, 3, 5), (3, 4, 6), (4, 5, 0), (5, 6, 1), (6, 0, 2)]


def balanced(rng: np.random.Generator, effect: float = 0.0) -> np.ndarray:
    table = np.full((7, 7), NAN)
    for task, methods in enumerate(PLANE):
        table[task, list(methods)] = rng.normal(size=3) + effect * np.array(methods)
    return table


def test_durbin_is_friedman_without_gaps_and_skillings_mack_with_balanced_ones() -> None:
    rng = np.random.default_rng(0)
    full = np.round(rng.normal(size=(8, 4)), 1)  # with ties
    found, friedman = st.durbin(full), st.friedman_test(full)
    assert found.details["chi2"] == pytest.approx(friedman.chi2) and found.statistic == pytest.approx(friedman.f)
    assert found.pvalue == pytest.approx(friedman.pvalue_f)
    table = balanced(rng)
    assert st.durbin(table).details["chi2"] == pytest.approx(st.skillings_mack(table).statistic)


def test_permutations_hold_their_level_where_the_gaps_are_balanced_and_both_see_an_effect() -> None:
    rng = np.random.default_rng(1)

    def permuted(table: np.ndarray) -> float:
        found = st.skillings_mack(table, reference="permutation", rng=rng, n_resamples=199)
        return 1.0 if found.pvalue is None else found.pvalue

    assert sum(permuted(balanced(rng)) <= 0.05 for _ in range(300)) <= 27  # but for 1 in 1000 such samples at .05
    assert sum(permuted(balanced(rng, effect=2.0)) <= 0.05 for _ in range(50)) > 40
    found = [st.durbin(balanced(rng, effect=2.0)) for _ in range(50)]
    assert sum(test.degenerate is not None or (test.pvalue or 0) <= 0.05 for test in found) > 40  # the first: all tasks agree perfectly


def test_durbin_says_what_it_cannot() -> None:
    assert "skillings_mack" in (st.durbin([[1, 2, NAN], [2, 1, NAN], [1, NAN, 2]]).degenerate or "")
    assert st.durbin([[1, 1, NAN], [NAN, 1, 1], [1, NAN, 1]]).pvalue == 1.0
    assert st.durbin([[1, 2]]).degenerate == "fewer than two tasks" and st.durbin([[1], [2]]).degenerate == "one method"
    assert st.durbin([[3, 2, NAN], [NAN, 3, 1], [1, NAN, 3]]).degenerate is None
    assert "perfect agreement" in (st.durbin([[3, 2, 1]] * 4).degenerate or "")


def test_tasks_that_are_tuned_apart_are_averaged_after_the_best_was_taken() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(3, 9))
    found = st.expected_best(table, costs=[2.0])
    np.testing.assert_allclose(found.expected, np.mean([st.expected_best(row).expected for row in table], axis=0))
    assert found.expected[-1] == pytest.approx(table.max(axis=1).mean()) and found.cost.tolist() == [2.0 * b for b in range(1, 10)]
    same = st.expected_best(np.stack([table[0]] * 3))
    np.testing.assert_allclose(same.high, st.expected_best(table[0]).high)
    table[1, 4] = NAN
    assert st.expected_best(table).n_dropped == 1 and len(st.expected_best(table).budget) == 8


def test_halves_of_several_tasks_keep_clusters_whole() -> None:
    rng = np.random.default_rng(0)
    clear = np.repeat([[0.9], [0.5], [0.1]], 30, axis=1)
    assert st.split_half([clear, clear[:, :10]], rng=rng).estimate == 1.0
    # within a cluster all examples say the same, so halves of clusters disagree more than halves of examples
    noise = np.repeat(rng.normal(size=(6, 8)), 25, axis=1)
    names = [str(i // 25) for i in range(200)]
    plain, whole = (st.split_half([noise], rng=np.random.default_rng(1), clusters=c).estimate for c in (None, [names]))
    assert plain > 0.6 > 0.2 > whole
    weighed = st.split_half([clear, -clear], rng=rng, weights=[1.0, 0.25])
    assert weighed.estimate == 1.0 and weighed.n == 60
