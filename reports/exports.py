"""The report as files for other programs: Markdown, tidy CSV, JSON with every test, LaTeX tables."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from .analysis import digits
from .analysis.codec import results_json
from .analysis.model import Analysis, Family, Standing

FORMULA = re.compile(r"^[=+\-@\t\r]")
TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "–": "--", "<": r"\textless{}", ">": r"\textgreater{}",
    "≠": r"$\neq$", "∞": r"$\infty$", "·": r"$\cdot$", "×": r"$\times$",
}  # fmt: skip
CSV_COLUMNS = (
    "family", "arm", "place", "place_low", "place_high", "group", "best_group", "ranked", "column", "task", "metric", "mean", "se",
    "ci_low", "ci_high", "generalises_over", "sd", "complete_case", "n_ok", "n_failed", "n_planned", "imported",
)  # fmt: skip


def write_exports(analysis: Analysis, folder: Path) -> list[Path]:
    """leaderboard.md, leaderboard.csv, results.json and tables.tex, in this order. `analyse` may have written results.json already."""
    folder.mkdir(parents=True, exist_ok=True)
    makers = {
        "leaderboard.md": leaderboard_markdown,
        "leaderboard.csv": leaderboard_csv,
        "results.json": results_json,
        "tables.tex": tables_tex,
    }
    written = (folder / "results.json").is_file() and analysis.provenance.digest in _tail(folder / "results.json")
    for name, make in makers.items():
        if name != "results.json" or not written:
            (folder / name).write_text(make(analysis), encoding="utf-8")
    return [folder / name for name in makers]


def _tail(path: Path) -> str:
    """The last characters of a file: provenance, with the digest, stands at the end of results.json."""
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - 4096, 0))
        return stream.read().decode("utf-8", "ignore")


# --- Markdown -------------------------------------------------------------------------------------------------------------------------


def leaderboard_markdown(analysis: Analysis) -> str:
    parts = [f"# {_markdown(analysis.title)}\n"]
    for family in analysis.families:
        if len(analysis.families) > 1:
            parts.append(f"## {_markdown(family.name)}\n")
        parts.append(_markdown(family.question) + "\n")
        parts.append(_markdown(" ".join(family.verdict)) + "\n")
        parts.append(_markdown_table(family))
        over = digits.generalises(family.testing.ranking_over)
        parts.append(f"Place: from tests {over}. Interval of the mean: {analysis.options.level:.0%}. Bold: not told apart from the best.\n")
    return "\n".join(parts)


def _markdown_table(family: Family) -> str:
    head = ["Place", "Arm", "Mean", "Interval", "P(best)", "Coverage", "Failed", *(column.label for column in family.columns)]
    lines = [_markdown_row(head), "|" + "|".join(["---"] * 2 + ["---:"] * (len(head) - 2)) + "|"]
    cells = {(cell.arm, cell.column): cell for cell in family.cells}
    for row in family.standings:
        name = _markdown(row.arm)
        values = [
            row.place.replace("-", "–") if row.ranked else digits.NOTHING,
            f"**{name}**" if row.best_group else name,
            digits.estimate(row.score, family.places.score),
            digits.interval(row.score, family.places.score),
            digits.chance(row.p_best),
            f"{row.coverage[0]}/{row.coverage[1]}",
            str(row.n_failed),
        ]
        for column in family.columns:
            cell = cells.get((row.arm, column.key))
            values.append(digits.number(cell.mean if cell else None, family.places.columns[column.key]))
        lines.append("| " + " | ".join(values) + " |")
    return "\n".join(lines) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_markdown(cell) for cell in cells) + " |"


def _markdown(text: str) -> str:
    """Text that Markdown and its HTML would otherwise read as markup."""
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", text).replace("\n", " ")


# --- CSV ------------------------------------------------------------------------------------------------------------------------------


def leaderboard_csv(analysis: Analysis) -> str:
    """One row per arm and column, and one per arm with column "(aggregate)"; numbers in full."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for family in analysis.families:
        cells = {(cell.arm, cell.column): cell for cell in family.cells}
        for row in family.standings:
            writer.writerow(_guarded(_aggregate_row(family, row)))
            for column in family.columns:
                cell = cells.get((row.arm, column.key))
                if cell is None or not cell.n_planned:
                    continue
                values = [
                    *_standing(family, row), column.label, column.task, column.metric, cell.mean, cell.interval.se, cell.interval.ci_low,
                    cell.interval.ci_high, cell.interval.generalise_over, cell.sd, cell.complete_case, cell.n_ok, cell.n_failed, cell.n_planned,
                    cell.imported,
                ]  # fmt: skip
                writer.writerow(_guarded(values))
    return stream.getvalue()


def _standing(family: Family, row: Standing) -> list[object]:
    return [family.name, row.arm, row.place, row.place_low, row.place_high, row.groups, row.best_group, row.ranked]


