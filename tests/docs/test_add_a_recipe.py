"""The recipe and the preparation of docs/add-a-recipe.md and docs/add-a-preparation.md, taken from the pages and run in suites."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import api, catalog
from harness.artifact_store import folders, read
from harness.artifacts import Inputs, Producer, Recipe
from harness.catalog.lookup import PATHS
from harness.errors import InputError
from harness.store import Store

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / f"add-a-{name}.md").read_text(encoding="utf-8") for name in ("recipe", "preparation")}


@pytest.fixture
def example(tmp_path: Path, suite_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """A page's file, found as `--entries` finds it."""
    monkeypatch.setenv(PATHS, os.environ.get(PATHS, ""))  # put back afterwards

    def use(page: str) -> Path:
        ((name, text),) = re.findall(r"```python file=(\S+)\n(.*?)```", PAGES[page], re.DOTALL)
        folder = tmp_path / "mine"
        folder.mkdir()
        (folder / name).write_text(text, encoding="utf-8")
        catalog.use(folder / name)
        return folder / name

    yield use
    monkeypatch.undo()
    catalog.refresh()


def test_the_recipes_product_is_a_backbone_of_a_suite(
    example: Any, suite_file: Any, run: Any, backbone_folder: Any, tmp_path: Path
) -> None:
    assert len(example("recipe").read_text().splitlines()) <= 60
    base = str(backbone_folder("masked_lm"))
    cut = {"recipe": "first-layers", "config": {"base": base, "keep": 1}}
    session = run(suite_file(backbones=[base, cut], arms=["backbone"], methods=["zero-shot"], seeds=1))
    assert {done.status for done in session.outcomes.values()} == {"ok"}, session.outcomes
    (stored,) = [read(folder) for folder in folders(Store(tmp_path / "store"))]
    assert stored is not None and stored.result["facts"]["notes"] == {"dropped_layers": 1}
    assert {cell.arm for cell in session.plan.cells} == {"random-masked_lm", f"first-layers base={base} keep=1"}
    too_many = {"recipe": "first-layers", "config": {"base": base, "keep": 9}}
    failed = run(suite_file(name="more", backbones=[too_many], methods=["zero-shot"], seeds=1))
    assert "has 2 layers" in str(next(iter(failed.made.values())).reason)


def test_the_recipe_by_itself(example: Any, backbone_folder: Any, tmp_path: Path) -> None:
    """The very command of the page."""
    folder = example("recipe").parent
    out = tmp_path / "one-layer"
    line = [
        sys.executable,
        "-m",
        "harness.cli",
        "pretrain",
        "first-layers",
        "--set",
        "keep=1",
        "--set",
        f"base={backbone_folder('masked_lm')}",
    ]
    done = subprocess.run([*line, "--entries", str(folder), "-o", str(out)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    from harness.backbones.load import load

    assert load({"folder": str(out / "model")}).layers == 1


def test_the_preparation_is_made_once_for_its_trials(example: Any, suite_file: Any, run: Any, tmp_path: Path) -> None:
    assert len(example("preparation").read_text().splitlines()) <= 80
    start = {"mean-prompt": {"sources": ["first-word-class"], "length": 4, "steps": 3, "rows": 4}}
    warm = {"name": "warm-prompt", "config": {"start": start, "length": 4}}
    session = run(suite_file(methods=["prompt-tuning", warm], seeds=1))
    assert {done.status for done in session.outcomes.values()} == {"ok"}, session.outcomes
    assert len(session.made) == 1
    with pytest.raises(InputError, match="holds 100%"):
        leak = {"name": "warm-prompt", "config": {"start": {"mean-prompt": {"sources": ["word-parity"]}}}}
        api.plan(suite_file(methods=[leak]), device="cpu")
    (cell,) = api.plan(suite_file(methods=["warm-prompt"], seeds=1), device="cpu").cells
    assert "needs `start:" in str(cell.unsupported)


def test_the_pages_name_everything_there_is() -> None:
    text = "".join(PAGES.values())
    for name in (*Inputs.__dataclass_fields__, *(n for n in vars(Producer) if not n.startswith("_") and n not in ("entry", "settings"))):
        assert f"`{name}" in text, name
    assert "`last_step()`" in text and "family" in text and hasattr(Recipe, "build")
