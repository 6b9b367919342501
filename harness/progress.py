"""What a person sees while a suite runs: a live display on a terminal, plain lines elsewhere, nothing with -q."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from harness.executors.job import AnyJob, Done

if TYPE_CHECKING:
    from harness.planning import Plan
    from harness.session import Session

SHOWN_RUNNING = 8


class Lines:
    """One plain line per finished trial: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.total = self.finished = 0
        self.start = time.monotonic()
        self.statuses: Counter[str] = Counter()

    def begin(self, plan: Plan, stored: int, to_run: int) -> None:
        self.total, self.start = to_run, time.monotonic()
        unsupported = sum(cell.unsupported is not None for cell in plan.cells)
        self.say(f"{plan.suite.suite}: {to_run} trials to run, {stored} stored, {unsupported} unsupported")

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def started(self, job: AnyJob) -> None: ...

    def stepped(self, run_key: str, step: int, of: int | None, loss: float) -> None: ...

    def done(self, job: AnyJob, done: Done) -> None:
        self.finished += 1
        self.statuses[done.status] += 1
        score = f" {done.score:.4f}" if done.score is not None else ""
        reason = f" ({done.reason})" if done.reason else ""
        self.say(f"[{self.finished}/{self.total}] {done.status}{score} {done.seconds:.1f} s  {job}{reason}  ETA {self.eta()}")

    def eta(self) -> str:
        if not self.finished:
            return "?"
        left = (self.total - self.finished) * (time.monotonic() - self.start) / self.finished
        return clock(left)

    def end(self, session: Session) -> None:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(self.statuses.items())) or "nothing to run"
        stopped = "stopped; run again to resume: " if session.interrupted else ""
        self.say(f"{stopped}{counts}, {session.reused} reused, {clock(time.monotonic() - self.start)}")


class LiveTable(Lines):
    """A table that stays in place: counts, what runs with its step and loss, the time left."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.running: dict[str, tuple[AnyJob, str]] = {}
        self.live: Live | None = None

    def begin(self, plan: Plan, stored: int, to_run: int) -> None:
        super().begin(plan, stored, to_run)
        self.live = Live(self._table(), console=self.console, refresh_per_second=4, transient=True)
        self.live.start()

    def _refresh(self) -> None:
        if self.live is not None:
            self.live.update(self._table())

    def _table(self) -> Table:
        failed = sum(count for status, count in self.statuses.items() if status != "ok")
        table = Table(
            title=f"{self.finished} of {self.total} done, {failed} failed, {clock(time.monotonic() - self.start)}, ETA {self.eta()}",
            title_justify="left",
        )
        table.add_column("running", overflow="fold")
        table.add_column("step, loss", justify="right")
        for job, step in list(self.running.values())[:SHOWN_RUNNING]:
            table.add_row(escape(str(job)), step)
        return table

    def started(self, job: AnyJob) -> None:
        self.running[job.run_key] = (job, "")
        self._refresh()

    def stepped(self, run_key: str, step: int, of: int | None, loss: float) -> None:
        if run_key in self.running:
            self.running[run_key] = (self.running[run_key][0], f"{step}/{of or '?'}  {loss:.4f}")
            self._refresh()

    def done(self, job: AnyJob, done: Done) -> None:
        self.running.pop(job.run_key, None)
        if done.status == "ok":
            self.finished += 1
            self.statuses[done.status] += 1
        else:
            super().done(job, done)
        self._refresh()

    def end(self, session: Session) -> None:
        if self.live is not None:
            self.live.stop()
        super().end(session)


def display_for(console: Console, *, quiet: bool) -> Lines | None:
    """The display that fits: None (silent) with -q, live on a terminal, lines elsewhere."""
    if quiet:
        return None
    return LiveTable(console) if console.is_terminal else Lines(console)


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else (f"{minutes} min {rest:02d} s" if minutes else f"{rest} s")
