"""docs/configuration.md against the code: its suites validate, its tables name every key, option, protocol and verb, its calls exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import harness
from harness import api, protocol_files
from harness.cli.run import run
from harness.cli.store import store
from harness.suite import MethodSpec, SeedSpec, Suite, load_suite
from harness.training import UNITS

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
SUITES = re.findall(r"```yaml\n(suite:.*?)```", PAGE, re.DOTALL)
ROWS = {name for line in PAGE.splitlines() if line.startswith("| ") for name in re.findall(r"`([\w-]+)`", line.split(" | ")[0])}


@pytest.mark.parametrize("text", SUITES, ids=[text.split()[1] for text in SUITES])
def test_every_suite_on_the_page_validates(text: str, tmp_path: Path) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text(text, encoding="utf-8")
    suite = load_suite(file)
    assert f"suite: {suite.suite}" in text and suite.seeds.numbers
    for method in (spec for grid in suite.grids for spec in grid.methods):
        from harness import catalog

        assert {*method.config, *method.grid} <= set(catalog.find("method", method.name).settings)


def test_the_page_has_its_examples() -> None:
    assert len(SUITES) == 4


def test_every_key_is_in_a_table() -> None:
    assert set(Suite.model_fields) <= ROWS
    assert set(MethodSpec.model_fields) <= ROWS
    assert all(f"`{name}`" in PAGE or f"{name}:" in PAGE for name in SeedSpec.model_fields)
    assert set(protocol_files.names()) <= ROWS
    assert all(f"{{{unit}:" in PAGE for unit in UNITS)


@pytest.mark.parametrize("key", [name for name, field in Suite.model_fields.items() if not field.is_required()])
def test_defaults_are_the_codes(key: str) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{key}` |")]
    said = row.split("|")[-2].strip().strip("`")
    suite = Suite.model_validate({"suite": "s", "question": "?", "backbones": "b", "methods": "m", "tasks": "t"})
    value = suite.model_dump()[key]
    short = {"seeds": lambda: len(value["numbers"]), "shots": lambda: value[0], "selections": lambda: value[0]["name"]}
    value = short.get(key, lambda: value)()
    shown = {"[method]": ["method"], "[1000]": [1000], "{}": {}, "none": None, "all": None}.get(said, said)
    assert value == shown or str(value) == said, (said, value)


def test_every_option_of_run_is_on_the_page() -> None:
    names = {name.replace("_", "-").strip("-") for name in run.__annotations__ if name not in ("suite", "return", "quiet")}
    missing = {name for name in names if f"--{name}" not in PAGE}
    assert missing <= {"store"}, missing


def test_every_store_verb_is_on_the_page() -> None:
    verbs = {command.callback.__name__ for command in store.registered_commands if command.callback is not None}
    assert {verb for verb in verbs if f"harness store {verb} " not in PAGE} == set()


def test_the_python_example_runs(suite_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's own lines, with a small suite in place of the shipped one."""
    (code,) = re.findall(r"```python\n(import harness\n.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    code = code.replace('"quickstart"', repr(str(suite_file(methods=["prompt-tuning"]))))
    first, rest = code.split("harness.predict(")
    names: dict[str, object] = {}
    exec(first, names)
    results = names["results"]
    assert len(results.trials) == 3  # type: ignore[attr-defined]
    trial = results.trials["trial_id"].iloc[0]  # type: ignore[attr-defined]
    exec("answer = harness.predict(" + rest.replace("3fa9c1", trial), names)
    assert len(names["answer"].ids) == 1  # type: ignore[attr-defined]


def test_the_names_of_the_api_exist() -> None:
    for name in re.findall(r"`harness\.(\w+)\(", PAGE):
        assert name in harness.__all__ and hasattr(api, name)


def test_variables_of_the_environment_are_read_somewhere() -> None:
    root = Path(harness.__file__).parent
    source = "\n".join(
        file.read_text(encoding="utf-8")
        for place in (root, root.parent / "tasks")
        for file in place.rglob("*.*")
        if file.suffix in (".py", ".yaml")
    )
    for name in re.findall(r"^\| `([A-Z_]+)", PAGE, re.MULTILINE):
        assert name in source, name
