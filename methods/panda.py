"""PANDA: a prompt of another task teaches a fresh prompt (Zhong et al. 2022, arXiv 2208.10160), and vanilla prompt transfer (SPoT).

The preparation `panda` trains a deep prompt on each source task. `similarity` asks, for each source prompt P_s and a prompt P_t trained briefly on
the target, how alike the frozen model's features of the target's rows are under the two: their cosine, averaged over rows.
`prompt-transfer` starts the target's prompt from the most similar source's. `panda` starts it afresh and adds w MSE(z_student, z_teacher) / B
to the loss, z being class logits and B the batch: its teacher is the model that prompt transfer gives, frozen, and w = 0.1 x `strength`.
Nearest neighbours: deep-prompts (from scratch, and what strength 0 comes to, bit for bit), deft (a loss on top of any method).
Departs from the paper: w is constant as in the released code (0.1 x 0.1, divided by B a second time); `weighting: similarity` multiplies it by the
metric, as the text says. The teacher is run without dropout, the code runs it with. Transfer to the teacher and distillation have half of the
trial's budget each; the brief prompt's steps come on top and are metered. The prompt's start scale is peft's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from harness.methods.deep_prompts import DeepPrompts
from torch import Tensor
from torch.nn import functional

from harness.artifacts import Inputs, Preparation, Product, TaskInput
from harness.claims import Arm, Exact, Scores
from harness.errors import InputError
from harness.gradient import Adapted
from harness.method import Predictor
from harness.registry import method, preparation
from harness.settings import Prepared, choice, log_uniform, setting
from harness.task import Row, Task, TaskData
from harness.training import Budget

if TYPE_CHECKING:
    from harness.artifact_inputs import Given
    from harness.training import Run

PROMPT = "parts.encoder.embedding.weight"  # where a deep prompt's state holds its numbers, [length, layers x 2 x width]


@preparation("panda", paper="arXiv:2208.10160", tags=("text", "soft-prompt", "transfer"))
class SourcePrompts(Preparation):
    """One deep prompt for each source task, with the dev-free training of `deep-prompts`."""

    sources: list = setting([], help="names of the source tasks")  # type: ignore[type-arg]
    others: bool = setting(False, help="leave the trial's own task out of the sources")
    rows: int = setting(64, at_least=1, help="of each class of a source")
    length: int = setting(10, at_least=1, help="that of the target's deep prompt: as there by default")
    steps: int = setting(300, at_least=1)
    learning_rate: float = setting(1e-2, above=0)
    batch_size: int = setting(16, at_least=1)

    def facing(self, task: str) -> SourcePrompts:
        return SourcePrompts(**{**self.config, "others": False, "sources": [n for n in self.sources if n != task]}) if self.others else self

    def inputs(self, backbone: Mapping[str, Any] | None, seed: int) -> Inputs:
        if not self.sources:
            raise InputError("there are no sources", key="sources", expected="names of tasks to train prompts on")
        assert backbone is not None
        return Inputs(tasks=tuple(TaskInput(name, train=self.rows) for name in self.sources), backbones=(backbone,))

    def prepare(self, given: Given, run: Run) -> Product:
        inner = DeepPrompts(length=self.length, steps=self.steps, learning_rate=self.learning_rate, batch_size=self.batch_size)
        backbone, tensors = given.backbone(), {}
        for number, name in enumerate(self.sources):
            predictor = inner.adapt(backbone, given.data(number), run)
            tensors[name] = predictor.state()[0][PROMPT]  # the head stays behind: the target has other classes
        return Product(tensors, {"sources": list(self.sources), "length": self.length})


class Transferred(DeepPrompts):
    """Base of methods with a deep prompt that other tasks' prompts help."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)

    start: Prepared | None = setting(None, help="{panda: {sources: [TASK, ...]}}")
    source: str | None = setting(None, help="whose prompt; None: that of the most similar source")
    brief_steps: int = setting(50, at_least=1, help="of the target's prompt that source prompts are compared with")

    needs_sources: ClassVar[bool] = True

    def unsupported(self, task: Task, family: str, capabilities: frozenset[str]) -> str | None:
        if self.start is None and self.needs_sources:
            return f"{self.name} needs `start: {{panda: {{sources: [...]}}}}`"
        return super().unsupported(task, family, capabilities)

    def chosen(self, backbone: Any, data: TaskData, run: Run) -> tuple[Tensor, float]:
        """The source prompt to learn from, and its similarity to the target's."""
        assert self.start is not None
        product = run.prepared(self.start)
        if product.facts["length"] != self.length:
            raise InputError(
                f"source prompts have length {product.facts['length']}, the target's {self.length}", key="length", expected="equal"
            )
        if self.source is not None and self.source not in product.tensors:
            raise InputError(f"{self.source!r} is no source", key="source", expected=f"one of {', '.join(product.tensors)}")
        with _budget(run, Budget("steps", self.brief_steps)):
            brief = self._assemble(backbone, data, run)
            brief.train_on(data, run, self)
        alike = {name: similarity(brief, product.tensors[name], data.train) for name in product.facts["sources"]}
        name = self.source or max(alike, key=lambda item: alike[item])
        run.notes |= {"similarity": alike, "source": name}
        return product.tensors[name], alike[name]

    def transferred(self, backbone: Any, data: TaskData, run: Run, prompt: Tensor) -> Adapted:
        """Prompt transfer: the target's prompt trained from a source's."""
        model = self._assemble(backbone, data, run)
        put(model, prompt)
        model.train_on(data, run, self)
        return model


