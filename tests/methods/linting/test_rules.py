"""Every rule by its own examples, by cases at its edges, and the correctors by what they must not change."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.methods.linting.find import find
from harness.methods.linting.lint import lint_file
from harness.methods.linting.prompts import Finding
from harness.methods.linting.rules import RULES, fix_edges, fix_indentation, fix_spelling, language
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import prompt_lint

TEXTS = st.text(alphabet=st.sampled_from(" \t\n\r{}abteh.`@:/"), max_size=40) | st.lists(
    st.sampled_from(["teh", "Teh", "TEH", "anwser", "{teh}", "http://teh", "`teh`", "a@teh", "\n", "   x", "\t"]), max_size=8
).map(" ".join)


def codes(tmp_path: Path, text: str, *, yaml: bool = False) -> list[str]:
    return [finding.rule for finding in linted(tmp_path, text, yaml=yaml)]


def linted(tmp_path: Path, text: str, *, yaml: bool = False) -> list[Finding]:
    file = tmp_path / ("x.yaml" if yaml else "x.py")
    file.write_text(text, encoding="utf-8")
    return list(lint_file(file, list(RULES.values()))[0].findings)


@pytest.mark.parametrize("code", RULES)
def test_the_examples(code: str, tmp_path: Path) -> None:
    rule = RULES[code]
    bad = linted(tmp_path, rule.bad, yaml=rule.yaml)
    assert {finding.rule for finding in bad} == {code} and bad[0].severity == rule.severity and bad[0].hint
    assert codes(tmp_path, rule.good, yaml=rule.yaml) == []
    if not rule.yaml:
        assert find(rule.good, Path("x.py")), "the good example must hold a prompt, or it shows nothing"


@pytest.mark.parametrize("code", prompt_lint.SPOILT)
def test_the_benchmark_spoils_what_was_clean(code: str) -> None:
    import numpy as np

    text = "Summarize the following article for {reader} in one short sentence, please."
    assert not prompt_lint.complains(code, prompt_lint.source_of(text))
    spoilt = prompt_lint.SPOILT[code](text, np.random.default_rng(0))
    compile(spoilt, "x.py", "exec")
    if code not in ("PS003", "PS004", "PS005"):  # those are drawn, and lists may lack what was drawn
        assert prompt_lint.complains(code, spoilt)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("prompt = 'Name a river\\n'\n", []),
        ("prompt = 'Name a river'\nprompt += ' and a lake '\n", []),
        ("t = PromptTemplate(template='Name a {x} and {y}', input_variables=['x'])\n", ["PS002"]),
        ("t = PromptTemplate(template='Name a {x} and {y}', input_variables=['x'], partial_variables={'y': 1})\n", []),
        ("t = PromptTemplate(template='Name a {x} and {y}', input_variables=names)\n", []),
        ("prompt = 'Name a {} of {}'.format(1, 2)\n", []),
        ("prompt = 'Name a {} of {}'.format(1)\n", ["PS002"]),
        ("prompt = 'Name a {x}'\nask(prompt.format(y=1))\n", ["PS002", "PS002"]),
        ("prompt = 'Name a {x}'.format(**given)\n", []),
        ("def f(place):\n    bot.chat('Name a river of {place}')\n", ["PS002"]),
        ("def f(place):\n    bot.chat('Answer as {json}')\n", []),
        ("prompt = 'see http://teh.org or `teh` and {teh}'\n", []),
        ("prompt = 'Translate this: Привет, как твои дела сегодня'\n", ["PS004"]),
        ("prompt = 'Say Привет to them and to all of the others in this room'\n", []),
        ("bot.chat('<s>[INST] Name a river [/INST]')\n", ["PS005", "PS005", "PS005"]),
        ("client.chat.completions.create(messages=[{'role': 'user', 'content': ''}])\n", ["PS006"]),
        ("def f():\n    prompt = 'Name a river'\ndef g():\n    prompt = 'Name a river'\n", []),
        ("t = PromptTemplate.from_template('Close } it')\n", ["PS007"]),
        ("t = PromptTemplate.from_template('{{ x }} is {%', template_format='jinja2')\n", ["PS007"]),
        ("prompt = f'Answer as {{\"a\": 1}} for {x}'\n", []),
    ],
)  # fmt: skip
def test_edges_of_rules(source: str, expected: list[str], tmp_path: Path) -> None:
    assert codes(tmp_path, source) == expected


def test_a_field_that_a_task_lacks(tmp_path: Path) -> None:
    text = "task: t\nfields: {text: text}\ntemplates:\n  a: '{{ txt }} {{ answer }}'\n  b: '{% for x in text %}{{ x }}{% endfor %} {{ answer }}'\n"
    (finding,) = linted(tmp_path, text, yaml=True)
    assert (finding.rule, finding.line) == ("PS002", 4) and "txt" in finding.message


def test_language_needs_three_words_of_its_own() -> None:
    assert language("the answer is to be short") == "English" and language("la respuesta es para el usuario") == "Spanish"
    assert language("the answer") is None and language("") is None


@given(TEXTS)
def test_correcting_twice_is_correcting_once(text: str) -> None:
    for fix in (fix_edges, fix_spelling, fix_indentation):
        assert fix(fix(text)) == fix(text)


@given(TEXTS)
def test_edges_lose_only_white_space_and_spelling_only_words(text: str) -> None:
    assert fix_edges(text).strip() == text.strip()
    assert fix_spelling(text).count("{teh}") == text.count("{teh}") and fix_spelling(text).count("`teh`") == text.count("`teh`")


def test_capitals_are_kept() -> None:
    assert fix_spelling("Teh TEH teh anwser") == "The THE the answer"
