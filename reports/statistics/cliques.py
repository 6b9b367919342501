"""Which methods may share a bar, or a letter, because no test told them apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .result import Floats, round_ties

Matrix = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Cliques:
    """Groups of methods that are not told apart, as positions in the caller's arrays, best first.

    bars : groups that are contiguous in rank, to be drawn as lines
    letters : [methods], compact letter display; two methods share a letter exactly if they were not told apart; "" where the bars say everything
    complete : whether the bars alone say everything
    """

    order: tuple[int, ...]
    bars: tuple[tuple[int, ...], ...]
    letters: tuple[str, ...]
    complete: bool


def critical_difference_bars(mean_ranks: ArrayLike, critical_difference: float) -> Cliques:
    """Longest runs of methods whose extreme mean ranks differ by no more than the critical difference; none where all differ.

    >>> critical_difference_bars([3.143, 2.0, 2.893, 1.964], 1.0).bars
    ((3, 1, 2), (2, 0))
    """
    ranks = np.asarray(mean_ranks, dtype=np.float64)
    gap = round_ties(np.abs(ranks[:, None] - ranks[None, :]), float(len(ranks) or 1))
    return cliques(ranks, gap > critical_difference)


def cliques(ranks: ArrayLike, different: ArrayLike) -> Cliques:
    """Bars for the maximal groups that are contiguous in rank, and letters if some pair is left that no bar shows.

    ranks : [methods], smaller is better, the order of the drawing; different : [methods, methods], true where a test told the two apart.
    A group is drawn only if nobody outside belongs to it: a bar that left out a further method would claim that it differs.

    >>> cliques([1, 2, 3], [[False, False, True], [False, False, False], [True, False, False]]).bars
    ((0, 1), (1, 2))
    >>> cliques([1, 2, 3], [[False, True, False], [True, False, True], [False, True, False]]).letters
    ('a', 'b', 'a')
    >>> cliques([1, 2], [[False, True], [True, False]]).bars
    ()
    """
    order = np.argsort(np.asarray(ranks, dtype=np.float64), kind="stable")
    apart: Matrix = np.asarray(different, dtype=bool)
    if apart.shape != (len(order), len(order)):
        raise ValueError(f"different: [methods, methods] expected for {len(order)} methods, got {apart.shape}")
    together = ~(apart | apart.T)[np.ix_(order, order)]
    np.fill_diagonal(together, True)
    runs = _contiguous_groups(together)
    shown = np.eye(len(order), dtype=bool)
    for start, stop in runs:
        shown[start:stop, start:stop] = True
    complete = bool((shown == together).all())
    return Cliques(
        order=tuple(int(i) for i in order),
        bars=tuple(tuple(int(i) for i in order[start:stop]) for start, stop in runs),
        letters=("",) * len(order) if complete else compact_letters(ranks, apart),
        complete=complete,
    )


def _contiguous_groups(together: Matrix) -> list[tuple[int, int]]:
    """Runs [start, stop) of the ordered methods that are maximal cliques of two or more."""
    n, runs, furthest = len(together), [], 0
    for start in range(n):
        stop = start + 1
        while stop < n and together[start:stop, stop].all():
            stop += 1
        outside = np.r_[0:start, stop:n]
        if stop - start > 1 and stop > furthest and not together[outside, start:stop].all(axis=1).any():
            runs.append((start, stop))
        furthest = max(furthest, stop)
    return runs


def compact_letters(ranks: ArrayLike, different: ArrayLike) -> tuple[str, ...]:
    """Letters such that two methods share one exactly if no test told them apart; "a" begins with the best method.

    Groups are grown greedily over pairs that no letter covers yet, which needs few letters and stays fast where listing all maximal cliques would not.
    Source of the display: Piepho 2004.

    >>> compact_letters([1, 2, 3], [[False, False, True], [False, False, False], [True, False, False]])
    ('a', 'ab', 'b')
    """
    order = np.argsort(np.asarray(ranks, dtype=np.float64), kind="stable")
    apart: Matrix = np.asarray(different, dtype=bool)
    together = ~(apart | apart.T)[np.ix_(order, order)]
    np.fill_diagonal(together, True)
    n = len(order)
    covered = np.zeros((n, n), dtype=bool)
    groups: list[list[int]] = []
    for i in range(n):
        while not covered[i, i] or (together[i] & ~covered[i]).any():
            members = [i]
            # methods whose pair with i is not covered yet come first, then any that fits
            for j in sorted((j for j in range(n) if j != i and together[i, j]), key=lambda j: (bool(covered[i, j]), j)):
                if together[j, members].all():
                    members.append(j)
            covered[np.ix_(members, members)] = True
            groups.append(sorted(members))
    labels = [""] * n
    for position, members in enumerate(sorted(groups)):
        for member in members:
            labels[order[member]] += _letter(position)
    return tuple(labels)


def _letter(position: int) -> str:
    """a ... z, then a1 ... z1, and so on.

    >>> _letter(0), _letter(27)
    ('a', 'b1')
    """
    letter = chr(ord("a") + position % 26)
    return letter if position < 26 else f"{letter}{position // 26}"


def not_told_apart(different: ArrayLike) -> Floats:
    """Share of the other methods that each method was not told apart from. different : [methods, methods] -> [methods], NaN for one method.

    >>> not_told_apart([[False, False, True], [False, False, True], [True, True, False]])
    array([0.5, 0.5, 0. ])
    """
    apart: Matrix = np.asarray(different, dtype=bool)
    n = len(apart)
    if n < 2:
        return np.full(n, np.nan)
    return np.asarray((~(apart | apart.T)).sum(axis=1) - 1, dtype=np.float64) / (n - 1)
