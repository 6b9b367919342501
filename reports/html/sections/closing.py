"""Claims, failures and provenance."""

from __future__ import annotations

from ..view import View, render

MOST_ROWS = 300


def claims(view: View) -> str | None:
    rows = view.analysis.claims
    return render("claims.html.j2", rows=rows) if rows else None


def failures(view: View) -> str | None:
    found = view.family.failures
    partial = [row for row in view.family.standings if not row.ranked]
    if not found and not partial:
        return None
    return render("failures.html.j2", view=view, rows=found[:MOST_ROWS], left_out=max(len(found) - MOST_ROWS, 0), partial=partial)


def provenance(view: View) -> str:
    given = view.analysis.provenance
    return render(
        "provenance.html.j2",
        given=given,
        options=view.analysis.options,
        environments=given.environments[:5],
        families=view.analysis.families,
    )
