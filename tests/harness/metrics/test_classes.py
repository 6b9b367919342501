"""Metrics of classes and probabilities against scikit-learn."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from harness.errors import InputError
from harness.metrics import get, score, values
from harness.predictions import Predictions

NAMES = ("accuracy", "balanced_accuracy", "f1_micro", "f1_macro", "f1", "mcc", "nll", "brier", "calibration_error")


def sklearn_value(name: str, gold: np.ndarray, scores: np.ndarray) -> float:
    predicted, classes = scores.argmax(1), scores.shape[1]
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "accuracy": lambda: reference.accuracy_score(gold, predicted),
            "balanced_accuracy": lambda: reference.balanced_accuracy_score(gold, predicted),
            "f1_micro": lambda: reference.f1_score(gold, predicted, average="micro"),
            "f1_macro": lambda: reference.f1_score(gold, predicted, average="macro"),
            "f1": lambda: reference.f1_score(gold == classes - 1, predicted == classes - 1),
            "mcc": lambda: reference.matthews_corrcoef(gold, predicted),
            "nll": lambda: reference.log_loss(gold, shares, labels=range(classes)),
            "brier": lambda: np.mean(((shares - np.eye(classes)[gold]) ** 2).sum(1)),
            "calibration_error": lambda: binned_error(gold, predicted, shares.max(1)),
        }[name]()


def binned_error(gold: np.ndarray, predicted: np.ndarray, confidence: np.ndarray) -> float:
    """ECE by its definition, one bin after the other."""
    total, edges = 0.0, np.linspace(0, 1, 16)
    for low, high in itertools.pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - (gold == predicted)[inside].mean())
    return total


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_equal_to_sklearn(case, name, classes):
    rng = np.random.default_rng(classes)
    gold, scores = rng.integers(classes, size=200), rng.normal(size=(200, classes)) * 3
    assert case(list(map(int, gold)), labels=classes, scores=scores).value(name) == pytest.approx(
        sklearn_value(name, gold, scores), abs=1e-12
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_weighted_sums_equal_repeated_data(case, data, name):
    size, classes = data.draw(st.integers(2, 12)), data.draw(st.integers(2, 4))
    whole = st.lists(st.integers(0, classes - 1), min_size=size, max_size=size)
    gold, best = np.array(data.draw(whole)), data.draw(whole)
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size).filter(any)))
    scores = np.eye(classes)[best] * 2 + np.random.default_rng(size).normal(size=(size, classes)) * 0.1
    mine = case([int(g) for g in gold], labels=classes, scores=scores).value(name, weights)
    again = np.repeat(np.arange(size), weights)
    other = case([int(g) for g in gold[again]], labels=classes, scores=scores[again]).value(name)
    assert mine == pytest.approx(other, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("name", ["mcc", "f1"])
def test_undefined_is_none_and_says_why(case, name):
    one = case([0, 0, 0], labels=2, scores=np.array([[1.0, 0.0]] * 3))
    assert score(name, one.predictions, one.rows, one.task) is None
    assert "class" in get(name).undefined or "label" in get(name).undefined


def test_a_class_that_nobody_names_does_not_count(case):
    one = case([0, 1], labels=3, scores=np.eye(3)[[0, 1]])
    assert one.value("f1_macro") == one.value("balanced_accuracy") == 1.0


def test_the_positive_label_may_be_declared(case):
    one = case([0, 0, 1], labels=2, scores=np.eye(2)[[0, 1, 1]])
    assert one.value("f1") == pytest.approx(2 / 3)
    one.task.positive = "l0"
    assert one.value("f1") == pytest.approx(2 / 3)
    one.task.positive = "nobody"
    with pytest.raises(InputError, match="nobody"):
        one.value("f1")


def test_padded_choices_have_no_probability(case):
    one = case([0, 1], scores=np.array([[2.0, 1.0, 0.0], [0.0, 1.0, -np.inf]]))
    assert one.value("nll") == pytest.approx(np.mean([np.log(1 + np.exp(-1) + np.exp(-2)), np.log(1 + np.exp(-1))]))


def test_rows_of_other_examples_are_refused(case):
    one = case([0, 1], labels=2, scores=np.eye(2))
    with pytest.raises(InputError, match="not those"):
        score("accuracy", one.predictions, one.rows[::-1], one.task)
    with pytest.raises(InputError, match="no label scores"):
        score("nll", Predictions(("0", "1"), texts=("a", "b")), one.rows, one.task)


def test_an_unknown_metric_names_its_neighbour():
    with pytest.raises(InputError, match="did you mean accuracy"):
        get("acuracy")


def test_several_at_once(case):
    one = case([0, 1], labels=2, scores=np.eye(2))
    assert values(["accuracy", "mcc"], one.predictions, one.rows, one.task) == {"accuracy": 1.0, "mcc": 1.0}


@pytest.mark.parametrize("name", ["accuracy", "nll", "brier", "mse", "exact_match", "rouge_l"])
def test_a_mean_is_column_0_over_ones(case, name):
    answers = {"mse": {"values": np.array([0.5, 2.0])}, "exact_match": {"texts": ("a", "b")}, "rouge_l": {"texts": ("a", "b")}}
    targets = ["a", "c"] if "texts" in answers.get(name, {}) else [0, 1]
    one = case(targets, labels=2, **answers.get(name, {"scores": np.array([[0.1, 0.2], [0.3, 0.4]])}))
    table = one.statistics(name)
    assert get(name).mean and (table[:, 1] == 1).all() and one.value(name) == pytest.approx(table[:, 0].mean())


def test_accuracy_norm_divides_by_the_length_of_choices():
    from harness.registry import Entry
    from harness.task import Row, Task

    task = type("T", (Task,), {"entry": Entry("task", "t"), "kind": "choice"})()
    rows = [Row("0", {"choices": ["yes", "certainly not"]}, 1), Row("1", {"choices": ["a", "bb", "c"]}, 0)]
    predictions = Predictions(("0", "1"), scores=np.array([[-3.0, -4.0, -np.inf], [-1.0, -1.5, -2.0]]))
    assert score("accuracy", predictions, rows, task) == 0.5 and score("accuracy_norm", predictions, rows, task) == 0.5
    assert get("accuracy_norm").statistics(predictions, rows, task)[:, 0].tolist() == [1.0, 0.0]
