"""Scenes in words, all of them words of the text world: captions, and expressions that refer to one thing of a scene."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ..world import lexicon
from .scene import Scene, SceneObject, relation

NUMBERS = ("no", "one", "two", "three", "four", "five")
_PROPERTIES = ("size", "colour", "texture")


def noun_phrase(thing: SceneObject, properties: tuple[str, ...] = ("colour",)) -> str:
    """A thing by its noun and some of size, colour and texture, in this order: "big red wooden ball"."""
    return " ".join([*(getattr(thing, name) for name in _PROPERTIES if name in properties), thing.shape])


def caption(scene: Scene, properties: tuple[str, ...] = ("colour",), *, relations: bool = True) -> str:
    """The scene in a line: "a red ball", "a red ball left of a blue box"; three and more things are listed, equal phrases counted where the
    text world knows the plural ("two red balls", but "a sun and a sun").

    relations : without them two things are listed too ("a red ball and a blue box").
    """
    if not scene.objects:
        return "nothing"
    if relations and len(scene.objects) == 2:
        first, second = scene.objects
        return f"{_one(first, properties)} {relation(first, second)} {_one(second, properties)}"
    phrases = [noun_phrase(thing, properties) for thing in scene.objects]
    parts = []
    for phrase in dict.fromkeys(phrases):
        number = phrases.count(phrase)
        *before, noun = phrase.split()
        if 1 < number < len(NUMBERS) and lexicon.plural(noun) in lexicon.vocabulary():
            parts.append(" ".join([NUMBERS[number], *before, lexicon.plural(noun)]))
        else:
            parts += [lexicon.article(phrase)] * number
    return " and ".join(parts)


def referring_expression(scene: Scene, index: int) -> str | None:
    """The shortest phrase that fits thing `index` and no other: by its noun, then with properties, then by where it stands from a thing
    that can itself be told apart ("the ball left of the blue box"). None where nothing does."""
    thing = scene.objects[index]
    others = _without(scene.objects, index)
    alone = _unique(thing, others)
    if alone is not None:
        return f"the {alone}"
    for number, anchor in enumerate(scene.objects):
        name = _unique(anchor, _without(scene.objects, number)) if number != index else None
        if name is None:
            continue
        where = relation(thing, anchor)
        rivals = [other for other in _without(scene.objects, index, number) if other.shape == thing.shape]
        if all(relation(other, anchor) != where for other in rivals):
            return f"the {thing.shape} {where} the {name}"
    return None


def _without(things: Sequence[SceneObject], *indices: int) -> list[SceneObject]:
    return [thing for number, thing in enumerate(things) if number not in indices]


def _unique(thing: SceneObject, others: list[SceneObject]) -> str | None:
    for number in range(len(_PROPERTIES) + 1):
        for properties in itertools.combinations(_PROPERTIES, number):
            phrase = noun_phrase(thing, properties)
            if all(noun_phrase(other, properties) != phrase for other in others):
                return phrase
    return None


def _one(thing: SceneObject, properties: tuple[str, ...]) -> str:
    return lexicon.article(noun_phrase(thing, properties))
