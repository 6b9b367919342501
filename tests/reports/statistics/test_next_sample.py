"""Templates as a random factor in what to run next: the prediction against the formula written out, and no advice from a component of 0."""

from __future__ import annotations

import math

import numpy as np
import pytest
from harness.reports.statistics import VarianceComponents, next_best_sample, planned_precision, variance_components
from scipy import stats

AXES = ("seed", "template", "example")
PARTS = {
    "seed": 4e-4, "template": 9e-4, "example": 0.2, "seed:template": 1e-4, "seed:example": 0.02, "template:example": 0.03, "remainder": 0.05,
}  # fmt: skip
FOUND = VarianceComponents(
    axes=AXES, sizes=(5, 3, 200), estimate=0.1, se=0.04, df=8.0, mean_squares={}, degrees={}, variances=PARTS, shares=None, n_dropped={}
)


def precision(s: int, p: float, e: int, v: dict[str, float] = PARTS) -> tuple[float, float]:
    """SE^2 = sum of component / levels; df by Satterthwaite from the signed mean squares, each divided by S P E (Searle et al. 1992, ch. 4)."""
    own = {"seed": v["seed"] / s, "template": v["template"] / p, "example": v["example"] / e}
    st, se, te = v["seed:template"] / (s * p), v["seed:example"] / (s * e), v["template:example"] / (p * e)
    rest = v["remainder"] / (s * p * e)
    squares = (
        (own["seed"] + st + se + rest, s - 1), (own["template"] + st + te + rest, p - 1), (own["example"] + se + te + rest, e - 1),
        (st + rest, (s - 1) * (p - 1)), (se + rest, (s - 1) * (e - 1)), (te + rest, (p - 1) * (e - 1)), (rest, (s - 1) * (p - 1) * (e - 1)),
    )  # fmt: skip
    variance = sum(own.values()) + st + se + te + rest
    return math.sqrt(variance), variance**2 / sum(square**2 / degree for square, degree in squares)


def half_width(s: int, p: float, e: int) -> float:
    se, df = precision(s, p, e)
    return se * float(stats.t.ppf(0.975, df))


def detectable(s: int, p: float, e: int) -> float:
    se, df = precision(s, p, e)
    return se * float(stats.t.ppf(0.975, df) + stats.t.ppf(0.8, df))


@pytest.mark.parametrize("more", [0, 1, 4, 40])
def test_standard_error_after_more_templates(more: int) -> None:
    assert planned_precision(FOUND, {"template": 3 + more}) == pytest.approx(precision(5, 3 + more, 200), rel=1e-12)


def test_standard_error_now_is_the_root_of_the_sum_of_parts() -> None:
    by_hand = 0.0004 / 5 + 0.0009 / 3 + 0.2 / 200 + 0.0001 / 15 + 0.02 / 1000 + 0.03 / 600 + 0.05 / 3000
    assert planned_precision(FOUND, {})[0] == pytest.approx(math.sqrt(by_hand), rel=1e-12)


def test_gain_per_second_and_the_templates_needed() -> None:
    cost = {"seed": 30.0, "template": 50.0, "example": 0.5}
    options = {option.axis: option for option in next_best_sample(FOUND, cost, difference=0.105, must_show=("template",))}
    template = options["template"]
    assert template.half_width_now == pytest.approx(half_width(5, 3, 200)) and template.n_now == 3
    assert template.half_width_one_more == pytest.approx(half_width(5, 4, 200))
    assert template.shrink_per_second == pytest.approx((half_width(5, 3, 200) - half_width(5, 4, 200)) / 50)
    needed = next(p for p in range(2, 1000) if detectable(5, p, 200) <= 0.105)
    assert needed > 4 and template.n_needed == needed and template.seconds_needed == (needed - 3) * 50.0 and template.reason is None
    gains = {
        "seed": (half_width(5, 3, 200) - half_width(6, 3, 200)) / 30,
        "template": template.shrink_per_second,
        "example": (half_width(5, 3, 200) - half_width(5, 3, 201)) / 0.5,
    }
    assert list(options) == sorted(gains, key=lambda axis: -gains[axis])


