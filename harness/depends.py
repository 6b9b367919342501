"""What an answer depends on beside the question: weights, tokenizer, rows, source, versions, device. This makes a run_key."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness import catalog
from harness.artifact_graph import Graph, made_info
from harness.artifacts import kind_of
from harness.backbones.describe import BackboneInfo, describe
from harness.catalog import cache_folder
from harness.formats import Format, is_format
from harness.identity import canonical, digest, digest_package, digest_rows, digest_source
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

    def __init__(self, *, device: str, threads: int, fetch: bool = True, deterministic: bool = True) -> None:
        self.fetch = fetch  # whether hub files that are not here yet may be downloaded
        self.common = {
            "device": device.split(":")[0],
            "threads": threads,
            "numerics": NUMERICS,
            "scorer": SCORER,
            "versions": versions(),
            "stack": 1,
        }
        if not deterministic and self.common["device"] == "cuda":
            self.common["deterministic"] = False
        self.by_key: dict[str, dict[str, Any]] = {}
        self._backbones: dict[str, BackboneInfo] = {}
        self._rows: dict[str, str] = {}
        self._sources: dict[type, str] = {}
        self.graph = Graph(self)  # of the artifacts that trials refer to

    def backbone(self, spec: Mapping[str, Any]) -> BackboneInfo:
        """What `spec` names; of a recipe's product, which may not be made yet, what the recipe declares."""
        key = canonical(spec)
        if key not in self._backbones:
            self._backbones[key] = made_info(spec) if kind_of(spec) == "recipe" else describe(spec, fetch=self.fetch)
        return self._backbones[key]

    def rows(self, task: Task) -> str:
        """Digest of all rows, templates and labels of a task."""
        key = canonical([task.name, task.config])
        if key not in self._rows:
            self._rows[key] = task_digest(task)
        return self._rows[key]

    def source(self, method: type) -> str:
        if method not in self._sources:
            self._sources[method] = digest_source(method)
        return self._sources[method]

    def run_key(self, trial: Trial, task: Task, sources: Sequence[type]) -> str:
        """`sources`: the method's classes, a wrapper's inner ones behind it."""
        facts = {
            **self.common,
            "backbone": self.graph.backbone_identity(trial.backbone),
            "task": self.rows(task),
            "method_source": self.source(sources[0]) if len(sources) == 1 else [self.source(source) for source in sources],
            "precision": trial.precision,
        }
        if is_format(trial.template):
            template = Format.parse(str(trial.template)).template(task)
            facts["format"] = [template.text, template.answers, template.separator]
        if trial.selection is not None:
            facts["selection_source"] = self.source(catalog.load("selection", trial.selection["name"]))
        if trial.probes:
            facts["probes"] = [[probe, self.source(catalog.load("probe", probe["name"]))] for probe in trial.probes]
        artifacts = self.graph.facts(trial, task)
        if artifacts:
            facts["artifacts"] = artifacts
        key = trial.run_key(facts)
        self.by_key[key] = facts
        return key


def task_digest(task: Task) -> str:
    """Digest of a task's content. Procedural rows take a second to make, so their digest is remembered by the source that makes them."""
    key = digest([_source_of(task), task.identity])
    known = ROWS.get(key)
    if known is None:
        published = task.dev_rows()
        parts = [digest_rows(task.pool()), digest_rows(task.test()), digest_rows(published) if published is not None else None]
        known = digest([*parts, task.identity])
        ROWS.put(key, known)
    return known


def _source_of(task: Task) -> Any:
    """What procedural rows can depend on: every module of the package the task's class lives in; for file tasks, the files' states."""
    files = getattr(task, "source_files", None)
    if files is not None:
        return [[str(file), os.stat(file).st_mtime_ns, os.stat(file).st_size] for file in files]
    return [digest_source(type(task)), digest_package(type(task).__module__)]


class Memory:
    """Digests of slow answers, kept in the user's cache folder. Best effort: where it cannot be read or written, it only costs time."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def file(self) -> Path:
        return cache_folder() / f"{self.name}.json"

    def _all(self) -> dict[str, str]:
        try:
            state = self.file.stat()
            return _read_memory(self.file, state.st_mtime_ns, state.st_size)
        except (OSError, ValueError):
            return {}

    def get(self, key: str) -> str | None:
        value = self._all().get(key)
        return value if isinstance(value, str) else None

    def put(self, key: str, value: str) -> None:
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.file.parent, prefix=f".{self.name}-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({**self._all(), key: value}, file)
            os.replace(temporary, self.file)


@functools.lru_cache(maxsize=4)
def _read_memory(file: Path, changed: int, size: int) -> dict[str, str]:
    data = json.loads(file.read_text(encoding="utf-8"))
    return data if isinstance(data, dict) else {}


ROWS = Memory("rows")  # of a task's content
