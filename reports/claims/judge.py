"""From a claim to a verdict. Bounds come from the claim alone; nothing here can be set after results are seen."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harness.claims import Arm, Bounded, Claim, Cost, Exact, Learned, Scores, Shape, Share, Sizes
from harness.errors import InputError, UnsupportedError

from .known import Known

Result = Literal["holds", "does not hold", "cannot show at this scale", "not run"]
SMALL = 16  # width of the random model on which exact claims are judged


@dataclass(frozen=True)
class Verdict:
    """measured : what was found, in words and numbers.  reason : why it could not be shown or run."""

    result: Result
    measured: str = ""
    reason: str = ""
    seeds: int | None = None
    test: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value not in ("", None)}


def kind_of(claim: Claim) -> Literal["exact", "cost", "scores", "learned", "share"]:
    if isinstance(claim, Learned):
        return "learned"
    if isinstance(claim, Share):
        return "share"
    return "exact" if isinstance(claim, Exact) else "cost" if isinstance(claim, Cost) else "scores"


def judge(known: Known, *, store: Path | None = None) -> Verdict:
    """The verdict on a claim; claims about scores are trained for only where a `store` for the trials is given."""
    claim = known.claim
    try:
        if isinstance(claim, Scores):
            if store is None:
                return Verdict("not run", reason=f"needs {claim.seeds} seeds of two arms on {claim.backbone}: ask for it with --train")
            from .scores import judge_scores

            return judge_scores(known, claim, store)
        if isinstance(claim, Learned):
            if store is None:
                return Verdict("not run", reason=f"needs {claim.seeds} pretraining seeds of two recipes: ask for it with --train")
            from .learned import judge_learned

            return judge_learned(known, claim, store)
        if isinstance(claim, Share):
            from .shares import judge_share

            return judge_share(claim)
        value = _value(claim)
    except (InputError, UnsupportedError) as error:
        return Verdict("not run", reason=" ".join(str(error).split()))
    assert isinstance(claim, Bounded)
    return Verdict("holds" if claim.allows(value) else "does not hold", measured=shown(value))


def _value(claim: Claim) -> Fraction | float:
    from .measures import SCORES, product_parameters, step_cost, trainable_parameters

    arms = [claim.arm] if claim.against is None else [claim.arm, claim.against]
    if isinstance(claim, Cost):
        counts = [step_cost(claim.measure, arm, claim.at) for arm in arms]
    else:
        assert isinstance(claim, Exact)
        if claim.measure == "added_parameters":
            more, fewer = map(product_parameters, arms)
            return more - fewer
        sizes = Sizes(width=SMALL, family=claim.family)
        if claim.measure in SCORES:
            first, second = (SCORES[claim.measure](arm, sizes) for arm in arms)
            return float(np.abs(first - second).max())
        if claim.measure == "trainable_parameters":
            counts = [trainable_parameters(arm, claim.at or Shape("tiny", SMALL, 2)) for arm in arms]
        else:
            counts = [_count(claim, arm, sizes) for arm in arms]
    return counts[0] / counts[1] if len(counts) == 2 else counts[0]


def _count(claim: Exact, arm: Arm, sizes: Sizes) -> Fraction:
    from .measures import COUNTS, IN_EPOCHS

    if claim.measure in IN_EPOCHS:
        return IN_EPOCHS[claim.measure](arm, sizes, claim.epochs)
    return COUNTS[claim.measure](arm, sizes)


def shown(value: Fraction | float) -> str:
    """A whole number as it is, a fraction with its decimals, a difference in short.

    >>> shown(Fraction(12800, 2580)), shown(Fraction(3)), shown(0.000002)
    ('640/129 = 4.96', '3', '2e-06')
    """
    if isinstance(value, Fraction):
        return f"{value.numerator:,}" if value.denominator == 1 else f"{value} = {float(value):.3g}"
    return f"{value:.3g}"
