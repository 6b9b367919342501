"""What every statistic here returns, and the rules that hold for all of them: ties, Monte-Carlo p-values, random streams, direction.

Undefined is None with a reason in `degenerate`, never 0. A caution that leaves the numbers defined stands in `note`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

GeneraliseOver = Literal["seeds", "examples", "seeds+examples", "tasks"]
Alternative = Literal["two-sided", "greater", "less"]
Direction = Literal["higher", "lower"]
Floats = NDArray[np.float64]

N_RESAMPLES = 10_000
MAX_RESAMPLES = 160_000
SIGNIFICANT_DECIMALS = 12
TIE_TOLERANCE = 1e-12


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """A test, an interval, or both.

    estimate, se, ci_low, ci_high : the estimated quantity in its own unit, its standard error, its interval at `level`
    statistic, df, pvalue : of the test against `alternative`; `pvalue` is None where the test is undefined
    effect : the standardised effect named in the function's docstring
    n : units the result rests on (the axis named by `generalise_over`); n_dropped : units left out because a value was missing
    generalise_over : what a new draw would renew; the caption of every table prints it
    degenerate : why a number is undefined or a convention; note : a caution, the numbers stand
    n_resamples, mc_error : of Monte-Carlo results; mc_error is 0 where all resamples were enumerated
    details : further named numbers of the one statistic
    """

    __test__ = False  # pytest collects classes by this prefix

    method: str
    n: int
    generalise_over: GeneraliseOver | None = None
    estimate: float | None = None
    se: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    level: float | None = None
    statistic: float | None = None
    df: float | None = None
    pvalue: float | None = None
    alternative: Alternative = "two-sided"
    effect: float | None = None
    n_dropped: int = 0
    degenerate: str | None = None
    note: str | None = None
    n_resamples: int | None = None
    mc_error: float | None = None
    details: Mapping[str, float | None] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        object.__setattr__(self, "details", MappingProxyType(dict(self.details)))

    @property
    def interval(self) -> tuple[float | None, float | None]:
        return self.ci_low, self.ci_high

    @property
    def half_width(self) -> float | None:
        if self.ci_low is None or self.ci_high is None:
            return None
        return (self.ci_high - self.ci_low) / 2

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: numbers, strings, None; a non-finite number is written as its name.

        >>> TestResult(method="t", n=1, degenerate="one value").to_dict()["pvalue"] is None
        True
        """
        record = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "details"}
        record["details"] = dict(self.details)
        return {name: _jsonable(value) for name, value in record.items()}


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _jsonable(inner) for name, inner in value.items()}
    if isinstance(value, (np.floating, float)):
        return float(value) if math.isfinite(value) else repr(float(value))
    return int(value) if isinstance(value, np.integer) else value


def as_dict(result: Any) -> dict[str, Any]:
    """The same for the other frozen results of this package (nested results and arrays included)."""
    if isinstance(result, TestResult):
        return result.to_dict()
    return {name: _plain(value) for name, value in vars(result).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return as_dict(value)
    return _jsonable(value)


# --- inputs -------------------------------------------------------------------------------------------------------------------------


def as_vector(values: ArrayLike, name: str = "values") -> Floats:
    """A float64 vector; None becomes NaN, a table is refused because its axes would be guessed."""
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        raise ValueError(f"{name}: one axis expected, got shape {vector.shape}")
    return vector


def drop_missing(*vectors: ArrayLike) -> tuple[list[Floats], int]:
    """The positions at which every vector has a finite value, and how many positions were left out.

    >>> drop_missing([1.0, float("nan"), 3.0], [4.0, 5.0, 6.0])[1]
    1
    """
    columns = [as_vector(vector) for vector in vectors]
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"paired vectors differ in length: {[len(column) for column in columns]}")
    present = np.all([np.isfinite(column) for column in columns], axis=0)
    return [column[present] for column in columns], int(np.count_nonzero(~present))


def orient(values: ArrayLike, direction: Direction) -> Floats:
    """Values for which larger is better: all tests here speak of a - b > 0 as "a is better".

    >>> orient([0.3, 0.5], "lower")
    array([-0.3, -0.5])
    """
    if direction not in ("higher", "lower"):
        raise ValueError(f"direction is 'higher' or 'lower', not {direction!r}")
    array = np.asarray(values, dtype=np.float64)
    return array if direction == "higher" else -array


