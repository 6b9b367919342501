"""Settings of a method, selection or task: declared once with default, range and search space, validated everywhere.

A class lists them as annotated attributes with literal arguments, so that they can also be read without importing it:

    class LoRA(Method):
        rank: int = setting(8, at_least=1, search=choice(2, 4, 8, 16))
        learning_rate: float = setting(1e-3, above=0, search=log_uniform(1e-4, 1e-2))
"""

from __future__ import annotations

import functools
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Union

from harness.errors import InputError, unknown_name

if TYPE_CHECKING:
    import numpy as np  # not at run time: `list` and `show` read settings and must start at once


@dataclass(frozen=True)
class Choice:
    """One of `values`, each equally likely."""

    values: tuple[Any, ...]

    def sample(self, rng: np.random.Generator) -> Any:
        return self.values[int(rng.integers(len(self.values)))]

    def grid(self) -> tuple[Any, ...]:
        return self.values

    def __str__(self) -> str:
        return "one of " + ", ".join(map(str, self.values))


@dataclass(frozen=True)
class Range:
    """A number between `low` and `high`, uniform, or uniform in the logarithm; whole numbers where `whole`."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def sample(self, rng: np.random.Generator) -> float | int:
        if self.whole and not self.log:
            return int(rng.integers(int(self.low), int(self.high) + 1))
        if self.log:
            value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = float(rng.uniform(self.low, self.high))
        return round(value) if self.whole else value

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + (" (log)" if self.log else "")


Search = Choice | Range


class Prepared(dict[str, Any]):
    """Type of a setting that refers to an artifact by value: `{PREPARATION: {setting: value}}`, filled up with the seed in a plan."""


def choice(*values: Any) -> Choice:
    return Choice(values)


def uniform(low: float, high: float) -> Range:
    return Range(low, high)


def log_uniform(low: float, high: float) -> Range:
    return Range(low, high, log=True)


def whole_uniform(low: int, high: int) -> Range:
    return Range(low, high, whole=True)


@dataclass(frozen=True)
class Setting:
    """One setting: default, bounds, allowed values, search space and a help text."""

    default: Any
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    one_of: tuple[Any, ...] | None = None
    search: Search | None = None
    help: str = ""

    def bounds(self) -> str:
        parts = [
            f"at least {self.at_least:g}" if self.at_least is not None else "",
            f"above {self.above:g}" if self.above is not None else "",
            f"at most {self.at_most:g}" if self.at_most is not None else "",
            f"below {self.below:g}" if self.below is not None else "",
            "one of " + ", ".join(map(str, self.one_of)) if self.one_of else "",
        ]
        return ", ".join(part for part in parts if part)

    def check(self, name: str, value: Any, annotation: Any) -> Any:
        """`value` as the annotated type, or an InputError that says what would be right."""
        value = _as_type(name, value, annotation, self)
        if value is None:
            return None
        inside = (  # written so that NaN is outside
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )
        if not inside or (self.one_of is not None and value not in self.one_of):
            raise InputError(f"{value!r} is out of range", key=name, expected=f"must be {self.bounds()}")
        return value


def setting(
    default: Any,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    one_of: tuple[Any, ...] | None = None,
    search: Search | None = None,
    help: str = "",
) -> Any:
    """Declare a setting; typed Any so that `rank: int = setting(8)` type-checks as an int."""
    return Setting(default, at_least, at_most, above, below, one_of, search, help)


def _as_type(name: str, value: Any, annotation: Any, spec: Setting) -> Any:
    origin = typing.get_origin(annotation)
    if origin in (Union, types.UnionType):
        options = typing.get_args(annotation)
        if value is None and type(None) in options:
            return None
        errors = []
        for option in options:
            if option is not type(None):
                try:
                    return _as_type(name, value, option, spec)
                except InputError as error:
                    errors.append(error)
        raise errors[0]
    if annotation is Any:
        return value
    if annotation is Prepared:
        from harness.artifacts import prepared_reference

        return prepared_reference(value, name)
    wanted = origin or annotation
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if wanted is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if wanted is tuple and isinstance(value, list):
        return tuple(value)
    if not isinstance(value, wanted) or (wanted in (int, float) and isinstance(value, bool)):
        kind = getattr(wanted, "__name__", str(wanted))
        extra = f", {spec.bounds()}" if spec.bounds() else ""
        raise InputError(f"{value!r} is a {type(value).__name__}", key=name, expected=f"must be {kind}{extra}")
    return value


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    """Annotations of a class, resolved once: a plan makes thousands of instances."""
    return typing.get_type_hints(cls)


class Configurable:
    """Anything with settings. `Class(rank=4)` validates; `.config` is the *effective* configuration, every setting named."""

    settings: ClassVar[dict[str, Setting]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        lines = [vars(base) for base in reversed(cls.__mro__)]  # every base counts, mixins too
        cls.settings = {name: value for line in lines for name, value in line.items() if isinstance(value, Setting)}

    def __init__(self, **config: Any) -> None:
        hints = _hints(typing.cast(Any, type(self)))
        for name in config:
            if name not in self.settings:
                error = unknown_name("setting", name, self.settings)
                raise error.located(key=type(self).__name__)
        for name, spec in self.settings.items():
            setattr(self, name, spec.check(name, config.get(name, spec.default), hints.get(name, Any)))

    @property
    def config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.settings}

    @classmethod
    def search_space(cls) -> dict[str, Search]:
        """The declared space that `tune: N` draws from."""
        return {name: spec.search for name, spec in cls.settings.items() if spec.search is not None}

    @classmethod
    def sample_config(cls, rng_for: typing.Callable[[str], np.random.Generator]) -> dict[str, Any]:
        """One draw from the search space; each setting has its own stream, so that adding one shifts no other."""
        return {name: search.sample(rng_for(name)) for name, search in cls.search_space().items()}


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names as settings within settings.

    >>> nested({"alpha": 1, "over.lora.rank": 8})
    {'alpha': 1, 'over': {'lora': {'rank': 8}}}
    """
    result: dict[str, Any] = {}
    for key, value in values.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        result = merged(result, value)
    return result


def merged(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `override` laid over it key by key, at every depth: overriding one field never drops its siblings."""
    result = dict(base)
    for key, value in override.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result
