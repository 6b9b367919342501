"""Short passages with a question and choices: reading, questions of two hops, and the odd one out."""

from __future__ import annotations

from typing import Any

from harness.registry import task
from harness.templates import Template

from .world import lexicon
from .world.meaning import Sampler
from .world.task import WorldTask

PLACES, THINGS = lexicon.OTHER_CLUSTERS["place"], lexicon.OTHER_CLUSTERS["thing"]
QUESTION_TEMPLATES = {
    "question": Template("{{ passage }} question: {{ question }}? answer: {{ answer }}"),
    "reading": Template("{{ passage }} {{ question }}? {{ answer }}"),
    "story": Template("story: {{ passage }} {{ question }}? it is {{ answer }}."),
    "context": Template("context: {{ passage }} question: {{ question }}? the answer is {{ answer }}.", held_out=True),
}


@task("world-reading", tags=("text", "multiple-choice", "reading"))
class WorldReading(WorldTask):
    """Where is somebody now, who went to a place, or who took a thing? All four choices stand in the passage; people who move twice are at the later place."""

    kind = "choice"
    metrics = ("accuracy",)
    floor = 0.25
    templates = QUESTION_TEMPLATES

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        people, places, things = sampler.names(4), sampler.some(PLACES, 4), sampler.some(THINGS, 4)
        kind = sampler.below(3)
        if kind == 0:
            pairs = sampler.some(range(3), 3)
            lines = [f"{people[i]} went to the {places[i]}." for i in pairs] + [f"then {people[0]} went to the {places[3]}."]
            asked = 0 if sampler.chance(0.5) else 1 + sampler.below(2)
            choices, gold, question = places, places[3] if asked == 0 else places[asked], f"where is {people[asked]} now"
        else:
            lines = [f"{people[i]} went to the {places[i]}." if kind == 1 else f"{people[i]} took the {things[i]}." for i in range(4)]
            asked = sampler.below(4)
            choices, gold = people, people[asked]
            question = f"who went to the {places[asked]}" if kind == 1 else f"who took the {things[asked]}"
            lines = sampler.some(lines, 4)
        choices = sampler.some(choices, 4)
        return {"passage": " ".join(lines), "question": question, "choices": choices}, choices.index(gold)


@task("world-multi-hop", tags=("text", "multiple-choice", "multi-hop"))
class WorldMultiHop(WorldTask):
    """Where is a thing? Somebody took it, and that somebody went somewhere: two sentences have to be joined, among others of the same form."""

    kind = "choice"
    metrics = ("accuracy",)
    floor = 1 / 3
    templates = QUESTION_TEMPLATES

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        people, places, things = sampler.names(3), sampler.some(PLACES, 3), sampler.some(THINGS, 3)
        lines = [f"{people[i]} took the {things[i]}." for i in sampler.some(range(3), 3)]
        lines += [f"{people[i]} went to the {places[i]}." for i in sampler.some(range(3), 3)]
        asked = sampler.below(3)
        choices = sampler.some(places, 3)
        return {"passage": " ".join(lines), "question": f"where is the {things[asked]}", "choices": choices}, choices.index(places[asked])


@task("world-odd-one-out", tags=("text", "multiple-choice", "lexical"))
class WorldOddOneOut(WorldTask):
    """Which of four words does not belong to the others' cluster? Half of the odd ones are of the same topic or part of speech."""

    kind = "choice"
    metrics = ("accuracy",)
    floor = 0.25
    templates = {
        "belongs": Template("{{ words }}: all but {{ answer }} belong together."),
        "different": Template("words: {{ words }}. different: {{ answer }}"),
        "other": Template("{{ words }}. the other one is {{ answer }}."),
        "list": Template("list: {{ words }}. the wrong one is {{ answer }}.", held_out=True),
    }

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        table = lexicon.CLUSTERS if sampler.chance(0.5) else lexicon.NOUN_CLUSTERS
        name, wrong = sampler.some([key for key in table if len(table[key]) > 2], 2)
        words = sampler.some(table[name], 3)
        odd = sampler.pick([word for word in table[wrong] if word not in words])
        choices = sampler.some([*words, odd], 4)
        return {"words": ", ".join(choices), "choices": choices}, choices.index(odd)
