"""What the finders give and the rules read: a prompt with its place, and a finding about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Syntax = Literal["plain", "format", "fstring", "jinja"]
Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")

FIELD = re.compile(r"\{\{|\}\}|\{[^{}]*\}")
JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


@dataclass(frozen=True)
class Prompt:
    """A prompt as it stands in a file.

    text : the string, with `{name}` where a value is known only when the program runs.
    detector : what gave it away (a key of `find.DETECTORS`, or "task-file").
    syntax : how its placeholders are written; "fstring": filled already, so its braces say nothing.
    given : names that the program fills in; None where that is not known.
    known : names that the file assigns (of Python), by which a forgotten `f` is recognised.
    whole : False for a piece that something is appended to.  indented : it stands in a triple-quoted literal as typed.
    answers : of a task's template, label -> word.  within : the class or function it stands in.
    """

    file: Path
    line: int
    text: str
    detector: str
    column: int = 1
    end_line: int = 0
    syntax: Syntax = "plain"
    given: frozenset[str] | None = None
    known: frozenset[str] = frozenset()
    whole: bool = True
    indented: bool = False
    answers: tuple[tuple[str, str], ...] = ()
    within: str = ""

    @property
    def last_line(self) -> int:
        return max(self.line, self.end_line)

    @property
    def prose(self) -> str:
        """The text without its placeholders, which are no words of any language."""
        return (JINJA if self.syntax == "jinja" else FIELD).sub(" ", self.text)


@dataclass(frozen=True)
class Finding:
    """A rule's complaint: where, how bad, what, what to do, and the corrected text where the correction is mechanical."""

    rule: str
    severity: Severity
    file: Path
    line: int
    column: int
    message: str
    hint: str = ""
    fixed: str | None = None
