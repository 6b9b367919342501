"""SLURM by submitit: every job is one `sbatch` job that takes text and returns text. Logs go to STORE/slurm.

HARNESS_SLURM holds what sbatch needs here, under submitit's names: '{slurm_partition: gpu, timeout_min: 60, mem_gb: 8}'.
`cluster: local` in it runs the same path in processes of this machine, without SLURM.
"""

from __future__ import annotations

import importlib
import math
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import safe_yaml
from harness.errors import InputError
from harness.executors.job import Settings
from harness.executors.remote import RemoteExecutor, run_text

OPTIONS = "HARNESS_SLURM"
AT_ONCE = 64  # jobs with the scheduler at a time, where --workers does not say
POLL = 1.0  # seconds; submitit itself asks the scheduler less often


def library() -> Any:
    try:
        return importlib.import_module("submitit")
    except ImportError:
        raise InputError(
            "the package submitit is not installed", key="--executor slurm", expected="pip install 'adaptation-harness[slurm]'"
        ) from None


def options() -> dict[str, Any]:
    """What HARNESS_SLURM says; InputError where that is no mapping, or where there is no SLURM on this machine."""
    text = os.environ.get(OPTIONS, "")
    found = safe_yaml.parse_value(text) if text else {}
    if not isinstance(found, dict):
        raise InputError(f"{text!r} is no mapping", key=OPTIONS, expected="for example {slurm_partition: gpu, timeout_min: 60}")
    if found.get("cluster", "slurm") == "slurm" and shutil.which("sbatch") is None:
        raise InputError("there is no sbatch on this machine", key="--executor slurm", expected="start the run on a SLURM login node")
    return found


class SlurmExecutor(RemoteExecutor):
    """A job asks for the session's threads as CPUs, for one GPU where the device is CUDA, and for the trial's time limit."""

    def __init__(self, settings: Settings, workers: int | None) -> None:
        super().__init__(settings, workers or AT_ONCE)
        chosen = options()
        self.executor = library().AutoExecutor(folder=Path(settings.store) / "slurm", cluster=chosen.pop("cluster", "slurm"))
        asked: dict[str, Any] = {
            "name": "harness",
            "cpus_per_task": settings.threads,
            "gpus_per_node": int(settings.device.startswith("cuda")),
        }
        if settings.timeout:
            asked["timeout_min"] = math.ceil((settings.timeout + 120) / 60)  # start-up and imports come on top of the trial
        try:
            self.executor.update_parameters(**{**asked, **chosen})
        except (NameError, TypeError, ValueError) as error:
            raise InputError(" ".join(str(error).split())[:300], key=OPTIONS, expected="names of submitit's parameters") from None

    def submit(self, job: str, settings: str) -> Any:
        return self.executor.submit(run_text, job, settings)

    def finished(self, handles: Sequence[Any]) -> list[Any]:
        ended = [handle for handle in handles if handle.done()]
        if not ended:
            time.sleep(POLL)
        return ended

    def result(self, handle: Any) -> str:
        return str(handle.result())

    def cancel(self, handle: Any) -> None:
        handle.cancel()
