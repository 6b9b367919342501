"""How much a score depends on the wording of the template, and whether "better" survives new templates. Axes: method, template, seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate, stats

from .agreement import board_agreement
from .result import Direction, Floats, orient


@dataclass(frozen=True, kw_only=True)
class TemplateSensitivity:
    """Per method over templates, [methods]: mean, spread (best - worst template mean), sd, worst and best mean, and which template gave them.

    noise_spread : the spread to expect if templates did not matter and only seeds varied; best is an oracle, no one may choose a template by test score
    rank_flips : 1 - mean tau between the boards of two templates
    sums_of_squares, degrees, f, pvalues : of the two-way ANOVA, under "method", "template", "interaction", "seed"
    f_random, pvalue_random : method against interaction, the test behind "better on new templates"; f["method"] tests "better on these templates" only
    variances : components of template, interaction and seed, negatives as 0
    """

    mean: Floats
    spread: Floats
    sd: Floats
    worst: Floats
    best: Floats
    worst_template: tuple[int, ...]
    best_template: tuple[int, ...]
    noise_spread: float | None
    rank_flips: float | None
    sums_of_squares: Mapping[str, float]
    degrees: Mapping[str, int]
    f: Mapping[str, float | None]
    pvalues: Mapping[str, float | None]
    f_random: float | None
    pvalue_random: float | None
    variances: Mapping[str, float]
    n_templates: int
    n_seeds: int
    degenerate: str | None = None


@lru_cache(maxsize=256)
def expected_range(n: int) -> float | None:
    """Expected range of n standard normal values, d_2(n) = integral of 1 - Phi^n - (1 - Phi)^n; None for n < 1.

    >>> round(expected_range(5), 3)
    2.326
    """
    if n < 1:
        return None
    value, _ = integrate.quad(lambda x: 1 - stats.norm.cdf(x) ** n - stats.norm.sf(x) ** n, -12, 12, limit=200)
    return float(value) if n > 1 else 0.0


def template_sensitivity(scores: ArrayLike, direction: Direction = "higher") -> TemplateSensitivity:
    """Spread over templates with what noise alone would give, and method x template ANOVA with seeds as replicates.

    scores : [methods, templates, seeds], complete, the same templates for every method. F_method = MS_method / MS_seed on fixed templates; on random
    templates MS_method / MS_interaction. Without two seeds interaction and noise cannot be told apart, and only the random-template test is left.
    Var_template = (MS_template - MS_seed) / (methods seeds), Var_interaction = (MS_interaction - MS_seed) / seeds, Var_seed = MS_seed.

    >>> found = template_sensitivity([[[0.60, 0.58], [0.50, 0.52]], [[0.70, 0.71], [0.69, 0.70]]])
    >>> found.spread.round(3)
    array([0.08, 0.01])
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 3:
        raise ValueError(f"scores: [methods, templates, seeds] expected, got shape {table.shape}")
    n_methods, n_templates, n_seeds = table.shape
    reason = _why_undefined(table)
    if reason is not None and (table.size == 0 or not np.isfinite(table).all()):
        return _describe(np.full((n_methods, n_templates), np.nan), direction, _anova_nothing(), None, n_seeds, reason)
    cells = table.mean(axis=2)
    anova = _anova(table) if n_methods > 1 and n_templates > 1 else _anova_nothing()
    within = float(((table - cells[..., None]) ** 2).sum())
    scale, noise = expected_range(n_templates), None
    if n_seeds > 1 and scale is not None:
        noise = scale * math.sqrt(within / (n_methods * n_templates * (n_seeds - 1)) / n_seeds)
    return _describe(cells, direction, anova, noise, n_seeds, reason)


@dataclass(frozen=True)
class _Anova:
    squares: Mapping[str, float]
    degrees: Mapping[str, int]
    f: Mapping[str, float | None]
    p: Mapping[str, float | None]
    f_random: float | None
    p_random: float | None
    variances: Mapping[str, float]


def _anova_nothing() -> _Anova:
    return _Anova({}, {}, {}, {}, None, None, {})


