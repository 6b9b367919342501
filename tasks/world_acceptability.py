"""Acceptability of sentences of language 0."""

from __future__ import annotations

from typing import Any

from harness.registry import task
from harness.templates import Template

from .world import lexicon
from .world.meaning import Sampler
from .world.task import WorldTask


@task("world-acceptability", tags=("text", "single-sentence", "acceptability"))
class WorldAcceptability(WorldTask):
    """Is the sentence well formed? Broken ones have two neighbouring words swapped, a word missing or doubled, "was" for "were" (across an
    attractor noun of the other number), or the adjective behind its noun. All words occur in both classes."""

    labels = ("unacceptable", "acceptable")
    metrics = ("mcc", "accuracy")
    floor = 0.0
    templates = {
        "grammar": Template("{{ text }}. grammar: {{ answer }}", answers={"unacceptable": "bad", "acceptable": "good"}),
        "written": Template("sentence: {{ text }}. this is {{ answer }}.", answers={"unacceptable": "wrong", "acceptable": "correct"}),
        "question": Template(
            "is it correct english? {{ text }}. answer: {{ answer }}", answers={"unacceptable": "no", "acceptable": "yes"}
        ),
        "label": Template(
            "text: {{ text }}. the grammar is {{ answer }}.", answers={"unacceptable": "wrong", "acceptable": "correct"}, held_out=True
        ),
        "code": Template("{{ text }}. code: {{ answer }}", answers={"unacceptable": "alpha", "acceptable": "beta"}, held_out=True),
    }

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        label = sampler.below(2)
        words, spoil_agreement = self._sentence(sampler)
        if not label:
            words = spoil_agreement if spoil_agreement and sampler.chance(0.5) else self._spoil(words, sampler)
        return {"text": " ".join(words)}, label

    @staticmethod
    def _sentence(sampler: Sampler) -> tuple[list[str], list[str] | None]:
        topic = sampler.topic()
        noun = sampler.noun(topic)
        many = noun not in lexicon.UNCOUNTABLE and sampler.chance(0.5)
        attribute = [sampler.pick(lexicon.ATTRIBUTES[sampler.pick(("colour", "size"))])] if sampler.chance(0.5) else []
        subject = ["the", *attribute, lexicon.plural(noun) if many else noun]
        if sampler.chance(0.5):
            near = sampler.noun(topic)
            subject += ["near", "the", lexicon.plural(near) if near not in lexicon.UNCOUNTABLE and sampler.chance(0.5) else near]
        if sampler.chance(0.6):
            end = (
                [sampler.pick(("very", "really")), sampler.pick(lexicon.ADJECTIVES[sampler.pick((-2, -1, 1, 2))])]
                if sampler.chance(0.5)
                else ["in", "the", "garden"]
            )
            return [*subject, "were" if many else "was", *end], [*subject, "was" if many else "were", *end]
        verb = sampler.pick(lexicon.TOPICS[topic]["verbs"] + lexicon.GENERAL_VERBS)
        place = ["in", "the", sampler.pick(lexicon.OTHER_CLUSTERS["place"])] if sampler.chance(0.6) else []
        return [sampler.pick(lexicon.NAMES), verb, *subject, *place], None

    @staticmethod
    def _spoil(words: list[str], sampler: Sampler) -> list[str]:
        """Swap, drop or double a word such that no other well-formed sentence comes out."""
        articles = [i for i, word in enumerate(words) if word == "the"]
        kind, at = sampler.below(3), sampler.pick(articles)
        if kind == 0:
            return [*words[:at], words[at + 1], "the", *words[at + 2 :]]
        if kind == 1:
            return [*words[:at], *words[at + 1 :]]
        at = sampler.below(len(words) - 1)
        return [*words[: at + 1], *words[at:]]
