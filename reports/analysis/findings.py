"""What the sections after the comparison show: ranks, variance, templates, curves, costs, power, failures, claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..statistics.result import TestResult


@dataclass(frozen=True, kw_only=True)
class CriticalDifference:
    """Mean ranks on a line, Nemenyi's ruler for tradition, and bars over arms that no test told apart."""

    arms: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    nemenyi: float | None
    cliques: tuple[tuple[str, ...], ...]
    letters: Mapping[str, str]
    procedure: str
    n_tasks: int


@dataclass(frozen=True, kw_only=True)
class RankHeat:
    arms: tuple[str, ...]
    probabilities: tuple[tuple[float, ...], ...]
    method: str
    generalise_over: str
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class TaskDependence:
    """How far the order of means depends on single tasks. deciding : tasks without which another arm leads, with who would; most_moved : the task whose
    loss moves some arm by the most places, and how many"""

    n_tasks: int
    deciding: Mapping[str, str]
    most_moved: tuple[str, int] | None


@dataclass(frozen=True, kw_only=True)
class Profile:
    arm: str
    thresholds: tuple[float, ...]
    share: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Where the variance of one column's scores comes from, averaged over arms; and what to run next to compare two of them."""

    column: str
    label: str
    shares: Mapping[str, float]
    n_seeds: int
    n_examples: int
    n_arms: int
    note: str | None


@dataclass(frozen=True, kw_only=True)
class NextSample:
    """What more seeds, templates or examples would do for the difference of two arms on a column; the best option of a column comes first.

    over : the axes whose new levels the interval is about; templates only where both wordings and seeds are two or more and crossed
    half_width_now, half_width_next : of the interval, and with one more level; shrink_per_second : their difference by `seconds_each`
    n_needed : levels of this axis alone that resolve the named difference with 80 % power; floor : the difference that no number of them gets under
    None : what is not known or cannot be reached; `reason` says which. Seconds are None where no cost was measured.
    """

    column: str
    label: str
    a: str
    b: str
    over: tuple[str, ...]
    axis: str
    n_now: int
    half_width_now: float
    half_width_next: float | None
    seconds_each: float | None
    shrink_per_second: float | None
    n_needed: int | None
    seconds_needed: float | None
    floor: float | None
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class Templates:
    """Template sensitivity of one arm on one column; `noise` is the spread that seeds alone would give to this many templates."""

    column: str
    label: str
    arm: str
    means: Mapping[str, float]
    spread: float | None
    sd: float | None
    worst: str | None
    best: str | None
    noise: float | None
    note: str | None


@dataclass(frozen=True, kw_only=True)
class TemplateInteraction:
    column: str
    label: str
    n_templates: int
    fixed: TestResult
    random: TestResult
    interaction: TestResult
    agreement: float | None


@dataclass(frozen=True, kw_only=True)
class Curve:
    column: str
    label: str
    arm: str
    steps: tuple[float, ...]
    dev_score: tuple[float | None, ...]
    n_seeds: int


@dataclass(frozen=True, kw_only=True)
class CostPoint:
    arm: str
    score: float
    low: float | None
    high: float | None
    costs: Mapping[str, float]
    frontier: tuple[str, ...]  # costs on whose frontier the arm lies


@dataclass(frozen=True, kw_only=True)
class BudgetCurve:
    """Expected best dev score of B configurations tried, of an arm's own tuning or of a method's configurations that were run as arms (`source`)."""

    arm: str
    source: str
    budgets: tuple[int, ...]
    expected: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    seconds: tuple[float, ...]
    n_dropped: int


@dataclass(frozen=True, kw_only=True)
class SelectionGap:
    """Dev score against test score, means over columns; `gap` is dev - test by seed, positive where dev flatters.

    tried : configurations that dev chose from (0: none, dev and test are only other rows); chosen : the arm that dev would take, for a method with several
    dev : of a tuned arm the score that its configuration was chosen by, else that of its own runs
    """

    arm: str
    tried: int
    chosen: str | None
    n_columns: int
    n_seeds: int
    dev: float
    test: float
    gap: TestResult


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far another board of the same arms orders them alike: Kendall's tau-b, and with exchanges near the top weighing more."""

    name: str
    tau: TestResult
    weighted: float | None
    n_arms: int
    note: str | None


@dataclass(frozen=True, kw_only=True)
class Power:
    """What this column could have shown: the smallest difference found in 80 % of repetitions, and seeds for the relevant one.

    exaggeration, wrong_sign : of estimates that come out significant here if the true difference is the relevant one: by what factor they
    are too large on average (type M), and how often their sign is wrong (type S)
    """

    column: str
    label: str
    n_seeds: int
    n_examples: int
    detectable: float | None
    exaggeration: float | None
    wrong_sign: float | None
    with_seeds: Mapping[str, float | None]
    floor: float | None
    seeds_for_relevant: int | None
    note: str | None


@dataclass(frozen=True, kw_only=True)
class TaskModel:
    """Two arms under a hierarchical model: d_t ~ N(delta_t, s_t^2), delta_t ~ N(mu, tau^2), from each task's own test.

    mu : posterior mean, sd and interval of the mean difference; details: p_worse, p_equal, p_better, tau, new_worse, new_equal, new_better (a further task)
    pooled : the same question by random effects with Hartung and Knapp's error; raw, shrunk : [tasks] differences before and after
    """

    a: str
    b: str
    mu: TestResult
    pooled: TestResult
    tasks: tuple[str, ...]
    raw: tuple[float, ...]
    shrunk: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Strength:
    """An arm under the Bradley-Terry model of who scores higher on an example; `beats` : the chance against the baseline, ties half."""

    arm: str
    elo: float
    beats: TestResult


@dataclass(frozen=True, kw_only=True)
class Dominance:
    """Almost stochastic order of two arms' runs: per column the upper bound eps_min that a is not better than b at every quantile.

    claims, against : on how many of the columns a dominates b, and b dominates a (eps_min under the threshold)
    """

    a: str
    b: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]
    claims: int
    against: int
    level: float
    note: str | None


@dataclass(frozen=True, kw_only=True)
class Looked:
    """One column's examples in the order of the test set, under an interval that holds after every one of them.

    found : the interval after all of them; first : how many had been seen when it first left out 0, None if it never did
    """

    column: str
    label: str
    a: str
    b: str
    found: TestResult
    first: int | None


@dataclass(frozen=True, kw_only=True)
class Stream:
    """An arm's score along a test-time stream: mean over seeds at each step (or round), with its t interval over seeds, step by step."""

    column: str
    label: str
    arm: str
    steps: tuple[float, ...]
    mean: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    n_seeds: int


@dataclass(frozen=True, kw_only=True)
class Failure:
    arm: str
    column: str
    label: str
    status: str
    reason: str
    n: int
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ClaimRow:
    method: str
    text: str
    paper: str
    measured: str
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Places:
    """Decimals that every output uses: two significant digits of the median standard error of the scores (columns, aggregate) or differences."""

    columns: Mapping[str, int]
    score: int
    difference: int
