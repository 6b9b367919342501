"""Cross-lingual transfer: trained in language 0, tested in all three."""

from __future__ import annotations

from typing import Any

from harness.registry import task
from harness.templates import Template

from .world import lexicon, render
from .world.meaning import Event, Sampler, Thing
from .world.task import WorldTask

TOPICS = tuple(lexicon.TOPICS)


class CrossLingual(WorldTask):
    """Pool in language 0; test rows in languages 0, 1 and 2, named by their cluster. Pretraining shows prompts of every language."""

    test_splits = ("test", "test-lang1", "test-lang2")
    test_size = 1200
    clustered = True

    def language(self, sampler: Sampler, split: str) -> int:
        if split == "pretraining":
            return sampler.pick(lexicon.LANGUAGES)
        return {"test-lang1": 1, "test-lang2": 2}.get(split, 0)


@task("world-crosslingual-topic", tags=("text", "single-sentence", "topic", "cross-lingual"))
class WorldCrosslingualTopic(CrossLingual):
    """The topic of two linked clauses, one of which may have a thing of another topic; the words of the test languages are never labelled in training."""

    labels = TOPICS
    metrics = ("accuracy", "f1_macro")
    floor = 1 / 6
    templates = {
        "topic": Template("{{ text }}. topic: {{ answer }}", answers={name: name for name in TOPICS}),
        "news": Template("news: {{ text }}. theme: {{ answer }}", answers={name: name for name in TOPICS}),
        "about": Template("{{ text }}. this was about {{ answer }}.", answers={name: name for name in TOPICS}, held_out=True),
        "code": Template("{{ text }}. code: {{ answer }}", answers=dict(zip(TOPICS, "abcdef")), held_out=True),
    }

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        language, label = self.language(sampler, split), sampler.below(6)
        topic = TOPICS[label]
        other = sampler.pick([name for name in TOPICS if name != topic])
        people = sampler.names(2)
        clauses = [
            Event(sampler.pick(lexicon.TOPICS[topic]["verbs"]), people[0], sampler.thing(topic)) if sampler.chance(0.5) else
            Event(sampler.pick(lexicon.GENERAL_VERBS), Thing(sampler.pick(lexicon.TOPICS[topic]["people"])), sampler.thing(topic)),
            Event(sampler.pick(lexicon.GENERAL_VERBS), people[1], sampler.thing(other if sampler.chance(0.5) else topic)),
        ]  # fmt: skip
        first, second = sampler.some(clauses, 2)
        return {"text": render.join(first, second, "and", language)}, label


@task("world-crosslingual-sentiment", tags=("text", "single-sentence", "sentiment", "cross-lingual"))
class WorldCrosslingualSentiment(CrossLingual):
    """Sentiment of the main clause, with negation and a contrast, in languages whose negation stands elsewhere in the sentence."""

    labels = ("negative", "positive")
    metrics = ("accuracy",)
    floor = 0.5
    templates = {
        "review": Template("{{ text }}. it was {{ answer }}.", answers={"negative": "bad", "positive": "good"}),
        "critic": Template("critic: {{ text }}. mood: {{ answer }}", answers={"negative": "negative", "positive": "positive"}),
        "opinion": Template("opinion: {{ text }}. all was {{ answer }}.", answers={"negative": "bad", "positive": "good"}, held_out=True),
        "code": Template("{{ text }}. code: {{ answer }}", answers={"negative": "alpha", "positive": "beta"}, held_out=True),
    }

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        language, label = self.language(sampler, split), sampler.below(2)
        sign = 1 if label else -1
        main = sampler.opinion(sign * (1 + sampler.below(2)), sampler.thing(sampler.topic()), negation=0.4)
        if sampler.chance(0.5):
            lesser = sampler.opinion(-sign * (1 + sampler.below(2)), sampler.thing(sampler.topic()), negation=0.4)
            return {"text": render.join(lesser, main, sampler.pick(("although", "but")), language)}, label
        return {"text": render.join(sampler.event(sampler.topic(), place=0.2), main, "and", language)}, label