def _anova(table: Floats) -> _Anova:
    n_methods, n_templates, n_seeds = table.shape
    cells, grand = table.mean(axis=2), table.mean()
    rows, columns = cells.mean(axis=1, keepdims=True), cells.mean(axis=0, keepdims=True)
    squares = {
        "method": n_templates * n_seeds * float(((rows - grand) ** 2).sum()),
        "template": n_methods * n_seeds * float(((columns - grand) ** 2).sum()),
        "interaction": n_seeds * float(((cells - rows - columns + grand) ** 2).sum()),
        "seed": float(((table - cells[..., None]) ** 2).sum()),
    }
    degrees = {
        "method": n_methods - 1,
        "template": n_templates - 1,
        "interaction": (n_methods - 1) * (n_templates - 1),
        "seed": n_methods * n_templates * (n_seeds - 1),
    }
    ms = {name: squares[name] / degrees[name] for name in squares if degrees[name]}
    tiny = 1e-24 * max(float((table**2).max()), 1e-300)  # rounding of equal scores, not variance

    def test(name: str, against: str) -> tuple[float | None, float | None]:
        if ms.get(against, 0.0) <= tiny:
            return None, None
        value = ms[name] / ms[against]
        return value, float(stats.f.sf(value, degrees[name], degrees[against]))

    fixed = {name: test(name, "seed") for name in ("method", "template", "interaction")}
    variances = {}
    if "seed" in ms:
        variances = {
            "template": max((ms["template"] - ms["seed"]) / (n_methods * n_seeds), 0.0),
            "interaction": max((ms["interaction"] - ms["seed"]) / n_seeds, 0.0),
            "seed": ms["seed"],
        }
    f_random, p_random = test("method", "interaction")
    return _Anova(squares, degrees, {n: v[0] for n, v in fixed.items()}, {n: v[1] for n, v in fixed.items()}, f_random, p_random, variances)


def _describe(
    cells: Floats, direction: Direction, anova: _Anova, noise: float | None, n_seeds: int, reason: str | None
) -> TemplateSensitivity:
    n_methods, n_templates = cells.shape
    usable = n_templates > 0 and bool(np.isfinite(cells).all()) and n_methods > 0
    undefined = np.full(n_methods, np.nan)
    oriented = orient(cells, direction)
    worst = tuple(int(i) for i in oriented.argmin(axis=1)) if usable else ()
    best = tuple(int(i) for i in oriented.argmax(axis=1)) if usable else ()
    flips = None
    if usable and n_methods > 1 and n_templates > 1:
        taus = board_agreement(cells.T)[np.triu_indices(n_templates, 1)]
        flips = None if np.isnan(taus).any() else float(1 - taus.mean())
    rows = np.arange(n_methods)
    return TemplateSensitivity(
        mean=cells.mean(axis=1) if usable else undefined,
        spread=np.ptp(cells, axis=1) if usable else undefined,
        sd=cells.std(axis=1, ddof=1) if usable and n_templates > 1 else undefined,
        worst=cells[rows, worst] if usable else undefined,
        best=cells[rows, best] if usable else undefined,
        worst_template=worst,
        best_template=best,
        noise_spread=noise,
        rank_flips=flips,
        sums_of_squares=MappingProxyType(dict(anova.squares)),
        degrees=MappingProxyType(dict(anova.degrees)),
        f=MappingProxyType(dict(anova.f)),
        pvalues=MappingProxyType(dict(anova.p)),
        f_random=anova.f_random,
        pvalue_random=anova.p_random,
        variances=MappingProxyType(dict(anova.variances)),
        n_templates=n_templates,
        n_seeds=n_seeds,
        degenerate=reason,
    )


def _why_undefined(table: Floats) -> str | None:
    n_methods, n_templates, n_seeds = table.shape
    if table.size == 0:
        return "no scores"
    if not np.isfinite(table).all():
        return "missing cells"
    if n_templates < 2:
        return "one template"
    if n_methods < 2:
        return "one method: no comparison over templates"
    return "one seed: interaction cannot be told from noise" if n_seeds < 2 else None
