"""The hook of docs/language-hooks.md, taken from the page: it mends what it should, between sentences, and keeps a hook's promises."""

from __future__ import annotations

import re
from typing import Any

from harness.methods.hooks.calculator import Calculator
from harness.methods.hooks.hook import Context, Hook, Switchboard
from harness.methods.hooks.loop import Answer, Draft, between_sentences
from harness.methods.hooks.retriever import Retriever
from harness.methods.language_hooks import HOOKS

from .bench import text_of

PAGE = text_of("language-hooks.md")


def comparer() -> Hook:
    ((_, code),) = re.findall(r"```python file=(\S+)\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"__name__": "comparer"}
    exec(compile(code, "comparer.py", "exec"), names)  # the page's own code
    made: Hook = names["Comparer"]()
    return made


def answered(text: str, *hooks: Hook, follows: str = "") -> Answer:
    answer = Answer(Context("question: x?"), Switchboard(hooks, threshold=0.5, calls=4, offers=("knowledge",)))
    drafts = iter([text, follows, ""])
    between_sentences(
        [answer], lambda contexts, left: [Draft(next(drafts), 1, "end") for _ in contexts], room=60, count=lambda text: len(text.split())
    )
    return answer


def test_the_pages_hook_turns_a_wrong_comparison_alone() -> None:
    hook = comparer()
    assert (
        answered("47 is less than 41. the answer is 41.", hook, follows="the answer is 47.").text == "47 is more than 41. the answer is 47."
    )
    for text in ("47 is more than 41.", "3 is less than 5.", "5 is more than 5.", "no number here."):
        assert not answered(text, hook).hooks.trace


def test_the_pages_example_is_what_happens() -> None:
    written = re.findall(r"^\| (anna leo has|ben mia has|14 \+ 27 =)( \d+)", PAGE, re.MULTILINE)
    assert [number.strip() for _, number in written] == ["20", "27", "31"]
    knowledge = ("anna leo has 14 coins.", "ben mia has 27 coins.", "anna leo lives near the park.")
    answer = Answer(
        Context("question: x?"), Switchboard([Calculator(), Retriever(knowledge)], threshold=0.5, calls=4, offers=("knowledge",))
    )
    script = {
        "x?": "anna leo has 20 coins. ben mia has 27 coins. 20 + 27 = 31. the answer is 31.",
        "14 coins.": "ben mia has 27 coins. 14 + 27 = 31. the answer is 31.",
        "= 41.": "the answer is 41.",
    }
    between_sentences(
        [answer],
        lambda contexts, left: [Draft(next(text for end, text in script.items() if c.endswith(end)), 1, "end") for c in contexts],
        room=60,
        count=lambda text: len(text.split()),
    )
    assert answer.text == "anna leo has 14 coins. ben mia has 27 coins. 14 + 27 = 41. the answer is 41."
    assert [event.hook for event in answer.hooks.trace] == ["retriever", "calculator"]


def test_the_page_names_every_hook() -> None:
    assert all(f"| `{name}` |" in PAGE for name in HOOKS)
