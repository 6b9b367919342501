"""Prompts in Python source, by PromptSet's seven detectors on the syntax tree (arXiv 2402.16932; gen_prompts/parsers.py and reader.py).

Where this departs from the released code: names are followed within their scope (there: one repeated name in a file gives up all),
attributes count as names do, newer calls (`messages.create`, `responses.create`) belong to `completion-call`, arguments of unknown
calls on the right of an assignment are not searched, and single words, paths and HTML are no prompts.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .fold import Folded, Scope, dotted, fold, given_names
from .prompts import Prompt, Syntax

DETECTORS = {
    "tool-class": "`description` of a class with a base named *Tool*",
    "tool-docstring": "docstring of a function decorated with `@tool`",
    "template-call": "arguments of a call that ends with Template or Message, or of a method of *Template",
    "completion-call": "`prompt`, `messages` and the like of (chat.)completion(s).create, messages.create and responses.create",
    "chat-method": "the text given to a method `chat` or `summarize`",
    "name": "what is assigned, or appended, to a name with prompt or template in it",
    "from-file": "the file that Template.from_file names",
}
NAME = re.compile(r"prompt|template", re.IGNORECASE)
KEYS: dict[str, tuple[str, ...]] = {
    "template-call": ("message", "prompt", "template", "content", "prefix", "suffix"),
    "completion-call": ("prompt", "messages", "system", "input", "instructions"),
    "chat-method": ("text", "message", "query"),
}
POSITIONS = {"template-call": 3, "completion-call": 0, "chat-method": 1}
COMPLETIONS = {"completion", "completions", "chatcompletion", "messages", "responses"}
SHORTEST = 12  # characters of a string without white space that may still be a prompt
IDENTIFIER = re.compile(r"[\w./\\:@#%+=&?,;-]*", re.ASCII)
HTML = re.compile(r"\s*<(!doctype|html|head|body|div|table|span|p|ul|ol|li|h[1-6]|form|a|img|script|style)\b", re.IGNORECASE)
CONTENT = ("content", "text", "parts")


@dataclass(frozen=True)
class _Site:
    """Where a string was found to be used as a prompt."""

    detector: str
    folded: Folded
    whole: bool = True
    answers: tuple[tuple[str, str], ...] = ()
    within: str = ""


def find(source: str, file: Path) -> list[Prompt]:
    """The prompts of a Python file, by place; SyntaxError where it is none."""
    tree = ast.parse(source, filename=str(file))
    finder = _Finder(file)
    finder.walk(tree, Scope(tree))
    known = frozenset(_every_name(tree))
    placed: dict[tuple[int, int], Prompt] = {}
    for site in finder.sites:
        made = _prompt(site, file, known, finder.formats.get(_place(site.folded.origin)))
        place = (made.line, made.column)
        placed[place] = _richer(placed[place], made) if place in placed else made
    return [*(placed[place] for place in sorted(placed)), *finder.files]


def _every_name(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg


def _place(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _prompt(site: _Site, file: Path, known: frozenset[str], formatted: Folded | None) -> Prompt:
    folded, origin = site.folded, site.folded.origin
    syntax, given = folded.syntax, folded.given
    if syntax == "plain" and formatted is not None:
        syntax, given = "format", formatted.given
    literal = isinstance(origin, (ast.Constant, ast.JoinedStr)) and (origin.end_lineno or 0) > origin.lineno
    return Prompt(
        file,
        origin.lineno,
        folded.text,
        site.detector,
        column=origin.col_offset + 1,
        end_line=origin.end_lineno or origin.lineno,
        syntax=syntax,
        given=given,
        known=known,
        whole=site.whole,
        indented=literal and "\n" in folded.text and not folded.cleaned,
        answers=site.answers,
        within=site.within,
    )


def _richer(one: Prompt, other: Prompt) -> Prompt:
    """Of two findings of one string, the one that says more about its placeholders; it is a piece if either says so."""
    kept = max(one, other, key=lambda prompt: (prompt.given is not None, prompt.syntax != "plain", prompt.detector != "name"))
    return replace(kept, whole=one.whole and other.whole, indented=one.indented and other.indented)


def is_prompt(text: str) -> bool:
    """Whether a string that stands in a prompt's place can be one: not a single short word, a path, an identifier or HTML."""
    bare = text.strip()
    if not any(letter.isalpha() for letter in bare) or HTML.match(bare):
        return False
    if any(letter.isspace() for letter in bare):
        return True
    return len(bare) >= SHORTEST and not IDENTIFIER.fullmatch(bare)


