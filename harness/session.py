"""Running a plan: what is stored is skipped, the rest goes to an executor; tuned cells wait for their tries."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.executors.by_name import make
from harness.executors.job import Done, Job, Settings, choose, store_failure
from harness.identity import canonical
from harness.planning import Cell, Plan
from harness.store import Store
from harness.trial import Trial


class Display(Protocol):
    """What is told of a session while it runs."""

    def begin(self, plan: Plan, stored: int, to_run: int) -> None: ...
    def started(self, job: Job) -> None: ...
    def stepped(self, run_key: str, step: int, of: int | None, loss: float) -> None: ...
    def done(self, job: Job, done: Done) -> None: ...
    def end(self, session: Session) -> None: ...


class Silent:
    """Tells nothing."""

    def begin(self, plan: Plan, stored: int, to_run: int) -> None: ...
    def started(self, job: Job) -> None: ...
    def stepped(self, run_key: str, step: int, of: int | None, loss: float) -> None: ...
    def done(self, job: Job, done: Done) -> None: ...
    def end(self, session: Session) -> None: ...


@dataclass
class Session:
    """One run of a plan. `outcomes` holds how every job of this session ended."""

    plan: Plan
    store: Store
    settings: Settings
    fail_fast: bool = False
    display: Display = field(default_factory=Silent)
    executor: str = "local"
    outcomes: dict[str, Done] = field(default_factory=dict)
    reused: int = 0
    interrupted: bool = False

    def __post_init__(self) -> None:
        self._ready: deque[Job] = deque()
        self._waiting: list[tuple[Cell, set[str]]] = []
        self._jobs: dict[str, Job] = {}

    @property
    def failed(self) -> list[Done]:
        return [done for done in self.outcomes.values() if done.status != "ok"]

    def run(self, workers: int | None = None) -> Session:
        """Run what is not stored yet. Ctrl-C stops cleanly: finished trials stay, and running again resumes."""
        self.store.write_manifest(self.plan.manifest())
        self._queue()
        total = len(self._ready) + len(self._waiting)
        self.display.begin(self.plan, self.reused, total)
        executor = make(self.executor, self.settings, workers, total)
        try:
            for done in executor.run(self._next, self._started, self.display.stepped):
                self.outcomes[done.run_key] = done
                self.display.done(self._jobs[done.run_key], done)
                if self.fail_fast and done.status != "ok":
                    break
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            executor.close()
            self.display.end(self)
        return self

    def _queue(self) -> None:
        """Jobs in an order that keeps a worker on one backbone and task; every distinct run_key once."""
        seen: set[str] = set()
        jobs: list[Job] = []
        for cell in self.plan.runnable:
            wanted = [(cell.trial, cell.run_key)] if not cell.tries else list(cell.tries)
            if cell.tries:
                if cell.run_key in seen:
                    continue
                seen.add(cell.run_key)
                if self._stored(cell.trial, cell.run_key):
                    self.reused += 1
                    continue
                self._waiting.append((cell, {key for _, key in cell.tries}))
            for trial, key in wanted:
                if key in seen:
                    continue
                seen.add(key)
                if self._stored(trial, key):
                    self.reused += 1
                else:
                    jobs.append(Job(key, trial, self.plan.depends[key]))
        jobs.sort(key=lambda job: (canonical(job.trial.backbone), job.trial.task))
        self._ready.extend(jobs)

    def _stored(self, trial: Trial, run_key: str) -> bool:
        """Whether a final answer is there and undamaged; a damaged one is set aside and asked again."""
        return self.store.has(trial.trial_id, run_key) and self.store.get(trial.trial_id, run_key, verify=True) is not None

    def _next(self) -> Job | None:
        if not self._ready:
            self._release()
        return self._ready.popleft() if self._ready else None

    def _release(self) -> None:
        """Move tuned cells whose tries have all ended to the ready ones, with the configuration that their dev scores choose."""
        still: list[tuple[Cell, set[str]]] = []
        for cell, keys in self._waiting:
            pending = any(key in self._jobs and key not in self.outcomes for key in keys)
            if pending:
                still.append((cell, keys))
                continue
            tuned = choose(cell.tries, self.store)
            job = Job(cell.run_key, cell.trial, self.plan.depends[cell.run_key], tuned)
            if tuned is None:
                self._jobs[job.run_key] = job
                self.outcomes[job.run_key] = store_failure(job, self.settings, "failed", "no try of the tuning succeeded")
                self.display.done(job, self.outcomes[job.run_key])
            else:
                self._ready.append(job)
        self._waiting = still

    def _started(self, job: Job) -> None:
        self._jobs[job.run_key] = job
        self.display.started(job)

    def summary(self) -> Mapping[str, Any]:
        counts: dict[str, int] = {}
        for done in self.outcomes.values():
            counts[done.status] = counts.get(done.status, 0) + 1
        return {"reused": self.reused, **counts}


def default_workers(settings: Settings) -> int:
    """One worker for each core that this process may use, by threads; one on a GPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // settings.threads) if settings.device == "cpu" else 1
