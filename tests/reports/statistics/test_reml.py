"""Variance components of unbalanced tables: equal to the moments' where nothing is missing, to statsmodels' where something is."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from harness.reports.statistics import reml_components, variance_components


def table(seeds: int = 6, examples: int = 40, seed_sd: float = 0.5, example_sd: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(3)
    return seed_sd * rng.normal(size=(seeds, 1)) + example_sd * rng.normal(size=(1, examples)) + 0.7 * rng.normal(size=(seeds, examples))


def with_holes(values: np.ndarray, share: float = 0.3) -> np.ndarray:
    return np.where(np.random.default_rng(4).random(values.shape) < share, np.nan, values)


def test_a_complete_table_gives_the_moment_estimates() -> None:
    found, moments = reml_components(table()), variance_components(table())
    for name, value in moments.variances.items():
        assert found.variances[name] == pytest.approx(value, rel=1e-4)
    assert found.se == pytest.approx(moments.se, rel=1e-4) and found.boundary == () and found.n_missing == 0


def test_an_unbalanced_table_agrees_with_statsmodels() -> None:
    formula = pytest.importorskip("statsmodels.formula.api", reason="statsmodels is a test-only extra")
    values = with_holes(table())
    found = reml_components(values)
    seeds, examples = np.nonzero(np.isfinite(values))
    frame = pd.DataFrame({"y": values[seeds, examples], "s": seeds, "e": examples, "all": 1})
    parts = {"e": "0+C(e)", "s": "0+C(s)"}
    fit = formula.mixedlm("y~1", frame, groups="all", vc_formula=parts).fit(reml=True)
    assert [found.variances["example"], found.variances["seed"]] == pytest.approx(list(fit.vcomp), rel=5e-3)
    assert found.variances["remainder"] == pytest.approx(fit.scale, rel=5e-3)
    assert found.estimate == pytest.approx(float(fit.fe_params.iloc[0]), abs=1e-4) and found.se == pytest.approx(
        float(fit.bse_fe.iloc[0]), rel=5e-3
    )


def test_scale_and_place_move_as_they_should() -> None:
    values = with_holes(table())
    base, moved = reml_components(values), reml_components(10 + 3 * values)
    assert moved.estimate == pytest.approx(10 + 3 * base.estimate, rel=1e-6) and moved.se == pytest.approx(3 * base.se, rel=1e-4)
    assert all(moved.variances[name] == pytest.approx(9 * value, rel=1e-3) for name, value in base.variances.items())


def test_a_component_that_is_nothing_is_said_to_lie_on_the_boundary() -> None:
    values = with_holes(table(seed_sd=0.0))
    values -= np.nanmean(values, axis=1, keepdims=True)  # seeds differ less than chance would let them
    found = reml_components(values)
    assert found.boundary == ("seed",) and found.variances["seed"] == 0.0 and found.variances["example"] > 0.3


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([[1.0, 2.0]], "fewer than two seeds"),
        ([[1.0, 2.0], [3.0, math.nan]], "too few cells"),
        (np.ones((3, 5)), "zero variance"),
        (np.full((3, 5), math.nan), "fewer than two"),
    ],
)
def test_what_cannot_be_estimated_has_a_reason(values, reason: str) -> None:
    found = reml_components(values)
    assert found.variances == {} and found.se is None and reason in (found.degenerate or "")
