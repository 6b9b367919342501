"""Our own safe YAML: plain data only, YAML 1.2 scalars, no duplicate keys, no tags, and the line of every key.

    document = load("suite.yaml")
    document.data["tasks"][0]["name"]
    document.marks.line(("tasks", 0, "name"))

PyYAML parses the text into events; what they mean is decided here, by the YAML 1.2 core schema: `1e-3` is a number, `No`
and `on` are strings, `0o17` is octal. Tags (`!function`, `!!python/...`) are refused by name. Anchors, aliases and merges
(`<<`) work, and what they expand to is limited.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from harness.errors import InputError

KeyPath = tuple[Any, ...]  # keys of mappings and indices of lists, from the top
LARGEST_FILE = 20_000_000  # bytes
LARGEST_EXPANSION = 200_000  # values, counting what aliases stand for each time they are used
DEEPEST = 60  # levels; each takes a few Python frames here and in whoever walks the data

_Events = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {word: value for value, name in ((True, "true"), (False, "false")) for word in (name, name.title(), name.upper())}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


@dataclass(frozen=True)
class Marks:
    """Which line each key path stands on, counted from 1; a path that is not in the file has its nearest parent's line."""

    file: str
    lines: Mapping[KeyPath, int]

    def line(self, path: KeyPath) -> int | None:
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None

    def error(self, path: KeyPath, message: str, *, expected: str | None = None) -> InputError:
        """An InputError about the value at `path`, with file, line and key filled in."""
        return InputError(message, file=self.file, line=self.line(path), key=key_text(path) or None, expected=expected)


class Document(NamedTuple):
    """Plain data and where it stood: `data, marks = load(path)`."""

    data: Any
    marks: Marks


