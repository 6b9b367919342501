"""Scores along a stream, as the results view reads them from records."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.store_view import MOST_STEPS, _along_the_stream


def records(steps: list[int], right: list[int], name: str = "step") -> pd.DataFrame:
    return pd.DataFrame({name: steps, "stat:accuracy": [np.array([float(r), 1.0]) for r in right]})


@pytest.mark.parametrize("name", ["step", "round"])
def test_the_metric_at_each_step(name: str) -> None:
    [found] = _along_the_stream("accuracy", {"t": records([0, 0, 1, 1, 1], [1, 0, 1, 1, 0], name)})
    assert found[["step", "value", "n"]].to_numpy().tolist() == [[0, 0.5, 2], [1, pytest.approx(2 / 3), 3]]


def test_nothing_without_a_course() -> None:
    assert _along_the_stream("accuracy", {"t": pd.DataFrame({"stat:accuracy": [np.ones(2)]})}) == []
    assert _along_the_stream("accuracy", {"t": records([0, 0], [1, 0])}) == []


def test_a_long_stream_is_cut_alike_for_all_trials_and_loses_no_example() -> None:
    rng = np.random.default_rng(0)
    long = {name: records(list(range(n)), list(rng.integers(0, 2, n))) for name, n in (("a", 1000), ("b", 700))}
    one, two = _along_the_stream("accuracy", long)
    assert len(one) == MOST_STEPS and set(two["step"]) <= set(one["step"]) and one["n"].sum() == 1000 and two["n"].sum() == 700
    total = np.stack(long["a"]["stat:accuracy"].to_list())[:, 0].mean()
    assert (one["value"] * one["n"]).sum() / 1000 == pytest.approx(total)


def test_a_metric_that_is_no_mean_is_computed_from_its_counts() -> None:
    counts = [[1, 0, 1, 0, 1, 0], [0, 0, 1, 0, 0, 1]]  # right, predicted, gold, for two classes
    frame = pd.DataFrame({"step": [0, 1], "stat:f1_macro": [np.array(row, float) for row in counts]})
    [found] = _along_the_stream("f1_macro", {"t": frame})
    assert found["value"].tolist() == [1.0, 0.0]
