"""Our YAML: what scalars mean, what is refused and where, and that what is dumped comes back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import safe_yaml
from harness.errors import InputError
from harness.safe_yaml import dump, load, loads, parse_value

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("-1.5E+2", -150.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("0o17", 15),
        ("0x1F", 31),
        ("+12", 12),
        ("007", 7),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("No", "No"),
        ("on", "on"),
        ("yes", "yes"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("e5", "e5"),
        ("0b1", "0b1"),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(text: str, value: Any) -> None:
    read = parse_value(text)
    assert read == value and type(read) is type(value)


def test_nan_is_read() -> None:
    assert math.isnan(parse_value(".nan"))


def test_keys_may_be_numbers_and_words_that_yaml_1_1_takes_for_booleans() -> None:
    assert loads("answers: {no: bad, yes: good, 0: zero}").data == {"answers": {"no": "bad", "yes": "good", 0: "zero"}}


def test_every_key_path_knows_its_line(tmp_path: Path) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text("suite: x\n\ntasks:\n  - name: a\n    config:\n      rank: 4\n  - b\n", encoding="utf-8")
    data, marks = load(file)
    assert data == {"suite": "x", "tasks": [{"name": "a", "config": {"rank": 4}}, "b"]}
    assert [
        marks.line(path) for path in [(), ("suite",), ("tasks",), ("tasks", 0, "name"), ("tasks", 0, "config", "rank"), ("tasks", 1)]
    ] == [1, 1, 3, 4, 6, 7]
    assert marks.line(("tasks", 0, "nothing")) == 4, "a key that is not there has its nearest parent's line"
    error = marks.error(("tasks", 0, "config", "rank"), "is odd", expected="even")
    assert error.one_line() == f"{file}:6: tasks[0].config.rank: is odd; even"


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("a: 1\nb: 2\na: 3", 3, "'a' stands twice, first on line 1"),
        ("x:\n  1: a\n  1.0: b", 3, "stands twice"),
        ("a: !function task.process", 1, "!function is refused"),
        ("a:\n  - !!python/object/apply:os.system [echo]", 2, "!!python/object/apply:os.system is refused"),
        ("a: !!str 1", 1, "!!str is refused"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("a: &x [*x]", 1, "before or inside its anchor"),
        ("a: *y", 1, "before or inside its anchor"),
        ("a:\n  <<: 3", 2, "no mapping"),
        ("a: {<<: {}, <<: {}}", 1, "stands twice"),
        ("? [a, b]\n: c", 1, "a key must be a plain value"),
        ("a: 1e999", 1, "larger than any float"),
        ("a: " + "9" * 5000, 1, "5000 digits"),
        ("a: [1\nb: 2", 2, "is no YAML"),
        ("a:\n\t- b", 2, "is no YAML"),
    ],
)
def test_what_is_refused_names_its_line(text: str, line: int, part: str) -> None:
    with pytest.raises(InputError, match=r"text\.yaml") as caught:
        loads(text, file="text.yaml")
    assert part in str(caught.value)
    assert caught.value.line == line
    assert "\n" not in str(caught.value)


def test_anchors_and_merges_work_and_share_nothing() -> None:
    data = loads("base: &base {x: 1, deep: {y: 2}}\none:\n  <<: *base\n  x: 3\nboth: {<<: [{x: 7}, *base]}\nsame: *base").data
    assert data["one"] == {"x": 3, "deep": {"y": 2}}
    assert data["both"] == {"x": 7, "deep": {"y": 2}}, "the first of several merged mappings wins"
    data["one"]["deep"]["y"] = 5
    assert data["base"]["deep"]["y"] == data["same"]["deep"]["y"] == 2


def test_a_billion_laughs_are_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 20)]
    with pytest.raises(InputError, match="too many values"):
        loads("\n".join(lines))


def test_merging_bombs_are_refused_too() -> None:
    lines = ["m0: &m0 {k0: 1, l0: 1}"]
    lines += [f"m{i}: &m{i} {{<<: [*m{i - 1}], k{i}: *m{i - 1}, l{i}: *m{i - 1}}}" for i in range(1, 40)]
    with pytest.raises(InputError, match="too many values"):
        loads("\n".join(lines))


def test_deep_nesting_is_refused_and_not_a_crash() -> None:
    with pytest.raises(InputError, match="levels deep"):
        loads("[" * 5000)
    assert loads("[" * safe_yaml.DEEPEST + "]" * safe_yaml.DEEPEST).data


@pytest.mark.parametrize(("content", "part"), [(None, "cannot be read"), (b"a: \xff", "not UTF-8"), (b"a: \x00", "is no YAML")])
def test_files_that_cannot_be_taken(tmp_path: Path, content: bytes | None, part: str) -> None:
    file = tmp_path / "f.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=part):
        load(file)


def test_a_byte_order_mark_and_windows_lines_are_no_matter(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: two\r\n")
    data, marks = load(file)
    assert data == {"a": 1, "b": "two"} and marks.line(("b",)) == 2


def test_an_empty_file_is_none() -> None:
    assert loads("").data is None and loads("# nothing\n").data is None


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
tricky = st.sampled_from(
    [
        "1e-3",
        "No",
        "on",
        "0o17",
        "0x1f",
        ".inf",
        "~",
        "",
        "null",
        "1_0",
        "1:30",
        "<<",
        "=",
        "- a",
        "a: b",
        "#",
        "!t",
        "*a",
        "&a",
        " x ",
        "\n",
        "\x85",
        "a\u2028b",
    ]
)
keys = st.one_of(texts, tricky, st.integers(-5, 5))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts, tricky)
values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)), max_leaves=12
)


@patient
@given(values)
def test_what_is_dumped_comes_back(value: Any) -> None:
    assert loads(dump(value)).data == value


def test_tuples_come_back_as_lists_and_objects_are_refused() -> None:
    assert loads(dump({"a": (1, 2)})).data == {"a": [1, 2]}
    with pytest.raises(TypeError, match="plain data"):
        dump({"a": object()})
