"""Commits between which a cell became worse."""

from __future__ import annotations

import numpy as np
from harness.reports.regression.bisect import find_suspects, matching
from harness.reports.regression.history import Run, Series
from harness.reports.regression.trends import find_trend


def series(scores, arm="lora", direction="higher") -> Series:
    name = {"arm": arm, "method": arm, "task": "rte", "template": "", "backbone": "tiny", "block": "b", "metric": "accuracy"}
    runs = tuple(Run(f"c{i}", f"2026-01-{1 + i % 28:02d}", "env", "1", float(score), 0.002, 5, 0) for i, score in enumerate(scores))
    return Series(name, direction, 1.0, runs)


NOISE = np.random.default_rng(0).normal(0, 0.004, 24)


def test_a_step_lies_between_the_runs_around_it() -> None:
    found = find_suspects(find_trend(series(0.8 + NOISE - np.where(np.arange(24) >= 15, 0.05, 0.0))))
    assert found is not None and found.sure
    assert int(found.good[1:]) <= 14 and int(found.bad[1:]) >= 15 and int(found.bad[1:]) - int(found.good[1:]) <= 3
    assert found.before - found.after > 0.04


def test_a_gain_is_no_loss_and_a_loss_of_an_error_rate_is_a_gain() -> None:
    up = 0.8 + NOISE + np.where(np.arange(24) >= 15, 0.05, 0.0)
    assert find_suspects(find_trend(series(up))) is None
    assert find_suspects(find_trend(series(up, direction="lower"))) is not None


def test_one_bad_run_is_said_to_be_one() -> None:
    found = find_suspects(find_trend(series([*(0.8 + NOISE), 0.6])))
    assert found is not None and (found.good, found.bad) == ("c23", "c24") and not found.sure
    assert find_suspects(find_trend(series(0.8 + NOISE))) is None


def test_cells_by_glob() -> None:
    both = [series([0.5], "lora"), series([0.5], "bitfit")]
    assert [one.name["arm"] for one in matching(both, "lora/*")] == ["lora"]
    assert len(matching(both, "rte")) == 2 and len(matching(both, "*/rte/accuracy")) == 2 and not matching(both, "lo")
