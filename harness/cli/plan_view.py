"""A plan in words and as JSON, with a rough estimate of what it costs."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

import pandas as pd

from harness.artifact_costs import artifact_costs
from harness.identity import canonical
from harness.planning import Plan
from harness.progress import clock
from harness.session import default_workers
from harness.store import Store
from harness.trial import Trial, backbone_name


def plan_value(plan: Plan, store: Store | None) -> dict[str, Any]:
    estimate = Estimate(plan, store)
    costs = json.loads(_artifact_costs(plan, store).to_json(orient="records"))
    return {**plan.manifest(), "counts": dict(plan.counts(store)), "estimate": estimate.value(), "artifact_costs": costs}


def _artifact_costs(plan: Plan, store: Store | None) -> pd.DataFrame:
    nodes = [node.value() for node in plan.artifacts().values()]
    return artifact_costs(nodes, [plan.depends[key] for key in plan.trials()], store)


def plan_lines(plan: Plan, store: Store | None, *, trials: bool) -> Iterator[str]:
    counts = plan.counts(store)
    yield f"{plan.suite.suite}: {plan.suite.question}"
    yield f"{counts['trials']} trials: {counts['stored']} stored, {counts['to_run']} to run; {counts['unsupported']} cells unsupported"
    for _, row in _artifact_costs(plan, store).iterrows():
        yield f"  {artifact_line(dict(row))}"
    cells = Counter((cell.arm, cell.family) for cell in plan.runnable)
    for (arm, family), count in sorted(cells.items()):
        yield f"  {arm} on {family}: {count} trials"
    for reason, count in Counter(cell.unsupported for cell in plan.cells if cell.unsupported).items():
        yield f"  unsupported ({count}): {reason}"
    yield from Estimate(plan, store).lines()
    if trials:
        for key, trial in plan.trials().items():
            done = store is not None and store.has(trial.trial_id, key)
            yield f"  {'stored' if done else 'to run'}  {trial.trial_id[:12]}  {trial}"


def artifact_line(row: Mapping[str, Any]) -> str:
    """One artifact: what it cost, and each of its users' share."""
    state = "to make" if row["status"] != "ok" else f"stored, {clock(row['seconds'])} to make"
    used = f"{row['users']} trials use it"
    if row["status"] == "ok" and row["seconds_each"] == row["seconds_each"] and row["seconds_each"] is not None:
        whole = f" ({clock(row['whole_seconds'])} with what it is made from)" if row["whole_seconds"] > row["seconds"] else ""
        used += f"{whole}: {row['seconds_each']:.1f} s each"
    return f"{row['kind']} {row['producer']}, seed {row['seed']}: {state}; {used}"


class Estimate:
    """Time from the median of stored trials of the same method and backbone; memory likewise. Unknown where none is stored."""

    def __init__(self, plan: Plan, store: Store | None) -> None:
        known = _known(store)
        self.seconds = 0.0
        self.peak = 0
        self.unknown: Counter[str] = Counter()
        todo = [trial for key, trial in plan.trials().items() if store is None or not store.has(trial.trial_id, key)]
        for trial in todo:
            seen = known.get(_like(trial))
            if seen is None:
                self.unknown[f"{trial.method} on {backbone_name(trial.backbone)}"] += 1
                continue
            self.seconds += median(seconds for seconds, _ in seen)
            self.peak = max([self.peak, *(peak or 0 for _, peak in seen)])
        self.todo = len(todo)

    def value(self) -> dict[str, Any]:
        whole = not self.unknown
        return {"seconds": self.seconds if whole else None, "peak_bytes": self.peak or None, "without_estimate": dict(self.unknown)}

    def lines(self) -> Iterator[str]:
        from harness.executors.job import Settings

        workers = default_workers(Settings(""))
        if self.seconds:
            yield f"estimated {clock(self.seconds / workers)} with {workers} workers for the trials like stored ones, peak {self.peak / 2**20:.0f} MiB each"
        if self.unknown:
            yield f"no estimate for {sum(self.unknown.values())} trials: nothing like them is stored yet ({', '.join(sorted(self.unknown)[:4])}{', ...' if len(self.unknown) > 4 else ''})"


def _like(trial: Trial) -> tuple[str, str, str]:
    return trial.method, backbone_name(trial.backbone), canonical(trial.budget)


def _known(store: Store | None) -> dict[tuple[str, str, str], list[tuple[float, int | None]]]:
    known: dict[tuple[str, str, str], list[tuple[float, int | None]]] = defaultdict(list)
    for folder in store.folders() if store is not None else ():
        stored = store.read(folder) if store is not None else None
        if stored is not None and stored.result["status"] == "ok":
            costs = stored.result["costs"]
            known[_like(stored.trial)].append(
                (sum(costs[f"seconds_{phase}"] for phase in ("setup", "train", "evaluate")), costs["peak_bytes"])
            )
    return known
