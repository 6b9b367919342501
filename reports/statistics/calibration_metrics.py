"""Simulated summaries, metrics that are no mean, templates and aggregates: how often what the report prints about them is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import special, stats

from .aggregate import aggregate_tasks, performance_profile
from .examples import pseudo_values
from .paired import crossed_difference
from .result import Floats
from .summaries import welch_from_summaries
from .templates import template_sensitivity

ALPHA = 0.05
Found = tuple[str, str, str, int, int, float | None, bool]
"""(regime, procedure, generalises over, wrong, simulations, power, whether another question is asked)"""


# --- published summaries --------------------------------------------------------------------------------------------------------------

# name, (runs, spread) of either side, decimals of what was published, whether runs are left-skewed
SUMMARIES: tuple[tuple[str, tuple[int, float], tuple[int, float], int | None, bool], ...] = (
    ("3 v 3 runs", (3, 0.02), (3, 0.02), None, False),
    ("5 v 5 runs", (5, 0.02), (5, 0.02), None, False),
    ("5 v 5 runs, spreads 1 to 4", (5, 0.01), (5, 0.04), None, False),
    ("3 v 20 runs, the few spread more", (3, 0.04), (20, 0.01), None, False),
    ("5 v 5 runs, published with two decimals", (5, 0.02), (5, 0.02), 2, False),
    ("5 v 5 runs, left-skewed", (5, 0.02), (5, 0.02), None, True),
    ("1000 v 1000 examples", (1000, 0.4), (1000, 0.4), None, False),
)


def summary_rejections(simulations: int, rng: np.random.Generator, *, fast: bool) -> Iterator[Found]:
    for name, one, two, decimals, skewed in SUMMARIES[:3] if fast else SUMMARIES:
        shift = 3 * np.hypot(one[1] / np.sqrt(one[0]), two[1] / np.sqrt(two[0]))
        counts = [0, 0]
        for index, (n, delta) in enumerate(((simulations, 0.0), (simulations // 2, shift))):
            sides = [_summaries(n, runs, sd, decimals, skewed, rng) for runs, sd in (one, two)]
            for (m_a, s_a), (m_b, s_b) in zip(zip(*sides[0]), zip(*sides[1])):
                found = welch_from_summaries((m_a + delta, s_a, one[0], "seeds"), (m_b, s_b, two[0], "seeds"), level=1 - ALPHA)
                counts[index] += found.pvalue is not None and found.pvalue <= ALPHA
        over = "examples" if one[0] > 100 else "seeds"
        yield name, "Welch t from summaries", over, counts[0], simulations, counts[1] / (simulations // 2), False


def _summaries(n: int, runs: int, sd: float, decimals: int | None, skewed: bool, rng: np.random.Generator) -> tuple[Floats, Floats]:
    scores = 0.8 + sd * (1 - rng.exponential(size=(n, runs)) if skewed else rng.normal(size=(n, runs)))
    mean, spread = scores.mean(axis=1), scores.std(axis=1, ddof=1)
    return (mean, spread) if decimals is None else (np.round(mean, decimals), np.round(spread, decimals))


# --- metrics that are no mean ---------------------------------------------------------------------------------------------------------

# name, seeds, examples, share of each class, sd over seeds and of method x example on the logit, shift that power is measured at
COUNTED: tuple[tuple[str, int, int, tuple[float, ...], float, float, float], ...] = (
    ("2 classes, 5 seeds, 200 examples", 5, 200, (0.5, 0.5), 0.3, 0.7, 0.5),
    ("4 classes, 5 seeds, 200 examples", 5, 200, (0.25, 0.25, 0.25, 0.25), 0.3, 0.7, 0.5),
    ("2 classes 9 to 1, 5 seeds, 200 examples", 5, 200, (0.9, 0.1), 0.3, 0.7, 1.0),
    ("2 classes, 3 seeds, 1000 examples", 3, 1000, (0.5, 0.5), 0.3, 0.7, 0.5),
    ("2 classes, 5 seeds, 40 examples", 5, 40, (0.5, 0.5), 0.3, 0.7, 1.0),
)
METRICS = ("f1_macro", "f1", "mcc")


def metric_rejections(simulations: int, rng: np.random.Generator, *, fast: bool) -> Iterator[Found]:
    """The crossed test on jackknife pseudo-values of metrics of counts, and the miss of its interval, which is the same event."""
    from harness.metrics import get

    for name, seeds, examples, shares, seed_sd, own_sd, shift in COUNTED[:1] if fast else COUNTED:
        for metric_name in METRICS:
            value = get(metric_name).value
            rates = []
            for n, delta in ((simulations, 0.0), (simulations // 2, shift)):
                found = 0
                for _ in range(n):
                    table = _predictions(seeds, examples, shares, seed_sd, own_sd, delta, rng)
                    if metric_name == "f1":  # of the last class alone
                        table = table[..., :, -1]
                    flat = table.reshape(2, seeds, examples, -1)
                    scores = np.array([[pseudo_values(run, value) for run in arm] for arm in flat])
                    estimate, variance, df = crossed_difference(scores[:1], scores[1:])
                    spread = float(variance[0])
                    found += spread > 1e-24 and float(2 * stats.t.sf(abs(float(estimate[0])) / np.sqrt(spread), df[0])) <= ALPHA
                rates.append(found)
            yield (
                f"{metric_name}, {name}", "crossed test on pseudo-values", "seeds+examples", rates[0], simulations,
                rates[1] / (simulations // 2), False,
            )  # fmt: skip


def _predictions(
    seeds: int, examples: int, shares: tuple[float, ...], seed_sd: float, own_sd: float, shift: float, rng: np.random.Generator
) -> Floats:
    """[methods, seeds, examples, 3, classes] of right, predicted and gold; a wrong answer is any other class alike."""
    classes = len(shares)
    gold = rng.choice(classes, size=examples, p=shares)
    logit = 0.5 + 1.2 * rng.normal(size=examples) + own_sd * rng.normal(size=(2, 1, examples)) + seed_sd * rng.normal(size=(2, seeds, 1))
    logit = logit + np.array([shift, 0.0])[:, None, None]
    right = rng.random((2, seeds, examples)) < special.expit(logit)
    wrong = (gold + rng.integers(1, classes, size=(2, seeds, examples))) % classes
    eye = np.eye(classes)
    predicted, truth = eye[np.where(right, gold, wrong)], np.broadcast_to(eye[gold], (2, seeds, examples, classes))
    return np.stack([predicted * truth, predicted, truth], axis=-2)


# --- templates ------------------------------------------------------------------------------------------------------------------------

# name, methods, templates, seeds, sd of method x template
WORDINGS: tuple[tuple[str, int, int, int, float], ...] = (
    ("2 methods, 4 templates, 5 seeds", 2, 4, 5, 0.0),
    ("4 methods, 3 templates, 3 seeds", 4, 3, 3, 0.0),
    ("2 methods, 4 templates, 5 seeds, templates suit methods differently", 2, 4, 5, 0.03),
    ("4 methods, 8 templates, 5 seeds, templates suit methods differently", 4, 8, 5, 0.03),
)


def template_rejections(simulations: int, rng: np.random.Generator, *, fast: bool) -> Iterator[Found]:
    """Methods that are equal on average over all templates there could be. The test on the templates used asks about these alone."""
    for name, methods, templates, seeds, interaction in WORDINGS[1:3] if fast else WORDINGS:
        counts, hits = np.zeros(3, dtype=int), np.zeros(3, dtype=int)
        for target, n, shift in ((counts, simulations, 0.0), (hits, simulations // 2, 0.04)):
            for _ in range(n):
                scores = 0.7 + 0.03 * rng.normal(size=(1, templates, 1)) + interaction * rng.normal(size=(methods, templates, 1))
                scores = scores + 0.02 * rng.normal(size=(methods, templates, seeds))
                scores[0] += shift
                scores[0, 0] += shift  # and one wording that suits the first method better still
                found = template_sensitivity(scores)
                p = (found.pvalue_random, found.pvalues.get("method"), found.pvalues.get("interaction"))
                target += np.array([value is not None and value <= ALPHA for value in p])
        power = [float(hit) / (simulations // 2) for hit in hits]
        yield name, "arms on new templates: F", "templates", int(counts[0]), simulations, power[0], False
        yield name, "arms on these templates: F", "seeds", int(counts[1]), simulations, power[1], interaction > 0
        if not interaction:
            yield name, "arm × template: F", "seeds", int(counts[2]), simulations, power[2], False


# --- aggregates -----------------------------------------------------------------------------------------------------------------------


def aggregate_misses(simulations: int, rng: np.random.Generator, *, fast: bool) -> Iterator[Found]:
    """Misses of the interquartile mean's interval (truth: the value of very many seeds), and of a profile's band anywhere."""
    thresholds = np.linspace(0, 1, 21)
    designs: tuple[tuple[int, int, Callable[[Any], Any], str], ...] = (
        (10, 5, lambda shape: 0.04 * rng.normal(size=shape), "10 tasks, 5 seeds"),
        (10, 3, lambda shape: 0.04 * rng.normal(size=shape), "10 tasks, 3 seeds"),
        (4, 5, lambda shape: 0.04 * rng.normal(size=shape), "4 tasks, 5 seeds"),
        (10, 5, lambda shape: 0.04 * (1 - rng.exponential(size=shape)), "10 tasks, 5 seeds, left-skewed"),
    )
    for tasks, seeds, draw, name in designs[:1] if fast else designs:
        level = np.linspace(0.35, 0.85, tasks)[:, None]
        many = level + draw((tasks, 40_000))
        truth = np.array([(many > tau).mean() for tau in thresholds])
        # the statistic of a sample of S seeds is biased for that of all seeds; its own expectation is what the interval is about
        centre = float(np.mean([aggregate_tasks(level + draw((tasks, seeds)), "iqm").estimate or 0.0 for _ in range(4000)]))
        missed = [0, 0]
        for _ in range(simulations):
            scores = level + draw((tasks, seeds))
            iqm = aggregate_tasks(scores, "iqm", rng=rng, n_resamples=500)
            missed[0] += iqm.ci_low is None or iqm.ci_high is None or not iqm.ci_low <= centre <= iqm.ci_high
            band = performance_profile(scores, thresholds, rng=rng, n_resamples=300)
            missed[1] += bool(((truth < band.low - 1e-12) | (truth > band.high + 1e-12)).any())
        yield name, "IQM, stratified bootstrap", "seeds", missed[0], simulations, None, False
        yield name, "profile, simultaneous band", "seeds", missed[1], simulations, None, False
