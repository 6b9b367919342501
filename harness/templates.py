"""Prompt templates: Jinja text with one `{{ answer }}`, and the words that stand for the labels.

    Template("{{ sentence }} It was {{ answer }}.", answers={"negative": "bad", "positive": "good"})

A causal model continues at the answer; a masked LM has its mask there; an encoder-decoder reads what stands before and
decodes the answer. PromptSource's `input ||| target` is accepted by `Template.from_promptsource`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from harness.errors import InputError
from harness.sandbox import Sandbox, TooLong, bounded

ANSWER = "\x00answer\x00"  # cannot occur in text fields: control characters are stripped from them when read


@functools.cache
def _environment() -> Sandbox:
    return Sandbox()


@functools.lru_cache(maxsize=4096)
def _compiled(text: str) -> jinja2.Template:
    try:
        return _environment().from_string(text)
    except jinja2.TemplateSyntaxError as error:
        raise InputError(f"template {text!r} does not parse: {error.message}", key="template") from None


def render(text: str, fields: Mapping[str, Any]) -> str:
    """`text` as sandboxed Jinja over `fields`; an undefined field, an unsafe operation and a render without end are an InputError."""
    try:
        return bounded(_compiled(text), dict(fields))
    except TooLong as error:
        raise InputError(f"template {text!r} {error}", key="template", expected="a prompt") from None
    except jinja2.UndefinedError as error:
        raise InputError(
            f"template {text!r}: {error.message}", key="template", expected=f"fields are {', '.join(sorted(fields))}"
        ) from None
    except (jinja2.TemplateError, RecursionError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise InputError(f"template {text!r}: {error}", key="template") from None  # also what an expression in it did wrong


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt cut at its answer: `before` has no trailing space, `gap` holds it, `after` is what follows the answer."""

    before: str
    gap: str
    after: str
    answers: tuple[str, ...] | None  # one per class or choice; None where the answer is generated

    def filled(self, answer: str) -> str:
        return f"{self.before}{self.gap}{answer}{self.after}"


@dataclass(frozen=True)
class Template:
    """A template. `answers`: label -> word(s); or a Jinja expression that gives the row's choices; or None (the row's own).

    held_out : never shown to the shipped models in pretraining.
    target : for generated answers, the Jinja text of the answer; None takes the row's target as it is.
    separator : what stands between demonstrations; None takes the task's.
    """

    text: str
    answers: Mapping[str, str] | str | None = None
    held_out: bool = False
    target: str | None = None
    separator: str | None = None

    def __post_init__(self) -> None:
        if "answer" not in self.text:
            raise InputError(f"template {self.text!r} has no {{{{ answer }}}}", key="template", expected="say where the answer goes")

    @classmethod
    def from_promptsource(cls, text: str, answers: Mapping[str, str] | str | None = None) -> Template:
        """`input ||| target` with the target's place at the end of the input."""
        before, bar, target = text.partition("|||")
        if not bar:
            raise InputError("a PromptSource template needs '|||' between input and target", key="template")
        return cls(before.rstrip() + " {{ answer }}", answers=answers, target=target.strip())

    def render(self, inputs: Mapping[str, Any], labels: Sequence[str] = ()) -> Rendered:
        """Cut the rendered text at the answer; `labels` orders the answers of a classification task."""
        text = render(self.text, {**inputs, "answer": ANSWER})
        before, mark, after = text.partition(ANSWER)
        if not mark or ANSWER in after:
            raise InputError(f"template {self.text!r} must render {{{{ answer }}}} exactly once", key="template")
        head = before.rstrip()
        if not head and not after.strip():
            raise InputError(f"template {self.text!r} renders nothing", key="template")
        return Rendered(head, before[len(head) :], after, self._answers(inputs, labels))

    def _answers(self, inputs: Mapping[str, Any], labels: Sequence[str]) -> tuple[str, ...] | None:
        if isinstance(self.answers, Mapping):
            missing = [label for label in labels if label not in self.answers]
            if missing:
                raise InputError(
                    f"label {missing[0]!r} is not in the verbalizer", key="answers", expected=f"it has {', '.join(self.answers)}"
                )
            return tuple(self.answers[label] for label in labels)
        if isinstance(self.answers, str):
            return tuple(part.strip() for part in render(self.answers, inputs).split("|||"))
        choices = inputs.get("choices")
        return tuple(choices) if choices is not None else (tuple(labels) if labels else None)