# --- ties ---------------------------------------------------------------------------------------------------------------------------


def round_ties(values: ArrayLike, scale: float | None = None) -> Floats:
    """Values rounded to 12 significant decimals of `scale` (default: the largest magnitude present), so that equal decimals tie.

    The scale is the operands' where values are differences: .81 - .78 carries the rounding error of .81, not of .03.

    >>> len(set(round_ties([0.81 - 0.78, 0.80 - 0.77, 0.83 - 0.80]).tolist()))
    1
    """
    array = np.asarray(values, dtype=np.float64)
    if scale is None:
        finite = np.abs(array[np.isfinite(array)])
        scale = float(finite.max()) if finite.size else 0.0
    if scale == 0.0 or not math.isfinite(scale):
        return array + 0.0
    # + 0.0 turns the -0.0 that rounding leaves behind into 0.0
    return np.round(array, SIGNIFICANT_DECIMALS - math.ceil(math.log10(scale))) + 0.0


def rounded_difference(a: ArrayLike, b: ArrayLike) -> Floats:
    """a - b, rounded on the scale of a and b."""
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    operands = np.concatenate([left.ravel(), right.ravel()])
    finite = np.abs(operands[np.isfinite(operands)])
    return round_ties(left - right, float(finite.max()) if finite.size else None)


def at_least(resampled: ArrayLike, observed: ArrayLike) -> NDArray[np.bool_]:
    """Resampled >= observed, up to 1e-12 max(1, |observed|): the same sum in another order counts as equal."""
    target = np.asarray(observed, dtype=np.float64)
    result: NDArray[np.bool_] = np.asarray(resampled) >= target - TIE_TOLERANCE * np.maximum(1.0, np.abs(target))
    return result


# --- Monte-Carlo p-values ---------------------------------------------------------------------------------------------------------------


def monte_carlo_pvalue(n_exceeding: int, n_resamples: int, *, exhaustive: bool = False) -> float:
    """(1 + exceeding) / (R + 1): the observed arrangement is one of the possible ones, so p is never 0.

    Source: Phipson and Smyth 2010, "Permutation P-values should never be zero". With all arrangements enumerated it is a plain share.

    >>> monte_carlo_pvalue(0, 9999)
    0.0001
    """
    return n_exceeding / n_resamples if exhaustive else (1 + n_exceeding) / (n_resamples + 1)


def monte_carlo_error(pvalue: float, n_resamples: int, *, exhaustive: bool = False) -> float:
    """sqrt(p (1 - p) / R): the standard error of p over other draws of the resamples."""
    return 0.0 if exhaustive else math.sqrt(max(pvalue * (1 - pvalue), 0.0) / n_resamples)


def undecided(pvalues: ArrayLike, n_resamples: int, alpha: float = 0.05) -> bool:
    """Whether any p-value lies within 3 Monte-Carlo errors of alpha, so that more draws could turn the verdict."""
    p = np.asarray(pvalues, dtype=np.float64)
    return bool(np.any(np.abs(p - alpha) <= 3 * np.sqrt(p * (1 - p) / n_resamples)))


# --- random streams -----------------------------------------------------------------------------------------------------------------------


def spawn_rng(root: int, *names: str) -> np.random.Generator:
    """The generator of one (statistic, task): a SeedSequence child keyed by the names, so the order of calls does not matter.

    >>> first, again = spawn_rng(0, "sign-flip", "sst2"), spawn_rng(0, "sign-flip", "sst2")
    >>> bool(first.random() == again.random())
    True
    """
    digest = hashlib.sha256("\x1f".join(names).encode()).digest()
    key = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
    return np.random.default_rng(np.random.SeedSequence(root, spawn_key=key))


def name_order(names: Sequence[str]) -> list[int]:
    """Positions in order of name: draws follow it, so that listing methods otherwise gives each the same draws."""
    if len(set(names)) != len(names):
        raise ValueError("names must differ, draws are assigned by name")
    return sorted(range(len(names)), key=lambda i: names[i])
