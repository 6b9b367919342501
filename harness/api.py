"""The Python API: load a suite, run it, get pandas frames. The command line is a thin layer over the same calls.

import harness
results = harness.run("quickstart", store="store")
results.trials.groupby("arm")["score"].mean()
results.records(results.trials["trial_id"].iloc[0])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.executors.by_name import check as check_executor
from harness.executors.job import Settings
from harness.planning import Plan
from harness.planning import plan as _plan
from harness.preflight import preflight
from harness.results import Results
from harness.session import Display, Session, Silent
from harness.store import Store
from harness.store import load_results as load_results
from harness.suite import Suite
from harness.suite import load_suite as _load_suite


def load_suite(name: str | Path, **settings: Any) -> Suite:
    """A suite by name or path. `settings` override its keys; dots are written as double underscores (seeds=3, budget__steps=50)."""
    return _load_suite(name, {key.replace("__", "."): value for key, value in settings.items()})


def plan(
    suite: Suite | str | Path,
    *,
    device: str = "auto",
    threads: int = 1,
    only: str | None = None,
    fetch: bool = False,
    deterministic: bool = True,
) -> Plan:
    """What a suite would run. Hub backbones are planned without being downloaded, unless `fetch`."""
    loaded = suite if isinstance(suite, Suite) else load_suite(suite)
    chosen = resolved_device(device)
    return _plan(loaded, device=chosen, threads=threads, only=only, fetch=fetch, deterministic=deterministic)


def run_session(
    suite: Suite | str | Path,
    *,
    store: str | Path = "store",
    device: str = "auto",
    workers: int | None = None,
    threads: int = 1,
    only: str | None = None,
    timeout: float | None = None,
    keep: str = "small",
    fail_fast: bool = False,
    trust: Sequence[str] = (),
    display: Display | None = None,
    executor: str = "local",
    deterministic: bool = True,
) -> Session:
    """Plan and run a suite into a store; the session says how every trial ended."""
    check_executor(executor)
    planned = plan(suite, device=device, threads=threads, only=only, fetch=True, deterministic=deterministic)
    Store.check_place(store)
    preflight(planned, trust=trust)
    opened = Store(store)
    settings = Settings(str(Path(store).resolve()), resolved_device(device), threads, timeout, keep, tuple(trust), deterministic)
    return Session(planned, opened, settings, fail_fast=fail_fast, display=display or Silent(), executor=executor).run(workers)


def run(suite: Suite | str | Path, *, store: str | Path = "store", workers: int | None = 0, **options: Any) -> Results:
    """Run a suite (in this process, unless `workers` says otherwise) and return the store's results of it."""
    session = run_session(suite, store=store, workers=workers, **options)
    if session.interrupted:
        raise KeyboardInterrupt
    return load_results(store, session.plan.suite.suite)


def resolved_device(device: str) -> str:
    """`auto` is the first GPU where there is one. InputError for a device that is not there."""
    from harness.errors import InputError

    if device == "cpu":
        return device
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.split(":")[0] != "cuda":
        raise InputError(f"unknown device {device!r}", key="--device", expected="auto, cpu, cuda or cuda:N")
    number = device.partition(":")[2]
    if number and not number.isdigit():
        raise InputError(f"unknown device {device!r}", key="--device", expected="auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise InputError("no CUDA device is available", key="--device", expected="use --device cpu, or install a CUDA build of torch")
    if number and int(number) >= torch.cuda.device_count():
        raise InputError(
            f"there is no {device}", key="--device", expected=f"CUDA devices are numbered 0 to {torch.cuda.device_count() - 1}"
        )
    return device


def predict(store: str | Path, trial_id: str, rows: Sequence[Mapping[str, Any]], *, device: str = "auto") -> Any:
    """Predictions of a stored adaptation on new inputs."""
    from harness.execute import restored
    from harness.task import Example

    found = find_trial(Store(store, create=False), trial_id)
    examples = [Example(str(row.get("id", i)), {k: v for k, v in row.items() if k != "id"}) for i, row in enumerate(rows)]
    with restored(found, device=resolved_device(device)) as predictor:
        return predictor.predict(examples)


def find_trial(store: Store, prefix: str) -> Any:
    """The newest stored answer of the trial whose id starts with `prefix`; InputError if none or several do."""
    from harness.errors import InputError

    folders = sorted(store.root.glob(f"trials/{prefix[:2]}*/{prefix}*/*")) if len(prefix) >= 2 and prefix.isalnum() else []
    whole = (folder for folder in folders if not folder.name.startswith("."))  # the others are still being written
    found = [stored for folder in whole if (stored := store.read(folder)) is not None]
    ids = sorted({stored.trial.trial_id for stored in found})
    if not ids:
        raise InputError(
            f"no stored trial starts with {prefix!r}", file=store.root, expected="see the ids in the report or `harness store check`"
        )
    if len(ids) > 1:
        raise InputError(
            f"{len(ids)} trials start with {prefix!r}", file=store.root, expected=f"for example {ids[0][:12]} or {ids[1][:12]}"
        )
    return max(found, key=lambda stored: stored.started)
