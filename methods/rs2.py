"""RS2, repeated random sampling (Okanovic et al. 2023, arXiv 2305.18424): a fresh random subset in every round instead of one fixed one.

Of N rows each of X rounds trains on k = r N. Without replacement (the default) rounds walk through a permutation, so every row comes once in
1/r rounds; with replacement each round is drawn by itself, and X rounds reach a share 1 - (1 - r)^X of the rows on average. The
learning rate follows a cosine over the X ceil(k / B) steps that are really made; `lazy: true` keeps the full-data schedule.
Nearest neighbours: static-random (one subset for all rounds); `ratio: 1` is training on all rows with a score after each pass.
Where k does not divide N the released sampler reuses the head of the used-up permutation and drops the last short batch of a round.
Here a new permutation is drawn for the rest of the round, rows already in the round come last in it, and no batch is dropped: every
permutation is walked through whole and no row comes twice in a round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.claims import Arm, Exact, Scores
from harness.registry import selection
from harness.selection import Round, Selection, strata
from harness.settings import setting
from harness.task import Row

if TYPE_CHECKING:
    from harness.selection import Learner
    from harness.training import Run


@selection("rs2", paper="arXiv:2305.18424", tags=("random",))
class RS2(Selection):
    """A random subset of `ratio` of the rows, drawn anew in every round."""

    replacement: bool = setting(False, help="draw every round by itself, rather than walk through permutations")
    stratified: bool = setting(False, help="keep the classes' shares in every round")

    def rounds(self, rows: Sequence[Row], learner: Learner, run: Run) -> Iterator[Round]:
        rng, k = run.rng("selection"), self.size(len(rows))
        groups = strata(rows, k) if self.stratified else [(list(range(len(rows))), k)]
        walks = [Walk(places, rng) for places, _ in groups]
        while True:
            chosen: list[int] = []
            for walk, (places, count) in zip(walks, groups):
                chosen += rng.permutation(places)[:count].tolist() if self.replacement else walk.take(count)
            yield Round([rows[i] for i in chosen])


class Walk:
    """Goes through permutations of `places`, one after the other, without gaps."""

    def __init__(self, places: Sequence[int], rng: np.random.Generator) -> None:
        self.places, self.rng = list(places), rng
        self.left: list[int] = []

    def take(self, count: int) -> list[int]:
        """The next `count` places, all different; `count` is at most their number."""
        taken, self.left = self.left[:count], self.left[count:]
        if len(taken) < count:
            fresh = self.rng.permutation(self.places).tolist()
            again = set(taken)
            fresh.sort(key=again.__contains__)  # stable: those of this round come last
            missing = count - len(taken)
            taken, self.left = taken + fresh[:missing], fresh[missing:]
        return taken


SETTINGS: dict[str, Any] = {"budget": {"epochs": 30}, "dev": 10, "select": "last", "test_rows": 300}
ABOUT: dict[str, Any] = {"tasks": ("world-topic",), "backbone": "tiny-masked-lm", "shots": 60, "settings": SETTINGS}
STAND_IN = "tests/methods/test_selections.py::test_without_replacement_every_row_comes_once_in_one_over_r_rounds"


def _on(name: str, **settings: Any) -> Arm:
    return Arm("linear-head", {"batch_size": 6}, {"name": name, "ratio": 0.05, "every": 3, **settings})


claims = [
    Exact(
        "covers-all",
        "without replacement every row comes once in 1/r rounds: 8 of 8 rows in 4 rounds of a quarter",
        measure="distinct_rows",
        arm=Arm("bitfit", {"batch_size": 1}, {"name": "rs2", "ratio": 0.25}),
        epochs=4,
        equals=Fraction(8),
        stand_in=STAND_IN,
    ),
    Exact(
        "steps",
        "X rounds of r N rows in batches of B are X ceil(r N / B) steps: 5 rounds of 6 of 8 rows in batches of 4 are 10",
        measure="optimiser_steps",
        arm=Arm("bitfit", {"batch_size": 4}, {"name": "rs2", "ratio": 0.75}),
        epochs=5,
        equals=Fraction(10),
        stand_in="tests/methods/test_selections.py::test_steps_are_rounds_times_batches",
    ),
    Scores(
        "better-than-static-random",
        "at equal budget and a ratio of at most a tenth, fresh subsets train a better model than one fixed random subset",
        arm=_on("rs2"),
        against=_on("static-random"),
        relation="better",
        margin=0.01,
        stand_in=STAND_IN,
        **ABOUT,
    ),
    *(
        Scores(
            f"sooner-than-{name}",
            f"reaches a dev accuracy of 0.6 with fewer FLOPs, selection included, than {name}",
            measure="flops_to:0.6",
            arm=_on("rs2"),
            against=_on(name),
            relation="less",
            margin=0.1,
            stand_in="tests/methods/test_selections.py::test_scoring_is_paid_for",
            investigated="That a sign test takes over where a run never gets there was decided after runs had been seen to miss the target",
            **ABOUT,
        )
        for name in ("el2n", "forgetting", "k-center", "herding", "margin", "round-margin")
    ),
]
