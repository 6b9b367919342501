"""What can be said in the world, apart from any language: things, states, events, places, relations; and how to draw them.

Meanings are frozen values, so equal meanings are equal objects. `Sampler` draws words with a fixed, skewed frequency: late words of a cluster are rare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from . import lexicon

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Thing:
    """A noun with attributes: `Thing("soup", ("red",))`."""

    noun: str
    adjectives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """A thing is so: `State(Thing("soup"), "superb", degree="very", negated=True)`."""

    thing: Thing
    adjective: str
    degree: str | None = None
    negated: bool = False

    @property
    def value(self) -> int:
        """Strength of opinion from -2 to 2: degrees bend it, a negation turns it round and weakens it."""
        value = lexicon.VALENCE.get(self.adjective, 0)
        if self.degree == "slightly":
            value = int(np.sign(value))
        elif self.degree is not None:
            value *= 2
        value = max(-2, min(2, value))
        return -int(np.sign(value)) if self.negated else value


@dataclass(frozen=True, slots=True)
class Event:
    """Someone does something to a thing, perhaps somewhere. A person is a name (`str`) or a `Thing`."""

    verb: str
    agent: str | Thing
    patient: str | Thing
    place: str | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Located:
    """A person or thing is at a place."""

    subject: str | Thing
    place: str


@dataclass(frozen=True, slots=True)
class Owns:
    """Someone has so many of a thing (a number) or the thing (None)."""

    owner: str
    thing: Thing
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Related:
    """`first` is the `relation` of `second`."""

    first: str
    relation: str
    second: str


Clause = State | Event | Located | Owns | Related


def negate(clause: State | Event) -> State | Event:
    """The clause with its truth turned round."""
    return replace(clause, negated=not clause.negated)


class Sampler:
    """Draws parts of meanings from one generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def below(self, limit: int) -> int:
        return int(self.rng.random() * limit)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all alike."""
        return options[int(self.rng.random() * len(options))]

    def rare(self, options: Sequence[T]) -> T:
        """One of the options, the later the rarer: the first about four times as often as the last."""
        return options[int(len(options) * self.rng.random() ** 1.5)]

    def some(self, options: Sequence[T], number: int) -> list[T]:
        """Different options in random order."""
        return [options[i] for i in self.rng.permutation(len(options))[:number]]

    def names(self, number: int) -> list[str]:
        return self.some(lexicon.NAMES, number)

    def topic(self) -> str:
        return self.pick(tuple(lexicon.TOPICS))

    def noun(self, topic: str) -> str:
        groups = lexicon.TOPICS[topic]
        return self.rare(groups[self.pick([name for name in groups if name not in ("people", "verbs")])])

    def person(self, topic: str | None = None) -> str | Thing:
        """A name, or somebody of a topic's trade."""
        if topic is not None and self.chance(0.3):
            return Thing(self.pick(lexicon.TOPICS[topic]["people"]))
        return self.pick(lexicon.NAMES)

    def thing(self, topic: str, attributes: float = 0.25) -> Thing:
        adjectives = (self.pick(lexicon.ATTRIBUTES[self.pick(("colour", "size"))]),) if self.chance(attributes) else ()
        return Thing(self.noun(topic), adjectives)

    def opinion(self, value: int, thing: Thing, *, negation: float = 0.25) -> State:
        """A state whose `value` is the one asked for, in one of the ways there are to say it."""
        if value == 0:
            return State(thing, self.rare(lexicon.ADJECTIVES[0]), negated=False)
        if abs(value) == 1 and self.chance(negation):
            degree = self.pick((None, "very", "really"))
            return State(thing, self.rare(lexicon.ADJECTIVES[-value * (1 if degree or self.chance(0.5) else 2)]), degree, negated=True)
        if abs(value) == 1:
            if self.chance(0.2):
                return State(thing, self.rare(lexicon.ADJECTIVES[2 * value]), "slightly")
            return State(thing, self.rare(lexicon.ADJECTIVES[value]), self.pick((None, None, "slightly")))
        if self.chance(0.3):
            return State(thing, self.rare(lexicon.ADJECTIVES[value // 2]), self.pick(("very", "really")))
        return State(thing, self.rare(lexicon.ADJECTIVES[value]), self.pick((None, None, "really", "very")))

    def event(self, topic: str, *, place: float = 0.3) -> Event:
        verb = self.pick(lexicon.TOPICS[topic]["verbs"]) if self.chance(0.5) else self.pick(lexicon.GENERAL_VERBS)
        where = self.pick(lexicon.OTHER_CLUSTERS["place"]) if self.chance(place) else None
        return Event(verb, self.person(topic), self.thing(topic), where)
