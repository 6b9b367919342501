"""Plain text of the world: which words belong together, what follows from what, and how the three languages match.

Nothing here is a labelled episode: a model learns from it that a robin is a bird, that superb things are great and dull ones bad, that cooks go with soup,
and which words of the languages mean the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from . import lexicon, render
from .meaning import Event, Located, Owns, Related, Sampler, State, Thing

T = TypeVar("T")

OPINION = {2: ("great", "excellent"), 1: ("good",), 0: ("okay",), -1: ("bad",), -2: ("terrible",)}
"""Words of judgement for each strength of opinion; the strong ones are also good or bad."""


def paragraph(sampler: Sampler, language: int = 0) -> str:
    """A few sentences on one topic and in one mood, sometimes with the topic or the judgement named."""
    topic, mood = sampler.topic(), sampler.pick((-2, -1, 0, 1, 2))
    sentences = []
    for _ in range(2 + sampler.below(3)):
        clause = sampler.opinion(mood, sampler.thing(topic)) if sampler.chance(0.5) else sampler.event(topic)
        sentences.append(render.freely(clause, sampler) if language == 0 and isinstance(clause, Event) else render.say(clause, language))
    if language == 0:
        if sampler.chance(0.3):
            sentences.append(f"it was {judgement(sampler, mood)}")
        if sampler.chance(0.2):
            sentences.append(sampler.pick((f"it was about {topic}", f"this is a story of {topic}", f"people like {topic}")))
    return ". ".join(sentences) + "."


def judgement(sampler: Sampler, value: int) -> str:
    """A word of judgement for an opinion's strength."""
    words = OPINION[value] + (OPINION[value // 2] if abs(value) == 2 else ())
    return sampler.pick(words)


def praise(sampler: Sampler) -> str:
    """Opinions with what they amount to: negation and degree turn and bend them."""
    lines = []
    for _ in range(1 + sampler.below(3)):
        value = sampler.pick((-2, -1, 0, 1, 2))
        state = sampler.opinion(value, sampler.thing(sampler.topic()), negation=0.4)
        lines.append(f"{render.say(state)}, so it was {judgement(sampler, value)}.")
    return " ".join(lines)


def group(sampler: Sampler) -> str:
    """Words of one cluster side by side, with or without its name."""
    name = sampler.pick(tuple(lexicon.CLUSTERS))
    words = sampler.some(lexicon.CLUSTERS[name], 3 + sampler.below(3))
    listed = ", ".join(words[:-1]) + f" and {words[-1]}"
    if name in lexicon.NOUN_CLUSTERS and sampler.chance(0.5):
        return (
            f"{listed} are {lexicon.plural(name)}."
            if sampler.chance(0.5)
            else " ".join(f"{lexicon.article(word)} is {lexicon.article(name)}." for word in words[:2])
        )
    if name in ("praise", "blame"):
        return f"{listed} mean {'good' if name == 'praise' else 'bad'}."
    if name in lexicon.ATTRIBUTES and sampler.chance(0.5):
        return f"{listed}: {name} words."
    return f"{listed} belong together."


def topics(sampler: Sampler) -> str:
    """What belongs to a topic."""
    topic = sampler.topic()
    groups = lexicon.TOPICS[topic]
    word = sampler.pick(groups[sampler.pick(tuple(groups))])
    other = sampler.noun(topic)
    return sampler.pick(
        (
            f"the {word} belongs to {topic}.",
            f"{word} and {other} are both about {topic}.",
            f"think of {topic}: {word}, {other}.",
            f"{word}: {topic}. {other}: {topic}.",
        )
    )


def synonyms(sampler: Sampler) -> str:
    """Words that mean the same, or nearly the same."""
    if sampler.chance(0.6):
        word = sampler.pick(tuple(lexicon.SYNONYMS))
        return sampler.pick(
            (
                f"{word} means {lexicon.SYNONYMS[word]}.",
                f"{lexicon.SYNONYMS[word]} means {word}.",
                f"{word} and {lexicon.SYNONYMS[word]} are the same.",
            )
        )
    value = sampler.pick((-2, -1, 1, 2))
    first, second = sampler.some(lexicon.ADJECTIVES[value], 2)
    return f"{first} is like {second}: {judgement(sampler, value)}."


def senses(sampler: Sampler) -> str:
    """A word of two senses, each among words of its topic."""
    word = sampler.pick(tuple(lexicon.AMBIGUOUS))
    topic = sampler.pick(lexicon.AMBIGUOUS[word])
    return f"{ambiguous_sentence(sampler, word, topic)}. here {word} is about {topic}."


def ambiguous_sentence(sampler: Sampler, word: str, topic: str) -> str:
    """A sentence of language 0 in which other words tell in which sense `word` is used."""
    groups = lexicon.TOPICS[topic]
    noun, verb, trade = sampler.noun(topic), sampler.pick(groups["verbs"]), sampler.pick(groups["people"])
    name = sampler.pick(lexicon.NAMES)
    return sampler.pick(
        (
            f"{name} {verb} the {word}",
            f"the {trade} {sampler.pick(lexicon.GENERAL_VERBS)} the {word}",
            f"{name} {sampler.pick(lexicon.GENERAL_VERBS)} the {word} and the {noun}",
            f"the {word} was near the {noun}",
            f"the {trade} {verb} the {noun} with the {word}",
        )
    )


def any_clause(sampler: Sampler) -> State | Event | Located | Owns | Related:
    """A clause of any kind that all three languages can say."""
    kind, topic = sampler.below(10), sampler.topic()
    if kind < 4:
        return sampler.opinion(sampler.pick((-2, -1, 0, 1, 2)), sampler.thing(topic))
    if kind < 7:
        return sampler.event(topic)
    first, second = sampler.names(2)
    if kind == 7:
        return Located(first, sampler.pick(lexicon.OTHER_CLUSTERS["place"]))
    if kind == 8:
        return Related(first, sampler.pick(lexicon.OTHER_CLUSTERS["relative"] + lexicon.OTHER_CLUSTERS["contact"]), second)
    return Owns(first, Thing(sampler.pick(lexicon.OTHER_CLUSTERS["thing"])), 2 + sampler.below(12))


def parallel(sampler: Sampler) -> str:
    """One meaning in two languages."""
    source, target = sampler.some(lexicon.LANGUAGES, 2)
    clause = any_clause(sampler)
    return f"{render.say(clause, source)} = {render.say(clause, target)}."


def glossary(sampler: Sampler) -> str:
    """Single words of two languages."""
    source, target = sampler.some(lexicon.LANGUAGES, 2)
    words = [sampler.pick(lexicon.concepts()) for _ in range(2 + sampler.below(4))]
    return " ".join(f"{lexicon.dictionary(source)[word]} = {lexicon.dictionary(target)[word]}." for word in words)


def story(sampler: Sampler) -> str:
    """People who move about and things they hold, with what follows from it."""
    people = sampler.names(2 + sampler.below(2))
    places = [sampler.pick(lexicon.OTHER_CLUSTERS["place"]) for _ in people]
    thing = sampler.pick(lexicon.OTHER_CLUSTERS["thing"])
    holder = sampler.below(len(people))
    lines = [f"{name} went to the {place}." for name, place in zip(people, places)]
    if sampler.chance(0.5):
        who = sampler.below(len(people))
        places[who] = sampler.pick(lexicon.OTHER_CLUSTERS["place"])
        lines.append(f"then {people[who]} went to the {places[who]}.")
    lines.insert(sampler.below(len(lines) + 1), f"{people[holder]} took the {thing}.")
    asked = sampler.below(len(people))
    lines.append(f"{people[asked]} is in the {places[asked]}." if sampler.chance(0.5) else f"the {thing} is in the {places[holder]}.")
    return " ".join(lines)


def sums(sampler: Sampler) -> str:
    """Small additions and subtractions."""
    first, second = 1 + sampler.below(12), 1 + sampler.below(8)
    if sampler.chance(0.5):
        return f"{first} plus {second} is {first + second}."
    return f"{first + second} minus {second} is {first}."


KINDS: tuple[tuple[Callable[[Sampler], str], float], ...] = (
    (paragraph, 0.22), (lambda s: paragraph(s, 1 + s.below(2)), 0.12), (praise, 0.10), (group, 0.12), (topics, 0.08), (synonyms, 0.05), (senses, 0.04),
    (parallel, 0.13), (glossary, 0.06), (story, 0.05), (sums, 0.03),
)  # fmt: skip


def document(sampler: Sampler) -> str:
    """One document of plain text."""
    return draw(sampler, KINDS)(sampler)


def draw(sampler: Sampler, weighted: tuple[tuple[T, float], ...]) -> T:
    """One of several things, by weight."""
    point = sampler.rng.random() * sum(weight for _, weight in weighted)
    for option, weight in weighted:
        point -= weight
        if point < 0:
            return option
    return weighted[-1][0]
