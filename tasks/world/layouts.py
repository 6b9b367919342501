"""Prompt layouts for pretraining beside a task's own templates: another head, another cue before the answer, label words of any of its templates.

With a few fixed templates a task a model learns their wording; with many it has to learn the task. No layout ends in the words
before the answer that a held-out template of its task ends in, so those stay unseen.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping

import numpy as np

from harness.templates import Template

from .meaning import Sampler
from .task import WorldTask

NUMBER = 24
"""Layouts a task."""
HEADS = ("", "", "", "text: ", "sentence: ", "input: ", "review: ", "news: ", "story: ", "statement: ", "words: ", "data: ")
CUES = (
    ("answer: ", ""), ("label: ", ""), ("output: ", ""), ("the answer is ", "."), ("the answer was ", "."), ("it is ", "."),
    ("it was ", "."), ("this is ", "."), ("this was ", "."), ("= ", ""), ("", ""),
)  # fmt: skip
"""What may stand before an answer and after it, whatever the task."""
NOUN_CUES = (("{}: ", ""), ("the {} is ", "."), ("the {} was ", "."), ("{} = ", ""))
"""The same with a noun from one of the task's templates, such as `topic`."""


def layouts(task: WorldTask, *, number: int = NUMBER) -> list[Template]:
    """Up to `number` layouts of a task, the same ones every time; none has the cue of a held-out template."""
    sampler = Sampler(np.random.default_rng([zlib.crc32(task.name.encode()), 11]))
    shown = [template for template in task.templates.values() if not template.held_out]
    kept_out = {cue_of(template.text) for template in task.templates.values() if template.held_out}
    cues = [*CUES, *(tuple(part.format(noun) for part in cue) for noun in nouns(shown) for cue in NOUN_CUES)]
    verbalizers = [template.answers for template in shown if isinstance(template.answers, Mapping)]
    result: dict[str, Template] = {}
    for _ in range(20 * number):
        source = sampler.pick(shown)
        text = varied(source.text, sampler.pick(HEADS), sampler.pick(cues))
        if text and cue_of(text) not in kept_out and len(result) < number:
            result.setdefault(text, Template(text, answers=sampler.pick(verbalizers) if verbalizers else source.answers))
    return list(result.values())


def nouns(templates: Iterable[Template]) -> list[str]:
    """Nouns that stand before an answer, as in `topic: {{ answer }}`."""
    found = (re.search(r"[.?] (\w+): \{\{ answer \}\}", template.text) for template in templates)
    return sorted({match[1] for match in found if match})


def varied(text: str, head: str, cue: tuple[str, ...]) -> str | None:
    """A template's text with another head, and another cue where a sentence ends before it; None for any other form of template."""
    match = re.fullmatch(r"(?:\w+: )?(\{\{.*\}\})([.?]?)([^{}]*)\{\{ answer \}\}([^{}]*)", text)
    if not match:
        return None
    if not match[2]:
        return f"{head}{match[1]}{match[3]}{{{{ answer }}}}{match[4]}"
    return f"{head}{match[1]}{match[2]} {cue[0]}{{{{ answer }}}}{cue[1]}"


def cue_of(text: str) -> str:
    """The words of a template between its last field and the answer."""
    return text.partition("{{ answer }}")[0].rpartition("}}")[2].strip(" .?")
