"""A job: one trial as JSON text, run to its end wherever it lands, its result written into the store."""

from __future__ import annotations

import json
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.artifact_inputs import folders_of
from harness.artifacts import unseeded
from harness.errors import InputError, UnsupportedError
from harness.executors.artifact_job import ArtifactJob, run_artifact, store_artifact_failure
from harness.identity import canonical
from harness.store import Store
from harness.trial import Trial


@dataclass(frozen=True)
class Settings:
    """How a session runs its jobs; the same for all of them."""

    store: str
    device: str = "cpu"
    threads: int = 1
    timeout: float | None = None
    keep: str = "small"
    trust: tuple[str, ...] = ()
    deterministic: bool = True


@dataclass(frozen=True)
class Job:
    """A trial under its run_key. `tuned` holds what a tuning trial chose: the configuration, the dev scores of all tries, their cost.

    keep : in place of the session's, for a trial whose adapted weights an artifact is made from.
    """

    run_key: str
    trial: Trial
    depends_on: Mapping[str, Any]
    tuned: Mapping[str, Any] | None = None
    keep: str | None = None

    def text(self) -> str:
        return canonical({**vars(self), "trial": self.trial.value()})

    @classmethod
    def from_text(cls, text: str) -> Job:
        return cls.from_value(json.loads(text))

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Job:
        return cls(**{**value, "trial": Trial.from_value(value["trial"])})

    def __str__(self) -> str:
        return str(self.trial) if self.trial.scored == "test" else f"{self.trial} [dev, a try of a tuning]"


def job_of(text: str) -> AnyJob:
    """The job whose text this is."""
    value = json.loads(text)
    return ArtifactJob.from_value(value) if "artifact" in value else Job.from_value(value)


@dataclass(frozen=True)
class Done:
    """How a job ended: what the progress display shows of it."""

    run_key: str
    status: str
    reason: str | None
    score: float | None
    seconds: float


AnyJob = Job | ArtifactJob


def run_job(job: AnyJob, settings: Settings, notify: Callable[[int, int | None, float], None] | None = None) -> Done:
    """Run a job and store its outcome. Bad input found only now (a corrupt weight file, say) is a failed trial with the same one line.

    InputError where the store cannot be written: that is no fault of the trial's, and would hold for the next one too.
    """
    import dataclasses

    import torch

    from harness.execute import run_trial
    from harness.outcome import Outcome

    if torch.get_num_threads() != settings.threads:
        torch.set_num_threads(settings.threads)
    if isinstance(job, ArtifactJob):
        return run_artifact(job, settings, notify)
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    trial = job.trial if job.tuned is None else dataclasses.replace(job.trial, config=job.tuned["config"])
    try:
        outcome = run_trial(
            trial,
            device=settings.device,
            timeout=settings.timeout,
            notify=notify,
            trust=settings.trust,
            deterministic=settings.deterministic,
            artifacts=folders_of(settings.store, job.depends_on),
        )
    except (InputError, UnsupportedError) as error:
        outcome = Outcome("failed", str(error))
    if job.tuned is not None:
        outcome.facts["tuning"] = dict(job.tuned)
    keep = job.keep or ("none" if job.trial.scored == "dev" else settings.keep)
    store = Store(settings.store)
    try:
        store.write(job.trial, job.run_key, job.depends_on, started, outcome, keep=keep)
    except InputError:
        raise
    except Exception as error:  # what the method left cannot be written: notes that are no JSON, tensors that share memory
        reason = f"its answer cannot be stored: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        outcome = Outcome("failed", reason, log=outcome.log + traceback.format_exc())
        store.write(job.trial, job.run_key, job.depends_on, started, outcome, keep="none")
    score = next(iter(outcome.scores.values()), None) if outcome.scores else outcome.dev_score
    return Done(job.run_key, outcome.status, outcome.reason, score, time.perf_counter() - clock)


def choose(tries: Sequence[tuple[Trial, str]], store: Store) -> dict[str, Any] | None:
    """The configuration with the best mean dev score over its seeds (ties: the one drawn first); None if no try succeeded."""
    from harness import catalog
    from harness.metrics import get

    scores: dict[str, list[float]] = {}
    configs: dict[str, Mapping[str, Any]] = {}
    seconds = flops = 0.0
    asked: Counter[str] = Counter()
    for run_key, trial in {run_key: trial for trial, run_key in tries}.items():  # small spaces give the same configuration twice
        config = unseeded(trial.config)  # artifacts of several tuning seeds are one configuration
        key = canonical(config)
        asked[key] += 1
        stored = store.get(trial.trial_id, run_key)
        configs[key] = config
        scores.setdefault(key, [])
        if stored is not None and stored.result["status"] == "ok" and stored.result["dev_score"] is not None:
            scores[key].append(stored.result["dev_score"])
        if stored is not None:
            seconds += stored.result["costs"]["seconds_train"]
            flops += stored.result["costs"]["flops"]
    metric = get(catalog.load("task", tries[0][0].task)(**tries[0][0].task_config).metrics[0])
    sign = 1.0 if metric.higher_is_better else -1.0
    whole = {key: sum(values) / len(values) for key, values in scores.items() if len(values) == asked[key]}
    if not whole:
        return None
    best = max(whole, key=lambda key: sign * whole[key])
    table = [{"config": dict(configs[key]), "dev_scores": values} for key, values in scores.items()]
    return {"config": dict(configs[best]), "tries": table, "seconds_train": seconds, "flops": flops}


def store_failure(job: AnyJob, settings: Settings, status: str, reason: str) -> Done:
    """Keep a failure that the worker could not report itself: it was killed, or ran over its time."""
    from harness.outcome import Outcome

    if isinstance(job, ArtifactJob):
        return store_artifact_failure(job, settings, status, reason)

    started = datetime.now(UTC).isoformat(timespec="seconds")
    Store(Path(settings.store)).write(job.trial, job.run_key, job.depends_on, started, Outcome(status, reason), keep="none")
    return Done(job.run_key, status, reason, None, 0.0)
