"""What artifacts cost: their own making, that of what they are made from, and a share for each trial that uses them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from harness.artifact_graph import needed
from harness.artifact_inputs import artifact_folder
from harness.artifact_store import read
from harness.artifacts import Artifact
from harness.store import Store

COLUMNS: dict[str, str] = {
    "artifact_id": "identity of what was asked",
    "run_key": "and of everything it depends on",
    "kind": "recipe | preparation",
    "producer": "name of the recipe or preparation",
    "seed": "int",
    "status": "ok | failed | diverged | out_of_memory | timed_out | missing",
    "reason": "one line or None",
    "users": "int: trials that use it, directly or through other artifacts",
    "seconds": "float or None: of its own making",
    "flops": "float or None: of its own making",
    "whole_seconds": "float or None: with the artifacts and trials that it is made from",
    "whole_flops": "float or None",
    "seconds_each": "float or None: whole_seconds divided among its users",
    "flops_each": "float or None",
}


def artifact_costs(nodes: Iterable[Mapping[str, Any]], users: Iterable[Mapping[str, Any]], store: Store | None) -> pd.DataFrame:
    """One row an artifact, COLUMNS.

    nodes : as a plan's manifest lists them (`Planned.value`).  users : the facts of each trial that may use some.
    """
    known = {node["run_key"]: node for node in nodes}
    counts = dict.fromkeys(known, 0)
    for facts in users:
        for key in _below(needed(facts), known):
            counts[key] += 1
    own = {key: _own(node, store) for key, node in known.items()}
    rows = [_row(node, own, known, counts[key], store) for key, node in known.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _below(keys: Iterable[str], known: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """These artifacts and all that they are made from."""
    found: set[str] = set()
    waiting = [key for key in keys if key in known]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += [need for need in known[key]["needs"] if need in known]
    return found


def _own(node: Mapping[str, Any], store: Store | None) -> Mapping[str, Any]:
    folder = artifact_folder(store.root, node["artifact_id"], node["run_key"]) if store is not None else None
    stored = read(folder) if folder is not None else None
    return stored.result if stored is not None else {"status": "missing", "reason": "not made yet", "costs": {}}


def _row(node: Mapping[str, Any], own: Mapping[str, Any], known: Mapping[str, Any], users: int, store: Store | None) -> dict[str, Any]:
    artifact, result = Artifact.from_value(node["artifact"]), own[node["run_key"]]
    below = _below([node["run_key"]], known)
    trials = {(trial_id, key) for need in below for trial_id, key in known[need]["trials"]}
    parts = [own[key]["costs"] for key in below] + [costs for costs in _trial_costs(trials, store)]
    row = {"artifact_id": artifact.artifact_id, "run_key": node["run_key"], "kind": artifact.kind, "producer": artifact.producer}
    row |= {"seed": artifact.seeds["init"], "status": result["status"], "reason": result["reason"], "users": users}
    for name, column in (("seconds", "seconds_train"), ("flops", "flops")):
        values = [part.get(column) for part in parts]
        whole = sum(values) if all(value is not None for value in values) else None
        row |= {
            name: result["costs"].get(column),
            f"whole_{name}": whole,
            f"{name}_each": whole / users if whole is not None and users else None,
        }
    return row


def _trial_costs(trials: Iterable[tuple[str, str]], store: Store | None) -> Iterator[Mapping[str, Any]]:
    for trial_id, key in trials:
        stored = store.get(trial_id, key) if store is not None else None
        yield stored.result["costs"] if stored is not None else {}
