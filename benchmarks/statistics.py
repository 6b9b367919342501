"""All pairs of 20 methods on 10 tasks (5 seeds, 1000 examples, 10,000 resamples): one product per task against scipy.stats pair by pair.

    python -m benchmarks.statistics [--pairs 4]

Ours is run in full. scipy.stats is timed on a few pairs and multiplied by the number of pair-tasks, which the table says.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
from harness.reports.statistics import bootstrap_pairs, hierarchical_bootstrap, sign_flip_pairs, spawn_rng
from scipy import stats

METHODS, TASKS, SEEDS, EXAMPLES, RESAMPLES = 20, 10, 5, 1000, 10_000
PAIRS = METHODS * (METHODS - 1) // 2


def simulated_scores() -> list[np.ndarray[Any, Any]]:
    """0/1 scores [methods, seeds, examples] per task, with example difficulty, method and seed effects on the logit."""
    rng = np.random.default_rng(0)
    tasks = []
    for _ in range(TASKS):
        logit = rng.normal(1, 1.5, EXAMPLES) + rng.normal(0, 0.2, (METHODS, 1, 1)) + rng.normal(0, 0.2, (METHODS, SEEDS, 1))
        tasks.append((rng.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(np.float64))
    return tasks


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def ours(tasks: list[np.ndarray[Any, Any]]) -> dict[str, tuple[float, list[Any]]]:
    """Each engine over all tasks and pairs; R fixed at 10,000 (alpha=None), as scipy's is."""

    def flips() -> list[Any]:
        return [
            sign_flip_pairs(table, rng=spawn_rng(0, "flip", str(t)), n_resamples=RESAMPLES, alpha=None) for t, table in enumerate(tasks)
        ]

    def counts() -> list[Any]:
        return [bootstrap_pairs(table, rng=spawn_rng(0, "bootstrap", str(t)), n_resamples=RESAMPLES) for t, table in enumerate(tasks)]

    def crossed() -> list[Any]:
        names = [f"m{i:02}" for i in range(METHODS)]
        return [
            hierarchical_bootstrap(table, rng=spawn_rng(0, "crossed", str(t)), methods=names, n_resamples=RESAMPLES)
            for t, table in enumerate(tasks)
        ]

    return {"permutation": seconds(flips), "bootstrap": seconds(counts), "hierarchical": seconds(crossed)}


def scipy_pair(table: np.ndarray[Any, Any], i: int, j: int) -> dict[str, tuple[float, Any]]:
    """One pair on one task as scipy.stats does it, vectorised in batches of 500."""
    a, b = table[i].mean(axis=0), table[j].mean(axis=0)

    def difference(x: Any, y: Any, axis: int = -1) -> Any:
        return np.mean(x, axis=axis) - np.mean(y, axis=axis)

    def permutation() -> Any:
        return stats.permutation_test(
            (a, b), difference, permutation_type="samples", vectorized=True, n_resamples=RESAMPLES, batch=500, rng=np.random.default_rng(0)
        )

    def bootstrap() -> Any:
        return stats.bootstrap(
            (a, b),
            difference,
            paired=True,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=500,
            method="percentile",
            rng=np.random.default_rng(0),
        )

    return {"permutation": seconds(permutation), "bootstrap": seconds(bootstrap)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=4, help="pair-tasks timed with scipy.stats")
    arguments = parser.parse_args()
    tasks = simulated_scores()
    sign_flip_pairs(tasks[0][:3], rng=np.random.default_rng(0), n_resamples=1000)  # warm the BLAS
    fast = ours(tasks)
    timed = [(t % TASKS, 0, 1 + t % (METHODS - 1)) for t in range(arguments.pairs)]
    slow = [scipy_pair(tasks[t], i, j) for t, i, j in timed]
    n_pair_tasks = PAIRS * TASKS

    print(f"{METHODS} methods, {TASKS} tasks, {SEEDS} seeds, {EXAMPLES} examples, {PAIRS} pairs, {RESAMPLES} resamples")
    print(
        f"{os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}, numpy {np.__version__}, scipy {scipy.__version__}\n"
    )
    print("| | all pairs at once, s (run in full) | scipy.stats per pair-task, s | scipy.stats, s (extrapolated) | ratio |")
    print("|---|---|---|---|---|")
    totals = [0.0, 0.0]
    for name in ("permutation", "bootstrap"):
        per_pair = float(np.mean([run[name][0] for run in slow]))
        totals[0] += fast[name][0]
        totals[1] += per_pair * n_pair_tasks
        print(
            f"| {name} | {fast[name][0]:.2f} | {per_pair:.4f} | {per_pair * n_pair_tasks:.0f} | {per_pair * n_pair_tasks / fast[name][0]:.0f}x |"
        )
    print(f"| both | {totals[0]:.2f} | | {totals[1]:.0f} | {totals[1] / totals[0]:.0f}x |")
    print(f"| hierarchical, seeds x examples | {fast['hierarchical'][0]:.2f} | not offered | | |")
    print(f"\nscipy.stats extrapolated from {len(timed)} timed pair-tasks to {n_pair_tasks}.")

    p_gap, end_gap = 0.0, 0.0
    for (t, i, j), run in zip(timed, slow):
        k = [pair for pair in zip(*np.triu_indices(METHODS, 1))].index((i, j))
        p_gap = max(p_gap, abs(float(fast["permutation"][1][t].pvalue[k]) - float(run["permutation"][1].pvalue)))
        ends = run["bootstrap"][1].confidence_interval
        found = fast["bootstrap"][1][t]
        end_gap = max(end_gap, abs(found.ci_low[k] - ends.low), abs(found.ci_high[k] - ends.high))
    print(f"largest disagreement with scipy.stats: p {p_gap:.4f}, interval ends {end_gap:.5f} (both are Monte-Carlo)")


if __name__ == "__main__":
    main()
