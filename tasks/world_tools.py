"""Questions that a program could help with, answered in written steps: sums, facts about invented people, and sums over such facts.

The people are pairs of names, with facts drawn once from a fixed seed: `knowledge` holds them as sentences, for programs that look things
up. `tiny-step-writer` was trained on half of them and learned to decline on a quarter; the rest it never read of. Of all questions
one in four is kept for these tasks (`kept`), whatever their version, and no writer is trained on it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from harness.registry import task
from harness.templates import Template

from .world import lexicon
from .world.meaning import Sampler
from .world.task import WorldTask

PLACES, THINGS = lexicon.OTHER_CLUSTERS["place"], lexicon.OTHER_CLUSTERS["thing"]
LARGEST = 99  # the largest number that is one token
DECLINED = "nobody knows. the answer is unknown."
Group = Literal["known", "declined", "unread"]


class Facts(NamedTuple):
    """What is true of an invented person."""

    place: str
    thing: str
    coins: int


@cache
def people() -> dict[str, Facts]:
    """Every pair of different names, with facts drawn from one seed."""
    sampler = Sampler(np.random.default_rng(2412))
    pairs = (f"{first} {second}" for first in lexicon.NAMES for second in lexicon.NAMES if first != second)
    return {pair: Facts(sampler.pick(PLACES), sampler.pick(THINGS), 2 + sampler.below(48)) for pair in pairs}


def group(person: str) -> Group:
    """Whether the shipped step writer read a person's facts, learned to decline on them, or neither."""
    groups: tuple[Group, ...] = ("known", "known", "declined", "unread")
    return groups[zlib.crc32(person.encode()) % 4]


def kept(question: str) -> bool:
    """Whether a question may be asked by a task; all others are for the training of writers."""
    return zlib.crc32(question.encode()) % 4 == 0


def fact(person: str, about: str) -> str:
    """A fact as a sentence."""
    place, thing, coins = people()[person]
    told = {"place": f"lives near the {place}", "thing": f"owns the {thing}", "coins": f"has {coins} coins"}
    return f"{person} {told[about]}."


@cache
def knowledge() -> tuple[str, ...]:
    """Every fact, as sentences."""
    return tuple(fact(person, about) for person in people() for about in Facts._fields)


class StepsTask(WorldTask):
    """Generated answers of a few steps, of which only the number or word after "the answer is" counts."""

    kind = "generation"
    version: ClassVar[int] = 2  # 1's test accuracies had been seen when the retriever was changed
    metrics = ("exact_match",)
    floor = 0.02
    pretrained = False
    max_new_tokens = 40
    answer_filter = r"the answer is (\w+)"
    pool_size, test_size = 500, 300
    templates = {"steps": Template("question: {{ question }} answer: {{ answer }}", held_out=True)}
    knowledge: ClassVar[tuple[str, ...]] = ()

    def problem(self, sampler: Sampler) -> tuple[str, list[str], str] | None:
        """A question, the steps that answer it, and the answer; None where the draw is not usable."""
        raise NotImplementedError

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], str]:
        question, _, answer = next(drawn for drawn in self.problems(sampler) if kept(drawn[0]))
        return {"question": question}, answer

    def problems(self, sampler: Sampler) -> Iterator[tuple[str, list[str], str]]:
        """Question, steps and answer without end, kept questions and others."""
        while True:
            drawn = self.problem(sampler)
            if drawn is not None:
                yield drawn


@task("world-sums", tags=("text", "generation", "arithmetic", "steps"))
class WorldSums(StepsTask):
    """Somebody has so many things in so many boxes, gets some and loses some: two or three steps with numbers up to 99."""

    def problem(self, sampler: Sampler) -> tuple[str, list[str], str] | None:
        owner, other = sampler.names(2)
        thing = lexicon.plural(sampler.pick(THINGS[3:]))
        steps: list[str] = []
        if sampler.chance(0.5):
            boxes, each = 2 + sampler.below(8), 3 + sampler.below(10)
            total, lines = boxes * each, [f"{owner} has {boxes} boxes. every box has {each} {thing}."]
            steps.append(f"{boxes} * {each} = {total}.")
        else:
            total = 5 + sampler.below(60)
            lines = [f"{owner} has {total} {thing}."]
        for _ in range(2 if not steps else 1 + sampler.below(2)):
            change = 3 + sampler.below(30)
            gained = change >= total or sampler.chance(0.5)
            result = total + change if gained else total - change
            if not 0 < result <= LARGEST:
                return None
            lines.append(
                f"{owner} {'found' if gained else 'lost'} {change} {thing}."
                if sampler.chance(0.5)
                else self.gift(owner, other, change, thing, gained)
            )
            steps.append(f"{total} {'+' if gained else '-'} {change} = {result}.")
            total = result
        return f"{' '.join(lines)} how many {thing} has {owner} now?", steps, str(total)

    @staticmethod
    def gift(owner: str, other: str, change: int, thing: str, gained: bool) -> str:
        giver, taker = (other, owner) if gained else (owner, other)
        return f"{giver} gave {change} {thing} to {taker}."


@task("world-knowledge", tags=("text", "generation", "knowledge", "steps"))
class WorldKnowledge(StepsTask):
    """Near which place does an invented person live, or what does the person own? Three options stand in the question."""

    floor = 1 / 3
    knowledge: ClassVar[tuple[str, ...]] = knowledge()

    def problem(self, sampler: Sampler) -> tuple[str, list[str], str] | None:
        person = sampler.pick(tuple(people()))
        about = sampler.pick(("place", "thing"))
        gold = str(getattr(people()[person], about))
        options = sampler.some([gold, *sampler.some([word for word in (PLACES if about == "place" else THINGS) if word != gold], 2)], 3)
        asked = f"{person} lives near what?" if about == "place" else f"{person} owns what?"
        return f"{asked} options: {', '.join(options)}.", [fact(person, about)], gold


@task("world-wealth", tags=("text", "generation", "knowledge", "arithmetic", "steps"))
class WorldWealth(StepsTask):
    """How many coins have two invented people together? Two facts and a sum."""

    knowledge: ClassVar[tuple[str, ...]] = knowledge()

    def problem(self, sampler: Sampler) -> tuple[str, list[str], str] | None:
        first, second = sampler.some(tuple(people()), 2)
        one, two = people()[first].coins, people()[second].coins
        steps = [fact(first, "coins"), fact(second, "coins"), f"{one} + {two} = {one + two}."]
        return f"how many coins have {first} and {second} together?", steps, str(one + two)
