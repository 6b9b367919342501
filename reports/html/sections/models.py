"""The same results under other models: over tasks, wins per example, dominance of runs, and looking many times."""

from __future__ import annotations

from ..view import View, render


def models(view: View) -> str | None:
    family = view.family
    if not (family.task_models or family.strengths or family.dominance or family.looks):
        return None
    first = family.looks[0] if family.looks else None
    separated = next((row.beats.note for row in family.strengths if row.beats.note), None)
    notes = sorted({item.note for item in family.dominance if item.note})
    return render(
        "models.html.j2", view=view, family=family, first=first, separated=separated, dominance_notes=notes,
        places=family.places.difference, relevant=view.analysis.options.relevant, level=view.analysis.options.level,
        shown=[row for row in family.strengths if row.arm in view.shown],
    )  # fmt: skip
