"""The examples in the docstrings of the report's modules run."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ("analysis.bounds", "analysis.digits", "exports", "html.data", "html.view", "svg")


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"harness.reports.{name}"))
    assert found.attempted and not found.failed
