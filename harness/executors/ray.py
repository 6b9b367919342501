"""Ray: every job is a `ray.remote` task that takes text and returns text. Joins the cluster of RAY_ADDRESS, else starts one here."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, ClassVar

from harness.errors import InputError
from harness.executors.job import Settings
from harness.executors.remote import RemoteExecutor, run_text


def library() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise InputError(
            "the package ray is not installed", key="--executor ray", expected="pip install 'adaptation-harness[ray]'"
        ) from None


class RayExecutor(RemoteExecutor):
    """A task asks for the session's threads as CPUs, and for one GPU where the device is CUDA. A task that dies is not tried again."""

    memory_errors: ClassVar[tuple[str, ...]] = ("OutOfMemoryError",)

    def __init__(self, settings: Settings, workers: int | None) -> None:
        self.ray = library()
        if not self.ray.is_initialized():
            self.ray.init(log_to_driver=False, runtime_env={"env_vars": {"OMP_NUM_THREADS": str(settings.threads)}})
        cuda = settings.device.startswith("cuda")
        there = self.ray.cluster_resources()
        fits = there.get("GPU", 1) if cuda else there.get("CPU", 1) // settings.threads
        super().__init__(settings, workers or int(fits))
        self._task = self.ray.remote(num_cpus=settings.threads, num_gpus=int(cuda), max_retries=0)(run_text)

    def submit(self, job: str, settings: str) -> Any:
        return self._task.remote(job, settings)

    def finished(self, handles: Sequence[Any]) -> list[Any]:
        ended, _ = self.ray.wait(list(handles), num_returns=1, timeout=1.0)
        return [handle for handle in handles if handle in ended]

    def result(self, handle: Any) -> str:
        return str(self.ray.get(handle))

    def cancel(self, handle: Any) -> None:
        self.ray.cancel(handle, force=True)
