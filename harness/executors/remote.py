"""What executors of clusters share: a job goes out as text and its end comes back as text. The store stands on a shared file system."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from harness.executors.job import AnyJob, Done, Settings, job_of, run_job, store_failure


def settings_text(settings: Settings) -> str:
    """A session's settings with the paths that the user named by `--entries`, as JSON."""
    from harness.catalog.lookup import PATHS

    paths = [part for part in os.environ.get(PATHS, "").split(os.pathsep) if part]
    return json.dumps({"settings": dataclasses.asdict(settings), "entries": paths})


def run_text(job_text: str, settings: str) -> str:
    """What a node runs: one job's text in, how it ended out. The outcome itself is in the store by then."""
    from harness import catalog

    given = json.loads(settings)
    for path in given["entries"]:
        catalog.use(path)
    job, chosen = job_of(job_text), Settings(**{**given["settings"], "trust": tuple(given["settings"]["trust"])})
    other = _other_versions(job)
    done = run_job(job, chosen) if other is None else store_failure(job, chosen, "failed", other)
    return json.dumps(dataclasses.asdict(done))


def _other_versions(job: AnyJob) -> str | None:
    """Why this node may not answer under the job's run_key: it has other libraries than the plan was made with."""
    from harness.depends import versions

    planned, here = job.depends_on.get("versions", {}), versions()
    other = [f"{name} {here.get(name)} (planned with {wanted})" for name, wanted in planned.items() if here.get(name) != wanted]
    return f"the node has {', '.join(other)}" if other else None


class RemoteExecutor:
    """Keep up to `workers` jobs with a cluster. A subclass says how text is submitted and how its answer is had."""

    memory_errors: ClassVar[tuple[str, ...]] = ("OutOfMemoryError",)  # names of classes that mean the node's memory was full

    def __init__(self, settings: Settings, workers: int) -> None:
        self.settings, self.size = settings, max(1, workers)
        self.text = settings_text(settings)
        self._flying: list[tuple[Any, AnyJob]] = []

    def submit(self, job: str, settings: str) -> Any:
        """Hand a job over; returns what `finished`, `result` and `cancel` know it by."""
        raise NotImplementedError

    def finished(self, handles: Sequence[Any]) -> list[Any]:
        """Those that have ended, after waiting about a second if none has."""
        raise NotImplementedError

    def result(self, handle: Any) -> str:
        """The text that `run_text` returned; raises whatever ended the job instead."""
        raise NotImplementedError

    def cancel(self, handle: Any) -> None:
        raise NotImplementedError

    def run(
        self,
        next_job: Callable[[], AnyJob | None],
        started: Callable[[AnyJob], None],
        stepped: Callable[[str, int, int | None, float], None],
    ) -> Iterator[Done]:
        """Yield every job's end as it comes, as `LocalExecutor.run` does; single steps are not reported."""
        try:
            while True:
                while len(self._flying) < self.size and (job := next_job()) is not None:
                    started(job)
                    self._flying.append((self.submit(job.text(), self.text), job))
                if not self._flying:
                    return
                for handle in self.finished([handle for handle, _ in self._flying]):
                    place = next(i for i, (other, _) in enumerate(self._flying) if other is handle)
                    yield self._end(*self._flying.pop(place))
        finally:
            self.close()

    def _end(self, handle: Any, job: AnyJob) -> Done:
        try:
            return Done(**json.loads(self.result(handle)))
        except Exception as error:  # the job, its node or the cluster failed: one trial's failure with the reason, never the session's
            status = "out_of_memory" if type(error).__name__ in self.memory_errors else "failed"
            lines = str(error).strip().splitlines() or [""]
            return store_failure(job, self.settings, status, f"{type(error).__name__}: {lines[-1]}"[:300])

    def close(self) -> None:
        """Cancel what is still out."""
        for handle, _ in self._flying:
            self.cancel(handle)
        self._flying.clear()
