"""Test-time adaptation: the base of methods that see no training set, only the unlabelled batches they must answer.

A predictor answers the batch it is given and may change by it; the next batch meets the changed model. What a source model knows is its
own head: its class names are matched with the task's labels, and a label it does not know (such as "unknown") gets no probability.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from harness.errors import DivergedError, InputError
from harness.method import Method, Predictor, Stateful
from harness.predictions import Predictions
from harness.settings import log_uniform, setting
from harness.task import Example, Task, TaskData

if TYPE_CHECKING:
    from harness.backbones.convnet import ConvNet, Picture
    from harness.training import Run


class StreamMethod(Method):
    """Base: `start` gives a predictor in the state in which the stream finds it."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)
    protocols: ClassVar[tuple[str, ...]] = ("stream",)
    random: ClassVar[tuple[str, ...]] = ()  # the order of arrival is the protocol's, not the method's
    uses_template: ClassVar[bool] = False

    @abstractmethod
    def start(self, backbone: ConvNet, task: Task) -> SourcePredictor:
        raise NotImplementedError

    def adapt(self, backbone: ConvNet, data: TaskData, run: Run) -> Predictor:
        return self.start(backbone, data.task)

    def restore(self, backbone: ConvNet, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Predictor:
        predictor = self.start(backbone, data.task)
        predictor.load(tensors, facts)
        return predictor


class SourcePredictor(Stateful):
    """Answers by the head of a model that stays as it is."""

    def __init__(self, model: ConvNet, task: Task) -> None:
        self.model = model
        self.columns = [(column, model.classes.index(name)) for column, name in enumerate(task.labels) if name in model.classes]
        self.labels = len(task.labels)
        if not self.columns:
            expected = f"labels among {', '.join(model.classes[:8])}"
            raise InputError(f"{model.name} knows none of the labels of {task.name}", key="tasks", expected=expected)

    def predict(self, examples: Sequence[Example]) -> Predictions:
        items = [self.model.read(example.inputs) for example in examples]
        logits, measures = self.answer(items)
        scores = np.full((len(items), self.labels), -np.inf)
        if items:
            found = torch.log_softmax(logits.detach().double(), dim=1).cpu().numpy()
            for column, of_model in self.columns:
                scores[:, column] = found[:, of_model]
        return Predictions(tuple(example.id for example in examples), scores=scores, measures=measures)

    def answer(self, items: list[Picture]) -> tuple[Tensor, dict[str, np.ndarray]]:
        """Logits [B, C] over the model's classes, and measures [B]; the batch may change the model."""
        with torch.no_grad():
            return self.model.logits(items), {}

    def reset(self) -> None:
        pass

    def load(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Into the state that `state` described."""


class EntropyMinimisation(StreamMethod):
    """Base: one Adam step a batch on scale and shift of the normalisation layers, which use the batch's statistics (TENT's set-up)."""

    learning_rate: float = setting(1e-3, above=0, search=log_uniform(1e-4, 1e-2))
    diversity: float = setting(
        0.0, at_least=0, help="weight of the entropy of the batch's mean prediction, which is raised so that not all become one class"
    )
    loss: str = setting(
        "tent",
        one_of=("tent", "eta"),
        help="eta: EATA without its Fisher penalty, on sure and not redundant samples alone, the surer the heavier",
    )
    entropy_share: float = setting(0.4, above=0, help="of eta: samples above this share of the largest entropy, ln C, are left out")
    redundancy: float = setting(
        0.4, above=0, at_most=1, help="of eta: samples whose cosine with the running mean prediction is above it, too"
    )

    small: ClassVar[Mapping[str, Any]] = {"learning_rate": 1e-2}

    def trainable_parameters(self, backbone: ConvNet, task: Task) -> int:
        return sum(norm.weight.numel() + norm.bias.numel() for norm in backbone.norms.values())


class AdaptedPredictor(SourcePredictor):
    """A fork whose norms are trained on the entropy of its own answers. The answer comes from the pass that the step is made of."""

    def __init__(self, backbone: ConvNet, task: Task, method: EntropyMinimisation) -> None:
        self.method = method
        copied = {f"{name}.{part}" for name in backbone.norms for part in ("weight", "bias")}
        fork: ConvNet = backbone.fork(copy_weights=copied.__contains__)
        fork.use_statistics(0)
        super().__init__(fork, task)
        self.parameters: dict[str, nn.Parameter] = {name: p for name, p in fork.model.named_parameters() if name in copied}
        for parameter in self.parameters.values():
            parameter.requires_grad_(True)
        self._start = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self.reset()

    def reset(self) -> None:
        self._hold(self._start)
        self.optimiser = torch.optim.Adam(list(self.parameters.values()), lr=self.method.learning_rate)
        self.batches = self.steps = 0
        self.mean: Tensor | None = None  # eta's running mean prediction [C]

    def _hold(self, values: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(values[name])

    def answer(self, items: list[Picture]) -> tuple[Tensor, dict[str, np.ndarray]]:
        if len(items) == 0:
            return torch.empty(0), {"kept": np.zeros(0), "confidence_change": np.zeros(0)}
        with torch.enable_grad():
            reference = self.reference(items)  # comes first: the meter takes what follows a pass for that pass's own backward
            logits = self.model.logits(items)
            keep, change = self.filtered(logits.detach(), reference)
            kept = self.step(logits.float(), keep)
        return logits, {"kept": kept.double().cpu().numpy(), "confidence_change": change}

    def reference(self, items: list[Picture]) -> Tensor | None:
        """Probabilities [B, C] by a model to compare with, where there is one."""
        return None

    def filtered(self, logits: Tensor, reference: Tensor | None) -> tuple[Tensor, np.ndarray]:
        """bool [B] the samples to adapt on, and the change of confidence [B] (NaN where it compares with no source model)."""
        return torch.ones(len(logits), dtype=torch.bool, device=logits.device), np.full(len(logits), np.nan)

    def step(self, logits: Tensor, keep: Tensor) -> Tensor:
        """One step on the samples in `keep` [B]; gives those that were really used. None to use: the model stays as it is."""
        self.batches += 1
        entropies = entropy(logits)
        weights = torch.ones_like(entropies)
        if self.method.loss == "eta":
            keep, weights = self._eta(logits.detach(), entropies.detach(), keep)
        if bool(keep.any()):
            loss = (entropies * weights)[keep].mean()
            if self.method.diversity:
                loss = loss - self.method.diversity * entropy_of(logits.softmax(dim=1).mean(dim=0))
            if not bool(torch.isfinite(loss)):
                raise DivergedError(f"the loss is {float(loss.detach())} at batch {self.batches}")
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            self.optimiser.zero_grad(set_to_none=True)
            self.steps += 1
        if hasattr(self.model.meter, "end_step"):
            self.model.meter.end_step()
        return keep

    def _eta(self, logits: Tensor, entropies: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        """ETA: EATA's choice and weights of samples without its Fisher penalty (Niu et al. 2022, arXiv 2204.02610, eqs. 3 to 5)."""
        margin = self.method.entropy_share * float(np.log(logits.shape[1]))
        probabilities = logits.softmax(dim=1)
        keep = keep & (entropies < margin)
        if self.mean is not None:
            keep = keep & (nn.functional.cosine_similarity(self.mean[None], probabilities, dim=1).abs() < self.method.redundancy)
        if bool(keep.any()):
            new = probabilities[keep].mean(dim=0)
            self.mean = new if self.mean is None else 0.9 * self.mean + 0.1 * new
        return keep, torch.exp(margin - entropies)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {f"norms.{name}": parameter.detach() for name, parameter in self.parameters.items()}
        for name, parameter in self.parameters.items():
            moments = self.optimiser.state.get(parameter, {})
            tensors |= {f"{key}.{name}": moments[key] for key in ("exp_avg", "exp_avg_sq") if key in moments}
        if self.mean is not None:
            tensors["mean"] = self.mean
        return tensors, {"batches": self.batches, "steps": self.steps}

    def load(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        self.reset()
        device = self.model.device
        self._hold({name: tensors[f"norms.{name}"].to(device) for name in self.parameters})
        self.batches, self.steps = int(facts["batches"]), int(facts["steps"])
        self.mean = tensors["mean"].to(device) if "mean" in tensors else None
        if self.steps:
            for name, parameter in self.parameters.items():
                moments = {key: tensors[f"{key}.{name}"].to(device).clone() for key in ("exp_avg", "exp_avg_sq")}
                self.optimiser.state[parameter] = {"step": torch.tensor(float(self.steps)), **moments}


def entropy(logits: Tensor) -> Tensor:
    """[B] entropy in nats of the softmax over the classes [B, C]."""
    return -(logits.softmax(dim=1) * logits.log_softmax(dim=1)).sum(dim=1)


def entropy_of(probabilities: Tensor) -> Tensor:
    """[] entropy in nats of probabilities [C]; a class of probability 0 adds nothing."""
    total: Tensor = torch.special.entr(probabilities).sum()
    return total
