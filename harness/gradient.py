"""Methods that train some parameters by gradient. A subclass says which: `attach` puts trainable parts on a backbone.

How a label is read out is shared by all: through the model's own vocabulary and a verbalizer, or by a new linear head on
pooled features. What is trained, how scores are read, selection on dev, saving and loading stand here once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.backbones.injection import Injection
from harness.method import Method, Predictor
from harness.metrics import get, score
from harness.predictions import Predictions
from harness.settings import log_uniform, setting
from harness.task import Example, Row, Task, TaskData
from harness.text import generate_answers, in_batches, label_predictions, render_all, target_text, template_of

if TYPE_CHECKING:
    from harness.training import Run


@dataclass
class Attached:
    """Trainable `parts` on a backbone: `backbone` is the given one, or a fork of it whose modules were changed."""

    backbone: Any
    parts: nn.Module
    injection: Callable[[Sequence[Example | Row]], Injection | None] = field(default=lambda examples: None)
    training_mode: bool = False  # dropout on while training (full fine-tuning)


class Parts(nn.Module):
    """Parameters that live inside a fork, gathered so that they are trained, saved and counted like any others."""

    def __init__(self, named: Mapping[str, nn.Parameter]) -> None:
        super().__init__()
        self._names = {f"p{i}": name for i, name in enumerate(sorted(named))}
        for key, name in self._names.items():
            self.register_parameter(key, named[name])


class GradientMethod(Method):
    """Base of all methods trained by gradient."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification", "choice", "generation")
    readouts: ClassVar[tuple[str, ...]] = ("verbalizer", "head")
    emits: ClassVar[tuple[str, ...]] = ("start", "batch", "loss", "epoch", "predict")

    learning_rate: float = setting(1e-3, above=0, search=log_uniform(1e-4, 1e-2))
    steps: int = setting(200, at_least=1, help="optimiser steps, where the trial sets no budget")
    batch_size: int = setting(8, at_least=1)
    weight_decay: float = setting(0.0, at_least=0)
    warmup: float = setting(0.06, at_least=0, below=1, help="share of the steps with a rising learning rate")
    readout: str = setting(
        "auto", one_of=("auto", "verbalizer", "head"), help="auto: the first of the method's readouts that the backbone offers"
    )
    head_rate: float = setting(1e-2, above=0, help="learning rate of a new head")

    @abstractmethod
    def attach(self, backbone: Any, data: TaskData, run: Run) -> Attached:
        """Put trainable parts on `backbone`, started from `run.rng("init")`."""
        raise NotImplementedError

    def regulariser(self, attached: Attached, rows: Sequence[Row]) -> Tensor | None:
        """A term added to the loss, or None."""
        return None

    def groups(self, attached: Attached) -> list[dict[str, Any]]:
        """Optimiser groups of the trainable parts (the head has its own): one, unless the method has several learning rates."""
        trained = [p for p in attached.parts.parameters() if p.requires_grad]
        return [{"params": trained, "lr": self.learning_rate, "weight_decay": self.weight_decay}] if trained else []

    def unsupported(self, task: Task, family: str, capabilities: frozenset[str]) -> str | None:
        readout = self._readout(task, capabilities)
        if readout not in self.readouts:
            return f"{self.name} reads answers by {' or '.join(self.readouts)}, not by {readout}"
        if readout == "verbalizer" and "label_scores" not in capabilities:
            return f"{self.name} with a verbalizer needs label_scores, which a {family} backbone does not offer"
        return super().unsupported(task, family, capabilities)

    def _readout(self, task: Task, capabilities: frozenset[str]) -> str:
        if task.kind == "generation":
            return "verbalizer"
        if self.readout != "auto":
            return self.readout
        offered = [name for name in self.readouts if name == "head" or "label_scores" in capabilities]
        return offered[0] if offered else self.readouts[0]

    def adapt(self, backbone: Any, data: TaskData, run: Run) -> Predictor:
        model = self._assemble(backbone, data, run)
        model.train_on(data, run, self)
        return model

    def restore(self, backbone: Any, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Predictor:
        model = self._assemble(backbone, data, run)
        model.load(tensors)
        return model

    def _assemble(self, backbone: Any, data: TaskData, run: Run) -> Adapted:
        attached = self.attach(backbone, data, run)
        readout = self._readout(data.task, backbone.capabilities)
        head = None
        if readout == "head":
            outputs = len(data.task.labels) if data.task.kind == "classification" else 1
            head = new_head(backbone.width, outputs, run.generator("head"))
            head.to(backbone.device)
        run.hooks.start(attached, data)
        attached.parts.to(backbone.device)
        return Adapted(attached, data.task, run.template, head, origin=backbone)

    def head_parameters(self, backbone: Any, task: Task) -> int:
        if self._readout(task, backbone.capabilities) != "head":
            return 0
        return (int(backbone.width) + 1) * (len(task.labels) if task.kind == "classification" else 1)


def new_head(width: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear head [outputs, width], weights N(0, 0.02^2) as BERT's, bias 0; drawn on the CPU so that devices agree."""
    head = nn.Linear(width, outputs)
    with torch.no_grad():
        head.weight.copy_(torch.randn(outputs, width, generator=generator) * 0.02)
        head.bias.zero_()
    return head


class Adapted(Predictor):
    """Trainable parts, a read-out, and the task they answer."""

    def __init__(self, attached: Attached, task: Task, template: str | None, head: nn.Linear | None, *, origin: Any = None) -> None:
        self.attached, self.task, self.head = attached, task, head
        self.origin = attached.backbone if origin is None else origin  # what was given, of which `attached.backbone` may be a fork
        self.template = template_of(task, template) if head is None or task.templates else None

    def scores(self, examples: Sequence[Example | Row]) -> Tensor:
        """[B, C] differentiable label scores (log-probabilities by verbalizer, logits by head)."""
        backbone = self.attached.backbone
        if self.head is None:
            assert self.template is not None
            rendered = render_all(self.task, self.template, examples)
            return cast(Tensor, backbone.label_scores(rendered, injection=self.attached.injection(examples)))
        if self.task.kind == "choice":
            return self._choice_scores(examples)
        return self.head(self.features(examples).to(self.head.weight.dtype))  # type: ignore[no-any-return]

    def features(self, examples: Sequence[Example | Row]) -> Tensor:
        """[B, width] differentiable features of what the adapted backbone reads."""
        items = [self.attached.backbone.read(example.inputs) for example in examples]
        return cast(Tensor, self.attached.backbone.features(items, injection=self.attached.injection(examples)))

    def _choice_scores(self, examples: Sequence[Example | Row]) -> Tensor:
        """One logit for each (text, choice) pair, as in multiple-choice fine-tuning; -inf pads."""
        assert self.head is not None
        counts = [len(example.inputs["choices"]) for example in examples]
        backbone = self.attached.backbone
        pairs = [(backbone.shown(example.inputs), str(choice)) for example in examples for choice in example.inputs["choices"]]
        expanded = [example for example, count in zip(examples, counts) for _ in range(count)]
        features = backbone.features(pairs, injection=self.attached.injection(expanded))
        logits = self.head(features.to(self.head.weight.dtype)).squeeze(-1)
        rows = torch.split(logits, counts)
        return torch.stack([functional.pad(row, (0, max(counts) - len(row)), value=-torch.inf) for row in rows])

    def loss(self, rows: Sequence[Row], weights: Tensor | None = None) -> Tensor:
        """[] mean cross-entropy over the classes or choices, or over the tokens of the gold answer; weighted by `weights` [B]."""
        if weights is not None:
            weights = weights.to(self.attached.backbone.device)
            return (self.losses(rows) * weights).sum() / weights.sum()
        if self.task.kind == "generation":
            return self.losses(rows).mean()
        return functional.cross_entropy(self.scores(rows).float(), self._targets(rows))

    def _targets(self, rows: Sequence[Row]) -> Tensor:
        return torch.tensor([row.target for row in rows], device=self.attached.backbone.device)

    def losses(self, rows: Sequence[Row]) -> Tensor:
        """[B] the loss of every row."""
        if self.task.kind == "generation":
            assert self.template is not None
            rendered = render_all(self.task, self.template, rows)
            targets = [target_text(self.template, row, item) for row, item in zip(rows, rendered)]
            return cast(Tensor, self.attached.backbone.answer_loss(rendered, targets, injection=self.attached.injection(rows)))
        return functional.cross_entropy(self.scores(rows).float(), self._targets(rows), reduction="none")

    def groups(self, method: GradientMethod) -> list[dict[str, Any]]:
        """Optimiser groups of the parts and the head."""
        groups = method.groups(self.attached)
        if self.head is not None:
            groups.append({"params": list(self.head.parameters()), "lr": method.head_rate, "weight_decay": method.weight_decay})
        return groups

    def train_on(self, data: TaskData, run: Run, method: GradientMethod) -> None:
        from harness.learner import GradientLearner

        model = self.attached.backbone.model
        model.train(self.attached.training_mode)

        def loss(rows: list[Row]) -> Tensor:
            if model.training != self.attached.training_mode:  # after an evaluation; walking all modules every step costs
                model.train(self.attached.training_mode)
            rows = run.hooks.batch(rows)
            extra = method.regulariser(self.attached, rows)
            plain = self.loss(rows, run.weights)
            return run.hooks.loss(plain if extra is None else plain + extra, rows)

        def evaluate() -> tuple[float, float]:
            self.attached.backbone.model.eval()
            return dev_score(self, data)

        run.fit(
            loss,
            self.groups(method),
            data.train,
            batch_size=method.batch_size,
            steps=method.steps,
            warmup=method.warmup,
            evaluate=evaluate if data.dev else None,
            learner=GradientLearner(self, data, run, method),
        )
        self.attached.backbone.model.eval()

    def predict(self, examples: Sequence[Example]) -> Predictions:
        if self.task.kind == "generation":
            assert self.template is not None
            return generate_answers(self.attached.backbone, self.task, self.template, examples, injection=self.attached.injection)
        scores = in_batches(examples, self.scores)
        rendered = render_all(self.task, self.template, examples) if self.template is not None and self.head is None else None
        if rendered is not None:
            return label_predictions(examples, scores, rendered)
        shown = tuple(self.attached.backbone.shown(example.inputs) for example in examples)
        return Predictions(tuple(e.id for e in examples), scores=scores, prompts=shown)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {f"parts.{name}": value for name, value in self.attached.parts.state_dict().items()}
        if self.head is not None:
            tensors |= {f"head.{name}": value for name, value in self.head.state_dict().items()}
        return tensors, {}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        self.attached.parts.load_state_dict({name[6:]: value for name, value in tensors.items() if name.startswith("parts.")})
        if self.head is not None:
            self.head.load_state_dict({name[5:]: value for name, value in tensors.items() if name.startswith("head.")})


def dev_score(predictor: Predictor, data: TaskData) -> tuple[float, float]:
    """Primary metric on dev, and the mean log-probability of the gold labels to break ties (0 where there are no label scores)."""
    predictions = predictor.predict([row.example for row in data.dev])
    value = score(data.task.metrics[0], predictions, data.dev, data.task)
    gold = 0.0
    if predictions.scores is not None:
        shifted = predictions.scores - predictions.scores.max(axis=1, keepdims=True)
        log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        gold = float(np.mean([log_probabilities[i, int(row.target)] for i, row in enumerate(data.dev)]))
    if value is None:
        return float("-inf"), gold
    return (value if get(data.task.metrics[0]).higher_is_better else -value), gold
