"""Opinions: which way, how strong, whether at all, and in another domain than the one seen in training."""

from __future__ import annotations

from typing import Any

from harness.registry import task
from harness.templates import Template

from .world import lexicon, render
from .world.meaning import Event, Sampler, State, Thing
from .world.task import WorldTask


def opinion_text(sampler: Sampler, value: int, topics: tuple[str, ...], *, contrast: float = 0.45) -> str:
    """A text whose main clause has the opinion `value`; with probability `contrast` a lesser clause says the opposite."""
    thing = sampler.thing(sampler.pick(topics))
    main = sampler.opinion(value, thing, negation=0.4)
    if not sampler.chance(contrast):
        if sampler.chance(0.4):
            return f"{render.freely(sampler.event(sampler.pick(topics)), sampler)} and {render.say(main)}"
        return render.say(main)
    sign = -1 if value > 0 or (value == 0 and sampler.chance(0.5)) else 1
    lesser = sampler.opinion(sign * (1 + sampler.below(2)), sampler.thing(sampler.pick(topics)), negation=0.4)
    form = sampler.below(3)
    if form == 0:
        return render.join(lesser, main, "although")
    if form == 1:
        return render.join(lesser, main, "but")
    return f"{render.say(main)}, although {render.say(lesser)}"


class Sentiment(WorldTask):
    """Two-way sentiment; subclasses choose what the texts are about."""

    labels = ("negative", "positive")
    metrics = ("accuracy",)
    floor = 0.5
    templates = {
        "review": Template("{{ text }}. it was {{ answer }}.", answers={"negative": "bad", "positive": "good"}),
        "verdict": Template("review: {{ text }}. verdict: {{ answer }}.", answers={"negative": "negative", "positive": "positive"}),
        "feeling": Template("text: {{ text }}. feeling: {{ answer }}", answers={"negative": "hate", "positive": "love"}),
        "overall": Template(
            "sentence: {{ text }}. overall it was {{ answer }}.", answers={"negative": "terrible", "positive": "great"}, held_out=True
        ),
        "code": Template("{{ text }}. code: {{ answer }}", answers={"negative": "alpha", "positive": "beta"}, held_out=True),
    }

    def topics(self, split: str) -> tuple[str, ...]:
        return tuple(lexicon.TOPICS)

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        label = sampler.below(2)
        value = (1 + sampler.below(2)) * (1 if label else -1)
        return {"text": opinion_text(sampler, value, self.topics(split))}, label


@task("world-sentiment", tags=("text", "single-sentence", "sentiment"))
class WorldSentiment(Sentiment):
    """Is the main clause's opinion good or bad? Negation turns an adjective round and a lesser clause ("although ...", "... but") says the opposite
    in nearly half of the texts, so a bag of words is far from enough; late adjectives of the lexicon are rare."""


@task("world-sentiment-shift", tags=("text", "single-sentence", "sentiment", "domain-shift"))
class WorldSentimentShift(Sentiment):
    """Sentiment with a shift of domain: pool and `test` are about food, sport and animals; `test-shift` is about travel, technology and music
    and has a contrast in every text."""

    test_splits = ("test", "test-shift")
    clustered = True

    def topics(self, split: str) -> tuple[str, ...]:
        return ("travel", "technology", "music") if split == "test-shift" else ("food", "sport", "animals")

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        if split != "test-shift":
            return super().example(sampler, split)
        label = sampler.below(2)
        value = (1 + sampler.below(2)) * (1 if label else -1)
        return {"text": opinion_text(sampler, value, self.topics(split), contrast=1.0)}, label


@task("world-stars", tags=("text", "single-sentence", "sentiment", "ordinal"))
class WorldStars(WorldTask):
    """How good, from one to five: the adjective's strength, bent by "very" and "slightly" and turned round and weakened by "not"."""

    labels = ("1", "2", "3", "4", "5")
    metrics = ("accuracy", "f1_macro")
    floor = 0.2
    templates = {
        "stars": Template("{{ text }}. stars: {{ answer }}", answers={"1": "1", "2": "2", "3": "3", "4": "4", "5": "5"}),
        "judgement": Template(
            "{{ text }}. it was {{ answer }}.", answers={"1": "terrible", "2": "bad", "3": "okay", "4": "good", "5": "great"}
        ),
        "rating": Template(
            "review: {{ text }}. rating: {{ answer }}", answers={"1": "one", "2": "two", "3": "three", "4": "four", "5": "five"}
        ),
        "score": Template(
            "sentence: {{ text }}. score: {{ answer }}", answers={"1": "1", "2": "2", "3": "3", "4": "4", "5": "5"}, held_out=True
        ),
        "code": Template("{{ text }}. code: {{ answer }}", answers={"1": "a", "2": "b", "3": "c", "4": "d", "5": "e"}, held_out=True),
    }

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        label = sampler.below(5)
        return {"text": opinion_text(sampler, label - 2, tuple(lexicon.TOPICS), contrast=0.3)}, label


@task("world-subjectivity", tags=("text", "single-sentence", "subjectivity"))
class WorldSubjectivity(WorldTask):
    """Does the text give an opinion or a fact? Facts have attributes too ("the red soup was cold" is none of them: "the soup was red" is);
    neutral adjectives ("ordinary") are opinions. Kept out of pretraining altogether."""

    pretrained = False
    labels = ("fact", "opinion")
    metrics = ("accuracy",)
    floor = 0.5
    templates = {
        "kind": Template("{{ text }}. this is {{ answer }}.", answers={"fact": "fact", "opinion": "opinion"}, held_out=True),
        "question": Template(
            "is this a fact or an opinion? {{ text }}. answer: {{ answer }}", answers={"fact": "fact", "opinion": "opinion"}, held_out=True
        ),
        "code": Template("{{ text }}. code: {{ answer }}", answers={"fact": "alpha", "opinion": "beta"}, held_out=True),
    }

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        label, topic = sampler.below(2), sampler.topic()
        thing = sampler.thing(topic, attributes=0.4)
        if label:
            said = sampler.opinion(sampler.pick((-2, -1, 0, 1, 2)), thing)
        else:
            said = State(
                Thing(thing.noun),
                sampler.pick(lexicon.ATTRIBUTES[sampler.pick(("colour", "size", "material"))]),
                negated=sampler.chance(0.3),
            )
        event = Event(sampler.pick(lexicon.GENERAL_VERBS), sampler.pick(lexicon.NAMES), sampler.thing(sampler.topic(), attributes=0.5))
        parts = [render.say(said), render.freely(event, sampler)] if sampler.chance(0.6) else [render.say(said)]
        return {"text": " and ".join(sampler.some(parts, len(parts)))}, label
