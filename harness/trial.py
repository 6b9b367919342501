"""A trial is a value: one question, as plain data. Its `trial_id` hashes the question; a `run_key` hashes also all that the answer depends on."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.identity import canonical, digest

NUMERICS = 2  # raised whenever the engine's arithmetic changes the bytes of a trial's answer
SCORER = 1  # raised whenever stored predictions would be scored differently


@dataclass(frozen=True)
class Trial:
    """Task x backbone x method x selection x template x seeds x budget. All fields are JSON-able; configurations are effective ones."""

    task: str
    task_config: Mapping[str, Any]
    backbone: Mapping[str, Any]
    method: str
    config: Mapping[str, Any]
    template: str | None
    train: Any
    dev: Any
    seeds: Mapping[str, int]
    budget: Mapping[str, Any] = field(default_factory=dict)  # {} means the method's own
    select: str = "best_dev"  # which state of a training run is tested: best_dev | last
    test_rows: int | None = None
    precision: str = "fp32"
    tuning: Mapping[str, Any] | None = None  # {"trials": N, "seed": s, "per": "task" | "seed"}
    scored: str = "test"  # "dev": a try of a tuning trial, which never touches test
    selection: Mapping[str, Any] | None = None  # {"name": ..., "config": {...}}
    probes: tuple[Mapping[str, Any], ...] = ()  # {"label", "name", "config"}: what else is measured. It changes no answer and no trial_id

    def value(self) -> dict[str, Any]:
        """JSON-able. It shares the configurations: they are read, never changed."""
        question = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "probes"}
        return {**question, "probes": list(self.probes)} if self.probes else question

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Trial:
        return cls(**value)

    @functools.cached_property
    def trial_id(self) -> str:
        return digest({name: value for name, value in self.value().items() if name != "probes"})

    def run_key(self, depends_on: Mapping[str, Any]) -> str:
        return digest({"trial": self.trial_id, "depends_on": depends_on})

    def __hash__(self) -> int:
        return hash(self.trial_id)

    def __str__(self) -> str:
        seeds = set(self.seeds.values())
        seed = f"seed {seeds.pop()}" if len(seeds) == 1 else canonical(dict(self.seeds))
        return f"{self.method} on {self.task} with {backbone_name(self.backbone)}, {seed}"


def backbone_name(spec: Mapping[str, Any]) -> str:
    """The name people use: registered name, hub id, a folder's last part, or recipe; with revision or control where there is one."""
    if spec.get("label"):  # a suite's own word for it
        return str(spec["label"])
    if "recipe" in spec:
        from harness.artifacts import made_name

        return made_name(spec)
    name = str(spec.get("name") or spec.get("hub") or spec.get("package") or str(spec.get("folder", "")).rstrip("/").rsplit("/", 1)[-1])
    name = f"{name}@{spec['revision']}" if spec.get("revision") else name
    return f"{name} (untrained)" if spec.get("untrained") is not None else name
