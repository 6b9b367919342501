"""The Jinja that templates run in: no unsafe operation, no undefined name, and bounds on size and time.

A bound must hold inside a single render too, where nothing else runs: every pass of a loop and every call of a macro looks at the clock,
and products and powers that would fill the memory are refused before they are computed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, cast

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

LARGEST_TEXT = 200_000  # characters; a template that renders more than this is a loop gone wrong
LARGEST_POWER = 64  # of an exponent
SECONDS = 2.0  # for one render; a prompt takes microseconds

_clock = threading.local()


class TooLong(Exception):
    """A render took more than `SECONDS` or gave more than `LARGEST_TEXT` characters."""


def _look() -> None:
    if time.monotonic() > getattr(_clock, "until", float("inf")):
        raise TooLong(f"takes more than {SECONDS:g} s")


def _ticked(items: Iterable[Any]) -> Iterator[Any]:
    """The same items; looks at the clock now and before each of them."""
    _look()

    def passes() -> Iterator[Any]:
        for item in items:
            _look()
            yield item

    return passes()


class Sandbox(ImmutableSandboxedEnvironment):
    """Loops and macros are rewritten when a template is parsed; `*` and `**` are intercepted."""

    intercepted_binops = frozenset(("*", "**"))

    def __init__(self) -> None:
        super().__init__(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
        self.filters["_ticked"] = _ticked
        self.policies["compiler.ascii_str"] = False

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = _filtered(cast(nodes.Expr, loop.iter))
        macros: list[Any] = list(tree.find_all((nodes.Macro, nodes.CallBlock)))
        for macro in macros:
            look = nodes.ExprStmt(_filtered(nodes.Const((), lineno=macro.lineno)), lineno=macro.lineno)
            macro.body.insert(0, look)
        return tree.set_environment(self)  # type: ignore[return-value]

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        sized = [value for value in (left, right) if isinstance(value, (str, bytes, list, tuple))]
        numbers = [value for value in (left, right) if isinstance(value, int)]
        if operator == "*" and sized and numbers and len(sized[0]) * numbers[0] > LARGEST_TEXT:
            raise SecurityError(f"a product of {len(sized[0]) * numbers[0]} items")
        if operator == "**" and (abs(right) > LARGEST_POWER or abs(left) > 10**6):
            raise SecurityError(f"the power {left} ** {right}")
        return super().call_binop(context, operator, left, right)


def _filtered(value: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, "_ticked", [], [], None, None, lineno=value.lineno)


def bounded(template: jinja2.Template, fields: dict[str, Any]) -> str:
    """The rendered text. TooLong where it takes too long or grows too large, while it does."""
    _clock.until = time.monotonic() + SECONDS
    parts, size = [], 0
    for part in template.generate(**fields):
        _look()
        size += len(part)
        if size > LARGEST_TEXT:
            raise TooLong(f"renders more than {LARGEST_TEXT} characters")
        parts.append(part)
    return "".join(parts)
