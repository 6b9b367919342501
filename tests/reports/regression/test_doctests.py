"""The examples in the docstrings run and print what they say."""

import doctest
import importlib

import pytest

MODULES = ["gates", "margins", "markdown", "verdicts", "wording"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"harness.reports.regression.{name}"))
    assert found.failed == 0 and found.attempted > 0
