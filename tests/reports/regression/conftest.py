"""Constructed results: a suite run twice, with known effects, failures and versions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.results import TRIAL_COLUMNS, Results, TaskScores


def run_suite(
    noise: int | None = 1,
    *,
    arms: Sequence[str] = ("lora", "bitfit"),
    tasks: Sequence[str] = ("sst2", "rte"),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    examples: int = 200,
    shift: Mapping[tuple[str, str], float] | float = 0.0,
    seed_sd: float = 0.1,
    interaction: float = 0.0,
    level: float = 1.0,
    change: Callable[[dict[str, Any]], None] | None = None,
    records: bool = False,
) -> Results:
    """One run of a suite. Runs with the same `noise` are identical; `shift` is on the logit; `change` edits a trial's row.

    Examples are equally hard in every run; training noise (`seed_sd`) and answers are drawn anew for each `noise`, as after a change of code
    that means nothing. `interaction`: sd of what a change of code does to single examples, 0 on average.
    """
    rows: list[dict[str, Any]] = []
    scores: dict[str, TaskScores] = {}
    answers: dict[str, pd.DataFrame] = {}
    for t, task in enumerate(tasks):
        difficulty = np.random.default_rng([7, t]).normal(0, 1.5, examples)
        values = []
        names = tuple(f"{task}/{i}" for i in range(examples))
        for a, arm in enumerate(arms):
            effect = shift if isinstance(shift, float) else shift.get((arm, task), 0.0)
            rng = np.random.default_rng([noise or 0, t, a])
            own = rng.normal(0, interaction, examples)
            for seed in seeds:
                logit = level + effect + difficulty + own + rng.normal(0, seed_sd)
                right = (rng.random(examples) < 1 / (1 + np.exp(-logit))).astype(float)
                row = trial_row(arm, task, seed, float(right.mean()), examples)
                if change is not None:
                    change(row)
                rows.append(row)
                values.append(np.stack([right, np.ones(examples)], axis=1))
                if records:
                    answers[row["trial_id"]] = pd.DataFrame({"example": names, "prediction": np.where(right > 0, "yes", "no")})
        trial_ids = tuple(row["trial_id"] for row in rows if row["task"] == task)
        scores[task] = TaskScores(task, "accuracy", names, None, trial_ids, np.stack(values))
    trials = pd.DataFrame(rows, columns=list(TRIAL_COLUMNS))
    return Results(trials=trials, scores=scores, record_loader=answers.__getitem__ if records else None)


def trial_row(arm: str, task: str, seed: int, score: float | None, examples: int = 200) -> dict[str, Any]:
    return {
        "trial_id": f"{arm}.{task}.{seed}", "run_key": f"key.{arm}.{task}.{seed}", "suite": "guard", "family": "guard", "arm": arm,
        "block": f"task={task} backbone=tiny shots=16 per class", "method": arm, "config": json.dumps({"rank": 8}), "task": task,
        "task_version": 1, "metric": "accuracy", "higher_is_better": True, "floor": 0.5, "ceiling": 1.0, "backbone": "tiny",
        "selection": None, "template": None, "shots": "16 per class", "demonstrations": None, "seed": seed,
        "seeds": json.dumps({"data": seed}), "data_digest": f"{task}.{seed}", "status": "ok" if score is not None else "diverged",
        "reason": None if score is not None else "loss is not finite at step 40", "score": score, "n_test": examples, "tuning_trials": 0,
        "trainable_parameters": 1000, "stored_bytes": 4000, "seconds_train": 10.0 + 0.1 * seed, "seconds_evaluate": 2.0, "tokens": 5000,
        "forward_calls": 40, "flops": 1e9, "peak_bytes": 10_000_000, "shared_cost": False, "device": "cpu",
        "environment": json.dumps({"torch": "2.13.0", "transformers": "5.0.0"}), "imported": False,
    }  # fmt: skip


@pytest.fixture(name="run_suite")
def run_suite_fixture() -> Callable[..., Results]:
    return run_suite


def export(results: Results, folder: Path) -> Path:
    """What `harness store export` writes of results."""
    folder.mkdir(parents=True, exist_ok=True)
    trials = results.trials.assign(tags="")
    trials.to_parquet(folder / "trials.parquet", index=False)
    parts = []
    for scores in results.scores.values():
        for trial, values in zip(scores.trial_ids, scores.values):
            prediction = results.records(trial)["prediction"] if results.record_loader else np.where(values[:, 0] > 0, "yes", "no")
            parts.append(
                pd.DataFrame(
                    {"trial_id": trial, "example": scores.example_ids, "cluster": None, "prediction": prediction, "value": values[:, 0]}
                )
            )
    pd.concat(parts, ignore_index=True).to_parquet(folder / "records.parquet", index=False)
    return folder


@pytest.fixture(name="export")
def export_fixture() -> Callable[[Results, Path], Path]:
    return export


@pytest.fixture(name="fail")
def fail_fixture() -> Callable[..., Results]:
    """Results in which some seeds of a cell did not finish."""

    def fail(
        results: Results, arm: str, task: str, seeds: Sequence[int], *, status: str = "diverged", score: float | None = None
    ) -> Results:
        trials = results.trials.copy()
        rows = (trials["arm"] == arm) & (trials["task"] == task) & trials["seed"].isin(list(seeds))
        trials.loc[rows, "status"], trials.loc[rows, "score"], trials.loc[rows, "reason"] = status, score, "loss is not finite at step 40"
        return replace(results, trials=trials)

    return fail
