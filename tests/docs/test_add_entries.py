"""The wrapper, the selection and the probe of their pages, taken from there: found, planned and run; and what the pages list."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import api, safe_yaml
from harness.catalog.lookup import PATHS
from harness.hooks import Events
from harness.registry import EVENTS
from harness.selection import Learner, Selection

from .bench import ROOT, entry_of, text_of

SuiteFile = Callable[..., Path]


def blocks(page: str) -> list[Any]:
    return [safe_yaml.parse_value(text) for text in re.findall(r"```yaml\n(.*?)```", text_of(page), re.DOTALL)]


def matrix(folder: Path, tests: str, word: str) -> str:
    """The very command of the page."""
    command = [sys.executable, "-m", "pytest", tests, "-k", word, "-p", "no:cacheprovider", "-rA"]
    environment = {**os.environ, PATHS: str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_the_wrapper_of_the_page_runs_and_its_suite_plans(suite_file: SuiteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with entry_of("add-a-wrapper.md", tmp_path / "mine", monkeypatch) as file:
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 60
        (keys,) = blocks("add-a-wrapper.md")
        arms = {cell.arm for cell in api.plan(suite_file(seeds=1, **keys), device="cpu").cells}
        assert arms == {
            *("lora", "stay-close over lora", "close", "stay-close over bitfit", "stay-close over prompt-tuning"),
            *("stay-close over lora over.lora.rank=2", "stay-close over lora over.lora.rank=8", "stay-close over stay-close over lora"),
        }
        suite = suite_file("run", methods=["bitfit", {"name": "stay-close", "config": {"weight": 0, "over": "bitfit"}}], seeds=1)
        session = api.run_session(suite, store=tmp_path / "store", workers=0, device="cpu")
        assert [done.status for done in session.outcomes.values()] == ["ok"] * 2
        assert api.load_results(tmp_path / "store").trials["score"].nunique() == 1


def test_the_wrapper_of_the_page_passes_the_generic_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with entry_of("add-a-wrapper.md", tmp_path / "mine", monkeypatch) as file:
        assert "passed" in matrix(file.parent, "tests/methods/test_matrix.py", "stay-close and masked_lm-classification")


def test_the_selection_of_the_page_runs_and_its_suite_plans(suite_file: SuiteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with entry_of("add-a-selection.md", tmp_path / "mine", monkeypatch):
        (keys,) = blocks("add-a-selection.md")
        cells = api.plan(suite_file(seeds=1, **keys), device="cpu").cells
        assert [cell.arm for cell in cells] == ["none", "all", "rs2 ratio=0.1", "easy"]
        suite = suite_file("run", methods=["bitfit"], selections=[{"name": "easy-first", "ratio": 0.5}], dev=2, seeds=1)
        session = api.run_session(suite, store=tmp_path / "store", workers=0, device="cpu")
        assert [(done.status, done.reason) for done in session.outcomes.values()] == [("ok", None)]


def test_the_selection_of_the_page_passes_the_generic_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with entry_of("add-a-selection.md", tmp_path / "mine", monkeypatch) as file:
        assert "1 passed" in matrix(file.parent, "tests/methods/test_selections.py", "easy-first")


def test_the_probe_of_the_page_measures(suite_file: SuiteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with entry_of("add-a-probe.md", tmp_path / "mine", monkeypatch):
        (keys,) = blocks("add-a-probe.md")
        session = api.run_session(suite_file(seeds=1, **keys), store=tmp_path / "store", workers=0, device="cpu")
        assert [(done.status, done.reason) for done in session.outcomes.values()] == [("ok", None)]
        trials = api.load_results(tmp_path / "store").trials
        assert 0.5 <= trials["probe:confidence"].iloc[0] <= 1 and 0 < trials["probe:density"].iloc[0] <= 1


def test_every_event_setting_and_question_is_on_its_page() -> None:
    wrapper, selection = text_of("add-a-wrapper.md"), text_of("add-a-selection.md")
    assert {event for event in EVENTS if f"| `{event}` |" not in wrapper} == set()
    assert {name for name in vars(Events) if not name.startswith("_") and f"`{name}" not in wrapper} == set()
    assert {name for name in Selection.settings if f"`{name}" not in selection} == set()
    assert {name for name in vars(Learner) if not name.startswith("_") and f"`{name}(" not in selection} == set()
