"""The published protocols a suite can name: fields that are then frozen, each with the place it was published.

get("lm-bff")["seeds"]    # {"numbers": [13, 21, 42, 87, 100]}
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness import safe_yaml
from harness.errors import InputError, unknown_name

FILE = Path(__file__).with_name("protocols.yaml")


class Protocol(BaseModel):
    """One protocol. `freezes` are suite fields; `method_facts` what the source fixes beyond them; `departs` how ours differs."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    summary: str
    source: str
    departs: str = ""
    freezes: dict[str, Any] = Field(min_length=1)
    method_facts: dict[str, Any] = {}


@functools.cache
def _protocols() -> Mapping[str, Protocol]:
    data, marks = safe_yaml.load(FILE)
    try:
        return {name: Protocol.model_validate(item) for name, item in data.items()}
    except ValidationError as error:
        raise marks.error((), f"is no list of protocols: {error.errors()[0]}") from None


def names() -> tuple[str, ...]:
    return tuple(_protocols())


def describe(name: str) -> Protocol:
    """The whole entry: summary, source, departures and facts."""
    protocols = _protocols()
    if name not in protocols:
        raise unknown_name("protocol", name, protocols)
    return protocols[name]


def get(name: str) -> dict[str, Any]:
    """The suite fields that protocol `name` freezes."""
    return copy.deepcopy(describe(name).freezes)


def laid_over(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """`fields` with the protocol's own; one that says otherwise is an InputError naming the protocol."""
    frozen = get(name)
    for key, value in frozen.items():
        if key in fields and fields[key] != value:
            raise InputError(f"{fields[key]!r} overrides protocol {name}", key=key, expected=f"it freezes {key} to {value!r}")
    return {**fields, **frozen}
