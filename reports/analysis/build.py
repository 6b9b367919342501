"""From the results view to the analysis, with a cache that knows its input by digest."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import InputError
from harness.results import TRIAL_COLUMNS, Results

from ..statistics.result import TestResult
from . import board, diagnostics, economics, further
from .across import compare, matrices
from .agreements import agreements
from .bounds import bounded, bounded_cell, bounded_standing, column_bounds, mean_bounds, normalised_bounds
from .cells import describe_arms, describe_cells
from .codec import encode, read_results, results_json
from .digits import median_places
from .findings import ClaimRow, Failure, Places
from .grid import FAILED, Grid, Table, build_grids
from .model import Analysis, Cell, Family, Options, Pair, Provenance, Standing
from .next_runs import next_samples
from .pairs import column_pairs
from .scale import choose_scale
from .settings import by_task
from .stopping import at_this_look, plans_are_known, stopping_notes
from .streams import along_streams
from .tuning import budget_curves, selection_gaps
from .verdict import question, verdict

HERE = Path(__file__).parent


def analyse(
    results: Results,
    options: Options | None = None,
    *,
    families: Sequence[str] = (),
    claims: Sequence[ClaimRow] = (),
    stored: Path | None = None,
) -> Analysis:
    """Everything that a report of these results prints. `stored` : a results.json, read instead if it was made from
    the same input by the same code, and written otherwise."""
    options = at_this_look(with_declared(options or Options(), results), results)
    digest = input_digest(results, options, families, claims)
    if stored is not None and stored.is_file():
        kept = _stored(stored)
        if kept.get("provenance", {}).get("digest") == digest:
            return read_results(kept)
    grids = build_grids(results, families)
    analysis = Analysis(
        title=options.title or _capital(", ".join(_suites(results))) or "Results",
        options=options,
        families=tuple(_family(grid, results, options) for grid in grids),
        claims=tuple(claims),
        provenance=_provenance(results, digest),
    )
    if stored is not None:
        stored.parent.mkdir(parents=True, exist_ok=True)
        partial = stored.with_suffix(f".{os.getpid()}.tmp")
        partial.write_text(results_json(analysis), encoding="utf-8")
        partial.replace(stored)
    return analysis


def _stored(file: Path) -> dict[str, Any]:
    """What an earlier report left; nothing where it is damaged or something else: it is then written anew."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) and isinstance(kept.get("provenance"), dict) else {}


def with_declared(options: Options, results: Results) -> Options:
    """Baselines that the suites declared when they were planned, where the reader names none."""
    if options.baselines:
        return options
    arms = set(results.trials["arm"].astype(str)) if "arm" in results.trials else set()
    declared = [suite.get("baseline") for suite in results.provenance.get("suites", ()) if isinstance(suite, dict)]
    return replace(options, baselines=tuple(dict.fromkeys(str(name) for name in declared if name is not None and str(name) in arms)))


def _seeds(table: Table) -> int:
    """Runs behind a cell; a published summary over seeds says how many."""
    if table.summary is not None and table.summary[3] == "seeds":
        return table.summary[2] or 1
    return len(table.seeds)


def _asked(results: Results, grid: Grid) -> str:
    """The question of the suites that this family's trials belong to."""
    suites = set(grid.trials["suite"].dropna().astype(str))
    given = [suite for suite in results.provenance.get("suites", ()) if isinstance(suite, dict) and suite.get("suite") in suites]
    return " ".join(dict.fromkeys(str(suite["question"]) for suite in given if suite.get("question")))


