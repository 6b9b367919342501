"""Our metrics as `evaluate` modules, offline."""

from __future__ import annotations

import pytest

from harness.metrics import as_evaluate_module, get, names

CLASSES, TEXTS, NUMBERS = ([0, 1, 1, 2], [0, 1, 2, 2]), (["a b c", "d"], ["a b x", "d"]), ([0.5, 1.5, 3.0], [1.0, 2.0, 3.0])


@pytest.fixture(autouse=True)
def no_loading(monkeypatch):
    evaluate = pytest.importorskip("evaluate")
    monkeypatch.setattr(evaluate, "load", lambda *_, **__: pytest.fail("evaluate.load was called"))


@pytest.mark.parametrize("name", names())
def test_every_metric_is_exported(name):
    module = get(name).__module__.rpartition(".")[2]
    predictions, references = {"regression": NUMBERS, "text": TEXTS, "overlap": TEXTS}.get(module, CLASSES)
    if module == "probability":
        predictions = [[0.0, 1.0, 2.0], [2.0, 0.0, 1.0], [0.1, 0.2, 0.3], [0.0, 0.0, 5.0]]
    exported = as_evaluate_module(name)
    result = exported.compute(predictions=predictions, references=references)
    assert set(result) == {name} and isinstance(result[name], float) and result[name] == result[name]
    assert exported.description


def test_it_gives_the_known_number():
    assert as_evaluate_module("accuracy").compute(predictions=[0, 1, 1], references=[0, 1, 0]) == {"accuracy": pytest.approx(2 / 3)}
