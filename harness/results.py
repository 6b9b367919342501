"""The results view: every finished trial as one row, and its per-example statistics as arrays. Reports read nothing else.

It does not matter where rows come from: our own store, or results imported from elsewhere (`imported`), which may be
summaries without examples and then get only the tests that a summary allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

TRIAL_COLUMNS: dict[str, str] = {
    "trial_id": "identity of the question",
    "run_key": "identity of the question and everything the answer depends on",
    "suite": "name of the suite that asked",
    "family": "leaderboard family: rows of one family are ranked together",
    "arm": "what is compared (a method with its configuration label; or a backbone, recipe, selection, template)",
    "block": "all else, as one string: rows of two arms in one block and seed may be paired",
    "method": "method name",
    "config": "effective configuration of the method, canonical JSON",
    "task": "task name",
    "task_version": "int",
    "metric": "name of the primary metric",
    "higher_is_better": "bool",
    "floor": "float or None: chance, or the score of a failed run",
    "ceiling": "float",
    "backbone": "backbone name",
    "selection": "selection name or None",
    "template": "template name or None",
    "shots": "train rows as text, e.g. '16 per class'",
    "demonstrations": "int or None",
    "seed": "int: replicate number; equal numbers share all streams that vary",
    "seeds": "named streams, canonical JSON",
    "data_digest": "digest of the rows and demonstrations drawn: arms are paired on a seed only where it agrees",
    "status": "ok | failed | diverged | out_of_memory | timed_out | unsupported | missing",
    "reason": "one line or None",
    "score": "float or None: primary metric on test",
    "dev_score": "float or None: primary metric on dev",
    "scores": "all metrics on test, canonical JSON",
    "n_test": "int: scored test rows",
    "tuning_trials": "int: configurations tried to choose this one (0: the declared default)",
    "trainable_parameters": "int or None: prompt or adapter, without head",
    "head_parameters": "int or None",
    "stored_parameters": "int or None",
    "stored_bytes": "int or None: size of the saved adaptation",
    "seconds_setup": "float",
    "seconds_train": "float",
    "seconds_evaluate": "float",
    "tokens": "int: tokens passed forward",
    "forward_calls": "int",
    "flops": "float or None",
    "peak_bytes": "int or None",
    "shared_cost": "bool: time and memory are a group's, divided",
    "truncated": "int: examples cut to the model's length",
    "device": "cpu | cuda:...",
    "environment": "versions, canonical JSON",
    "tags": "tuple of tags of method and task",
    "started": "ISO time or None",
    "imported": "bool",
    "source": "where imported results come from, or None",
    "score_sd": "float or None: spread, for imported summaries",
    "score_n": "int or None: how many runs the spread covers",
    "score_spread_covers": "what the spread covers, e.g. 'seeds', or None",
}


@dataclass(frozen=True)
class TaskScores:
    """Per-example statistics of one task's trials, aligned on examples.

    example_ids : E ids.  clusters : E cluster names, or None where the task declares none.
    trial_ids : N ids.  values : float64 [N, E, k] statistics of the primary metric; NaN where a trial did not answer an example.
    """

    task: str
    metric: str
    example_ids: tuple[str, ...]
    clusters: tuple[str, ...] | None
    trial_ids: tuple[str, ...]
    values: np.ndarray


@dataclass
class Results:
    """Trials (a frame with TRIAL_COLUMNS), per-example statistics by task, learning curves, and per-example records.

    curves : columns trial_id, step, loss, dev_score, seconds (any but trial_id and step may be NaN).
    records : trial_id -> frame with columns example, cluster, gold, prediction, output, prompt, value (loaded lazily by `record_loader`).
    """

    trials: pd.DataFrame
    scores: Mapping[str, TaskScores] = field(default_factory=dict)
    curves: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["trial_id", "step", "loss", "dev_score", "seconds"]))
    provenance: dict[str, Any] = field(default_factory=dict)
    record_loader: Any = None

    def records(self, trial_id: str) -> pd.DataFrame:
        """Per-example records of one trial; an empty frame where none are kept."""
        if self.record_loader is None:
            return pd.DataFrame(columns=["example", "cluster", "gold", "prediction", "output", "prompt", "value"])
        frame: pd.DataFrame = self.record_loader(trial_id)
        return frame