def _family(grid: Grid, results: Results, options: Options) -> Family:
    for name in options.baselines:
        if name not in set(results.trials["arm"].astype(str)):
            raise InputError(f"unknown baseline {name!r}", expected=f"one of {', '.join(grid.arms[:12])}")
    baselines = tuple(name for name in options.baselines if name in grid.arms)
    scale = choose_scale(grid.columns)
    means = matrices(grid, scale)
    bounds = column_bounds(grid)
    cells = tuple(bounded_cell(cell, bounds[cell.column]) for cell in describe_cells(grid, options.level))
    arms = describe_arms(grid)
    tests = column_pairs(grid, options.level)
    whole, of_tasks = by_task(grid, scale)
    task_tests = tests if whole is grid else column_pairs(whole, options.level)
    across = compare(grid, means, scale, arms, tests, (task_tests, of_tasks), baselines, options)
    ranks = board.rank_chances(whole, means, of_tasks, options)
    guessed = {} if plans_are_known(grid.trials, results) else board.more_seeds(grid)
    rows = board.standings(grid, whole, means, (scale, of_tasks), cells, across, ranks, guessed, options)
    shares = normalised_bounds(grid.columns, bounds)
    rows = tuple(replace(bounded_standing(row, mean_bounds(grid.columns, scale, bounds)), iqm=bounded(row.iqm, shares)) for row in rows)
    places = _places(grid, cells, rows, across.pairs)
    sensitivity, interactions = diagnostics.template_tables(grid, rows)
    pivot = (baselines or tuple(row.arm for row in rows))[0]
    rivals = [row.arm for row in rows if row.ranked and row.arm != pivot][: further.MOST]
    first = grid.columns[0]
    counts = [_seeds(table) for table in grid.tables.values()] or [0]
    backbones = sorted({name for arm in arms for name in arm.backbones})
    labels = {column.key: column.label for column in grid.columns}
    return Family(
        name=grid.family,
        question=" ".join(
            filter(None, (_asked(results, grid), question(arms, grid.columns, means.tasks, (min(counts), max(counts)), backbones)))
        ),
        verdict=verdict(rows, across.pairs, across.versus, across.testing, baselines, options.alpha, places.score),
        metric=first.metric if len({c.metric for c in grid.columns}) == 1 else "several",
        metrics=tuple(sorted({name for cell in cells for name in cell.metrics} | {c.metric for c in grid.columns})),
        higher_is_better=means.sign > 0,
        unit=scale.unit,
        columns=grid.columns,
        tasks=means.tasks,
        arms=arms,
        baselines=baselines,
        default_baseline=pivot,
        standings=rows,
        cells=cells,
        testing=across.testing,
        pairs=across.pairs,
        versus=across.versus,
        column_pairs=tests,
        critical_difference=board.critical_difference_diagram(means, across, rows, options),
        rank_heat=board.rank_heat(means, ranks, rows),
        task_dependence=board.task_dependence(means),
        agreements=agreements(grid, means, scale, cells, options),
        profiles=board.profiles(grid, means, scale, rows, options),
        shares=diagnostics.variance_shares(grid),
        next_samples=next_samples(grid, rows, options),
        templates=sensitivity,
        interactions=interactions,
        curves=economics.learning_curves(grid, results, rows, baselines),
        cost_points=economics.cost_points(arms, rows, means.sign > 0),
        budget_curves=budget_curves(grid, results, rows, options, bounds),
        selection_gaps=selection_gaps(grid, results, rows, scale, options),
        power=diagnostics.power_table(grid, rows, options),
        task_models=further.task_models(whole, of_tasks, task_tests, pivot, rivals, options),
        strengths=further.strengths(whole, pivot, [row.arm for row in rows if row.ranked], options),
        dominance=further.dominance(grid, pivot, rivals, options),
        looks=further.looks(grid, pivot, rivals, options),
        streams=along_streams(grid, results, rows, baselines, options, bounds),
        failures=tuple(
            Failure(arm=arm, column=key, label=labels.get(key, key), status=status, reason=reason, n=n, seeds=seeds)
            for arm, key, status, reason, n, seeds in board.failures_of(grid)
        ),
        notes=(*stopping_notes(grid.trials, results, options), *_notes(grid, scale.unit)),
        places=places,
        imported=bool(grid.trials["imported"].any()),
    )


def _places(grid: Grid, cells: Sequence[Cell], rows: Sequence[Standing], pairs: Sequence[Pair]) -> Places:
    by_column: dict[str, list[TestResult]] = {}
    for cell in cells:
        by_column.setdefault(cell.column, []).append(cell.interval)
    return Places(
        columns={column.key: median_places(by_column.get(column.key, ())) for column in grid.columns},
        score=median_places(row.score for row in rows),
        difference=median_places(pair.here if pair.here.se else pair.tasks for pair in pairs),
    )


