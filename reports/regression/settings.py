"""`[compare]` of a TOML file: what a project keeps fixed about its comparisons."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import InputError, unknown_name

from .gates import GATES, Gate
from .margins import POINTS, SHARE_OF_SD, Margins

KINDS: dict[str, tuple[type, ...]] = {
    "gate": (str,), "exact": (bool,), "alpha": (float, int), "gating": (list,), "cost_factor": (float, int), "gate_costs": (bool,),
    "margins": (dict,), "margin_points": (float, int), "margin_seed_sd": (float, int),
}  # fmt: skip


@dataclass(frozen=True)
class CompareSettings:
    """The keys of `[compare]`; `[compare.margins]` maps globs to margins."""

    gate: Gate = "regression"
    exact: bool = False
    alpha: float = 0.05
    gating: tuple[str, ...] = ("*",)
    cost_factor: float = 1.1
    gate_costs: bool = False
    margins: Margins = field(default_factory=Margins)


def read_settings(file: str | Path | None) -> CompareSettings:
    """The settings of a file; unknown keys and wrong types are refused."""
    if file is None:
        return CompareSettings()
    try:
        with open(file, "rb") as handle:
            table: Any = tomllib.load(handle).get("compare", {})
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"is no TOML: {error}", file=file) from None
    if not isinstance(table, dict) or not table:
        raise InputError("has no [compare] table", file=file, expected="start it with [compare]")
    for key, value in table.items():
        _check(key, value, file)
    margins = Margins(
        table.pop("margins", {}),
        points=float(table.pop("margin_points", POINTS)),
        share_of_sd=float(table.pop("margin_seed_sd", SHARE_OF_SD)),
    )
    if "gating" in table:
        table["gating"] = tuple(table["gating"])
    return CompareSettings(**table, margins=margins)


def _check(key: str, value: Any, file: str | Path) -> None:
    if key not in KINDS:
        raise unknown_name("key of [compare]", key, KINDS).located(file=file)
    fits = isinstance(value, KINDS[key]) and (bool in KINDS[key] or not isinstance(value, bool))
    if not fits:
        raise InputError(f"{value!r} does not fit", file=file, key=key, expected=f"a {KINDS[key][0].__name__}")
    if key == "gate" and value not in GATES:
        raise unknown_name("gate", value, GATES).located(file=file, key=key)
    if key == "gating" and not all(isinstance(item, str) for item in value):
        raise InputError(f"{value!r} does not fit", file=file, key=key, expected="a list of globs")
