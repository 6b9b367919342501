"""Prompted text of many tasks, for pretraining: rows outside every task's pool and test split, in the templates that are not held out.

A document has one row or several of one task under one template. In some, the label words are others, drawn at random, so that the demonstrations have to be read.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any

from harness.task import Row
from harness.templates import Rendered, Template

from . import documents, episodes
from .episodes import Document, Segment
from .layouts import layouts
from .meaning import Sampler
from .task import WorldTask

SEPARATORS = (("\n", 0.6), ("\n\n", 0.25), (" ", 0.15))


def world_tasks() -> list[WorldTask]:
    """Every task of the world, by name."""
    package = importlib.import_module("harness.tasks")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("world_"):
            importlib.import_module(f"harness.tasks.{module.name}")

    def leaves(base: type[WorldTask]) -> list[type[WorldTask]]:
        return [leaf for sub in base.__subclasses__() for leaf in ([sub] if "entry" in vars(sub) else []) + leaves(sub)]

    return sorted((leaf() for leaf in leaves(WorldTask)), key=lambda task: task.name)


def content(inputs: Mapping[str, Any]) -> str:
    """A key that equal inputs share (many times cheaper than a digest)."""
    return "\x1f".join(map(str, inputs.values()))


class Prompted:
    """Draws prompted rows of tasks; what stands in a pool or test split is never among them."""

    def __init__(self, tasks: Sequence[WorldTask] | None = None) -> None:
        self.tasks = [task for task in (tasks if tasks is not None else world_tasks()) if task.pretrained]
        self.excluded = {task.name: {content(row.inputs) for row in [*task.pool(), *task.test()]} for task in self.tasks}
        self.templates = {task.name: [template for template in task.templates.values() if not template.held_out] for task in self.tasks}
        self.layouts = {task.name: layouts(task) for task in self.tasks}

    def row(self, task: WorldTask, sampler: Sampler, kept: Sequence[int] | None = None) -> Row:
        """A row of a task, of the `kept` labels alone where they are given."""
        while True:
            inputs, target = task.example(sampler, "pretraining")
            if (kept is None or target in kept) and content(inputs) not in self.excluded[task.name]:
                return Row("", inputs, target)

    def pick(self, sampler: Sampler) -> tuple[WorldTask, Template]:
        task = sampler.pick(self.tasks)
        return task, sampler.pick(self.templates[task.name])

    def document(
        self, sampler: Sampler, *, most: int = 10, words: int = 170, renamed: float = 0.3, free: float = 0.0, bare: bool = False
    ) -> Document:
        """Rows of one task under one template: one in a third of the documents, else up to `most` or about as many as `words` words allow.

        renamed : how often the label words are others, drawn at random; then the document is as long as it may be, and of a task of many
        classes often has rows of two to four of them alone, so that label words come again. free : how often a layout stands for the template.
        bare : no new label word is the answer of any task, so that a task's own words always mean what they mean.
        """
        task, template = self.pick(sampler)
        if free and sampler.chance(free):
            template = sampler.pick(self.layouts[task.name])
        number = 1 if sampler.chance(0.33) else 2 + sampler.below(most - 1)
        rename = 1 < len(task.labels) <= 8 and sampler.chance(renamed)
        new_words = episodes.label_words(sampler, len(task.labels), bare=bare) if rename else None
        kept = self.some_labels(task, sampler) if new_words and free else None
        separator = documents.draw(sampler, SEPARATORS)
        result: Document = []
        said = 0
        for _ in range(most if new_words else number):
            row = self.row(task, sampler, kept)
            rendered = template.render(row.inputs, task.labels)
            answer = new_words[int(row.target)] if new_words else answer_text(rendered, row)
            result += segments(rendered, answer, separator, known=new_words is None)
            said += rendered.before.count(" ") + 4
            if said > words:
                break
        return result

    @staticmethod
    def some_labels(task: WorldTask, sampler: Sampler) -> list[int] | None:
        """Two to four labels of a task that has more, or None for all of them."""
        if len(task.labels) <= 3 or sampler.chance(0.4):
            return None
        return sampler.some(range(len(task.labels)), 2 + sampler.below(min(3, len(task.labels) - 2)))

    def pair(self, sampler: Sampler) -> tuple[str, str]:
        """A prompt and its answer, in a sixth of the cases after a demonstration or two."""
        task, template = self.pick(sampler)
        text = ""
        for _ in range(1 + sampler.below(2) if sampler.chance(1 / 6) else 0):
            row = self.row(task, sampler)
            rendered = template.render(row.inputs, task.labels)
            text += rendered.filled(answer_text(rendered, row)) + "\n"
        row = self.row(task, sampler)
        rendered = template.render(row.inputs, task.labels)
        return text + rendered.before, answer_text(rendered, row)


def answer_text(rendered: Rendered, row: Row) -> str:
    """The words that answer a row."""
    return rendered.answers[row.target] if rendered.answers is not None and isinstance(row.target, int) else str(row.target)


def segments(rendered: Rendered, answer: str, separator: str, *, known: bool) -> Document:
    """A filled template as segments, with what separates it from the next."""
    result = [Segment(rendered.before), Segment(answer, answer=True, known=known)]
    tail = rendered.after + separator
    if tail.strip(" "):
        result.append(Segment(tail, glued=not tail.startswith(" ")))
    return result
