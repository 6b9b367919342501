"""The results view: every finished trial as one row, and its per-example statistics as arrays. Reports read nothing else.

It does not matter where rows come from: our own store, or results imported from elsewhere (`imported`), which may be
summaries without examples and then get only the tests that a summary allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from harness.outcome import Media

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
    "status": "ok | failed | diverged | out_of_memory | timed_out | unsupported | missing | undefined (it answered, but the metric has no value there)",
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


CURVE_COLUMNS = ("step", "loss", "dev_score", "seconds", "flops")


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


STREAM_COLUMNS = ("trial_id", "step", "value", "n")


TRY_COLUMNS = ("trial_id", "config", "dev_score", "seconds")


def _no_streams() -> pd.DataFrame:
    return pd.DataFrame(columns=list(STREAM_COLUMNS))


def _no_tries() -> pd.DataFrame:
    return pd.DataFrame(columns=list(TRY_COLUMNS))


@dataclass
class Results:
    """Trials (a frame with TRIAL_COLUMNS), per-example statistics by task, learning curves, and per-example records.

    trials : beside TRIAL_COLUMNS, one column `probe:<label>` for each probe that a trial was measured by; NaN where undefined.
    curves : columns trial_id and CURVE_COLUMNS (any but trial_id and step may be NaN). flops : so far, evaluation on dev left out.
    records : trial_id -> frame with columns example, cluster, gold, prediction, output, prompt, value (loaded lazily by `record_loader`).
    streams : columns trial_id, step, value, n: the primary metric on the n examples that met a trial at each step (or round) of a
        test-time stream; empty for other protocols.
    media : trial_id -> its pictures (loaded lazily by `media_loader`).
    tries : columns trial_id, config, dev_score, seconds: the configurations that a tuned trial's own was chosen from, in the order drawn, with
        the mean dev score over tuning seeds (NaN where one failed) and the mean seconds of training one.
    artifacts : what recipes and preparations made for these trials and what that cost; columns of `harness.artifact_costs.COLUMNS`.
    """

    trials: pd.DataFrame
    scores: Mapping[str, TaskScores] = field(default_factory=dict)
    curves: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["trial_id", *CURVE_COLUMNS]))
    provenance: dict[str, Any] = field(default_factory=dict)
    record_loader: Any = None
    streams: pd.DataFrame = field(default_factory=_no_streams)
    media_loader: Any = None
    artifacts: pd.DataFrame = field(default_factory=pd.DataFrame)
    tries: pd.DataFrame = field(default_factory=_no_tries)

    def records(self, trial_id: str) -> pd.DataFrame:
        """Per-example records of one trial; an empty frame where none are kept."""
        if self.record_loader is None:
            return pd.DataFrame(columns=["example", "cluster", "gold", "prediction", "output", "prompt", "value"])
        frame: pd.DataFrame = self.record_loader(trial_id)
        return frame

    def media(self, trial_id: str) -> list[Media]:
        """Pictures that one trial left; none where none are kept."""
        found: list[Media] = [] if self.media_loader is None else self.media_loader(trial_id)
        return found
