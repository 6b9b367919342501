"""Language hooks: between generated sentences, programs that trigger may rewrite what was written (arXiv 2412.05967).

The base model gets the task's own prompt, without a word about tools. After every sentence each hook's trigger judges the advantage of
running its program on the context so far; the surest one above the threshold runs, until none triggers; then the next sentence is
written. Hooks: calculator (puts a wrong result right), retriever (replaces a sentence by the evidence it almost says), guardrail (a best
guess among the options where the model declines). `when: end` is tool use after the whole answer, `hooks: []` plain generation.
Nearest neighbours: zero-shot (no programs), in-context (demonstrations, no programs).
Departs from the paper, for which no code was found: triggers are rules, not trained classifiers; the surest trigger wins, ties by order;
a program never runs twice on one text and at most `calls` times an answer; edits touch the last sentence alone; temperature, threshold and
calls are our choices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from harness.claims import Arm, Scores
from harness.errors import InputError, unknown_name
from harness.method import Method, Predictor
from harness.predictions import Predictions
from harness.registry import method
from harness.settings import setting
from harness.task import Example, Task, TaskData
from harness.templates import Rendered
from harness.text import filtered, prompt_of, render_all, template_of

from .hooks.calculator import Calculator
from .hooks.guardrail import Guardrail
from .hooks.hook import Context, Hook, Switchboard
from .hooks.loop import Answer, Draft, after_the_answer, between_sentences
from .hooks.retriever import Retriever

if TYPE_CHECKING:
    from torch import Tensor

    from harness.backbones.backbone import Backbone
    from harness.backbones.generation import Generated
    from harness.training import Run

HOOKS: Mapping[str, Callable[[HookedWriter], Hook]] = {
    "calculator": lambda writer: Calculator(),
    "retriever": lambda writer: Retriever(writer.knowledge),
    "guardrail": lambda writer: Guardrail(writer.guess),
}
BATCH = 64  # answers written side by side


@method("language-hooks", paper="arXiv:2412.05967", needs=("generation", "label_scores"), tags=("text", "tools", "inference"))
class LanguageHooks(Method):
    """Generation with programs between the sentences; nothing is trained."""

    task_kinds: ClassVar[tuple[str, ...]] = ("generation",)
    random: ClassVar[tuple[str, ...]] = ("noise",)

    hooks: tuple[str, ...] = setting(
        ("calculator", "retriever", "guardrail"), help="programs that may run, in order; [] is plain generation"
    )
    when: str = setting("sentence", one_of=("sentence", "end"), help="sentence: after every one; end: once, after the whole answer")
    threshold: float = setting(0.5, above=0.0, at_most=1.0, help="advantage from which a program runs")
    calls: int = setting(4, at_least=1, help="times that each program may run in one answer")
    temperature: float = setting(0.5, at_least=0.0, help="of sampling, by the stream `noise`; 0 takes the likeliest token")

    def unsupported(self, task: Task, family: str, capabilities: frozenset[str]) -> str | None:
        reason = super().unsupported(task, family, capabilities)
        return reason or (None if family == "causal_lm" else f"{self.name} continues its own text, which a {family} backbone cannot")

    def adapt(self, backbone: Backbone, data: TaskData, run: Run) -> Predictor:
        for name in self.hooks:
            if name not in HOOKS:
                raise unknown_name("hook", name, HOOKS)
        if len(set(self.hooks)) < len(self.hooks):
            raise InputError("a hook is named twice", key="hooks", expected=f"each of {', '.join(HOOKS)} at most once")
        return HookedWriter(self, backbone, data.task, run)

    def restore(self, backbone: Backbone, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Predictor:
        return self.adapt(backbone, data, run)


class HookedWriter(Predictor):
    """Writes answers with programs between the sentences; `answers` keeps the last call's, each with the trace of its programs."""

    def __init__(self, method: LanguageHooks, backbone: Backbone, task: Task, run: Run) -> None:
        self.method, self.backbone, self.task, self.run = method, backbone, task, run
        self.template = template_of(task, run.template)
        self.knowledge: Sequence[str] = getattr(task, "knowledge", ())
        self.hooks = [HOOKS[name](self) for name in method.hooks]
        self.offers = ("knowledge",) if self.knowledge else ()
        self.answers: list[Answer] = []

    def predict(self, examples: Sequence[Example]) -> Predictions:
        rendered = render_all(self.task, self.template, examples)
        self.answers = []
        for start in range(0, len(rendered), BATCH):
            self.answers += self.answered([self.backbone.chat(item.before) for item in rendered[start : start + BATCH]], start)
        self.note()
        raw = tuple(answer.text for answer in self.answers)
        return Predictions(
            tuple(example.id for example in examples),
            texts=tuple(filtered(text, self.task.answer_filter) for text in raw),
            raw_texts=raw,
            tokens=tuple(answer.tokens for answer in self.answers),
            stops=tuple(answer.stop for answer in self.answers),
            prompts=tuple(map(prompt_of, rendered)),
        )

    def answered(self, prompts: Sequence[str], batch: int = 0) -> list[Answer]:
        """Answers to a batch of prompts; `batch` names its stream of random numbers, so that asking again gives the same."""
        rng = self.run.rng("noise", "language-hooks", batch)

        def write(contexts: Sequence[str], left: Sequence[int]) -> list[Draft]:
            if not contexts:
                return []
            with torch.no_grad():
                found = self.backbone.generate(
                    contexts, max_new_tokens=max(left), stops=self.task.stops, temperature=self.method.temperature, rng=rng
                )
            return [self.within(item, room) for item, room in zip(found, left)]

        method = self.method
        answers = [
            Answer(Context(prompt), Switchboard(self.hooks, threshold=method.threshold, calls=method.calls, offers=self.offers))
            for prompt in prompts
        ]
        loop = between_sentences if method.when == "sentence" else after_the_answer
        loop(answers, write, room=self.task.max_new_tokens, count=self.count)
        return answers

    def within(self, written: Generated, room: int) -> Draft:
        """What was written, cut to the tokens that its answer had left (a batch is written as long as its longest needs)."""
        if written.tokens <= room:
            return Draft(written.text, written.tokens, written.stop)
        ids = self.backbone.tokenizer(written.text, add_special_tokens=False)["input_ids"][:room]
        return Draft(self.backbone.tokenizer.decode(ids), written.tokens, "length")

    def count(self, text: str) -> int:
        return len(self.backbone.tokenizer(text, add_special_tokens=False)["input_ids"])

    def guess(self, before: str, options: Sequence[str]) -> str:
        """The option that the base model finds likeliest after `before`: the guardrail's own question to it."""
        with torch.no_grad():
            scores = self.backbone.label_scores([Rendered(before, " ", ".", tuple(options))], reduction="mean")
        return options[int(scores[0].argmax())]

    def note(self) -> None:
        """How often each program ran and how often a text was written anew, for the result."""
        ran = Counter(event.hook for answer in self.answers for event in answer.hooks.trace)
        self.run.notes["hook_calls"] = {name: ran[name] for name in self.method.hooks}
        self.run.notes["rewrites"] = sum(answer.rewrites for answer in self.answers)


