"""The analysis as JSON and back, without loss: for results.json and the cache beside a report."""

from __future__ import annotations

import gc
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union

from .model import Analysis

Decoder = Callable[[Any], Any]


def results_json(analysis: Analysis) -> str:
    """results.json: the analysis in full, every cell, pair and test."""
    return json.dumps(encode(analysis), ensure_ascii=False, allow_nan=False) + "\n"


def read_results(record: Any) -> Analysis:
    """The analysis that `encode` made plain. The collector rests meanwhile: it would visit hundreds of thousands of live objects."""
    resting = gc.isenabled()
    gc.disable()
    try:
        found: Analysis = decoder(Analysis)(record)
    finally:
        if resting:
            gc.enable()
    return found


def encode(value: Any) -> Any:
    """Plain JSON values; fields that hold their default are left out, a non-finite number is written as its name."""
    if is_dataclass(value) and not isinstance(value, type):
        plain = {}
        for name, default in _defaults(type(value)):
            inner = getattr(value, name)
            if default is not MISSING and (
                inner is default or (isinstance(inner, (int, str)) and inner == default and type(inner) is type(default))
            ):
                continue
            plain[name] = encode(inner)
        return plain
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {str(name): encode(inner) for name, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(inner) for inner in value]
    return value


@cache
def _defaults(kind: type) -> tuple[tuple[str, Any], ...]:
    return tuple((f.name, f.default if f.default is not MISSING else MISSING) for f in fields(kind))


@cache
def decoder(hint: Any) -> Decoder:
    """A function from plain JSON values to an object of the annotated type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        return _dataclass_decoder(typing.cast(type, hint))
    if hint is float:
        return float  # "inf" and "nan" are written as their names
    if origin in (Union, types.UnionType):
        inner = [decoder(a) for a in arguments if a is not type(None)]
        if len(inner) == 1:
            only = inner[0]
            return lambda value: None if value is None else only(value)
        return lambda value: value
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            each = decoder(arguments[0])
            return lambda value: tuple(each(item) for item in value)
        parts = [decoder(a) for a in arguments]
        return lambda value: tuple(part(item) for part, item in zip(parts, value, strict=True))
    if origin in (Mapping, dict):
        inner_of = decoder(arguments[1])
        return lambda value: {name: inner_of(item) for name, item in value.items()}
    if origin is Literal or hint in (str, int, bool, Any):
        return lambda value: value
    # numpy-style annotations do not occur in the model
    raise TypeError(f"no decoder for {hint!r}")


def _dataclass_decoder(kind: type) -> Decoder:
    hints = typing.get_type_hints(kind)
    parts: dict[str, Decoder] = {f.name: decoder(hints[f.name]) for f in fields(kind)}

    def build(value: Any) -> Any:
        return kind(**{name: parts[name](item) for name, item in value.items() if name in parts})

    return build
