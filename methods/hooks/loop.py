"""The loop between writing and programs, over any writer; sentences are written ahead and taken back where a program changes the text.

Figure 1 of the paper: the model writes one sentence; while a program triggers, it runs; else the next sentence is written. The rest of
the answer is written along with each sentence, because under one decoding rule it stays right for as long as no program changes
anything: then nothing is computed twice, and without hooks the tokens are those of plain generation. Where a program does change the
text, what was written behind it is thrown away and written again from the new context, whose states the model computes afresh; the
tokens thrown away are counted as every other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .hook import Context, Switchboard, split


@dataclass(frozen=True)
class Draft:
    """Text written after a context, its tokens, and why it ended ("stop", "length", "end")."""

    text: str
    tokens: int
    stop: str


Writer = Callable[[Sequence[str], Sequence[int]], list[Draft]]  # (contexts, tokens left for each) -> what follows each


@dataclass
class Answer:
    """One answer while it grows. `raw` is the text as written as long as no program changed it."""

    context: Context
    hooks: Switchboard
    raw: str = ""
    changed: bool = False
    tokens: int = 0  # generated, those thrown away among them
    rewrites: int = 0
    stop: str = "end"
    ahead: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.context.written if self.changed else self.raw

    def read(self, draft: Draft) -> None:
        """Take what was written as sentences that programs have not seen yet."""
        self.tokens += draft.tokens
        self.stop = draft.stop
        self.raw = draft.text
        self.ahead = split(draft.text)

    def advance(self) -> bool:
        """Show sentence after sentence to the programs; True where one changed the text, so that the rest has to be written anew."""
        while self.ahead:
            self.context = Context(self.context.prompt, (*self.context.sentences, self.ahead.pop(0)))
            settled = self.hooks.settle(self.context)
            if settled != self.context:
                self.context, self.changed = settled, True
                return True
        return False


def between_sentences(answers: Sequence[Answer], write: Writer, *, room: int, count: Callable[[str], int]) -> None:
    """Language hooks: programs run after every sentence. room : tokens of an answer in all; count : tokens of a text."""
    waiting = [(answer, room) for answer in answers]
    while waiting:
        drafts = write([answer.context.text for answer, _ in waiting], [tokens for _, tokens in waiting])
        again = []
        for (answer, _), draft in zip(waiting, drafts):
            answer.read(draft)
            if answer.advance() and not finished(answer):
                left = room - count(answer.context.written)
                if left > 0:
                    answer.rewrites += 1
                    again.append((answer, left))
                else:
                    answer.stop = "length"
        waiting = again


def finished(answer: Answer) -> bool:
    """Whether a program changed the very last sentence of an answer that had ended by itself: nothing follows it."""
    return not answer.ahead and answer.stop != "length"


def after_the_answer(answers: Sequence[Answer], write: Writer, *, room: int, count: Callable[[str], int]) -> None:
    """Tools called once the whole answer stands: programs see its sentences in turn; then, if they changed any before
    the last, the last one is written anew, as a tool's result is read before one concludes."""
    for answer, draft in zip(answers, write([answer.context.text for answer in answers], [room] * len(answers))):
        answer.read(draft)
        while answer.ahead:
            answer.advance()
    again = [answer for answer in answers if answer.changed and answer.hooks.trace[-1].sentence < len(answer.context.sentences)]
    kept = [Context(answer.context.prompt, answer.context.sentences[:-1]) for answer in again]
    left = [max(1, room - count(context.written)) for context in kept]
    for answer, context, draft in zip(again, kept, write([context.text for context in kept], left)):
        answer.tokens += draft.tokens
        answer.stop, answer.rewrites = draft.stop, 1
        answer.context = Context(context.prompt, (*context.sentences, *split(draft.text)[:1]))