def test_floor_from_seeds_and_examples_alone() -> None:
    seeds, examples, both = 4e-4 / 5 + 0.02 / 1000, 0.2 / 200 + 0.02 / 1000, 0.02 / 1000
    variance = seeds + examples - both
    df = variance**2 / (seeds**2 / 4 + examples**2 / 199 + both**2 / (4 * 199))
    floor = math.sqrt(variance) * float(stats.t.ppf(0.975, df) + stats.t.ppf(0.8, df))
    [option] = next_best_sample(FOUND, {"template": 50.0}, difference=0.05)
    assert option.n_needed is None and option.seconds_needed is None
    assert option.floor == pytest.approx(floor, rel=1e-6) and floor > 0.05
    assert option.reason == f"cannot resolve 0.05: the floor from seeds and examples alone is {floor:.3g}"
    [enough] = next_best_sample(FOUND, {"template": 50.0}, difference=floor * 1.001)
    assert enough.n_needed is not None and enough.reason is None


def test_from_a_table_the_parts_are_those_that_made_it() -> None:
    """Effects that are exactly orthogonal, so that every mean square is known: contrasts of +-1 of each axis and of two pairs."""
    s, p, e = (
        np.array([1.0, -1.0])[:, None, None],
        np.array([1.0, 0.0, -1.0])[None, :, None],
        np.array([1.0, -1.0, 1.0, -1.0])[None, None, :],
    )
    found = variance_components(3 * s + 2 * p + e + 0.5 * s * p + 0.25 * p * e, AXES)
    # sums of squares / degrees: seed 9 x 24 / 1, template 4 x 16 / 2, seed:template .25 x 16 / 2; SE^2 = (MS_S + MS_P + MS_E - pairs + rest) / 24
    squares = {"seed": 216.0, "template": 32.0, "example": 8.0, "seed:template": 2.0, "seed:example": 0.0, "template:example": 1 / 6}
    assert {name: found.mean_squares[name] for name in squares} == pytest.approx(squares, abs=1e-12)
    assert found.variances["template"] == pytest.approx((32 - 2 - 1 / 6) / 8)
    assert planned_precision(found, {})[0] ** 2 == pytest.approx((216 + 32 + 8 - 2 - 1 / 6) / 24)
    more = {name: value for name, value in found.variances.items()}
    assert planned_precision(found, {"template": 9})[0] == pytest.approx(precision(2, 9, 4, more)[0])


def test_what_does_not_vary_has_a_component_of_exactly_0() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        found = variance_components(np.broadcast_to(rng.normal(0.3, 1, (4, 1, 30)), (4, 3, 30)), AXES)
        assert [found.variances[name] for name in ("template", "seed:template", "template:example", "remainder")] == [0, 0, 0, 0]
        assert found.variances["seed:example"] > 0


def test_without_template_variance_templates_are_never_put_before_seeds() -> None:
    cost = dict.fromkeys(AXES, 1.0)
    rng = np.random.default_rng(0)
    unseen = 0
    for _ in range(60):
        shape = tuple(rng.integers(2, 7, 3))
        plain = rng.normal(0, rng.uniform(0.1, 2), (shape[0], 1, 1)) + rng.normal(0, 1, (shape[0], 1, shape[2]))
        # wording changes nothing: by the formula alone another template gains nothing, and a seed does
        same = variance_components(np.broadcast_to(plain, shape), AXES)
        now, seed, template = (
            planned_precision(same, {axis: n + 1})[0] for axis, n in (("seed", shape[0] - 1), ("seed", shape[0]), ("template", shape[1]))
        )
        assert template == pytest.approx(now, rel=1e-12) and seed < now
        order = [option.axis for option in next_best_sample(same, cost, must_show=("template",))]
        assert order.index("seed") < order.index("template")
        # wording changes something by chance only
        noisy = variance_components(plain + rng.normal(0, 1, shape), AXES)
        if noisy.variances["template"] == 0:
            unseen += 1
            last = next_best_sample(noisy, cost, difference=0.1, must_show=("template",))[-1]
            assert last.axis == "template" and last.reason is not None and "noise" in last.reason
            assert last.half_width_one_more is last.shrink_per_second is last.n_needed is last.seconds_needed is last.floor is None
    assert unseen > 10
