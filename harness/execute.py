"""Running one trial: a pure function from a trial to an outcome. Test is scored once, here, after everything was chosen."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import random
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import torch

from harness import catalog
from harness.artifact_inputs import Folders, folders_of, local
from harness.costs import Costs
from harness.errors import DivergedError, InputError, UnsupportedError
from harness.identity import canonical
from harness.method import Method, Predictor
from harness.metrics import score, values
from harness.outcome import Media, Outcome, records_of
from harness.probe import probed
from harness.protocols import answers, ask
from harness.registry import method_kind
from harness.results import CURVE_COLUMNS
from harness.seeds import Streams
from harness.task import Shots, Task, TaskData, draw
from harness.training import Budget, OutOfTime, Run
from harness.trial import Trial

if TYPE_CHECKING:
    from harness.backbones.pretrained import Pretrained
    from harness.selection import Selection
    from harness.store import Stored

Notify = Callable[[int, int | None, float], None]


def task_of(trial: Trial) -> Task:
    """The trial's task; its rows are made or read once a process, and again when a file of theirs has changed."""
    key = canonical([trial.task, trial.task_config])
    task, stamp = _tasks.get(key, (None, None))
    if task is None or stamp != _stamp(task):
        task = catalog.load("task", trial.task)(**trial.task_config)
        _tasks[key] = task, _stamp(task)
        if len(_tasks) > KEPT_TASKS:
            del _tasks[next(iter(_tasks))]
    return task


KEPT_TASKS = 32  # whose rows stay in memory
_tasks: dict[str, tuple[Task, list[Any]]] = {}


def _stamp(task: Task) -> list[Any]:
    """State of the files that a task's rows were read from."""
    return [[str(file), os.stat(file).st_mtime_ns, os.stat(file).st_size] for file in getattr(task, "source_files", ())]


def method_of(trial: Trial) -> Method:
    method: Method = catalog.load(method_kind(trial.config), trial.method)(**trial.config)
    return method


def selection_of(trial: Trial) -> Selection | None:
    if trial.selection is None:
        return None
    selection: Selection = catalog.load("selection", trial.selection["name"])(**trial.selection["config"])
    return selection


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


KEPT_COUNTS = 64  # questions whose steps' costs stay known to a process
_counts: OrderedDict[str, dict[Any, Any]] = OrderedDict()


def _counted(trial: Trial, device: torch.device) -> dict[Any, Any]:
    """Costs of steps by shape, shared by trials that differ in their seeds alone: each shape is counted once a process."""
    key = canonical({**trial.value(), "seeds": None, "device": device.type})
    _counts.setdefault(key, {})
    _counts.move_to_end(key)
    while len(_counts) > KEPT_COUNTS:
        _counts.popitem(last=False)
    return _counts[key]


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
        selection=selection_of(trial),
    )


def run_trial(
    trial: Trial,
    *,
    device: str = "cpu",
    timeout: float | None = None,
    notify: Notify | None = None,
    trust: tuple[str, ...] = (),
    deterministic: bool = True,
    artifacts: Folders | None = None,
) -> Outcome:
    """Run `trial`. Whatever the method does wrong becomes a status with a reason; bad input is raised as InputError.

    deterministic : on a GPU, only kernels that repeat bit for bit (a CPU's always do at one thread count).
    artifacts : where the artifacts are that its backbone and its settings refer to.
    """
    place = torch.device(device)
    deadline = time.monotonic() + timeout if timeout else None

    def answer() -> Outcome:
        return _run(trial, place, deadline, notify, trust, artifacts or {})

    return attempted(answer, trial.seeds, place, timeout, deterministic)


def attempted(
    action: Callable[[], Outcome], seeds: Mapping[str, int], device: torch.device, timeout: float | None, deterministic: bool
) -> Outcome:
    """What `action` gives under these seeds. What goes wrong in it becomes a status with a reason; InputError and UnsupportedError are raised."""
    log = io.StringIO()
    with _logged(log), _seeded(seeds), _repeatable(device, deterministic):
        try:
            outcome = action()
        except (InputError, UnsupportedError, KeyboardInterrupt):
            raise
        except OutOfTime:
            outcome = Outcome("timed_out", f"over the limit of {timeout:g} s")
        except DivergedError as error:
            outcome = Outcome("diverged", str(error))
        except (MemoryError, torch.OutOfMemoryError) as error:
            outcome = Outcome("out_of_memory", _one_line(error))
        except (Exception, SystemExit) as error:
            log.write(traceback.format_exc())
            no_room = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)  # what the CPU's allocator raises
            outcome = Outcome("out_of_memory" if no_room else "failed", f"{type(error).__name__}: {_one_line(error)}")
    outcome.log = log.getvalue()
    return outcome