def _arm(*hooks: str, when: str = "sentence") -> Arm:
    return Arm("language-hooks", {"hooks": list(hooks), "when": when})


BACKBONE = "tiny-step-writer"
EVALUATION: dict[str, Any] = {"test_rows": 60}
MECHANISM = "tests/methods/test_language_hooks.py::test_a_corrected_step_changes_what_follows"
claims = [
    Scores(
        "calculator-on-arithmetic", "with the calculator, arithmetic is answered better than by written steps alone",
        arm=_arm("calculator"), against=_arm(), relation="better", margin=0.02, tasks=("world-sums",), backbone=BACKBONE, settings=EVALUATION, stand_in=MECHANISM,
    ),
    Scores(
        "retriever-on-facts", "with the retriever, questions about facts are answered better than by written steps alone",
        arm=_arm("retriever"), against=_arm(), relation="better", margin=0.02, tasks=("world-knowledge",), backbone=BACKBONE, settings=EVALUATION, stand_in=MECHANISM,
    ),
    Scores(
        "guardrail-where-it-declines", "a best guess is better than declining",
        arm=_arm("guardrail"), against=_arm(), relation="better", margin=0.02, tasks=("world-knowledge",), backbone=BACKBONE, settings=EVALUATION, stand_in=MECHANISM,
    ),
    Scores(
        "both-beat-calculator", "on questions that need facts and sums, both hooks are better than the calculator alone",
        arm=_arm("calculator", "retriever"), against=_arm("calculator"), relation="better", margin=0.02, tasks=("world-wealth",), backbone=BACKBONE, settings=EVALUATION, stand_in=MECHANISM,
    ),
    Scores(
        "both-beat-retriever", "on questions that need facts and sums, both hooks are better than the retriever alone",
        arm=_arm("calculator", "retriever"), against=_arm("retriever"), relation="better", margin=0.02, tasks=("world-wealth",), backbone=BACKBONE, settings=EVALUATION, stand_in=MECHANISM,
    ),
    Scores(
        "irrelevant-hooks-cost-nothing", "hooks that a task has no use for cost no accuracy",
        arm=_arm("calculator", "guardrail"), against=_arm("calculator"), relation="not_worse", margin=0.01, tasks=("world-sums",), backbone=BACKBONE, settings=EVALUATION, stand_in=MECHANISM,
    ),
    Scores(
        "between-beats-after", "programs between the sentences are better than tools called after the whole answer",
        arm=_arm("calculator", "retriever"), against=_arm("calculator", "retriever", when="end"), relation="better", margin=0.02, tasks=("world-sums", "world-wealth"), backbone=BACKBONE, settings=EVALUATION, stand_in=MECHANISM,
    ),
]  # fmt: skip
