"""`harness report` from the command line: what it writes, and one line for what it cannot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from harness.reports.analysis.build import analyse
from harness.reports.imports.command import import_results

from harness import catalog
from harness.cli import main
from harness.store import load_results


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    rows = [f"{m},{t},{s},{0.5 + 0.05 * i + 0.01 * s}" for i, m in enumerate("abc") for t in ("x", "y") for s in range(3)]
    table = folder / "runs.csv"
    table.write_text("arm,task,seed,score\n" + "\n".join(rows) + "\n")
    import_results("long-table", table, folder / "store")
    return folder / "store"


def test_writes_a_report_and_prints_the_page_last(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(store), "-o", str(tmp_path / "out"), "--baseline", "a", "--no-figures"]) == 0
    lines = capsys.readouterr().out.split()
    assert [Path(line).name for line in lines] == ["leaderboard.md", "leaderboard.csv", "results.json", "tables.tex", "index.html"]
    assert all(Path(line).is_file() for line in lines)
    assert "declared baseline" in Path(lines[-1]).read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--baseline", "nobody"], "unknown baseline"),
        (["--family", "nothing"], "unknown family"),
        (["--alpha", "2"], "is no level"),
        (["--relevant", "0"], "is no difference"),
    ],
)
def test_bad_options_give_one_line(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["report", str(store), "-o", str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_no_store_gives_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_in_the_way_gives_one_line(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").write_text("")
    assert main(["report", str(store), "-o", str(tmp_path / "out")]) == 2
    assert "is a file" in capsys.readouterr().err


def test_an_undefined_score_and_an_arm_without_templates(suite_file, mood_task: Path, run, tmp_path: Path) -> None:
    """A constant answer has no correlation: it counts with the floor and says why. An arm without templates meets those that have several."""
    mood = mood_task / "mood.yaml"
    more = '  looks:\n    text: "{{ answer }} : {{ line }}"\n    answers: {sad: bad, glad: good}\n'
    mood.write_text(mood.read_text() + more + "metrics: [mcc]\nfloor: 0\n", encoding="utf-8")
    catalog.refresh()
    suite = suite_file(methods=["majority", "zero-shot", "turns"], tasks=[{"name": "mood", "templates": ["feels", "looks"]}])
    run(suite)
    family = analyse(load_results(tmp_path / "store")).families[0]
    assert [column.key for column in family.columns] == ["mood"]
    cell = next(cell for cell in family.cells if cell.arm == "majority")
    assert (cell.n_planned, cell.n_failed, cell.mean) == (2, 2, 0.0)
    reasons = {failure.reason for failure in family.failures if failure.arm == "majority"}
    assert reasons == {"mcc is undefined: gold or predictions have only one class"}


def test_a_place_that_cannot_be_written_gives_one_line(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["report", str(store), "-o", str(tmp_path / "file" / "sub")]) == 2
    error = capsys.readouterr().err
    assert "cannot be written" in error and error.count("\n") == 1


def test_a_damaged_import_gives_one_line_and_a_damaged_cache_is_made_again(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "results.json").write_text("{")
    assert main(["report", str(store), "-o", str(out), "--no-figures", "--no-examples"]) == 0
    assert json.loads((out / "results.json").read_text())["families"]
    copy = tmp_path / "copy"
    shutil.copytree(store, copy)
    [file] = (copy / "imported").glob("*/trials.parquet")
    file.write_bytes(file.read_bytes()[:-20])
    capsys.readouterr()
    assert main(["report", str(copy), "-o", str(out)]) == 2
    error = capsys.readouterr().err
    assert "is missing or damaged" in error and error.count("\n") == 1
