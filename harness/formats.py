"""Formats: a population of templates by a grammar, so that a template can be a random factor and not one researcher's choice.

    templates: {sample: 10}          in a suite: ten formats of each task's population, the same ten for tasks with the same one

A format is (input phrase, separator, output phrase, separator between demonstrations). The phrases are those of "Mind Your Format"
(Voronov et al. 2024, arXiv 2401.06766; data.py of its release): 4 inputs x 2 separators x (4 common outputs and 6 for sentiment or 4
for topics) x 3 between, so 240 formats of a sentiment task, 192 of a topic task and 96 of any other. Label words are the task's labels.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.errors import InputError, unknown_name
from harness.task import Task
from harness.templates import Template

Phrases = Literal["auto", "common", "sentiment", "topic"]

INPUTS = {"input": "input: {}", "text": "text: {}", "sentence": "sentence: {}", "bare": "{}"}
COMMON = {"output": "output: {}", "target": "target: {}", "label": "label: {}", "plain": "{}"}
SENTIMENT = {
    "emotion": "emotion: {}",
    "sentiment": "sentiment: {}",
    "a-one": "A {} one.",
    "it-was": "It was {}.",
    "all-in-all": "All in all {}.",
    "a-piece": "A {} piece.",
}
TOPIC = {"topic": "Topic: {}.", "subject": "Subject: {}.", "this-is-about": "This is about {}.", "it-is-about": "It is about {}."}
OUTPUTS: dict[str, dict[str, str]] = {"common": COMMON, "sentiment": {**COMMON, **SENTIMENT}, "topic": {**COMMON, **TOPIC}}
SEPARATORS = {"space": " ", "line": "\n"}
BETWEEN = {"space": " ", "line": "\n", "blank": "\n\n"}
START = "format"


@dataclass(frozen=True)
class Format:
    """One point of the grammar, each part by its key above. `name` is what a trial keeps of it, e.g. "format.text.line.label.blank"."""

    input: str
    separator: str
    output: str
    between: str

    @property
    def name(self) -> str:
        return ".".join((START, self.input, self.separator, self.output, self.between))

    @classmethod
    def parse(cls, name: str) -> Format:
        """What `name` was made of. InputError where it is no format."""
        start, *parts = name.split(".")
        known = (INPUTS, SEPARATORS, {**OUTPUTS["sentiment"], **TOPIC}, BETWEEN)
        if start != START or len(parts) != len(known):
            raise InputError(f"{name!r} is no format", key="template", expected="format.INPUT.SEPARATOR.OUTPUT.BETWEEN")
        for part, choices in zip(parts, known):
            if part not in choices:
                raise unknown_name("part of a format", part, choices).located(key="template")
        return cls(*parts)

    def input_text(self, text: str) -> str:
        return INPUTS[self.input].replace("{}", text)

    def output_text(self, word: str) -> str:
        return {**OUTPUTS["sentiment"], **TOPIC}[self.output].replace("{}", word)

    @property
    def gap(self) -> str:
        return SEPARATORS[self.separator]

    def template(self, task: Task) -> Template:
        """The format as a template of a task of one text."""
        text = self.input_text(f"{{{{ {text_field(task)} }}}}") + self.gap + self.output_text("{{ answer }}")
        return Template(text, answers={label: label for label in task.labels}, separator=BETWEEN[self.between])


def is_format(name: str | None) -> bool:
    return name is not None and name.startswith(f"{START}.")


def text_field(task: Task) -> str:
    """The one text field of a classification task. InputError where it has not exactly one."""
    fields = [name for name, value in task.test()[0].inputs.items() if isinstance(value, str)]
    if len(fields) != 1 or task.kind != "classification":
        raise InputError("formats are for classes of one text", key=task.name, expected="name templates of the task instead")
    return fields[0]


def population(task: Task, phrases: Phrases = "auto") -> list[Format]:
    """Every format of a task, in one order. "auto": the phrases of sentiment or topics where the task is tagged so, else the common ones."""
    kind = phrases if phrases != "auto" else next((tag for tag in ("sentiment", "topic") if tag in task.entry.tags), "common")
    return [Format(*parts) for parts in itertools.product(INPUTS, SEPARATORS, OUTPUTS[kind], BETWEEN)]


def sample(formats: list[Format], number: int, rng: np.random.Generator) -> list[Format]:
    """`number` different formats in random order (the release draws with repetition)."""
    if number > len(formats):
        raise InputError(f"{number} of {len(formats)} formats", key="templates.sample", expected=f"at most {len(formats)}")
    return [formats[i] for i in rng.permutation(len(formats))[:number]]
