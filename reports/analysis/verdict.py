"""The verdict in words. Every sentence follows from a test in the analysis, and says what it generalises over."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from .digits import OVER, estimate, interval, pequals
from .model import Arm, Column, Pair, Standing, Testing, Versus


def question(
    arms: Sequence[Arm], columns: Sequence[Column], tasks: Sequence[str], n_seeds: tuple[int, int], backbones: Sequence[str]
) -> str:
    """What was asked, from the shape of the grid."""
    seeds = str(n_seeds[0]) if n_seeds[0] == n_seeds[1] else f"{n_seeds[0]} to {n_seeds[1]}"
    what = f"Which of {len(arms)} arms is better on {_count(len(tasks), 'task')}"
    if len(columns) > len(tasks):
        what += f" ({len(columns)} settings)"
    where = f", on {backbones[0]}" if len(backbones) == 1 else ""
    metrics = sorted({column.metric for column in columns})
    return f"{what}{where}? Measured by {', '.join(metrics[:3])}, with {seeds} {'seed' if seeds == '1' else 'seeds'} per cell."


def verdict(
    rows: Sequence[Standing],
    pairs: Sequence[Pair],
    versus: Sequence[Versus],
    testing: Testing,
    baselines: Sequence[str],
    alpha: float,
    places: int,
) -> tuple[str, ...]:
    """A paragraph: the top group, the best pair, the baselines, and what cannot be said."""
    ranked = [row for row in rows if row.ranked]
    if len(ranked) < 2:
        return (testing.sentence,)
    sentences = [_top(ranked, testing, places), *_neighbours(ranked, pairs, testing, alpha)]
    for baseline in baselines:
        sentences += _against(baseline, ranked, pairs, versus, testing, alpha)
    sentences.append(testing.sentence)
    failed = [row for row in rows if row.n_failed]
    if failed:
        total = sum(row.n_failed for row in failed)
        of = sum(row.n_trials for row in rows)
        sentences.append(
            f"{total} of {of} runs failed or have no defined score; each counts with its task's floor where the task declares one."
        )
    partial = [row.arm for row in rows if not row.ranked]
    if partial:
        sentences.append(
            f"{_names(partial)} {'lacks' if len(partial) == 1 else 'lack'} a score on some column and {'is' if len(partial) == 1 else 'are'} not ranked."
        )
    return tuple(sentences)


def _top(ranked: Sequence[Standing], testing: Testing, places: int) -> str:
    best = [row.arm for row in ranked if row.best_group]
    where = OVER[testing.ranking_over]
    leader = ranked[0]
    score = ""
    if leader.score.level is not None:
        level = f"{100 * leader.score.level:.3g}% interval {interval(leader.score, places)}"
        score = f"{leader.arm} has the highest mean ({estimate(leader.score, places)}, {level})"
    if leader.score.estimate is None or leader.score.ci_low is None or not score:
        score = f"{leader.arm} stands first"
    if len(best) == 1:
        return f"{leader.arm} is best: every other arm differs from it {where}, after adjustment for {testing.n_pairs} pairs."
    if len(best) == len(ranked):
        return f"No arm can be told apart from {leader.arm}, which has the best mean, {where}."
    others = [arm for arm in best if arm != leader.arm]
    return f"{score}, but {_names(others)} cannot be told apart from it {where}."


def _neighbours(ranked: Sequence[Standing], pairs: Sequence[Pair], testing: Testing, alpha: float) -> list[str]:
    over_tasks = testing.ranking_over == "tasks"
    found = {(pair.a, pair.b): pair for pair in pairs}
    apart = 0
    for one, two in itertools.pairwise(ranked):
        pair = found.get((one.arm, two.arm)) or found.get((two.arm, one.arm))
        p = None if pair is None else pair.tasks_adjusted if over_tasks else pair.here_adjusted
        apart += p is not None and p <= alpha
    n = len(ranked) - 1
    told = [p for p in pairs if (q := p.tasks_adjusted if over_tasks else p.here_adjusted) is not None and q <= alpha]
    sentence = (
        f"Of {testing.n_pairs} pairs {len(told)} are told apart {OVER[testing.ranking_over]}; of {n} neighbours on the board, {apart}."
    )
    if not over_tasks:
        return [sentence]
    here = [p for p in pairs if p.here_adjusted is not None and p.here_adjusted <= alpha]
    tested = [p for p in pairs if p.here_adjusted is not None]
    if not tested:
        return [sentence]
    what = OVER[tested[0].here.generalise_over or "seeds"]
    return [sentence, f"On these tasks themselves, {what.split(' (')[0]}, {len(here)} of {len(tested)} pairs are."]


def _against(
    baseline: str, ranked: Sequence[Standing], pairs: Sequence[Pair], versus: Sequence[Versus], testing: Testing, alpha: float
) -> list[str]:
    over_tasks = testing.ranking_over == "tasks"
    better: list[tuple[float, str]] = []
    worse: list[tuple[float, str]] = []
    found = {(pair.a, pair.b): pair for pair in pairs}
    for item in versus:
        if item.baseline != baseline:
            continue
        p = item.tasks_adjusted if over_tasks else item.here_adjusted
        pair = found.get((item.arm, baseline)) or found.get((baseline, item.arm))
        if p is None or pair is None:
            continue
        value = ((pair.tasks if over_tasks else pair.here).estimate or 0.0) * (1 if pair.a == item.arm else -1)
        if p <= alpha:
            (better if value > 0 else worse).append((p, item.arm))
    n = sum(item.baseline == baseline for item in versus)
    if not n:
        return []
    parts = [f"{_names([arm for _, arm in sorted(side)])} {word} than {baseline}" for side, word in (
        (better, "is better" if len(better) == 1 else "are better"), (worse, "is worse" if len(worse) == 1 else "are worse")) if side]  # fmt: skip
    if not parts:
        return [f"Against the declared baseline {baseline}, none of {n} arms differs ({OVER[testing.ranking_over]}, {n} comparisons)."]
    strongest = min([*better, *worse])[0]
    return [
        f"Against the declared baseline: {', and '.join(parts)} ({OVER[testing.ranking_over]}, {n} comparisons, smallest {pequals(strongest)})."
    ]


def _names(names: Sequence[str], most: int = 4) -> str:
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
