"""Verdicts kept between calls, and the page that shows what papers say beside what was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.claims import Bounded, Claim, Cost, Learned, Scores, Share
from harness.errors import InputError
from harness.store import VERDICTS, write_text

from ..analysis import ClaimRow
from .judge import Verdict, kind_of
from .known import Known, known_claims

NOT_RUN = Verdict("not run")
HEAD = """# What the papers claim, and what was measured here

Written by `harness claims --page`; not edited by hand. *Exact* claims are counts and identities, asserted. *Cost* claims are ratios
of one training step's cost on a random model of the size named. Claims about *scores* are trained for over at least 10 seeds
(`harness claims --train`); those that were not are shown as not run. Bounds are part of each method's source and do not move after
results are seen: a claim that fails is shown as failed.
"""


def kept(file: Path) -> dict[str, Verdict]:
    """Verdicts by claim name; none where there is no file."""
    if not file.exists():
        return {}
    try:
        return {name: Verdict(**fields) for name, fields in json.loads(file.read_text(encoding="utf-8")).items()}
    except (json.JSONDecodeError, TypeError, AttributeError):
        raise InputError("holds no verdicts", file=file, expected="delete it and judge again") from None


def keep(file: Path, verdicts: Mapping[str, Verdict]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({name: verdict.as_dict() for name, verdict in sorted(verdicts.items())}, indent=1)
    write_text(file, text + "\n")


def as_json(known: Known, verdict: Verdict) -> dict[str, Any]:
    claim = known.claim
    about = {"name": known.name, "system": known.system, "paper": known.paper, "kind": kind_of(claim), "claim": claim.text}
    arms = {"arm": str(claim.arm), "against": str(claim.against) if claim.against is not None else None, "stand_in": claim.stand_in}
    about |= {"investigated": claim.investigated} if claim.investigated else {}
    return {**about, **arms, "verdict": verdict.result, **{k: v for k, v in verdict.as_dict().items() if k != "result"}}


def claim_rows(judged: Sequence[tuple[Known, Verdict]]) -> list[ClaimRow]:
    """For a report's section of claims."""
    return [
        ClaimRow(method=known.system, text=known.claim.name, paper=known.claim.text, measured=verdict.measured, verdict=verdict.result)
        for known, verdict in judged
    ]


def stored_rows(store: Path) -> list[ClaimRow]:
    """The claims that were judged into this store, for its report; none where `harness claims` never ran."""
    verdicts = kept(store / VERDICTS)
    if not verdicts:
        return []
    return claim_rows([(known, verdicts[known.name]) for known in known_claims() if known.name in verdicts])


def markdown(judged: Sequence[tuple[Known, Verdict]]) -> str:
    counts: dict[str, int] = {}
    for _, verdict in judged:
        counts[verdict.result] = counts.get(verdict.result, 0) + 1
    lines = [HEAD, f"{len(judged)} claims: " + ", ".join(f"{n} {result}" for result, n in counts.items()) + ".", ""]
    for system in dict.fromkeys(known.system for known, _ in judged):
        of_system = [(known, verdict) for known, verdict in judged if known.system == system]
        lines += [f"## {system}" + (f" ({of_system[0][0].paper})" if of_system[0][0].paper else ""), ""]
        lines += ["| claim | kind | paper says | must be | measured here | verdict |", "|---|---|---|---|---|---|"]
        lines += [_row(known, verdict) for known, verdict in of_system]
        lines.append("")
    return "\n".join(lines)


def _row(known: Known, verdict: Verdict) -> str:
    claim = known.claim
    seeds = f" ({verdict.seeds} seeds; {verdict.test})" if verdict.test else ""
    result = f"**{verdict.result}**" if verdict.result == "does not hold" else verdict.result
    result += f": {verdict.reason}" if verdict.reason else ""
    if claim.stand_in and verdict.result in ("not run", "cannot show at this scale"):
        result += f". Stands in: `{claim.stand_in}`"
    if claim.investigated and verdict.result != "not run":
        result += f". {claim.investigated}"
    cells = [claim.name, _kind(claim), claim.text, _bound(claim), verdict.measured + seeds or "-", result]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _kind(claim: Claim) -> str:
    if isinstance(claim, Share):
        return f"share of cases: {claim.measure}"
    if isinstance(claim, Learned):
        return f"{claim.measure} of pretraining; {claim.seeds} seeds"
    if isinstance(claim, Cost):
        at = claim.at
        return f"cost of a step: {at.family}, width {at.width}, {at.layers} layers, {at.batch} texts of {at.tokens} tokens"
    if isinstance(claim, Scores):
        return f"scores: {', '.join(claim.tasks)}; {claim.backbone}; {claim.shots} rows a class; {claim.seeds} seeds"
    return "exact"


def _bound(claim: Claim) -> str:
    if isinstance(claim, Scores):
        margins = {"better": "above 0", "not_worse": f"above -{claim.margin:g}", "equivalent": f"within ±{claim.margin:g}"}
        margins |= {"less": "below 0", "steadier": "less spread"}
        return f"{claim.arm} minus {claim.against} {margins[claim.relation]}"
    if isinstance(claim, Learned):
        return f"{claim.arm} over {claim.against} below 1"
    if isinstance(claim, Share):
        return f"above {claim.against}" if claim.at_least is None else f">= {claim.at_least:g}"
    assert isinstance(claim, Bounded)
    bounds = (("=", claim.equals), (">=", claim.at_least), ("<=", claim.at_most))
    return ", ".join(f"{sign} {bound}" for sign, bound in bounds if bound is not None)
