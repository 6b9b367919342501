"""Templates: where the answer stands, verbalizers, PromptSource's form, and a sandbox that nothing leaves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import InputError
from harness.sandbox import LARGEST_TEXT
from harness.templates import Template, render

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine


PLAIN = Template("{{ sentence }} It was {{ answer }}.", answers={"negative": "bad", "positive": "good"})
words = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=40).filter(lambda text: text.strip())


def test_the_text_is_cut_at_the_answer_and_space_goes_into_the_gap() -> None:
    rendered = PLAIN.render({"sentence": "Nice."}, ("positive", "negative"))
    assert (rendered.before, rendered.gap, rendered.after) == ("Nice. It was", " ", ".")
    assert rendered.answers == ("good", "bad"), "in the order of the task's labels"
    assert rendered.filled("fine") == "Nice. It was fine."


@patient
@given(words)
def test_a_field_is_text_and_never_a_template(sentence: str) -> None:
    rendered = PLAIN.render({"sentence": sentence + " {{ answer }} {% raw %} {{ 1/0 }}"}, ("negative", "positive"))
    assert rendered.filled("x") == sentence + " {{ answer }} {% raw %} {{ 1/0 }} It was x."


@patient
@given(words, words)
def test_the_pieces_put_together_are_the_whole_text(first: str, last: str) -> None:
    rendered = Template("{{ first }}\n\n{{ answer }} {{ last }}", answers={"a": "A"}).render({"first": first, "last": last})
    assert rendered.filled("ANSWER") == f"{first}\n\nANSWER {last}"
    assert rendered.before == rendered.before.rstrip() and not rendered.gap.strip()


def test_answers_may_be_an_expression_the_rows_choices_or_the_labels() -> None:
    row = {"q": "?", "choices": ["red", "blue"], "other": "green"}
    assert Template("{{ q }} {{ answer }}", answers="{{ choices | join(' ||| ') }} ||| {{ other }}").render(row).answers == (
        "red",
        "blue",
        "green",
    )
    assert Template("{{ q }} {{ answer }}").render(row).answers == ("red", "blue")
    assert Template("{{ q }} {{ answer }}").render({"q": "?"}, ("yes", "no")).answers == ("yes", "no")
    assert Template("{{ q }} {{ answer }}").render({"q": "?"}).answers is None, "generated"


def test_promptsource_is_accepted() -> None:
    template = Template.from_promptsource("Is {{ text }} good? ||| {{ target }}", {"no": "No", "yes": "Yes"})
    assert template.render({"text": "it"}, ("no", "yes")).before == "Is it good?"
    assert template.target == "{{ target }}"
    with pytest.raises(InputError, match=r"\|\|\|"):
        Template.from_promptsource("Is it good?")


@pytest.mark.parametrize(
    ("text", "inputs", "message"),
    [
        ("{{ sentense }} {{ answer }}", {"sentence": "x"}, "'sentense' is undefined; fields are answer, sentence"),
        ("{{ row.title }} {{ answer }}", {"row": {"name": "x"}}, "has no attribute 'title'"),
        ("{{ answer }} or {{ answer }}", {}, "exactly once"),
        ("{# answer #} x", {}, "exactly once"),
        ("{% if a %}{{ answer }}{% endif %}", {"a": False}, "exactly once"),
        ("{{ a }} {{ answer }}", {"a": "  "}, "renders nothing"),
        ("{{ a {{ answer }}", {"a": 1}, "does not parse"),
        ("{% for i in a %}{{ answer }}", {"a": 1}, "does not parse"),
        ("{{ 1 / zero }} {{ answer }}", {"zero": 0}, "division by zero"),
        ("{{ a + 1 }} {{ answer }}", {"a": "x"}, "template"),
        ("{{ a | nosuchfilter }} {{ answer }}", {"a": "x"}, "nosuchfilter"),
    ],
)
def test_what_goes_wrong_in_a_template_is_bad_input(text: str, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Template(text).render(inputs)
    assert message in str(caught.value)


def test_a_template_must_say_where_the_answer_goes() -> None:
    with pytest.raises(InputError, match="say where the answer goes"):
        Template("{{ sentence }}")


def test_a_label_without_a_word_is_named() -> None:
    with pytest.raises(InputError, match="label 'neutral' is not in the verbalizer; it has negative, positive"):
        PLAIN.render({"sentence": "x"}, ("negative", "neutral", "positive"))


@pytest.mark.parametrize(
    "escape",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ text.__class__ }}",
        "{{ text|attr('__class__') }}",
        "{{ text['__class__'].__base__ }}",
        "{{ ''.format.__globals__ }}",
        "{{ '{0.__class__.__mro__}'.format(text) }}",
        "{{ '{x.__class__}'.format_map({'x': text}) }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ namespace.__init__ }}",
        "{{ lipsum.__globals__['os'].system('true') }}",
        "{{ joiner.__init__.__builtins__ }}",
        "{% set x = ({}).__class__ %}{{ x }}",
        "{{ (1).__class__.__base__ }}",
        "{{ items.append(1) }}",
        "{{ row.clear() }}",
        "{{ row.update({'a': 1}) }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ range(10000000) | list }}",
    ],
)
def test_nothing_leaves_the_sandbox(escape: str) -> None:
    fields: dict[str, Any] = {"text": "x", "items": [1], "row": {"a": 2}}
    try:
        result = render(escape, fields)
    except InputError:
        result = ""
    assert not any(sign in result for sign in ("<class", "<function", "builtins", "<built-in", "root:"))
    assert fields == {"text": "x", "items": [1], "row": {"a": 2}}, "fields cannot be changed either"


def test_a_template_that_renders_too_much_is_refused() -> None:
    with pytest.raises(InputError, match=f"more than {LARGEST_TEXT} characters"):
        render("{% for i in range(1000) %}{{ text }}{% endfor %}", {"text": "x" * (LARGEST_TEXT // 500)})
