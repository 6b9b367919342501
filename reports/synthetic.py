"""Results with known effects: for tests of the reports, demonstrations and timing. Nothing here was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.results import TRIAL_COLUMNS, Results, TaskScores

from .statistics.result import Floats, spawn_rng

N_CLASSES = (2, 2, 3, 4, 6)
TASK_TAGS = ("sentiment", "inference", "topic", "question")


@dataclass(frozen=True)
class Plan:
    """What to make up: the size of the grid and how large each source of variance is (on the logit scale)."""

    methods: int = 6
    tasks: int = 8
    seeds: int = 5
    examples: int = 200
    templates: int = 1
    method_sd: float = 0.45
    seed_sd: float = 0.15
    template_sd: float = 0.2
    interaction_sd: float = 0.25
    failure_rate: float = 0.01
    root: int = 0


def synthetic_results(plan: Plan | None = None, *, effects: Mapping[str, float] | None = None) -> Results:
    """A crossed grid of binary scores: P(right) = chance + (1 - chance) logistic(task + method + seed + template + example).

    `effects` fixes the logit of named methods ("method-00", ...), the others are drawn.
    """
    plan = plan or Plan()
    root = spawn_rng(plan.root, "methods")
    names = [f"method-{i:02d}" for i in range(plan.methods)]
    skill = dict(zip(names, np.sort(root.normal(0, plan.method_sd, plan.methods))[::-1]))
    skill.update(effects or {})
    rows: list[dict[str, Any]] = []
    scores: dict[str, TaskScores] = {}
    for index in range(plan.tasks):
        task_rows, task_scores = _task(plan, index, skill)
        rows += task_rows
        scores[task_scores.task] = task_scores
    trials = pd.DataFrame(rows, columns=list(TRIAL_COLUMNS))
    return Results(trials=trials, scores=scores, curves=_curves(plan, trials), provenance=_provenance(plan))


def _task(plan: Plan, index: int, skill: Mapping[str, float]) -> tuple[list[dict[str, Any]], TaskScores]:
    task, rng = f"task-{index:02d}", spawn_rng(plan.root, "task", str(index))
    classes = N_CLASSES[index % len(N_CLASSES)]
    chance, level = 1 / classes, rng.normal(0.8, 0.5)
    difficulty = rng.normal(0, 1.4, plan.examples)
    template_effect = rng.normal(0, plan.template_sd, plan.templates)
    rows: list[dict[str, Any]] = []
    values: list[Floats] = []
    for method, ability in skill.items():
        draw = spawn_rng(plan.root, "cell", str(index), method)
        own = draw.normal(0, plan.interaction_sd)
        taste = draw.normal(0, 0.5, plan.examples)
        for seed in range(plan.seeds):
            noise = draw.normal(0, plan.seed_sd)
            for template in range(plan.templates):
                logit = level + ability + own + taste + difficulty + noise + template_effect[template]
                right = draw.random(plan.examples) < chance + (1 - chance) / (1 + np.exp(-logit))
                failed = draw.random() < plan.failure_rate
                row = _trial(plan, task, classes, method, seed, template, None if failed else float(right.mean()), draw)
                rows.append(row | {"tags": (TASK_TAGS[index % len(TASK_TAGS)],)})
                answered = np.stack([right.astype(np.float64), np.ones(plan.examples)], axis=1)
                values.append(np.full_like(answered, np.nan) if failed else answered)
    ids = tuple(f"{task}/{i}" for i in range(plan.examples))
    trial_ids = tuple(row["trial_id"] for row in rows)
    return rows, TaskScores(task, "accuracy", ids, None, trial_ids, np.stack(values))


def _trial(
    plan: Plan, task: str, classes: int, method: str, seed: int, template: int, score: float | None, rng: np.random.Generator
) -> dict[str, Any]:
    number = int(method.rsplit("-", 1)[1])
    size = 10 ** (2 + number % 5)
    name = f"template-{template}" if plan.templates > 1 else None
    seconds = float(np.exp(rng.normal(np.log(4 + 3 * (number % 5)), 0.2)))
    return {
        "trial_id": f"{task}.{method}.{template}.{seed}",
        "run_key": f"run.{task}.{method}.{template}.{seed}",
        "suite": "synthetic",
        "family": "synthetic",
        "arm": method,
        "block": f"task={task} backbone=made-up template={name} shots=16 per class",
        "method": method,
        "config": json.dumps({"width": 8 * (number % 5 + 1)}),
        "task": task,
        "task_version": 1,
        "metric": "accuracy",
        "higher_is_better": True,
        "floor": 1 / classes,
        "ceiling": 1.0,
        "backbone": "made-up",
        "template": name,
        "shots": "16 per class",
        "seed": seed,
        "seeds": json.dumps({"data": seed, "init": seed}),
        "data_digest": f"{task}.{seed}",
        "status": "ok" if score is not None else "diverged",
        "reason": None if score is not None else "loss left the finite numbers at step 40",
        "score": score,
        "dev_score": None if score is None else float(np.clip(score + rng.normal(0, 0.02), 0, 1)),
        "scores": json.dumps({} if score is None else {"accuracy": score, "macro-f1": max(score - 0.02, 0.0)}),
        "n_test": plan.examples,
        "tuning_trials": 8 if number % 3 == 0 else 0,
        "trainable_parameters": size * (number + 1),
        "head_parameters": 2 * classes,
        "stored_parameters": size * (number + 1) + 2 * classes,
        "stored_bytes": 4 * size * (number + 1),
        "seconds_setup": 0.4,
        "seconds_train": seconds,
        "seconds_evaluate": 0.8,
        "tokens": 20_000 * (number + 1),
        "forward_calls": 400,
        "flops": 1e9 * (number + 1),
        "peak_bytes": 80_000_000 + 400_000 * number,
        "shared_cost": False,
        "truncated": 0,
        "device": "cpu",
        "environment": json.dumps({"python": "3.13", "torch": "none"}),
        "imported": False,
    }


def _curves(plan: Plan, trials: pd.DataFrame) -> pd.DataFrame:
    """Dev scores that approach the final one; one in full for every trial of the first three tasks."""
    steps = np.array([0, 5, 10, 20, 40, 80])
    rng = spawn_rng(plan.root, "curves")
    parts = []
    chosen = trials[trials["task"].isin(["task-00", "task-01", "task-02"]) & (trials["status"] == "ok")]
    for trial, floor, dev, seconds in zip(chosen["trial_id"], chosen["floor"], chosen["dev_score"], chosen["seconds_train"]):
        approach = 1 - np.exp(-steps / 20)
        score = floor + (dev - floor) * approach + rng.normal(0, 0.005, len(steps))
        parts.append(
            pd.DataFrame(
                {
                    "trial_id": trial,
                    "step": steps,
                    "loss": 1.2 - approach,
                    "dev_score": score,
                    "seconds": seconds * steps / 80,
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["trial_id", "step", "loss", "dev_score", "seconds"])


def _provenance(plan: Plan) -> dict[str, Any]:
    return {"commands": [f"synthetic_results({plan!r})"], "note": "made-up results: nothing here was measured"}
