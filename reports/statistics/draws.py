"""Random sign patterns and resample counts in blocks, and the score matrices they are multiplied with.

Flips and resamples are linear: S (a - b) = S a - S b. So the block of draws [resamples, units] is multiplied once with the scores of all
methods, pairs are differences of the products, and every pair sees the same draws. Integer scores are summed exactly in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

CHUNK = 1_000
CACHED_DRAWS = 100_000  # drawn and counted at once: twice as fast as a whole block, which leaves the cache
FLOAT32_EXACT = 2**24

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Units:
    """Scores [methods, units], where a unit is an example or a cluster and holds the sum over seeds.

    `divisor` turns a sum over units into a mean; `n_dropped` counts examples that some method or seed lacks.
    """

    sums: NDArray[Any]
    divisor: float
    n_dropped: int

    @property
    def exact(self) -> bool:
        return self.sums.dtype == np.float32


def unit_sums(scores: ArrayLike, cluster: ArrayLike | None = None) -> Units:
    """[methods, seeds, examples] or [methods, examples] -> sums per example or cluster, float32 where that is exact."""
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim == 2:
        table = table[:, None, :]
    if table.ndim != 3:
        raise ValueError(f"[methods, seeds, examples] expected, got shape {np.shape(scores)}")
    kept = np.isfinite(table).all(axis=(0, 1))
    sums = table[:, :, kept].sum(axis=1)
    divisor = float(table.shape[1] * kept.sum())
    if cluster is not None:
        _, position = np.unique(np.asarray(cluster)[kept], return_inverse=True)
        sums = np.stack([np.bincount(position, weights=row, minlength=0) for row in sums])
    whole = bool((sums == np.rint(sums)).all()) and 2 * float(np.abs(sums).sum(axis=1).max(initial=0.0)) < FLOAT32_EXACT
    return Units(sums.astype(np.float32) if whole else sums, divisor, int(np.count_nonzero(~kept)))


def all_pairs(n_methods: int, pairs: Sequence[tuple[int, int]] | None = None) -> tuple[Indices, Indices]:
    """First and second methods of the pairs, by default of all of them in the order of np.triu_indices."""
    if pairs is None:
        first, second = np.triu_indices(n_methods, k=1)
        return first, second
    table = np.asarray(pairs, dtype=np.intp).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def enumerable(n_units: int, n_resamples: int) -> bool:
    """Whether all 2^n sign patterns are no more than the resamples asked for and the observed one."""
    return n_units < 63 and 2**n_units <= n_resamples + 1


def flip_blocks(
    n_units: int, n_resamples: int, rng: np.random.Generator, dtype: Any = np.float32, *, exhaustive: bool = False, chunk: int = CHUNK
) -> Iterator[NDArray[Any]]:
    """Blocks [rows, units] of 0 and 1 (1 = flip): random, or with `exhaustive` every one of the 2^n patterns once."""
    if exhaustive:
        for start in range(0, 2**n_units, chunk):
            patterns = np.arange(start, min(start + chunk, 2**n_units))
            yield ((patterns[:, None] >> np.arange(n_units)) & 1).astype(dtype)
        return
    n_bytes = -(-n_units // 8)
    for start in range(0, n_resamples, chunk):
        rows = min(chunk, n_resamples - start)
        packed = np.frombuffer(rng.bytes(rows * n_bytes), dtype=np.uint8).reshape(rows, n_bytes)
        yield np.unpackbits(packed, axis=1, count=n_units).astype(dtype)


def count_blocks(
    n_units: int, n_resamples: int, rng: np.random.Generator, dtype: Any = np.float32, chunk: int = CHUNK
) -> Iterator[NDArray[Any]]:
    """Blocks [rows, units] of how often each unit is drawn in a resample of n units with replacement."""
    step = max(CACHED_DRAWS // max(n_units, 1), 1)
    for start in range(0, n_resamples, chunk):
        block = np.empty((min(chunk, n_resamples - start), n_units), dtype=dtype)
        for row in range(0, len(block), step):
            part = block[row : row + step]
            drawn = rng.integers(0, n_units, size=part.shape)
            drawn += np.arange(0, part.size, n_units)[:, None]
            part[:] = np.bincount(drawn.ravel(), minlength=part.size).reshape(part.shape)
        yield block
