"""DEFT (Runwal et al. 2024, arXiv 2402.01911): a penalty on the density of feed-forward activations, beside any trained method's loss.

    loss + alpha * mean over layers and examples of mean over places and units of o^2 / (o^2 + epsilon)

where o are the outputs of the feed-forward layers' activation function: a smooth count of those that are not zero. Of an
encoder-decoder, encoder and decoder are averaged apart and added. Only what the inner method trains is trained.
Nearest neighbours: none; every method it runs over is its own baseline (`alpha: 0` is that method bit for bit).
Taken from the released code (IBM/DEFT): alpha 1, epsilon 1e-7 (its prompt-tuning script has 20), and that padding counts;
`padding: false` leaves it out. ADA-DEFT, the later version's variant that learns a weight for each layer and skips feed-forward blocks when
answering, is left out: the released code does not have it, and a formula of our own should not bear its name.
The gradient of the penalty is small where |o| is well above sqrt(epsilon): few activations reach zero in a short training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from harness.backbones.activations import Side, per_example, watching
from harness.claims import Arm, Claim, Exact, Scores
from harness.hooks import Events
from harness.registry import wrapper
from harness.settings import log_uniform, setting
from harness.task import Row, TaskData
from harness.wrapper import Wrapper

if TYPE_CHECKING:
    from harness.gradient import Attached
    from harness.training import Run


@wrapper("deft", paper="arXiv:2402.01911", needs=("tokens", "layer_tuning"), events=("start", "batch", "loss"), tags=("text", "sparsity"))
class Deft(Wrapper):
    """Adds the density penalty; parameters and answers are the inner method's."""

    neutral: ClassVar[Mapping[str, Any]] = {"alpha": 0.0}
    small: ClassVar[Mapping[str, Any]] = {"epsilon": 0.1}

    alpha: float = setting(1.0, at_least=0, search=log_uniform(0.1, 10.0), help="weight of the penalty")
    epsilon: float = setting(1e-7, above=0, search=log_uniform(1e-7, 20.0), help="|o| of its root counts as half")
    padding: bool = setting(True, help="whether padding counts, as in the released code")

    def events(self, backbone: Any, data: TaskData, run: Run) -> Events:
        return Penalty(self.alpha, self.epsilon, self.padding) if self.alpha else Events()


class Penalty(Events):
    """Watches the activations of a step's forward passes, from its batch to its loss."""

    def __init__(self, alpha: float, epsilon: float, padding: bool) -> None:
        self.alpha, self.epsilon, self.padding = alpha, epsilon, padding
        self.backbone: Any = None
        self.found: dict[Side, list[Tensor]] = {}
        self.close: Callable[[], None] | None = None

    def start(self, attached: Attached, data: TaskData) -> None:
        self.backbone = attached.backbone

    def batch(self, rows: list[Row]) -> list[Row]:
        self.end()
        self.close = watching(self.backbone, self._watch)
        return rows

    def _watch(self, side: Side, layer: int, activations: Tensor) -> None:
        squares = activations.float() ** 2
        seen = getattr(self.backbone, "seen", None)
        self.found.setdefault(side, []).append(per_example(squares / (squares + self.epsilon), seen, padding=self.padding))

    def loss(self, loss: Tensor, rows: Sequence[Row]) -> Tensor:
        penalty = sum((torch.cat(layers).mean() for layers in self.found.values()), torch.zeros((), device=loss.device))
        self.end()
        return loss + self.alpha * penalty

    def end(self) -> None:
        if self.close is not None:
            self.close()
        self.close = None
        self.found = {}


STAND_IN = "tests/methods/test_deft.py::test_the_penalty_alone_lowers_the_density"
PROBES = [{"name": "activation-density", "threshold": 0.01, "label": "density"}]
SETTINGS: dict[str, Any] = {"probes": PROBES, "test_rows": 200, "budget": {"steps": 100}}
TASKS = ("world-sentiment",)

UNTUNED = (
    "The penalty's weight is the released code's 1, untuned. Over LoRA an earlier tiny-masked-lm lost 0.05 of its density and no score; the present "
    "one loses six times as much density. Smaller weights were not tried"
)


def _claims(inner: str) -> list[Claim]:
    arms: dict[str, Any] = {"arm": Arm("deft", {"over": {inner: {}}}), "against": Arm(inner)}
    about: dict[str, Any] = {"tasks": TASKS, "backbone": "tiny-masked-lm", "settings": SETTINGS, "stand_in": STAND_IN, **arms}
    return [
        Exact(
            f"same-parameters-as-{inner}",
            "DEFT trains exactly what the method it runs over trains",
            measure="trained_numbers",
            equals=Fraction(1),
            **arms,
        ),
        Scores(
            f"less-dense-than-{inner}",
            f"activations are less dense than after plain {inner} (here: a magnitude above 0.01)",
            measure="probe:density",
            relation="less",
            margin=0.01,
            **about,
        ),
        Scores(
            f"scores-no-worse-than-{inner}",
            f"the score is within two points of plain {inner}'s",
            relation="not_worse",
            margin=0.02,
            investigated=UNTUNED,
            **about,
        ),
    ]


claims = [
    Exact(
        "neutral",
        "without a penalty it is the method it runs over, bit for bit",
        measure="answer_difference",
        arm=Arm("deft", {"alpha": 0.0, "over": {"lora": {"rank": 2}}}),
        against=Arm("lora", {"rank": 2}),
        at_most=0,
    ),
    *_claims("lora"),
    *_claims("bottleneck-adapter"),
    *_claims("prompt-tuning"),
]
