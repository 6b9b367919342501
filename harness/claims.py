"""A paper's statement as data: what is compared, by which measure, and what would show it. Judged in `harness.reports.claims`.

A method's module lists them as `claims = [...]`. Bounds are written before anything is measured and are part of the source: none moves
after results are seen. `stand_in` names the property test that stands for the mechanism where a claim cannot show at this scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from harness.backbones.capabilities import Family

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
    "optimiser_steps",  # of an adaptation whose budget is `epochs`
    "distinct_rows",  # that an adaptation was trained on, of 8
    "dropped_at_start",  # samples of a stream's first batch that are not adapted on
    "changed_by_reset",  # answers of a stream that differ when it is asked again after a reset
    "stream_difference",  # largest difference of label scores over a stream, against the other arm's
    "template_population",  # of a method that samples templates: how many it samples from
    "telescoping_error",  # largest difference of an episode's rewards in sum and the loss that was saved in it
    "padded_probability",  # largest probability that a policy gave to a place where there is nothing
    "added_parameters",  # of a recipe's product, over the other arm's, by the recipe's own formula
]
CostMeasure = Literal["step_flops", "step_saved_bytes", "step_tokens"]
Relation = Literal["better", "not_worse", "equivalent", "less", "steadier"]


@dataclass(frozen=True)
class Arm:
    """A method (with a configuration over its defaults), and a selection ({"name": ..., settings}) of the rows it is trained on."""

    method: str
    config: Mapping[str, Any] = field(default_factory=dict)
    selection: Mapping[str, Any] | None = None
    backbone: Mapping[str, Any] | None = None  # in place of the claim's, where backbones are what is compared

    def __str__(self) -> str:
        settings = ", ".join(f"{key} {value}" for key, value in self.config.items())
        method = f"{self.method} ({settings})" if settings else self.method
        chosen = " ".join(f"{value}" if key == "name" else f"{key} {value}" for key, value in (self.selection or {}).items())
        made = f" with {self.backbone.get('label') or self.backbone.get('recipe') or self.backbone.get('name')}" if self.backbone else ""
        return (f"{method} on {chosen}" if chosen else method) + made


@dataclass(frozen=True)
class Shape:
    """The sizes of a model that a parameter formula is asked at: a paper's own, which no test loads."""

    name: str
    width: int
    layers: int
    max_length: int = 512
    image_width: int | None = None  # of a CLIP, whose `width` is then its text tower's


@dataclass(frozen=True)
class Sizes:
    """A random model and a batch on which a cost is measured: one training step at these sizes."""

    width: int = 64
    layers: int = 2
    family: Family = "masked_lm"
    tokens: int = 64  # of every text
    batch: int = 4


@dataclass(frozen=True)
class Claim:
    """name : slug, unique within its method.  text : what the paper says.  against : what `arm` is compared with.

    investigated : what was found out about a verdict other than "holds", or what a reader must know to weigh one.
    """

    name: str
    text: str
    arm: Arm = field(kw_only=True)
    against: Arm | None = field(default=None, kw_only=True)
    stand_in: str | None = field(default=None, kw_only=True)
    investigated: str | None = field(default=None, kw_only=True)


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
    family: Family = "masked_lm"
    epochs: int | None = None  # the budget of the adaptation; None takes the method's small settings


@dataclass(frozen=True, kw_only=True)
class Cost(Bounded):
    """A cost of one training step, or its ratio to `against`'s, on a random model of the given sizes."""

    measure: CostMeasure
    at: Sizes = Sizes()


@dataclass(frozen=True, kw_only=True)
class Scores(Claim):
    """Scores of trained models over seeds and examples, arm minus `against`, averaged over tasks.

    measure : "score", of the task's first metric; "metric:NAME", another of its metrics; "probe:LABEL" of a probe in `settings`; or
        "flops_to:S", the decimal logarithm of the training FLOPs, a selection's scoring included, until a dev score of S;
        where an arm never gets there on some seed, a sign test takes the place of the t test.
    relation : "better": above 0.  "not_worse": above -margin.  "equivalent": within +-margin.  "less": below 0.  "steadier": less
        spread over seeds, by Levene's test on distances from the median (Brown and Forsythe 1974).
    margin : in units of the measure; of "better" and "less", the difference that must be ruled out before the claim is said not to
        hold; of "steadier" it means nothing.
    """

    measure: str = "score"
    against_measure: str | None = None  # of the other arm, where it is another: two numbers of one method, say
    relation: Relation
    margin: float
    tasks: tuple[str, ...]
    backbone: str
    shots: int = 16
    seeds: int = MIN_SEEDS
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the suite, such as a budget

    def __post_init__(self) -> None:
        if self.against is None or self.seeds < MIN_SEEDS or not self.margin > 0:
            raise ValueError(f"claim {self.name} needs `against`, a margin above 0 and at least {MIN_SEEDS} seeds")


@dataclass(frozen=True, kw_only=True)
class Learned(Claim):
    """How much sooner one recipe's pretraining reaches the loss at which the other's ends; arms are recipes.

    measure : what is counted up to there. The claim is that the ratio of the two, arm over `against`, is below 1, over pretraining seeds.
    """

    measure: Literal["steps", "flops"]
    seeds: int = MIN_SEEDS

    def __post_init__(self) -> None:
        if self.against is None or self.seeds < MIN_SEEDS:
            raise ValueError(f"claim {self.name} needs `against` and at least {MIN_SEEDS} seeds")


@dataclass(frozen=True, kw_only=True)
class Share(Claim):
    """A share of labelled cases that a tool gets right, with its Wilson interval; with `against`, McNemar's test on the same cases.

    measure : a key of the tool's `measures`, each a function of the arm's configuration that gives a bool array [cases].
    at_least : the share that the whole 95% interval must reach; at 1, every case must be right.  None with `against`.
    """

    measure: str
    at_least: float | None = None

    def __post_init__(self) -> None:
        if (self.at_least is None) == (self.against is None):
            raise ValueError(f"claim {self.name} needs either `at_least` or `against`")
