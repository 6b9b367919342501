"""Prompts of a task's YAML file: its templates, PromptSource texts and prefix, which are Jinja over the task's fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness import safe_yaml

from .prompts import Prompt

GIVEN = ("answer", "answer_choices")  # what every template of ours, and PromptSource's, may use beside the task's fields


def find_in_task(file: Path) -> list[Prompt]:
    """The prompts of a task file; none of another YAML file. InputError where it is no YAML."""
    data, marks = safe_yaml.load(file)
    if not isinstance(data, Mapping) or "task" not in data:
        return []
    ends = sorted({line for line in marks.lines.values() if line is not None})
    return [
        Prompt(file, line, text, "task-file", end_line=_last(line, ends), syntax="jinja", given=given, answers=answers)
        for path, text, answers in _texts(data)
        for line in (marks.line(path) or 1,)
        for given in (_given(data),)
    ]


def _last(line: int, starts: list[int]) -> int:
    return next((start - 1 for start in starts if start > line), line)


def _given(data: Mapping[str, Any]) -> frozenset[str] | None:
    fields = data.get("fields")
    return frozenset([*map(str, fields), *GIVEN]) if isinstance(fields, Mapping) else None


def _texts(data: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], str, tuple[tuple[str, str], ...]]]:
    templates = data.get("templates")
    for name, template in templates.items() if isinstance(templates, Mapping) else ():
        described = template if isinstance(template, Mapping) else {"text": template}
        answers = described.get("answers")
        words = tuple((str(label), str(word)) for label, word in answers.items()) if isinstance(answers, Mapping) else ()
        for key in ("text", "promptsource"):
            if isinstance(described.get(key), str):
                path = ("templates", name, key) if isinstance(template, Mapping) else ("templates", name)
                yield path, described[key], words
    if isinstance(data.get("prefix"), str) and data["prefix"]:
        yield ("prefix",), data["prefix"], ()
