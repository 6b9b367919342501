"""Pairs of sentences: entailment, paraphrase, and the sense of a word in two contexts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.registry import task
from harness.templates import Template

from .world import documents, lexicon, render
from .world.meaning import Event, Sampler, Thing
from .world.task import WorldTask


def plain_event(sampler: Sampler, place: float = 0.6) -> Event:
    """A named person does something to a thing with one attribute, often somewhere."""
    event = sampler.event(sampler.topic(), place=place)
    noun = event.patient.noun if isinstance(event.patient, Thing) else "lamp"
    return replace(
        event, agent=sampler.pick(lexicon.NAMES), patient=Thing(noun, (sampler.pick(lexicon.ATTRIBUTES[sampler.pick(("colour", "size"))]),))
    )


def other(sampler: Sampler, options: tuple[str, ...], than: object) -> str:
    return sampler.pick([option for option in options if option != than])


def altered(event: Event, sampler: Sampler) -> Event:
    """The event with its negation, place, agent or attribute changed: what then cannot both be meant."""
    patient = event.patient
    assert isinstance(patient, Thing)
    kind = sampler.below(4 if event.place else 3)
    if kind == 0:
        return replace(event, agent=other(sampler, lexicon.NAMES, event.agent))
    if kind == 1:
        cluster = next(words for words in lexicon.ATTRIBUTES.values() if patient.adjectives[0] in words)
        return replace(event, patient=Thing(patient.noun, (other(sampler, cluster, patient.adjectives[0]),)))
    if kind == 2:
        return replace(
            event, patient=Thing(other(sampler, lexicon.NOUN_CLUSTERS[lexicon.HYPERNYM[patient.noun]], patient.noun), patient.adjectives)
        )
    return replace(event, place=other(sampler, lexicon.OTHER_CLUSTERS["place"], event.place))


@task("world-entailment", tags=("text", "sentence-pair", "entailment"))
class WorldEntailment(WorldTask):
    """Does the hypothesis follow, is it contradicted, or open? Following: less said (no place, no attribute), a cluster's name for its member,
    a synonym, the passive. Contradicted: negation on one side, another place. Open: more said, a member for its cluster."""

    labels = ("entailment", "neutral", "contradiction")
    metrics = ("accuracy", "f1_macro")
    floor = 1 / 3
    templates = {
        "true": Template(
            "{{ premise }}. {{ hypothesis }}? {{ answer }}", answers={"entailment": "yes", "neutral": "maybe", "contradiction": "no"}
        ),
        "claim": Template(
            "premise: {{ premise }}. claim: {{ hypothesis }}. the claim is {{ answer }}.",
            answers={"entailment": "true", "neutral": "unknown", "contradiction": "false"},
        ),
        "follows": Template(
            "{{ premise }}. so {{ hypothesis }}: {{ answer }}",
            answers={"entailment": "right", "neutral": "possible", "contradiction": "wrong"},
        ),
        "hypothesis": Template(
            "text: {{ premise }}. hypothesis: {{ hypothesis }}? answer: {{ answer }}",
            answers={"entailment": "yes", "neutral": "maybe", "contradiction": "no"},
            held_out=True,
        ),
        "code": Template(
            "{{ premise }}. {{ hypothesis }}. code: {{ answer }}",
            answers={"entailment": "a", "neutral": "b", "contradiction": "c"},
            held_out=True,
        ),
    }

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        label, event = sampler.below(3), plain_event(sampler, place=1.0)
        less = self._less(event, sampler)
        if label == 0:
            premise, hypothesis = event, less
        elif label == 1:
            premise, hypothesis = less, event
            if sampler.chance(0.3):
                premise, hypothesis = replace(less, negated=True), replace(altered(event, sampler), negated=sampler.chance(0.5))
                hypothesis = replace(hypothesis, agent=other(sampler, lexicon.NAMES, event.agent))
        elif sampler.chance(0.5):
            premise, hypothesis = event, replace(less, negated=True)
        else:
            premise, hypothesis = replace(less, negated=True), event
        said = [render.freely(clause, sampler, synonyms=0.4, passive=0.3) for clause in (premise, hypothesis)]
        return {"premise": said[0], "hypothesis": said[1]}, label

    @staticmethod
    def _less(event: Event, sampler: Sampler) -> Event:
        """The event with one thing or two left out or said more broadly."""
        patient = event.patient
        assert isinstance(patient, Thing)
        ways = sampler.some(("place", "attribute", "cluster"), 1 + sampler.below(2))
        if "attribute" in ways:
            patient = Thing(patient.noun)
        if "cluster" in ways:
            patient = Thing(lexicon.HYPERNYM[patient.noun], patient.adjectives)
        return replace(event, patient=patient, place=None if "place" in ways else event.place)


@task("world-paraphrase", tags=("text", "sentence-pair", "paraphrase"))
class WorldParaphrase(WorldTask):
    """Do two sentences mean the same? Same: synonyms, passive, clauses in another order. Different: one word replaced by a neighbour of its cluster,
    or the attributes or agents of two clauses exchanged, so that both sentences have the same words."""

    labels = ("different", "same")
    metrics = ("accuracy", "f1_macro")
    floor = 0.5
    templates = {
        "same": Template("{{ first }}. {{ second }}. same or different? {{ answer }}", answers={"different": "different", "same": "same"}),
        "meaning": Template(
            "first: {{ first }}. second: {{ second }}. same meaning? {{ answer }}", answers={"different": "no", "same": "yes"}
        ),
        "paraphrase": Template("{{ first }} means {{ second }}: {{ answer }}", answers={"different": "false", "same": "true"}),
        "compare": Template(
            "sentence: {{ first }}. sentence: {{ second }}. the meaning is {{ answer }}.",
            answers={"different": "different", "same": "same"},
            held_out=True,
        ),
        "code": Template("{{ first }}. {{ second }}. code: {{ answer }}", answers={"different": "alpha", "same": "beta"}, held_out=True),
    }

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        label = sampler.below(2)
        while True:
            first, second = self._pair(label, sampler)
            if first != second:
                return {"first": first, "second": second}, label

    def _pair(self, label: int, sampler: Sampler) -> tuple[str, str]:
        one, two = plain_event(sampler, place=0.2), plain_event(sampler, place=0.2)
        if sampler.chance(0.4):
            first, second = [one], [one if label else altered(one, sampler)]
        else:
            first = [one, two]
            second = [one, two] if label else self._exchanged(one, two, sampler)
            second = sampler.some(second, 2)
        said = [
            " and ".join(render.freely(clause, sampler, synonyms=0.4, passive=0.4) for clause in clauses) for clauses in (first, second)
        ]
        return said[0], said[1]

    @staticmethod
    def _exchanged(one: Event, two: Event, sampler: Sampler) -> list[Event]:
        if one.agent != two.agent and sampler.chance(0.5):
            return [replace(one, agent=two.agent), replace(two, agent=one.agent)]
        assert isinstance(one.patient, Thing) and isinstance(two.patient, Thing)
        if one.patient.adjectives == two.patient.adjectives:
            return [altered(one, sampler), two]
        return [
            replace(one, patient=replace(one.patient, adjectives=two.patient.adjectives)),
            replace(two, patient=replace(two.patient, adjectives=one.patient.adjectives)),
        ]


@task("world-word-in-context", tags=("text", "sentence-pair", "word-sense"))
class WorldWordInContext(WorldTask):
    """Is a word of two senses used in the same sense in two sentences? Only the words around it tell its topic, and none of them need be shared."""

    labels = ("different", "same")
    metrics = ("accuracy",)
    floor = 0.5
    templates = {
        "sense": Template("{{ first }}. {{ second }}. {{ word }}: {{ answer }} sense.", answers={"different": "different", "same": "same"}),
        "question": Template(
            "{{ first }}. {{ second }}. same sense of {{ word }}? {{ answer }}", answers={"different": "no", "same": "yes"}
        ),
        "used": Template(
            "word: {{ word }}. {{ first }}. {{ second }}. the use is {{ answer }}.", answers={"different": "unlike", "same": "alike"}
        ),
        "meaning": Template(
            "{{ first }}. {{ second }}. the meaning of {{ word }} is {{ answer }}.",
            answers={"different": "different", "same": "same"},
            held_out=True,
        ),
        "code": Template(
            "{{ word }}: {{ first }}. {{ second }}. code: {{ answer }}", answers={"different": "alpha", "same": "beta"}, held_out=True
        ),
    }

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        label = sampler.below(2)
        word = sampler.pick(tuple(lexicon.AMBIGUOUS))
        one, two = sampler.some(lexicon.AMBIGUOUS[word], 2)
        first = documents.ambiguous_sentence(sampler, word, one)
        second = documents.ambiguous_sentence(sampler, word, one if label else two)
        return {"word": word, "first": first, "second": second}, label