def _notes(grid: Grid, unit: str) -> tuple[str, ...]:
    notes = list(grid.notes)
    waiting = int((grid.trials["status"] == "missing").sum())
    if waiting:
        notes.append(f"{waiting} of {len(grid.trials)} planned results are not there yet.")
    if unit == "normalised":
        constants = ", ".join(f"{c.label}: {c.floor:g} to {c.ceiling:g}" for c in grid.columns[:12])
        notes.append(f"Metrics differ, so scores are averaged as (score - floor) / (ceiling - floor), with {constants}.")
    if unit == "win rate":
        notes.append("Metrics differ and no floor and ceiling are declared, so columns are averaged as the share of rivals beaten.")
    if any(c.floor is None for c in grid.columns) and grid.trials["status"].isin(FAILED).any():
        notes.append("A task without a declared floor has failed runs: such cells are incomplete and their arms are not ranked.")
    if any(not c.decomposable for c in grid.columns if c.n_examples) and any(t.values is not None for t in grid.tables.values()):
        notes.append("Metrics that are no mean of examples are tested through jackknife pseudo-values.")
    summaries = sum(table.summary is not None for table in grid.tables.values())
    if summaries:
        notes.append(f"{summaries} cells are published summaries (mean, spread, n): intervals and Welch tests only, nothing is paired.")
    if len({c.task for c in grid.columns}) < len(grid.columns):
        how = (
            "and their spreads combined as if they shared all of it, because nothing says what they share"
            if summaries
            else "seed by seed: one seed may have drawn the same rows in all of them"
        )
        notes.append(f"Settings of one task are averaged before means and differences on these columns are tested, {how}.")
    return tuple(notes)


def _capital(text: str) -> str:
    """Suites keep their names; "imported from" begins a title."""
    return text[:1].upper() + text[1:] if text.startswith("imported from") else text


def _suites(results: Results) -> tuple[str, ...]:
    return tuple(sorted(results.trials["suite"].dropna().astype(str).unique())) if "suite" in results.trials else ()


def _provenance(results: Results, digest: str) -> Provenance:
    trials = results.trials.reindex(columns=list(TRIAL_COLUMNS))

    def texts(name: str) -> tuple[str, ...]:
        return tuple(sorted(trials[name].dropna().astype(str).unique()))

    started = texts("started")
    versions = {"python": platform.python_version(), "analysis": source_digest()[:12]}
    for package in ("adaptation-harness", "numpy", "scipy", "pandas"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    given: dict[str, Any] = results.provenance
    commands = given.get("commands", ())
    if not commands:
        commands = [f"harness run {suite} --store STORE" for suite in _suites(results)] + ["harness report STORE"]
    notes = given.get("notes", given.get("note", ()))
    return Provenance(
        suites=_suites(results),
        n_trials=len(trials),
        n_imported=int(trials["imported"].eq(True).sum()),
        seeds=tuple(sorted({int(s) for s in trials["seed"].dropna()})),
        devices=texts("device"),
        environments=texts("environment"),
        started=(started[0], started[-1]) if started else None,
        commands=(commands,) if isinstance(commands, str) else tuple(str(c) for c in commands),
        sources=texts("source"),
        notes=(notes,) if isinstance(notes, str) else tuple(str(n) for n in notes),
        versions=versions,
        digest=digest,
    )


def input_digest(results: Results, options: Options, families: Sequence[str] = (), claims: Sequence[ClaimRow] = ()) -> str:
    """Digest of everything the analysis depends on: trials, per-example statistics, curves, options, and the version of this code."""
    found = hashlib.sha256()
    try:
        versions = [metadata.version(name) for name in ("numpy", "scipy")]
    except metadata.PackageNotFoundError:  # pragma: no cover
        versions = []
    provenance = {name: results.provenance.get(name) for name in ("commands", "notes", "note", "suites")}
    head = [source_digest(), versions, encode(options), list(families), encode(tuple(claims)), provenance]
    found.update(json.dumps(head, sort_keys=True, default=str).encode())
    trials = results.trials.reindex(columns=[c for c in TRIAL_COLUMNS if c in results.trials])
    found.update(_frame_bytes(trials))
    found.update(_frame_bytes(results.curves))
    found.update(_frame_bytes(results.streams))
    found.update(_frame_bytes(results.tries))
    for task in sorted(results.scores):
        scores = results.scores[task]
        found.update(json.dumps([task, scores.metric, scores.trial_ids, scores.clusters]).encode())
        found.update(np.ascontiguousarray(scores.values).tobytes())
    return found.hexdigest()


@cache
def source_digest() -> str:
    """Digest of the code that makes the numbers, so that no cache outlives a change of a statistic."""
    found = hashlib.sha256()
    for path in sorted([*HERE.glob("*.py"), *HERE.parent.glob("statistics/*.py")]):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


def _frame_bytes(frame: pd.DataFrame) -> bytes:
    if not len(frame):
        return b"empty"
    text = frame.astype(str)
    order = pd.util.hash_pandas_object(text, index=False).to_numpy()
    # rows in any order are the same results
    return np.sort(order).tobytes() + ",".join(frame.columns).encode()
