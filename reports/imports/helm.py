"""HELM: run folders with run_spec.json, stats.json and, where kept, per_instance_stats.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import InputError

from .frame import EXAMPLE_COLUMNS, Imported, complete, digest_of, trial_id

PREFERRED = (
    "exact_match",
    "quasi_exact_match",
    "quasi_prefix_exact_match",
    "final_number_exact_match",
    "f1_score",
    "rouge_2",
    "math_equiv",
    "pass",
)


def read_helm(path: Path, *, metric: str | None = None) -> Imported:
    """Arms are models, tasks are run specifications without the model. Per-instance statistics of the test split become examples;
    train_trial_index is the seed. Perturbed instances are left out."""
    specs = sorted(path.glob("**/run_spec.json")) if path.is_dir() else []
    if not specs:
        raise InputError("holds no run_spec.json", file=path, expected="a folder of HELM runs")
    files = [
        file
        for spec in specs
        for name in ("run_spec.json", "stats.json", "per_instance_stats.json")
        if (file := spec.parent / name).is_file()
    ]
    digest = digest_of(files)
    rows: list[dict[str, Any]] = []
    examples: list[pd.DataFrame] = []
    for spec in specs:
        row, stats = _run(spec, metric)
        instances = spec.parent / "per_instance_stats.json"
        found = _instances(instances, row, digest) if instances.is_file() else None
        if found is None:
            rows.append(row | {"trial_id": trial_id(digest, row["arm"], row["task"], 0)} | stats)
            continue
        rows += found[0]
        examples.append(found[1])
    trials = complete(rows, source=path.name, digest=digest)
    return Imported(trials, pd.concat(examples, ignore_index=True) if examples else None, digest)


def _load(file: Path, kind: type) -> Any:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError("is no JSON", file=file) from None
    if not isinstance(found, kind):
        raise InputError(f"is no JSON {'object' if kind is dict else 'list'}", file=file, expected="a file of a HELM run")
    return found


def _run(spec_file: Path, wanted: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    spec = _load(spec_file, dict)
    model = str(spec.get("adapter_spec", {}).get("model", "model"))
    task = re.sub(r",?model=[^,]*", "", str(spec.get("name", spec_file.parent.name))).replace(":,", ":").rstrip(":,")
    stats_file = spec_file.parent / "stats.json"
    if not stats_file.is_file():
        raise InputError("lacks stats.json", file=spec_file.parent)
    stats = {
        s["name"]["name"]: s for s in _load(stats_file, list) if s["name"].get("split") == "test" and not s["name"].get("perturbation")
    }
    name = wanted if wanted in stats else next((m for m in PREFERRED if m in stats), None)
    if name is None:
        raise InputError(
            f"none of the known metrics is in stats.json ({', '.join(sorted(stats)[:6])})", file=stats_file, expected="--metric NAME"
        )
    shots = spec.get("adapter_spec", {}).get("max_train_instances")
    row = {
        "arm": model, "backbone": model, "task": task, "metric": name, "ceiling": 1.0, "shots": None if shots is None else f"{shots} shots",
        "demonstrations": shots, "score": stats[name].get("mean"),
    }  # fmt: skip
    n = stats[name].get("count")
    spread = {"score_sd": stats[name].get("stddev"), "score_n": n, "score_spread_covers": "examples" if n and n > 1 else None, "seed": 0}
    return row, spread if n and n > 1 else {"seed": 0}


def _instances(path: Path, row: dict[str, Any], digest: str) -> tuple[list[dict[str, Any]], pd.DataFrame] | None:
    seeds: dict[int, dict[str, float]] = {}
    for record in json.loads(path.read_text(encoding="utf-8")):
        if record.get("perturbation"):
            continue
        for stat in record.get("stats", ()):
            name = stat["name"]
            if name["name"] == row["metric"] and name.get("split", "test") == "test" and stat.get("count"):
                seeds.setdefault(int(record.get("train_trial_index", 0)), {})[str(record["instance_id"])] = (
                    float(stat["sum"]) / stat["count"]
                )
    if not seeds:
        return None
    rows, frames = [], []
    for seed, values in sorted(seeds.items()):
        identity = trial_id(digest, row["arm"], row["task"], seed)
        mean = sum(values.values()) / len(values)
        # the train instances of one trial index are the same for every model
        rows.append(row | {"score": mean, "seed": seed, "trial_id": identity, "n_test": len(values), "data_digest": f"trial index {seed}"})
        frame = pd.DataFrame({"example": list(values), "statistics": [[value, 1.0] for value in values.values()]})
        frames.append(frame.assign(trial_id=identity, task=row["task"], metric=row["metric"], cluster=None)[list(EXAMPLE_COLUMNS)])
    return rows, pd.concat(frames, ignore_index=True)
