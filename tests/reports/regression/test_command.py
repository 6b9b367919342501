"""The verbs, as the command line calls them."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
import typer
from harness.reports.regression import command
from typer.testing import CliRunner


@pytest.fixture(name="call")
def call_fixture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    for verb in ("compare", "bless", "history", "bisect"):
        app.command(verb)(getattr(command, verb))

    def call(*arguments: str):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return call


def test_bless_then_compare_with_every_output(call, run_suite, export, tmp_path):
    old, new = export(run_suite(1), tmp_path / "old"), export(run_suite(2, shift=-1.5), tmp_path / "new")
    blessed = call("bless", old, "--as", "main", "--store", "guard", "--commit", "abc")
    assert blessed.exit_code == 0 and blessed.output.startswith("@main: 4 cells, 20 trials, digest ")
    same = call("compare", "@main", old, "--store", "guard", "--gate", "strict", "--exact")
    assert same.exit_code == 0, same.output
    lost = call(
        "compare", "@main", new, "--store", "guard", "--markdown", "out/c.md", "--junit", "out/c.xml", "--json", "out/c.json", "--github"
    )
    assert lost.exit_code == 1 and "::error title=" in lost.output
    assert (tmp_path / "out/c.md").read_text().startswith("### ❌ FAIL (regression)")
    assert ElementTree.parse(tmp_path / "out/c.xml").getroot().tag == "testsuites"
    assert json.loads((tmp_path / "out/c.json").read_text())["exit_code"] == 1


def test_options_lie_over_the_settings_file(call, run_suite, export, tmp_path):
    old, new = export(run_suite(1), tmp_path / "old"), export(run_suite(2), tmp_path / "new")
    (tmp_path / "c.toml").write_text('[compare]\ngate = "noninferiority"\n[compare.margins]\n"*" = 0.001\n')
    assert call("compare", old, new, "--config", "c.toml").exit_code == 3
    assert call("compare", old, new, "--config", "c.toml", "--margin", "*=0.5").exit_code == 0
    assert call("compare", old, new, "--config", "c.toml", "--gate", "regression").exit_code == 0


def test_history_appends_draws_and_checks(call, run_suite, export, tmp_path):
    for i in range(8):
        folder = export(run_suite(10 + i, seed_sd=0.0, examples=400), tmp_path / f"run{i}")
        assert call("history", folder, "--commit", f"c{i}", "--date", f"2026-01-{i + 1:02d}", "-o", "trend.html", "--check").exit_code == 0
    bad = export(run_suite(30, shift=-2.0, examples=400), tmp_path / "bad")
    found = call("history", bad, "--commit", "bad", "-o", "trend.html", "--json", "trends.json", "--check")
    assert found.exit_code == 1 and "BEYOND the limit" in found.output and "4 newest runs beyond their limit" in found.output
    assert (tmp_path / "trend.html").read_text().count("<svg") == 4
    assert all(trend["crossed"] for trend in json.loads((tmp_path / "trends.json").read_text()))
    assert call("history").exit_code == 0
    again = call("history", bad, "--commit", "bad")
    assert "0 rows appended" in again.output


def test_bisect_names_the_commits(call, run_suite, export, tmp_path):
    for i in range(9):
        folder = export(run_suite(10 + i, shift=-2.0 if i > 6 else 0.0, seed_sd=0.0, examples=400), tmp_path / f"run{i}")
        call("history", folder, "--commit", f"c{i}", "--date", f"2026-01-{i + 1:02d}")
    found = call("bisect", "--cell", "lora/rte")
    assert found.exit_code == 0 and "git bisect start c7 c6" in found.output and found.output.count("git bisect") == 1
    assert call("bisect", "--cell", "nothing").exception is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("compare", "nowhere", "nowhere"), "nowhere: no such file or folder"),
        (("compare", "old", "old", "--gate", "loose"), "unknown gate 'loose'"),
        (("compare", "old", "old", "--margin", "x"), "write GLOB=NUMBER"),
        (("compare", "old", "old", "--alpha", "2"), "alpha: alpha 2.0"),
        (("compare", "old", "old", "--config", "none.toml"), "cannot be read"),
        (("compare", "old", "old", "--json", "old/trials.parquet/x"), "cannot be written"),
        (("bless", "old", "--as", "No Slug"), "is no slug"),
        (("history", "old"), "--commit: is missing"),
        (("history", "--table", "none.jsonl"), "no such history table"),
        (("history", "--tail", "3"), "--tail: 3.0 does not fit"),
    ],
)
def test_errors_are_one_line(call, run_suite, export, tmp_path, arguments, words):
    export(run_suite(1), tmp_path / "old")
    found = call(*arguments)
    assert isinstance(found.exception, Exception) and words in str(found.exception)
    assert type(found.exception).__name__ == "InputError" and "\n" not in str(found.exception)