def put(model: Adapted, prompt: Tensor) -> None:
    """Give a model's deep prompt these numbers."""
    with torch.no_grad():
        dict(model.attached.parts.named_parameters())[PROMPT.removeprefix("parts.")].copy_(prompt)


@torch.no_grad()
def similarity(brief: Adapted, source: Tensor, rows: Sequence[Row]) -> float:
    """Mean cosine, over the target's rows, of the features under `brief`'s own prompt and under the source's."""
    backbone = brief.attached.backbone
    own = brief.state()[0][PROMPT].clone()
    pooling = "first" if backbone.family in ("masked_lm", "encoder") else None  # the paper's [CLS]
    found = []
    for prompt in (own, source):
        put(brief, prompt)
        items = [backbone.read(row.inputs) for row in rows]
        found.append(
            torch.cat(
                [
                    backbone.features(items[i : i + 32], pooling=pooling, injection=brief.attached.injection(rows[i : i + 32]))
                    for i in range(0, len(rows), 32)
                ]
            )
        )
    put(brief, own)
    return float(functional.cosine_similarity(found[0], found[1]).mean())


@method("prompt-transfer", paper="arXiv:2110.07904", needs=("prefix_injection",), tags=("text", "soft-prompt", "transfer"))
class PromptTransfer(Transferred):
    """A deep prompt that starts from the most similar source task's (SPoT, Vu et al. 2022)."""

    small: ClassVar[Mapping[str, Any]] = {"length": 3, "steps": 4}

    learning_rate: float = setting(1e-2, above=0, search=log_uniform(1e-3, 0.1))

    def adapt(self, backbone: Any, data: TaskData, run: Run) -> Predictor:
        prompt, _ = self.chosen(backbone, data, run)
        return self.transferred(backbone, data, run, prompt)


class Student(Adapted):
    """A model whose loss also pulls its logits to a frozen teacher's."""

    teacher: Adapted
    weight: float

    def loss(self, rows: Sequence[Row], weights: Tensor | None = None) -> Tensor:
        plain = super().loss(rows, weights)
        with torch.no_grad():
            wanted = self.teacher.scores(rows)
        return plain + self.weight * functional.mse_loss(self.scores(rows), wanted) / len(rows)


@method("panda", paper="arXiv:2208.10160", needs=("prefix_injection",), tags=("text", "soft-prompt", "transfer", "distillation"))
class Panda(Transferred):
    """A fresh deep prompt, taught by the one that prompt transfer gives."""

    small: ClassVar[Mapping[str, Any]] = {"length": 3, "steps": 4, "strength": 0.0}

    learning_rate: float = setting(1e-2, above=0, search=log_uniform(1e-3, 0.1))
    strength: float = setting(0.1, at_least=0, search=choice(0.1, 1.0, 10.0, 100.0), help="the code's beta; 0: no teacher at all")
    weighting: str = setting("constant", one_of=("constant", "similarity"), help="similarity: the distillation's weight times the metric")

    @property
    def needs_sources(self) -> bool:  # type: ignore[override]
        return self.strength > 0

    def adapt(self, backbone: Any, data: TaskData, run: Run) -> Predictor:
        if self.strength == 0:
            return super().adapt(backbone, data, run)
        prompt, alike = self.chosen(backbone, data, run)
        with _budget(run, _half(run.budget or Budget("steps", self.steps))):
            teacher = self.transferred(backbone, data, run, prompt)
            plain = self._assemble(backbone, data, run)
            student = Student(plain.attached, plain.task, run.template, plain.head, origin=backbone)
            student.teacher = teacher
            student.weight = 0.1 * self.strength * (alike if self.weighting == "similarity" else 1.0)
            student.train_on(data, run, self)
        return Adapted(plain.attached, plain.task, run.template, plain.head, origin=backbone)


def _half(budget: Budget) -> Budget:
    return replace(budget, amount=max(1, budget.amount / 2))


@contextmanager
def _budget(run: Run, budget: Budget) -> Iterator[None]:
    """While within, a training has this budget."""
    whole = run.budget
    run.budget = budget
    try:
        yield
    finally:
        run.budget = whole


SOURCES = {"panda": {"sources": ["world-stars", "world-subjectivity", "world-acceptability", "world-intent"], "steps": 300}}
claims = [
    Exact(
        "no-teacher-is-prompt-tuning",
        "with the distillation's weight at 0 and the teacher skipped, it is prompt tuning, bit for bit",
        measure="answer_difference",
        arm=Arm("panda", {"length": 4, "steps": 6, "strength": 0.0}),
        against=Arm("deep-prompts", {"length": 4, "steps": 6}),
        equals=Fraction(0),
    ),
    Exact(
        "frozen-backbone",
        "only the prompt and the head are trained",
        measure="changed_weights",
        arm=Arm("panda", {"strength": 0.0}),
        equals=Fraction(0),
    ),
    Scores(
        "better-than-transfer",
        "PANDA scores higher than vanilla prompt transfer",
        arm=Arm("panda", {"start": SOURCES}),
        against=Arm("prompt-transfer", {"start": SOURCES}),
        relation="better",
        margin=0.02,
        tasks=("world-sentiment", "world-topic"),
        backbone="tiny-masked-lm",
        stand_in="tests/methods/test_panda.py::test_the_teacher_pulls_the_students_logits",
    ),
    Scores(
        "better-than-scratch",
        "PANDA scores higher than prompt tuning from scratch",
        arm=Arm("panda", {"start": SOURCES}),
        against=Arm("deep-prompts"),
        relation="better",
        margin=0.02,
        tasks=("world-sentiment", "world-topic"),
        backbone="tiny-masked-lm",
        stand_in="tests/methods/test_panda.py::test_the_teacher_pulls_the_students_logits",
    ),
]
