"""Saying a meaning in one of three languages.

Language 0 puts the verb second and the adjective before its noun; language 1 puts the verb last, adjectives after their noun and has postpositions and no article;
language 2 puts the verb first. Only language 0 has a passive, synonyms and contractions of style: the others are said one way.
"""

from __future__ import annotations

from functools import cache

from . import lexicon
from .meaning import Clause, Event, Located, Owns, Related, Sampler, State, Thing

_SYNONYMS = {**lexicon.SYNONYMS, **{form: lexicon.SYNONYMS[verb] for verb, form in lexicon.PARTICIPLES.items() if verb in lexicon.SYNONYMS}}


@cache
def _words(language: int) -> dict[str, str]:
    return lexicon.dictionary(language)


def translate(keys: list[str], language: int) -> str:
    """Keys in order, each by its word; what a language has no word for (names, numbers) stays."""
    words = _words(language)
    return " ".join([words.get(key, key) for key in keys])


def _noun_phrase(thing: str | Thing, language: int) -> list[str]:
    if isinstance(thing, str):
        return [thing]
    if language == 0:
        return ["the", *thing.adjectives, thing.noun]
    if language == 1:
        return [thing.noun, *thing.adjectives]
    return [*thing.adjectives, thing.noun]


def _state(clause: State, language: int) -> list[str]:
    subject = _noun_phrase(clause.thing, language)
    degree = [clause.degree] if clause.degree else []
    negation = ["not"] if clause.negated else []
    if language == 0:
        return [*subject, "was", *negation, *degree, clause.adjective]
    if language == 1:
        return [*subject, clause.adjective, *degree, *negation, "was"]
    return ["was", *negation, *subject, *degree, clause.adjective]


def _event(clause: Event, language: int, passive: bool) -> list[str]:
    agent, patient = _noun_phrase(clause.agent, language), _noun_phrase(clause.patient, language)
    negation = ["not"] if clause.negated else []
    if language == 0:
        place = ["in", "the", clause.place] if clause.place else []
        if passive:
            return [*patient, "was", *negation, lexicon.participle(clause.verb), "by", *agent, *place]
        return [*agent, *(["never"] if clause.negated else []), clause.verb, *patient, *place]
    if language == 1:
        return [*agent, *([clause.place, "in"] if clause.place else []), *patient, *negation, clause.verb]
    return [*negation, clause.verb, *agent, *patient, *(["in", clause.place] if clause.place else [])]


def _located(clause: Located, language: int) -> list[str]:
    subject = _noun_phrase(clause.subject, language)
    if language == 0:
        return [*subject, "was", "in", "the", clause.place]
    if language == 1:
        return [*subject, clause.place, "in", "was"]
    return ["was", *subject, "in", clause.place]


def _owns(clause: Owns, language: int) -> list[str]:
    thing = clause.thing
    if language == 0:
        if clause.number is None:
            return [clause.owner, "has", *_noun_phrase(thing, 0)]
        noun = thing.noun if clause.number == 1 else lexicon.plural(thing.noun)
        return [clause.owner, "has", str(clause.number), *thing.adjectives, noun]
    number = [] if clause.number is None else [str(clause.number)]
    if language == 1:
        return [clause.owner, *_noun_phrase(thing, 1), *number, "has"]
    return ["has", clause.owner, *number, *_noun_phrase(thing, 2)]


def _related(clause: Related, language: int) -> list[str]:
    if language == 0:
        return [clause.first, "is", "the", clause.relation, "of", clause.second]
    if language == 1:
        return [clause.first, clause.second, "of", clause.relation, "was"]
    return ["was", clause.first, clause.relation, "of", clause.second]


def keys(clause: Clause, language: int = 0, *, passive: bool = False) -> list[str]:
    """The clause as keys in the word order of a language."""
    if isinstance(clause, State):
        return _state(clause, language)
    if isinstance(clause, Event):
        return _event(clause, language, passive)
    if isinstance(clause, Located):
        return _located(clause, language)
    if isinstance(clause, Owns):
        return _owns(clause, language)
    return _related(clause, language)


def say(clause: Clause, language: int = 0, *, passive: bool = False) -> str:
    """The clause as text, without a full stop."""
    return translate(keys(clause, language, passive=passive), language)


def freely(clause: Clause, sampler: Sampler, *, synonyms: float = 0.3, passive: float = 0.25) -> str:
    """The clause in language 0, with synonyms and the passive drawn at random: the same meaning in other words."""
    turn = isinstance(clause, Event) and sampler.chance(passive)
    words = keys(clause, 0, passive=turn)
    return " ".join([_SYNONYMS[word] if word in _SYNONYMS and sampler.chance(synonyms) else word for word in words])


def join(first: Clause, second: Clause, link: str, language: int = 0) -> str:
    """Two clauses linked by "and", "but" or (said before the first) "although"."""
    before, after = keys(first, language), keys(second, language)
    if link == "although":
        if language == 0:
            return f"although {translate(before, 0)}, {translate(after, 0)}"
        return f"{translate(['although', *before], language)}, {translate(after, language)}"
    return f"{translate(before, language)} {translate([link], language)} {translate(after, language)}"
