"""The page: sections in order, one data block, inline style and script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ..analysis.model import Analysis
from .data import page_data
from .pictures import Gallery
from .sections import SECTIONS
from .view import HERE, Drawn, Section, View, json_block, raw, render, slug

SCRIPTS = ("start.js", "table.js", "compare.js", "detail.js", "export.js", "main.js")


def render_page(
    analysis: Analysis,
    *,
    sections: Sequence[Section] = SECTIONS,
    examples: Mapping[str, Mapping[str, str]] | None = None,
    pictures: Mapping[str, Gallery] | None = None,
) -> str:
    """The whole index.html. `examples` : family -> column -> address of its drill-down page; `pictures` : family -> what its trials left;
    `sections` may be extended by other modalities."""
    views = _views(analysis, examples or {}, pictures or {})
    blocks: list[dict[str, Any]] = []
    contents: list[dict[str, str]] = []
    several = len(views) > 1
    used: set[str] = set()
    for scope, run in groupby(sections, key=lambda section: section.scope):
        parts = list(run)
        if scope == "page":
            drawn = _draw(views[0], parts, "", contents, several=False)
            blocks.append({"family": False, "sections": drawn, "heading": "", "id": "", "index": 0, "level": 2})
            continue
        for index, view in enumerate(views):
            if several and view.slug not in used:
                contents.append({"id": f"family-{view.slug}", "title": view.family.name})
            drawn = _draw(view, parts, f"{view.slug}-", contents, several=several)
            if drawn:
                identity = "" if view.slug in used else f"family-{view.slug}"
                heading = view.family.name if several else ""
                level = 3 if several else 2
                blocks.append({"family": True, "sections": drawn, "heading": heading, "id": identity, "index": index, "level": level})
                used.add(view.slug)
    return render(
        "page.html.j2",
        analysis=analysis,
        facts=_facts(analysis),
        contents=contents,
        blocks=blocks,
        css=raw((HERE / "static" / "page.css").read_text(encoding="utf-8")),
        script=raw("\n".join((HERE / "static" / name).read_text(encoding="utf-8") for name in SCRIPTS)),
        data=json_block(page_data(views)),
    )


def write_page(
    analysis: Analysis,
    folder: Path,
    *,
    examples: Mapping[str, Mapping[str, str]] | None = None,
    pictures: Mapping[str, Gallery] | None = None,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    path.write_text(render_page(analysis, examples=examples, pictures=pictures), encoding="utf-8")
    return path


def _views(analysis: Analysis, examples: Mapping[str, Mapping[str, str]], pictures: Mapping[str, Gallery]) -> list[View]:
    views, taken = [], set()
    for family in analysis.families:
        name = slug(family.name)
        while name in taken:
            name += "-2"
        taken.add(name)
        views.append(View(analysis, family, name, examples.get(family.name, {}), pictures.get(family.name)))
    return views


def _draw(view: View, sections: Sequence[Section], prefix: str, contents: list[dict[str, str]], *, several: bool) -> list[Drawn]:
    drawn = []
    for section in sections:
        html = section.draw(view)
        if html is None:
            continue
        identity = f"{prefix}{section.name}"
        drawn.append(Drawn(identity, section.title, raw(html)))
        if not several:
            contents.append({"id": identity, "title": section.short or section.title})
    return drawn


def _facts(analysis: Analysis) -> list[str]:
    given = analysis.provenance
    facts = [f"{given.n_trials:,} trials".replace(",", " ")]
    if given.n_imported:
        facts.append(f"{given.n_imported:,} of them imported".replace(",", " "))
    if given.seeds:
        facts.append(f"seeds {given.seeds[0]} to {given.seeds[-1]}" if len(given.seeds) > 1 else f"seed {given.seeds[0]}")
    if given.devices:
        facts.append(", ".join(given.devices[:3]))
    if given.started:
        facts.append(
            f"run {given.started[0][:10]}" + (f" to {given.started[1][:10]}" if given.started[1][:10] != given.started[0][:10] else "")
        )
    facts.append(f"α = {analysis.options.alpha:g}, {analysis.options.level:.0%} intervals".replace("%", " %"))
    if analysis.options.relevant:
        facts.append(f"smallest relevant difference {analysis.options.relevant:g}")
    return facts
