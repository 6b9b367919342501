"""What a module declares, as plain values that go into the cache and come back equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.catalog.literals import decode, encode
from harness.settings import Setting


@dataclass(frozen=True)
class Declared:
    """A setting as declared: its annotation as written, and its default, bounds and search space."""

    annotation: str
    setting: Setting


@dataclass(frozen=True)
class Decorated:
    """One registering decorator: its kind, its literal arguments."""

    kind: str
    name: str
    arguments: Mapping[str, Any]


@dataclass
class ClassSource:
    """A class or function of a module. `computed` are attributes whose values are known only when it runs."""

    line: int
    doc: str | None = None
    bases: tuple[str, ...] = ()  # "package.module.name"
    decorated: tuple[Decorated, ...] = ()
    settings: dict[str, Declared] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    computed: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()


@dataclass
class ModuleSource:
    """What one module declares. `problems` are (line, what cannot be read and why)."""

    doc: str | None = None
    classes: dict[str, ClassSource] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)  # local name -> "package.module.name"
    problems: list[tuple[int, str]] = field(default_factory=list)


def encoded(source: ModuleSource) -> Any:
    classes = {
        name: {
            "line": item.line,
            "doc": item.doc,
            "bases": item.bases,
            "decorated": [[mark.kind, mark.name, encode(dict(mark.arguments))] for mark in item.decorated],
            "settings": {key: [declared.annotation, encode(declared.setting)] for key, declared in item.settings.items()},
            "attributes": encode(item.attributes),
            "computed": item.computed,
            "functions": item.functions,
        }
        for name, item in source.classes.items()
    }
    return {"doc": source.doc, "classes": classes, "imports": source.imports, "problems": source.problems}


def decoded(kept: Any) -> ModuleSource:
    classes = {
        name: ClassSource(
            line=item["line"],
            doc=item["doc"],
            bases=tuple(item["bases"]),
            decorated=tuple(Decorated(kind, label, decode(arguments)) for kind, label, arguments in item["decorated"]),
            settings={key: Declared(annotation, decode(value)) for key, (annotation, value) in item["settings"].items()},
            attributes=decode(item["attributes"]),
            computed=tuple(item["computed"]),
            functions=tuple(item["functions"]),
        )
        for name, item in kept["classes"].items()
    }
    return ModuleSource(kept["doc"], classes, dict(kept["imports"]), [(line, text) for line, text in kept["problems"]])
