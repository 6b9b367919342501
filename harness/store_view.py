"""The results view of a store: manifests of suites joined with stored trials, and imported results beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.artifact_costs import artifact_costs
from harness.errors import InputError
from harness.identity import canonical, digest
from harness.outcome import Media
from harness.results import CURVE_COLUMNS, STREAM_COLUMNS, TRIAL_COLUMNS, TRY_COLUMNS, Results, TaskScores
from harness.store import Store, Stored
from harness.task import Task
from harness.trial import Trial, backbone_name


def load_results(root: str | Path, suite: str | None = None) -> Results:
    """All cells that suites planned into the store, each with its newest answer; `suite` keeps one suite's."""
    store = Store(root, create=False)
    plans = [plan for plan in store.plans() if suite is None or plan["suite"] == suite]
    manifests = sorted({plan["suite"]: plan for plan in plans}.values(), key=lambda plan: str(plan["planned"]))
    imported = imported_results(store) if suite is None else None
    if not manifests and imported is None:
        raise InputError("holds no results", file=root, expected="run a suite into it first: harness run quickstart --store DIR")
    view = _View(store)
    for plan in manifests:
        for cell in plan["cells"]:
            view.add(plan, cell)
    results = view.results([_about(plan, plans) for plan in manifests])
    nodes = {node["run_key"]: node for plan in manifests for node in plan.get("artifacts", ())}
    results.artifacts = artifact_costs(nodes.values(), [stored.depends_on for stored in view.stored.values()], store)
    return results if imported is None else _joined(results, imported)