def _aggregate_row(family: Family, row: Standing) -> list[object]:
    score = row.score
    return [
        *_standing(family, row), "(aggregate)", "", family.unit if family.unit != "score" else family.metric, score.estimate, score.se,
        score.ci_low, score.ci_high, score.generalise_over, None, None, row.n_trials - row.n_failed, row.n_failed, row.n_trials, None,
    ]  # fmt: skip


def _guarded(values: Sequence[object]) -> list[object]:
    """Text that a spreadsheet would run as a formula starts with an apostrophe."""
    return [f"'{value}" if isinstance(value, str) and FORMULA.match(value) and value != "-" else value for value in values]


# --- LaTeX ----------------------------------------------------------------------------------------------------------------------------


def tex(text: str) -> str:
    """Text as LaTeX prints it.

    >>> tex("50% of $x_1$")
    '50\\\\% of \\\\$x\\\\_1\\\\$'
    """
    return "".join(TEX.get(character, character) for character in text)


def tables_tex(analysis: Analysis) -> str:
    """Two booktabs tables per family: the board, and cells with sd. Bold: the whole group that no test told apart from the best."""
    parts = ["% made by `harness report`; needs \\usepackage{booktabs}"]
    for number, family in enumerate(analysis.families, 1):
        parts += [_board_tex(analysis, family, number), _cells_tex(analysis, family, number)]
    return "\n\n".join(parts) + "\n"


def _board_tex(analysis: Analysis, family: Family, number: int) -> str:
    rows = []
    for row in family.standings:
        score = digits.estimate(row.score, family.places.score)
        rows.append(
            [
                tex(row.place.replace("-", "–") if row.ranked else "–"), _bold(tex(row.arm), row.best_group), _bold(tex(score), row.best_group),
                tex(digits.interval(row.score, family.places.score)), tex(digits.chance(row.p_best)), f"{row.coverage[0]}/{row.coverage[1]}",
                str(row.n_failed),
            ]
        )  # fmt: skip
    over = digits.generalises(family.testing.ranking_over)
    caption = tex(
        f"{family.name}: mean {family.metric} over {len(family.columns)} columns. Places and bold (the group not told apart from the best) "
        f"come from tests {over}; intervals at {analysis.options.level:.0%}."
    )
    return _table_tex(
        ["Place", "Arm", "Mean", "Interval", "P(best)", "Coverage", "Failed"], rows, caption, f"tab:board-{number}", "llrrrrr"
    )


def _cells_tex(analysis: Analysis, family: Family, number: int) -> str:
    cells = {(cell.arm, cell.column): cell for cell in family.cells}
    best = best_cells(family, analysis.options.alpha)
    rows = []
    for row in family.standings:
        values = [tex(row.arm)]
        for column in family.columns:
            cell = cells.get((row.arm, column.key))
            places = family.places.columns[column.key]
            text = tex(digits.number(cell.mean if cell else None, places))
            if cell and cell.sd is not None:
                text += f" {{\\scriptsize ({tex(digits.number(cell.sd, places))})}}"
            values.append(_bold(text, (row.arm, column.key) in best))
        rows.append(values)
    caption = tex(f"{family.name}: mean (standard deviation of runs) by column; bold: not told apart from the column's best (Holm).")
    return _table_tex(
        ["Arm", *(tex(c.label) for c in family.columns)], rows, caption, f"tab:cells-{number}", "l" + "r" * len(family.columns)
    )


def best_cells(family: Family, alpha: float) -> set[tuple[str, str]]:
    """Cells that no test told apart from their column's best; an untested cell is not among them."""
    found: set[tuple[str, str]] = set()
    tests = {(pair.column, frozenset((pair.a, pair.b))): pair.adjusted for pair in family.column_pairs}
    for column in family.columns:
        sign = 1.0 if column.higher_is_better else -1.0
        present = [(sign * c.mean, c.arm) for c in family.cells if c.column == column.key and c.mean is not None]
        if len(present) < 2:
            continue
        leader = max(present)[1]
        for value, arm in present:
            p = tests.get((column.key, frozenset((arm, leader))))
            if arm == leader or value == max(present)[0] or (p is not None and p > alpha):
                found.add((arm, column.key))
    return found


def _bold(text: str, yes: bool) -> str:
    return f"\\textbf{{{text}}}" if yes else text


def _table_tex(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str, label: str, columns: str) -> str:
    body = "\n".join(" & ".join(row) + r" \\" for row in rows)
    return "\n".join(
        [
            r"\begin{table}", r"\centering", f"\\caption{{{caption}}}", f"\\label{{{label}}}", f"\\begin{{tabular}}{{{columns}}}", r"\toprule",
            " & ".join(head) + r" \\", r"\midrule", body, r"\bottomrule", r"\end{tabular}", r"\end{table}",
        ]
    )  # fmt: skip
