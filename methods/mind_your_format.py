"""Template ensembles (Mind Your Format; Voronov et al. 2024, arXiv 2401.06766): in-context answers averaged over a sample of formats.

Formats are drawn from a grammar (harness/formats.py: 240 of a sentiment task, 192 of a topic task, 96 of others). Each of k formats
answers with the same demonstrations; label probabilities are averaged and the largest wins. Members may also differ in how they predict:
    direct     softmax over the mean log-probability of the label's tokens
    channel    input and output exchanged: the mean log-probability of the input's tokens after each label
    calibrate  direct, divided by the mean probabilities for inputs without content (contextual-calibration)
How much a single format matters is the other half of the paper: `templates: {sample: 10}` in a suite runs any method under ten of them, and
the report's template section shows spread and variance shares.
Nearest neighbours: in-context (one template), contextual-calibration. Departs from the release: formats are drawn without repetition
(there with), a label's own tokens are scored and not the whole sequence, and no end of text is added. `combine: softmax` is the
notebook's, which takes a softmax of the probabilities before averaging; `vote` is a majority, ties by mean probability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from harness.methods.contextual_calibration import ContextualCalibration
from harness.methods.in_context import InContext, InContextPredictor
from scipy.special import log_softmax, softmax

from harness.claims import Arm, Exact, Scores
from harness.errors import InputError
from harness.formats import Format, population, sample, text_field
from harness.method import Method, Predictor
from harness.predictions import Predictions
from harness.registry import method
from harness.settings import choice, setting
from harness.task import Example, Row, Task, TaskData
from harness.templates import Rendered

if TYPE_CHECKING:
    from torch import Tensor

    from harness.backbones.backbone import Backbone
    from harness.training import Run

WAYS = ("direct", "channel", "calibrate")


@method("mind-your-format", paper="arXiv:2401.06766", needs=("label_scores",), tags=("text", "in-context", "ensemble", "templates"))
class MindYourFormat(Method):
    """An ensemble over sampled formats, and over ways to predict."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)
    random: ClassVar[tuple[str, ...]] = ("data", "demos", "init")
    uses_template: ClassVar[bool] = False
    small: ClassVar[Mapping[str, Any]] = {"templates": 2, "demonstrations": 2}

    templates: int = setting(5, at_least=1, search=choice(1, 2, 5), help="formats of the ensemble")
    demonstrations: int = setting(2, at_least=0, search=choice(0, 2, 4))
    strategy: str = setting("random", one_of=("random", "balanced"), help="how demonstrations are chosen")
    ways: tuple = setting(("direct",), help="any of direct, channel, calibrate: members of the ensemble for every format")  # type: ignore[type-arg]
    combine: str = setting("mean", one_of=("mean", "vote", "softmax"))
    phrases: str = setting("auto", one_of=("auto", "common", "sentiment", "topic"), help="outputs of the grammar; auto: by the task's tags")

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        wrong = [way for way in self.ways if way not in WAYS]
        if wrong or not self.ways:
            raise InputError(f"{wrong[0] if wrong else self.ways!r} is no way to predict", key="ways", expected=", ".join(WAYS))

    def unsupported(self, task: Task, family: str, capabilities: frozenset[str]) -> str | None:
        reason = super().unsupported(task, family, capabilities)
        if reason is None and "channel" in self.ways and "generation" not in capabilities:
            return f"the channel way scores whole inputs, which a {family} backbone does not generate"
        if reason is None:
            try:
                text_field(task)
            except InputError as error:
                return f"{task.name}: {error.message}"
        return reason

    def formats(self, task: Task, run: Run) -> list[Format]:
        """The formats of one run, by the stream `templates`, which follows `init`."""
        return sample(population(task, self.phrases), self.templates, run.rng("templates"))  # type: ignore[arg-type]

    def adapt(self, backbone: Backbone, data: TaskData, run: Run) -> Predictor:
        formats = self.formats(data.task, run)
        members = [self._member(way, chosen, backbone, data, run) for chosen in formats for way in self.ways]
        run.notes["template_population"] = len(population(data.task, self.phrases))  # type: ignore[arg-type]
        run.notes["templates"] = [chosen.name for chosen in formats]
        return Ensemble(members, self.combine)

    def _member(self, way: str, chosen: Format, backbone: Backbone, data: TaskData, run: Run) -> Predictor:
        """One format's predictor; the same demonstrations for all, since the `demos` stream gives them."""
        own = replace(run, template=chosen.name)
        settings = {"demonstrations": self.demonstrations, "strategy": self.strategy, "answer_score": "mean"}
        if way == "calibrate":
            return ContextualCalibration(**settings).adapt(backbone, data, own)
        plain = InContext(**settings)
        return plain.adapt(backbone, data, own) if way == "direct" else Channel(plain, backbone, data, own, chosen)

    def restore(self, backbone: Backbone, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Predictor:
        return self.adapt(backbone, data, run)


class Channel(InContextPredictor):
    """Scores the input after each label: log p(input | label) per token of the input."""

    def __init__(self, method: InContext, backbone: Backbone, data: TaskData, run: Run, chosen: Format) -> None:
        self.chosen, self.field = chosen, text_field(data.task)
        super().__init__(method, backbone, data, run)

    def text(self, rows: Sequence[Row]) -> str:
        between = str(self.template.separator)
        return "".join(self._asked(row.inputs, self.task.labels[int(row.target)]).filled(row.inputs[self.field]) + between for row in rows)

    def _asked(self, inputs: Mapping[str, Any], label: str) -> Rendered:
        """The label, then the input as the one answer to score."""
        before, _, after = self.chosen.input_text("\0").partition("\0")
        whole = self.chosen.output_text(label) + self.chosen.gap + before
        head = whole.rstrip()
        return Rendered(head, whole[len(head) :], after, (inputs[self.field],))

    def predict(self, examples: Sequence[Example]) -> Predictions:
        asked = [self._asked(example.inputs, label) for example in examples for label in self.task.labels]
        scores = self.scores(asked).reshape(len(examples), len(self.task.labels))
        return Predictions(tuple(example.id for example in examples), scores=scores)


class Ensemble(Predictor):
    """Members' label probabilities, combined."""

    def __init__(self, members: Sequence[Predictor], combine: str) -> None:
        self.members, self.combine = members, combine

    def predict(self, examples: Sequence[Example]) -> Predictions:
        parts = [member.predict(examples) for member in self.members]
        logs = np.stack([log_softmax(part.scores, axis=1) for part in parts])
        return Predictions(parts[0].ids, scores=combined(logs, self.combine), prompts=parts[0].prompts)


def combined(logs: np.ndarray, combine: str) -> np.ndarray:
    """[N, C] log scores of members' log-probabilities [M, N, C].

    >>> votes = np.log([[[0.9, 0.1]], [[0.4, 0.6]], [[0.45, 0.55]]])
    >>> [int(combined(votes, how).argmax()) for how in ("mean", "vote")]
    [0, 1]
    """
    chances = np.exp(logs)
    if combine == "softmax":
        chances = softmax(chances, axis=2)
    mean = chances.mean(axis=0)
    if combine == "vote":
        votes = np.eye(logs.shape[2])[chances.argmax(axis=2)].mean(axis=0)
        mean = (votes + 1e-6 * mean) / (1 + 1e-6)  # the mean only breaks ties
    found: np.ndarray = np.log(np.maximum(mean, 1e-300))
    return found


ARMS: dict[str, Any] = {"arm": Arm("mind-your-format"), "against": Arm("mind-your-format", {"templates": 1})}
ABOUT: dict[str, Any] = {**ARMS, "tasks": ("world-sentiment", "world-topic"), "backbone": "tiny-causal-lm"}
JENSEN = "tests/methods/test_mind_your_format.py::test_the_ensembles_log_loss_is_at_most_the_members_mean"

claims = [
    *(
        Exact(
            f"{phrases}-formats",
            f"the grammar gives {count} formats",
            measure="template_population",
            arm=Arm("mind-your-format", {"phrases": phrases, "templates": 1}),
            family="causal_lm",
            equals=Fraction(count),
            stand_in="tests/harness/test_formats.py::test_the_population_is_the_papers",
        )
        for phrases, count in (("sentiment", 240), ("topic", 192))
    ),
    Scores(
        "better-than-one-format",
        "an ensemble of five random formats scores higher than one random format does on average",
        relation="better",
        margin=0.01,
        settings={"test_rows": 200},
        stand_in=JENSEN,
        **ABOUT,
    ),
    Scores(
        "steadier-than-one-format",
        "its score varies less over random sets of formats than a single format's",
        relation="steadier",
        margin=0.01,
        seeds=20,
        settings={"test_rows": 200, "seeds": {"count": 20, "vary": ["init"]}},
        stand_in=JENSEN,
        **ABOUT,
    ),
]