def _run(
    trial: Trial, device: torch.device, deadline: float | None, notify: Notify | None, trust: tuple[str, ...], artifacts: Folders
) -> Outcome:
    from harness.backbones.load import load
    from harness.backbones.precision import Precision, precision

    streams = Streams(trial.seeds)
    run = run_of(trial, streams, device, notify, deadline)
    run.artifacts = artifacts
    run.meter.known = _counted(trial, device)
    meter = run.meter
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with meter.timed("setup"):
        task, method = task_of(trial), method_of(trial)
        data = data_of(trial, task, streams)
        backbone = load(local(trial.backbone, artifacts), device=str(device), trust_remote_code=trust)
        backbone.meter = meter
        reason = method.unsupported(task, backbone.family, backbone.capabilities)
        if reason:
            raise UnsupportedError(reason)
    with precision(backbone, cast(Precision, trial.precision)):
        with meter.timed("train"):
            predictor = method.adapt(backbone, data, run)
        run.check_time()
        with meter.timed("evaluate"):
            outcome = _evaluate(trial, data, predictor, run)
        outcome.costs = _costs(run, method, backbone, task, predictor)
        with meter.timed("probe"):  # after the costs: what is measured for its own sake is no cost of the method
            outcome.probes = probed(trial, predictor, backbone, data, run)
            outcome.media = _pictures(predictor, data) if trial.scored == "test" else []
    outcome.facts["backbone"] = backbone.identity
    return outcome


def _evaluate(trial: Trial, data: TaskData, predictor: Predictor, run: Run) -> Outcome:
    outcome = Outcome("ok", predictor=predictor)
    if data.dev:
        with torch.no_grad():
            predicted = answers(data.task, predictor, data.dev, run)
        outcome.dev_score = score(data.task.metrics[0], predicted, data.dev, data.task)
    n_test = len(data.test)
    if trial.scored == "test":
        answered = ask(data, predictor, run)
        n_test = len(answered.rows)
        outcome.scores = values(data.task.metrics, answered.predictions, answered.rows, data.task)
        outcome.records = records_of(answered.predictions, answered.rows, data.task).assign(**answered.places)
        outcome.shared_prompt = answered.predictions.shared_prompt
    outcome.curve = pd.DataFrame(run.curve.rows, columns=list(CURVE_COLUMNS))
    outcome.facts = {"rows": data.digests, "dropped": data.dropped, "notes": run.notes, "n_test": n_test}
    return outcome


def _pictures(predictor: Predictor, data: TaskData) -> list[Media]:
    """What a predictor that offers `pictures` shows of the test examples."""
    with torch.no_grad():
        drawn: list[Media] = getattr(predictor, "pictures", lambda examples: [])([row.example for row in data.test])
    return drawn


def _costs(run: Run, method: Method, backbone: Pretrained, task: Task, predictor: Predictor) -> Costs:
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
def _seeded(seeds: Mapping[str, int]) -> Iterator[None]:
    """Global generators that libraries draw from (dropout, a library's own initial weights), set from the seeds and put back after."""
    number = Streams(seeds).integer("noise")
    before = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(number)
        random.seed(number)
        np.random.seed(number % 2**32)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])


@contextlib.contextmanager
def _repeatable(device: torch.device, wanted: bool) -> Iterator[None]:
    """Deterministic CUDA kernels while within; an operation that has none is an error that names it."""
    if device.type != "cuda" or not wanted:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats only with a fixed workspace
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


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


@contextlib.contextmanager
def restored(stored: Stored, *, device: str = "cpu") -> Iterator[Predictor]:
    """The stored adaptation of a trial, ready to predict within the block, at the trial's precision."""
    from harness.backbones.load import load
    from harness.backbones.precision import Precision, precision
    from harness.method import load as load_state

    trial = answered(stored)
    streams = Streams(trial.seeds)
    task, method = task_of(trial), method_of(trial)
    data = data_of(trial, task, streams)
    tensors, facts = load_state(stored.folder / "adapted")
    run = run_of(trial, streams, torch.device(device))
    run.artifacts = folders_of(stored.folder.parents[3], stored.depends_on)
    with _seeded(trial.seeds):
        backbone = load(local(trial.backbone, run.artifacts), device=device)
        with precision(backbone, cast(Precision, trial.precision)):
            yield method.restore(backbone, data, run, tensors, facts)


def answered(stored: Stored) -> Trial:
    """The trial with the configuration that gave the answer: a tuned one's is what its tries chose."""
    tuned = stored.result["facts"].get("tuning")
    return stored.trial if tuned is None else replace(stored.trial, config=tuned["config"])
