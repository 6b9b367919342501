"""What a hook is, and the text it sees: a program, a trigger, and who may run when (arXiv 2412.05967, section 3)."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

BOUNDARY = re.compile(r"(?<=[.!?])\s+|(?<=\n)")  # a full stop inside a number has no space behind it


@dataclass(frozen=True)
class Context:
    """C_t: the prompt C_0, which nothing changes, and the sentences written so far, with evidence between them where it was appended."""

    prompt: str
    sentences: tuple[str, ...] = ()

    @property
    def last(self) -> str:
        return self.sentences[-1] if self.sentences else ""

    @property
    def written(self) -> str:
        return " ".join(self.sentences)

    @property
    def text(self) -> str:
        return f"{self.prompt} {self.written}" if self.sentences else self.prompt

    def with_last(self, sentence: str) -> Context:
        """The last sentence rewritten."""
        return replace(self, sentences=(*self.sentences[:-1], sentence))


class Hook:
    """A program that may change the last sentence, or append evidence. `advantage` is its trigger: in [0, 1], from the text alone."""

    name: str
    needs: tuple[str, ...] = ()  # what must be at hand: "knowledge"

    @abstractmethod
    def advantage(self, context: Context) -> float:
        """How much it would help to run the program on this context."""
        raise NotImplementedError

    @abstractmethod
    def run(self, context: Context) -> Context:
        """The changed context, or the same one."""
        raise NotImplementedError


@dataclass(frozen=True)
class Event:
    """A program that ran: after which sentence, how sure its trigger was, and the last sentence before and after."""

    sentence: int
    hook: str
    advantage: float
    before: str
    after: str


def split(text: str) -> list[str]:
    """Sentences of a text, each with its full stop.

    >>> split("14.5 + 1 = 15.5. the answer is 15.5.")
    ['14.5 + 1 = 15.5.', 'the answer is 15.5.']
    """
    return [part for part in (piece.strip() for piece in BOUNDARY.split(text)) if part]


class Switchboard:
    """Which program runs next: the eligible one whose trigger is surest, if that is above the threshold; ties by order.

    Eligible is a hook whose needs are met, that did not run on this very text before, and has calls left. So it always ends: every run
    costs one of at most `calls` calls of one of the hooks.
    """

    def __init__(self, hooks: Sequence[Hook], *, threshold: float, calls: int, offers: Sequence[str] = ()) -> None:
        self.hooks = [hook for hook in hooks if set(hook.needs) <= set(offers)]
        self.threshold = threshold
        self.left = {hook.name: calls for hook in self.hooks}
        self.seen: set[tuple[str, str]] = set()
        self.trace: list[Event] = []

    def step(self, context: Context) -> Context | None:
        """The context after one program ran; None where none triggers."""
        scores: Mapping[str, float] = {hook.name: hook.advantage(context) for hook in self.hooks if self._eligible(hook, context)}
        best = max(scores, key=lambda name: scores[name], default=None)
        if best is None or scores[best] < self.threshold:
            return None
        hook = next(hook for hook in self.hooks if hook.name == best)
        self.seen.add((best, context.text))
        self.left[best] -= 1
        changed = hook.run(context)
        if changed.prompt != context.prompt or changed.sentences[: len(context.sentences) - 1] != context.sentences[:-1]:
            raise ValueError(f"hook {best} changed more than the last sentence")
        self.seen.add((best, changed.text))  # its own output is nothing to run on
        self.trace.append(Event(len(context.sentences), best, scores[best], context.last, changed.last))
        return changed

    def settle(self, context: Context) -> Context:
        """Run programs until none triggers."""
        while (changed := self.step(context)) is not None:
            context = changed
        return context

    def _eligible(self, hook: Hook, context: Context) -> bool:
        return bool(context.sentences) and self.left[hook.name] > 0 and (hook.name, context.text) not in self.seen
