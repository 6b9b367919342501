"""Our metrics as `evaluate` modules, offline."""

from __future__ import annotations

import pytest

from harness.errors import InputError
from harness.metrics import as_evaluate_module, get, names
from harness.metrics.lookup import MODULES

CLASSES, TEXTS, NUMBERS = ([0, 1, 1, 2], [0, 1, 2, 2]), (["a b c", "d"], ["a b x", "d"]), ([0.5, 1.5, 3.0], [1.0, 2.0, 3.0])


@pytest.fixture(autouse=True)
def no_loading(monkeypatch):
    evaluate = pytest.importorskip("evaluate")
    monkeypatch.setattr(evaluate, "load", lambda *_, **__: pytest.fail("evaluate.load was called"))


@pytest.mark.parametrize("name", MODULES["open_set"])
def test_metrics_of_streams_are_not_exported(name):
    with pytest.raises(InputError, match="needs a task"):
        as_evaluate_module(name)


@pytest.mark.parametrize("name", [name for name in names() if name not in MODULES["open_set"]])
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
