"""What a string expression in Python source is worth, without running it: a folder over the syntax tree, never `eval`.

Concatenation, f-strings, `%`, `format`, `join`, `strip` and `dedent` are followed, and names that are assigned exactly once in
their scope. What stays unknown becomes a placeholder `{name}`.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .prompts import Syntax

DEEPEST = 20
PERCENT = re.compile(r"%(?:\((?P<name>\w+)\))?[-+ #0-9.*]*[sdrifgxeaEGX]")
STRIPS: dict[str, Callable[[str], str]] = {"strip": str.strip, "lstrip": str.lstrip, "rstrip": str.rstrip}
CLEANERS: dict[str, Callable[[str], str]] = {"dedent": textwrap.dedent, "cleandoc": inspect.cleandoc}


@dataclass(frozen=True)
class Folded:
    """A folded string.  origin : the expression its text was typed in, reached through names.  cleaned : indentation was removed."""

    text: str
    origin: ast.expr
    syntax: Syntax = "plain"
    given: frozenset[str] | None = None
    cleaned: bool = False


class Scope:
    """Names assigned in a function or module, and its enclosing scope. A name counts only if it is assigned once and never changed."""

    def __init__(self, body: ast.AST, outer: Scope | None = None) -> None:
        self.outer = outer
        self.values: dict[str, ast.expr | None] = {}
        for name, value in _assignments(body):
            self.values[name] = None if name in self.values else value

    def value(self, name: str) -> ast.expr | None:
        if name in self.values:
            return self.values[name]
        return self.outer.value(name) if self.outer is not None else None

    def names(self) -> frozenset[str]:
        return frozenset(self.values) | (self.outer.names() if self.outer is not None else frozenset())


def _assignments(body: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """(name, value) of every binding in a scope; None where the value is not one expression. Inner functions are left out."""
    if isinstance(body, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        for argument in (*body.args.posonlyargs, *body.args.args, *body.args.kwonlyargs):
            yield argument.arg, None
        for extra in (body.args.vararg, body.args.kwarg):
            if extra is not None:
                yield extra.arg, None
    waiting = list(ast.iter_child_nodes(body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name, None
            if isinstance(node, ast.ClassDef):  # what a class binds is read as `self.name`, wherever
                yield from ((f"self.{name}", value) for name, value in _assignments(node))
            else:  # `self.name = ...` in a method is seen from every other
                yield from ((name, value) for name, value in _assignments(node) if name.startswith("self."))
            continue
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from ((name, node.value if name == dotted(target) else None) for name in _targets(target))
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            yield from ((name, node.value) for name in _targets(node.target))
        elif isinstance(node, ast.AugAssign):
            yield from ((name, None) for name in (*_targets(node.target), *_targets(node.target)))
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            yield from ((name, None) for name in _targets(node.target))
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            yield from ((name, None) for name in _targets(node.optional_vars))
        if not isinstance(node, ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _targets(target: ast.expr) -> list[str]:
    if isinstance(target, (ast.Tuple, ast.List)):
        return [name for inner in target.elts for name in _targets(inner)]
    if isinstance(target, ast.Starred):
        return _targets(target.value)
    name = dotted(target)
    return [name] if name else []


def dotted(node: ast.expr) -> str:
    """ "a.b.c" of a name or attribute; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def fold(node: ast.expr, scope: Scope, depth: int = 0) -> Folded | None:
    """The text of `node`, or None where it is no string that can be followed."""
    if depth > DEEPEST:
        return None
    match node:
        case ast.Constant(value=str(text)):
            return Folded(text, node)
        case ast.JoinedStr():
            return Folded("".join(_piece(part, scope, depth) for part in node.values), node, "fstring")
        case ast.Name() | ast.Attribute():
            value = scope.value(dotted(node))
            return fold(value, scope, depth + 1) if value is not None else None
        case ast.NamedExpr():
            return fold(node.value, scope, depth + 1)
        case ast.BinOp(op=ast.Add()):
            return _sum(node, scope, depth)
        case ast.BinOp(op=ast.Mod()):
            left = fold(node.left, scope, depth + 1)
            if left is None:
                return None
            return replace(left, text=PERCENT.sub(lambda found: f"{{{found['name'] or 'value'}}}", left.text), syntax="fstring")
        case ast.Call():
            return _call(node, scope, depth)
    return None


def _piece(part: ast.expr, scope: Scope, depth: int) -> str:
    """One part of an f-string: its literal text, a known string, or a placeholder."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    known = fold(part.value, scope, depth + 1) if part.format_spec is None and part.conversion == -1 else None
    return known.text if known is not None else _hole(part.value)


def _hole(node: ast.expr) -> str:
    return "{" + (dotted(node).rpartition(".")[2] or "value") + "}"


def _sum(node: ast.BinOp, scope: Scope, depth: int) -> Folded | None:
    left, right = fold(node.left, scope, depth + 1), fold(node.right, scope, depth + 1)
    if left is None and right is None:
        return None
    sides = [side.text if side is not None else _hole(part) for side, part in ((left, node.left), (right, node.right))]
    plain = left is not None and right is not None and left.syntax == right.syntax == "plain"
    return Folded("".join(sides), node, "plain" if plain else "fstring")


def _call(node: ast.Call, scope: Scope, depth: int) -> Folded | None:
    name = dotted(node.func).rpartition(".")[2] or (node.func.attr if isinstance(node.func, ast.Attribute) else "")
    if name in CLEANERS and len(node.args) == 1:
        inner = fold(node.args[0], scope, depth + 1)
        return replace(inner, text=CLEANERS[name](inner.text), cleaned=True) if inner is not None else None
    if not isinstance(node.func, ast.Attribute):
        return None
    base = fold(node.func.value, scope, depth + 1)
    if base is None:
        return None
    if name in STRIPS and not node.args:
        return replace(base, text=STRIPS[name](base.text), cleaned=base.cleaned or name == "strip")
    if name == "format" and base.syntax == "plain":
        return replace(base, syntax="format", given=given_names(node))
    if name == "join" and len(node.args) == 1 and isinstance(node.args[0], (ast.List, ast.Tuple)):
        parts = [(fold(part, scope, depth + 1), part) for part in node.args[0].elts]
        if any(isinstance(part, ast.Starred) for _, part in parts) or all(known is None for known, _ in parts):
            return None
        plain = all(known is not None and known.syntax == "plain" for known, _ in parts)
        text = base.text.join(known.text if known is not None else _hole(part) for known, part in parts)
        return Folded(text, node, "plain" if plain else "fstring")
    return replace(base, syntax="fstring") if name in ("replace", "format", "format_map", "substitute", "safe_substitute") else None


def given_names(call: ast.Call) -> frozenset[str] | None:
    """Names and positions that a `format` call fills; None where `*` or `**` hides them."""
    if any(isinstance(argument, ast.Starred) for argument in call.args) or any(word.arg is None for word in call.keywords):
        return None
    return frozenset([*map(str, range(len(call.args))), *(word.arg for word in call.keywords if word.arg is not None)])
