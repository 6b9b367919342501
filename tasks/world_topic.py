"""Topics and intents: single texts with six and twenty-four classes, and kinds of question."""

from __future__ import annotations

from typing import Any

from harness.registry import task
from harness.templates import Template

from .world import lexicon
from .world.meaning import Sampler
from .world.task import WorldTask

TOPICS = ("food", "sport", "music", "animals", "travel", "technology")
OTHER_WORDS = {"food": "eating", "sport": "games", "music": "sound", "animals": "nature", "travel": "trips", "technology": "machines"}


@task("world-topic", tags=("text", "single-sentence", "topic"))
class WorldTopic(WorldTask):
    """Which of six topics do most of a text's words belong to? One word or two are of another topic and stand in any place;
    words of two senses count for the topic that the rest is about."""

    labels = TOPICS
    metrics = ("accuracy", "f1_macro")
    floor = 1 / 6
    templates = {
        "topic": Template("{{ text }}. topic: {{ answer }}", answers={name: name for name in TOPICS}),
        "about": Template("text: {{ text }}. it is about {{ answer }}.", answers={name: name for name in TOPICS}),
        "category": Template("{{ text }}. category: {{ answer }}", answers=OTHER_WORDS),
        "subject": Template("article: {{ text }}. the subject was {{ answer }}.", answers={name: name for name in TOPICS}, held_out=True),
        "code": Template("{{ text }}. code: {{ answer }}", answers=dict(zip(TOPICS, "abcdef")), held_out=True),
    }

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        label = sampler.below(6)
        topic = TOPICS[label]
        other = sampler.pick([name for name in TOPICS if name != topic])
        groups = lexicon.TOPICS[topic]
        words = [sampler.noun(topic), sampler.noun(topic) if sampler.chance(0.7) else self._ambiguous(sampler, topic), sampler.noun(other)]
        if sampler.chance(0.25):
            words += [sampler.noun(topic), sampler.noun(other)]
        first, second, *rest = sampler.some(list(dict.fromkeys(words)), 5)
        who = sampler.pick(lexicon.NAMES) if sampler.chance(0.75) else f"the {sampler.pick(groups['people'])}"
        verb = sampler.pick(lexicon.GENERAL_VERBS)
        tail = " ".join(f"and the {word}" for word in rest)
        return {"text": f"{who} {verb} the {first}, the {second} {tail}".strip()}, label

    @staticmethod
    def _ambiguous(sampler: Sampler, topic: str) -> str:
        return sampler.pick([word for word, senses in lexicon.AMBIGUOUS.items() if topic in senses])


@task("world-intent", tags=("text", "single-sentence", "intent", "many-class"))
class WorldIntent(WorldTask):
    """Which of 24 intents (four actions on six kinds of object) has the user? Actions and objects have synonyms, and texts mention
    other actions ("do not ...") and objects ("before the ...") that are not what is asked for."""

    labels = lexicon.INTENTS
    metrics = ("accuracy", "f1_macro")
    floor = 1 / 24
    templates = {
        "intent": Template("{{ text }}. intent: {{ answer }}", answers={name: name for name in lexicon.INTENTS}),
        "request": Template("request: {{ text }}. the goal is {{ answer }}.", answers={name: name for name in lexicon.INTENTS}),
        "command": Template("user: {{ text }}. command: {{ answer }}", answers={name: name for name in lexicon.INTENTS}, held_out=True),
        "action": Template(
            "text: {{ text }}. the action was {{ answer }}.", answers={name: name for name in lexicon.INTENTS}, held_out=True
        ),
    }

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        label = sampler.below(24)
        actions, objects = tuple(lexicon.INTENT_ACTIONS), tuple(lexicon.INTENT_OBJECTS)
        action, thing = actions[label // 6], objects[label % 6]
        verb, noun = sampler.pick(lexicon.INTENT_ACTIONS[action]), sampler.pick(lexicon.INTENT_OBJECTS[thing])
        start = sampler.pick(("please", "i want to", "can you", "i need to", "could you please", "i would like to"))
        text = f"{start} {verb} {sampler.pick(('the', 'my', 'a'))} {noun}"
        if sampler.chance(0.3):
            wrong = sampler.pick([name for name in actions if name != action])
            text = f"do not {sampler.pick(lexicon.INTENT_ACTIONS[wrong])} the {noun}, {verb} it"
        if sampler.chance(0.5):
            other = sampler.pick(lexicon.INTENT_OBJECTS[sampler.pick([name for name in objects if name != thing])])
            when = f"{sampler.pick(('before', 'after'))} the {other}"
            text = f"{text} {when}" if sampler.chance(0.5) else f"{when}, {text}"
        if sampler.chance(0.4):
            text += f" {sampler.pick(('on', 'for'))} {sampler.pick(lexicon.OTHER_CLUSTERS['day'])}"
        return {"text": text}, label


@task("world-question", tags=("text", "single-sentence", "question-type"))
class WorldQuestion(WorldTask):
    """What kind of answer does a question want: a person, place, number, day, reason or thing? Question words are not enough:
    "in what place", "on which day", "what person". Kept out of pretraining altogether."""

    pretrained = False
    labels = ("person", "place", "number", "day", "reason", "thing")
    metrics = ("accuracy", "f1_macro")
    floor = 1 / 6
    templates = {
        "answer": Template("{{ text }}? the answer is a {{ answer }}.", answers={name: name for name in labels}, held_out=True),
        "type": Template("question: {{ text }}? type: {{ answer }}", answers={name: name for name in labels}, held_out=True),
        "code": Template("{{ text }}? code: {{ answer }}", answers=dict(zip(labels, "abcdef")), held_out=True),
    }
    starts = {
        "person": ("who", "what person", "whose friend", "which neighbour"),
        "place": ("where has", "in what place has", "to which place has"),
        "number": ("how many times has", "how often has", "what number of times has"),
        "day": ("when has", "on which day has", "on what day has"),
        "reason": ("why has", "for what reason has", "because of what has"),
        "thing": ("what has", "which thing has", "what thing has"),
    }

    def example(self, sampler: Sampler, split: str) -> tuple[dict[str, Any], int]:
        label = sampler.below(6)
        name, other = sampler.names(2)
        noun = sampler.noun(sampler.topic())
        start = sampler.pick(self.starts[self.labels[label]])
        subject = "" if label == 0 else f" {name}"
        verb = sampler.pick(lexicon.GENERAL_VERBS)
        verb = lexicon.participle(verb) if " has" in start else verb
        place = f" in the {sampler.pick(lexicon.OTHER_CLUSTERS['place'])}" if label != 1 and sampler.chance(0.6) else ""
        day = f" on {sampler.pick(lexicon.OTHER_CLUSTERS['day'])}" if label != 3 and sampler.chance(0.5) else ""
        patient = f"from {other}" if label == 5 else f"the {noun}"
        return {"text": f"{start}{subject} {verb} {patient}{place}{day}".replace("  ", " ")}, label