def key_text(path: KeyPath) -> str:
    """`tasks[0].name` for ("tasks", 0, "name")."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def load(path: str | Path) -> Document:
    """Read one YAML file; an InputError with file and line where it cannot be taken."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    if len(data) > LARGEST_FILE:
        raise InputError(f"is {len(data)} bytes", file=path, expected=f"at most {LARGEST_FILE}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError("is not UTF-8", file=path, line=line) from None
    return loads(text, file=path)


def loads(text: str, *, file: str | Path = "<text>") -> Document:
    """Read YAML from a text; `file` is only named in errors and marks."""
    name = str(file)
    try:
        top = _Reader(text, name).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.context, error.problem) if part)
        raise InputError(f"is no YAML: {problem}", file=name, line=mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise InputError(f"is no YAML: {' '.join(str(error).split())}", file=name) from None
    lines: dict[KeyPath, int] = {}
    data = _plain(top, (), top.line, lines)
    return Document(data, Marks(name, lines))


def parse_value(text: str) -> Any:
    """One value as it would be read in a file: what `--set key=value` gives."""
    return loads(text).data


@dataclass(frozen=True)
class _Node:
    """A value with its line; lists hold nodes, mappings hold (line of the key, node). `size` counts the values within."""

    value: Any
    line: int
    size: int = 1


def _plain(node: _Node, path: KeyPath, line: int, lines: dict[KeyPath, int]) -> Any:
    """Plain data, copied anew for each use of an alias, noting lines on the way."""
    lines[path] = line
    if isinstance(node.value, list):
        return [_plain(item, (*path, i), item.line, lines) for i, item in enumerate(node.value)]
    if isinstance(node.value, dict):
        return {key: _plain(item, (*path, key), at, lines) for key, (at, item) in node.value.items()}
    return node.value


class _Reader:
    """Builds nodes from PyYAML's events."""

    def __init__(self, text: str, file: str) -> None:
        self.events: Iterator[Any] = iter(yaml.parse(text, Loader=_Events))
        self.file = file
        self.anchors: dict[str, _Node] = {}
        self.expanded = 0

    def document(self) -> _Node:
        next(self.events)  # stream start
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            return _Node(None, 1)
        node = self.node(next(self.events), 0)
        next(self.events)  # document end
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise self.error("holds a second document", event, "one document per file")
        return node

    def node(self, event: Any, depth: int) -> _Node:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise self.error(f"alias *{event.anchor} stands before or inside its anchor", event)
            return self.counted(self.anchors[event.anchor], event)
        if event.tag is not None:
            raise self.error(f"tag {_tag_text(event.tag)} is refused", event, "plain YAML; code and objects are never read from a file")
        if depth > DEEPEST:
            raise self.error(f"is nested more than {DEEPEST} levels deep", event)
        if isinstance(event, yaml.ScalarEvent):
            value = self.scalar(event) if event.implicit[0] else event.value  # implicit: neither quoted nor a block
            node = _Node(value, line)
        elif isinstance(event, yaml.SequenceStartEvent):
            items = list(self.items(depth))
            node = _Node(items, line, 1 + sum(item.size for item in items))
        else:
            entries = self.mapping(event, depth)
            node = _Node(entries, line, 1 + sum(item.size for _, item in entries.values()))
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return self.counted(node, event) if node.size == 1 else node

    def items(self, depth: int) -> Iterator[_Node]:
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            yield self.node(event, depth + 1)

    def mapping(self, start: Any, depth: int) -> dict[Any, tuple[int, _Node]]:
        own: dict[Any, tuple[int, _Node]] = {}
        merged: dict[Any, tuple[int, _Node]] = {}
        merge_line = None
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            is_merge = isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]
            key = self.node(event, depth + 1).value
            if isinstance(key, (list, dict)):
                raise self.error("a key must be a plain value", event)
            if key in own or (is_merge and merge_line):
                first = merge_line if is_merge else own[key][0]
                raise InputError(f"key {key!r} stands twice, first on line {first}", file=self.file, line=line)
            value_event = next(self.events)
            node = self.node(value_event, depth + 1)
            if is_merge:
                merged, merge_line = self.merge(node, value_event), line
            else:
                own[key] = (line, node)
        return {**merged, **own}

    def merge(self, node: _Node, event: Any) -> dict[Any, tuple[int, _Node]]:
        sources = node.value if isinstance(node.value, list) else [node]
        if not all(isinstance(source.value, dict) for source in sources):
            raise self.error("'<<' merges something that is no mapping", event, "a mapping or a list of mappings")
        return {key: item for source in reversed(sources) for key, item in source.value.items()}  # the first one named wins

    def counted(self, node: _Node, event: Any) -> _Node:
        self.expanded += node.size
        if self.expanded > LARGEST_EXPANSION:
            raise self.error("expands to too many values", event, f"at most {LARGEST_EXPANSION}, aliases included")
        return node

    def scalar(self, event: Any) -> Any:
        """A plain (unquoted) scalar by the YAML 1.2 core schema."""
        text = event.value
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        if _INT.fullmatch(text):
            if len(text) > 1000:
                raise self.error(f"a number of {len(text)} digits", event, "quote it if it is a text")
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if _FLOAT.fullmatch(text):
            value = float(text)
            if math.isinf(value):
                raise self.error(f"{text} is larger than any float", event, "quote it if it is a text")
            return value
        if _SPECIAL.fullmatch(text):
            return float(text.replace(".", "", 1))
        return text

    def error(self, message: str, event: Any, expected: str | None = None) -> InputError:
        return InputError(message, file=self.file, line=event.start_mark.line + 1, expected=expected)


def _tag_text(tag: str) -> str:
    prefix = "tag:yaml.org,2002:"
    return f"!!{tag.removeprefix(prefix)}" if tag.startswith(prefix) else tag


class _Dumper(yaml.SafeDumper):
    """Quotes every text that YAML 1.1 or 1.2 would read as something else; writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"^(?:{_FLOAT.pattern})$"), list("-+.0123456789"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(f"^(?:{_INT.pattern})$"), list("-+0123456789"))


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    odd = any(mark in value for mark in "\x85\u2028\u2029")  # PyYAML lets these line breaks through unquoted; readers fold them
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"' if odd else None)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(tuple, lambda dumper, value: dumper.represent_list(value))


def dump(value: Any) -> str:
    """Plain data as YAML text that `loads` reads back as equal data (tuples come back as lists)."""
    try:
        text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
    except yaml.representer.RepresenterError as error:
        raise TypeError(f"only plain data can be written as YAML: {error}") from None
    return text
