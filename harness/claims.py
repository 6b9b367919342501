"""A paper's statement as data: what is compared, by which measure, and what would show it. Judged in `harness.reports.claims`.

A method's module lists them as `claims = [...]`. Bounds are written before anything is measured and are part of the source: none moves
after results are seen. `stand_in` names the property test that stands for the mechanism where a claim cannot show at this scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

MIN_SEEDS = 10  # of a statistical claim

ExactMeasure = Literal[
    "trainable_parameters",  # the formula, with `at` for the backbone
    "trained_numbers",  # counted in what a method really trained on a tiny random backbone
    "searched_numbers",  # of a gradient-free method: the dimensions its search strategies walk
    "training_pairs",  # of a method that makes pairs of its rows
    "forward_calls",  # of an adaptation, its choice on dev apart
    "changed_weights",  # tensors of the backbone that are not bitwise what they were
    "start_difference",  # largest difference of label scores before training, against the other arm's
    "answer_difference",  # the same after training
]
CostMeasure = Literal["step_flops", "step_saved_bytes", "step_tokens"]


@dataclass(frozen=True)
class Arm:
    """A method (with a configuration over its defaults)."""

    method: str
    config: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        settings = ", ".join(f"{key} {value}" for key, value in self.config.items())
        return f"{self.method} ({settings})" if settings else self.method


@dataclass(frozen=True)
class Shape:
    """The sizes of a model that a parameter formula is asked at: a paper's own, which no test loads."""

    name: str
    width: int
    layers: int
    max_length: int = 512


@dataclass(frozen=True)
class Sizes:
    """A random model and a batch on which a cost is measured: one training step at these sizes."""

    width: int = 64
    layers: int = 2
    family: Literal["masked_lm", "causal_lm", "encoder_decoder"] = "masked_lm"
    tokens: int = 64  # of every text
    batch: int = 4


@dataclass(frozen=True)
class Claim:
    """name : slug, unique within its method.  text : what the paper says.  against : what `arm` is compared with."""

    name: str
    text: str
    arm: Arm = field(kw_only=True)
    against: Arm | None = field(default=None, kw_only=True)
    stand_in: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, kw_only=True)
class Bounded(Claim):
    """A number that must equal a fraction, or lie within bounds. Counts are divided by `against`'s where there is one."""

    equals: Fraction | None = None
    at_least: Fraction | float | None = None
    at_most: Fraction | float | None = None

    def __post_init__(self) -> None:
        if self.equals is None and self.at_least is None and self.at_most is None:
            raise ValueError(f"claim {self.name} has no bound")

    def allows(self, value: Fraction | float) -> bool:
        return (
            (self.equals is None or value == self.equals)
            and (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
        )


@dataclass(frozen=True, kw_only=True)
class Exact(Bounded):
    """An identity, a count or a ratio of counts: asserted, without statistics."""

    measure: ExactMeasure
    at: Shape | None = None
    family: Literal["masked_lm", "causal_lm", "encoder_decoder"] = "masked_lm"


@dataclass(frozen=True, kw_only=True)
class Cost(Bounded):
    """A cost of one training step, or its ratio to `against`'s, on a random model of the given sizes."""

    measure: CostMeasure
    at: Sizes = Sizes()


@dataclass(frozen=True, kw_only=True)
class Scores(Claim):
    """Scores of trained models over seeds and examples, arm minus `against`, averaged over tasks.

    relation : "better": above 0.  "not_worse": above -margin.  "equivalent": within +-margin.
    margin : in score units; of "better", the gain that must be ruled out before the claim is said not to hold.
    """

    relation: Literal["better", "not_worse", "equivalent"]
    margin: float
    tasks: tuple[str, ...]
    backbone: str
    shots: int = 16
    seeds: int = MIN_SEEDS
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the suite, such as a budget

    def __post_init__(self) -> None:
        if self.against is None or self.seeds < MIN_SEEDS or not self.margin > 0:
            raise ValueError(f"claim {self.name} needs `against`, a margin above 0 and at least {MIN_SEEDS} seeds")
