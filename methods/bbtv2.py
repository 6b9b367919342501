"""BBT (Sun et al. 2022, arXiv 2201.03514) and BBTv2 (Sun et al. 2022, arXiv 2205.11200): prompts found by forward passes alone.

`length` vectors stand behind the first special token: fixed carriers (embeddings of drawn words) plus a part that is searched, p = A z, where A
is a frozen random projection [length x width, dimensions] and z [dimensions] is moved by CMA-ES. BBT searches at the embeddings; BBTv2 also adds
a p of its own to the carriers' states before every later layer, one evolution strategy a layer, each asked in turn with the others fixed.
Entries of A have deviation alpha x (that of the layer's states) / (sqrt(dimensions) x sigma), states clipped at three deviations five times.
Every candidate is scored by cross-entropy over the label words on all training rows; a layer takes its strategy's best z so far.
Nearest neighbours: prompt-tuning (the same place, by gradient), zero-shot (no carriers).
Departs from the code: states are measured on the training texts as they are, without a mask; the hinge loss is left out; defaults are small
(50 vectors, 500 dimensions and 8,000 calls there). The budget is forward passes, those for the choice on dev apart; one in steps counts
candidates. A best value found early goes stale as other layers move, here as there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from harness.backbones.injection import Injection
from harness.claims import Arm, Exact, Scores
from harness.errors import InputError
from harness.gradient import dev_score
from harness.method import Method, Predictor
from harness.predictions import Predictions
from harness.registry import method
from harness.settings import choice, log_uniform, setting
from harness.task import Example, Row, Task, TaskData
from harness.text import in_batches, label_predictions, plain_text, render_all, template_of

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.training import Run


class BlackBox(Method):
    """Base of both: `depth` says how many layers have a strategy of their own."""

    random: ClassVar[tuple[str, ...]] = ("data", "init")

    length: int = setting(10, at_least=1, search=choice(5, 10, 20, 50), help="carriers")
    dimensions: int = setting(50, at_least=2, search=choice(20, 50, 200, 500), help="of one strategy's search")
    population: int = setting(20, at_least=2, help="candidates of a generation")
    sigma: float = setting(0.2, above=0, help="first step size of the strategies")
    alpha: float = setting(0.2, above=0, search=log_uniform(0.05, 1.0), help="size of the searched part against the states")
    calls: int = setting(2000, at_least=1, help="forward passes, where the trial sets no budget")
    batch_size: int = setting(64, at_least=1, help="rows of one forward pass")
    dev_every: int = setting(100, at_least=1, help="candidates between two looks at dev")

    def depth(self, backbone: Backbone) -> int:
        raise NotImplementedError

    def adapt(self, backbone: Backbone, data: TaskData, run: Run) -> Predictor:
        with torch.no_grad():
            search = Search(self, backbone, data, run)
            search.go()
        run.notes |= {"searched_numbers": self.trainable_parameters(backbone, data.task), "candidates": search.candidates}
        return search.predictor

    def restore(self, backbone: Backbone, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Predictor:
        found = {name: tensor.to(backbone.device) for name, tensor in tensors.items()}
        return Prompted(backbone, data.task, run.template, found["prompt"], found.get("deep"))

    def trainable_parameters(self, backbone: Backbone, task: Task) -> int:
        """Dimensions that are searched; what is stored is the prompt vectors they give."""
        return self.dimensions * self.depth(backbone)


@method("bbt", paper="arXiv:2201.03514", needs=("prompt_injection", "label_scores"), tags=("text", "soft-prompt", "black-box"))
class BBT(BlackBox):
    """One strategy, at the embeddings."""

    small: ClassVar[Mapping[str, Any]] = {"length": 3, "dimensions": 4, "population": 4, "calls": 12}

    def depth(self, backbone: Backbone) -> int:
        return 1


@method(
    "bbtv2",
    paper="arXiv:2205.11200",
    needs=("prompt_injection", "hidden_states", "label_scores"),
    tags=("text", "soft-prompt", "black-box"),
)
class BBTv2(BlackBox):
    """One strategy a layer, asked in turn."""

    small: ClassVar[Mapping[str, Any]] = {"length": 3, "dimensions": 4, "population": 4, "calls": 24}

    def depth(self, backbone: Backbone) -> int:
        return backbone.layers


class Search:
    """A stack of strategies over the layers of one backbone, within one budget."""

    def __init__(self, settings: BlackBox, backbone: Backbone, data: TaskData, run: Run) -> None:
        if not data.train:
            raise InputError("there are no rows to search on", key="shots", expected="give this method at least one row a class")
        self.settings, self.backbone, self.data, self.run = settings, backbone, data, run
        self.candidates, self.calls, self.looked = 0, 0, 0
        both = 2 if backbone.family == "encoder_decoder" else 1  # the encoder and the decoder
        self.per_candidate = both * math.ceil(len(data.train) / settings.batch_size)  # forward passes; as counted, once one was
        depth, size = settings.depth(backbone), settings.length * backbone.width
        carriers = backbone.sample_word_embeddings(settings.length, run.rng("init"))
        self.predictor = Prompted(backbone, data.task, run.template, carriers, None)
        self.carriers, self.added = carriers, carriers.new_zeros(depth, settings.length, backbone.width)
        draws = run.generator("projections")
        scale = [settings.alpha * spread / (math.sqrt(settings.dimensions) * settings.sigma) for spread in self._spreads(depth)]
        self.projections = [torch.randn(size, settings.dimensions, generator=draws).to(carriers) * s for s in scale]
        self.strategies = [strategy(settings, run.rng("strategy", layer)) for layer in range(depth)]

    def go(self) -> None:
        best: tuple[tuple[float, float], Prompted] | None = None
        layer = 0
        while self._room():
            self._generation(layer)
            layer = (layer + 1) % len(self.strategies)
            if (
                self.data.dev
                and self.run.select == "best_dev"
                and (self.candidates - self.looked >= self.settings.dev_every or not self._room())
            ):
                self.looked = self.candidates
                score = dev_score(self.predictor, self.data)
                if best is None or score > best[0]:
                    best = score, self.predictor
        if best is not None:
            self.predictor = best[1]

    def _room(self) -> bool:
        """Whether the budget holds one more generation."""
        self.run.check_time()
        budget, population = self.run.budget, self.settings.population
        if budget is None or budget.unit == "forward_calls":
            limit = self.settings.calls if budget is None else budget.amount
            return self.calls + population * self.per_candidate <= limit
        planned = budget.steps(len(self.data.train), len(self.data.train))
        if planned is None:
            raise InputError("a search by forward calls has no budget in seconds", key="budget", expected="forward_calls or steps")
        return self.candidates + population <= planned

    def _generation(self, layer: int) -> None:
        asked = self.strategies[layer].ask()
        losses = []
        for z in asked:
            losses.append(self._loss(self._with(layer, z)))
            self.candidates += 1
        self.strategies[layer].tell(asked, losses)
        self.predictor = self._with(layer, self.strategies[layer].result.xbest)
        self.added = self.added.clone()
        self.added[layer] = self._part(layer, self.strategies[layer].result.xbest)
        self.run.curve.add(self.candidates, float(min(losses)), None, 0.0)

    def _part(self, layer: int, z: np.ndarray) -> Tensor:
        """[length, width] A z."""
        projection = self.projections[layer]
        return (projection @ torch.from_numpy(np.asarray(z)).to(projection)).reshape(self.added.shape[1:])

    def _with(self, layer: int, z: np.ndarray) -> Prompted:
        """The model with z at this layer and what was found so far at the others."""
        added = self.added.clone()
        added[layer] = self._part(layer, z)
        deep = None
        if len(added) > 1:
            deep = torch.cat([torch.zeros_like(added[:1]), added[1:]])  # the first part is already in the embeddings
        return Prompted(self.backbone, self.data.task, self.run.template, self.carriers + added[0], deep)

    def _loss(self, model: Prompted) -> float:
        rows, before = self.data.train, self.run.meter.forward_calls
        total = 0.0
        for start in range(0, len(rows), self.settings.batch_size):
            batch = rows[start : start + self.settings.batch_size]
            gold = torch.tensor([int(row.target) for row in batch], device=self.backbone.device)
            total += float(functional.cross_entropy(model.scores(batch), gold, reduction="sum"))
        self.per_candidate = self.run.meter.forward_calls - before
        self.calls += self.per_candidate
        return total / len(rows)

    def _spreads(self, depth: int) -> list[float]:
        """Deviation of the word embeddings and, for later layers, of the states that enter them; one forward pass."""
        spreads = [clipped_deviation(self.backbone.core.get_input_embeddings().weight)]
        if depth > 1:
            before = self.run.meter.forward_calls
            texts = [plain_text(row.inputs) for row in self.data.train[: self.settings.batch_size]]
            states, _ = self.backbone.hidden_states(texts, injection=Injection(prompt=self.carriers))  # type: ignore[arg-type]
            self.calls += self.run.meter.forward_calls - before
            spreads += [clipped_deviation(states[layer]) for layer in range(1, depth)]
        return spreads


def clipped_deviation(values: Tensor, rounds: int = 5) -> float:
    """Standard deviation after values are clipped, `rounds` times, to three deviations around the mean of the time."""
    flat = values.detach().float().flatten()
    for _ in range(rounds):
        mean, deviation = flat.mean(), flat.std()
        flat = flat.clamp(mean - 3 * deviation, mean + 3 * deviation)
    return float(flat.std())


def strategy(settings: BlackBox, rng: np.random.Generator) -> Any:
    """A CMA-ES started at 0 that draws from `rng`, not from numpy's global generator."""
    try:
        import cma
    except ModuleNotFoundError:
        raise InputError("black-box tuning needs the package cma", expected="pip install 'adaptation-harness[blackbox]'") from None

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape)

    options = {"popsize": settings.population, "randn": normal, "seed": math.nan, "verbose": -9, "verb_log": 0}
    return cma.CMAEvolutionStrategy(np.zeros(settings.dimensions), settings.sigma, options)


