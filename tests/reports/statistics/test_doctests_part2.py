"""The examples in the docstrings of the modules on many methods, planning and histories."""

import doctest
import importlib

import numpy as np
import pytest

STATISTICS = (
    "ranks rank_intervals agreement aggregate pairwise friedman multitask cliques bayes hierarchical bradley_terry power sequential budget "
    "templates missing"
)
REGRESSION = "segmentation changepoints limits"


@pytest.mark.parametrize(
    "name", [f"statistics.{name}" for name in STATISTICS.split()] + [f"regression.{name}" for name in REGRESSION.split()]
)
def test_examples_run(name: str) -> None:
    module = importlib.import_module(f"harness.reports.{name}")
    found = doctest.testmod(module, extraglobs={"np": np})
    assert found.attempted and not found.failed