def _about(plan: Mapping[str, Any], plans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a report says of a suite. `seeds_planned` : when each set of seeds was first planned, so that seeds added after a look are known."""
    said = {key: plan[key] for key in ("suite", "question", "baseline", "arms", "planned")}
    planned: dict[int, str] = {}
    for earlier in plans:
        if earlier["suite"] == plan["suite"]:
            for cell in earlier["cells"]:
                planned.setdefault(int(cell["seed"]), str(earlier["planned"]))
    return {**said, "looks": plan.get("spec", {}).get("looks"), "seeds_planned": {str(seed): planned[seed] for seed in sorted(planned)}}


COSTS = (
    *("trainable_parameters", "head_parameters", "stored_parameters", "stored_bytes", "seconds_setup", "seconds_train"),
    *("seconds_evaluate", "tokens", "forward_calls", "flops", "peak_bytes"),
)

MOST_STEPS = 24  # points of a stream that are told apart; a longer one is cut into as many stretches of equal length


class _View:
    """Collects rows of the trials frame, and finds the stored answers behind them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rows: list[dict[str, Any]] = []
        self.stored: dict[str, Stored] = {}
        self.curves: list[pd.DataFrame] = []
        self.streams: list[pd.DataFrame] = []
        self.tries: dict[str, list[tuple[Any, ...]]] = {}
        self._tasks: dict[str, Task | None] = {}

    def add(self, plan: Mapping[str, Any], cell: Mapping[str, Any]) -> None:
        trial = Trial.from_value(cell["trial"])
        row: dict[str, Any] = dict.fromkeys(TRIAL_COLUMNS)
        row |= {key: cell[key] for key in ("arm", "block", "family", "seed", "run_key")}
        row |= self._question(trial) | {"suite": plan["suite"], "tags": tuple(cell["tags"]), "imported": False, "shared_cost": False}
        stored = self.store.get(trial.trial_id, cell["run_key"]) if cell["run_key"] else None
        if cell["unsupported"]:
            row |= {"status": "unsupported", "reason": cell["unsupported"]}
        elif stored is None:
            row |= {"status": "missing", "reason": "not run yet"}
        else:
            row |= self._answer(trial, stored)
        self.rows.append(row)

    def _question(self, trial: Trial) -> dict[str, Any]:
        task = self._task(trial)
        shots = trial.train if isinstance(trial.train, str) else ", ".join(f"{v} {k.replace('_', ' ')}" for k, v in trial.train.items())
        return {
            "trial_id": trial.trial_id,
            "method": trial.method,
            "config": canonical(trial.config),
            "task": trial.task,
            "task_version": task.version if task else None,
            "metric": task.metrics[0] if task else None,
            "higher_is_better": _higher(task),
            "floor": task.floor if task else None,
            "ceiling": task.ceiling if task else None,
            "backbone": backbone_name(trial.backbone),
            "selection": (trial.selection or {}).get("name"),
            "template": trial.template,
            "shots": shots,
            "demonstrations": trial.config.get("demonstrations"),
            "seeds": canonical(trial.seeds),
            "tuning_trials": (trial.tuning or {}).get("trials", 0),
        }

    def _task(self, trial: Trial) -> Task | None:
        """The task, for its declarations; None where it is no longer registered."""
        from harness import catalog

        key = canonical([trial.task, trial.task_config])
        if key not in self._tasks:
            try:
                self._tasks[key] = catalog.load("task", trial.task)(**trial.task_config)
            except InputError:
                self._tasks[key] = None
        return self._tasks[key]

    def _answer(self, trial: Trial, stored: Stored) -> dict[str, Any]:
        from harness.metrics import get

        result = stored.result
        facts, costs, scores = result["facts"], result["costs"], result["scores"]
        task = self._task(trial)
        primary = task.metrics[0] if task else next(iter(scores), None)
        self.stored[trial.trial_id] = stored
        curve = stored.curve()
        if len(curve):
            self.curves.append(curve.assign(trial_id=trial.trial_id))
        ok = result["status"] == "ok"
        no_value = ok and scores.get(primary) is None  # not a failure to run: the correlation of a constant answer, say
        tuned = facts.get("tuning")
        if tuned:
            self.tries[trial.trial_id] = _tries(trial.trial_id, tuned)
        return {
            **({"config": canonical(tuned["config"])} if tuned else {}),
            "status": "undefined" if no_value else result["status"],
            "reason": f"{primary} is undefined: {get(primary).undefined}" if no_value and primary else result["reason"],
            "metric": primary,
            "score": scores.get(primary) if ok else None,
            "dev_score": result["dev_score"],
            "scores": canonical(scores),
            "n_test": facts.get("n_test"),
            "data_digest": digest([facts.get("rows", {}).get("train"), facts.get("rows", {}).get("dev"), trial.seeds.get("demos")])
            if ok
            else None,
            "truncated": costs["truncated_examples"],
            "shared_cost": costs["shared"],
            "device": stored.depends_on.get("device"),
            "environment": canonical({**stored.depends_on.get("versions", {}), "numerics": stored.depends_on.get("numerics")}),
            "started": stored.started,
            **{name: costs[name] for name in COSTS},
            **{f"probe:{label}": found["value"] for label, found in result.get("probes", {}).items()},
        }

    def results(self, suites: Sequence[Mapping[str, Any]]) -> Results:
        probes = dict.fromkeys(name for row in self.rows for name in row if name.startswith("probe:"))
        frame = pd.DataFrame(self.rows, columns=[*TRIAL_COLUMNS, *probes]).astype(dict.fromkeys(probes, float))
        curves = pd.concat(self.curves, ignore_index=True) if self.curves else pd.DataFrame()
        provenance = {"suites": [dict(suite) for suite in suites], "store_format": 1}
        scores = self._scores(frame)
        streams = pd.concat(self.streams, ignore_index=True) if self.streams else pd.DataFrame(columns=list(STREAM_COLUMNS))
        curves = curves.reindex(columns=["trial_id", *CURVE_COLUMNS])
        tries = pd.DataFrame([row for rows in self.tries.values() for row in rows], columns=list(TRY_COLUMNS))
        return Results(frame, scores, curves, provenance, self._records, streams, self._media, tries=tries)

    def _scores(self, frame: pd.DataFrame) -> dict[str, TaskScores]:
        scores: dict[str, TaskScores] = {}
        ok = frame[frame["status"] == "ok"].drop_duplicates("trial_id")
        for task, rows in ok.groupby("task", sort=True):
            metric = rows["metric"].iloc[0]
            loaded = {trial_id: self.stored[trial_id].records() for trial_id in rows["trial_id"]}
            loaded = {trial_id: records for trial_id, records in loaded.items() if f"stat:{metric}" in records}
            if loaded:
                scores[str(task)] = _aligned(str(task), metric, loaded)
                self.streams += _along_the_stream(metric, loaded)
        return scores

    def _media(self, trial_id: str) -> list[Media]:
        stored = self.stored.get(trial_id)
        return [] if stored is None else stored.media()

    def _records(self, trial_id: str) -> pd.DataFrame:
        stored = self.stored.get(trial_id)
        columns = ["example", "cluster", "gold", "prediction", "output", "prompt", "value"]
        if stored is None:
            return pd.DataFrame(columns=columns)
        records = stored.records()
        statistics = next((name for name in map(str, records) if name.startswith("stat:")), None)
        records["value"] = [row[0] for row in records[statistics]] if statistics else np.nan
        return records[columns]


def _along_the_stream(metric: str, loaded: Mapping[str, pd.DataFrame]) -> list[pd.DataFrame]:
    """The metric at each step (or round) of the records that have one; nothing where no record came later than another."""
    from harness.metrics import get

    places = {}
    for trial_id, records in loaded.items():
        name = next((name for name in ("step", "round") if name in records and records[name].nunique() > 1), None)
        if name is not None:
            places[trial_id] = records[name].to_numpy(np.float64)
    if not places:
        return []
    steps = np.unique(np.concatenate(list(places.values())))
    edges = steps if len(steps) <= MOST_STEPS else np.linspace(steps[0], steps[-1], MOST_STEPS + 1)[1:]
    found = []
    for trial_id, at in places.items():
        statistics = np.stack(loaded[trial_id][f"stat:{metric}"].to_list())
        stretch = np.searchsorted(edges, at)  # a step belongs to the first edge that is not before it
        rows = [(trial_id, edges[i], *_metric_at(get(metric), statistics[stretch == i])) for i in np.unique(stretch)]
        found.append(pd.DataFrame(rows, columns=list(STREAM_COLUMNS)))
    return found


def _tries(trial_id: str, tuned: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """A row of TRY_COLUMNS for each configuration; one that did not succeed on every tuning seed has no score, as when choosing."""
    asked = max((len(one["dev_scores"]) for one in tuned["tries"]), default=0)
    each = tuned["seconds_train"] / max(len(tuned["tries"]), 1)
    return [
        (
            trial_id,
            canonical(one["config"]),
            float(np.mean(one["dev_scores"])) if asked and len(one["dev_scores"]) == asked else np.nan,
            each,
        )
        for one in tuned["tries"]
    ]


def _metric_at(metric: Any, statistics: np.ndarray) -> tuple[float, int]:
    return float(metric.value(statistics.sum(axis=0))), len(statistics)


def _aligned(task: str, metric: str, loaded: Mapping[str, pd.DataFrame]) -> TaskScores:
    """Statistics [N, E, k] on the union of examples; NaN where a trial did not answer one."""
    first = next(iter(loaded.values()))
    examples = list(dict.fromkeys(example for records in loaded.values() for example in records["example"]))
    place = {example: i for i, example in enumerate(examples)}
    width = len(first[f"stat:{metric}"].iloc[0])
    values = np.full((len(loaded), len(examples), width), np.nan)
    clusters: dict[str, str] = {}
    for n, records in enumerate(loaded.values()):
        values[n, [place[example] for example in records["example"]]] = np.stack(records[f"stat:{metric}"].to_list())
        clusters.update({e: c for e, c in zip(records["example"], records["cluster"]) if c is not None})
    named = tuple(clusters.get(example, example) for example in examples) if clusters else None
    return TaskScores(task, metric, tuple(examples), named, tuple(loaded), values)


def _higher(task: Task | None) -> bool | None:
    from harness.metrics import get

    return get(task.metrics[0]).higher_is_better if task else None


def imported_results(store: Store) -> Results | None:
    """Everything under STORE/imported: trials.parquet, and examples.parquet (trial_id, task, metric, example, cluster, statistics) where kept."""
    frames, scores = [], {}
    for folder in sorted((store.root / "imported").glob("*")) if (store.root / "imported").exists() else []:
        trials = _table(folder / "trials.parquet")
        trials["tags"] = [tuple(tags) if tags is not None else () for tags in trials["tags"]]
        frames.append(trials.assign(imported=True))
        if (folder / "examples.parquet").exists():
            scores.update(_imported_scores(_table(folder / "examples.parquet")))
    if not frames:
        return None
    return Results(pd.concat(frames, ignore_index=True)[list(TRIAL_COLUMNS)], scores, provenance={"suites": [], "imported": len(frames)})


def _table(file: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(file)
    except (OSError, ValueError):  # pyarrow's errors are ValueErrors
        raise InputError("is missing or damaged", file=file, expected="import the results again") from None


def _imported_scores(examples: pd.DataFrame) -> dict[str, TaskScores]:
    scores = {}
    for task, rows in examples.groupby("task", sort=True):
        metric = rows["metric"].iloc[0]
        loaded = {str(key): group.rename(columns={"statistics": f"stat:{metric}"}) for key, group in rows.groupby("trial_id", sort=True)}
        scores[str(task)] = _aligned(str(task), metric, loaded)
    return scores


def write_imported(root: str | Path, source_digest: str, trials: pd.DataFrame, examples: pd.DataFrame | None = None) -> Path:
    """Keep results from elsewhere beside our own, under the digest of the file they came from. Never a cache hit."""
    store = Store(root)
    folder = store.root / "imported" / source_digest
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in TRIAL_COLUMNS if name not in trials]
    if missing:
        raise InputError(f"imported trials lack {', '.join(missing)}", file=root)
    frame = trials[list(TRIAL_COLUMNS)].assign(tags=pd.Series([list(tags) for tags in trials["tags"]], index=trials.index, dtype=object))
    frame.to_parquet(folder / "trials.parquet", index=False, compression="zstd")
    if examples is not None:
        examples.to_parquet(folder / "examples.parquet", index=False, compression="zstd")
    return folder


def _joined(ours: Results, theirs: Results) -> Results:
    trials = pd.concat([frame for frame in (ours.trials, theirs.trials) if len(frame)], ignore_index=True)
    clash = set(ours.scores) & set(theirs.scores)
    scores = {**{f"{task} (imported)" if task in clash else task: s for task, s in theirs.scores.items()}, **ours.scores}
    return Results(
        trials,
        scores,
        ours.curves,
        {**theirs.provenance, **ours.provenance},
        ours.record_loader,
        ours.streams,
        ours.media_loader,
        ours.artifacts,
        ours.tries,
    )
