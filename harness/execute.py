"""Running one trial: a pure function from a trial to an outcome. Test is scored once, here, after everything was chosen."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pandas as pd
import torch

from harness import catalog
from harness.costs import Costs
from harness.errors import DivergedError, InputError, UnsupportedError
from harness.identity import canonical
from harness.method import Method, Predictor
from harness.metrics import score, values
from harness.outcome import Outcome, records_of
from harness.seeds import Streams
from harness.task import Shots, Task, TaskData, draw
from harness.training import Budget, OutOfTime, Run
from harness.trial import Trial

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone

Notify = Callable[[int, int | None, float], None]


def task_of(trial: Trial) -> Task:
    """The trial's task; procedural rows are made once a process."""
    return _task(trial.task, canonical(trial.task_config))


@functools.lru_cache(maxsize=32)
def _task(name: str, config: str) -> Task:
    task: Task = catalog.load("task", name)(**json.loads(config))
    return task


def method_of(trial: Trial) -> Method:
    kind = "wrapper" if "over" in trial.config else "method"
    method: Method = catalog.load(kind, trial.method)(**trial.config)
    return method


def data_of(trial: Trial, task: Task, streams: Streams) -> TaskData:
    """Rows drawn by the `data` stream and the task alone: every method sees the same ones."""
    data = draw(
        task,
        streams.rng("data", task.name),
        train=Shots.parse(trial.train, "shots"),
        dev=Shots.parse(trial.dev, "dev"),
        test_rows=trial.test_rows,
    )
    return replace(data, template=trial.template)


def run_of(trial: Trial, streams: Streams, device: torch.device, notify: Notify | None = None, deadline: float | None = None) -> Run:
    return Run(
        streams,
        budget=Budget.parse(trial.budget),
        select=trial.select,
        precision=trial.precision,
        device=device,
        template=trial.template,
        notify=notify,
        deadline=deadline,
    )


def run_trial(
    trial: Trial, *, device: str = "cpu", timeout: float | None = None, notify: Notify | None = None, trust: tuple[str, ...] = ()
) -> Outcome:
    """Run `trial`. Whatever the method does wrong becomes a status with a reason; bad input is raised as InputError."""
    deadline = time.monotonic() + timeout if timeout else None
    log = io.StringIO()
    with _logged(log), _seeded(trial):
        try:
            outcome = _run(trial, torch.device(device), deadline, notify, trust)
        except (InputError, UnsupportedError, KeyboardInterrupt):
            raise
        except OutOfTime:
            outcome = Outcome("timed_out", f"over the limit of {timeout:g} s")
        except DivergedError as error:
            outcome = Outcome("diverged", str(error))
        except (MemoryError, torch.OutOfMemoryError) as error:
            outcome = Outcome("out_of_memory", _one_line(error))
        except Exception as error:
            log.write(traceback.format_exc())
            outcome = Outcome("failed", f"{type(error).__name__}: {_one_line(error)}")
    outcome.log = log.getvalue()
    return outcome


def _run(trial: Trial, device: torch.device, deadline: float | None, notify: Notify | None, trust: tuple[str, ...]) -> Outcome:
    from harness.backbones.load import load
    from harness.backbones.precision import Precision, precision

    streams = Streams(trial.seeds)
    run = run_of(trial, streams, device, notify, deadline)
    meter = run.meter
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with meter.timed("setup"):
        task, method = task_of(trial), method_of(trial)
        data = data_of(trial, task, streams)
        backbone = load(trial.backbone, device=str(device), trust_remote_code=trust)
        backbone.meter = meter
        reason = method.unsupported(task, backbone.family, backbone.capabilities)
        if reason:
            raise UnsupportedError(reason)
    with precision(backbone, cast(Precision, trial.precision)):
        with meter.timed("train"):
            predictor = method.adapt(backbone, data, run)
        run.check_time()
        with meter.timed("evaluate"), torch.no_grad():
            outcome = _evaluate(trial, data, predictor, run)
    outcome.costs = _costs(run, method, backbone, task, predictor)
    outcome.facts["backbone"] = backbone.identity
    return outcome


def _evaluate(trial: Trial, data: TaskData, predictor: Predictor, run: Run) -> Outcome:
    outcome = Outcome("ok", predictor=predictor)
    if data.dev:
        predicted = predictor.predict([row.example for row in data.dev])
        outcome.dev_score = score(data.task.metrics[0], predicted, data.dev, data.task)
    if trial.scored == "test":
        predictions = predictor.predict([row.example for row in data.test])
        outcome.scores = values(data.task.metrics, predictions, data.test, data.task)
        outcome.records = records_of(predictions, data.test, data.task)
        outcome.shared_prompt = predictions.shared_prompt
    outcome.curve = pd.DataFrame(run.curve.rows, columns=["step", "loss", "dev_score", "seconds"])
    outcome.facts = {"rows": data.digests, "dropped": data.dropped, "notes": run.notes, "n_test": len(data.test)}
    return outcome


def _costs(run: Run, method: Method, backbone: Backbone, task: Task, predictor: Predictor) -> Costs:
    tensors, _ = predictor.state()
    trainable, head = method.trainable_parameters(backbone, task), method.head_parameters(backbone, task)
    meter = run.meter
    costs = Costs(
        trainable_parameters=trainable,
        head_parameters=head,
        stored_parameters=sum(tensor.numel() for tensor in tensors.values()),
        tokens=meter.tokens,
        forward_calls=meter.forward_calls,
        steps=run.steps_done,
        examples=run.examples_seen,
        flops=meter.flops,
        truncated_examples=meter.truncated_examples,
        truncated_tokens=meter.truncated_tokens,
        seconds_setup=meter.seconds["setup"],
        seconds_train=meter.seconds["train"],
        seconds_evaluate=meter.seconds["evaluate"],
    )
    if run.device.type == "cuda":
        costs.peak_bytes, costs.memory_kind = int(torch.cuda.max_memory_allocated(run.device)), "peak of the CUDA allocator"
    else:
        weights = sum(p.numel() * p.element_size() for p in backbone.model.parameters()) + 4 * (trainable + head)
        costs.peak_bytes = weights + run.optimiser_bytes + meter.activation_bytes
    return costs


@contextlib.contextmanager
def _seeded(trial: Trial) -> Iterator[None]:
    """Global generators that libraries draw from (dropout, a library's own initial weights), set from the trial and put back after."""
    streams = Streams(trial.seeds)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(streams.integer("noise"))
        yield


@contextlib.contextmanager
def _logged(into: io.StringIO) -> Iterator[None]:
    handler = logging.StreamHandler(into)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def restored(trial: Trial, folder: Any, *, device: str = "cpu") -> tuple[Task, Predictor, TaskData]:
    """The stored adaptation of a trial, ready to predict."""
    from harness.backbones.load import load
    from harness.method import load as load_state

    streams = Streams(trial.seeds)
    task, method = task_of(trial), method_of(trial)
    data = data_of(trial, task, streams)
    tensors, facts = load_state(folder / "adapted")
    with _seeded(trial):
        backbone = load(trial.backbone, device=device)
        return task, method.restore(backbone, data, run_of(trial, streams, torch.device(device)), tensors, facts), data
