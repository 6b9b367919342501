"""benchmarks/page.py: what it makes of the browser's marks."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks_page", Path(__file__).parents[2] / "benchmarks" / "page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


MARKS = {"navigationStart": 5_000, "domInteractive": 5_120, "domContentLoadedEventEnd": 5_180, "loadEventEnd": 5_200}


def test_marks_are_taken_from_the_start_of_the_navigation(page: ModuleType) -> None:
    found = page.read_timing({**MARKS, "paints": {"first-paint": 80.0, "first-contentful-paint": 96.5}})
    assert (found.interactive, found.content, found.load, found.paint) == (120.0, 180.0, 200.0, 96.5)
    assert page.read_timing({**MARKS, "paints": {"first-paint": 80.0}}).paint == 80.0
    assert page.read_timing({**MARKS, "paints": {}}).paint is None


@pytest.mark.parametrize("missing", ["domInteractive", "loadEventEnd", "navigationStart"])
def test_a_page_that_has_not_loaded_is_no_measurement(page: ModuleType, missing: str) -> None:
    with pytest.raises(ValueError, match="not finished loading"):
        page.read_timing({**MARKS, missing: 0, "paints": {}})


def test_the_first_opening_stands_apart(page: ModuleType) -> None:
    later = [page.Opening(100.0, 110.0, load, 90.0) for load in (120.0, 150.0, 130.0)]
    text = page.table(page.Opening(300.0, 310.0, 400.0, None), later, load=0.5)
    assert "| load | 400 | 130 | 120 to 150 |" in text and "| first contentful paint | – | 90 | 90 to 90 |" in text
    assert "4 openings, load of the machine 0.5" in text
