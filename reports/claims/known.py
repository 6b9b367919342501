"""Which claims there are: every registered method's and tool's, read from the `claims` of its module."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from harness import catalog
from harness.claims import Claim
from harness.errors import InputError, unknown_name


@dataclass(frozen=True)
class Known:
    """A claim and the system whose file carries it; `name` is SYSTEM/CLAIM."""

    system: str
    paper: str | None
    claim: Claim

    @property
    def name(self) -> str:
        return f"{self.system}/{self.claim.name}"


def known_claims(names: Sequence[str] = ()) -> list[Known]:
    """All claims, or those of the named systems, or the named ones; InputError for a name that nothing carries."""
    found: dict[str, Known] = {}
    for entry in (
        *catalog.entries("method"),
        *catalog.entries("wrapper"),
        *catalog.entries("selection"),
        *catalog.entries("tool"),
        *catalog.entries("recipe"),
    ):
        if entry.module is None or "claims = [" not in entry.file.read_text(encoding="utf-8"):
            continue
        owner = entry.file.stem.replace("_", "-")
        if entry.name != owner and any(other.name == owner and other.file == entry.file for other in catalog.entries(entry.kind)):
            continue  # a module of several methods: the one it is named by carries the claims
        catalog.load(entry.kind, entry.name)
        for claim in getattr(sys.modules[entry.module], "claims", ()):
            known = Known(entry.name, entry.paper, claim)
            if known.name in found:
                raise InputError(f"two claims are named {known.name!r}", file=entry.file, key="claims")
            found[known.name] = known
    for name in names:
        if name not in found and not any(known.system == name for known in found.values()):
            raise unknown_name("claim", name, [*found, *{known.system for known in found.values()}], listing="harness claims --list")
    return [known for key, known in found.items() if not names or key in names or known.system in names]
