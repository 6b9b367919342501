"""Generated answers: arithmetic word problems and sentences from records."""

from __future__ import annotations

from typing import Any

from harness.registry import task
from harness.templates import Template

from .world import lexicon
from .world.meaning import Sampler
from .world.task import WorldTask


@task("world-arithmetic", tags=("text", "generation", "arithmetic"))
class WorldArithmetic(WorldTask):
    """Word problems with a number to generate: somebody gets, loses or gives things once or twice; another person's or another thing's number distracts."""

    kind = "generation"
    metrics = ("exact_match",)
    floor = 0.05
    max_new_tokens = 4
    answer_filter = r"\d+"
    templates = {
        "question": Template("{{ text }} question: {{ question }}? answer: {{ answer }}"),
        "plain": Template("{{ text }} {{ question }}? {{ answer }}"),
        "solve": Template("solve: {{ text }} {{ question }}? the number is {{ answer }}."),
        "result": Template("{{ text }} {{ question }}? the answer is {{ answer }}.", held_out=True),
    }

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], str]:
        owner, other = sampler.names(2)
        thing, decoy = (lexicon.plural(noun) for noun in sampler.some(lexicon.OTHER_CLUSTERS["thing"], 2))
        total = 2 + sampler.below(11)
        lines = [f"{owner} has {total} {thing}."]
        if sampler.chance(0.4):
            number = 1 + sampler.below(12)
            lines.insert(sampler.below(2), f"{other} has {number} {thing}." if sampler.chance(0.5) else f"{owner} has {number} {decoy}.")
        for _ in range(1 + int(sampler.chance(0.35))):
            change = 1 + sampler.below(6)
            if change < total and sampler.chance(0.5):
                total -= change
                lines.append(
                    sampler.pick(
                        (f"{owner} lost {change} {thing}.", f"{owner} gave {change} {thing} to {other}.", f"{owner} sold {change} {thing}.")
                    )
                )
            else:
                total += change
                lines.append(
                    sampler.pick(
                        (
                            f"{owner} found {change} {thing}.",
                            f"{other} gave {change} {thing} to {owner}.",
                            f"{owner} bought {change} {thing}.",
                        )
                    )
                )
        return {"text": " ".join(lines), "question": f"how many {thing} has {owner} now"}, str(total)


@task("world-data-to-text", tags=("text", "generation", "data-to-text"))
class WorldDataToText(WorldTask):
    """A record of up to seven fields in any order becomes one or two sentences: the topic field decides between active and passive, "number" the plural,
    and an opinion, if there is one, follows with "and" where it is good and "but" where it is bad."""

    kind = "generation"
    metrics = ("bleu", "rouge_l", "exact_match")
    floor = 0.02
    max_new_tokens = 24
    templates = {
        "describe": Template("data: {{ record }}. text: {{ answer }}"),
        "record": Template("{{ record }} = {{ answer }}"),
        "report": Template("describe: {{ record }}. report: {{ answer }}"),
        "summary": Template("record: {{ record }}. description: {{ answer }}", held_out=True),
    }

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], str]:
        topic = sampler.topic()
        name, noun = sampler.pick(lexicon.NAMES), sampler.noun(topic)
        verb = sampler.pick(lexicon.GENERAL_VERBS + lexicon.TOPICS[topic]["verbs"])
        many = noun not in lexicon.UNCOUNTABLE and sampler.chance(0.4)
        fields = {"person": name, "action": verb, "thing": noun}
        if many:
            fields["number"] = str(2 + sampler.below(8))
        for field, options in (
            ("colour", lexicon.ATTRIBUTES["colour"]),
            ("size", lexicon.ATTRIBUTES["size"]),
            ("place", lexicon.OTHER_CLUSTERS["place"]),
        ):
            if sampler.chance(0.5):
                fields[field] = sampler.pick(options)
        if sampler.chance(0.5):
            fields["opinion"] = sampler.pick(lexicon.ADJECTIVES[sampler.pick((-2, -1, 1, 2))])
        if sampler.chance(0.4):
            fields["subject"] = "thing"
        record = "; ".join(f"{field}: {fields[field]}" for field in sampler.some(tuple(fields), len(fields)))
        return {"record": record}, self._text(fields)

    @staticmethod
    def _text(fields: dict[str, str]) -> str:
        noun = lexicon.plural(fields["thing"]) if "number" in fields else fields["thing"]
        words = [fields[field] for field in ("number", "size", "colour") if field in fields]
        phrase = " ".join([*words, noun] if "number" in fields else ["the", *words, noun])
        be, place = "were" if "number" in fields else "was", f" in the {fields['place']}" if "place" in fields else ""
        said = (
            f"{phrase} {be} {lexicon.participle(fields['action'])} by {fields['person']}{place}"
            if "subject" in fields
            else f"{fields['person']} {fields['action']} {phrase}{place}"
        )
        if "opinion" not in fields:
            return said + "."
        link = "and" if lexicon.VALENCE[fields["opinion"]] > 0 else "but"
        return f"{said}, {link} it was {fields['opinion']}."
