"""Relations between two named people, and facts about kinds of things."""

from __future__ import annotations

from typing import Any

from harness.registry import task
from harness.templates import Template

from .world import lexicon
from .world.meaning import Sampler
from .world.task import WorldTask

RELATIONS = ("worker", "boss", "pupil", "tutor", "buyer", "seller", "family", "friends")
FORMS: dict[str, tuple[str, ...]] = {
    "worker": ("{a} works for {b}", "{b} employs {a}", "{a} has {b} as boss"),
    "pupil": ("{b} teaches {a}", "{a} has {b} as tutor", "{a} goes to {b} in the school"),
    "buyer": ("{a} bought the {x} from {b}", "{b} sold the {x} to {a}", "{a} got the {x} from {b}"),
    "family": ("{a} is the {r} of {b}", "{b} has {a} as {r}"),
    "friends": ("{a} lives near {b}", "{a} is the friend of {b}", "{b} is the neighbour of {a}", "{a} often helps {b}"),
}
INVERSE = {"boss": "worker", "tutor": "pupil", "seller": "buyer"}


def relation_clause(sampler: Sampler, relation: str, first: str, second: str) -> str:
    """A clause that says `first` is the `relation` of `second`."""
    if relation in INVERSE:
        relation, first, second = INVERSE[relation], second, first
    form = sampler.pick(FORMS[relation])
    return form.format(
        a=first, b=second, x=sampler.pick(lexicon.OTHER_CLUSTERS["thing"]), r=sampler.pick(lexicon.OTHER_CLUSTERS["relative"])
    )


@task("world-relation", tags=("text", "relation", "many-class"))
class WorldRelation(WorldTask):
    """What is the first person to the second, of eight relations? Six come in pairs that differ by direction alone, forms of both orders exist,
    and another clause relates one of the two to somebody else."""

    labels = RELATIONS
    metrics = ("accuracy", "f1_macro")
    floor = 1 / 8
    templates = {
        "relation": Template(
            "{{ text }}. relation of {{ first }} to {{ second }}: {{ answer }}", answers={name: name for name in RELATIONS}
        ),
        "between": Template("{{ text }}. between {{ first }} and {{ second }}: {{ answer }}", answers={name: name for name in RELATIONS}),
        "who": Template("text: {{ text }}. {{ first }} is {{ answer }} to {{ second }}.", answers={name: name for name in RELATIONS}),
        "link": Template(
            "sentence: {{ text }}. the link from {{ first }} to {{ second }} is {{ answer }}.",
            answers={name: name for name in RELATIONS},
            held_out=True,
        ),
        "code": Template(
            "{{ first }}, {{ second }}: {{ text }}. code: {{ answer }}", answers=dict(zip(RELATIONS, "abcdefxy")), held_out=True
        ),
    }

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        label = sampler.below(8)
        first, second, third = sampler.names(3)
        clause = relation_clause(sampler, RELATIONS[label], first, second)
        if sampler.chance(0.7):
            pair = sampler.some((sampler.pick((first, second)), third), 2)
            extra = relation_clause(sampler, sampler.pick(RELATIONS), pair[0], pair[1])
            clause = " and ".join(sampler.some((clause, extra), 2))
        return {"text": clause, "first": first, "second": second}, label


@task("world-facts", tags=("text", "single-sentence", "knowledge"))
class WorldFacts(WorldTask):
    """Is a statement about kinds true ("some robins are birds", "no robin is a mammal")? Needs what words mean, and what "no", "not" and "every" do to it."""

    labels = ("false", "true")
    metrics = ("accuracy",)
    floor = 0.5
    pool_size, test_size = 3000, 1000
    templates = {
        "true": Template("{{ text }}. this is {{ answer }}.", answers={"false": "false", "true": "true"}),
        "right": Template("statement: {{ text }}. right or wrong? {{ answer }}", answers={"false": "wrong", "true": "right"}),
        "question": Template("is it a fact? {{ text }}. {{ answer }}", answers={"false": "no", "true": "yes"}),
        "claim": Template("claim: {{ text }}. answer: {{ answer }}.", answers={"false": "false", "true": "true"}, held_out=True),
        "code": Template("{{ text }}. code: {{ answer }}", answers={"false": "alpha", "true": "beta"}, held_out=True),
    }
    positive = (
        "{a} is a kind of {b}",
        "every {a} is {ab}",
        "{a} and {c} are both {bs}",
        "{a} belongs to {t}",
        "{a} and {d} are both about {t}",
    )
    negative = ("{a} is not a kind of {b}", "no {a} is {ab}", "{a} does not belong to {t}")

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        label = sampler.below(2)
        negated = sampler.chance(0.4)
        name = sampler.pick(tuple(lexicon.NOUN_CLUSTERS))
        topic = lexicon.CLUSTER_TOPIC[name]
        noun, near = sampler.some(lexicon.NOUN_CLUSTERS[name], 2)
        far = sampler.noun(topic)
        if label == negated:  # what is said must be untrue before its negation
            name = sampler.pick([key for key in lexicon.NOUN_CLUSTERS if key != name])
            topic = sampler.pick([key for key in lexicon.TOPICS if key != topic])
        form = sampler.pick(self.negative if negated else self.positive)
        return {"text": form.format(a=noun, b=name, ab=lexicon.article(name), c=near, d=far, bs=lexicon.plural(name), t=topic)}, label
