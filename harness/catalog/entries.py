"""From what single files declare to registered entries: inherited settings, YAML entries, duplicates, problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import safe_yaml
from harness.catalog.declared import ClassSource, Declared
from harness.catalog.literals import decode, encode
from harness.catalog.sources import Sources
from harness.errors import InputError
from harness.registry import SLUG

YAML_KINDS = ("suite", "task", "backbone")  # a YAML entry's kind is the first of these keys at its top


@dataclass(frozen=True)
class Found:
    """One entry, as declared in its file; nothing of it was imported.

    module, qualname : where its class is, or None for an entry that is a YAML file.
    declared : the decorator's arguments beside the name (paper, needs, tags, ...).  settings : own and inherited ones.
    attributes : other literal class attributes, inherited ones too; of a YAML entry all its keys.
    computed : attributes whose values are known only when the class is imported.
    """

    kind: str
    name: str
    file: Path
    line: int
    doc: str = ""
    module: str | None = None
    qualname: str | None = None
    declared: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Declared] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    computed: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The first line of the description."""
        return self.doc.strip().partition("\n")[0].strip()

    @property
    def paper(self) -> str | None:
        value = self.declared.get("paper")
        return None if value is None else str(value)

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(self.declared.get("tags") or ())

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def python_entries(sources: Sources, modules: Iterable[str], problems: list[InputError]) -> Iterator[Found]:
    """The decorated classes and functions of `modules`; what cannot be read goes to `problems`."""
    for module in modules:
        source, file = sources.module(module), sources.locate(module)
        if source is None or file is None:
            continue
        problems += [InputError(text, file=file, line=line) for line, text in source.problems]
        alone = sum(len(item.decorated) for item in source.classes.values()) == 1  # then the module's docstring is about it
        for qualname, item in source.classes.items():
            for mark in item.decorated:
                settings, attributes, computed = _inherited(sources, f"{module}.{qualname}", item)
                yield Found(
                    mark.kind,
                    mark.name,
                    file,
                    item.line,
                    doc="\n\n".join(filter(None, [source.doc if alone or not item.doc else None, item.doc])),
                    module=module,
                    qualname=qualname,
                    declared=mark.arguments,
                    settings=settings,
                    attributes=attributes,
                    computed=computed,
                )


def _inherited(sources: Sources, name: str, item: ClassSource) -> tuple[dict[str, Declared], dict[str, Any], tuple[str, ...]]:
    """Settings and attributes of a class and its bases, the nearest definition winning, as attribute lookup does."""
    settings: dict[str, Declared] = {}
    attributes: dict[str, Any] = {}
    computed: dict[str, None] = {}
    for base in reversed(_order(sources, name, item)):
        settings |= base.settings
        for key in base.settings:  # what a base gave as a plain value
            attributes.pop(key, None)
            computed.pop(key, None)
        for key in (*base.computed, *(name for name in base.functions if name in attributes)):
            attributes.pop(key, None)  # what a base declared is hidden by it
            computed[key] = None
        for key, value in base.attributes.items():
            attributes[key] = value
            computed.pop(key, None)
    public = {key: value for key, value in attributes.items() if not key.startswith("_") and key not in ("settings", "entry")}
    return settings, public, tuple(key for key in computed if not key.startswith("_"))


def _order(sources: Sources, name: str, item: ClassSource) -> list[ClassSource]:
    """The class and its bases in Python's method resolution order (C3), without those out of reach."""
    known: dict[str, ClassSource] = {}

    def linear(name: str, item: ClassSource, above: tuple[str, ...]) -> list[str]:
        known[name] = item
        bases = [found for found in map(sources.resolve, item.bases) if found is not None and found[0] not in above]
        lists = [linear(base, source, (*above, name)) for base, source in bases] + [[base for base, _ in bases]]
        order = [name]
        while lists := [rest for rest in lists if rest]:
            heads = [rest[0] for rest in lists]
            head = next((head for head in heads if not any(head in rest[1:] for rest in lists)), heads[0])
            order.append(head)
            lists = [[other for other in rest if other != head] for rest in lists]
        return order

    return [known[base] for base in linear(name, item, ())]


def yaml_entry(sources: Sources, file: Path, problems: list[InputError]) -> Found | None:
    """The entry that a YAML file holds, or None where it holds none (no `task`, `suite` or `backbone` at its top)."""
    kept = sources.cache.get(f"yaml {file}")
    if kept is None:
        try:
            document = safe_yaml.load(file)
        except InputError as error:
            problems.append(error)
            return None
        kept = {"data": encode(document.data), "line": next((document.marks.line((k,)) for k in YAML_KINDS if _has(document.data, k)), 1)}
        sources.cache.put(f"yaml {file}", kept, {file})
    data = decode(kept["data"])
    kind = next((kind for kind in YAML_KINDS if _has(data, kind)), None)
    if kind is None:
        return None
    name = data[kind]
    if not isinstance(name, str) or not SLUG.fullmatch(name):
        expected = "use a-z, 0-9 and single '-', '.' or '_' between them"
        problems.append(InputError(f"{kind} name {name!r} is no slug", file=file, line=kept["line"], key=kind, expected=expected))
        return None
    doc = next((str(data[key]) for key in ("summary", "description", "question") if data.get(key)), "")
    declared = {key: data[key] for key in ("paper", "tags", "needs") if data.get(key)}
    if isinstance(declared.get("tags"), str):
        declared["tags"] = (declared["tags"],)
    return Found(kind, name, file, kept["line"], doc=doc, declared=declared, attributes=data)


def _has(data: Any, key: str) -> bool:
    return isinstance(data, dict) and key in data
