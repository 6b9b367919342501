"""Option values that several verbs read: `--set k=v`, `--seeds 0..9`."""

from __future__ import annotations

from typing import Any

from harness.errors import InputError


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """`k=v` pairs; values are read as YAML, so numbers, lists and mappings mean what they say."""
    from harness import safe_yaml

    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InputError(f"{pair!r} is no setting", key="--set", expected="write KEY=VALUE, such as budget.steps=50")
        settings[key] = safe_yaml.parse_value(value)
    return settings


def parse_seeds(text: str) -> list[int]:
    """`5` is 0 to 4; `0..9` is 0 to 9, both ends in; `0,3,7` is these."""
    low, dots, high = text.partition("..")
    try:
        if dots:
            numbers = list(range(int(low), int(high) + 1))
        elif "," in text:
            numbers = [int(part) for part in text.split(",") if part]
        else:
            numbers = list(range(int(text)))
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 0:
        raise InputError(f"{text!r} names no seeds", key="--seeds", expected="a count (5), a range (0..9) or a list (0,3,7)")
    return numbers
