"""A job that makes an artifact: run to its end wherever it lands, resumable, its product written into the store."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.artifact_inputs import Given, folders_of, write_product
from harness.artifacts import Artifact, Preparation, Recipe
from harness.backbones.files import PIPELINE
from harness.errors import InputError, UnsupportedError
from harness.identity import canonical
from harness.store import Store

if TYPE_CHECKING:
    from harness.executors.job import Done, Settings
    from harness.outcome import Outcome
    from harness.training import Run


@dataclass(frozen=True)
class ArtifactJob:
    """An artifact under its run_key, and the steps of which checkpoints are wanted."""

    run_key: str
    artifact: Artifact
    depends_on: Mapping[str, Any]
    steps: tuple[int, ...] = ()

    def text(self) -> str:
        value = {"run_key": self.run_key, "artifact": self.artifact.value(), "depends_on": self.depends_on, "steps": self.steps}
        return canonical(value)

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> ArtifactJob:
        return cls(value["run_key"], Artifact.from_value(value["artifact"]), value["depends_on"], tuple(value["steps"]))

    def __str__(self) -> str:
        return str(self.artifact)


def run_artifact(job: ArtifactJob, settings: Settings, notify: Callable[[int, int | None, float], None] | None = None) -> Done:
    """Make the artifact and store it. InputError where the store cannot be written, as for trials."""
    from harness.artifact_store import folder_of, making, status, write
    from harness.executors.job import Done
    from harness.outcome import Outcome

    store, clock = Store(settings.store), time.perf_counter()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    target = folder_of(store, job.artifact, job.run_key)
    with _work_folder(making(target)) as work:
        if status(target, job.steps) == "ok":  # another session made it meanwhile
            return Done(job.run_key, "ok", None, None, time.perf_counter() - clock)
        try:
            outcome = _made(job, settings, work, notify)
        except (InputError, UnsupportedError) as error:
            outcome = Outcome("failed", str(error))
        ok = outcome.status == "ok"
        write(store, job.artifact, job.run_key, job.depends_on, started, outcome, work if ok else None)
        if ok or outcome.status == "diverged":  # final: nothing goes on from here
            shutil.rmtree(work, ignore_errors=True)
    return Done(job.run_key, outcome.status, outcome.reason, None, time.perf_counter() - clock)


@contextlib.contextmanager
def _work_folder(place: Path) -> Iterator[Path]:
    """The folder an artifact is made in, held by one process at a time; where another holds it, a folder of one's own."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go of by the system when the process ends, however it ends
            yield place
            return
        except BlockingIOError:
            own = Path(tempfile.mkdtemp(prefix=f"{place.name}-", dir=place.parent))
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _made(job: ArtifactJob, settings: Settings, work: Path, notify: Callable[[int, int | None, float], None] | None) -> Outcome:
    import pandas as pd
    import torch

    from harness.backbones.load import _quiet
    from harness.costs import Costs
    from harness.execute import attempted
    from harness.outcome import Outcome
    from harness.results import CURVE_COLUMNS
    from harness.seeds import Streams
    from harness.training import Budget, Run

    artifact, device = job.artifact, torch.device(settings.device)
    deadline = time.monotonic() + settings.timeout if settings.timeout else None
    streams = Streams(artifact.seeds)
    run = Run(streams, budget=Budget.parse(artifact.budget), device=device, notify=notify, deadline=deadline)

    def make() -> Outcome:
        with run.meter.timed("train"), _quiet():
            _produce(job, settings, work, run)
        meter = run.meter
        costs = Costs(
            tokens=meter.tokens, forward_calls=meter.forward_calls, steps=run.steps_done, examples=run.examples_seen, flops=meter.flops
        )
        costs.seconds_train, costs.stored_bytes = meter.seconds["train"], _bytes(work)
        curve = pd.DataFrame(run.curve.rows, columns=list(CURVE_COLUMNS))
        return Outcome("ok", costs=costs, curve=curve, facts={"notes": run.notes})

    return attempted(make, artifact.seeds, device, settings.timeout, settings.deterministic)


def _produce(job: ArtifactJob, settings: Settings, work: Path, run: Run) -> None:
    artifact = job.artifact
    root = Path(settings.store)
    run.artifacts = folders_of(root, job.depends_on)
    trials = tuple(root / "trials" / trial_id[:2] / trial_id / key for trial_id, key in job.depends_on.get("trials", ()))
    given = Given(artifact, run, run.artifacts, trials, settings.trust)
    producer = artifact.made()
    if isinstance(producer, Recipe):
        producer.build(given, run, work, job.steps)
        for name in ("model", *(f"step-{step}" for step in job.steps)):
            if not any((work / name / file).is_file() for file in ("config.json", PIPELINE)):
                raise InputError(f"recipe {artifact.producer} wrote no {name}", key="build", expected="a folder in hub format")
    else:
        assert isinstance(producer, Preparation)
        write_product(producer.prepare(given, run), work)


def _bytes(work: Path) -> int:
    """Size of the product; state to go on from is not counted."""
    parts = [place for place in work.iterdir() if place.name == "model" or place.stem == "product" or place.name.startswith("step-")]
    files = [file for place in parts for file in (place.rglob("*") if place.is_dir() else [place])]
    return sum(file.stat().st_size for file in files if file.is_file())


def store_artifact_failure(job: ArtifactJob, settings: Settings, status: str, reason: str) -> Done:
    """Keep a failure that the worker could not report itself. What it had made stays, to go on from."""
    from harness.artifact_store import write
    from harness.executors.job import Done
    from harness.outcome import Outcome

    started = datetime.now(UTC).isoformat(timespec="seconds")
    write(Store(settings.store), job.artifact, job.run_key, job.depends_on, started, Outcome(status, reason), None)
    return Done(job.run_key, status, reason, None, 0.0)
