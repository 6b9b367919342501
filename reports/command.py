"""`harness report STORE`: the page, its tables and figures from the results of a store."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import InputError
from harness.results import Results

from .analysis import Analysis, ClaimRow, Options, analyse

OUT = "report"


def report(
    store: Annotated[Path, typer.Argument(help="Store with the results.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder to write; default: STORE/report.")] = None,
    suite: Annotated[str | None, typer.Option(help="Only the results of this suite.")] = None,
    family: Annotated[list[str] | None, typer.Option(help="Only this leaderboard family (may be repeated).")] = None,
    baseline: Annotated[list[str] | None, typer.Option(help="Arm that the others are compared with (may be repeated).")] = None,
    relevant: Annotated[float, typer.Option(help="Smallest difference worth acting on, in score units.")] = 0.01,
    alpha: Annotated[float, typer.Option(help="Level of the tests.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Root of all random streams; the same number gives the same bytes.")] = 0,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "",
    figures: Annotated[bool, typer.Option(help="Also write figures/ as SVG and PDF.")] = True,
    examples: Annotated[bool, typer.Option(help="Also write examples/ where arms disagree.")] = True,
) -> int:
    """Leaderboard, tests and figures of a store as one page, with Markdown, CSV, JSON and LaTeX beside it."""
    from harness.store import load_results

    from .claims.page import stored_rows

    _check(relevant, alpha)
    results: Results = load_results(store, suite)
    options = Options(baselines=tuple(baseline or ()), relevant=relevant, alpha=alpha, level=1 - alpha, root=seed, title=title)
    claims = stored_rows(store)
    for path in write_report(
        results, out or store / OUT, options, families=tuple(family or ()), claims=claims, figures=figures, examples=examples
    ):
        print(path)
    return 0


def write_report(
    results: Results,
    folder: Path,
    options: Options | None = None,
    *,
    families: Sequence[str] = (),
    claims: Sequence[ClaimRow] = (),
    figures: bool = True,
    examples: bool = True,
) -> list[Path]:
    """Every file of a report; the page is the last of the paths returned. results.json also serves the next call, if
    nothing has changed."""
    from .exports import write_exports
    from .html import write_page
    from .html.examples import write_examples
    from .html.pictures import choose_pictures

    _writable(folder)
    analysis: Analysis = analyse(results, options, families=families, claims=claims, stored=folder / "results.json")
    paths = write_exports(analysis, folder)
    if figures:
        from .figures import write_figures

        paths += write_figures(analysis, folder / "figures")
    addresses = write_examples(results, analysis, folder) if examples else {}
    paths += [folder / address for found in addresses.values() for address in found.values()]
    return [*paths, write_page(analysis, folder, examples=addresses, pictures=choose_pictures(results, analysis))]


def _writable(folder: Path) -> None:
    """Make the folder and see that a file can be written, before minutes of statistics."""
    if folder.exists() and not folder.is_dir():
        raise InputError("is a file", file=folder, expected="a folder to write the report to (-o DIR)")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=folder, expected="a folder to write the report to (-o DIR)") from None


def _check(relevant: float, alpha: float) -> None:
    if not relevant > 0:
        raise InputError(f"--relevant {relevant:g} is no difference", expected="a number above 0, in score units")
    if not 0 < alpha < 0.5:
        raise InputError(f"--alpha {alpha:g} is no level", expected="a number between 0 and 0.5, usually 0.05")
