"""Metrics of open-set streams: against scikit-learn and brute force, and what a resample sees of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from harness.metrics import get
from harness.metrics.open_set import confidence, pairwise, right_answers
from harness.outcome import predictions_of, records_of

LABELS, UNKNOWN = 4, 3  # three known classes


@pytest.fixture
def drawn(case):
    """An open-set stream of random answers, tied confidences among them."""

    def make(seed=0, n=80, **measures):
        rng = np.random.default_rng(seed)
        gold = rng.integers(0, LABELS, n).tolist()
        scores = np.full((n, LABELS), -np.inf)
        scores[:, :UNKNOWN] = np.round(rng.normal(0, 2, (n, UNKNOWN)) + 2 * np.eye(LABELS)[gold][:, :UNKNOWN], 1)
        return case(gold, labels=LABELS, scores=scores, measures=measures).with_unknown("l3")

    return make


def parts(one):
    unknown = np.array([row.target == UNKNOWN for row in one.rows])
    return confidence(one.predictions), unknown, right_answers(one.predictions, one.rows, one.task)


@pytest.mark.parametrize("seed", range(5))
def test_auroc_is_scikit_learns(drawn, seed):
    one = drawn(seed)
    scores, unknown, _ = parts(one)
    assert one.value("auroc") == pytest.approx(roc_auc_score(~unknown, scores), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_oscr_is_the_chance_over_pairs(drawn, seed):
    one = drawn(seed)
    scores, unknown, right = parts(one)
    known = np.flatnonzero(~unknown)
    won = [
        right[i] * (scores[i] > scores[j]) + right[i] * 0.5 * (scores[i] == scores[j])
        for i, j in itertools.product(known, np.flatnonzero(unknown))
    ]
    assert one.value("oscr") == pytest.approx(np.mean(won), abs=1e-12)
    assert one.value("oscr") <= min(one.value("auroc"), one.value("known_accuracy")) + 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_fpr95_is_the_first_point_of_the_roc_that_accepts_95_percent(drawn, seed):
    one = drawn(seed)
    scores, unknown, _ = parts(one)
    false, true, _ = roc_curve(~unknown, scores, drop_intermediate=False)
    assert one.value("fpr95") == pytest.approx(false[true >= 0.95 - 1e-12].min(), abs=1e-12)


def test_unknown_examples_have_no_weight_in_accuracy(case):
    scores = np.log([[0.9, 0.1, 1e-9], [0.2, 0.8, 1e-9], [0.9, 0.1, 1e-9]])
    one = case([0, 0, 2], labels=3, scores=scores).with_unknown("l2")
    assert one.value("known_accuracy") == 0.5
    assert one.statistics("known_accuracy")[2].tolist() == [0, 0]


def test_rounds(case):
    gold = [0, 1, 2, 0, 1, 2]
    right = np.array([1, 1, 1, 1, 0, 1])
    scores = np.where(np.eye(3)[np.where(right, gold, 0)] > 0, 0.0, -5.0)
    one = case(gold, labels=3, scores=scores, measures={"round": np.array([0, 0, 0, 1, 1, 1.0])}).with_unknown("l2")
    assert (one.value("last_round_accuracy"), one.value("accuracy_drift"), one.value("known_accuracy")) == (0.5, -0.5, 0.75)
    once = case(gold, labels=3, scores=scores).with_unknown("l2")
    assert np.isnan(once.value("accuracy_drift")) and once.value("last_round_accuracy") == once.value("known_accuracy")


def test_what_was_kept(case):
    gold, answers = [0, 1, 2, 0], [0, 0, 0, 0]
    one = case(gold, labels=3, scores=np.eye(3)[answers], measures={"kept": np.array([1.0, 1, 1, 0])}).with_unknown("l2")
    assert one.value("kept_precision") == pytest.approx(1 / 3) and one.value("kept_recall") == pytest.approx(1 / 2)
    assert np.isnan(case(gold, labels=3, scores=np.eye(3)[answers]).with_unknown("l2").value("kept_precision"))


def test_change_of_confidence_needs_a_source_model(drawn):
    one = drawn(confidence_change=np.linspace(-1, 1, 80))
    _, unknown, _ = parts(one)
    assert one.value("auroc_change") == pytest.approx(roc_auc_score(~unknown, np.linspace(-1, 1, 80)))
    assert np.isnan(drawn().value("auroc_change")) and np.isnan(drawn(confidence_change=np.full(80, np.nan)).value("auroc_change"))


def test_right_answers_against_all_others(drawn):
    change = np.random.default_rng(5).normal(size=80)
    one = drawn(2, confidence_change=change)
    scores, _, right = parts(one)
    assert one.value("auroc_right") == pytest.approx(roc_auc_score(right, scores))
    assert one.value("auroc_right_change") == pytest.approx(roc_auc_score(right, change))


@pytest.mark.parametrize("name", ["auroc", "oscr", "fpr95"])
def test_all_known_is_undefined(case, name):
    assert np.isnan(case([0, 1], labels=3, scores=np.eye(3)[:2]).with_unknown("l2").value(name))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_both_sides_of_the_pairs_have_one_mean(higher, lower):
    won, lost = pairwise(np.array(higher, float), np.array(lower, float))
    assert won.mean() == pytest.approx(lost.mean())


def test_the_projection_has_delongs_variance(drawn):
    """Bootstrapped from the stored statistics, AUROC spreads as it does when pairs are ranked anew."""
    one = drawn(3, n=400)
    scores, unknown, _ = parts(one)
    rng, table = np.random.default_rng(0), one.statistics("auroc")
    draws = rng.integers(0, 400, (300, 400))
    projected = [get("auroc").value(table[draw].sum(axis=0)) for draw in draws]
    anew = [roc_auc_score(~unknown[draw], scores[draw]) for draw in draws]
    assert np.std(projected) == pytest.approx(np.std(anew), rel=0.1)
    assert np.corrcoef(projected, anew)[0, 1] > 0.98


def test_stored_records_give_every_score_again(drawn):
    one = drawn(1, round=np.repeat([0.0, 1.0], 40), kept=np.tile([0.0, 1.0], 40), confidence_change=np.linspace(0, 1, 80))
    one.task.metrics = ("known_accuracy", "auroc", "auroc_change", "accuracy_drift", "kept_precision")
    again = predictions_of(records_of(one.predictions, tuple(one.rows), one.task), one.task)
    for name in one.task.metrics:
        metric = get(name)
        assert float(metric.value(metric.statistics(again, one.rows, one.task).sum(axis=0))) == pytest.approx(one.value(name), rel=1e-12)
