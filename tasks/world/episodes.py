"""Labelled text: episodes whose label words are drawn at random, so that only the demonstrations tell what they stand for.

An `Item` is a text with a class of some partition of the world; an episode is some items of a partition with two to four classes, a label word per class and one layout.
Later items can be labelled from earlier ones alone: that is what a model has to find out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import documents, lexicon, render
from .meaning import Event, Located, Owns, Related, Sampler, Thing


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of text; answers are what a model is mostly trained on.

    glued : no space before it. known : an answer that can be told without having seen its word before.
    """

    text: str
    answer: bool = False
    glued: bool = False
    known: bool = False


Document = list[Segment]
Draw = Callable[[int], str]
"""Class -> a new text of this class."""
Partitions = tuple[tuple[Callable[[Sampler], tuple[int, Draw]], float], ...]
"""Ways to divide the world into classes, each with its weight; a way draws how many classes there are and how to draw their texts."""

LAYOUTS: tuple[tuple[str, str, float], ...] = (
    ("{text} {answer}", ",", 0.15), ("{text} : {answer}", "\n", 0.15), ("{text} = {answer}", "\n", 0.1), ("{text} label: {answer}", "\n", 0.1), ("input: {text} output: {answer}", "\n", 0.1),
    ("{text} - {answer}", ",", 0.1), ("text: {text} answer: {answer}.", "\n", 0.1), ("{text}. it is {answer}.", " ", 0.1),
    ("{text} belongs to {answer}.", "\n", 0.05), ("{text}? {answer}", "\n\n", 0.05),
)  # fmt: skip


def words(sampler: Sampler) -> tuple[int, Draw]:
    """Single words of two to four clusters, sometimes in another language."""
    language = sampler.pick((0, 0, 0, 0, 1, 2))
    names = sampler.some(tuple(lexicon.CLUSTERS), 2 + sampler.below(3))
    table = lexicon.dictionary(language)
    return len(names), lambda label: table.get(word := sampler.pick(lexicon.CLUSTERS[names[label]]), word)


def repeats(sampler: Sampler) -> tuple[int, Draw]:
    """Two to four fixed words that come again and again: the simplest thing to read from demonstrations."""
    chosen = sampler.some(lexicon.vocabulary(), 2 + sampler.below(3))
    return len(chosen), lambda label: chosen[label]


def topic_nouns(sampler: Sampler) -> tuple[int, Draw]:
    """Words of two to four topics, of any of a topic's clusters."""
    chosen = sampler.some(tuple(lexicon.TOPICS), 2 + sampler.below(3))
    return len(chosen), lambda label: sampler.noun(chosen[label])


def topic_clauses(sampler: Sampler) -> tuple[int, Draw]:
    """Sentences on two or three topics, in one language."""
    chosen, language = sampler.some(tuple(lexicon.TOPICS), 2 + sampler.below(2)), sampler.pick((0, 0, 0, 1, 2))
    return len(chosen), lambda label: render.say(sampler.event(chosen[label], place=0.1), language)


def opinions(sampler: Sampler) -> tuple[int, Draw]:
    """Praise and blame, in one language."""
    language = sampler.pick((0, 0, 0, 1, 2))
    return 2, lambda label: render.say(sampler.opinion((1 + sampler.below(2)) * (1, -1)[label], sampler.thing(sampler.topic())), language)


def kinds(sampler: Sampler) -> tuple[int, Draw]:
    """Clauses of different kinds: opinions, events, places, possessions, relations."""

    def draw(label: int) -> str:
        first, second = sampler.names(2)
        makers: tuple[Callable[[], str], ...] = (
            lambda: render.say(sampler.opinion(sampler.pick((-2, -1, 0, 1, 2)), sampler.thing(sampler.topic()))),
            lambda: render.say(sampler.event(sampler.topic())),
            lambda: render.say(Located(first, sampler.pick(lexicon.OTHER_CLUSTERS["place"]))),
            lambda: render.say(Owns(first, Thing(sampler.pick(lexicon.OTHER_CLUSTERS["thing"])), 2 + sampler.below(9))),
            lambda: render.say(
                Related(first, sampler.pick(lexicon.OTHER_CLUSTERS["relative"] + lexicon.OTHER_CLUSTERS["contact"]), second)
            ),
        )
        return makers[order[label]]()

    order = sampler.some(range(5), 2 + sampler.below(3))
    return len(order), draw


def languages(sampler: Sampler) -> tuple[int, Draw]:
    """The language a sentence is in."""
    order = sampler.some(lexicon.LANGUAGES, 2 + sampler.below(2))
    return len(order), lambda label: render.say(documents.any_clause(sampler), order[label])


