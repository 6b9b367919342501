"""What docs/scenes.md says: its code runs, and its tables name what is there."""

from __future__ import annotations

import re
from pathlib import Path

from harness.tasks.scenes.corruptions import CORRUPTIONS
from harness.tasks.scenes.scene import COLOURS, RELATIONS, SHAPES, SIZES, TEXTURES, held_out
from harness.tasks.scenes.styles import STYLES

from harness import catalog

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "scenes.md").read_text(encoding="utf-8")


def test_the_code_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    assert getattr(names["image"], "shape", None) == (32, 32, 3)


def test_words_are_named() -> None:
    for name in (*SHAPES, *TEXTURES, *SIZES, *RELATIONS, *STYLES, *CORRUPTIONS):
        assert re.search(rf"\b{name}\b", PAGE), name
    assert len(COLOURS) == 8 and sum(held_out(shape, colour) for shape in SHAPES for colour in COLOURS) == 20


def test_tasks_are_named() -> None:
    files = ("scene_things.py", "scene_layout.py", "scene_shifts.py", "digits.py", "cifar10_local.py")
    found = {entry.name for entry in catalog.entries("task") if entry.file.name in files}
    for name in found:
        assert f"`{name}`" in PAGE, name
    for name in re.findall(r"`((?:scene|digits|cifar10)[a-z0-9-]*)`", PAGE):
        assert name in found, name
    labels = {name: len(catalog.load("task", name).labels) for name in found}
    for cells, classes in re.findall(r"^\| (`(?:scene|digits|cifar10).*?) \| ([\d, ]+) \|", PAGE, re.MULTILINE):
        names, numbers = re.findall(r"`([^`]+)`", cells), [int(number) for number in classes.split(",")]
        assert [labels[name] for name in names] == (numbers if len(numbers) > 1 else numbers * len(names))


def test_the_sheet_is_there_and_small() -> None:
    assert 10_000 < (DOCS / "pictures" / "scenes.png").stat().st_size < 150_000
