"""The guardrail: where the model declines, its best guess among the options that the question names stands instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from .hook import Context, Hook

DECLINED = re.compile(r"\b(unknown|nobody knows|do not know|cannot (?:say|answer|tell))\b", re.IGNORECASE)
OPTIONS = re.compile(r"options: ([^.?!\n]+)")

Guess = Callable[[str, Sequence[str]], str]  # (text that an option continues, options) -> the likeliest option


class Guardrail(Hook):
    """Triggers surely on a sentence that declines to give the answer, where options are known."""

    name = "guardrail"

    def __init__(self, guess: Guess) -> None:
        self.guess = guess

    def advantage(self, context: Context) -> float:
        return float("answer" in context.last and DECLINED.search(context.last) is not None and bool(options(context.prompt)))

    def run(self, context: Context) -> Context:
        choices = options(context.prompt)
        if not choices or DECLINED.search(context.last) is None:
            return context
        return context.with_last(f"the answer is {self.guess(f'{context.prompt} the answer is', choices)}.")


def options(prompt: str) -> list[str]:
    """The options that the last question of a prompt names."""
    found = OPTIONS.findall(prompt)
    return [part.strip() for part in found[-1].split(",")] if found else []
