"""Templates are bounded while they render, not only afterwards."""

from __future__ import annotations

import time

import pytest

from harness import sandbox
from harness.errors import InputError
from harness.templates import render

ENDLESS = {
    "silent loops": "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}",
    "loops that write": "{% for i in range(90000) %}{% for j in range(90000) %}x{% endfor %}{% endfor %}",
    "a macro that calls itself twice": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "a macro without end": "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}",
    "a long product": "{{ 'ab' * 1000000000 }}",
    "a high power": "{{ 9 ** 999999999 }}",
}


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
def test_a_render_without_end_is_refused_in_time(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "SECONDS", 0.2)
    start = time.monotonic()
    with pytest.raises(InputError, match="template"):
        render(text, {})
    assert time.monotonic() - start < 5.0


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{% for word in words %}{{ loop.index }}/{{ loop.length }} {{ word }} {% endfor %}", "1/2 a 2/2 b "),
        ("{% for word in words if word != 'a' %}{{ word }}{% else %}none{% endfor %}", "b"),
        ("{% for word in [] %}{{ word }}{% else %}none{% endfor %}", "none"),
        ("{% macro twice(x) %}{{ x }}{{ x }}{% endmacro %}{{ twice('b') }}", "bb"),
        ("{{ 3 * 4 }} {{ 'ab' * 2 }} {{ 2 ** 10 }}", "12 abab 1024"),
        ("{{ words | join('-') }}", "a-b"),
    ],
)
def test_ordinary_templates_render_as_in_jinja(text: str, rendered: str) -> None:
    assert render(text, {"words": ["a", "b"]}) == rendered


def test_too_much_text_is_refused() -> None:
    with pytest.raises(InputError, match="more than 200000 characters"):
        render("{% for i in range(70000) %}four{% endfor %}", {})
