"""Running a plan: what is stored is skipped, the rest goes to an executor; tuned cells wait for their tries."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.artifact_graph import needed
from harness.artifact_store import checkpoints, folder_of, verified
from harness.artifacts import with_references_of
from harness.executors.artifact_job import ArtifactJob
from harness.executors.by_name import make
from harness.executors.job import AnyJob, Done, Job, Settings, choose, store_failure
from harness.identity import canonical
from harness.planning import Cell, Plan
from harness.store import Store
from harness.trial import Trial


class Display(Protocol):
    """What is told of a session while it runs."""

    def begin(self, plan: Plan, stored: int, to_run: int) -> None: ...
    def started(self, job: AnyJob) -> None: ...
    def stepped(self, run_key: str, step: int, of: int | None, loss: float) -> None: ...
    def done(self, job: AnyJob, done: Done) -> None: ...
    def end(self, session: Session) -> None: ...


class Silent:
    """Tells nothing."""

    def begin(self, plan: Plan, stored: int, to_run: int) -> None: ...
    def started(self, job: AnyJob) -> None: ...
    def stepped(self, run_key: str, step: int, of: int | None, loss: float) -> None: ...
    def done(self, job: AnyJob, done: Done) -> None: ...
    def end(self, session: Session) -> None: ...


@dataclass
class Session:
    """One run of a plan. `outcomes` holds how every trial of this session ended, `made` how every artifact did.

    An artifact waits for what it is made from, and a trial for its artifacts; where one has failed, what waits for it fails with the reason.
    """

    plan: Plan
    store: Store
    settings: Settings
    fail_fast: bool = False
    display: Display = field(default_factory=Silent)
    executor: str = "local"
    outcomes: dict[str, Done] = field(default_factory=dict)
    made: dict[str, Done] = field(default_factory=dict)
    reused: int = 0
    interrupted: bool = False

    def __post_init__(self) -> None:
        self._ready: deque[AnyJob] = deque()
        self._blocked: list[tuple[AnyJob, set[str]]] = []  # with the run_keys that each waits for
        self._waiting: list[tuple[Cell, set[str]]] = []
        self._open: set[str] = set()  # run_keys of this session that have not ended
        self._jobs: dict[str, AnyJob] = {}

    @property
    def failed(self) -> list[Done]:
        return [done for done in (*self.made.values(), *self.outcomes.values()) if done.status != "ok"]

    def run(self, workers: int | None = None) -> Session:
        """Run what is not stored yet. Ctrl-C stops cleanly: finished trials stay, and running again resumes."""
        self.store.write_manifest(self.plan.manifest())
        self._queue()
        total = len(self._ready) + len(self._blocked) + len(self._waiting)
        self.display.begin(self.plan, self.reused, total)
        executor = make(self.executor, self.settings, workers, total)
        try:
            for done in executor.run(self._next, self._started, self.display.stepped):
                self._ended(self._jobs[done.run_key], done)
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
        trials = self._trials()
        facts = [job.depends_on for job in trials.values()] + [self.plan.depends[cell.run_key] for cell, _ in self._waiting]
        artifacts, sources = self._artifacts({key for item in facts for key in needed(item)})
        for key, trial in sources.items():
            if key in trials or not self._stored(trial, key, adapted=True):
                trials[key] = Job(key, trial, self.plan.depends[key], keep="all")
        jobs: list[AnyJob] = [*artifacts, *sorted(trials.values(), key=lambda job: (canonical(job.trial.backbone), job.trial.task))]
        self._open = {job.run_key for job in jobs} | {cell.run_key for cell, _ in self._waiting}
        for job in jobs:
            waits = self._needs(job) & self._open
            if waits:
                self._blocked.append((job, waits))
            else:
                self._ready.append(job)

    def _trials(self) -> dict[str, Job]:
        """Jobs of the plan's trials that are not stored; tuned cells go to those that wait for their tries."""
        seen: set[str] = set()
        jobs: dict[str, Job] = {}
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
                    jobs[key] = Job(key, trial, self.plan.depends[key])
        return jobs

    def _artifacts(self, wanted: set[str]) -> tuple[list[ArtifactJob], dict[str, Trial]]:
        """Jobs for those of the wanted artifacts that are not stored whole, and the trials whose weights they are made from."""
        nodes = self.plan.artifacts()
        jobs: list[ArtifactJob] = []
        sources: dict[str, Trial] = {}
        for key in reversed(nodes):  # what another is made from is asked for only where that one must be made
            node = nodes[key]
            folder = folder_of(self.store, node.artifact, key)
            if key not in wanted or verified(self.store, folder, node.steps) == "ok":
                continue
            wanted |= set(node.needs)
            sources |= node.trials
            jobs.append(ArtifactJob(key, node.artifact, node.depends_on, tuple(sorted(node.steps | checkpoints(folder)))))
        return jobs[::-1], sources

    def _needs(self, job: AnyJob) -> set[str]:
        """Run_keys of what a job is made from."""
        found = set(needed(job.depends_on))
        return found | {key for _, key in job.depends_on.get("trials", ())} if isinstance(job, ArtifactJob) else found

    def _has(self, trial: Trial, run_key: str) -> bool:
        return self.store.has(trial.trial_id, run_key)

    def _stored(self, trial: Trial, run_key: str, *, adapted: bool = False) -> bool:
        """Whether a final answer is there and undamaged (and, if asked for, its adapted weights); a damaged one is set aside and asked again."""
        if not self._has(trial, run_key) or self.store.get(trial.trial_id, run_key, verify=True) is None:
            return False
        return not adapted or (self.store.folder(trial.trial_id, run_key) / "adapted").is_dir()

    def _next(self) -> AnyJob | None:
        if not self._ready:
            self._release()
        return self._ready.popleft() if self._ready else None

    def _release(self) -> None:
        """Move what need not wait any more to the ready ones: jobs whose artifacts are made, tuned cells whose tries have all ended."""
        moved = True
        while moved:  # a failure ends what waits for it, which may be waited for in turn
            before, self._blocked, moved = self._blocked, [], False
            for job, waits in before:
                if waits & self._open:
                    self._blocked.append((job, waits))
                    continue
                moved = True
                lost = self._lost(waits)
                if lost is None:
                    self._ready.append(job)
                else:
                    self._jobs[job.run_key] = job
                    self._ended(job, store_failure(job, self.settings, "failed", lost))
        still: list[tuple[Cell, set[str]]] = []
        for cell, keys in self._waiting:
            if keys & self._open:
                still.append((cell, keys))
            else:
                self._tuned(cell)
        self._waiting = still

    def _lost(self, keys: set[str]) -> str | None:
        """Why what waited for these cannot run, or None where all ended well."""
        for key in sorted(keys):
            done = self.made.get(key) or self.outcomes.get(key)
            if done is not None and done.status != "ok":
                return f"it needs {self._jobs[key]}, which {done.status.replace('_', ' ')}: {done.reason}"[:300]
        return None

    def _tuned(self, cell: Cell) -> None:
        """Make a tuned cell ready, with the configuration that the dev scores of its tries choose."""
        tuned = choose(cell.tries, self.store)
        facts = self.plan.depends[cell.run_key]
        if tuned is not None:
            tuned["config"] = with_references_of(tuned["config"], cell.trial.config)
        job = Job(cell.run_key, cell.trial, facts, tuned)
        lost = self._lost(set(needed(facts)))
        if tuned is None or lost is not None:
            self._jobs[job.run_key] = job
            self._ended(job, store_failure(job, self.settings, "failed", lost or "no try of the tuning succeeded"))
        elif set(needed(facts)) & self._open:
            self._blocked.append((job, set(needed(facts))))
        else:
            self._ready.append(job)

    def _started(self, job: AnyJob) -> None:
        self._jobs[job.run_key] = job
        self.display.started(job)

    def _ended(self, job: AnyJob, done: Done) -> None:
        self._open.discard(done.run_key)
        (self.made if isinstance(job, ArtifactJob) else self.outcomes)[done.run_key] = done
        self.display.done(job, done)

    def summary(self) -> Mapping[str, Any]:
        counts: dict[str, int] = {}
        for done in self.outcomes.values():
            counts[done.status] = counts.get(done.status, 0) + 1
        return {"reused": self.reused, **counts}


def default_workers(settings: Settings) -> int:
    """One worker for each core that this process may use, by threads; one on a GPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // settings.threads) if settings.device == "cpu" else 1