def cues(sampler: Sampler) -> tuple[int, Draw]:
    """Sentences that differ by one attribute, place or verb, all else drawn freely."""
    kind = sampler.pick(("colour", "size", "place", "verb"))
    pool = lexicon.OTHER_CLUSTERS["place"] if kind == "place" else lexicon.GENERAL_VERBS if kind == "verb" else lexicon.ATTRIBUTES[kind]
    chosen = sampler.some(pool, 2 + sampler.below(2))

    def draw(label: int) -> str:
        name, noun = sampler.pick(lexicon.NAMES), sampler.noun(sampler.topic())
        if kind == "place":
            return render.say(Located(name, chosen[label]))
        if kind == "verb":
            return render.say(Event(chosen[label], name, Thing(noun)))
        return render.say(Event(sampler.pick(lexicon.GENERAL_VERBS), name, Thing(noun, (chosen[label],))))

    return len(chosen), draw


SHORT: Partitions = ((words, 0.4), (repeats, 0.4), (topic_nouns, 0.1), (opinions, 0.1))
"""Partitions to begin with: short items, so that many labels fit into a row."""
PARTITIONS: Partitions = (
    (words, 0.30), (repeats, 0.10), (topic_nouns, 0.12), (topic_clauses, 0.15), (opinions, 0.15), (kinds, 0.06), (languages, 0.04), (cues, 0.08),
)  # fmt: skip


CLAUSES: Partitions = ((topic_clauses, 0.35), (opinions, 0.3), (kinds, 0.1), (cues, 0.1), (words, 0.1), (topic_nouns, 0.05))
"""Partitions of sentences mostly."""


def label_words(sampler: Sampler, number: int, *, bare: bool = False) -> list[str]:
    """Different label words: mostly ones without a meaning, else any words or numbers at all; `bare`: none that a task has as an answer."""
    if bare:
        return sampler.some(lexicon.SYMBOLS if sampler.chance(0.8) else [str(number) for number in range(6, 60)], number)
    if sampler.chance(0.5):
        return sampler.some(lexicon.SYMBOLS, number)
    if sampler.chance(0.4):
        return sampler.some(lexicon.LABEL_WORDS, number)
    if sampler.chance(0.3):
        return [str(word) for word in sampler.some(range(10), number)]
    return sampler.some(lexicon.vocabulary(), number)


def copies(sampler: Sampler) -> Document:
    """Random words said twice in the same order: what came after a word before comes after it again."""
    chosen = [sampler.pick(lexicon.vocabulary()) for _ in range(6 + sampler.below(12))]
    return [Segment(" ".join([*chosen, chosen[0]])), *(Segment(word, answer=True, known=True) for word in chosen[1:])]


def told(sampler: Sampler, *, items: int = 7) -> Document:
    """Words or short clauses of any language, each with what it amounts to: its topic, its cluster, a judgement, its English word."""
    kind = sampler.pick(("topic", "cluster", "judgement", "english", "clause topic", "clause judgement", "clause judgement"))
    language = sampler.pick((0, 0, 1, 2))
    result: Document = []
    for _ in range(items):
        text, answer = _told(sampler, kind, language)
        result += [Segment(text + ":"), Segment(answer, answer=True, known=True), Segment(".", glued=True)]
    return result


def _told(sampler: Sampler, kind: str, language: int) -> tuple[str, str]:
    topic, value, table = sampler.topic(), sampler.pick((-2, -1, 1, 2)), lexicon.dictionary(language)
    if kind == "clause topic":
        return render.say(sampler.event(topic, place=0.1), language), topic
    if kind == "clause judgement":
        return render.say(sampler.opinion(value, sampler.thing(topic), negation=0.4), language), documents.judgement(sampler, value)
    if kind == "judgement":
        return table[sampler.rare(lexicon.ADJECTIVES[value])], documents.judgement(sampler, value)
    if kind == "english":
        word = sampler.pick(lexicon.concepts())
        return lexicon.dictionary(1 + sampler.below(2))[word], word
    noun = sampler.noun(topic)
    return table[noun], topic if kind == "topic" else lexicon.HYPERNYM[noun]


def episode(sampler: Sampler, *, items: int = 12, partitions: Partitions = PARTITIONS, bare: bool = False) -> Document:
    """Items of one partition under random label words."""
    number, draw = documents.draw(sampler, partitions)(sampler)
    labels = label_words(sampler, number, bare=bare)
    layout, separator, _ = documents.draw(sampler, tuple((entry, entry[2]) for entry in LAYOUTS))
    before, after = layout.split("{answer}")
    result: Document = []
    for _ in range(items):
        label = sampler.below(number)
        result += [Segment(before.format(text=draw(label))), Segment(labels[label], answer=True)]
        tail = after + separator
        if tail.strip(" "):
            result.append(Segment(tail, glued=True))
    return result
