"""Probes: what else to measure on an adapted model, beside its score.

    probes: [activation-density, {name: activation-density, threshold: 0.01}]          in a suite

A probe is asked once a trial, after test was scored; nothing it does is a cost of the method or changes an answer. Its value stands in
the result under `probes`, with a reason where it is undefined, and in the results view in the column `probe:<label>`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from harness import catalog
from harness.errors import InputError, UnsupportedError
from harness.method import Predictor
from harness.registry import Entry
from harness.settings import Configurable
from harness.task import TaskData
from harness.trial import Trial

if TYPE_CHECKING:
    from harness.training import Run


@dataclass(frozen=True)
class Measured:
    """A value, or None and the reason why there is none. `parts` are values it is made of (of each layer, say), by name."""

    value: float | None
    reason: str | None = None
    parts: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if (self.value is None) != (self.reason is not None):
            raise ValueError("a reason stands where there is no value, and nowhere else")


class Probe(Configurable):
    """Base of all probes: `measure` gives one number about an adapted model."""

    entry: ClassVar[Entry]
    small: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def measure(self, predictor: Predictor, backbone: Any, data: TaskData, run: Run) -> Measured:
        """`backbone` is the one that was given; `adapted_backbone(predictor, backbone)` the one that answers."""
        raise NotImplementedError


def adapted_backbone(predictor: Predictor, backbone: Any) -> Any:
    """The backbone that a predictor answers with: a fork of its own, or the one that was given."""
    inner = getattr(predictor, "inner", predictor)
    while inner is not predictor:
        predictor, inner = inner, getattr(inner, "inner", inner)
    attached = getattr(predictor, "attached", predictor)
    return getattr(attached, "backbone", backbone)


def probed(trial: Trial, predictor: Predictor, backbone: Any, data: TaskData, run: Run) -> dict[str, dict[str, Any]]:
    """What the trial's probes find, by label. A probe that cannot measure this model leaves its reason; a broken one fails the trial."""
    found = {}
    for spec in trial.probes:
        probe: Probe = catalog.load("probe", spec["name"])(**spec["config"])
        try:
            measured = probe.measure(predictor, backbone, data, run)
        except (UnsupportedError, InputError) as error:
            measured = Measured(None, " ".join(str(error).split()))
        if measured.value is not None and not math.isfinite(measured.value):
            measured = Measured(None, f"the value is {measured.value}")
        found[spec["label"]] = {name: value for name, value in asdict(measured).items() if name != "parts" or value}
    return found
