"""What fails a build, and with which exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from .verdicts import GONE, LOST

if TYPE_CHECKING:
    from .comparison import CellVerdict

Gate = Literal["regression", "noninferiority", "strict"]
GATES: tuple[Gate, ...] = ("regression", "noninferiority", "strict")
PASS, REGRESSION, USAGE, INCONCLUSIVE, BROKEN, INCOMPARABLE = 0, 1, 2, 3, 4, 5
PRIORITY = (USAGE, BROKEN, INCOMPARABLE, REGRESSION, INCONCLUSIVE)
MEANING = {
    PASS: "pass",
    REGRESSION: "regression",
    USAGE: "usage error",
    INCONCLUSIVE: "inconclusive",
    BROKEN: "broken or missing",
    INCOMPARABLE: "incomparable",
}


def exit_code(codes: Sequence[int]) -> int:
    """The code of highest priority, 2 > 4 > 5 > 1 > 3 > 0.

    >>> exit_code([1, 3, 5])
    5
    """
    return next((code for code in PRIORITY if code in codes), PASS)


def cell_code(cell: CellVerdict, gate: Gate, *, exact: bool = False) -> int:
    """What one cell would exit with.

    regression : only a proven loss fails (1), and what cannot be compared at all (4, 5).
    noninferiority : also what is not proven harmless (3).
    strict : also a single seed that newly failed or was not run (4), where the other gates ask whether more seeds fail than before.
    exact : a changed prediction is a loss (1); a cell whose predictions cannot be compared is incomparable (5).
    """
    if not cell.gating:
        return PASS
    codes = [PASS]
    if cell.verdict in GONE or (gate == "strict" and (cell.newly_failed or cell.seeds_absent)):
        codes.append(BROKEN)
    if cell.verdict == "incomparable" and (cell.mismatched or gate == "strict"):
        codes.append(INCOMPARABLE)
    if cell.verdict in LOST:
        codes.append(REGRESSION)
    if cell.verdict == "inconclusive" and gate != "regression":
        codes.append(INCONCLUSIVE)
    if exact and cell.verdict not in (*GONE, "incomparable", "fixed"):
        codes.append(INCOMPARABLE if cell.flips is None else REGRESSION if cell.flips.changed else PASS)
    return exit_code(codes)
