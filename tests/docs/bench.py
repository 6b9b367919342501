"""The code of a page, written where `--entries` finds it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import catalog
from harness.catalog.lookup import PATHS

ROOT = Path(__file__).parents[2]


def text_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


@contextmanager
def entry_of(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's one Python file, to be found within the block (to be entered after `suite_file`, which has entries of its own)."""
    ((name, text),) = re.findall(r"```python file=(\S+)\n(.*?)```", text_of(page), re.DOTALL)
    folder.mkdir()
    file = folder / name
    file.write_text(text, encoding="utf-8")
    monkeypatch.setenv(PATHS, os.environ.get(PATHS, ""))
    catalog.use(file)
    try:
        yield file
    finally:
        monkeypatch.undo()
        catalog.refresh()
