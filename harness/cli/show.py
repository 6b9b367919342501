"""`harness show`: one entry, read from its file without importing it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from harness import catalog, safe_yaml
from harness.catalog import Found
from harness.cli.output import heading, print_aligned, print_json
from harness.settings import Setting

FACTS = {  # attributes worth showing, by kind; a YAML entry shows all it has
    "task": (
        "version",
        "kind",
        "protocol",
        "labels",
        "metrics",
        "floor",
        "ceiling",
        "stops",
        "max_new_tokens",
        "answer_filter",
        "clustered",
    ),
    "method": ("task_kinds", "protocols", "random", "frozen_backbone", "identity_at_start", "uses_template"),
    "metric": ("higher_is_better", "undefined"),
    "selection": ("task_kinds",),
    "recipe": ("family", "reads"),
    "preparation": ("reads",),
}


def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A name that `harness list` shows; KIND/NAME where one name has several kinds.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """One entry: what it is, paper, needs, settings with defaults, ranges and search space, version, templates."""
    kind, slash, rest = name.partition("/")
    found = [catalog.find(kind, rest)] if slash else catalog.find_any(name)
    if as_json:
        described = [describe(entry) for entry in found]
        print_json(described[0] if len(described) == 1 else described)
        return
    for i, entry in enumerate(found):
        if i:
            print()
        _print(entry)


def describe(entry: Found) -> dict[str, Any]:
    """Everything that is known of an entry, as JSON-able data."""
    settings = {
        key: {"type": item.annotation, "default": item.setting.default, "range": item.setting.bounds(), "help": item.setting.help}
        | ({"search": str(item.setting.search)} if item.setting.search is not None else {})
        for key, item in entry.settings.items()
    }
    declared = {key: value for key, value in entry.declared.items() if key not in ("paper", "tags")}
    return {
        "kind": entry.kind,
        "name": entry.name,
        "description": entry.doc,
        "paper": entry.paper,
        "tags": list(entry.tags),
        **declared,
        "settings": settings,
        "declares": dict(entry.attributes),
        "known_when_loaded": list(entry.computed),
        "module": entry.module,
    }


def _print(entry: Found) -> None:
    heading(f"{entry.kind} {entry.name}")
    if entry.doc:
        print("\n".join(f"  {line}".rstrip() for line in entry.doc.strip().splitlines()))
    wanted = FACTS.get("method" if entry.kind == "wrapper" else entry.kind, ())
    facts = [("paper", entry.paper), *((key, value) for key, value in entry.declared.items() if key != "paper")]
    if entry.module is not None:
        facts += [(key, entry.attributes.get(key, "(known when loaded)" if key in entry.computed else None)) for key in wanted]
    facts.append(("declared in", entry.module or entry.file.name))
    print()
    print_aligned([(key, _text(value)) for key, value in facts if value not in (None, "", (), [])])
    if entry.settings:
        print()
        heading("settings")
        rows = [(key, item.annotation, _text(item.setting.default), *_limits(item.setting)) for key, item in entry.settings.items()]
        print_aligned([("name", "type", "default", "range", "search space", ""), *rows])
    templates = entry.attributes.get("templates")
    if isinstance(templates, dict) and templates:
        print()
        heading("templates")
        for key, template in templates.items():
            _print_template(str(key), template)
    if entry.module is None:
        print()
        heading("file")
        known = {"templates", entry.kind, "summary", "description", "question", "paper", "tags"}
        rest = safe_yaml.dump({key: value for key, value in entry.attributes.items() if key not in known})
        print("\n".join(f"  {line}" for line in rest.splitlines()))


def _limits(setting: Setting) -> tuple[str, str, str]:
    return setting.bounds() or "any", str(setting.search) if setting.search is not None else "-", setting.help


def _print_template(name: str, template: Any) -> None:
    if not isinstance(template, dict):
        template = {"text": template}
    held_out = "  (held out of pretraining)" if template.get("held_out") else ""
    print(f"  {name}{held_out}")
    for key, value in template.items():
        if value is not None and key != "held_out":
            print(f"    {key}: {_text(value)}")


def _text(value: Any) -> str:
    if isinstance(value, (tuple, list, set, frozenset)):
        return ", ".join(map(_text, value)) or "[]"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
    return repr(value) if isinstance(value, str) and value != value.strip() else str(value)
