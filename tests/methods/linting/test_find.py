"""Which strings are taken for prompts, and what they are worth, without running anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.methods.linting.corpus import FORMS, UNCOVERED
from harness.methods.linting.find import DETECTORS, find
from harness.methods.linting.task_files import find_in_task

FILE = Path("x.py")
TEXT = "Name three rivers of Peru"
FOUND = {
    "tool-class": f"class Rivers(BaseTool):\n    description: str = {TEXT!r}\n",
    "tool-docstring": f"@tool('rivers')\ndef rivers():\n    '''{TEXT}'''\n",
    "template-call": f"import p\np.ChatPromptTemplate.from_messages([('system', {TEXT!r})])\n",
    "completion-call": f"client.chat.completions.create(messages=[{{'role': 'user', 'content': [{{'type': 'text', 'text': {TEXT!r}}}]}}])\n",
    "chat-method": f"model.chat({TEXT!r})\n",
    "name": f"self.systemPrompt = {TEXT!r}\n",
}


@pytest.mark.parametrize("detector", FOUND)
def test_each_detector_finds_its_own(detector: str) -> None:
    (prompt,) = find(FOUND[detector], FILE)
    assert (prompt.text, prompt.detector) == (TEXT, detector)


def test_there_is_a_case_for_every_detector(tmp_path: Path) -> None:
    assert {*FOUND, "from-file"} == set(DETECTORS)
    (tmp_path / "rivers.txt").write_text(TEXT)
    (prompt,) = find("PromptTemplate.from_file('rivers.txt')\n", tmp_path / "x.py")
    assert (prompt.text, prompt.detector, prompt.file.name) == (TEXT, "from-file", "rivers.txt")


@pytest.mark.parametrize(
    "source",
    [
        "message = 'Name three rivers of Peru'",
        "prompt = 'word'",
        "template_path = 'templates/page.html'",
        "row_template = '<div class=\"a b\">{x}</div>'",
        "prompt = input('How many rows: ')",
        "room.say('Name three rivers')",
        "client.create(prompt='Name three rivers')",
        "def f():\n    'prompt: what it does'",
        "prompt_tokens = 12",
    ],
)
def test_what_is_no_prompt(source: str) -> None:
    assert find(source + "\n", FILE) == []


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("'Name a ' + 'river now'", "Name a river now"),
        ("'Name a ' + place", "Name a {place}"),
        ("f'Name a {place.kind} of {HOME}'", "Name a {kind} of Peru land"),
        ("f'Name {1 + 1} rivers'", "Name {value} rivers"),
        ("'Name %s of %(place)s' % x", "Name {value} of {place}"),
        ("'\\n'.join(['Name a', place, 'river'])", "Name a\n{place}\nriver"),
        ("'  Name a river '.strip()", "Name a river"),
        ("textwrap.dedent('  Name\\n  a river')", "Name\na river"),
        ("'Name a {kind}'.format(kind=x)", "Name a {kind}"),
    ],
)
def test_expressions_are_folded(expression: str, text: str) -> None:
    (prompt,) = find(f"HOME = 'Peru land'\ndef f(place, x):\n    prompt = {expression}\n", FILE)
    assert prompt.text == text


def test_branches_and_lists_give_each_string() -> None:
    found = find("prompt = 'Name a river' if x else ['Name a lake', {'any': 'Name a hill'}]\n", FILE)
    assert [prompt.text for prompt in found] == ["Name a river", "Name a lake", "Name a hill"]


def test_a_name_assigned_twice_is_given_up_in_its_scope_alone() -> None:
    twice = "said = 'Name a river'\nsaid = 'Name a lake'\n"
    assert find(twice + "bot.chat(said)\n", FILE) == []
    (prompt,) = find(twice + "def f():\n    said = 'Name a hill'\n    bot.chat(said)\n", FILE)
    assert prompt.text == "Name a hill" and prompt.line == 4, "the string is placed where it was typed"


def test_nothing_is_run(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    find(f"prompt = 'a b' + open({str(trap)!r}, 'w').write('x') + __import__('os').sep\n", FILE)
    assert not trap.exists()


def test_names_that_stand_for_each_other_end() -> None:
    assert find("a = b\nb = a\nprompt = a\n", FILE) == []


@pytest.mark.parametrize("form", [*FORMS, *UNCOVERED])
def test_every_form_of_the_corpus_is_as_it_says(form: str) -> None:
    piece = {**FORMS, **UNCOVERED}[form]("Name three rivers of {place}")
    found = find(f"def added(self, value, header):\n{piece}\n", FILE)
    assert bool(found) == (form in FORMS)


def test_task_files(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(
        "task: t\nfields: {text: text}\ntemplates:\n  a:\n    text: 'x {{ answer }}'\n    answers: {n: no, y: yes}\n  b: 'y {{ answer }}'\n"
    )
    first, second = find_in_task(file)
    assert (first.line, first.answers, first.given) == (5, (("n", "no"), ("y", "yes")), frozenset({"text", "answer", "answer_choices"}))
    assert (second.line, second.text) == (7, "y {{ answer }}")
    file.write_text("suite: s\nmethods: [a]\n")
    assert find_in_task(file) == []