class _Finder:
    """Walks a module with its scopes and collects the sites."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.sites: list[_Site] = []
        self.formats: dict[tuple[int, int], Folded] = {}  # place of a literal -> how `format` fills it
        self.files: list[Prompt] = []
        self.answers: tuple[tuple[str, str], ...] = ()  # label words given beside the template that is being read
        self.within: tuple[str, ...] = ()

    def walk(self, node: ast.AST, scope: Scope) -> None:
        for child in ast.iter_child_nodes(node):
            inner, outside = scope, self.within
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                inner = Scope(child, scope)
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                self.within = (*outside, child.name)
            self.visit(child, scope)
            self.walk(child, inner)
            self.within = outside

    def visit(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, ast.ClassDef):
            self.tool_class(node, scope)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self.tool_docstring(node)
        elif isinstance(node, ast.Call):
            self.call(node, scope)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self.assigned(target, node.value, scope)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            self.assigned(node.target, node.value, scope)
        elif isinstance(node, ast.AugAssign):
            self.assigned(node.target, node.value, scope, whole=False)

    def add(self, detector: str, node: ast.expr, scope: Scope, *, whole: bool = True, syntax: Syntax | None = None, **more: object) -> None:
        for folded in strings(node, scope):
            if is_prompt(folded.text) or (not folded.text.strip() and detector != "name"):
                if syntax is not None and folded.syntax == "plain":
                    folded = replace(folded, syntax=syntax, **more)  # type: ignore[arg-type]
                self.sites.append(_Site(detector, folded, whole, self.answers, ".".join(self.within)))

    def tool_class(self, node: ast.ClassDef, scope: Scope) -> None:
        if not any("Tool" in dotted(base).rpartition(".")[2] for base in node.bases):
            return
        for statement in node.body:
            if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is None:
                continue
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(target, ast.Name) and target.id == "description" for target in targets):
                self.add("tool-class", statement.value, scope)

    def tool_docstring(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        marks = [mark.func if isinstance(mark, ast.Call) else mark for mark in node.decorator_list]
        text, first = ast.get_docstring(node), node.body[0]
        if text and isinstance(first, ast.Expr) and any(dotted(mark).rpartition(".")[2] == "tool" for mark in marks):
            self.sites.append(_Site("tool-docstring", Folded(text, first.value, cleaned=True)))

    def assigned(self, target: ast.expr, value: ast.expr, scope: Scope, *, whole: bool = True) -> None:
        if NAME.search(dotted(target).rpartition(".")[2]):
            self.add("name", value, scope, whole=whole)

    def call(self, node: ast.Call, scope: Scope) -> None:
        owner, _, name = dotted(node.func).rpartition(".")
        owner = owner.rpartition(".")[2]
        if name == "from_file" and owner.endswith("Template"):
            self.from_file(node)
        elif name.endswith(("Template", "Message")) or owner.endswith("Template"):
            self.template_call(node, scope)
        elif name in ("create", "acreate") and owner.lower() in COMPLETIONS:
            self.arguments("completion-call", node, scope)
        elif name in ("chat", "summarize") and owner:
            self.arguments("chat-method", node, scope)
        elif name == "format" and isinstance(node.func, ast.Attribute):
            filled = fold(node, scope)
            if filled is not None and filled.syntax == "format":
                place = _place(filled.origin)
                self.formats[place] = filled if place not in self.formats else replace(filled, given=None)

    def arguments(
        self, detector: str, node: ast.Call, scope: Scope, syntax: Syntax | None = None, given: frozenset[str] | None = None
    ) -> None:
        for argument in node.args[: POSITIONS[detector]]:
            self.add(detector, argument, scope, syntax=syntax, given=given)
        for word in node.keywords:
            if word.arg in KEYS[detector]:
                self.add(detector, word.value, scope, whole=word.arg not in ("prefix", "suffix"), syntax=syntax, given=given)

    def template_call(self, node: ast.Call, scope: Scope) -> None:
        """Templates are filled later: by `str.format`, or by Jinja where their text or an argument says so."""
        words = {word.arg: word.value for word in node.keywords}
        kind = words.get("template_format")
        jinja = isinstance(kind, ast.Constant) and kind.value == "jinja2"
        last = dotted(node.func).rpartition(".")[2]
        self.answers = _answers(words.get("answers"))
        if last.endswith("Message") or last in ("Template", "from_string"):
            self.arguments("template-call", node, scope, "jinja" if jinja else None)
        else:
            self.arguments("template-call", node, scope, "jinja" if jinja else "format", None if jinja else _variables(words))
        self.answers = ()

    def from_file(self, node: ast.Call) -> None:
        first = node.args[0] if node.args else next((word.value for word in node.keywords if word.arg == "template_file"), None)
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            place = self.file.parent / first.value
            if place.is_file():
                self.files.append(Prompt(place, 1, place.read_text(encoding="utf-8", errors="replace"), "from-file", syntax="format"))


def _answers(node: ast.expr | None) -> tuple[tuple[str, str], ...]:
    """Label words as far as they are literal; otherwise the expression, so that equal ones are known to be equal."""
    if node is None:
        return ()
    if isinstance(node, ast.Dict) and all(isinstance(part, ast.Constant) for part in (*node.keys, *node.values)):
        pairs = zip(node.keys, node.values)
        return tuple((str(key.value), str(value.value)) for key, value in pairs)  # type: ignore[union-attr,attr-defined]
    return (("", ast.unparse(node)),)


def _variables(words: dict[str | None, ast.expr]) -> frozenset[str] | None:
    """The `input_variables` and `partial_variables` of a template call, where they are literal."""
    named: set[str] = set()
    given = words.get("input_variables")
    if not isinstance(given, (ast.List, ast.Tuple)) or None in words:
        return None
    for item in given.elts:
        if not (isinstance(item, ast.Constant) and isinstance(item.value, str)):
            return None
        named.add(item.value)
    partial = words.get("partial_variables")
    if isinstance(partial, ast.Dict):
        named |= {key.value for key in partial.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
    elif partial is not None:
        return None
    return frozenset(named)


def strings(node: ast.expr, scope: Scope, depth: int = 0) -> Iterator[Folded]:
    """The strings of an expression: itself, or those in its branches, lists, and messages; calls that are not followed give none."""
    whole = fold(node, scope)
    if whole is not None:
        yield whole
        return
    if depth > 8:
        return
    inner: list[ast.expr] = []
    match node:
        case ast.List() | ast.Tuple() | ast.Set():
            inner = node.elts
        case ast.Dict():
            keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
            messages = "role" in keys
            inner = [value for key, value in zip(keys, node.values) if not messages or key in CONTENT]
        case ast.IfExp():
            inner = [node.body, node.orelse]
        case ast.BoolOp():
            inner = node.values
        case ast.Starred():
            inner = [node.value]
        case ast.Name() | ast.Attribute():
            value = scope.value(dotted(node))
            inner = [value] if value is not None and not isinstance(value, ast.Call) else []
    for part in inner:
        yield from strings(part, scope, depth + 1)


__all__ = ["DETECTORS", "find", "given_names", "is_prompt"]
