"""What an answer depends on beside the question: weights, tokenizer, rows, source, versions, device. This makes a run_key."""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness.backbones.describe import BackboneInfo, describe
from harness.catalog import cache_folder
from harness.identity import canonical, digest, digest_file, digest_rows, digest_source
from harness.task import Task
from harness.trial import NUMERICS, SCORER, Trial

LIBRARIES = ("torch", "transformers", "tokenizers", "peft", "numpy", "scikit-learn")


def versions() -> dict[str, str | None]:
    """Versions of the libraries whose arithmetic or text handling an answer depends on."""
    found: dict[str, str | None] = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


class Depends:
    """Facts that many trials share, gathered once; `run_key(trial)` and, by run_key, what went into it."""

    def __init__(self, *, device: str, threads: int, fetch: bool = True) -> None:
        self.fetch = fetch  # whether hub files that are not here yet may be downloaded
        self.common = {
            "device": device.split(":")[0],
            "threads": threads,
            "numerics": NUMERICS,
            "scorer": SCORER,
            "versions": versions(),
            "stack": 1,
        }
        self.by_key: dict[str, dict[str, Any]] = {}
        self._backbones: dict[str, BackboneInfo] = {}
        self._rows: dict[str, str] = {}

    def backbone(self, spec: Mapping[str, Any]) -> BackboneInfo:
        key = canonical(spec)
        if key not in self._backbones:
            self._backbones[key] = describe(spec, fetch=self.fetch)
        return self._backbones[key]

    def rows(self, task: Task) -> str:
        """Digest of all rows, templates and labels of a task."""
        key = canonical([task.name, task.config])
        if key not in self._rows:
            self._rows[key] = task_digest(task)
        return self._rows[key]

    def run_key(self, trial: Trial, task: Task, method: type) -> str:
        facts = {
            **self.common,
            "backbone": self.backbone(trial.backbone).identity,
            "task": self.rows(task),
            "method_source": digest_source(method),
            "precision": trial.precision,
        }
        key = trial.run_key(facts)
        self.by_key[key] = facts
        return key


def task_digest(task: Task) -> str:
    """Digest of a task's content. Procedural rows take a second to make, so their digest is remembered by the source that makes them."""
    source = _source_of(task)
    memory = _remembered()
    key = digest([source, task.identity])
    if key not in memory:
        published = task.dev_rows()
        parts = [digest_rows(task.pool()), digest_rows(task.test()), digest_rows(published) if published is not None else None]
        memory[key] = digest([*parts, task.identity])
        _remember(memory)
    return memory[key]


def _source_of(task: Task) -> Any:
    """What procedural rows can depend on: every module of the package the task's class lives in; for file tasks, the files' states."""
    files = getattr(task, "source_files", None)
    if files is not None:
        return [[str(file), os.stat(file).st_mtime_ns, os.stat(file).st_size] for file in files]
    return [digest_source(type(task)), _package_digest(type(task).__module__)]


@functools.cache
def _package_digest(module: str) -> str:
    import inspect
    import sys

    folder = Path(inspect.getfile(sys.modules[module])).parent
    return digest([[str(file.relative_to(folder)), digest_file(file)] for file in sorted(folder.rglob("*.py"))])


def _remembered() -> dict[str, str]:
    try:
        data = json.loads((cache_folder() / "rows.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return data if isinstance(data, dict) else {}


def _remember(memory: Mapping[str, str]) -> None:
    """Best effort: a cache folder that cannot be written only costs time."""
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cache_folder(), delete=False, encoding="utf-8") as file:
            json.dump(dict(memory), file)
        os.replace(file.name, cache_folder() / "rows.json")
    except OSError:
        return
