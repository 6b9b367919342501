"""What an expression in a source file is worth, without running the file: literals, constants, settings and templates.

Only a fixed list of pure calls is known, so reading a file never runs anyone's code. What cannot be read so is `NotLiteral`.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from harness.settings import Choice, Range, Setting, choice, log_uniform, setting, uniform, whole_uniform

LARGEST = 100_000  # items or digits: no expression in a class body needs more


class NotLiteral(Exception):
    """An expression whose value is not known without running the file."""


Names = Callable[[str], Any]  # the value of a name; raises NotLiteral
Functions = Callable[[str], str]  # "package.module.name" of what a dotted name refers to; raises NotLiteral


def _template(
    text: str, answers: Any = None, held_out: bool = False, target: str | None = None, separator: str | None = None
) -> dict[str, Any]:
    return {"text": text, "answers": answers, "held_out": held_out, "target": target, "separator": separator}


def _promptsource(text: str, answers: Any = None) -> dict[str, Any]:
    before, _, target = text.partition("|||")
    return _template(before.rstrip() + " {{ answer }}", answers, target=target.strip())  # as Template.from_promptsource


_BUILTINS = (len, tuple, list, dict, set, frozenset, sorted, min, max, round, abs, sum, str, int, float, bool)
_CALLS: dict[str, Callable[..., Any]] = {
    **{f"builtins.{function.__name__}": function for function in _BUILTINS},
    **{f"harness.settings.{function.__name__}": function for function in (setting, choice, uniform, log_uniform, whole_uniform)},
    "harness.settings.Choice": Choice,
    "harness.settings.Range": Range,
    "harness.templates.Template": _template,
    "harness.templates.Template.from_promptsource": _promptsource,
}
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.BitOr: operator.or_,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_}


def evaluate(node: ast.expr, names: Names, functions: Functions) -> Any:
    """The value of `node`; NotLiteral if it is not known without running the file."""
    try:
        return _Evaluator(names, functions).value(node)
    except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise NotLiteral(f"{ast.unparse(node)[:60]}: {error}") from None


class _Evaluator:
    def __init__(self, names: Names, functions: Functions) -> None:
        self.names, self.functions = names, functions

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self.names(node.id)
            case ast.Tuple():
                return tuple(self.items(node.elts))
            case ast.List():
                return self.items(node.elts)
            case ast.Set():
                return set(self.items(node.elts))
            case ast.Dict():
                return self.mapping(node)
            case ast.UnaryOp() if type(node.op) in _UNARY:
                return _UNARY[type(node.op)](self.value(node.operand))
            case ast.BinOp() if type(node.op) in _BINARY:
                return self.binary(node)
            case ast.Subscript() if not isinstance(node.slice, ast.Slice):
                return self.value(node.value)[self.value(node.slice)]
            case ast.JoinedStr():
                return "".join(self.part(part) for part in node.values)
            case ast.Call():
                return self.call(node)
        raise NotLiteral(ast.unparse(node)[:60])

    def items(self, nodes: list[ast.expr]) -> list[Any]:
        result: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                result.extend(self.value(node.value))
            else:
                result.append(self.value(node))
        return result

    def mapping(self, node: ast.Dict) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values):
            result.update({self.value(key): self.value(value)} if key is not None else self.value(value))
        return result

    def binary(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        sizes = [len(side) if isinstance(side, (str, tuple, list)) else side for side in (left, right)]
        if isinstance(node.op, ast.Mult) and sizes != [left, right] and math.prod(sizes) > LARGEST:
            raise NotLiteral("a repetition that is too long")
        if isinstance(node.op, (ast.Pow, ast.LShift)) and abs(right) > 1024:
            raise NotLiteral("a power that is too large")
        return _BINARY[type(node.op)](left, right)

    def part(self, node: ast.expr) -> str:
        """One piece of an f-string; a format is not followed."""
        if isinstance(node, ast.FormattedValue):
            if node.format_spec is not None or node.conversion != -1:
                raise NotLiteral(ast.unparse(node)[:60])
            return str(self.value(node.value))
        return str(self.value(node))

    def call(self, node: ast.Call) -> Any:
        known = _CALLS.get(self.functions(ast.unparse(node.func)))
        if known is None:
            raise NotLiteral(f"a call of {ast.unparse(node.func)[:60]}")
        keywords = {keyword.arg: self.value(keyword.value) for keyword in node.keywords if keyword.arg is not None}
        if len(keywords) < len(node.keywords):
            raise NotLiteral(ast.unparse(node)[:60])
        return known(*self.items(node.args), **keywords)


def encode(value: Any) -> Any:
    """A value as JSON that `decode` turns back into an equal one."""
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, (tuple, set, frozenset)):
        kind = type(value).__name__
        return {"$": kind, "items": [encode(item) for item in (value if kind == "tuple" else sorted(value, key=repr))]}
    if isinstance(value, Mapping):
        return {"$": "dict", "items": [[encode(key), encode(item)] for key, item in value.items()]}
    if isinstance(value, Setting):
        return {"$": "setting", "fields": {field.name: encode(getattr(value, field.name)) for field in fields(value)}}
    if isinstance(value, Choice):
        return {"$": "choice", "items": [encode(item) for item in value.values]}
    if isinstance(value, Range):
        return {"$": "range", "fields": asdict(value)}
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise NotLiteral(f"a {type(value).__name__}")


def decode(value: Any) -> Any:
    """What `encode` was given."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value["$"]
    if kind == "dict":
        return {decode(key): decode(item) for key, item in value["items"]}
    if kind == "setting":
        return Setting(**{name: decode(item) for name, item in value["fields"].items()})
    if kind == "range":
        return Range(**value["fields"])
    items = [decode(item) for item in value["items"]]
    return Choice(tuple(items)) if kind == "choice" else {"tuple": tuple, "set": set, "frozenset": frozenset}[kind](items)
