"""The tool of docs/add-a-tool.md, taken from the page: listed, shown, called as a verb, and its claim judged."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from inspect import signature
from pathlib import Path

import pytest
from harness.reports.claims.judge import judge
from harness.reports.claims.known import known_claims

from harness import catalog, registry
from harness.catalog.lookup import PATHS
from harness.cli import main, verbs
from harness.cli.verbs import Verb

PAGE = (Path(__file__).parents[2] / "docs" / "add-a-tool.md").read_text(encoding="utf-8")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The page's file, found as `--entries` finds it; its module's name."""
    ((name, text),) = re.findall(r"```python file=(\S+)\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "mine" / name
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    monkeypatch.setenv(PATHS, os.environ.get(PATHS, ""))  # put back afterwards
    catalog.use(file)
    catalog.load("tool", "long-templates")
    found = catalog.find("tool", "long-templates").module
    assert found is not None
    yield found
    monkeypatch.undo()
    registry._registered.pop(("tool", "long-templates"), None)
    catalog.refresh()


def test_it_is_listed_and_shown(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "tools"]) == 0
    assert "tool\tlong-templates\tLong templates: which templates" in capsys.readouterr().out
    assert main(["show", "long-templates"]) == 0
    assert "harness long-templates PATH" in capsys.readouterr().out


def test_it_is_a_verb(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (entry,) = re.findall(r'^long-templates = "my_package.long_templates:(\w+)"$', PAGE, re.MULTILINE)
    monkeypatch.setattr(verbs, "foreign", lambda: {"long-templates": Verb(f"{module}:{entry}")})
    file = tmp_path / "task.yaml"
    file.write_text("task: t\ntemplates:\n  a: 'it was {{ answer }}'\n  b: 'all things considered, it was {{ answer }}'\n")
    assert main(["long-templates", str(file), "--longest", "3"]) == 1
    assert capsys.readouterr().out == f"{file}:4: 5 words\n"
    assert main(["long-templates", str(file)]) == 0 and main(["long-templates", "nowhere.yaml"]) == 2


def test_its_claim_is_judged(module: str) -> None:
    (known,) = known_claims(["long-templates"])
    assert judge(known).result == "holds"


def test_every_argument_of_the_decorator_is_on_the_page() -> None:
    assert {name for name in signature(registry.tool).parameters if name not in PAGE} == set()
