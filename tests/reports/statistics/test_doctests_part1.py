"""The examples in the docstrings run and print what they say."""

import doctest
import importlib

import pytest

MODULES = [
    "adjust", "aso", "bootstrap", "bootstrap_pairs", "components", "draws", "effects", "examples", "intervals", "next_sample", "paired",
    "rank_tests", "reml", "resample", "result", "summaries", "t_tests",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"harness.reports.statistics.{name}"))
    assert found.failed == 0
    assert found.attempted > 0 or name == "draws"
