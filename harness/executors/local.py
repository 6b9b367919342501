"""Worker processes on this machine. A worker that dies or hangs costs its own trial and nothing else."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from harness.errors import InputError
from harness.executors.job import AnyJob, Done, Settings, job_of, run_job, store_failure

GRACE = 20.0  # seconds past its limit after which a trial that does not look at the clock is stopped from outside


def _work(connection: Connection, settings: Settings) -> None:
    """A worker's life: receive a job's text, run it, say how it ended; None ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    for module in ("harness.execute", "harness.backbones.load"):  # seconds of imports that no trial's time limit should pay
        importlib.import_module(module)
    last = 0.0
    while (text := _received(connection)) is not None:
        job = job_of(text)
        _send(connection, ("began", job.run_key))

        def notify(step: int, of: int | None, loss: float, key: str = job.run_key) -> None:
            nonlocal last
            if time.monotonic() - last > 0.5:
                last = time.monotonic()
                _send(connection, ("step", (key, step, of, loss)))

        try:
            _send(connection, ("done", run_job(job, settings, notify)))
        except InputError as error:
            _send(connection, ("refused", str(error)))


def _received(connection: Connection) -> str | None:
    try:
        text: str | None = connection.recv()
        return text
    except (EOFError, OSError):  # the parent was killed
        return None


def _send(connection: Connection, message: tuple[str, Any]) -> None:
    """Tell the parent. Where it was killed there is nobody to work for: end here, without storing what would look like a failure."""
    try:
        connection.send(message)
    except OSError:
        os._exit(1)


@dataclass
class _Worker:
    process: Any
    connection: Connection
    job: AnyJob | None = None
    since: float | None = None  # when it began its job: starting up and importing is not the trial's time


class LocalExecutor:
    """Run jobs in `workers` processes; `workers=0` runs them in this one."""

    def __init__(self, settings: Settings, workers: int) -> None:
        self.settings, self.size = settings, workers
        self._workers: list[_Worker] = []

    def run(
        self,
        next_job: Callable[[], AnyJob | None],
        started: Callable[[AnyJob], None],
        stepped: Callable[[str, int, int | None, float], None],
    ) -> Iterator[Done]:
        """Yield every job's end as it comes. `next_job` gives None while nothing is ready; the run is over when nothing is running either."""
        if self.size == 0:
            while (job := next_job()) is not None:
                started(job)
                key = job.run_key
                yield run_job(job, self.settings, lambda step, of, loss, key=key: stepped(key, step, of, loss))  # type: ignore[misc]
            return
        try:
            while True:
                self._feed(next_job, started)
                busy = [worker for worker in self._workers if worker.job is not None]
                if not busy:
                    return
                yield from self._listen(busy, stepped)
        finally:
            self.close()

    def _feed(self, next_job: Callable[[], AnyJob | None], started: Callable[[AnyJob], None]) -> None:
        while True:
            idle = next((worker for worker in self._workers if worker.job is None), None)
            if idle is None and len(self._workers) >= self.size:
                return
            job = next_job()
            if job is None:
                return
            worker = idle or self._start()
            try:
                worker.connection.send(job.text())
            except OSError:  # it was killed while it had nothing to do
                self._drop(worker)
                worker = self._start()
                worker.connection.send(job.text())
            worker.job, worker.since = job, None
            started(job)

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        before = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = str(self.settings.threads)
        resource_tracker.ensure_running()  # here, because starting it lets SIGINT through again
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited, until the worker says itself that it ignores it
        try:
            process = context.Process(target=_work, args=(theirs, self.settings), daemon=True)
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            if before is None:
                del os.environ["OMP_NUM_THREADS"]
            else:
                os.environ["OMP_NUM_THREADS"] = before
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _listen(self, busy: list[_Worker], stepped: Callable[[str, int, int | None, float], None]) -> Iterator[Done]:
        ready = wait([worker.connection for worker in busy], timeout=1.0)
        for worker in busy:
            assert worker.job is not None
            if worker.connection in ready:
                try:
                    kind, message = worker.connection.recv()
                except (EOFError, ConnectionResetError):
                    yield self._died(worker)
                    continue
                if kind == "began":
                    worker.since = time.monotonic()
                elif kind == "step":
                    stepped(*message)
                elif kind == "refused":
                    raise InputError(message)
                else:
                    worker.job = None
                    yield message
            elif self._overdue(worker):
                job = worker.job
                self._drop(worker)
                yield store_failure(job, self.settings, "timed_out", f"over the limit of {self.settings.timeout:g} s")

    def _overdue(self, worker: _Worker) -> bool:
        limit = self.settings.timeout
        return limit is not None and worker.since is not None and time.monotonic() - worker.since > limit + GRACE

    def _died(self, worker: _Worker) -> Done:
        job = worker.job
        assert job is not None
        worker.process.join(5)
        code = worker.process.exitcode
        self._drop(worker)
        if code == -signal.SIGKILL:
            return store_failure(job, self.settings, "out_of_memory", "the worker was killed, most likely for its memory")
        return store_failure(job, self.settings, "failed", f"the worker ended with exit code {code}")

    def _drop(self, worker: _Worker) -> None:
        worker.process.kill()
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)

    def close(self) -> None:
        """Stop all workers: idle ones are asked, busy ones are not waited for."""
        for worker in list(self._workers):
            if worker.job is None:
                try:
                    worker.connection.send(None)
                    worker.process.join(2)
                except (BrokenPipeError, OSError):
                    pass
            self._drop(worker)
