"""Between a task's rows and a text model: the raw text of an example, its rendered prompt, and answers read from a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.errors import InputError
from harness.formats import Format, is_format
from harness.predictions import Predictions
from harness.task import Example, Row, Task
from harness.templates import Rendered, Template

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.backbones.labels import Reduction

EVALUATION_BATCH = 32


def template_of(task: Task, name: str | None) -> Template:
    """The named template, or format (see formats.py); the task's first template for None."""
    if name is not None and is_format(name):
        return Format.parse(name).template(task)
    if not task.templates:
        raise InputError("this task has no template", key=task.name)
    if name is None:
        return next(iter(task.templates.values()))
    if name not in task.templates:
        raise InputError(f"unknown template {name!r}", key=task.name, expected=f"it has {', '.join(task.templates)}")
    return task.templates[name]


def plain_text(inputs: Any) -> str | tuple[str, str]:
    """The raw text fields of an example: one text, or a pair where there are exactly two; choices are left out."""
    texts = [value for key, value in inputs.items() if isinstance(value, str) and key != "choices"]
    if not texts:
        raise InputError("an example has no text field")
    return (texts[0], texts[1]) if len(texts) == 2 else " ".join(texts)


def reduction_of(asked: str, task: Task) -> Reduction:
    """How answers of several tokens are scored: as asked, or as the task says ("joint" where it says nothing)."""
    chosen = getattr(task, "answer_score", "joint") if asked == "task" else asked
    if chosen not in ("joint", "mean", "first"):
        raise InputError(f"{chosen!r} is no way to score an answer", key="answer_score", expected="joint, mean or first")
    return chosen  # type: ignore[return-value]


def render_all(task: Task, template: Template, examples: Sequence[Example | Row]) -> list[Rendered]:
    labels = task.labels if task.kind == "classification" else ()
    return [template.render(example.inputs, labels) for example in examples]


def target_text(template: Template, row: Row, rendered: Rendered) -> str:
    """The gold answer as text, for training on it and for demonstrations."""
    if rendered.answers is not None and isinstance(row.target, (int, np.integer)):
        return rendered.answers[int(row.target)]
    if template.target is not None:
        from harness.templates import render

        return render(template.target, {**row.inputs, "target": row.target})
    return str(row.target[0] if isinstance(row.target, (list, tuple)) else row.target)


def in_chat(backbone: Backbone, rendered: Sequence[Rendered]) -> list[Rendered]:
    """Prompts as a user's turn where the tokenizer has a chat template; unchanged where it has none."""
    if not getattr(backbone.tokenizer, "chat_template", None):
        return list(rendered)
    return [replace(item, before=backbone.chat(item.before), gap="", after="") for item in rendered]


def prompt_of(rendered: Rendered) -> str:
    return f"{rendered.before}{rendered.gap}____{rendered.after}"


def in_batches(items: Sequence[Any], score: Callable[[list[Any]], torch.Tensor], size: int = EVALUATION_BATCH) -> np.ndarray:
    """float64 [N, C] from `score(batch) -> [B, C]`, without gradients; -inf pads where batches differ in their number of choices."""
    with torch.no_grad():
        parts = [score(list(items[i : i + size])).double().cpu().numpy() for i in range(0, len(items), size)]
    width = max((part.shape[1] for part in parts), default=0)
    return (
        np.concatenate([np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=-np.inf) for part in parts])
        if parts
        else np.zeros((0, 0))
    )


def label_predictions(
    examples: Sequence[Example], scores: np.ndarray, rendered: Sequence[Rendered] | None = None, shared: str = ""
) -> Predictions:
    prompts = tuple(prompt_of(item) for item in rendered) if rendered is not None else None
    return Predictions(tuple(e.id for e in examples), scores=scores, prompts=prompts, shared_prompt=shared)


def generate_answers(
    backbone: Backbone,
    task: Task,
    template: Template,
    examples: Sequence[Example],
    *,
    injection: Callable[[Sequence[Example]], Any] | None = None,
    prefix: str = "",
) -> Predictions:
    """Greedy answers with the task's declared stops, length and answer filter."""
    rendered = render_all(task, template, examples)
    answers: list[Any] = []
    with torch.no_grad():
        for start in range(0, len(rendered), EVALUATION_BATCH):
            part = [backbone.chat(prefix + item.before) for item in rendered[start : start + EVALUATION_BATCH]]
            given = injection(examples[start : start + EVALUATION_BATCH]) if injection is not None else None
            answers += backbone.generate(part, max_new_tokens=task.max_new_tokens, stops=task.stops, injection=given)
    raw = tuple(answer.text for answer in answers)
    return Predictions(
        tuple(e.id for e in examples),
        texts=tuple(filtered(text, task.answer_filter) for text in raw),
        raw_texts=raw,
        tokens=tuple(answer.tokens for answer in answers),
        stops=tuple(answer.stop for answer in answers),
        prompts=tuple(prompt_of(item) for item in rendered),
        shared_prompt=prefix,
    )


def filtered(text: str, pattern: str | None) -> str:
    """The first group (or the match) of the last match of `pattern`; the text itself where there is no pattern; empty where it does not match."""
    if pattern is None:
        return text.strip()
    matches = list(re.finditer(pattern, text))
    if not matches:
        return ""
    return (matches[-1].group(1) if matches[-1].groups() else matches[-1].group(0)).strip()
