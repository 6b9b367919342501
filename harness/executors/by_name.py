"""The executor that `--executor` names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from harness.errors import unknown_name
from harness.executors.job import AnyJob, Done, Settings

EXECUTORS = ("local", "ray", "slurm")


class Executor(Protocol):
    """Runs jobs as they are given and yields their ends as they come."""

    def run(
        self,
        next_job: Callable[[], AnyJob | None],
        started: Callable[[AnyJob], None],
        stepped: Callable[[str, int, int | None, float], None],
    ) -> Iterator[Done]: ...

    def close(self) -> None: ...


def check(name: str) -> None:
    """InputError where that executor is not known, not installed or not of this machine: before anything is written."""
    if name not in EXECUTORS:
        raise unknown_name("executor", name, EXECUTORS).located(key="--executor")
    if name == "ray":
        from harness.executors import ray

        ray.library()
    elif name == "slurm":
        from harness.executors import slurm

        slurm.library()
        slurm.options()


def make(name: str, settings: Settings, workers: int | None, total: int) -> Executor:
    """`workers` jobs at a time (None: as many as the place has room for), never more than there are; 0 of "local" is this process."""
    check(name)
    at_most = max(1, total)
    if name == "ray":
        from harness.executors.ray import RayExecutor

        return RayExecutor(settings, min(workers, at_most) if workers else None)
    if name == "slurm":
        from harness.executors.slurm import AT_ONCE, SlurmExecutor

        return SlurmExecutor(settings, min(workers or AT_ONCE, at_most))
    from harness.executors.local import LocalExecutor
    from harness.session import default_workers

    size = workers if workers is not None else default_workers(settings)
    return LocalExecutor(settings, min(size, at_most) if size else 0)
