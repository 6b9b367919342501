"""The method of docs/add-a-method.md, taken from the page: found, planned, run beside another, and put through the generic matrix."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import api, catalog
from harness.catalog.lookup import PATHS
from harness.gradient import GradientMethod
from harness.method import Method

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-a-method.md").read_text(encoding="utf-8")


@pytest.fixture
def example(tmp_path: Path, suite_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's file, found as `--entries` finds it (after `suite_file`, which has entries of its own)."""
    ((name, text),) = re.findall(r"```python file=(\S+)\n(.*?)```", PAGE, re.DOTALL)
    folder = tmp_path / "mine"
    folder.mkdir()
    file = folder / name
    file.write_text(text, encoding="utf-8")
    monkeypatch.setenv(PATHS, os.environ.get(PATHS, ""))  # put back afterwards
    catalog.use(file)
    yield file
    monkeypatch.undo()
    catalog.refresh()


def test_it_is_one_file_of_40_to_80_lines(example: Path) -> None:
    assert 40 <= len(example.read_text(encoding="utf-8").splitlines()) <= 80


def test_it_runs_against_another_method(example: Path, suite_file: Callable[..., Path], tmp_path: Path) -> None:
    suite = suite_file(methods=["prompt-tuning", {"name": "word-mixture", "config": {"length": 4}}])
    session = api.run_session(suite, store=tmp_path / "store", workers=0, device="cpu")
    assert [done.status for done in session.outcomes.values()] == ["ok"] * 4, [done.reason for done in session.outcomes.values()]
    trials = api.load_results(tmp_path / "store").trials
    assert set(trials["arm"]) == {"prompt-tuning", "word-mixture"}
    assert set(trials.loc[trials["arm"] == "word-mixture", "trainable_parameters"]) == {4 * 64}


def test_it_shows_settings_without_importing(example: Path) -> None:
    found = catalog.find("method", "word-mixture")
    assert {"length", "words", "lean", "learning_rate", "steps"} <= set(found.settings)
    assert tuple(found.declared["needs"]) == ("prompt_injection",)


def test_the_generic_matrix_passes(example: Path) -> None:
    """The very command of the page."""
    command = [sys.executable, "-m", "pytest", "tests/methods", "-k", "word-mixture", "-p", "no:cacheprovider", "-rA"]
    environment = {**os.environ, PATHS: str(example.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) >= 4, done.stdout[-500:]  # three families, and that seeds matter


def test_every_declared_attribute_is_on_the_page() -> None:
    names = {name for name in (*Method.__annotations__, *GradientMethod.__annotations__) if name not in ("entry", "protocols")}
    declared = names - set(GradientMethod.settings)
    assert {name for name in declared if f"`{name}`" not in PAGE} == set()
    for base in re.findall(r"`(harness\.[\w.]+\.[A-Z]\w+)`", PAGE):
        module, _, name = base.rpartition(".")
        assert hasattr(__import__(module, fromlist=[name]), name), base
