"""The one object that every output shows: page, tables, CSV, LaTeX and figures print numbers from here and compute none.

Everything is frozen and plain (numbers, strings, tuples, None), so it can be stored and read back without loss. Scores are in the metric's own
unit and direction; a difference is "a minus b" turned so that positive means that a is better, and tests speak of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..statistics.result import TestResult
from .findings import (
    Agreement,
    BudgetCurve,
    ClaimRow,
    CostPoint,
    CriticalDifference,
    Curve,
    Dominance,
    Failure,
    Looked,
    NextSample,
    Places,
    Power,
    Profile,
    RankHeat,
    SelectionGap,
    Shares,
    Stream,
    Strength,
    TaskDependence,
    TaskModel,
    TemplateInteraction,
    Templates,
)

LEVEL = 0.95
ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the reader asked for; part of the cache key.

    baselines : declared arms that everything is compared with; empty: the arm that the family ranks first
    relevant : the smallest difference worth acting on, in score units (MDE, seeds needed, ROPE)
    top : arms beyond the baselines whose per-task pairs stand in the page
    looks : numbers of seeds after which the suites declared that they would be looked at; alpha is then that of this look
    """

    baselines: tuple[str, ...] = ()
    relevant: float = 0.01
    level: float = LEVEL
    alpha: float = ALPHA
    n_resamples: int = 10_000
    top: int = 20
    root: int = 0
    title: str = ""
    looks: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Column:
    """One setting on which arms meet: a task, with backbone, shots and so on where these vary. Templates are averaged within it."""

    key: str
    label: str
    task: str
    context: Mapping[str, str]
    metric: str
    higher_is_better: bool
    floor: float | None
    ceiling: float | None
    task_version: int | None
    n_examples: int | None
    templates: tuple[str, ...]
    clustered: bool
    tags: tuple[str, ...]
    decomposable: bool


@dataclass(frozen=True, kw_only=True)
class Run:
    """One seed of a cell: the mean over templates, with the floor where it failed."""

    seed: int
    score: float | None
    status: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """An arm on a column. `mean` counts failed runs with the floor (intention to treat), `complete_case` leaves them out."""

    arm: str
    column: str
    mean: float | None
    complete_case: float | None
    sd: float | None
    interval: TestResult
    precision: TestResult | None  # over seeds and examples, where examples are known
    n_planned: int
    n_ok: int
    n_failed: int
    n_missing: int
    n_unsupported: int
    failure_rate: TestResult
    deterministic: bool
    median: float | None
    minimum: float | None
    maximum: float | None
    bimodal: str | None
    runs: tuple[Run, ...]
    dev_mean: float | None
    metrics: Mapping[str, tuple[float, float | None, int]]
    imported: bool
    failures_at_floor: bool


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Per trial, over the arm's finished trials: medians of measured times, the largest of sizes and memory."""

    tuning_trials: tuple[int, int] | None
    trainable_parameters: int | None
    stored_bytes: int | None
    seconds_train: float | None
    seconds_total: float | None
    peak_bytes: int | None
    tokens: float | None
    forward_calls: float | None
    flops: float | None
    shared: bool


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What is compared, and what it cost."""

    name: str
    method: str
    configs: tuple[str, ...]
    backbones: tuple[str, ...]
    tags: tuple[str, ...]
    imported: bool
    sources: tuple[str, ...]
    cost: Cost
    n_trials: int
    n_seeds: int


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A row of the leaderboard. Place and group come from tests; `ranked` is false with a missing cell, and then bounds stand in."""

    arm: str
    ranked: bool
    place: str
    place_low: int | None
    place_high: int | None
    groups: str
    best_group: bool
    score: TestResult  # on these columns, over seeds and examples
    over_tasks: TestResult  # over further tasks
    normalised: float | None
    iqm: TestResult
    optimality_gap: float | None
    win_rate: float | None
    mean_rank: float | None
    p_best: float | None
    expected_place: float | None
    bootstrap_low: int | None
    bootstrap_high: int | None
    coverage: tuple[int, int]
    n_failed: int
    n_trials: int
    bound_low: float | None
    bound_high: float | None
    optional_stopping: str | None