class Prompted(Predictor):
    """prompt [length, width] among the embeddings and deep [L, length, width] before the layers, both fixed."""

    def __init__(self, backbone: Backbone, task: Task, template: str | None, prompt: Tensor, deep: Tensor | None) -> None:
        self.backbone, self.task, self.template = backbone, task, template_of(task, template)
        self.injection = Injection(prompt=prompt, deep=deep)

    def scores(self, examples: Sequence[Example | Row]) -> Tensor:
        """[B, C] log-probabilities of the answers."""
        return self.backbone.label_scores(render_all(self.task, self.template, examples), injection=self.injection)

    def predict(self, examples: Sequence[Example]) -> Predictions:
        score: Callable[[list[Example]], Tensor] = self.scores
        return label_predictions(examples, in_batches(examples, score), render_all(self.task, self.template, examples))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {"prompt": self.injection.prompt, "deep": self.injection.deep}
        return {name: tensor for name, tensor in tensors.items() if tensor is not None}, {}


_SMALL = {"length": 3, "dimensions": 4, "population": 4}

claims = [
    Exact(
        "frozen-backbone",
        "the model's weights stay bitwise what they were",
        measure="changed_weights",
        arm=Arm("bbtv2", {**_SMALL, "calls": 24}),
        equals=Fraction(0),
        stand_in="tests/methods/test_bbtv2.py::test_no_gradient_is_taken",
    ),
    Exact(
        "call-budget",
        "no more forward passes are made than the budget of calls: 50 here",
        measure="forward_calls",
        arm=Arm("bbtv2", {**_SMALL, "calls": 50}),
        at_most=50,
        stand_in="tests/methods/test_bbtv2.py::test_the_budget_of_calls_is_kept",
    ),
    Exact(
        "searched-dimensions",
        "L layers of d dimensions each are searched: 2 x 4 here",
        measure="searched_numbers",
        arm=Arm("bbtv2", {**_SMALL, "calls": 24}),
        equals=Fraction(8),
        stand_in="tests/methods/test_bbtv2.py::test_no_gradient_is_taken",
    ),
    Scores(
        "better-than-bbt",
        "prompts in every layer are better than at the embeddings alone, at equal calls",
        arm=Arm("bbtv2"),
        against=Arm("bbt"),
        relation="better",
        margin=0.02,
        tasks=("world-sentiment", "world-topic"),
        backbone="tiny-masked-lm",
        settings={"budget": {"forward_calls": 4000}},
        stand_in="tests/methods/test_bbtv2.py::test_the_search_lowers_the_loss",
    ),
    Scores(
        "better-than-zero-shot",
        "a searched prompt is better than the template alone",
        arm=Arm("bbtv2"),
        against=Arm("zero-shot"),
        relation="better",
        margin=0.02,
        tasks=("world-sentiment", "world-topic"),
        backbone="tiny-masked-lm",
        settings={"budget": {"forward_calls": 4000}},
        stand_in="tests/methods/test_bbtv2.py::test_the_search_lowers_the_loss",
    ),
]