@dataclass(frozen=True, kw_only=True)
class ColumnPair:
    """Two arms on one column; `adjusted` is Holm over the pairs of this column, `n_family` of them."""

    column: str
    a: str
    b: str
    test: TestResult
    adjusted: float | None
    n_family: int


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two arms over all columns: over further tasks (`tasks`), and on these tasks over seeds and examples (`here`).

    bayes : P(worse), P(practically equal), P(better) by the signed-rank model over tasks
    wins, ties, losses : of a, by per-column tests after Holm within the pair; at_least : on how many tasks a is better, and b (partial conjunction)
    unequal_tuning : the two arms had tuning budgets that differ
    """

    a: str
    b: str
    n_columns: int
    tasks: TestResult
    tasks_adjusted: float | None
    here: TestResult
    here_adjusted: float | None
    bayes: tuple[float, float, float] | None
    higher: tuple[int, int, int]
    wins: int
    losses: int
    at_least: tuple[int, int]
    unequal_tuning: bool


@dataclass(frozen=True, kw_only=True)
class Versus:
    """An arm against a baseline that was declared before looking: adjusted over the k - 1 arms only, which has more power than all pairs."""

    baseline: str
    arm: str
    tasks_adjusted: float | None
    here_adjusted: float | None
    n_comparisons: int


@dataclass(frozen=True, kw_only=True)
class Testing:
    """How a family was tested over tasks, whether anything could be rejected, and what would do."""

    __test__ = False

    procedure: str
    generalise_over: str
    n_tasks: int
    n_arms: int
    n_pairs: int
    can_reject: bool
    tasks_needed: int | None
    sentence: str
    omnibus: TestResult | None
    omnibus_with_gaps: TestResult | None  # of all arms, where some have missing cells
    ranking_over: str  # what place and group generalise over


@dataclass(frozen=True, kw_only=True)
class Family:
    """One leaderboard: arms that are ranked together, and everything said about them."""

    name: str
    question: str
    verdict: tuple[str, ...]
    metric: str
    metrics: tuple[str, ...]
    higher_is_better: bool
    unit: str  # "score" | "normalised" | "rank"
    columns: tuple[Column, ...]
    tasks: tuple[str, ...]
    arms: tuple[Arm, ...]
    baselines: tuple[str, ...]
    default_baseline: str
    standings: tuple[Standing, ...]
    cells: tuple[Cell, ...]
    testing: Testing
    pairs: tuple[Pair, ...]
    versus: tuple[Versus, ...]
    column_pairs: tuple[ColumnPair, ...]
    critical_difference: CriticalDifference | None
    rank_heat: RankHeat | None
    task_dependence: TaskDependence | None
    agreements: tuple[Agreement, ...]
    profiles: tuple[Profile, ...]
    shares: tuple[Shares, ...]
    next_samples: tuple[NextSample, ...]
    templates: tuple[Templates, ...]
    interactions: tuple[TemplateInteraction, ...]
    curves: tuple[Curve, ...]
    cost_points: tuple[CostPoint, ...]
    budget_curves: tuple[BudgetCurve, ...]
    selection_gaps: tuple[SelectionGap, ...]
    power: tuple[Power, ...]
    task_models: tuple[TaskModel, ...]
    strengths: tuple[Strength, ...]
    dominance: tuple[Dominance, ...]
    looks: tuple[Looked, ...]
    streams: tuple[Stream, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    places: Places
    imported: bool


@dataclass(frozen=True, kw_only=True)
class Provenance:
    suites: tuple[str, ...]
    n_trials: int
    n_imported: int
    seeds: tuple[int, ...]
    devices: tuple[str, ...]
    environments: tuple[str, ...]
    started: tuple[str, str] | None
    commands: tuple[str, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    versions: Mapping[str, str]
    digest: str


@dataclass(frozen=True, kw_only=True)
class Analysis:
    title: str
    options: Options
    families: tuple[Family, ...]
    claims: tuple[ClaimRow, ...]
    provenance: Provenance
    extra: Mapping[str, Any] = field(default_factory=dict)
